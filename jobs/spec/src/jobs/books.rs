//! Jobs about what was decided and what it cost: replays, the ledger, the report.

use super::moment::day;
use super::{JobSpec, key};
use crate::plan::Queue;
use serde::{Deserialize, Serialize};

/// Replays every run with records of the day and compares every hash of its effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyJournals {
    /// UTC day, `2026-11-20`.
    #[serde(deserialize_with = "day")]
    pub day: String,
}

/// Books the orders and fills that the journals prove into the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectLedger {
    /// UTC day, `2026-11-20`.
    #[serde(deserialize_with = "day")]
    pub day: String,
}

/// Proves the ledger as it stands: it agrees with itself, and its tables are those the journals prove. Writes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckLedger {
    /// UTC day, `2026-11-20`.
    #[serde(deserialize_with = "day")]
    pub day: String,
}

/// Writes the day's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportDaily {
    /// UTC day, `2026-11-20`.
    #[serde(deserialize_with = "day")]
    pub day: String,
}

impl JobSpec for VerifyJournals {
    const NAME: &'static str = "verify-journals";
    const ATTEMPTS_MAX: u32 = 3;
    const QUEUE: Queue = Queue::Cpu;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.day, None, &[])
    }
}

impl JobSpec for ProjectLedger {
    const NAME: &'static str = "project-ledger";
    const ATTEMPTS_MAX: u32 = 5;
    const QUEUE: Queue = Queue::Io;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.day, None, &[])
    }
}

impl JobSpec for CheckLedger {
    const NAME: &'static str = "check-ledger";
    const ATTEMPTS_MAX: u32 = 3;
    const QUEUE: Queue = Queue::Cpu;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.day, None, &[])
    }
}

impl JobSpec for ReportDaily {
    const NAME: &'static str = "report-daily";
    const ATTEMPTS_MAX: u32 = 5;
    const QUEUE: Queue = Queue::Report;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.day, None, &[])
    }
}
