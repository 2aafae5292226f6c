//! The snapshot thread: fetches books over HTTP when the engine asks for them, one at a time, so that a slow answer
//! holds nobody else up.

use crate::backoff;
use crate::clock::stamp_ns;
use crate::inbox::Tx;
use crate::watched::stream::VenueClock;
use domain::event::note;
use domain::{Event, InstrumentId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use venues::binance::rest::{Rest, RestError};
use venues::wire::SymbolTable;

/// Levels asked for on each side; the venue's largest.
const LEVELS: u32 = 5000;
/// Requests that may wait; one per instrument is all the engine makes.
pub const QUEUE: usize = 256;
/// Time between two questions for the venue's time.
const TIME_EVERY: Duration = Duration::from_secs(10);
/// Longest pause a venue may impose.
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// What the thread needs.
#[derive(Debug)]
pub struct Snapshots {
    /// Whom to ask.
    pub rest: Rest,
    /// Instruments.
    pub table: Arc<SymbolTable>,
    /// What is wanted.
    pub wanted: Receiver<InstrumentId>,
    /// Where answers go.
    pub tx: Tx,
    /// The venue's clock, asked for now and then; `None` when the source has a time of its own.
    pub venue_clock: Option<Arc<VenueClock>>,
    /// Set when the daemon stops.
    pub stop: Arc<AtomicBool>,
}

impl Snapshots {
    /// Runs until the daemon stops.
    pub fn run(mut self) {
        let mut asked: Option<Instant> = None;
        while !self.stop.load(Ordering::Relaxed) {
            if asked.is_none_or(|at| at.elapsed() >= TIME_EVERY) {
                asked = Some(Instant::now());
                self.ask_time();
            }
            match self.wanted.recv_timeout(Duration::from_millis(100)) {
                Ok(instrument) => {
                    let (event, pause) = self.fetch(instrument);
                    if self.tx.event(None, event).is_err() {
                        return;
                    }
                    // The venue asked us to stay away; asking on would get the address banned.
                    if let Some(pause) = pause {
                        backoff::sleep(pause.min(PAUSE_MAX), &self.stop);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn ask_time(&self) {
        let Some(clock) = &self.venue_clock else { return };
        let sent_ns = stamp_ns();
        match self.rest.time_ms() {
            Ok(ms) => clock.answer(sent_ns, stamp_ns(), ms.saturating_mul(1_000_000)),
            Err(error) => tracing::debug!(%error, "the venue does not tell its time"),
        }
    }

    fn fetch(&self, instrument: InstrumentId) -> (Event, Option<Duration>) {
        let failed = |reason: &str| Event::SnapshotFailed { instrument, reason: note(reason) };
        let Some(i) = self.table.by_id(instrument) else { return (failed("this instrument is not traded here"), None) };
        match self.rest.depth(i, LEVELS) {
            Ok(snapshot) => (Event::BookSnapshot(snapshot), None),
            Err(error) => {
                tracing::warn!(symbol = %i.symbol, %error, "no snapshot");
                let pause = match &error {
                    RestError::Venue { retry_after, .. } => *retry_after,
                    RestError::Address { .. } | RestError::Network { .. } | RestError::Decode { .. } => None,
                };
                (failed(&error.to_string()), pause)
            }
        }
    }
}
