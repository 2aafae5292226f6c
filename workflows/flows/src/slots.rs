//! When a schedule is due. Pure: a pattern, a zone and a moment give the next moment.
//!
//! croner says which local minutes a pattern names; where clocks change, Debian's cron says what follows. A pattern at
//! fixed times (neither minute nor hour begins with `*`) has one slot per time: a time that the change skips is due at the
//! first moment after it, a time that comes twice is due the first time. Every other pattern is due whenever the clock on
//! the wall shows one of its minutes, in both halves of a repeated hour. croner is therefore only ever asked about a
//! calendar without changes.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use sha2::{Digest, Sha256};
use std::time::Duration;
use thiserror::Error;

/// Changes of the clock are looked for at this distance: no zone changes its clock and changes it back within it.
const STEP: TimeDelta = TimeDelta::hours(6);

/// A schedule's moments.
#[derive(Clone, Debug)]
pub struct Slots {
    cron: Cron,
    zone: Tz,
    fixed: bool,
}

/// A schedule that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SlotsError {
    /// The pattern is none.
    #[error("`{cron}` is not a cron pattern: {why}")]
    Cron {
        /// The pattern.
        cron: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such zone.
    #[error("there is no time zone `{0}`")]
    Zone(String),
}

impl Slots {
    /// The moments of a pattern of five fields in a zone.
    ///
    /// # Errors
    /// [`SlotsError`] when the pattern or the zone is not known.
    pub fn of(cron: &str, zone: &str) -> Result<Slots, SlotsError> {
        let refuse = |why: String| SlotsError::Cron { cron: cron.to_owned(), why };
        let fields: Vec<&str> = cron.split_whitespace().collect();
        let &[minute, hour, day, _, weekday] = fields.as_slice() else {
            return Err(refuse("it has five fields: minute hour day month weekday".to_owned()));
        };
        // Debian's cron: a day must fit both fields if one of them begins with a star, else one of them.
        let both = day.starts_with('*') || weekday.starts_with('*');
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(both).build();
        Ok(Slots {
            cron: parser.parse(cron).map_err(|e| refuse(e.to_string()))?,
            zone: zone.parse().map_err(|_| SlotsError::Zone(zone.to_owned()))?,
            fixed: !minute.starts_with('*') && !hour.starts_with('*'),
        })
    }

    /// The first slot after the moment; `None` when there is none as long as people keep this calendar.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.fixed { self.next_fixed(after) } else { self.next_shown(after) }
    }

    /// The slots after `after`, up to and with `until`, oldest first.
    pub fn between(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        std::iter::successors(self.next_after(after), |slot| self.next_after(*slot))
            .take_while(move |slot| *slot <= until)
    }

    /// The moment at which the zone's clock shows this date, `2026-11-20`, or date and time, `2026-11-20T07:30:00`; with an
    /// offset, that moment whatever the zone. `None` when it is none of these.
    pub fn moment(&self, text: &str) -> Option<DateTime<Utc>> {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Some(at.to_utc());
        }
        let date = || text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN));
        self.first_moment(text.parse::<NaiveDateTime>().or_else(|_| date()).ok()?)
    }

    fn next_fixed(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut local = self.local(after);
        loop {
            local = self.named(local, false)?;
            let slot = self.first_moment(local)?;
            // In the second half of a repeated hour: this time has been.
            if slot > after {
                return Some(slot);
            }
        }
    }

    /// The first moment at which the zone's clock shows `local`, or the first after it when the clock skips it.
    fn first_moment(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        if let Some(at) = self.zone.from_local_datetime(&local).earliest() {
            return Some(at.with_timezone(&Utc));
        }
        // Skipped: with the offset that held before the gap, the time lies as far behind the change as it lies in it.
        let before = self.offset(local.and_utc() - TimeDelta::days(1));
        let beyond = local.and_utc() - before;
        self.change(beyond - TimeDelta::days(1), beyond)
    }

    fn next_shown(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = self.offset(from);
            let slot = self.named(self.local(from), inclusive)?.and_utc() - offset;
            match self.change(from, slot) {
                None => return Some(slot),
                // The clock jumps on the way there: look again from where it stands then.
                Some(change) => (from, inclusive) = (change, true),
            }
        }
    }

    /// The first local time after `local` that the pattern names.
    fn named(&self, local: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        // The local clock as one without changes.
        self.cron.find_next_occurrence(&local.and_utc(), inclusive).ok().map(|at| at.naive_utc())
    }

    /// The first moment in `(from, until]` with another offset than `from`, to the second.
    fn change(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = self.offset(from);
        let mut same = from;
        while same < until {
            let next = (same + STEP).min(until);
            if self.offset(next) != offset {
                return Some(self.narrow(same, next, offset));
            }
            same = next;
        }
        None
    }

    fn narrow(&self, mut same: DateTime<Utc>, mut other: DateTime<Utc>, offset: TimeDelta) -> DateTime<Utc> {
        while other - same > TimeDelta::seconds(1) {
            let middle = same + TimeDelta::seconds((other - same).num_seconds() / 2);
            if self.offset(middle) == offset { same = middle } else { other = middle }
        }
        // Changes come on whole seconds.
        DateTime::from_timestamp(other.timestamp(), 0).unwrap_or(other)
    }

    fn offset(&self, at: DateTime<Utc>) -> TimeDelta {
        let offset = self.zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        TimeDelta::seconds(i64::from(offset.local_minus_utc()))
    }

    fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.zone).naive_local()
    }
}

/// How much later than due a slot begins: drawn from `0..within` in whole milliseconds, the same for the same schedule and
/// slot on every machine.
pub fn jitter(schedule: &str, slot: DateTime<Utc>, within: Duration) -> Duration {
    let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    let digest = Sha256::digest(format!("{schedule}\n{}", slot.timestamp()));
    let drawn = digest.iter().take(8).fold(0u64, |drawn, byte| drawn << 8 | u64::from(*byte));
    Duration::from_millis(drawn.checked_rem(within_ms).unwrap_or(0))
}
