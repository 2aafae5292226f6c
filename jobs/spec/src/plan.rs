//! What one run will do: the steps of a workflow for one partition, with every template filled in. `flows` makes plans,
//! `store` keeps them, `worker` carries them out. A plan never changes after it is made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Class of work; one queue each, so that a long build never holds up a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Queue {
    /// Waits for disks and networks; many at once.
    Io,
    /// Keeps a core busy; one at a time.
    Cpu,
    /// Reports and other things a person waits for.
    Report,
    /// Must never wait behind anything else.
    Critical,
}

impl Queue {
    /// All of them.
    pub const ALL: [Queue; 4] = [Queue::Io, Queue::Cpu, Queue::Report, Queue::Critical];

    /// The name in workflow files and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Queue::Io => "io",
            Queue::Cpu => "cpu",
            Queue::Report => "report",
            Queue::Critical => "critical",
        }
    }

    /// The queue of that name.
    pub fn parse(name: &str) -> Option<Queue> {
        Queue::ALL.into_iter().find(|q| q.name() == name)
    }
}

/// How the wait between two attempts grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// Always the base.
    Fixed,
    /// Doubles with every attempt, up to the cap.
    Exponential,
}

/// When and how often a failed step is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub max: u32,
    /// How the wait grows.
    pub backoff: Backoff,
    /// First wait, milliseconds.
    pub base_ms: u64,
    /// Longest wait, milliseconds.
    pub cap_ms: u64,
    /// Draw the wait between zero and its full length, so that failures do not come back in step.
    pub jitter: bool,
}

impl Retry {
    /// The longest wait after the `attempt`-th attempt (1 is the first) has failed, milliseconds; jitter comes on top.
    pub fn wait_ms(&self, attempt: u32) -> u64 {
        let doublings = match self.backoff {
            Backoff::Fixed => 0,
            Backoff::Exponential => attempt.saturating_sub(1).min(40),
        };
        self.base_ms.saturating_mul(1 << doublings).min(self.cap_ms.max(self.base_ms))
    }
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { max: 5, backoff: Backoff::Exponential, base_ms: 10_000, cap_ms: 600_000, jitter: true }
    }
}

/// Which outcomes of its needs let a step run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// All needs are done.
    Success,
    /// At least one need is not done.
    Failure,
    /// Whatever became of them.
    Always,
}

impl When {
    /// The name in workflow files and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            When::Success => "success",
            When::Failure => "failure",
            When::Always => "always",
        }
    }
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepPlan {
    /// Unique within the run; `backfill[kraken]` for an instance of a fan-out.
    pub name: String,
    /// Job kind, see [`crate::jobs::KINDS`].
    pub job: String,
    /// Where it waits.
    pub queue: Queue,
    /// Names of the steps that must end first.
    pub needs: Vec<String>,
    /// Which of their outcomes let it run.
    pub when: When,
    /// The job's own input.
    pub params: Value,
    /// Its retry rules.
    pub retry: Retry,
    /// Longest time one attempt may take, seconds.
    pub timeout_s: u64,
    /// Time to stop by itself after a cancel or a timeout before it is dropped, seconds.
    pub grace_s: u64,
    /// Fan-in quorum: this many of its needs done are enough for `When::Success`; all must have ended. Without one, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ok: Option<u32>,
    /// A limit it shares with every other step of any run that names the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// When it is late if it has not ended, seconds since 1970 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<i64>,
}

impl StepPlan {
    /// A step that needs nothing and has the common limits.
    pub fn of(name: &str, job: &str, queue: Queue, params: Value) -> StepPlan {
        StepPlan {
            name: name.to_owned(),
            job: job.to_owned(),
            queue,
            needs: Vec::new(),
            when: When::Success,
            params,
            retry: Retry::default(),
            timeout_s: 3600,
            grace_s: 20,
            min_ok: None,
            concurrency: None,
            deadline_s: None,
        }
    }
}

/// At most `max` steps with this key run at a time, whatever workflow they belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// What is shared, such as `exchange:binance`.
    pub key: String,
    /// How many may use it at once; at least 1.
    pub max: u32,
}

/// One run of one workflow version for one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPlan {
    /// Workflow name.
    pub workflow: String,
    /// SHA-256 of the workflow's definition, hex.
    pub sha256: String,
    /// The definition itself, in its machine form.
    pub definition: Value,
    /// What part of the data the run is about: a day `2026-11-20`, or whatever the workflow's partition kind says.
    pub partition: String,
    /// The run's parameters, defaults filled in.
    pub params: Value,
    /// Its steps; needs come before those that need them.
    pub steps: Vec<StepPlan>,
    /// Channels that hear of a failure; empty means all that are set up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alert: Vec<String>,
}

/// The template that is filled in when the run gets its id.
pub const RUN_ID: &str = "{run.id}";

/// Puts the run's id wherever a text in the value says `{run.id}`.
pub fn fill_run_id(value: &mut Value, id: &str) {
    match value {
        Value::String(text) if text.contains(RUN_ID) => *text = text.replace(RUN_ID, id),
        Value::Array(items) => items.iter_mut().for_each(|item| fill_run_id(item, id)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill_run_id(field, id)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_waits_double_up_to_the_cap() {
        let retry = Retry { max: 9, backoff: Backoff::Exponential, base_ms: 100, cap_ms: 500, jitter: false };
        let waits: Vec<u64> = (1..=5).map(|n| retry.wait_ms(n)).collect();
        assert_eq!(waits, [100, 200, 400, 500, 500]);
        assert_eq!(Retry { backoff: Backoff::Fixed, ..retry }.wait_ms(4), 100);
    }

    #[test]
    fn a_wait_never_overflows() {
        let retry = Retry { max: u32::MAX, base_ms: u64::MAX / 2, cap_ms: u64::MAX, ..Retry::default() };
        assert_eq!(retry.wait_ms(u32::MAX), u64::MAX);
    }
}
