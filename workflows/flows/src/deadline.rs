//! When a step is late: a time of day in a zone, counted from the slot that the run is for.

use chrono::{DateTime, Days, LocalResult, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Longest time a zone ever skipped: Samoa had no 30 December 2011.
const GAP_MAX_MINUTES: i64 = 24 * 60;

/// The first moment at or after the slot at which clocks in the zone show this time.
///
/// Where clocks are put forward past it, the first moment after the gap; where they are put back, the earlier of the
/// two that is not before the slot. `None` only at the end of the calendar.
pub(crate) fn after(slot: DateTime<Utc>, zone: Tz, time: NaiveTime) -> Option<DateTime<Utc>> {
    let today = slot.with_timezone(&zone).date_naive();
    // The deadline is today or tomorrow; a zone that skips a day makes it one more.
    let days = (0..=2).filter_map(|n| today.checked_add_days(Days::new(n)));
    days.flat_map(|day| moments(zone, day.and_time(time))).filter(|at| *at >= slot).min()
}

/// The moments at which clocks show this: two when they are put back, the end of the gap when there is none.
fn moments(zone: Tz, local: NaiveDateTime) -> Vec<DateTime<Utc>> {
    let later = (0..=GAP_MAX_MINUTES).filter_map(|n| local.checked_add_signed(TimeDelta::minutes(n)));
    for shown in later {
        match zone.from_local_datetime(&shown) {
            LocalResult::Single(at) => return vec![at.to_utc()],
            LocalResult::Ambiguous(first, second) => return vec![first.to_utc(), second.to_utc()],
            LocalResult::None => {}
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(zone: &str, time: &str, slot: &str, want: &str) {
        let time = NaiveTime::parse_from_str(time, "%H:%M").unwrap();
        let at = after(slot.parse().unwrap(), zone.parse().unwrap(), time).unwrap();
        assert_eq!(at, want.parse::<DateTime<Utc>>().unwrap());
    }

    #[test]
    fn the_deadline_is_the_next_time_the_clock_shows_it() {
        check("UTC", "02:00", "2026-11-21T00:20:00Z", "2026-11-21T02:00:00Z");
        check("UTC", "00:20", "2026-11-21T00:20:00Z", "2026-11-21T00:20:00Z");
        check("UTC", "00:19", "2026-11-21T00:20:00Z", "2026-11-22T00:19:00Z");
        // Berlin in winter is one hour ahead; the slot is 00:20 of the 22nd there.
        check("Europe/Berlin", "02:00", "2026-11-21T23:20:00Z", "2026-11-22T01:00:00Z");
        // New York in winter is five hours behind; the slot is 19:20 of the 20th there.
        check("America/New_York", "02:00", "2026-11-21T00:20:00Z", "2026-11-21T07:00:00Z");
    }

    /// EU rule: forward on the last Sunday of March at 01:00 UTC, back on the last Sunday of October at 01:00 UTC.
    #[test]
    fn a_time_that_is_skipped_falls_on_the_end_of_the_gap() {
        check("Europe/Berlin", "02:30", "2026-03-28T23:20:00Z", "2026-03-29T01:00:00Z");
        check("Europe/Berlin", "03:00", "2026-03-28T23:20:00Z", "2026-03-29T01:00:00Z");
        // Samoa went from the 29th of December 2011 (UTC-10) straight to the 31st (UTC+14), at 10:00 UTC.
        check("Pacific/Apia", "12:00", "2011-12-29T22:30:00Z", "2011-12-30T10:00:00Z");
    }

    #[test]
    fn a_time_that_comes_twice_means_the_earlier_one_that_is_left() {
        check("Europe/Berlin", "02:30", "2026-10-24T22:20:00Z", "2026-10-25T00:30:00Z");
        check("Europe/Berlin", "02:30", "2026-10-25T00:45:00Z", "2026-10-25T01:30:00Z");
        check("Europe/Berlin", "02:30", "2026-10-25T01:45:00Z", "2026-10-26T01:30:00Z");
    }
}
