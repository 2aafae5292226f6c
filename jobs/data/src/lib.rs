//! Light work on recorded data: proving runs by replay, telling what they did and why, backtests, and the daily steps
//! that bring journals into the lake, judge them and build features.
//!
//! Besides, [`reference`] asks others for prices to compare with, and [`archive`] keeps the runs' log after it has left the database.
//!
//! Two kinds of entry. [`exec`] answers a verb of the CLI at once (`parity`, `backtest`, `why`, `order`, `inspect`); `ingest`,
//! `validate`, `features`, `verify` and `archive` are steps of workflows: `run(ctx)` does the day's work and hands back what it read and
//! made. Nothing here decides: decisions come out of `engine`, fills out of `sim`.
#![warn(missing_docs)]

pub mod archive;
pub mod backtest;
pub mod capture;
pub mod error;
pub mod exec;
pub mod facts;
pub mod features;
pub mod ingest;
pub mod inspect;
pub mod order;
pub mod reference;
pub mod replay;
pub mod runs;
pub mod seal;
mod search;
mod step;
pub mod validate;
pub mod verify;
pub mod why;

pub use error::DataError;
pub use exec::{Reply, exec};
pub use facts::facts_from_journal;
