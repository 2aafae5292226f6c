//! The keys of a workflow file, in one table. From it come the refusal of unknown keys and wrong types, the order of
//! keys in a formatted file, and the JSON Schema; so they cannot drift apart.

use crate::file::{Span, TimeOfDay};
use crate::problem::{Collector, meant};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table of the file.
pub(crate) struct Table {
    /// How messages name it.
    pub(crate) title: &'static str,
    /// Its keys, in the order a formatted file has them.
    pub(crate) keys: &'static [Key],
}

/// A key and what it may hold.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// One that must be there.
    pub(crate) must: bool,
    /// Its meaning, for people.
    pub(crate) doc: &'static str,
}

/// What a value may be.
pub(crate) enum Kind {
    /// The number 1.
    Version,
    /// Any text.
    Text,
    /// A word of small letters, digits and `-`.
    Name,
    /// A job kind.
    Job,
    /// Five fields, as in crontab.
    Cron,
    /// A list parameter: `params.venues`.
    ListParam,
    /// A day.
    Date,
    /// A length of time: `15m`.
    Span,
    /// A time of day: `02:00`.
    TimeOfDay,
    /// A whole number from 1.
    Count,
    /// True or false.
    Bool,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list.
    Each(&'static Kind),
    /// A table.
    Table(&'static Table),
    /// A list of tables.
    Tables(&'static Table),
    /// A table with whatever keys.
    Open,
}

impl Table {
    pub(crate) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const fn may(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, must: false, doc }
}

const fn must(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, must: true, doc }
}

/// Channels an alert can go to.
pub(crate) const CHANNELS: &[&str] = &["webhook", "file", "stdout"];
const QUEUES: Kind = Kind::OneOf(&["io", "cpu", "report", "critical"]);
const OVERLAP_DOC: &str = "A slot comes and the last run is not over: skip the slot (default), remember one, remember \
                           all, run both, cancel the other.";
const RETRY_DOC: &str = "When a failed attempt is tried again; what is not said comes from [defaults].";
const TIMEOUT_DOC: &str = "Longest time of one attempt; 15m when nobody says.";
const GRACE_DOC: &str = "Time to stop by itself after a cancel or a timeout; 20s when nobody says.";
const QUEUE_DOC: &str = "The queue it waits in; without one, the job kind's own.";

static RETRY: Table = Table {
    title: "retry",
    keys: &[
        may("max", Kind::Count, "Attempts in all, the first included; without one, the job kind's own."),
        may("backoff", Kind::OneOf(&["fixed", "exponential"]), "How the wait grows; exponential doubles."),
        may("base", Kind::Span, "First wait; 10s when nobody says."),
        may("cap", Kind::Span, "Longest wait; 10m when nobody says."),
        may("jitter", Kind::Bool, "Draw the wait between zero and its full length; true when nobody says."),
    ],
};
static DEFAULTS: Table = Table {
    title: "[defaults]",
    keys: &[
        may("timeout", Kind::Span, TIMEOUT_DOC),
        may("grace", Kind::Span, GRACE_DOC),
        may("retry", Kind::Table(&RETRY), RETRY_DOC),
        may("queue", QUEUES, QUEUE_DOC),
    ],
};
static SCHEDULE: Table = Table {
    title: "[schedule]",
    keys: &[
        must("cron", Kind::Cron, "Five fields, as in crontab: minute hour day month weekday."),
        may("timezone", Kind::Text, "IANA name of the time zone whose rules count; UTC without one."),
        may("catchup", Kind::OneOf(&["none", "latest", "all"]), "Missed slots: run none, the newest (default), all."),
        may("catchup_window", Kind::Span, "How far back missed slots are made up; without one, all the way."),
        may("overlap", Kind::OneOf(&["skip", "buffer_one", "buffer_all", "allow", "cancel_other"]), OVERLAP_DOC),
        may("start", Kind::Date, "No slot before this day."),
        may("jitter", Kind::Span, "Slots begin up to this much later."),
    ],
};
static PARTITION: Table = Table {
    title: "[partition]",
    keys: &[
        may(
            "kind",
            Kind::OneOf(&["none", "hour", "day", "month", "key"]),
            "What one run is about; times are UTC. Without one: none.",
        ),
        may("lag", Kind::Span, "How far behind the clock the newest complete partition is; none when not said."),
        may("depends_on_past", Kind::Bool, "A run waits until the partition before it is done; false when not said."),
    ],
};
static REQUIRE: Table = Table {
    title: "require",
    keys: &[must("min_ok", Kind::Count, "This many of its needs done are enough; all must have ended.")],
};
static CONCURRENCY: Table = Table {
    title: "concurrency",
    keys: &[
        must("key", Kind::Text, "What is shared, such as exchange:{item}; templates are filled in."),
        must("max", Kind::Count, "How many steps with this key run at once, whatever their workflow."),
    ],
};
static STEP: Table = Table {
    title: "[[step]]",
    keys: &[
        must("name", Kind::Name, "The step's name; unique in the file."),
        must("job", Kind::Job, "The kind of job it runs."),
        may("needs", Kind::Each(&Kind::Name), "Steps that must end first; of a fan-out, all its instances."),
        may("require", Kind::Table(&REQUIRE), "A quorum of its needs; without one, all must be done."),
        may("for_each", Kind::ListParam, "One instance of the step per item of this list parameter."),
        may("with", Kind::Open, "The job's input; texts may hold templates."),
        may("concurrency", Kind::Table(&CONCURRENCY), "A limit shared with every step that names the same key."),
        may("inputs", Kind::Each(&Kind::Text), "Assets it reads; templates are filled in, * stands for one part."),
        may("outputs", Kind::Each(&Kind::Text), "Assets it makes; templates are filled in."),
        may("queue", QUEUES, QUEUE_DOC),
        may("timeout", Kind::Span, TIMEOUT_DOC),
        may("grace", Kind::Span, GRACE_DOC),
        may("retry", Kind::Table(&RETRY), RETRY_DOC),
        may(
            "when",
            Kind::OneOf(&["success", "failure", "always"]),
            "Which outcomes of its needs let it run: all done (default), at least one not done, whatever they were.",
        ),
        may("deadline", Kind::TimeOfDay, "Late after this time of day, in the schedule's zone."),
    ],
};
static ON_FAILURE: Table = Table {
    title: "[on_failure]",
    keys: &[must("alert", Kind::Each(&Kind::OneOf(CHANNELS)), "The channels that hear of a failed run.")],
};
/// The whole file.
pub(crate) static ROOT: Table = Table {
    title: "a workflow file",
    keys: &[
        must("schema", Kind::Version, "Version of this format: 1."),
        must("name", Kind::Name, "The workflow's name, which is also the file's."),
        may("description", Kind::Text, "What it is for."),
        may("owner", Kind::Text, "Who looks after it."),
        may("schedule", Kind::Table(&SCHEDULE), "When it runs by itself; without one, only when somebody asks."),
        may("partition", Kind::Table(&PARTITION), "Which part of the data one run is about."),
        may("params", Kind::Open, "Parameters with their defaults; a value given for a run has the default's type."),
        may("defaults", Kind::Table(&DEFAULTS), "What steps have unless they say otherwise."),
        must("step", Kind::Tables(&STEP), "The steps, in any order."),
        may("on_failure", Kind::Table(&ON_FAILURE), "Whom a failed run is told; without it, every channel set up."),
    ],
};

/// Tells every key of the table that is unknown, missing or of the wrong type, at any depth.
///
/// * `at` - the table's place, for what is missing.
pub(crate) fn check(table: &DeTable<'_>, at: std::ops::Range<usize>, keys: &Table, problems: &mut Collector<'_>) {
    for (key, value) in table.iter() {
        let name = key.get_ref().as_ref();
        match keys.key(name) {
            None => {
                let hint = meant(name, keys.keys.iter().map(|k| k.name));
                problems.add(key.span(), format!("{} has no key `{name}`{hint}", keys.title));
            }
            Some(known) => known.kind.check(name, value, problems),
        }
    }
    for missing in keys.keys.iter().filter(|key| key.must && table.get(key.name).is_none()) {
        problems.add(at.clone(), format!("{} needs the key `{}`", keys.title, missing.name));
    }
}

impl Kind {
    /// Tells what is wrong with the value of `key`.
    fn check(&self, key: &str, value: &Spanned<DeValue<'_>>, problems: &mut Collector<'_>) {
        let at = value.span();
        let text = value.get_ref().as_str();
        check_zero(value, problems);
        match (self, value.get_ref()) {
            (Kind::Table(keys), DeValue::Table(table)) => check(table, at, keys, problems),
            (Kind::Tables(keys), DeValue::Array(items)) => {
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::Table(table) => check(table, item.span(), keys, problems),
                        _ => problems.add(item.span(), format!("`{key}` is a list of tables; write [[{key}]]")),
                    }
                }
            }
            (Kind::Each(kind), DeValue::Array(items)) => items.iter().for_each(|item| kind.check(key, item, problems)),
            (Kind::Open, DeValue::Table(_)) => check_plain(value, problems),
            (Kind::Count, DeValue::Integer(number)) => {
                let number = u32::from_str_radix(number.as_str(), number.radix());
                if !number.is_ok_and(|n| n >= 1) {
                    problems.add(at, format!("`{key}` is a whole number from 1"));
                }
            }
            (Kind::Bool, DeValue::Boolean(_)) | (Kind::Version, DeValue::Integer(_)) => {}
            (Kind::Date, DeValue::Datetime(day)) if day.date.is_some() => {}
            (Kind::OneOf(words), DeValue::String(word)) if !words.contains(&word.as_ref()) => {
                let hint = meant(word, words.iter().copied());
                problems.add(at, format!("`{word}` is not one of {}{hint}", words.join(", ")));
            }
            _ => match text.map(|text| self.check_text(text)) {
                Some(Ok(())) => {}
                Some(Err(what)) => problems.add(at, what),
                None => {
                    problems.add(at, format!("`{key}` is {}, not {}", self.shape(), shape(value.get_ref())));
                }
            },
        }
    }

    fn check_text(&self, text: &str) -> Result<(), String> {
        let good = match self {
            Kind::Text | Kind::Name | Kind::Job | Kind::Cron | Kind::ListParam | Kind::OneOf(_) => true,
            Kind::Date => text.parse::<toml::value::Datetime>().is_ok_and(|day| day.date.is_some()),
            Kind::Span => Span::parse(text).is_some(),
            Kind::TimeOfDay => TimeOfDay::parse(text).is_some(),
            _ => false,
        };
        if good { Ok(()) } else { Err(format!("`{text}` is not {}", self.shape())) }
    }

    fn shape(&self) -> &'static str {
        match self {
            Kind::Version => "the number 1",
            Kind::Text | Kind::Name | Kind::Job | Kind::Cron | Kind::ListParam | Kind::OneOf(_) => "a text in quotes",
            Kind::Date => "a day; write it like 2024-01-01",
            Kind::Span => "a length of time; write 500ms, 20s, 15m, 2h or 14d",
            Kind::TimeOfDay => "a time of day; write it like \"02:00\"",
            Kind::Count => "a whole number from 1",
            Kind::Bool => "true or false",
            Kind::Each(_) => "a list in [ ]",
            Kind::Table(_) | Kind::Open => "a table",
            Kind::Tables(_) => "a list of tables",
        }
    }
}

/// Tells a text that the database could not hold.
fn check_zero(value: &Spanned<DeValue<'_>>, problems: &mut Collector<'_>) {
    if value.get_ref().as_str().is_some_and(|text| text.contains('\0')) {
        problems.add(value.span(), "a text cannot hold the character 0");
    }
}

/// Tells every value that the machine form cannot hold: numbers that are none, and texts.
fn check_plain(value: &Spanned<DeValue<'_>>, problems: &mut Collector<'_>) {
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|v| check_plain(v, problems)),
        DeValue::Array(items) => items.iter().for_each(|v| check_plain(v, problems)),
        DeValue::String(_) => check_zero(value, problems),
        DeValue::Float(number) if !number.as_str().parse::<f64>().is_ok_and(f64::is_finite) => {
            problems.add(value.span(), "a number here must be finite");
        }
        _ => {}
    }
}

fn shape(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a broken number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
