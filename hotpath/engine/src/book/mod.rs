//! One instrument's order book and its synchronisation with the venue, by the instrument's [`BookRule`]. Where snapshots
//! are asked for, as Binance prescribes it (local book procedure, text of 2025-11-12): buffer changes, fetch a snapshot,
//! drop what it contains, bridge, then apply changes with contiguous ids. Where they are pushed, each replaces the book, and
//! changes before the first are of no use. A gap, a crossed book or a wrong checksum stops this instrument only and starts
//! over.
//!
//! Ids are contiguous by the time they come here: each venue's module makes them so from whatever the venue counts.
//!
//! Left out on purpose: judging the age of a book (risk does), prices of any kind (features do), sending anything:
//! what has to be done is said in [`News`].

mod checksum;
mod levels;
mod tops;

pub use levels::{LEVELS_MAX, Levels};

use crate::stats::BookStats;
use checksum::Summer;
use domain::event::{BookDelta, BookSnapshot, Level, Quote};
use domain::instrument::{BookFeed, BookRule};
use domain::{Instrument, Side, Ticks};
use serde::Serialize;
use std::collections::VecDeque;
use tops::Tops;

/// Changes kept while a snapshot is on its way: at ten a second more than six minutes. At the bound the oldest goes,
/// and with it the use of a snapshot older than the rest.
pub const BUFFER_MAX: usize = 4096;

/// Shortest and longest pause between two requests for the same snapshot.
const ASK_PAUSE_NS: (u64, u64) = (1_000_000_000, 30_000_000_000);
/// A snapshot that neither came nor failed within this is asked for again.
const ANSWER_WAIT_NS: u64 = 15_000_000_000;

/// How far a book can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BookState {
    /// Nothing has come yet.
    Cold,
    /// Changes are buffered until a snapshot bridges them.
    Syncing,
    /// In step with the venue.
    Live,
    /// Was live, or tried to be, and is not any more.
    Stale,
}

impl BookState {
    /// The name used in audit records and views.
    pub const fn name(self) -> &'static str {
        match self {
            BookState::Cold => "cold",
            BookState::Syncing => "syncing",
            BookState::Live => "live",
            BookState::Stale => "stale",
        }
    }
}

/// What an input meant for the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct News {
    /// State or reason changed.
    pub moved: bool,
    /// A snapshot has to be fetched.
    pub ask: bool,
    /// Levels of a live book changed.
    pub applied: bool,
}

/// One instrument's order book.
#[derive(Clone, Debug)]
pub struct Book {
    rule: BookRule,
    summer: Option<Summer>,
    bids: Levels,
    asks: Levels,
    state: BookState,
    reason: &'static str,
    last_id: u64,
    /// True when `last_id` is the last id of a change, not of a snapshot.
    by_delta: bool,
    /// The largest id seen since the connection came up.
    seen_id: u64,
    changed_recv_ns: u64,
    buffer: VecDeque<BookDelta>,
    link_up: bool,
    asked: bool,
    ask_at_ns: u64,
    pause_ns: u64,
    tops: Tops,
}

impl Book {
    /// A cold book of `instrument`, by its rule. The connection counts as up until somebody says otherwise.
    pub fn new(instrument: &Instrument) -> Self {
        Self {
            rule: instrument.book,
            summer: Summer::of(instrument),
            bids: Levels::new(Side::Buy),
            asks: Levels::new(Side::Sell),
            state: BookState::Cold,
            reason: "nothing received",
            last_id: 0,
            by_delta: false,
            seen_id: 0,
            changed_recv_ns: 0,
            buffer: VecDeque::new(),
            link_up: true,
            asked: false,
            ask_at_ns: 0,
            pause_ns: ASK_PAUSE_NS.0,
            tops: Tops::new(),
        }
    }

    /// How far it can be believed.
    pub const fn state(&self) -> BookState {
        self.state
    }
    /// Why it is in this state.
    pub const fn reason(&self) -> &'static str {
        self.reason
    }
    /// True when decisions may be priced off it, its age aside.
    pub const fn is_live(&self) -> bool {
        matches!(self.state, BookState::Live)
    }
    /// Id of the last change it contains; 0 when empty.
    pub const fn last_id(&self) -> u64 {
        self.last_id
    }
    /// Receive time of its last valid change, ns.
    pub const fn changed_recv_ns(&self) -> u64 {
        self.changed_recv_ns
    }
    /// Bids, best first.
    pub const fn bids(&self) -> &Levels {
        &self.bids
    }
    /// Asks, best first.
    pub const fn asks(&self) -> &Levels {
        &self.asks
    }
    /// Best bid and best ask, when there are both.
    pub fn top(&self) -> Option<(Level, Level)> {
        Some((self.bids.best()?, self.asks.best()?))
    }

    /// A change came.
    pub fn on_delta(&mut self, now_ns: u64, delta: &BookDelta, stats: &mut BookStats) -> News {
        if !self.link_up {
            stats.diffs_ignored += 1;
            return News::default();
        }
        self.seen_id = self.seen_id.max(delta.last_id);
        match self.state {
            BookState::Live => self.follow(now_ns, delta, stats),
            _ if self.is_pushed() => {
                stats.diffs_ignored += 1;
                let first = self.state == BookState::Cold;
                if first {
                    self.set(BookState::Syncing, "waits for the whole book");
                    self.ask_at_ns = now_ns.saturating_add(ANSWER_WAIT_NS);
                }
                News { moved: first, ask: self.ask_if_due(now_ns), applied: false }
            }
            BookState::Cold => {
                self.set(BookState::Syncing, "first change came");
                self.buffer(delta, stats);
                News { moved: true, ask: self.ask_if_due(now_ns), applied: false }
            }
            BookState::Syncing | BookState::Stale => {
                self.buffer(delta, stats);
                News { ask: self.ask_if_due(now_ns), ..News::default() }
            }
        }
    }

    /// A snapshot came.
    pub fn on_snapshot(&mut self, now_ns: u64, snapshot: &BookSnapshot, stats: &mut BookStats) -> News {
        if self.is_pushed() && self.link_up {
            return self.replace(now_ns, snapshot, stats);
        }
        // Not asked for: it stands in for a stream that is away, and is of use unless a change is newer.
        let stands_in = !self.asked && !self.by_delta && snapshot.last_id >= self.seen_id;
        if !self.link_up || !(self.asked || stands_in) {
            stats.snapshots_unusable += 1;
            return News::default();
        }
        let was_live = self.is_live();
        assert!(!(was_live && self.asked), "a live book has no question open");
        self.seen_id = self.seen_id.max(snapshot.last_id);
        self.asked = false;
        if self.buffer.front().is_some_and(|first| snapshot.last_id < first.first_id) {
            stats.snapshots_unusable += 1;
            return self.try_later(now_ns, "snapshot older than the buffer");
        }
        while self.buffer.front().is_some_and(|d| d.last_id <= snapshot.last_id) {
            self.buffer.pop_front();
            stats.diffs_ignored += 1;
        }
        self.load(snapshot);
        stats.snapshots += 1;
        // The buffer has no gap inside (see `buffer`), and its first change began at or before the snapshot.
        while let Some(delta) = self.buffer.pop_front() {
            assert!(
                delta.first_id <= self.last_id.saturating_add(1) && self.last_id < delta.last_id,
                "the buffer bridges"
            );
            self.apply_counted(&delta, stats);
            self.tops.applied(self.last_id, self.top(), stats);
        }
        if self.is_crossed() {
            stats.crossed += 1;
            self.lose("crossed");
            return News { moved: true, ..self.try_later(now_ns, "crossed") };
        }
        assert!(self.buffer.is_empty() && !self.asked, "a live book waits for nothing");
        self.enter(now_ns);
        News { moved: !was_live, ask: false, applied: true }
    }

    /// A whole book came in the stream: whatever was there before is gone.
    fn replace(&mut self, now_ns: u64, snapshot: &BookSnapshot, stats: &mut BookStats) -> News {
        let was_live = self.is_live();
        self.empty();
        self.load(snapshot);
        self.cut();
        stats.snapshots += 1;
        let fault = if self.is_crossed() {
            stats.crossed += 1;
            Some("crossed")
        } else if !self.adds_up(snapshot.checksum, stats) {
            Some("checksum")
        } else {
            None
        };
        if let Some(reason) = fault {
            stats.snapshots_unusable += 1;
            self.empty();
            let moved = was_live || self.reason != reason;
            self.set(BookState::Stale, reason);
            return News { moved, ..self.try_later(now_ns, reason) };
        }
        self.enter(now_ns);
        News { moved: !was_live, ask: false, applied: true }
    }

    fn enter(&mut self, now_ns: u64) {
        self.set(BookState::Live, "in step");
        self.changed_recv_ns = now_ns;
        self.pause_ns = ASK_PAUSE_NS.0;
    }

    /// Something was lost, says who reads the stream.
    pub fn on_gap(&mut self, now_ns: u64, stats: &mut BookStats) -> News {
        stats.gaps += 1;
        if !self.link_up {
            return News::default();
        }
        let moved = self.is_live();
        self.lose("lost messages");
        News { moved, ask: self.ask_if_due(now_ns), applied: false }
    }

    /// The snapshot did not come.
    pub fn on_snapshot_failed(&mut self, now_ns: u64, stats: &mut BookStats) -> News {
        stats.snapshots_failed += 1;
        if !self.asked {
            return News::default();
        }
        self.asked = false;
        self.try_later(now_ns, "snapshot failed")
    }

    /// The venue's own best bid and ask came.
    pub fn on_quote(&mut self, quote: &Quote, stats: &mut BookStats) {
        if self.is_live() && self.by_delta && quote.update_id == self.last_id {
            self.tops.arrived(quote, self.top(), stats);
        }
        self.tops.remember(quote);
    }

    /// The market connection came up or went down.
    pub fn on_link(&mut self, now_ns: u64, up: bool) -> News {
        let said_twice = self.link_up == up && self.state != BookState::Cold;
        if said_twice {
            return News::default();
        }
        (self.link_up, self.seen_id) = (up, 0);
        self.empty();
        if self.is_pushed() {
            // It comes with the subscription; only when it does not, it is asked for.
            self.ask_at_ns = now_ns.saturating_add(ANSWER_WAIT_NS);
        }
        if up {
            self.set(BookState::Syncing, "link up");
        } else {
            self.set(BookState::Stale, "link down");
        }
        News { moved: true, ..News::default() }
    }

    /// Starts over from nothing, as after a restart of the daemon.
    pub fn chill(&mut self) -> News {
        let moved = self.state != BookState::Cold;
        (self.link_up, self.seen_id) = (true, 0);
        self.empty();
        self.ask_at_ns = 0;
        self.set(BookState::Cold, "session started");
        News { moved, ..News::default() }
    }

    /// Time went on: asks again for a snapshot that failed or never came.
    pub fn on_time(&mut self, now_ns: u64) -> News {
        let waiting = matches!(self.state, BookState::Syncing | BookState::Stale)
            && self.link_up
            && (self.is_pushed() || !self.buffer.is_empty());
        News { ask: waiting && self.ask_if_due(now_ns), ..News::default() }
    }

    fn follow(&mut self, now_ns: u64, delta: &BookDelta, stats: &mut BookStats) -> News {
        if delta.last_id <= self.last_id {
            stats.diffs_ignored += 1;
            return News::default();
        }
        if delta.first_id > self.last_id.saturating_add(1) {
            stats.sequence_breaks += 1;
            self.lose("gap");
            if !self.is_pushed() {
                self.buffer(delta, stats);
            }
            return News { moved: true, ask: self.ask_if_due(now_ns), applied: false };
        }
        self.apply_counted(delta, stats);
        self.cut();
        let fault = if self.is_crossed() {
            stats.crossed += 1;
            Some("crossed")
        } else if !self.adds_up(delta.checksum, stats) {
            Some("checksum")
        } else {
            None
        };
        if let Some(reason) = fault {
            self.lose(reason);
            return News { moved: true, ask: self.ask_if_due(now_ns), applied: false };
        }
        self.changed_recv_ns = now_ns;
        self.tops.applied(self.last_id, self.top(), stats);
        assert!(self.top().is_none_or(|(bid, ask)| bid.price < ask.price), "a live book is not crossed");
        News { applied: true, ..News::default() }
    }

    /// Keeps a change for the snapshot to come. A gap inside the buffer makes all before it useless.
    fn buffer(&mut self, delta: &BookDelta, stats: &mut BookStats) {
        match self.buffer.back().map(|last| last.last_id) {
            Some(last) if delta.last_id <= last => {
                stats.diffs_ignored += 1;
                return;
            }
            Some(last) if delta.first_id > last.saturating_add(1) => {
                stats.sequence_breaks += 1;
                self.buffer.clear();
            }
            _ => {}
        }
        if self.buffer.len() == BUFFER_MAX {
            self.buffer.pop_front();
        }
        self.buffer.push_back(delta.clone());
        assert!(self.buffer.len() <= BUFFER_MAX, "the buffer is bounded");
    }

    fn ask_if_due(&mut self, now_ns: u64) -> bool {
        let unanswered = self.asked && now_ns < self.ask_at_ns.saturating_add(ANSWER_WAIT_NS);
        // Without a change there is nothing to bridge to an answer.
        let useless = !self.is_pushed() && self.buffer.is_empty();
        if unanswered || useless || now_ns < self.ask_at_ns {
            return false;
        }
        assert!(!self.is_live() && self.link_up, "only a book out of step needs a snapshot");
        self.asked = true;
        // Also a book that breaks again and again asks no more than once in the shortest pause.
        self.ask_at_ns = now_ns.saturating_add(ASK_PAUSE_NS.0);
        true
    }

    fn try_later(&mut self, now_ns: u64, reason: &'static str) -> News {
        assert!(!self.asked, "the question was answered");
        self.ask_at_ns = now_ns.saturating_add(self.pause_ns);
        self.pause_ns = (self.pause_ns * 2).min(ASK_PAUSE_NS.1);
        assert!(self.pause_ns <= ASK_PAUSE_NS.1, "the pause is bounded");
        let moved = self.reason != reason;
        self.set(self.state, reason);
        News { moved, ..News::default() }
    }

    const fn is_pushed(&self) -> bool {
        matches!(self.rule.feed, BookFeed::Pushed)
    }

    /// Drops what was pushed past the depth that the venue tells about.
    fn cut(&mut self) {
        if self.rule.depth > 0 {
            self.bids.truncate(usize::from(self.rule.depth));
            self.asks.truncate(usize::from(self.rule.depth));
        }
    }

    /// True unless the venue sent a checksum and it is not ours.
    fn adds_up(&mut self, theirs: Option<u32>, stats: &mut BookStats) -> bool {
        let (Some(theirs), Some(summer)) = (theirs, &mut self.summer) else { return true };
        stats.checksums += 1;
        let equal = summer.sum(&self.bids, &self.asks) == theirs;
        stats.checksums_equal += u64::from(equal);
        equal
    }

    fn lose(&mut self, reason: &'static str) {
        self.empty();
        self.set(BookState::Stale, reason);
    }

    fn load(&mut self, snapshot: &BookSnapshot) {
        self.bids.clear();
        self.asks.clear();
        // Best first in the snapshot, best last in memory: set from the far end, so that each one is appended.
        snapshot.bids.iter().rev().for_each(|l| self.bids.set(l.price, l.qty));
        snapshot.asks.iter().rev().for_each(|l| self.asks.set(l.price, l.qty));
        self.last_id = snapshot.last_id;
        self.by_delta = false;
    }

    fn apply_counted(&mut self, delta: &BookDelta, stats: &mut BookStats) {
        // Only the first change on a snapshot can overlap it: it began before the snapshot and ended after.
        if delta.first_id <= self.last_id {
            stats.diffs_bridged += 1;
        } else {
            stats.diffs_applied += 1;
        }
        self.apply(delta);
    }

    fn apply(&mut self, delta: &BookDelta) {
        assert!(delta.last_id > self.last_id, "ids only go up");
        delta.bids.iter().for_each(|l| self.bids.set(l.price, l.qty));
        delta.asks.iter().for_each(|l| self.asks.set(l.price, l.qty));
        self.last_id = delta.last_id;
        self.by_delta = true;
    }

    /// Locked counts as crossed: a spot venue would have matched the two.
    fn is_crossed(&self) -> bool {
        self.top().is_some_and(|(bid, ask)| bid.price >= ask.price)
    }

    fn empty(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.buffer.clear();
        self.tops.clear();
        self.asked = false;
        self.last_id = 0;
        self.by_delta = false;
    }

    const fn set(&mut self, state: BookState, reason: &'static str) {
        self.state = state;
        self.reason = reason;
    }
}

/// Sum of sizes over the best `depth` levels of a side.
pub fn depth(levels: &Levels, depth: usize) -> u128 {
    levels.iter().take(depth).map(|l| u128::from(l.qty.get())).sum()
}

/// Twice the mid price in ticks, so that it stays whole.
pub const fn mid2(bid: Ticks, ask: Ticks) -> i64 {
    bid.get().saturating_add(ask.get())
}

#[cfg(test)]
mod tests;
