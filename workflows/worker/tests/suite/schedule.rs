//! Slots: each once, in order, by the rules of their schedule.

use crate::timed::{Desk, at};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use store::control::{self, Started, Trigger};
use store::schedule::Planner;
use store::{Store, StoreError, schedule, view};
use tokio::task::JoinSet;

pub async fn all(store: &Store) {
    schedulers_at_the_same_time_start_one_run_per_slot(store).await;
    a_clock_that_steps_makes_no_slot_twice(store).await;
    three_days_off_over_changes_of_the_clock_are_made_up_exactly_and_in_order(store).await;
    catching_up_follows_its_rule(store).await;
    overlap_follows_its_rule(store).await;
    the_other_run_is_cancelled_before_the_slot_begins(store).await;
    slots_of_a_held_schedule_are_caught_up_when_it_goes_on(store).await;
    a_waiting_slot_runs_what_the_file_says_when_its_turn_comes(store).await;
    a_broken_file_changes_nothing_and_a_removed_one_ends_its_schedule(store).await;
    a_changed_pattern_goes_on_from_the_last_slot(store).await;
    a_slot_that_depends_on_its_past_waits_for_it(store).await;
    jitter_holds_a_slot_back_and_no_longer(store).await;
    a_new_schedule_begins_at_its_start(store).await;
    a_person_triggers_the_newest_partition(store).await;
}

fn hourly(rules: &str) -> String {
    format!("[schedule]\ncron = \"0 * * * *\"\n{rules}")
}

async fn schedulers_at_the_same_time_start_one_run_per_slot(store: &Store) {
    // With jitter some slots are made and started in one tick, others wait for a later one.
    let lines = "[schedule]\ncron = \"* * * * *\"\ncatchup = \"all\"\noverlap = \"allow\"\njitter = \"9m\"";
    let desk = Arc::new(Desk::of(store, &[("crowd", lines)], "2026-05-01T10:00:00Z").await);
    let mut started = 0;
    // Every other round finds no new slot, only some whose turn has come.
    for round in (1..=12i64).flat_map(|n| [300 * n, 300 * n + 50]) {
        let mut crowd = JoinSet::new();
        for member in 0..6i64 {
            // Their clocks differ, too.
            let now = at("2026-05-01T10:00:00Z") + TimeDelta::milliseconds(1000 * round + member);
            let desk = Arc::clone(&desk);
            crowd.spawn(async move { desk.tick(&now.to_rfc3339()).await.started.len() });
        }
        started += crowd.join_all().await.into_iter().sum::<usize>();
    }
    let made = desk.run_slots("crowd").await;
    assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), started, "each slot's run was started by one of them");
    // All but those that jitter still holds back.
    let begun: Vec<_> = (1..=51).map(|n| at("2026-05-01T10:00:00Z") + TimeDelta::minutes(n)).collect();
    assert!(begun.iter().all(|slot| made.contains(slot)), "{made:?}");
    assert_eq!(desk.states("crowd").await.len(), 60);
}

async fn a_clock_that_steps_makes_no_slot_twice(store: &Store) {
    let desk = Desk::of(store, &[("steps", &hourly("overlap = \"allow\""))], "2026-05-01T09:30:00Z").await;
    for (now, slots) in [
        ("2026-05-01T10:00:00Z", 1),
        ("2026-05-01T09:00:00Z", 0), // an hour back
        ("2026-05-01T10:00:01Z", 0),
        ("2026-05-01T12:00:00Z", 2), // an hour forth: early, but once
        ("2026-05-01T11:00:00Z", 0),
        ("2026-05-01T12:00:00Z", 0),
        ("2026-05-01T13:00:00Z", 1),
    ] {
        assert_eq!(desk.tick(now).await.slots, slots, "{now}");
    }
    let states = desk.states("steps").await;
    Desk::check(&states, &[("10:00", "started"), ("11:00", "missed"), ("12:00", "started"), ("13:00", "started")]);
}

#[derive(Deserialize)]
struct List {
    zone: String,
    cases: Vec<Listed>,
}

/// What cronsim lists; see `workflows/flows/tests/slots/make.py`.
#[derive(Deserialize)]
struct Listed {
    cron: String,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
    slots: Vec<DateTime<Utc>>,
}

async fn three_days_off_over_changes_of_the_clock_are_made_up_exactly_and_in_order(store: &Store) {
    for (name, list) in [
        ("berlin", include_str!("../../../flows/tests/slots/europe-berlin.json")),
        ("new-york", include_str!("../../../flows/tests/slots/america-new_york.json")),
    ] {
        let list: List = serde_json::from_str(list).unwrap();
        let daily = list.cases.iter().find(|case| case.cron == "30 2 * * *").unwrap();
        let changes: Vec<&Listed> = list.cases.iter().filter(|case| case.cron == "0 * * * *").collect();
        assert_eq!(changes.len(), 2, "spring and autumn");
        for (season, hourly) in ["spring", "autumn"].iter().zip(changes) {
            let rules = format!("timezone = \"{}\"\ncatchup = \"all\"\noverlap = \"buffer_all\"", list.zone);
            let names = [format!("{name}-{season}-hourly"), format!("{name}-{season}-daily")];
            let files = [hourly, daily].map(|case| format!("[schedule]\ncron = \"{}\"\n{rules}", case.cron));
            let files = [(names[0].as_str(), files[0].as_str()), (names[1].as_str(), files[1].as_str())];
            let (off, on) = (hourly.after.to_rfc3339(), hourly.until.to_rfc3339());
            let desk = Desk::of(store, &files, &off).await;
            let mut ticked = desk.tick(&on).await;
            while !ticked.started.is_empty() {
                // One at a time per schedule.
                assert!(ticked.started.len() <= 2);
                for run in &ticked.started {
                    desk.end(run, "done", 1.0).await;
                }
                ticked = desk.tick(&on).await;
            }
            assert_eq!(desk.run_slots(&names[0]).await, hourly.slots, "{}", names[0]);
            let within = |slot: &&DateTime<Utc>| **slot > hourly.after && **slot <= hourly.until;
            let want: Vec<_> = daily.slots.iter().filter(within).copied().collect();
            assert_eq!((desk.run_slots(&names[1]).await, want.len()), (want, 3), "{}", names[1]);
        }
    }
}

async fn catching_up_follows_its_rule(store: &Store) {
    let files = [
        ("none", hourly("catchup = \"none\"")),
        ("latest", hourly("catchup = \"latest\"")),
        ("window", hourly("catchup = \"all\"\ncatchup_window = \"2h\"\noverlap = \"skip\"")),
        ("all-at-once", hourly("catchup = \"all\"\noverlap = \"allow\"")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, lines)| (*name, lines.as_str())).collect();
    let desk = Desk::of(store, &files, "2026-06-01T10:00:00Z").await;
    desk.tick("2026-06-01T13:30:00Z").await;
    Desk::check(&desk.states("none").await, &[("11:00", "missed"), ("12:00", "missed"), ("13:00", "missed")]);
    Desk::check(&desk.states("latest").await, &[("11:00", "missed"), ("12:00", "missed"), ("13:00", "started")]);
    Desk::check(&desk.states("all-at-once").await, &[("11:00", "started"), ("12:00", "started"), ("13:00", "started")]);
    // One at a time, and `skip` drops none of them.
    Desk::check(&desk.states("window").await, &[("11:00", "missed"), ("12:00", "started"), ("13:00", "waiting")]);
    let late_s = desk.view("window", "2026-06-01T13:30:00Z").await.late_s;
    assert_eq!(late_s, Some(1800.0));

    // A new slot queues behind those that are made up; after them `skip` is itself again.
    desk.tick("2026-06-01T14:00:30Z").await;
    Desk::check(&desk.states("none").await[3..], &[("14:00", "started")]);
    Desk::check(&desk.states("window").await[2..], &[("13:00", "waiting"), ("14:00", "waiting")]);
    for now in ["2026-06-01T14:10:00Z", "2026-06-01T14:20:00Z"] {
        let run = view::list_runs(store, &filter("window")).await.unwrap().remove(0).id;
        desk.end(&run, "done", 1.0).await;
        assert_eq!(desk.tick(now).await.started.len(), 1);
    }
    let run = view::list_runs(store, &filter("window")).await.unwrap().remove(0).id;
    desk.end(&run, "failed", 1.0).await;
    desk.tick("2026-06-01T15:00:00Z").await;
    desk.tick("2026-06-01T16:00:00Z").await;
    let states = desk.states("window").await;
    Desk::check(&states[3..], &[("14:00", "started"), ("15:00", "started"), ("16:00", "skipped")]);
}

fn filter(workflow: &str) -> view::RunFilter {
    view::RunFilter { workflow: Some(workflow.to_owned()), ..view::RunFilter::default() }
}

async fn overlap_follows_its_rule(store: &Store) {
    let rules = ["skip", "buffer_one", "buffer_all", "allow", "cancel_other"];
    let files: Vec<(String, String)> =
        rules.iter().map(|o| (o.replace('_', "-"), hourly(&format!("overlap = \"{o}\"")))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, lines)| (name.as_str(), lines.as_str())).collect();
    let desk = Desk::of(store, &files, "2026-06-02T10:30:00Z").await;
    for now in ["2026-06-02T11:00:01Z", "2026-06-02T12:00:01Z", "2026-06-02T13:00:01Z"] {
        desk.tick(now).await;
    }
    let hours = ["11:00", "12:00", "13:00"];
    for (name, want) in [
        ("skip", ["started", "skipped", "skipped"]),
        ("buffer-one", ["started", "waiting", "skipped"]),
        ("buffer-all", ["started", "waiting", "waiting"]),
        ("allow", ["started", "started", "started"]),
        ("cancel-other", ["started", "started", "started"]),
    ] {
        let want: Vec<(&str, &str)> = hours.into_iter().zip(want).collect();
        Desk::check(&desk.states(name).await, &want);
    }
    let mut cancelled: Vec<String> =
        view::list_runs(store, &filter("cancel-other")).await.unwrap().into_iter().map(|r| r.state).collect();
    cancelled.sort_unstable();
    assert_eq!(cancelled, ["cancelled", "cancelled", "queued"]);
    // The buffered ones go on one by one.
    for name in ["buffer-one", "buffer-all"] {
        let run = view::list_runs(store, &filter(name)).await.unwrap().remove(0).id;
        desk.end(&run, "failed", 1.0).await;
    }
    assert_eq!(desk.tick("2026-06-02T13:10:00Z").await.started.len(), 2);
    Desk::check(&desk.states("buffer-one").await[1..], &[("12:00", "started"), ("13:00", "skipped")]);
    Desk::check(&desk.states("buffer-all").await[1..], &[("12:00", "started"), ("13:00", "waiting")]);
}

async fn the_other_run_is_cancelled_before_the_slot_begins(store: &Store) {
    let lines = hourly("overlap = \"cancel_other\"");
    let desk = Desk::of(store, &[("slow-other", &lines)], "2026-06-03T10:30:00Z").await;
    let first = desk.tick("2026-06-03T11:00:00Z").await.started.remove(0);
    desk.begin(&first).await;
    let told = desk.tick("2026-06-03T12:00:00Z").await;
    assert_eq!((told.cancelled, told.started), (vec![first.clone()], vec![]));
    // It was told once and still stops; meanwhile a newer slot takes the place of the one that waits.
    let next = desk.tick("2026-06-03T13:00:00Z").await;
    assert_eq!((next.cancelled.len(), next.started.len(), next.skipped), (0, 0, 1));
    desk.end(&first, "cancelled", 1.0).await;
    assert_eq!(desk.tick("2026-06-03T13:00:10Z").await.started.len(), 1);
    let states = desk.states("slow-other").await;
    Desk::check(&states, &[("11:00", "started"), ("12:00", "skipped"), ("13:00", "started")]);
}

async fn slots_of_a_held_schedule_are_caught_up_when_it_goes_on(store: &Store) {
    let desk = Desk::of(store, &[("held", &hourly(""))], "2026-06-04T10:30:00Z").await;
    let now = at("2026-06-04T10:31:00Z");
    assert!(schedule::pause(store, "held", "the venue is down", now).await.unwrap());
    assert!(!schedule::pause(store, "held", "again", now).await.unwrap());
    assert_eq!(desk.tick("2026-06-04T13:30:00Z").await.slots, 0);
    let held = desk.view("held", "2026-06-04T13:30:00Z").await;
    assert_eq!(
        (held.state.paused, held.paused_why.as_deref(), held.paused_at),
        (true, Some("the venue is down"), Some(now))
    );
    assert_eq!(held.late_s, Some(2.5 * 3600.0));
    assert!(schedule::resume(store, "held", at("2026-06-04T13:40:00Z")).await.unwrap());
    assert!(!schedule::resume(store, "held", at("2026-06-04T13:40:00Z")).await.unwrap());
    desk.tick("2026-06-04T13:40:00Z").await;
    Desk::check(&desk.states("held").await, &[("11:00", "missed"), ("12:00", "missed"), ("13:00", "started")]);
    let unknown = schedule::pause(store, "hold", "", now).await;
    assert!(matches!(unknown, Err(StoreError::NotFound { .. })), "{unknown:?}");
}

async fn a_waiting_slot_runs_what_the_file_says_when_its_turn_comes(store: &Store) {
    let lines = hourly("overlap = \"buffer_all\"");
    let mut desk = Desk::of(store, &[("edited", &lines)], "2026-06-05T10:30:00Z").await;
    let first = desk.tick("2026-06-05T11:00:00Z").await.started.remove(0);
    desk.tick("2026-06-05T12:00:00Z").await;
    desk.write("edited", &format!("description = \"changed\"\n{lines}"));
    desk.sync("2026-06-05T12:10:00Z").await;
    desk.end(&first, "done", 1.0).await;
    let second = desk.tick("2026-06-05T12:20:00Z").await.started.remove(0);
    assert_eq!((desk.column("version", &first).await, desk.column("version", &second).await), ("1".into(), "2".into()));
    Desk::check(&desk.states("edited").await, &[("11:00", "started"), ("12:00", "started")]);
}

async fn a_broken_file_changes_nothing_and_a_removed_one_ends_its_schedule(store: &Store) {
    let lines = hourly("overlap = \"buffer_all\"");
    let mut desk = Desk::of(store, &[("broken", &lines)], "2026-06-06T10:30:00Z").await;
    assert!(!desk.definitions.refresh(), "nothing has changed");
    desk.tick("2026-06-06T11:00:00Z").await;
    fs::write(desk.path("broken"), "schema = 1\nname = ").unwrap();
    desk.sync("2026-06-06T11:30:00Z").await;
    assert_eq!(desk.definitions.bad().keys().collect::<Vec<_>>(), ["broken"]);
    desk.tick("2026-06-06T12:00:00Z").await;
    Desk::check(&desk.states("broken").await, &[("11:00", "started"), ("12:00", "waiting")]);
    // A process that has never seen it whole leaves its schedule alone, too.
    let mut newcomer = worker::scheduler::Definitions::of(desk.path("broken").parent().unwrap());
    newcomer.refresh();
    newcomer.sync(store, at("2026-06-06T12:00:00Z")).await.unwrap();
    assert!(desk.view("broken", "2026-06-06T12:00:00Z").await.state.active);
    fs::remove_file(desk.path("broken")).unwrap();
    desk.sync("2026-06-06T12:30:00Z").await;
    assert!(!desk.view("broken", "2026-06-06T12:30:00Z").await.state.active);
    assert_eq!(desk.tick("2026-06-06T15:00:00Z").await.slots, 0);
    Desk::check(&desk.states("broken").await, &[("11:00", "started"), ("12:00", "cancelled")]);
    // Back again: the time it was gone is not made up.
    desk.write("broken", &lines);
    desk.sync("2026-06-06T15:30:00Z").await;
    desk.tick("2026-06-06T16:00:00Z").await;
    assert_eq!(desk.states("broken").await.len(), 3);
}

async fn a_changed_pattern_goes_on_from_the_last_slot(store: &Store) {
    let rules = "catchup = \"all\"\noverlap = \"allow\"";
    let mut desk = Desk::of(store, &[("moved", &hourly(rules))], "2026-06-07T10:30:00Z").await;
    desk.tick("2026-06-07T11:00:00Z").await;
    desk.write("moved", &format!("[schedule]\ncron = \"*/20 11 * * *\"\n{rules}"));
    desk.sync("2026-06-07T11:30:00Z").await;
    assert_eq!(desk.view("moved", "2026-06-07T11:30:00Z").await.state.next_slot, Some(at("2026-06-07T11:20:00Z")));
    desk.tick("2026-06-07T11:50:00Z").await;
    Desk::check(&desk.states("moved").await, &[("11:00", "started"), ("11:20", "started"), ("11:40", "started")]);
}

async fn a_slot_that_depends_on_its_past_waits_for_it(store: &Store) {
    let lines = format!("{}\n[partition]\nkind = \"hour\"\nlag = \"1h\"", hourly("overlap = \"buffer_all\""));
    let desk = Desk::of(store, &[("chained", &lines)], "2026-06-08T10:30:00Z").await;
    sqlx::query("UPDATE traider.schedule SET depends_on_past = true WHERE name = 'chained'")
        .execute(&store.pool)
        .await
        .unwrap();
    let first = desk.tick("2026-06-08T11:00:00Z").await.started.remove(0);
    assert_eq!(desk.column("partition_key", &first).await, "2026-06-08T10");
    desk.end(&first, "failed", 1.0).await;
    assert_eq!(desk.tick("2026-06-08T12:00:00Z").await.started.len(), 0);
    assert_eq!(desk.tick("2026-06-08T13:00:00Z").await.started.len(), 0);
    let shown = schedule::show(store, "chained", at("2026-06-08T13:00:00Z")).await.unwrap();
    assert_eq!(shown.slots[1].detail, "the run of the partition before is failed");
    // Somebody repairs it; the rest follows in order.
    desk.end(&first, "done", 1.0).await;
    let second = desk.tick("2026-06-08T13:01:00Z").await.started;
    assert_eq!(second.len(), 1);
    desk.end(&second[0], "done", 1.0).await;
    let third = desk.tick("2026-06-08T13:02:00Z").await.started;
    assert_eq!(desk.column("partition_key", &third[0]).await, "2026-06-08T12");
}

async fn jitter_holds_a_slot_back_and_no_longer(store: &Store) {
    let desk = Desk::of(store, &[("jittery", &hourly("jitter = \"30m\""))], "2026-06-09T10:30:00Z").await;
    assert_eq!(desk.tick("2026-06-09T11:00:00Z").await.slots, 1);
    let slot = schedule::show(store, "jittery", at("2026-06-09T11:00:00Z")).await.unwrap().slots.remove(0);
    let held = slot.not_before - slot.slot;
    assert!(held > TimeDelta::zero() && held < TimeDelta::minutes(30), "{held}");
    let just_before = slot.not_before - TimeDelta::milliseconds(1);
    assert_eq!(desk.tick(&just_before.to_rfc3339()).await.started.len(), 0);
    assert_eq!(desk.tick(&slot.not_before.to_rfc3339()).await.started.len(), 1);
}

async fn a_new_schedule_begins_at_its_start(store: &Store) {
    let daily = |rules: &str| {
        format!("[schedule]\ncron = \"0 0 * * *\"\ntimezone = \"Europe/Berlin\"\n{rules}\n[partition]\nkind = \"day\"")
    };
    let files = [
        ("from-start", daily("start = 2026-06-08\ncatchup = \"all\"\noverlap = \"allow\"")),
        ("from-now", daily("catchup = \"all\"\noverlap = \"allow\"")),
        ("start-without", daily("start = 2026-06-08\ncatchup = \"none\"")),
        ("later", daily("start = 2027-01-01\ncatchup = \"all\"")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, lines)| (*name, lines.as_str())).collect();
    let desk = Desk::of(store, &files, "2026-06-10T12:00:00Z").await;
    desk.tick("2026-06-10T12:00:01Z").await;
    let midnights = ["2026-06-07T22:00:00Z", "2026-06-08T22:00:00Z", "2026-06-09T22:00:00Z"].map(at);
    assert_eq!(desk.run_slots("from-start").await, midnights);
    let (now, next) = ("2026-06-10T12:00:01Z", Some(at("2026-06-10T22:00:00Z")));
    assert_eq!((desk.states("from-now").await.len(), desk.view("from-now", now).await.state.next_slot), (0, next));
    assert_eq!(
        (desk.states("start-without").await.len(), desk.view("start-without", now).await.state.next_slot),
        (0, next)
    );
    assert_eq!(desk.view("later", now).await.state.next_slot, Some(at("2026-12-31T23:00:00Z")));
}

/// What a person who triggers the schedule does.
async fn by_hand(desk: &Desk, now: DateTime<Utc>) -> Started {
    let partition = desk.definitions.partition("by-hand", now).unwrap();
    let plan = desk.definitions.plan("by-hand", &partition, None).unwrap();
    control::start_run(&desk.store, &plan, Trigger::Manual).await.unwrap()
}

async fn a_person_triggers_the_newest_partition(store: &Store) {
    let lines = format!("{}\n[partition]\nkind = \"hour\"\nlag = \"1h\"", hourly(""));
    let desk = Desk::of(store, &[("by-hand", &lines)], "2026-06-11T10:30:00Z").await;
    let now = at("2026-06-11T10:40:00Z");
    let started = by_hand(&desk, now).await;
    assert!(started.created);
    assert_eq!(desk.column("trigger || ' ' || partition_key", &started.run).await, "manual 2026-06-11T09");
    assert!(!by_hand(&desk, now).await.created, "joined");
    assert_eq!(desk.states("by-hand").await.len(), 0, "it is no slot");
    // The slot at 11:00 is about another partition, so nothing is in its way.
    let first = desk.tick("2026-06-11T11:00:00Z").await.started.remove(0);
    desk.end(&first, "done", 1.0).await;
    // Of the next slot's partition somebody else makes a run already: it waits for that, then makes its own.
    let other = by_hand(&desk, at("2026-06-11T12:00:00Z")).await;
    assert_eq!(desk.tick("2026-06-11T12:00:01Z").await.started.len(), 0);
    Desk::check(&desk.states("by-hand").await, &[("11:00", "started"), ("12:00", "waiting")]);
    desk.end(&other.run, "done", 1.0).await;
    let second = desk.tick("2026-06-11T12:30:00Z").await.started.remove(0);
    assert_eq!(desk.column("partition_key || ' ' || generation", &second).await, "2026-06-11T11 2");
}
