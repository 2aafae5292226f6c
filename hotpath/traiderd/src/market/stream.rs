//! What is known of one connection: counters that its thread writes and anybody reads.

use crate::clock::stamp_ns;
use crate::latency::{Latency, Quantiles};
use crate::telemetry::get;
use domain::InstrumentId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use venues::clock::{Offset, OffsetEstimator};
use venues::limit::{Limiter, Priority};

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
    /// Those that were older than the stream's last word, or came when it was back, and were dropped.
    pub late: AtomicU64,
    /// Books that went silent.
    pub silences: AtomicU64,
    /// When something came last, ns by our clock.
    pub heard_ns: AtomicU64,
    /// How long messages were under way, corrected by the venue's clock.
    pub latency: Latency,
    /// Reading one frame into events.
    pub decode: Arc<Latency>,
    /// Trades missing by their ids.
    pub trades_missing: AtomicU64,
    /// Trades that came again.
    pub trades_repeated: AtomicU64,
    /// The venue's newest time seen of each book, ns.
    newest: BTreeMap<InstrumentId, AtomicU64>,
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
    /// Books that went silent.
    pub silences: u64,
    /// Trades missing by their ids.
    pub trades_missing: u64,
    /// Trades that came again, as after a reconnect.
    pub trades_repeated: u64,
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
    /// What was asked of the venue in the window that ends now; null when it cannot be counted.
    pub budget_used: Option<u32>,
    /// What it lets be asked.
    pub budget_most: Option<u32>,
    /// It said to stay away for so long, s.
    pub banned_s: Option<u64>,
    /// What somebody should look at, in words.
    pub alarms: Vec<String>,
}

/// A venue's clock that is off by more, for certain, is an alarm, ns (I-13).
pub const SKEW_NS: u64 = 250_000_000;
/// A connection that is away or has a silent book for so long is one, ms.
const AWAY_MS: u64 = 10_000;

/// How far a clock is off for certain, ns; 0 when it may be right.
pub const fn skew_ns(offset: Offset) -> u64 {
    let error = match offset.error_ns {
        Some(error) => error,
        None => 0,
    };
    offset.ns.unsigned_abs().saturating_sub(error)
}

impl StreamView {
    fn alarms(&self, offset: Option<Offset>) -> Vec<String> {
        let mut alarms = Vec::new();
        if let Some(offset) = offset.filter(|offset| skew_ns(*offset) > SKEW_NS) {
            alarms.push(format!("the venue's clock is {:+.0} ms from ours", offset.ns as f64 / 1e6));
        }
        if let Some(seconds) = self.banned_s {
            alarms.push(format!("the venue told us to stay away, {seconds} s more"));
        }
        if let (Some(used), Some(most)) = (self.budget_used, self.budget_most)
            && used >= Priority::Ask.share(most)
        {
            alarms.push(format!("{used} of {most} that the venue lets be asked are used up"));
        }
        if self.state != "up" && self.age_ms.is_none_or(|age| age > AWAY_MS) {
            alarms.push(format!("it is {} and nothing was heard for long", self.state));
        }
        alarms
    }
}

impl Stream {
    /// The counters of a connection that brings these books; `decode` may be shared with others.
    pub fn of_books(books: &[InstrumentId], decode: Arc<Latency>) -> Stream {
        let newest = books.iter().map(|id| (*id, AtomicU64::new(0))).collect();
        Stream { newest, decode, ..Stream::default() }
    }
    /// A book's message with this time of the venue's came; 0 = it said none.
    pub fn newest(&self, id: InstrumentId, venue_ns: u64) {
        if let Some(newest) = self.newest.get(&id) {
            newest.fetch_max(venue_ns, Ordering::Relaxed);
        }
    }
    /// The venue's newest time seen of a book, ns; 0 = none.
    pub fn newest_ns(&self, id: InstrumentId) -> u64 {
        self.newest.get(&id).map_or(0, get)
    }
    fn state(&self) -> &'static str {
        match (self.up.load(Ordering::Relaxed), self.stalled.load(Ordering::Relaxed)) {
            (true, false) => "up",
            (true, true) => "stalled",
            (false, _) => "down",
        }
    }
}

impl Listed {
    /// As people see it.
    fn view(&self) -> StreamView {
        let (stream, (offset, clock_steps)) = (&self.stream, self.clock.told());
        let ms = |ns: i64| ns as f64 / 1e6;
        let heard = get(&stream.heard_ns);
        let budget = self.requests.left().ok();
        let mut view = StreamView {
            venue: self.venue.clone(),
            name: self.name.clone(),
            state: stream.state(),
            age_ms: (heard > 0).then(|| stamp_ns().saturating_sub(heard) / 1_000_000),
            latency_ns: stream.latency.quantiles(),
            attempts: get(&stream.attempts),
            frames: get(&stream.frames),
            unreadable: get(&stream.unreadable),
            other: get(&stream.other),
            complaints: get(&stream.complaints),
            gaps: get(&stream.gaps),
            silences: get(&stream.silences),
            trades_missing: get(&stream.trades_missing),
            trades_repeated: get(&stream.trades_repeated),
            resyncs: get(&stream.resyncs),
            stand_ins: get(&stream.stand_ins),
            late: get(&stream.late),
            clock_offset_ms: offset.map(|o| ms(o.ns)),
            clock_error_ms: offset.and_then(|o| o.error_ns).map(|ns| ns as f64 / 1e6),
            clock_steps,
            budget_used: budget.map(|b| b.used),
            budget_most: budget.map(|b| b.most),
            banned_s: budget.and_then(|b| b.banned).map(|left| left.as_secs() + 1),
            alarms: Vec::new(),
        };
        view.alarms = view.alarms(offset);
        view
    }
}

/// One entry of the list of streams.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Of this venue.
    pub venue: String,
    /// Name of the connection.
    pub name: String,
    /// It is the venue that is traded.
    pub traded: bool,
    /// Counters.
    pub stream: Arc<Stream>,
    /// The venue's clock.
    pub clock: Arc<VenueClock>,
    /// What the venue lets be asked.
    pub requests: Arc<Limiter>,
}

/// All connections of the daemon.
#[derive(Debug, Default)]
pub struct Streams {
    all: Mutex<Vec<Listed>>,
}

impl Streams {
    fn listed(&self) -> Vec<Listed> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Adds one.
    pub fn add(&self, listed: Listed) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(listed);
    }
    /// As people see them, in the order they were added.
    pub fn view(&self) -> Vec<StreamView> {
        self.listed().iter().map(Listed::view).collect()
    }
    /// Sum of a counter over the connections of the venue that is traded.
    pub fn traded(&self, counter: impl Fn(&Stream) -> &AtomicU64) -> u64 {
        self.listed().iter().filter(|l| l.traded).map(|l| get(counter(&l.stream))).sum()
    }
    /// True when all connections of the venue that is traded are open.
    pub fn market_up(&self) -> bool {
        let listed = self.listed();
        let mut traded = listed.iter().filter(|l| l.traded).peekable();
        traded.peek().is_some() && traded.all(|l| l.stream.up.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_surely_off_is_an_alarm_and_one_that_may_be_right_is_none() {
        let alarms = |ns: i64, error_ns: Option<u64>| {
            let dir = tempfile::tempdir().unwrap();
            let budget = venues::adapter::Budget { most: 10, window: std::time::Duration::from_secs(60) };
            let requests = Arc::new(Limiter::open(dir.path(), "x-ip", budget).unwrap());
            let stream = Arc::new(Stream::default());
            stream.up.store(true, Ordering::Relaxed);
            let (venue, name, clock) = ("x".to_owned(), "x.1".to_owned(), Arc::default());
            let view = Listed { venue, name, traded: false, stream, clock, requests }.view();
            assert!(view.alarms.is_empty() && view.state == "up");
            view.alarms(Some(Offset { ns, error_ns }))
        };
        assert_eq!(alarms(1_275_000_000, None), ["the venue's clock is +1275 ms from ours"]);
        assert_eq!(alarms(-300_000_000, Some(20_000_000)), ["the venue's clock is -300 ms from ours"]);
        assert!(alarms(-300_000_000, Some(60_000_000)).is_empty() && alarms(200_000_000, None).is_empty());
    }
}
