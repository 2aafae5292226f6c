//! What is known of one connection: counters that its thread writes and anybody reads.

use crate::clock::stamp_ns;
use crate::latency::{Latency, Quantiles};
use crate::telemetry::get;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use venues::clock::{Offset, OffsetEstimator};

/// A venue's clock as all its connections know it.
#[derive(Debug, Default)]
pub struct VenueClock {
    estimator: Mutex<OffsetEstimator>,
}

impl VenueClock {
    fn held(&self) -> MutexGuard<'_, OffsetEstimator> {
        // Whoever panicked left whole numbers behind.
        self.estimator.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// A message stamped `venue_ns` came at `recv_ns`; how long it was under way.
    pub fn message(&self, venue_ns: u64, recv_ns: u64) -> Option<u64> {
        let mut estimator = self.held();
        estimator.message(venue_ns, recv_ns);
        estimator.latency_ns(venue_ns, recv_ns)
    }
    /// See [`OffsetEstimator::answer`]. The unit is what the number itself looks like: whole seconds, or milliseconds. Taking
    /// too large a one now and then only widens the error.
    pub fn answer(&self, sent_ns: u64, recv_ns: u64, venue_ns: u64) {
        let units = [1_000_000_000, 1_000_000, 1_000];
        let unit_ns = units.into_iter().find(|unit| venue_ns.is_multiple_of(*unit)).unwrap_or(1);
        self.held().answer(sent_ns, recv_ns, venue_ns, unit_ns);
    }
    /// The estimate, and how often one of the clocks stepped.
    pub fn told(&self) -> (Option<Offset>, u64) {
        let estimator = self.held();
        (estimator.offset(), estimator.steps())
    }
}

/// One connection's counters.
#[derive(Debug, Default)]
pub struct Stream {
    /// It is open.
    pub up: AtomicBool,
    /// Something of it is silent that should not be.
    pub stalled: AtomicBool,
    /// Times it was opened, or tried to.
    pub attempts: AtomicU64,
    /// Frames received.
    pub frames: AtomicU64,
    /// Frames that could not be read.
    pub unreadable: AtomicU64,
    /// Messages, symbols and values we have no use for or do not know.
    pub other: AtomicU64,
    /// Complaints of the venue about what we said.
    pub complaints: AtomicU64,
    /// Gaps that the stream itself told.
    pub gaps: AtomicU64,
    /// Times a book was asked for anew.
    pub resyncs: AtomicU64,
    /// Books over HTTP that stood in for a failed stream.
    pub stand_ins: AtomicU64,
    /// Those that came when the stream was back, and were dropped.
    pub late: AtomicU64,
    /// When something came last, ns by our clock.
    pub heard_ns: AtomicU64,
    /// How long messages were under way, corrected by the venue's clock.
    pub latency: Latency,
}

/// A connection as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct StreamView {
    /// Venue.
    pub venue: String,
    /// Name of the connection.
    pub name: String,
    /// `up`, `stalled` or `down`.
    pub state: &'static str,
    /// Time since something came, ms; null before the first.
    pub age_ms: Option<u64>,
    /// How long messages were under way, ns.
    pub latency_ns: Quantiles,
    /// Times it was opened, or tried to.
    pub attempts: u64,
    /// Frames received.
    pub frames: u64,
    /// Frames that could not be read.
    pub unreadable: u64,
    /// Messages without use.
    pub other: u64,
    /// Complaints of the venue.
    pub complaints: u64,
    /// Gaps told.
    pub gaps: u64,
    /// Books asked for anew.
    pub resyncs: u64,
    /// Books over HTTP in its place.
    pub stand_ins: u64,
    /// Of those, dropped as late.
    pub late: u64,
    /// Venue's clock minus ours, ms; null before it is known.
    pub clock_offset_ms: Option<f64>,
    /// At most so far from the truth, ms; null when the venue was never asked.
    pub clock_error_ms: Option<f64>,
    /// Times one of the clocks stepped.
    pub clock_steps: u64,
}

impl Stream {
    /// As people see it.
    pub fn view(&self, venue: String, name: String, clock: &VenueClock) -> StreamView {
        let (offset, clock_steps) = clock.told();
        let ms = |ns: i64| ns as f64 / 1e6;
        let heard = get(&self.heard_ns);
        let state = match (self.up.load(Ordering::Relaxed), self.stalled.load(Ordering::Relaxed)) {
            (true, false) => "up",
            (true, true) => "stalled",
            (false, _) => "down",
        };
        StreamView {
            venue,
            name,
            state,
            age_ms: (heard > 0).then(|| stamp_ns().saturating_sub(heard) / 1_000_000),
            latency_ns: self.latency.quantiles(),
            attempts: get(&self.attempts),
            frames: get(&self.frames),
            unreadable: get(&self.unreadable),
            other: get(&self.other),
            complaints: get(&self.complaints),
            gaps: get(&self.gaps),
            resyncs: get(&self.resyncs),
            stand_ins: get(&self.stand_ins),
            late: get(&self.late),
            clock_offset_ms: offset.map(|o| ms(o.ns)),
            clock_error_ms: offset.and_then(|o| o.error_ns).map(|ns| ns as f64 / 1e6),
            clock_steps,
        }
    }
}

/// One entry of the list of streams.
#[derive(Clone, Debug)]
struct Listed {
    venue: String,
    name: String,
    stream: Arc<Stream>,
    clock: Arc<VenueClock>,
}

/// All connections of the daemon.
#[derive(Debug, Default)]
pub struct Streams {
    all: Mutex<Vec<Listed>>,
}

impl Streams {
    /// Adds one.
    pub fn add(&self, venue: String, name: String, stream: Arc<Stream>, clock: Arc<VenueClock>) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(Listed { venue, name, stream, clock });
    }
    /// As people see them, in the order they were added.
    pub fn view(&self) -> Vec<StreamView> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.iter().map(|l| l.stream.view(l.venue.clone(), l.name.clone(), &l.clock)).collect()
    }
}
