//! A simulated venue and a synthetic market. The backtest job, paper trading and the emulator fill orders with this
//! one piece of code, so a strategy meets the same queue, the same fees and the same refusals everywhere.
//!
//! **Invariant:** no I/O, no clock, no hash-order iteration, no randomness but the seed. Time is the `ts_ns` that
//! callers pass in; money is integers and exact decimals, floats appear only in queue estimates and in the synthetic
//! market's hidden price.
//!
//! Start reading at [`venue::SimVenue`]; [`queue`] holds the fill models, [`delay`] the latency model, [`market`] the
//! synthetic market, [`rules`] the trading rules of symbols whose source states none.
#![warn(missing_docs)]

pub mod account;
pub mod book;
mod checks;
pub mod delay;
pub mod market;
mod matching;
pub mod order;
pub mod queue;
pub mod rng;
pub mod rules;
pub mod venue;

pub use delay::{DelayedVenue, LatencyModel};
pub use order::{NewOrder, OwnTrade, Reject, SimKind, SimOrder, SimOutput, SimStatus};
pub use queue::QueueModel;
pub use rng::Rng;
pub use venue::{SimConfig, SimVenue};
