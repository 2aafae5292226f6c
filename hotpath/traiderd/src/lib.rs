//! The trading daemon as a library: threads, rings, journal, recovery, the way to the venue and back.
//!
//! ```text
//! market socket ─> decode ─┐                                    ┌─> order socket (written by the engine thread)
//! order socket ──> decode ─┼─> rings ─> JOURNAL ─> Engine::step ┤
//! snapshots, operator, time┘                                    └─> snapshot requests
//! ```
//!
//! **Invariant:** it wires and decides nothing; it knows neither database nor data lake nor async runtime. Start
//! reading at [`daemon::run`], then [`core`] (one input) and [`engine_loop`] (all of them).
#![warn(missing_docs)]

pub mod args;
pub mod backoff;
pub mod board;
pub mod clock;
pub mod control;
pub mod core;
pub mod daemon;
pub mod engine_loop;
pub mod error;
pub mod gateway;
pub mod halt;
pub mod inbox;
pub mod journal;
pub mod latency;
pub mod lock;
pub mod market;
pub mod narrator;
pub mod recover;
mod session;
pub mod summary;
pub mod telemetry;
pub mod watch;
