//! Names: a UTC day, a partition, its folder and its asset name.

use crate::LakeError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Nanoseconds of a UTC day.
pub const DAY_NS: i64 = 86_400_000_000_000;

/// A calendar day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(jiff::civil::Date);

impl Day {
    /// The day that holds `ts_ns`, ns since 1970 UTC.
    pub fn of_ns(ts_ns: i64) -> Day {
        let days = ts_ns.div_euclid(DAY_NS);
        // An i64 of nanoseconds spans the years 1677 to 2262, well inside the calendar.
        Day(jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(days)))
    }

    /// First nanosecond of the day, ns since 1970 UTC.
    pub fn start_ns(self) -> i64 {
        let since = self.0.duration_since(jiff::civil::date(1970, 1, 1));
        since.as_secs().saturating_mul(1_000_000_000)
    }

    /// First nanosecond after the day.
    pub fn end_ns(self) -> i64 {
        self.start_ns().saturating_add(DAY_NS)
    }

    /// True when `ts_ns` lies in the day.
    pub fn contains(self, ts_ns: i64) -> bool {
        (self.start_ns()..self.end_ns()).contains(&ts_ns)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Day {
    type Err = LakeError;
    fn from_str(text: &str) -> Result<Day, LakeError> {
        let refuse = |why| LakeError::Name { of: "day", text: text.to_owned(), why };
        let day = Day(text.parse().map_err(|_| refuse("it must be YYYY-MM-DD"))?);
        if day.to_string() == text { Ok(day) } else { Err(refuse("it must be YYYY-MM-DD")) }
    }
}

impl Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One dataset of one instrument on one day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    dataset: String,
    venue: String,
    instrument: String,
    day: Day,
}

impl Partition {
    /// The partition of these names.
    ///
    /// # Errors
    /// [`LakeError::Name`] when a name is empty or holds anything but `A-Z a-z 0-9 _ - .`, or starts with a point.
    pub fn new(dataset: &str, venue: &str, instrument: &str, day: Day) -> Result<Partition, LakeError> {
        Ok(Partition {
            dataset: checked("dataset", dataset)?,
            venue: checked("venue", venue)?,
            instrument: checked("instrument", instrument)?,
            day,
        })
    }

    /// Name of the dataset.
    pub fn dataset(&self) -> &str {
        &self.dataset
    }
    /// Name of the venue.
    pub fn venue(&self) -> &str {
        &self.venue
    }
    /// The venue's symbol.
    pub fn instrument(&self) -> &str {
        &self.instrument
    }
    /// The day.
    pub fn day(&self) -> Day {
        self.day
    }

    /// The same instrument and day in another dataset.
    ///
    /// # Errors
    /// As [`Partition::new`].
    pub fn of_dataset(&self, dataset: &str) -> Result<Partition, LakeError> {
        Partition::new(dataset, &self.venue, &self.instrument, self.day)
    }

    /// Its folder, as a key of the store.
    pub fn folder(&self) -> String {
        format!("dataset={}/venue={}/instrument={}/day={}", self.dataset, self.venue, self.instrument, self.day)
    }

    /// Its name as an asset of the control plane: `trades/binance/BTCUSDT/2024-08-08`.
    pub fn asset(&self) -> String {
        format!("{}/{}/{}/{}", self.dataset, self.venue, self.instrument, self.day)
    }

    /// Reads an asset name back.
    ///
    /// # Errors
    /// [`LakeError::Name`] when it does not have four good parts.
    pub fn of_asset(asset: &str) -> Result<Partition, LakeError> {
        let parts: Vec<&str> = asset.split('/').collect();
        let [dataset, venue, instrument, day] = parts[..] else {
            return Err(LakeError::Name {
                of: "partition",
                text: asset.to_owned(),
                why: "it must be dataset/venue/instrument/YYYY-MM-DD",
            });
        };
        Partition::new(dataset, venue, instrument, day.parse()?)
    }

    /// Reads a folder back; `None` when it is not one of ours.
    pub(crate) fn of_folder(folder: &str) -> Option<Partition> {
        let mut parts = folder.split('/');
        let mut part = |key: &str| parts.next()?.strip_prefix(key);
        let (dataset, venue) = (part("dataset=")?, part("venue=")?);
        let (instrument, day) = (part("instrument=")?, part("day=")?.parse().ok()?);
        if parts.next().is_some() {
            return None;
        }
        Partition::new(dataset, venue, instrument, day).ok()
    }
}

fn checked(of: &'static str, text: &str) -> Result<String, LakeError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if text.is_empty() || text.starts_with('.') || !text.chars().all(good) {
        return Err(LakeError::Name { of, text: text.to_owned(), why: "only A-Z a-z 0-9 _ - and . are allowed" });
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_belongs_to_its_utc_day() {
        // 1723161255 is 2024-08-08 23:54:15 UTC.
        let day = Day::of_ns(1_723_161_255_343_000_000);
        assert_eq!(day.to_string(), "2024-08-08");
        assert_eq!(day.start_ns(), 1_723_075_200_000_000_000);
        assert!(day.contains(day.start_ns()) && !day.contains(day.end_ns()));
        assert_eq!(Day::of_ns(day.end_ns()).to_string(), "2024-08-09");
        assert_eq!(Day::of_ns(-1).to_string(), "1969-12-31");
        assert_eq!(Day::of_ns(0).start_ns(), 0);
    }

    #[test]
    fn only_plain_days_are_days() {
        for bad in ["", "2024-8-8", "2024-13-01", "20240808", "2024-08-08T00:00", "yesterday"] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }

    #[test]
    fn partitions_round_trip_through_asset_and_folder() {
        let day = "2024-08-08".parse().unwrap();
        let p = Partition::new("trades", "binance", "BTCUSDT", day).unwrap();
        assert_eq!(p.asset(), "trades/binance/BTCUSDT/2024-08-08");
        assert_eq!(Partition::of_asset(&p.asset()).unwrap(), p);
        assert_eq!(Partition::of_folder(&p.folder()), Some(p));
        assert_eq!(Partition::of_folder("dataset=a/venue=b/instrument=c/day=2024-08-08/x"), None);
    }

    #[test]
    fn names_that_could_escape_the_lake_are_refused() {
        let day = "2024-08-08".parse().unwrap();
        for bad in ["", "..", "a/b", "a=b", "a b", "ü"] {
            assert!(Partition::new("trades", "binance", bad, day).is_err(), "{bad}");
        }
    }
}
