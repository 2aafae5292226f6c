//! The kinds of jobs there are. A spec is what a job needs to run and nothing else: plain data that survives a restart.
//! The code that does the work lives in `data` and `ledger`; `worker` joins the two by name.

mod books;
mod market;
mod moment;
mod outside;
mod upkeep;

pub use books::{CheckLedger, ProjectLedger, ReportDaily, VerifyJournals};
pub use market::{BuildFeatures, IngestHour, IngestJournal, ValidateDay};
pub use outside::ReferencePrices;
pub use upkeep::{BackupPostgres, CheckBackup, CleanUp};

use crate::plan::Queue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

/// What a job needs to run.
pub trait JobSpec: Serialize + DeserializeOwned {
    /// The kind, `verb-noun`.
    const NAME: &'static str;
    /// Attempts in all when the workflow does not say otherwise.
    const ATTEMPTS_MAX: u32;
    /// Where it waits when the workflow does not say otherwise.
    const QUEUE: Queue;
    /// Two specs with the same key are the same work.
    fn idempotency_key(&self) -> String;
}

/// `kind|day|venue|symbols` (or an hour in place of the day), the symbols sorted: their order is not part of the work.
fn key(kind: &str, day: &str, venue: Option<&str>, symbols: &[String]) -> String {
    let mut symbols = symbols.to_vec();
    symbols.sort();
    symbols.dedup();
    format!("{kind}|{day}|{}|{}", venue.unwrap_or("*"), symbols.join("+"))
}

/// One entry of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The kind, `verb-noun`.
    pub name: &'static str,
    /// Attempts in all by default.
    pub attempts_max: u32,
    /// Queue by default.
    pub queue: Queue,
    key: fn(&Value) -> Result<String, serde_json::Error>,
}

impl Kind {
    const fn of<J: JobSpec>() -> Kind {
        Kind {
            name: J::NAME,
            attempts_max: J::ATTEMPTS_MAX,
            queue: J::QUEUE,
            key: |input| J::deserialize(input).map(|spec| spec.idempotency_key()),
        }
    }

    /// Checks the input of a job of this kind.
    ///
    /// Returns its idempotency key.
    ///
    /// # Errors
    /// [`SpecError::Input`] when a field is missing, unknown or of the wrong type, or a day is none.
    pub fn check(&self, input: &Value) -> Result<String, SpecError> {
        (self.key)(input).map_err(|e| SpecError::Input { kind: self.name, what: e.to_string() })
    }
}

/// Every kind there is.
pub const KINDS: [Kind; 12] = [
    Kind::of::<IngestJournal>(),
    Kind::of::<IngestHour>(),
    Kind::of::<ValidateDay>(),
    Kind::of::<BuildFeatures>(),
    Kind::of::<ProjectLedger>(),
    Kind::of::<ReportDaily>(),
    Kind::of::<VerifyJournals>(),
    Kind::of::<CheckLedger>(),
    Kind::of::<CleanUp>(),
    Kind::of::<BackupPostgres>(),
    Kind::of::<CheckBackup>(),
    Kind::of::<ReferencePrices>(),
];

/// The names of all kinds.
pub fn names() -> Vec<&'static str> {
    KINDS.iter().map(|k| k.name).collect()
}

/// A job that cannot be: its kind or its input is wrong.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SpecError {
    /// No such kind.
    #[error("there is no job kind `{kind}`; known kinds: {}", names().join(", "))]
    Unknown {
        /// As asked.
        kind: String,
    },
    /// The input does not fit the kind.
    #[error("the input of job `{kind}` is wrong: {what}")]
    Input {
        /// The kind.
        kind: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

/// The kind of that name.
///
/// # Errors
/// [`SpecError::Unknown`] with the list of those there are.
pub fn kind(name: &str) -> Result<&'static Kind, SpecError> {
    KINDS.iter().find(|k| k.name == name).ok_or_else(|| SpecError::Unknown { kind: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_symbols_does_not_make_other_work() {
        let features = kind("build-features").unwrap();
        let one = features.check(&json!({"day": "2026-11-20", "symbols": ["ETHUSDT", "BTCUSDT"]})).unwrap();
        let two = features.check(&json!({"day": "2026-11-20", "symbols": ["BTCUSDT", "ETHUSDT"]})).unwrap();
        let other = features.check(&json!({"day": "2026-11-21", "symbols": ["BTCUSDT", "ETHUSDT"]})).unwrap();
        assert_eq!(one, two);
        assert_ne!(one, other);
    }

    #[test]
    fn unknown_fields_and_kinds_are_refused_by_name() {
        let wrong = kind("report-daily").unwrap().check(&json!({"day": "2026-11-20", "dya": 1})).unwrap_err();
        assert!(wrong.to_string().contains("dya"), "{wrong}");
        let unknown = kind("report-dialy").unwrap_err();
        assert!(unknown.to_string().contains("report-daily"), "{unknown}");
    }

    #[test]
    fn a_day_is_a_date_of_the_calendar_in_every_kind_of_job() {
        let of_hours = [IngestHour::NAME, ReferencePrices::NAME];
        for kind in KINDS.iter().filter(|kind| !of_hours.contains(&kind.name)) {
            for good in ["2026-11-20", "2024-02-29", "2000-02-29", "1999-12-31"] {
                assert!(kind.check(&json!({"day": good})).is_ok(), "{} {good}", kind.name);
            }
            for bad in [
                "x",
                "",
                "2026-11-31",
                "2026-02-29",
                "1900-02-29",
                "2026-13-01",
                "2026-00-10",
                "2026-1-20",
                "2026-11-00",
                "20261120",
                "2026-11-20T07",
                " 2026-11-20",
                "+026-11-20",
            ] {
                let error = kind.check(&json!({"day": bad})).unwrap_err().to_string();
                assert!(error.contains(&format!("`{bad}` is not a day; write it like 2026-11-20")), "{error}");
            }
        }
    }

    #[test]
    fn an_hour_is_a_day_and_two_digits() {
        let hour = kind("ingest-hour").unwrap();
        assert_eq!(hour.check(&json!({"hour": "2026-11-20T23"})).unwrap(), "ingest-hour|2026-11-20T23|*|");
        for bad in ["2026-11-20", "2026-11-31T01", "2026-11-20T24", "2026-11-20T7", "2026-11-20T07:00", "T07", ""] {
            let error = hour.check(&json!({"hour": bad})).unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}` is not an hour; write it like 2026-11-20T07")), "{error}");
            assert!(kind("reference-prices").unwrap().check(&json!({"hour": bad, "coins": []})).is_err(), "{bad}");
        }
    }

    #[test]
    fn kinds_are_named_once() {
        let mut all = names();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), KINDS.len());
    }
}
