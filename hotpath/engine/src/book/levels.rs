//! One side of a book: whole-tick prices with whole-lot sizes, sorted, the best price at the end of a `Vec`. Changes
//! come mostly near the best price, so inserting moves few levels and reading the best one is free.

use domain::event::Level;
use domain::{Lots, Side, Ticks};

/// Most levels kept on one side. Past it the levels farthest from the best price are dropped; they come back when
/// the venue changes them.
pub const LEVELS_MAX: usize = 65_536;

/// One side of a book.
#[derive(Clone, Debug)]
pub struct Levels {
    side: Side,
    /// Worst price first, best price last; prices are unique and no size is zero.
    levels: Vec<Level>,
}

impl Levels {
    /// An empty side; `Buy` holds bids (highest is best), `Sell` asks (lowest is best).
    pub fn new(side: Side) -> Self {
        Self { side, levels: Vec::with_capacity(1024) }
    }

    /// Sets the absolute size at a price; zero removes the level, and removing what is not there is normal.
    pub fn set(&mut self, price: Ticks, qty: Lots) {
        let at = match self.side {
            Side::Buy => self.levels.binary_search_by(|l| l.price.cmp(&price)),
            Side::Sell => self.levels.binary_search_by(|l| price.cmp(&l.price)),
        };
        match (at, qty.is_zero()) {
            (Ok(at), false) => self.levels[at].qty = qty,
            (Ok(at), true) => {
                self.levels.remove(at);
            }
            (Err(at), false) => {
                self.levels.insert(at, Level { price, qty });
                if self.levels.len() > LEVELS_MAX {
                    // Many at once, so that a side at its bound does not pay this on every change.
                    self.levels.drain(..LEVELS_MAX / 16);
                }
            }
            (Err(_), true) => {}
        }
        debug_assert!(self.levels.len() <= LEVELS_MAX, "a side is bounded");
    }

    /// Keeps the best `depth` levels.
    pub fn truncate(&mut self, depth: usize) {
        self.levels.drain(..self.levels.len().saturating_sub(depth));
    }

    /// The best level.
    pub fn best(&self) -> Option<Level> {
        self.levels.last().copied()
    }

    /// Levels from the best price on.
    pub fn iter(&self) -> impl Iterator<Item = Level> + '_ {
        self.levels.iter().rev().copied()
    }

    /// Number of levels.
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// True without any level.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Forgets all levels and keeps the memory.
    pub fn clear(&mut self) {
        self.levels.clear();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The obvious second implementation.
    #[derive(Clone, Debug)]
    pub(crate) struct Naive {
        side: Side,
        levels: BTreeMap<i64, u64>,
    }

    impl Naive {
        pub(crate) fn new(side: Side) -> Self {
            Self { side, levels: BTreeMap::new() }
        }
        pub(crate) fn set(&mut self, price: Ticks, qty: Lots) {
            if qty.is_zero() {
                self.levels.remove(&price.get());
            } else {
                self.levels.insert(price.get(), qty.get());
            }
        }
        pub(crate) fn all(&self) -> Vec<Level> {
            let level = |(p, q): (&i64, &u64)| Level { price: Ticks::new(*p), qty: Lots::new(*q) };
            match self.side {
                Side::Buy => self.levels.iter().rev().map(level).collect(),
                Side::Sell => self.levels.iter().map(level).collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn fast_levels_equal_naive_levels(buy in any::<bool>(), updates in prop::collection::vec((0i64..50, 0u64..4), 0..400)) {
            let side = if buy { Side::Buy } else { Side::Sell };
            let (mut fast, mut naive) = (Levels::new(side), Naive::new(side));
            for (price, qty) in updates {
                fast.set(Ticks::new(price), Lots::new(qty));
                naive.set(Ticks::new(price), Lots::new(qty));
                prop_assert_eq!(fast.iter().collect::<Vec<_>>(), naive.all());
                prop_assert_eq!(fast.best(), naive.all().first().copied());
                prop_assert_eq!(fast.len(), naive.levels.len());
            }
        }
    }

    #[test]
    fn a_side_at_its_bound_drops_the_farthest_levels_only() {
        let mut bids = Levels::new(Side::Buy);
        let bound = i64::try_from(LEVELS_MAX).unwrap();
        for price in 1..=bound + 1 {
            bids.set(Ticks::new(price), Lots::new(1));
        }
        assert!(bids.len() <= LEVELS_MAX);
        assert_eq!(bids.best().unwrap().price, Ticks::new(bound + 1));
        assert!(bids.iter().last().unwrap().price > Ticks::new(1), "the worst ones went");
    }
}
