//! The snapshot thread: fetches books over HTTP when the engine asks for them, one at a time, so that a slow answer
//! holds nobody else up.

use crate::backoff;
use crate::inbox::Tx;
use domain::event::note;
use domain::{Event, InstrumentId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use venues::binance::rest::{Rest, RestError};
use venues::wire::SymbolTable;

/// Levels asked for on each side; the venue's largest.
const LEVELS: u32 = 5000;
/// Requests that may wait; one per instrument is all the engine makes.
pub const QUEUE: usize = 256;
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
    /// Set when the daemon stops.
    pub stop: Arc<AtomicBool>,
}

impl Snapshots {
    /// Runs until the daemon stops.
    pub fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
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
