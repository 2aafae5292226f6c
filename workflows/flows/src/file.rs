//! The workflow file as written: its types and its parser. Every key is known or refused by name and place.

use crate::problem::{Collector, Problems, meant};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use spec::plan::Backoff;
use spec::{Queue, When};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
    #[serde(default)]
    pub params: toml::Table,
    /// What steps have unless they say otherwise.
    #[serde(default)]
    pub defaults: Defaults,
    /// The steps.
    #[serde(default)]
    pub step: Vec<Step>,
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
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub start: Option<toml::value::Datetime>,
    /// Slots begin up to this much later.
    pub jitter: Option<Span>,
}

fn as_text<S: Serializer>(date: &Option<toml::value::Datetime>, to: S) -> Result<S::Ok, S::Error> {
    date.as_ref().map(ToString::to_string).serialize(to)
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
    /// One instance per item of this list parameter: `params.venues`.
    pub for_each: Option<Spanned<String>>,
    /// The job's input; strings may hold templates.
    #[serde(default)]
    pub with: toml::Table,
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
}

/// A length of time, written `500ms`, `20s`, `15m`, `2h`, `14d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// The length in the text.
    pub fn parse(text: &str) -> Option<Span> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(digits);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(Span(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)))
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

/// Parses a file; `name` is used in messages only.
///
/// # Errors
/// Every unknown key with its place and the nearest known one, else the first value of the wrong type.
pub fn parse(name: &str, text: &str) -> Result<File, Problems> {
    let mut problems = Collector::new(name, text);
    match DeTable::parse(text) {
        Ok(root) => {
            check_keys(root.get_ref(), &ROOT, &mut problems);
            problems.finish()?;
        }
        Err(error) => {
            problems.add(error.span().unwrap_or(0..0), error.message());
            problems.finish()?;
        }
    }
    toml::from_str(text).map_err(|error| {
        let mut problems = Collector::new(name, text);
        problems.add(error.span().unwrap_or(0..0), error.message());
        problems.finish().err().unwrap_or(Problems(Vec::new()))
    })
}

/// The keys a table may have, and what its tables may have in turn. No entry below a key: anything goes.
struct Keys {
    table: &'static str,
    known: &'static [&'static str],
    below: &'static [(&'static str, &'static Keys)],
}

static RETRY: Keys = Keys { table: "retry", known: &["max", "backoff", "base", "cap", "jitter"], below: &[] };
static DEFAULTS: Keys =
    Keys { table: "[defaults]", known: &["timeout", "grace", "retry", "queue"], below: &[("retry", &RETRY)] };
static SCHEDULE: Keys = Keys {
    table: "[schedule]",
    known: &["cron", "timezone", "catchup", "catchup_window", "overlap", "start", "jitter"],
    below: &[],
};
static PARTITION: Keys = Keys { table: "[partition]", known: &["kind", "lag"], below: &[] };
static STEP: Keys = Keys {
    table: "[[step]]",
    known: &["name", "job", "needs", "for_each", "with", "when", "queue", "timeout", "grace", "retry"],
    below: &[("retry", &RETRY)],
};
static ROOT: Keys = Keys {
    table: "a workflow file",
    known: &["schema", "name", "description", "owner", "schedule", "partition", "params", "defaults", "step"],
    below: &[("schedule", &SCHEDULE), ("partition", &PARTITION), ("defaults", &DEFAULTS), ("step", &STEP)],
};

fn check_keys(table: &DeTable<'_>, keys: &Keys, problems: &mut Collector<'_>) {
    for (key, value) in table.iter() {
        let name = key.get_ref().as_ref();
        if !keys.known.contains(&name) {
            let hint = meant(name, keys.known.iter().copied());
            problems.add(key.span(), format!("{} has no key `{name}`{hint}", keys.table));
        } else if let Some((_, below)) = keys.below.iter().find(|(at, _)| *at == name) {
            match value.get_ref() {
                DeValue::Table(inner) => check_keys(inner, below, problems),
                DeValue::Array(items) => {
                    for inner in items.iter().filter_map(|item| item.get_ref().as_table()) {
                        check_keys(inner, below, problems);
                    }
                }
                _ => {}
            }
        }
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
    }

    #[test]
    fn unknown_keys_are_all_told_with_place_and_nearest_name() {
        let text =
            "schema = 1\nname = \"x\"\nonwer = \"me\"\n\n[[step]]\nname = \"a\"\njob = \"j\"\n  retry = { maxx = 3 }\n";
        let problems = parse("x.toml", text).unwrap_err();
        let told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "x.toml:3:1: a workflow file has no key `onwer`; did you mean `owner`?",
                "x.toml:8:13: retry has no key `maxx`; did you mean `max`?",
            ]
        );
    }

    #[test]
    fn wrong_types_and_broken_syntax_are_told_with_their_place() {
        let told = |text: &str| parse("x.toml", text).unwrap_err().to_string();
        assert!(told("schema = 1\nname = 7\n").starts_with("x.toml:2:8: "), "{}", told("schema = 1\nname = 7\n"));
        assert!(told("schema = 1\nname = \n").starts_with("x.toml:2:"), "{}", told("schema = 1\nname = \n"));
        let slow = told("schema = 1\nname = \"x\"\n[defaults]\ntimeout = \"soon\"\n");
        assert!(slow.starts_with("x.toml:4:11: `soon` is not a length of time"), "{slow}");
    }
}
