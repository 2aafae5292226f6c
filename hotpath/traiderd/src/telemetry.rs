//! Counters and histograms of the daemon's own work, shared by its threads; the engine counts for itself.

use crate::latency::{Latency, Quantiles};
use crate::market::stream::Streams;
use crate::market::tape::Taped;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Everything the daemon counts.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Frames of the order connection that could not be read.
    pub replies_unreadable: AtomicU64,
    /// News of orders that are not ours.
    pub external_orders: AtomicU64,
    /// Times a producer had to wait for the engine.
    pub stalls: Arc<AtomicU64>,
    /// The order connection is up.
    pub orders_up: AtomicBool,
    /// Connections to venues: of the one that is traded, and of those that are watched.
    pub streams: Arc<Streams>,
    /// What went on the tape.
    pub taped: Arc<Taped>,
    /// One engine step.
    pub step: Latency,
    /// Reading one frame of the traded venue.
    pub decode: Arc<Latency>,
    /// Handing records to the operating system.
    pub append: Latency,
}

/// The histograms' quantiles, ns.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latencies {
    /// One engine step.
    pub step: Quantiles,
    /// Reading one frame of the traded venue.
    pub decode: Quantiles,
    /// Handing records to the operating system.
    pub append: Quantiles,
}

impl Telemetry {
    /// All quantiles.
    pub fn latencies(&self) -> Latencies {
        Latencies { step: self.step.quantiles(), decode: self.decode.quantiles(), append: self.append.quantiles() }
    }
}

/// Adds one.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
/// Reads.
pub fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
