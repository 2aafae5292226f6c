//! The workflow file as written: its types. Written out again they are its machine form, from which comes its hash: a
//! key that was added to the format later is left out there when it is not set, so that older files keep their hash.

use chrono::NaiveTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use spec::plan::Backoff;
use spec::{Queue, When};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// Where the keys of a table stand, in bytes.
pub(crate) type Places = BTreeMap<String, Range<usize>>;

/// A workflow file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct File {
    /// Version of this format: 1.
    pub schema: Spanned<i64>,
    /// Workflow name.
    pub name: Spanned<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Who looks after it.
    #[serde(default)]
    pub owner: String,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
    /// What one run is about.
    #[serde(default)]
    pub partition: Partition,
    /// Parameters with their defaults.
    #[serde(default, serialize_with = "plain")]
    pub params: toml::Table,
    /// What steps have unless they say otherwise.
    #[serde(default)]
    pub defaults: Defaults,
    /// The steps.
    #[serde(default)]
    pub step: Vec<Step>,
    /// Whom a failed run is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Where the values of the tables' keys stand, by `table.key`.
    #[serde(skip)]
    pub(crate) places: Places,
}

impl File {
    /// Where the value of this key of a table stands.
    pub(crate) fn place(&self, key: &str) -> Range<usize> {
        self.places.get(key).cloned().unwrap_or_else(|| self.name.span())
    }
}

/// Whom a failed run is told.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OnFailure {
    /// The channels: `webhook`, `file`, `stdout`.
    pub alert: Vec<Spanned<String>>,
}

/// When a workflow runs by itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Schedule {
    /// Five fields, as in crontab.
    pub cron: Spanned<String>,
    /// IANA name of the time zone whose rules count.
    #[serde(default = "utc")]
    pub timezone: Spanned<String>,
    /// What to do about slots that were missed.
    #[serde(default)]
    pub catchup: Catchup,
    /// How far back missed slots are made up.
    pub catchup_window: Option<Span>,
    /// What to do when a slot comes and the last run is not over.
    #[serde(default)]
    pub overlap: Overlap,
    /// No slot before this day.
    #[serde(default, deserialize_with = "date", serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub start: Option<toml::value::Datetime>,
    /// Slots begin up to this much later.
    pub jitter: Option<Span>,
}

fn as_text<S: Serializer>(date: &Option<toml::value::Datetime>, to: S) -> Result<S::Ok, S::Error> {
    date.as_ref().map(ToString::to_string).serialize(to)
}

/// A date of TOML, or its text, which is what the machine form has.
fn date<'de, D: Deserializer<'de>>(from: D) -> Result<Option<toml::value::Datetime>, D::Error> {
    match toml::Value::deserialize(from)? {
        toml::Value::Datetime(date) => Ok(Some(date)),
        toml::Value::String(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
        _ => Err(serde::de::Error::custom("this is not a day")),
    }
}

/// The table as JSON, without what only TOML has.
fn plain<S: Serializer>(table: &toml::Table, to: S) -> Result<S::Ok, S::Error> {
    to_json(table).serialize(to)
}

/// The table as JSON; a date becomes its text.
pub(crate) fn to_json(table: &toml::Table) -> Map<String, Value> {
    fn value(from: &toml::Value) -> Value {
        match from {
            toml::Value::String(text) => Value::from(text.as_str()),
            toml::Value::Integer(number) => Value::from(*number),
            toml::Value::Float(number) => Value::from(*number),
            toml::Value::Boolean(truth) => Value::from(*truth),
            toml::Value::Datetime(date) => Value::from(date.to_string()),
            toml::Value::Array(items) => items.iter().map(value).collect(),
            toml::Value::Table(table) => Value::Object(to_json(table)),
        }
    }
    table.iter().map(|(key, v)| (key.clone(), value(v))).collect()
}

fn utc() -> Spanned<String> {
    Spanned::new(0..0, "UTC".to_owned())
}

/// What to do about slots that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Catchup {
    /// Nothing.
    None,
    /// Run the newest.
    #[default]
    Latest,
    /// Run them all, oldest first.
    All,
}

/// What to do when a slot comes and the last run is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Let the slot go.
    #[default]
    Skip,
    /// Remember one.
    BufferOne,
    /// Remember all.
    BufferAll,
    /// Run both.
    Allow,
    /// Cancel the other.
    CancelOther,
}

/// What one run is about.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Partition {
    /// Its kind.
    #[serde(default)]
    pub kind: PartitionKind,
    /// How far behind the clock the newest complete partition is.
    #[serde(default)]
    pub lag: Span,
    /// A run waits until the partition before it is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub depends_on_past: bool,
}

/// The kinds of partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionKind {
    /// The whole; its key is `all`.
    #[default]
    None,
    /// `2026-11-20T07`, UTC.
    Hour,
    /// `2026-11-20`, UTC.
    Day,
    /// `2026-11`, UTC.
    Month,
    /// Any word of letters, digits, `.`, `_`, `-`.
    Key,
}

/// What steps have unless they say otherwise.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Defaults {
    /// Longest time of one attempt.
    pub timeout: Option<Span>,
    /// Time to stop by itself.
    pub grace: Option<Span>,
    /// Retry rules.
    pub retry: Option<RetryRules>,
    /// Queue; without one each job kind has its own.
    pub queue: Option<Queue>,
}

/// Retry rules; what is not said comes from the defaults.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct RetryRules {
    /// Attempts in all.
    pub max: Option<u32>,
    /// How the wait grows.
    pub backoff: Option<Backoff>,
    /// First wait.
    pub base: Option<Span>,
    /// Longest wait.
    pub cap: Option<Span>,
    /// Draw the wait between zero and its full length.
    pub jitter: Option<bool>,
}

/// A step as written.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Step {
    /// Name.
    pub name: Spanned<String>,
    /// Job kind.
    pub job: Spanned<String>,
    /// The steps it needs.
    #[serde(default)]
    pub needs: Vec<Spanned<String>>,
    /// A quorum of its needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Require>,
    /// One instance per item of this list parameter: `params.venues`.
    pub for_each: Option<Spanned<String>>,
    /// The job's input; strings may hold templates.
    #[serde(default, serialize_with = "plain")]
    pub with: toml::Table,
    #[serde(skip)]
    pub(crate) with_places: Places,
    /// Which outcomes of its needs let it run.
    pub when: Option<When>,
    /// Queue.
    pub queue: Option<Queue>,
    /// Longest time of one attempt.
    pub timeout: Option<Span>,
    /// Time to stop by itself.
    pub grace: Option<Span>,
    /// Retry rules.
    pub retry: Option<RetryRules>,
    /// A limit it shares with every step that names the same key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Assets it reads; may hold templates and `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Spanned<String>>,
    /// Assets it makes; may hold templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Spanned<String>>,
    /// Late after this time of day, in the schedule's zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Spanned<TimeOfDay>>,
}

/// A quorum.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Require {
    /// This many of the needs done are enough.
    pub min_ok: Spanned<u32>,
}

/// A shared limit as written.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Concurrency {
    /// What is shared; may hold templates.
    pub key: Spanned<String>,
    /// How many may use it at once.
    pub max: u32,
}

/// A length of time, written `500ms`, `20s`, `15m`, `2h`, `14d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// The units and their lengths in milliseconds, shortest first.
    pub(crate) const UNITS: [(&'static str, u64); 5] =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

    /// The length in the text.
    pub fn parse(text: &str) -> Option<Span> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(digits);
        let (_, unit_ms) = Span::UNITS.into_iter().find(|(name, _)| *name == unit)?;
        Some(Span(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)))
    }
}

/// In the longest unit that fits it whole.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let fitting =
            Span::UNITS.into_iter().rev().find(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(u128::from(*unit_ms)));
        let (unit, unit_ms) = fitting.unwrap_or(("s", 1_000));
        write!(f, "{}{unit}", ms / u128::from(unit_ms))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        let text = String::deserialize(from)?;
        Span::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a length of time; write 500ms, 20s, 15m, 2h or 14d"))
        })
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{}ms", self.0.as_millis()))
    }
}

/// A time of day, written `02:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(pub NaiveTime);

impl TimeOfDay {
    /// The time in the text: two digits, a colon, two digits.
    pub fn parse(text: &str) -> Option<TimeOfDay> {
        let time = NaiveTime::parse_from_str(text, "%H:%M").ok().map(TimeOfDay)?;
        // The parser of times also takes ` 2:00`.
        (time.to_string() == text).then_some(time)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%H:%M"))
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<TimeOfDay, D::Error> {
        let text = String::deserialize(from)?;
        TimeOfDay::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a time of day")))
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_need_a_unit() {
        assert_eq!(Span::parse("15m"), Some(Span(Duration::from_secs(900))));
        assert_eq!(Span::parse("500ms"), Some(Span(Duration::from_millis(500))));
        assert_eq!(Span::parse("14d"), Some(Span(Duration::from_secs(1_209_600))));
        for wrong in ["15", "m", "", "1w", "1.5h", "-2s", "99999999999999999999s", "1 m"] {
            assert_eq!(Span::parse(wrong), None, "{wrong}");
        }
        for (written, short) in [("60s", "1m"), ("90s", "90s"), ("24h", "1d"), ("1500ms", "1500ms"), ("0ms", "0s")] {
            assert_eq!(Span::parse(written).unwrap().to_string(), short);
        }
    }

    #[test]
    fn times_of_day_have_two_digits_each() {
        for good in ["00:00", "02:00", "23:59"] {
            assert_eq!(TimeOfDay::parse(good).map(|t| t.to_string()).as_deref(), Some(good));
        }
        for wrong in ["24:00", "2:00", " 2:00", "02:60", "0200", "02:00:00", "+2:00", ""] {
            assert_eq!(TimeOfDay::parse(wrong), None, "{wrong}");
        }
    }
}
