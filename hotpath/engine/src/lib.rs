//! The decision core of traider: one event in, effects out. The same code runs live, in paper, in backtests and in
//! replays, and the same events give the same effects, byte for byte.
//!
//! **Invariant:** no clock, no I/O, no async, no logging, no randomness, no hash-order iteration. Time is the receive
//! time of the event at hand. Money is whole ticks, lots and exact decimals; floats live in `features` and `signals`
//! only. What is worth saying is an [`Effect`].
//!
//! The modules stand in the order in which news flows through them, and each uses only modules above it. Start
//! reading at [`Engine::step`].
#![warn(missing_docs)]
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

pub mod stats;

pub mod book;

pub mod features;

pub mod signals;

pub mod portfolio;

pub mod risk;

pub mod orders;

pub mod effect;

pub mod audit;

pub mod engine;

pub use effect::{AuditRecord, Effect, FeatureValue};
pub use engine::view::View;
pub use engine::{ConfigError, Engine};
pub use stats::Stats;

#[cfg(test)]
mod testing;
