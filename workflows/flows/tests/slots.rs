//! Slots against two other opinions: lists made by cronsim, which follows Debian's cron (`slots/make.py`), and a scan
//! of every minute.

#![expect(clippy::unwrap_used, reason = "tests")]

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use flows::slots::{Slots, SlotsError, jitter};
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Deserialize)]
struct List {
    zone: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    cron: String,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
    slots: Vec<DateTime<Utc>>,
}

/// Where cronsim is wrong: looking for the next hour it adds 60 minutes to a full hour, and where the clock moves by 30
/// minutes that lands in the middle of an hour whose beginning it never looks at. Debian's manual has such patterns
/// "scheduled immediately" by the changed clock. At 2026-04-04T15:00Z Lord Howe's clock goes back from 02:00 to 01:30, at
/// 2026-10-03T15:30Z forth from 02:00 to 02:30. Pattern, first minute left out, how many.
const CRONSIM_JUMPS_OVER: [(&str, &str, i64); 4] = [
    ("15 */2 * * *", "2026-04-04T15:45:00Z", 1), // 02:15
    ("* 2 * * *", "2026-04-04T15:30:00Z", 30),   // 02:00 to 02:29
    ("30 * * * 0", "2026-04-04T15:00:00Z", 1),   // 01:30 for the second time
    ("30 * * * 0", "2026-10-03T15:30:00Z", 1),   // 02:30, the first minute after the change
];

fn jumped_over(zone: &str, case: &Case) -> Vec<DateTime<Utc>> {
    let of_case = |(cron, first, _): &&(&str, &str, i64)| {
        zone == "Australia/Lord_Howe" && *cron == case.cron && (case.after..case.until).contains(&at(first))
    };
    let minutes = |(_, first, count): &(&str, &str, i64)| {
        let first = at(first);
        (0..*count).map(move |n| first + TimeDelta::minutes(n))
    };
    CRONSIM_JUMPS_OVER.iter().filter(of_case).flat_map(minutes).collect()
}

#[track_caller]
fn check(list: &str) {
    let list: List = serde_json::from_str(list).unwrap();
    let mut wrong = Vec::new();
    for case in &list.cases {
        let got: Vec<_> = Slots::of(&case.cron, &list.zone).unwrap().between(case.after, case.until).collect();
        let mut want = [case.slots.clone(), jumped_over(&list.zone, case)].concat();
        want.sort_unstable();
        if got != want {
            let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) = (got.iter().collect(), want.iter().collect());
            let (more, less): (Vec<_>, Vec<_>) =
                (ours.difference(&theirs).collect(), theirs.difference(&ours).collect());
            wrong.push(format!(
                "`{}` in {} from {}: too many {more:?}, missing {less:?}",
                case.cron, list.zone, case.after
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn berlin_is_as_cronsim_lists_it() {
    check(include_str!("slots/europe-berlin.json"));
}

#[test]
fn new_york_is_as_cronsim_lists_it() {
    check(include_str!("slots/america-new_york.json"));
}

#[test]
fn lord_howe_is_as_cronsim_lists_it() {
    check(include_str!("slots/australia-lord_howe.json"));
}

#[test]
fn utc_is_as_cronsim_lists_it() {
    check(include_str!("slots/utc.json"));
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_walk_from_any_second_of_a_change_finds_the_same_slots() {
    for (cron, zone, around) in [
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("*/20 * * * *", "Europe/Berlin", "2026-10-25T01:00:00Z"),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ] {
        let slots = Slots::of(cron, zone).unwrap();
        let (first, last) = (at(around) - TimeDelta::hours(3), at(around) + TimeDelta::days(2));
        let all: Vec<_> = slots.between(first, last).collect();
        for second in (0..6 * 3600).step_by(7) {
            let from = first + TimeDelta::seconds(second);
            assert_eq!(slots.next_after(from).as_ref(), all.iter().find(|slot| **slot > from), "{cron} from {from}");
        }
    }
}

#[test]
fn a_day_that_never_comes_has_no_slot() {
    let none = Slots::of("0 0 30 2 *", "Europe/Berlin").unwrap();
    assert_eq!(none.next_after(at("2026-01-01T00:00:00Z")), None);
}

#[test]
fn a_date_begins_when_the_zones_clock_says_so() {
    let moment = |text: &str| Slots::of("0 0 * * *", "Europe/Berlin").unwrap().moment(text);
    assert_eq!(moment("2026-03-29"), Some(at("2026-03-28T23:00:00Z")));
    assert_eq!(moment("2026-03-30T00:00:00"), Some(at("2026-03-29T22:00:00Z")));
    // Skipped by the clock: the first moment after.
    assert_eq!(moment("2026-03-29T02:30:00"), Some(at("2026-03-29T01:00:00Z")));
    assert_eq!(moment("2026-03-29T02:30:00-05:00"), Some(at("2026-03-29T07:30:00Z")));
    assert_eq!(moment("07:30:00"), None);
}

#[test]
fn what_is_no_schedule_is_refused() {
    for cron in ["", "* * * *", "0 * * * * *", "61 * * * *", "@daily", "0 0 * * FOO"] {
        assert!(matches!(Slots::of(cron, "UTC"), Err(SlotsError::Cron { .. })), "{cron}");
    }
    assert_eq!(Slots::of("0 0 * * *", "Europe/Berln").unwrap_err(), SlotsError::Zone("Europe/Berln".to_owned()));
}

#[test]
fn jitter_stays_below_its_bound_and_differs_from_slot_to_slot() {
    let within = Duration::from_secs(30);
    let drawn: BTreeSet<_> =
        (0..100).map(|day| jitter("daily", at("2026-01-01T00:20:00Z") + TimeDelta::days(day), within)).collect();
    assert!(drawn.len() > 90 && drawn.iter().all(|j| *j < within), "{drawn:?}");
    let again = || jitter("daily", at("2026-01-01T00:20:00Z"), within);
    assert_eq!(again(), again());
    assert_ne!(again(), jitter("hourly", at("2026-01-01T00:20:00Z"), within));
    assert_eq!(jitter("daily", at("2026-01-01T00:20:00Z"), Duration::ZERO), Duration::ZERO);
}

/// One field: what is written and which values it names.
type Field = (String, BTreeSet<u32>);

fn field(low: u32, high: u32) -> impl Strategy<Value = Field> {
    let all = Just(("*".to_owned(), (low..=high).collect()));
    let step = (2..=7u32).prop_map(move |n| (format!("*/{n}"), (low..=high).step_by(n as usize).collect()));
    let list = prop::collection::btree_set(low..=high, 1..4)
        .prop_map(|values| (values.iter().map(u32::to_string).collect::<Vec<_>>().join(","), values));
    let range = (low..=high, 0..=6u32, 1..=3u32).prop_map(move |(from, more, step)| {
        let to = (from + more).min(high);
        (format!("{from}-{to}/{step}"), (from..=to).step_by(step as usize).collect())
    });
    prop_oneof![2 => all, 1 => step, 2 => list, 1 => range]
}

/// Every minute of the days from `first` at which the clock of the zone shows what the fields name.
fn scan(fields: &[Field; 5], zone: &str, first: DateTime<Utc>, days: i64) -> Vec<DateTime<Utc>> {
    let [minute, hour, day, month, weekday] = fields;
    let both = day.0.starts_with('*') || weekday.0.starts_with('*');
    let zone: chrono_tz::Tz = zone.parse().unwrap();
    (1..=days * 24 * 60)
        .map(|n| first + TimeDelta::minutes(n))
        .filter(|at| {
            let local = at.with_timezone(&zone);
            let of_month = day.1.contains(&local.day());
            let of_week = weekday.1.contains(&local.weekday().num_days_from_sunday());
            minute.1.contains(&local.minute())
                && hour.1.contains(&local.hour())
                && month.1.contains(&local.month())
                && if both { of_month && of_week } else { of_month || of_week }
        })
        .collect()
}

fn check_scan(fields: &[Field; 5], zone: &str, first: DateTime<Utc>, days: i64) -> Result<(), TestCaseError> {
    let cron = fields.each_ref().map(|f| f.0.as_str()).join(" ");
    let got: Vec<_> = Slots::of(&cron, zone).unwrap().between(first, first + TimeDelta::days(days)).collect();
    prop_assert_eq!(got, scan(fields, zone, first, days), "{} in {} from {}", cron, zone, first);
    Ok(())
}

fn fields() -> impl Strategy<Value = [Field; 5]> {
    (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)).prop_map(Into::into)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn without_changes_of_the_clock_slots_are_the_minutes_a_scan_finds(
        fields in fields(), start_day in 0i64..1200, zone in prop::sample::select(vec!["UTC", "Asia/Tokyo", "America/Phoenix"]),
    ) {
        check_scan(&fields, zone, at("2026-01-01T00:00:00Z") + TimeDelta::days(start_day), 40)?;
    }

    #[test]
    fn with_a_star_in_minute_or_hour_a_scan_is_right_over_changes_too(
        mut fields in fields(), step in 1u32..40, of_hour in any::<bool>(),
        (zone, first) in prop::sample::select(vec![
            ("Europe/Berlin", "2026-03-28T00:00:00Z"), ("Europe/Berlin", "2026-10-24T00:00:00Z"),
            ("America/New_York", "2026-03-07T00:00:00Z"), ("America/New_York", "2026-10-31T00:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-03T00:00:00Z"), ("Australia/Lord_Howe", "2026-10-02T00:00:00Z"),
        ]),
    ) {
        let (at_field, high) = if of_hour { (1, 23) } else { (0, 59) };
        fields[at_field] = (format!("*/{step}"), (0..=high).step_by(step as usize).collect());
        // All days of the month, or hardly a pattern would name one of the three.
        fields[3] = ("*".to_owned(), (1..=12).collect());
        check_scan(&fields, zone, at(first), 3)?;
    }
}
