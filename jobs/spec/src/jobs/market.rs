//! Jobs about markets: journals into the lake, judged, and features on top.

use super::moment::{day, hour};
use super::{JobSpec, key};
use crate::plan::Queue;
use serde::{Deserialize, Serialize};

/// Reads every journal with records of the day into the lake, one dataset per kind of record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestJournal {
    /// UTC day, `2026-11-20`.
    #[serde(deserialize_with = "day")]
    pub day: String,
    /// Only this venue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<String>,
    /// Only these symbols; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<String>,
}

/// Brings the day that holds an hour into the lake as it was at the hour's end. What was received later is left out, so the
/// result depends on nothing that comes later, and a version of the whole day or of a later hour is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestHour {
    /// UTC hour, `2026-11-20T07`.
    #[serde(deserialize_with = "hour")]
    pub hour: String,
    /// Only this venue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<String>,
    /// Only these symbols; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<String>,
}

/// Checks the day's lake partitions: order, gaps, duplicates, crossed books, clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidateDay {
    /// UTC day, `2026-11-20`.
    #[serde(deserialize_with = "day")]
    pub day: String,
    /// Only this venue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<String>,
    /// Only these symbols; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<String>,
}

/// Folds the engine's own operators over the day and writes its bars and features.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildFeatures {
    /// UTC day, `2026-11-20`.
    #[serde(deserialize_with = "day")]
    pub day: String,
    /// Only this venue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue: Option<String>,
    /// Only these symbols; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<String>,
}

impl JobSpec for IngestJournal {
    const NAME: &'static str = "ingest-journal";
    const ATTEMPTS_MAX: u32 = 4;
    const QUEUE: Queue = Queue::Cpu;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.day, self.venue.as_deref(), &self.symbols)
    }
}

impl JobSpec for IngestHour {
    const NAME: &'static str = "ingest-hour";
    const ATTEMPTS_MAX: u32 = 4;
    const QUEUE: Queue = Queue::Cpu;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.hour, self.venue.as_deref(), &self.symbols)
    }
}

impl JobSpec for ValidateDay {
    const NAME: &'static str = "validate-day";
    const ATTEMPTS_MAX: u32 = 3;
    const QUEUE: Queue = Queue::Io;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.day, self.venue.as_deref(), &self.symbols)
    }
}

impl JobSpec for BuildFeatures {
    const NAME: &'static str = "build-features";
    const ATTEMPTS_MAX: u32 = 3;
    const QUEUE: Queue = Queue::Cpu;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.day, self.venue.as_deref(), &self.symbols)
    }
}
