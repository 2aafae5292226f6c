//! Partitions: which part of the data a run is about.

use crate::file::{Partition, PartitionKind};
use chrono::{DateTime, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Utc};

/// Most partitions one range may have: eleven years of hours.
pub const BETWEEN_MAX: usize = 100_000;

/// First and last moment of a partition; the last is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Its first moment.
    pub start: DateTime<Utc>,
    /// The first moment after it.
    pub end: DateTime<Utc>,
}

impl Partition {
    /// What the key covers; `None` for kinds without time.
    ///
    /// # Errors
    /// What is wrong with the key and what it should look like.
    pub fn range(&self, key: &str) -> Result<Option<Range>, String> {
        let wrong = |like: &str| format!("`{key}` is not a partition of this workflow; write it like {like}");
        let date = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
        let day = |date: NaiveDate| date.and_time(chrono::NaiveTime::MIN);
        let (start, end) = match self.kind {
            PartitionKind::None if key == "all" => return Ok(None),
            PartitionKind::None => {
                return Err(format!("this workflow has no partitions; its only key is `all`, not `{key}`"));
            }
            PartitionKind::Key => {
                let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
                let good = (1..=100).contains(&key.len()) && key.chars().all(fine);
                return if good { Ok(None) } else { Err(wrong("a word of letters, digits, `.`, `_`, `-`")) };
            }
            PartitionKind::Day => {
                let start = date(key).ok_or_else(|| wrong("2026-11-20"))?;
                (Some(day(start)), start.checked_add_days(Days::new(1)).map(day))
            }
            PartitionKind::Hour => {
                let start = NaiveDateTime::parse_from_str(&format!("{key}:00"), "%Y-%m-%dT%H:%M")
                    .ok()
                    .filter(|_| key.len() == 13)
                    .ok_or_else(|| wrong("2026-11-20T07"))?;
                (Some(start), start.checked_add_signed(TimeDelta::hours(1)))
            }
            PartitionKind::Month => {
                let start = date(&format!("{key}-01")).ok_or_else(|| wrong("2026-11"))?;
                (Some(day(start)), start.checked_add_months(Months::new(1)).map(day))
            }
        };
        let (Some(start), Some(end)) = (start, end) else { return Err(wrong("a date people live in")) };
        let range = Range { start: start.and_utc(), end: end.and_utc() };
        // The parser of dates also takes blanks and signs for digits; one partition must have one key.
        if self.key_at(range.start).as_deref() != Some(key) {
            return Err(wrong(self.example()));
        }
        Ok(Some(range))
    }

    /// The keys from `first` to `last`, both included, oldest first.
    ///
    /// # Errors
    /// A key that is none, a first key after the last, more than [`BETWEEN_MAX`] keys, or a kind without time.
    pub fn between(&self, first: &str, last: &str) -> Result<Vec<String>, String> {
        let no_range = || "only partitions of hours, days and months have ranges".to_owned();
        let from = self.range(first)?.ok_or_else(no_range)?;
        let to = self.range(last)?.ok_or_else(no_range)?;
        if from.start > to.start {
            return Err(format!("`{first}` is after `{last}`; write the older one first"));
        }
        let mut keys = Vec::new();
        let mut at = from.start;
        while at <= to.start {
            if keys.len() == BETWEEN_MAX {
                return Err(format!("there are more than {BETWEEN_MAX} partitions from `{first}` to `{last}`"));
            }
            let key = self.key_at(at).ok_or_else(no_range)?;
            at = self.range(&key)?.ok_or_else(no_range)?.end;
            keys.push(key);
        }
        Ok(keys)
    }

    /// The key of the partition just before this one; `None` for kinds without time and for what is no key.
    pub fn previous(&self, key: &str) -> Option<String> {
        let start = self.range(key).ok()??.start;
        let before = self.key_at(start.checked_sub_signed(TimeDelta::seconds(1))?)?;
        // Before year 0 there are moments, but no keys.
        self.range(&before).is_ok().then_some(before)
    }

    /// The key of the partition that holds this moment; `None` for keys, which only people know.
    fn key_at(&self, at: DateTime<Utc>) -> Option<String> {
        match self.kind {
            PartitionKind::None => Some("all".to_owned()),
            PartitionKind::Hour => Some(at.format("%Y-%m-%dT%H").to_string()),
            PartitionKind::Day => Some(at.format("%Y-%m-%d").to_string()),
            PartitionKind::Month => Some(at.format("%Y-%m").to_string()),
            PartitionKind::Key => None,
        }
    }

    /// The newest partition that is complete at `now`, counting the lag; `None` for keys, which only people know.
    pub fn newest(&self, now: DateTime<Utc>) -> Option<String> {
        self.key_at(now.checked_sub_signed(TimeDelta::from_std(self.lag.0).ok()?)?)
    }

    /// True when a run is about a stretch of time.
    pub(crate) fn has_time(&self) -> bool {
        matches!(self.kind, PartitionKind::Hour | PartitionKind::Day | PartitionKind::Month)
    }

    /// A key of the right shape, to try a definition with.
    pub(crate) fn example(&self) -> &'static str {
        match self.kind {
            PartitionKind::None => "all",
            PartitionKind::Hour => "2026-11-20T07",
            PartitionKind::Day => "2026-11-20",
            PartitionKind::Month => "2026-11",
            PartitionKind::Key => "example",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Span;

    fn of(kind: PartitionKind) -> Partition {
        Partition { kind, ..Partition::default() }
    }

    #[track_caller]
    fn check(kind: PartitionKind, key: &str, want: &str) {
        let range = of(kind).range(key).unwrap().unwrap();
        assert_eq!(format!("{} {}", range.start.to_rfc3339(), range.end.to_rfc3339()), want);
    }

    #[test]
    fn partitions_end_where_the_next_one_begins() {
        check(PartitionKind::Day, "2024-02-29", "2024-02-29T00:00:00+00:00 2024-03-01T00:00:00+00:00");
        check(PartitionKind::Month, "2026-12", "2026-12-01T00:00:00+00:00 2027-01-01T00:00:00+00:00");
        check(PartitionKind::Hour, "2026-11-20T23", "2026-11-20T23:00:00+00:00 2026-11-21T00:00:00+00:00");
    }

    #[test]
    fn keys_of_the_wrong_shape_are_refused() {
        for key in ["2026-11-31", "2026-1-1", "20261120", "2026-11-20T07", "", "../../etc", "2026-11- 1", "+026-11-01"]
        {
            assert!(of(PartitionKind::Day).range(key).is_err(), "{key}");
        }
        assert!(of(PartitionKind::Key).range("../../etc").is_err());
        assert!(of(PartitionKind::None).range("2026-11-20").is_err());
    }

    #[test]
    fn the_lag_says_which_day_is_complete() {
        let now = "2026-11-21T00:20:00Z".parse().unwrap();
        let lagging = Partition { lag: Span::parse("1d").unwrap(), ..of(PartitionKind::Day) };
        assert_eq!(lagging.newest(now).as_deref(), Some("2026-11-20"));
        assert_eq!(of(PartitionKind::Month).newest(now).as_deref(), Some("2026-11"));
        assert_eq!(of(PartitionKind::Key).newest(now), None);
    }

    #[test]
    fn ranges_are_told_by_the_calendar() {
        let day = of(PartitionKind::Day);
        let leap = day.between("2024-02-28", "2024-03-01").unwrap();
        assert_eq!(leap, ["2024-02-28", "2024-02-29", "2024-03-01"]);
        let year = of(PartitionKind::Month).between("2025-12", "2026-02").unwrap();
        assert_eq!(year, ["2025-12", "2026-01", "2026-02"]);
        let hours = of(PartitionKind::Hour).between("2026-11-20T23", "2026-11-21T00").unwrap();
        assert_eq!(hours, ["2026-11-20T23", "2026-11-21T00"]);
        assert_eq!(day.between("2026-11-20", "2026-11-20").unwrap(), ["2026-11-20"]);
        assert!(day.between("2026-11-21", "2026-11-20").unwrap_err().contains("write the older one first"));
        assert!(of(PartitionKind::None).between("all", "all").unwrap_err().contains("hours, days and months"));
        // 2000-01-01T00 and 99 999 hours later, by `date -u -d '2000-01-01 + 99999 hours'`.
        let most = of(PartitionKind::Hour).between("2000-01-01T00", "2011-05-29T15").unwrap();
        assert_eq!(most.len(), BETWEEN_MAX);
        assert!(of(PartitionKind::Hour).between("2000-01-01T00", "2011-05-29T16").is_err());
        assert_eq!(day.previous("2024-03-01").as_deref(), Some("2024-02-29"));
        assert_eq!(of(PartitionKind::Hour).previous("2026-01-01T00").as_deref(), Some("2025-12-31T23"));
        assert_eq!(day.previous("0000-01-01"), None);
        assert_eq!(of(PartitionKind::Key).previous("x"), None);
    }
}
