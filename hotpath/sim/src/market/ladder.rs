//! The visible book of the synthetic market: two sides of levels, with the changes since the last diff.

use crate::rng::Rng;
use domain::event::Level;
use domain::{Lots, Side, Ticks};
use std::collections::{BTreeMap, BTreeSet};

/// Levels per side: inserted up to this, thinned out beyond.
const LEVELS_MAX: usize = 400;
/// Fewer than this are filled up at once.
const LEVELS_MIN: usize = 60;
/// Queue changes per moment.
const CHANGES: u32 = 4;

#[derive(Clone, Debug, Default)]
struct Half {
    levels: BTreeMap<i64, u64>,
    changed: BTreeSet<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct Ladder {
    bids: Half,
    asks: Half,
    last_id: u64,
    top_qty: u64,
    /// Levels further from the best price than this are dropped, ticks.
    reach: i64,
}

fn level((price, qty): (&i64, &u64)) -> Level {
    Level { price: Ticks::new(*price), qty: Lots::new(*qty) }
}

/// Away from the other side by `distance`.
const fn away(side: Side, price: i64, distance: i64) -> i64 {
    match side {
        Side::Buy => price - distance,
        Side::Sell => price + distance,
    }
}

impl Ladder {
    /// A full book; `last_id` is the update id it stands at.
    pub(super) fn new(price: Ticks, top_qty: Lots, last_id: u64, rng: &mut Rng) -> Self {
        let reach = (price.get() / 100).max(100);
        let top_qty = top_qty.get().max(10);
        let mut book = Self { bids: Half::default(), asks: Half::default(), last_id, top_qty, reach };
        book.set(Side::Buy, price.get(), top_qty);
        book.set(Side::Sell, price.get() + 1, top_qty);
        for side in [Side::Buy, Side::Sell] {
            book.fill_up(side, LEVELS_MAX * 3 / 4, rng);
        }
        // What makes the first book is no update.
        drop(book.take_changes());
        book.last_id = last_id;
        book
    }

    const fn half(&self, side: Side) -> &Half {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
    const fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    pub(super) const fn last_id(&self) -> u64 {
        self.last_id
    }
    pub(super) fn depth(&self, side: Side) -> usize {
        self.half(side).levels.len()
    }
    pub(super) fn best(&self, side: Side) -> Option<Level> {
        match side {
            Side::Buy => self.bids.levels.last_key_value(),
            Side::Sell => self.asks.levels.first_key_value(),
        }
        .map(level)
    }
    pub(super) fn levels(&self, side: Side) -> Vec<Level> {
        match side {
            Side::Buy => self.bids.levels.iter().rev().map(level).collect(),
            Side::Sell => self.asks.levels.iter().map(level).collect(),
        }
    }

    /// Sets a level; zero removes it.
    pub(super) fn set(&mut self, side: Side, price: i64, qty: u64) {
        let half = self.half_mut(side);
        let old = if qty == 0 { half.levels.remove(&price) } else { half.levels.insert(price, qty) };
        if old.unwrap_or(0) != qty {
            half.changed.insert(price);
            self.last_id += 1;
        }
    }

    /// What changed since the last call, with the sizes as they are now.
    pub(super) fn take_changes(&mut self) -> (Vec<Level>, Vec<Level>) {
        let take = |half: &mut Half| {
            let changed = std::mem::take(&mut half.changed);
            changed.iter().map(|p| level((p, half.levels.get(p).unwrap_or(&0)))).collect::<Vec<_>>()
        };
        let mut bids = take(&mut self.bids);
        bids.reverse();
        (bids, take(&mut self.asks))
    }

    /// Size on `side` up to `limit`, over `count` levels at most.
    pub(super) fn size_within(&self, side: Side, limit: i64, count: usize) -> u64 {
        let sum = |levels: &mut dyn Iterator<Item = (&i64, &u64)>| levels.take(count).map(|(_, q)| *q).sum();
        match side {
            Side::Buy => sum(&mut self.bids.levels.range(limit..).rev()),
            Side::Sell => sum(&mut self.asks.levels.range(..=limit)),
        }
    }

    /// Cancels everything on `side` that the fair price `limit` has passed, but never the last level.
    pub(super) fn pull(&mut self, side: Side, limit: i64) {
        let passed: Vec<i64> = match side {
            Side::Buy => self.bids.levels.range(limit..).map(|(p, _)| *p).collect(),
            Side::Sell => self.asks.levels.range(..=limit).map(|(p, _)| *p).collect(),
        };
        for price in passed {
            if self.depth(side) > 1 {
                self.set(side, price, 0);
            }
        }
    }

    /// A shock: makers near the top leave.
    pub(super) fn thin_out(&mut self, rng: &mut Rng) {
        for side in [Side::Buy, Side::Sell] {
            let near: Vec<Level> = self.levels(side).into_iter().take(40).collect();
            for l in near {
                let left = if rng.chance(0.6) { 0 } else { l.qty.get() / 3 };
                if self.depth(side) > LEVELS_MIN {
                    self.set(side, l.price.get(), left);
                }
            }
        }
    }

    /// Makers narrow a spread wider than they want, on the side of the fair price; under stress they hesitate and
    /// cancel.
    pub(super) fn keep_spread(&mut self, wanted: i64, fair: i64, stress: f64, rng: &mut Rng) {
        let (Some(bid), Some(ask)) = (self.best(Side::Buy), self.best(Side::Sell)) else { return };
        let (bid, ask) = (bid.price.get(), ask.price.get());
        let spread = ask - bid;
        if spread > wanted && rng.chance(0.6 - 0.5 * stress) {
            // Towards the fair price, but never further than it, and never into the other side.
            let side = if 2 * fair >= bid + ask { Side::Buy } else { Side::Sell };
            let price = match side {
                Side::Buy => fair.clamp(bid + 1, ask - wanted),
                Side::Sell => fair.clamp(bid + wanted, ask - 1),
            };
            let qty = (self.top_qty as f64 * (0.1 + 0.9 * rng.unit())) as u64;
            self.set(side, price, qty.max(1));
        } else if spread < wanted && rng.chance(0.5) {
            let side = if rng.chance(0.5) { Side::Buy } else { Side::Sell };
            let price = if side == Side::Buy { bid } else { ask };
            if self.depth(side) > LEVELS_MIN {
                self.set(side, price, 0);
            }
        }
    }

    /// Orders come and go. `pressure` (-1 to 1) makes the bid queue longer and the ask queue shorter, or the other
    /// way round.
    pub(super) fn churn(&mut self, pressure: f64, stress: f64, rng: &mut Rng) {
        for _ in 0..CHANGES {
            let side = if rng.chance(0.5) { Side::Buy } else { Side::Sell };
            if rng.chance(0.35) {
                self.change_top(side, pressure, stress, rng);
            } else {
                self.change_deep(side, rng);
            }
        }
        for side in [Side::Buy, Side::Sell] {
            if self.depth(side) < LEVELS_MIN {
                self.fill_up(side, LEVELS_MIN * 2, rng);
            }
        }
    }

    fn change_top(&mut self, side: Side, pressure: f64, stress: f64, rng: &mut Rng) {
        let Some(top) = self.best(side) else { return };
        let lean = if side == Side::Buy { pressure } else { -pressure };
        let wanted = self.top_qty as f64 * (1.0 + 0.8 * lean) * (1.0 - 0.7 * stress) * (0.3 + 1.4 * rng.unit());
        let qty = top.qty.get() as f64;
        let new = qty + (wanted - qty) * 0.3 * rng.unit();
        self.set(side, top.price.get(), (new as u64).max(1));
    }

    fn change_deep(&mut self, side: Side, rng: &mut Rng) {
        let Some(best) = self.best(side).map(|l| l.price.get()) else { return };
        let price = away(side, best, self.distance(rng));
        match self.half(side).levels.get(&price).copied() {
            Some(_) if rng.chance(0.5) => self.set(side, price, 0),
            Some(_) => self.set(side, price, self.deep_qty(rng)),
            None if self.depth(side) < LEVELS_MAX => self.set(side, price, self.deep_qty(rng)),
            None => self.drop_one(side, best, rng),
        }
    }

    /// Removes the furthest level if it is out of reach, else a random one.
    fn drop_one(&mut self, side: Side, best: i64, rng: &mut Rng) {
        let levels = &self.half(side).levels;
        let furthest = match side {
            Side::Buy => levels.first_key_value(),
            Side::Sell => levels.last_key_value(),
        };
        let Some(furthest) = furthest.map(|(p, _)| *p) else { return };
        let price = if (furthest - best).abs() > self.reach {
            furthest
        } else {
            let nth = usize::try_from(rng.below(levels.len() as u64)).unwrap_or(0);
            levels.keys().nth(nth).copied().unwrap_or(furthest)
        };
        if price != best {
            self.set(side, price, 0);
        }
    }

    /// Ticks behind the best price: mostly near, with a heavy tail.
    fn distance(&self, rng: &mut Rng) -> i64 {
        let near = self.reach as f64 / 400.0;
        let d = near * (1.0 / rng.unit().max(1e-4) - 1.0);
        (1 + d as i64).min(self.reach)
    }

    /// Most levels are small, some are walls.
    fn deep_qty(&self, rng: &mut Rng) -> u64 {
        let q = self.top_qty as f64 * 0.02 / rng.unit().max(1e-3).sqrt() * (0.2 + 2.0 * rng.unit());
        (q as u64).max(1)
    }

    fn fill_up(&mut self, side: Side, count: usize, rng: &mut Rng) {
        let Some(best) = self.best(side).map(|l| l.price.get()) else { return };
        // Twice as many tries as levels: some fall on the same price.
        for _ in 0..count * 2 {
            if self.depth(side) >= count {
                return;
            }
            let price = away(side, best, self.distance(rng));
            if !self.half(side).levels.contains_key(&price) {
                let qty = self.deep_qty(rng);
                self.set(side, price, qty);
            }
        }
    }
}
