//! Counters and histograms of the daemon's own work, shared by its threads; the engine counts for itself.

use crate::latency::{Latency, Quantiles};
use crate::watched::stream::Streams;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Everything the daemon counts.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Market frames received.
    pub frames: AtomicU64,
    /// Market frames that could not be read.
    pub frames_unreadable: AtomicU64,
    /// Market frames we have no use for.
    pub frames_other: AtomicU64,
    /// Frames of the order connection that could not be read.
    pub replies_unreadable: AtomicU64,
    /// News of orders that are not ours.
    pub external_orders: AtomicU64,
    /// Times a producer had to wait for the engine.
    pub stalls: Arc<AtomicU64>,
    /// The market connection is up.
    pub market_up: AtomicBool,
    /// The order connection is up.
    pub orders_up: AtomicBool,
    /// Connections to watched venues.
    pub streams: Arc<Streams>,
    /// One engine step.
    pub step: Latency,
    /// Reading one market frame.
    pub decode: Latency,
    /// Handing records to the operating system.
    pub append: Latency,
}

/// The histograms' quantiles, ns.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latencies {
    /// One engine step.
    pub step: Quantiles,
    /// Reading one market frame.
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
