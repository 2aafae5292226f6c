//! What jobs need and what they tell each other, as plain data: job inputs ([`jobs`]), run plans ([`plan`]) and the
//! facts a journal proves ([`facts`]). No I/O, no clock, no async runtime.

pub mod facts;
pub mod jobs;
pub mod plan;

pub use facts::Facts;
pub use jobs::JobSpec;
pub use plan::{Concurrency, Queue, Retry, RunPlan, StepPlan, When};
