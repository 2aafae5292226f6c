//! The market as the public feed shows it, and the ledger of what we took out of it.
//!
//! The book comes from snapshot and deltas; a newer best bid and ask ([`domain::event::Quote`]) lies over it until
//! the deltas catch up. Our own trades never show in the feed, so what we took from a level is remembered and not
//! given twice: it counts as gone until the level shrinks or vanishes in the feed, and grows back within
//! [`Book::refill_ns`].

use domain::event::{BookDelta, BookSnapshot, Level, Quote};
use domain::{Lots, Side, Ticks};
use std::collections::BTreeMap;

/// Deltas kept while no snapshot is there; more are dropped, oldest first, and the bridge will not hold.
const PENDING_MAX: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Taken {
    qty: Lots,
    ts_ns: u64,
}

/// One side: displayed levels and what we took from them.
#[derive(Clone, Debug, Default)]
struct Half {
    levels: BTreeMap<Ticks, Lots>,
    taken: BTreeMap<Ticks, Taken>,
}

impl Half {
    fn set(&mut self, level: Level) {
        if level.qty.is_zero() {
            self.levels.remove(&level.price);
        } else {
            self.levels.insert(level.price, level.qty);
        }
        self.trim(level.price, level.qty);
    }
    /// No more can be taken from a level than is there.
    fn trim(&mut self, price: Ticks, displayed: Lots) {
        if displayed.is_zero() {
            self.taken.remove(&price);
        } else if let Some(taken) = self.taken.get_mut(&price) {
            taken.qty = taken.qty.min(displayed);
        }
    }
}

/// The book of one instrument.
#[derive(Clone, Debug)]
pub struct Book {
    bids: Half,
    asks: Half,
    /// Id of the last change applied; 0 before the first snapshot.
    last_id: u64,
    live: bool,
    pending: Vec<BookDelta>,
    /// Best bid and ask, when newer than `last_id`.
    overlay: Option<Quote>,
    /// Time in which what we took has grown back, ns.
    refill_ns: u64,
}

const fn better(side: Side, a: Ticks, b: Ticks) -> bool {
    match side {
        Side::Buy => a.get() > b.get(),
        Side::Sell => a.get() < b.get(),
    }
}

impl Book {
    /// An empty book, unknown until the first snapshot or quote.
    pub fn new(refill_ns: u64) -> Self {
        Self {
            bids: Half::default(),
            asks: Half::default(),
            last_id: 0,
            live: false,
            pending: Vec::new(),
            overlay: None,
            refill_ns: refill_ns.max(1),
        }
    }

    /// Id of the last change applied.
    pub const fn last_id(&self) -> u64 {
        self.last_id
    }
    /// Time in which what we took has grown back, ns.
    pub const fn refill_ns(&self) -> u64 {
        self.refill_ns
    }
    /// True when the displayed sizes are known.
    pub const fn is_known(&self) -> bool {
        self.live || self.overlay.is_some()
    }

    fn half(&self, side: Side) -> &Half {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
    fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Replaces the book and applies the deltas that waited for it. A snapshot older than the book is ignored.
    pub fn on_snapshot(&mut self, snapshot: &BookSnapshot) {
        if self.live && snapshot.last_id < self.last_id {
            return;
        }
        for (side, levels) in [(Side::Buy, &snapshot.bids), (Side::Sell, &snapshot.asks)] {
            let half = self.half_mut(side);
            half.levels = levels.iter().filter(|l| !l.qty.is_zero()).map(|l| (l.price, l.qty)).collect();
            let levels = &half.levels;
            half.taken.retain(|price, _| levels.contains_key(price));
        }
        self.last_id = snapshot.last_id;
        self.live = true;
        self.drop_old_overlay();
        for delta in std::mem::take(&mut self.pending) {
            self.on_delta(&delta);
        }
    }

    /// Applies a change. Old ones are ignored; a gap makes the book unknown until the next snapshot.
    pub fn on_delta(&mut self, delta: &BookDelta) {
        if self.live && delta.first_id > self.last_id + 1 {
            self.live = false;
            self.bids.levels.clear();
            self.asks.levels.clear();
        }
        if !self.live {
            if self.pending.len() == PENDING_MAX {
                self.pending.remove(0);
            }
            self.pending.push(delta.clone());
            return;
        }
        if delta.last_id <= self.last_id {
            return;
        }
        for level in &delta.bids {
            self.bids.set(*level);
        }
        for level in &delta.asks {
            self.asks.set(*level);
        }
        self.last_id = delta.last_id;
        self.drop_old_overlay();
    }

    /// Lays a newer best bid and ask over the book.
    pub fn on_quote(&mut self, quote: &Quote) {
        let newest = self.overlay.map_or(self.last_id, |q| q.update_id.max(self.last_id));
        if quote.update_id < newest {
            return;
        }
        self.overlay = Some(*quote);
        self.drop_old_overlay();
        for (side, top) in [(Side::Buy, quote.bid), (Side::Sell, quote.ask)] {
            let half = self.half_mut(side);
            half.taken.retain(|price, _| !better(side, *price, top.price));
            half.trim(top.price, top.qty);
        }
    }

    fn drop_old_overlay(&mut self) {
        let last_id = self.last_id;
        let live = self.live;
        self.overlay = self.overlay.filter(|q| !live || q.update_id > last_id);
    }

    fn top(&self, side: Side) -> Option<Level> {
        self.overlay.map(|q| if side == Side::Buy { q.bid } else { q.ask })
    }

    /// Displayed size at a price; `None` while the book is not known.
    pub fn displayed(&self, side: Side, price: Ticks) -> Option<Lots> {
        if !self.is_known() {
            return None;
        }
        if let Some(top) = self.top(side) {
            if price == top.price {
                return Some(top.qty);
            }
            if better(side, price, top.price) {
                return Some(Lots::ZERO);
            }
        }
        Some(self.half(side).levels.get(&price).copied().unwrap_or(Lots::ZERO))
    }

    /// Calls `visit` with each displayed level of `side`, best first, until it says stop (`false`).
    pub fn walk(&self, side: Side, mut visit: impl FnMut(Level) -> bool) {
        let top = self.top(side).filter(|l| !l.qty.is_zero());
        if let Some(top) = top
            && !visit(top)
        {
            return;
        }
        let behind = |price: Ticks| self.top(side).is_none_or(|t| better(side, t.price, price));
        let mut step = |(price, qty): (&Ticks, &Lots)| !behind(*price) || visit(Level { price: *price, qty: *qty });
        match side {
            Side::Buy => self.bids.levels.iter().rev().all(&mut step),
            Side::Sell => self.asks.levels.iter().all(&mut step),
        };
    }

    /// Best displayed level.
    pub fn best(&self, side: Side) -> Option<Level> {
        let mut best = None;
        self.walk(side, |level| {
            best = Some(level);
            false
        });
        best
    }

    /// Levels of the book itself (without a newer quote), best first: what a snapshot at [`Book::last_id`] shows.
    pub fn levels(&self, side: Side, limit: usize) -> Vec<Level> {
        let level = |(price, qty): (&Ticks, &Lots)| Level { price: *price, qty: *qty };
        match side {
            Side::Buy => self.bids.levels.iter().rev().take(limit).map(level).collect(),
            Side::Sell => self.asks.levels.iter().take(limit).map(level).collect(),
        }
    }

    /// What of `level` is left for us at `ts_ns`, after what we took before.
    pub fn available(&self, side: Side, level: Level, ts_ns: u64) -> Lots {
        level.qty.saturating_sub(self.still_taken(side, level.price, ts_ns))
    }

    /// We take `qty` at `price`.
    pub fn take(&mut self, side: Side, price: Ticks, qty: Lots, ts_ns: u64) {
        let before = self.still_taken(side, price, ts_ns);
        let qty = Lots::new(before.get().saturating_add(qty.get()));
        let refill_ns = self.refill_ns;
        let half = self.half_mut(side);
        half.taken.retain(|_, t| ts_ns.saturating_sub(t.ts_ns) < refill_ns);
        half.taken.insert(price, Taken { qty, ts_ns });
    }

    /// Grows back evenly over `refill_ns`, whole lots, rounded against us.
    fn still_taken(&self, side: Side, price: Ticks, ts_ns: u64) -> Lots {
        let Some(taken) = self.half(side).taken.get(&price) else { return Lots::ZERO };
        let age_ns = ts_ns.saturating_sub(taken.ts_ns).min(self.refill_ns);
        let back = u128::from(taken.qty.get()) * u128::from(age_ns) / u128::from(self.refill_ns);
        taken.qty.saturating_sub(Lots::new(u64::try_from(back).unwrap_or(u64::MAX)))
    }
}
