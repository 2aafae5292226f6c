//! The worker: takes steps off the queues and carries them out. apalis delivers pointers ([`mod@run`] starts it); the
//! control plane in `store` decides whether a pointer still counts; a table joins job kinds to code. Beside that every worker
//! is a [`scheduler`].
//!
//! **Absent on purpose:** any state that would be missed after `kill -9`.

mod batch;
pub mod builtin;
pub mod exec;
pub mod handlers;
pub mod messenger;
pub mod place;
mod pump;
pub mod run;
pub mod scheduler;
mod shared;
mod step;
pub mod tuning;
mod wake;

pub use handlers::Handlers;
pub use run::{Options, run};
pub use tuning::Tuning;
