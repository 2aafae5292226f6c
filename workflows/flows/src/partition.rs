//! Partitions: which part of the data a run is about.

use crate::file::{Partition, PartitionKind};
use chrono::{DateTime, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Utc};

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
        match (start, end) {
            (Some(start), Some(end)) => Ok(Some(Range { start: start.and_utc(), end: end.and_utc() })),
            _ => Err(wrong("a date people live in")),
        }
    }

    /// The newest partition that is complete at `now`, counting the lag; `None` for keys, which only people know.
    pub fn newest(&self, now: DateTime<Utc>) -> Option<String> {
        let at = now.checked_sub_signed(TimeDelta::from_std(self.lag.0).ok()?)?;
        match self.kind {
            PartitionKind::None => Some("all".to_owned()),
            PartitionKind::Hour => Some(at.format("%Y-%m-%dT%H").to_string()),
            PartitionKind::Day => Some(at.format("%Y-%m-%d").to_string()),
            PartitionKind::Month => Some(at.format("%Y-%m").to_string()),
            PartitionKind::Key => None,
        }
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
        Partition { kind, lag: Span::default() }
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
        for key in ["2026-11-31", "2026-1-1", "20261120", "2026-11-20T07", "", "../../etc"] {
            assert!(of(PartitionKind::Day).range(key).is_err(), "{key}");
        }
        assert!(of(PartitionKind::Key).range("../../etc").is_err());
        assert!(of(PartitionKind::None).range("2026-11-20").is_err());
    }

    #[test]
    fn the_lag_says_which_day_is_complete() {
        let now = "2026-11-21T00:20:00Z".parse().unwrap();
        let lagging = Partition { kind: PartitionKind::Day, lag: Span::parse("1d").unwrap() };
        assert_eq!(lagging.newest(now).as_deref(), Some("2026-11-20"));
        assert_eq!(of(PartitionKind::Month).newest(now).as_deref(), Some("2026-11"));
        assert_eq!(of(PartitionKind::Key).newest(now), None);
    }
}
