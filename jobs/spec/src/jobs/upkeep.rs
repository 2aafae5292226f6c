//! Jobs that look after the installation itself: what is old goes, what must not be lost is copied.

use super::moment::day;
use super::{JobSpec, key};
use crate::plan::Queue;
use serde::{Deserialize, Serialize};

/// Makes room: tables for the log's coming days, old days of it into the archive, old messages and tasks away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CleanUp {
    /// UTC day, `2026-11-20`.
    #[serde(deserialize_with = "day")]
    pub day: String,
    /// Days of the runs' log that stay in the database, besides the day itself.
    #[serde(default = "log_days")]
    pub log_days: u32,
    /// Days for which a message that was sent is kept.
    #[serde(default = "sent_days")]
    pub sent_days: u32,
    /// Days for which a task that ended is kept.
    #[serde(default = "task_days")]
    pub task_days: u32,
}

/// Dumps the database into the home's `backups/`, beside what was counted in the same snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupPostgres {
    /// UTC day, `2026-11-20`.
    #[serde(deserialize_with = "day")]
    pub day: String,
    /// Backups kept, the newest ones; at least 1.
    #[serde(default = "backups")]
    pub keep: u32,
}

/// Restores the day's dump into a throw-away cluster and compares it with what was counted when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckBackup {
    /// UTC day, `2026-11-20`.
    #[serde(deserialize_with = "day")]
    pub day: String,
}

const fn log_days() -> u32 {
    14
}
const fn sent_days() -> u32 {
    30
}
const fn task_days() -> u32 {
    7
}
const fn backups() -> u32 {
    7
}

impl JobSpec for CleanUp {
    const NAME: &'static str = "clean-up";
    const ATTEMPTS_MAX: u32 = 5;
    const QUEUE: Queue = Queue::Io;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.day, None, &[])
    }
}

impl JobSpec for BackupPostgres {
    const NAME: &'static str = "backup-postgres";
    const ATTEMPTS_MAX: u32 = 4;
    const QUEUE: Queue = Queue::Io;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.day, None, &[])
    }
}

impl JobSpec for CheckBackup {
    const NAME: &'static str = "check-backup";
    const ATTEMPTS_MAX: u32 = 3;
    const QUEUE: Queue = Queue::Io;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.day, None, &[])
    }
}
