//! What a step gets when it runs and what it hands back: the contract between the worker and the crates that do the
//! work. A step never marks itself done; it returns its outcome and the control plane commits it together with the
//! step's data.

use crate::{Store, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

/// One claim of one step.
#[derive(Clone)]
pub struct StepContext {
    /// The database.
    pub store: Store,
    /// The home folder.
    pub home: settings::Home,
    /// The run.
    pub run_id: String,
    /// The step's name within the run.
    pub step: String,
    /// Attempt, counted from 1.
    pub attempt: i32,
    /// The fence of this claim.
    pub epoch: i64,
    /// The run's partition, a day for daily workflows.
    pub partition: String,
    /// The job's input; see `spec::jobs`.
    pub params: serde_json::Value,
    /// The run's log.
    pub log: StepLog,
    /// Fires when the step should stop: cancelled, timed out, lease lost.
    pub cancel: CancelToken,
}

impl StepContext {
    /// The job's input as its spec.
    ///
    /// # Errors
    /// [`StepError::Permanent`] when it does not fit: trying again would not help.
    pub fn input<J: spec::JobSpec>(&self) -> Result<J, StepError> {
        J::deserialize(&self.params)
            .map_err(|e| StepError::Permanent(format!("the input of {} is wrong: {e}", J::NAME)))
    }
}

/// One version of one partition of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct AssetVersion {
    /// Asset name, such as `trades/binance/BTCUSDT`.
    pub asset: String,
    /// Partition, such as `2026-11-20`.
    pub partition: String,
    /// SHA-256 of the content, hex: the version.
    pub sha256: String,
    /// Where it is.
    pub uri: String,
    /// Rows.
    pub rows: i64,
    /// Bytes.
    pub bytes: i64,
    /// Smallest time in it, ns since 1970 UTC.
    pub min_ts_ns: Option<i64>,
    /// Largest time in it, ns since 1970 UTC.
    pub max_ts_ns: Option<i64>,
    /// Hash of its schema, hex.
    pub schema_hash: String,
}

/// What a step that succeeded hands back.
#[derive(Default)]
pub struct StepOutcome {
    /// What it read: asset and version.
    pub inputs: Vec<(String, String)>,
    /// What it made.
    pub outputs: Vec<AssetVersion>,
    /// A few numbers for people.
    pub summary: serde_json::Value,
    /// Its writes to the database, applied in order in the transaction that marks the step done.
    pub writes: Vec<Box<dyn TxWrite>>,
}

/// A write that belongs to a step's result.
#[async_trait]
pub trait TxWrite: Send {
    /// Writes inside the caller's transaction. It is called at most once, and rolled back when the step's lease is lost.
    ///
    /// # Errors
    /// Any error fails the attempt and leaves nothing behind.
    async fn apply(self: Box<Self>, tx: &mut PgConnection) -> Result<(), StoreError>;
}

/// Why a step did not succeed; the class decides whether it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StepError {
    /// May pass by itself: tried again with backoff.
    #[error("{0}")]
    Transient(String),
    /// The other side asked for patience: tried again no sooner than it said.
    #[error("rate limited; asked to wait {} s", retry_after.as_secs_f64())]
    RateLimited {
        /// What the other side asked for.
        retry_after: Duration,
    },
    /// Trying again cannot help.
    #[error("{0}")]
    Permanent(String),
    /// It was asked to stop and did.
    #[error("cancelled")]
    Cancelled,
}

impl StepError {
    /// The name of the class, as kept in the database.
    pub fn kind(&self) -> &'static str {
        match self {
            StepError::Transient(_) => "transient",
            StepError::RateLimited { .. } => "rate_limited",
            StepError::Permanent(_) => "permanent",
            StepError::Cancelled => "cancelled",
        }
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> StepError {
        let text = crate::error::chain(&error);
        if error.is_transient() { StepError::Transient(text) } else { StepError::Permanent(text) }
    }
}

/// Tells a step to stop. Cheap to clone; ask it often.
#[derive(Clone, Debug)]
pub struct CancelToken {
    fired: Arc<watch::Sender<bool>>,
}

impl Default for CancelToken {
    fn default() -> CancelToken {
        CancelToken { fired: Arc::new(watch::Sender::new(false)) }
    }
}

impl CancelToken {
    /// Fires it; firing twice changes nothing.
    pub fn cancel(&self) {
        self.fired.send_replace(true);
    }
    /// True once fired.
    pub fn is_cancelled(&self) -> bool {
        *self.fired.borrow()
    }
    /// `Err(Cancelled)` once fired, for `?` in loops.
    ///
    /// # Errors
    /// [`StepError::Cancelled`] once fired.
    pub fn check(&self) -> Result<(), StepError> {
        if self.is_cancelled() { Err(StepError::Cancelled) } else { Ok(()) }
    }
    /// Waits until fired.
    pub async fn cancelled(&self) {
        let mut changes = self.fired.subscribe();
        // The sender lives as long as this token, so waiting cannot fail.
        if changes.wait_for(|fired| *fired).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Lines one attempt may log; what comes after is counted and dropped, so that a loop gone wild cannot fill the disk.
pub const LOG_LINES_MAX: usize = 10_000;

/// One line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was said.
    pub ts: DateTime<Utc>,
    /// `info`, `warn` or `error`.
    pub level: &'static str,
    /// What was said.
    pub message: String,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Done so far.
    pub done: u64,
    /// In all.
    pub total: u64,
    /// Of what, such as `days`.
    pub unit: String,
}

/// Where a step says what it does and how far it is. Never blocks; what was said reaches the database within a moment.
#[derive(Clone, Debug)]
pub struct StepLog {
    lines: mpsc::UnboundedSender<LogLine>,
    said: Arc<AtomicUsize>,
    progress: Arc<watch::Sender<Option<Progress>>>,
}

impl StepLog {
    /// A log and the end its lines come out of.
    pub fn channel() -> (StepLog, mpsc::UnboundedReceiver<LogLine>) {
        let (lines, out) = mpsc::unbounded_channel();
        (StepLog { lines, said: Arc::default(), progress: Arc::new(watch::Sender::new(None)) }, out)
    }
    /// Says something.
    pub fn info(&self, message: &str) {
        self.say("info", message);
    }
    /// Says something a person should look at.
    pub fn warn(&self, message: &str) {
        self.say("warn", message);
    }
    /// Says what went wrong.
    pub fn error(&self, message: &str) {
        self.say("error", message);
    }

    /// Says how far it is; say it as often as you like.
    pub fn progress(&self, done: u64, total: u64, unit: &str) {
        self.progress.send_replace(Some(Progress { done, total, unit: unit.to_owned() }));
    }
    /// Follows how far it is.
    pub fn follow(&self) -> watch::Receiver<Option<Progress>> {
        self.progress.subscribe()
    }

    fn say(&self, level: &'static str, message: &str) {
        let message = match self.said.fetch_add(1, Ordering::Relaxed) {
            n if n < LOG_LINES_MAX => message.to_owned(),
            LOG_LINES_MAX => format!("more than {LOG_LINES_MAX} lines: the rest is not kept"),
            _ => return,
        };
        // Postgres text holds no NUL.
        let line = LogLine { ts: Utc::now(), level, message: message.replace('\0', "") };
        if self.lines.send(line).is_err() {
            tracing::debug!("a step logged after its attempt had ended");
        }
    }
}
