//! Proof that a book is right: the venue publishes its own best bid and ask with the update id they belong to, on a
//! stream of its own. Where that id is the last id of a change we applied, our top must be the same. A quote may come
//! before or after the change; each id is compared at most once.

use crate::stats::BookStats;
use domain::event::{Level, Quote};

/// Quotes remembered. A change arrives every 100 ms and finds its quote among those of about the last 200 ms; the
/// busiest recorded 200 ms hold under 150.
const QUOTES_KEPT: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Seen {
    id: u64,
    bid: Level,
    ask: Level,
}

/// The last quotes, waiting for the change they belong to.
#[derive(Clone, Debug)]
pub(super) struct Tops {
    ring: Vec<Seen>,
    /// Where the next one goes once the ring is full.
    next: usize,
    compared_id: u64,
}

impl Tops {
    pub(super) fn new() -> Self {
        Self { ring: Vec::with_capacity(QUOTES_KEPT), next: 0, compared_id: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.ring.clear();
        self.next = 0;
    }

    pub(super) fn remember(&mut self, quote: &Quote) {
        let seen = Seen { id: quote.update_id, bid: quote.bid, ask: quote.ask };
        if self.ring.len() < QUOTES_KEPT {
            self.ring.push(seen);
            return;
        }
        self.ring[self.next] = seen;
        self.next = (self.next + 1) % QUOTES_KEPT;
        assert!(self.ring.len() == QUOTES_KEPT && self.next < QUOTES_KEPT, "the memory is bounded");
    }

    /// A change with this last id was applied and left this top.
    pub(super) fn applied(&mut self, id: u64, top: Option<(Level, Level)>, stats: &mut BookStats) {
        // From the newest back, because the match is nearly always among the last few.
        let newest_first = self.ring[..self.next].iter().rev().chain(self.ring[self.next..].iter().rev());
        if let Some(seen) = newest_first.copied().find(|s| s.id <= id).filter(|s| s.id == id) {
            self.compare(seen.id, (seen.bid, seen.ask), top, stats);
        }
    }

    /// A quote came whose id is that of the last applied change.
    pub(super) fn arrived(&mut self, quote: &Quote, top: Option<(Level, Level)>, stats: &mut BookStats) {
        self.compare(quote.update_id, (quote.bid, quote.ask), top, stats);
    }

    fn compare(&mut self, id: u64, said: (Level, Level), ours: Option<(Level, Level)>, stats: &mut BookStats) {
        if self.compared_id == id {
            return;
        }
        self.compared_id = id;
        stats.tops_compared += 1;
        stats.tops_equal += u64::from(ours == Some(said));
        assert!(stats.tops_equal <= stats.tops_compared, "equal tops are compared tops");
    }
}
