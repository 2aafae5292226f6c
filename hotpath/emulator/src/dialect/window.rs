//! What a client sees of a book when the venue shows only the best levels: the window, and what changes in it.

use crate::truth::Truth;
use domain::event::Level;
use domain::{Lots, Side, Ticks};
use std::collections::BTreeMap;

/// The best levels of both sides as last shown to one client.
#[derive(Clone, Debug)]
pub struct Window {
    /// Levels a side.
    pub depth: usize,
    /// The venue removes what falls out of the window; otherwise the client has to cut.
    removes: bool,
    bids: BTreeMap<Ticks, Lots>,
    asks: BTreeMap<Ticks, Lots>,
}

impl Window {
    /// An empty window.
    pub const fn new(depth: usize, removes: bool) -> Window {
        Window { depth, removes, bids: BTreeMap::new(), asks: BTreeMap::new() }
    }

    /// Shows the whole window of `book`: bids and asks, best first.
    pub fn whole(&mut self, book: &Truth) -> (Vec<Level>, Vec<Level>) {
        let (bids, asks) = (book.side(Side::Buy, self.depth), book.side(Side::Sell, self.depth));
        self.bids = bids.iter().map(|l| (l.price, l.qty)).collect();
        self.asks = asks.iter().map(|l| (l.price, l.qty)).collect();
        (bids, asks)
    }

    /// What changed since the last call: bids and asks, zero removes.
    pub fn changes(&mut self, book: &Truth) -> (Vec<Level>, Vec<Level>) {
        let (old_bids, old_asks) = (std::mem::take(&mut self.bids), std::mem::take(&mut self.asks));
        let (bids, asks) = self.whole(book);
        let changes = |old: &BTreeMap<Ticks, Lots>, new: Vec<Level>, shown: &BTreeMap<Ticks, Lots>, side| {
            let gone = |price: &Ticks| !shown.contains_key(price) && (self.removes || book.at(side, *price).is_zero());
            let removed = old.keys().filter(|p| gone(p)).map(|p| Level { price: *p, qty: Lots::ZERO });
            let set = new.into_iter().filter(|l| old.get(&l.price) != Some(&l.qty));
            removed.chain(set).collect::<Vec<_>>()
        };
        (changes(&old_bids, bids, &self.bids, Side::Buy), changes(&old_asks, asks, &self.asks, Side::Sell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::InstrumentId;
    use domain::event::{BookDelta, BookSnapshot};

    fn level((price, qty): (i64, u64)) -> Level {
        Level { price: Ticks::new(price), qty: Lots::new(qty) }
    }

    fn book(bids: &[(i64, u64)]) -> Truth {
        let bids = bids.iter().copied().map(level).collect();
        let start = BookSnapshot {
            instrument: InstrumentId(0),
            ts_venue_ns: 0,
            last_id: 1,
            bids,
            asks: vec![],
            checksum: None,
        };
        Truth::of(&start)
    }

    fn after(book: &mut Truth, changes: &[(i64, u64)], removes: bool) -> Vec<Level> {
        let mut window = Window::new(2, removes);
        window.whole(book);
        let id = book.last_id + 1;
        let bids = changes.iter().copied().map(level).collect();
        let delta = BookDelta {
            instrument: InstrumentId(0),
            ts_venue_ns: 0,
            first_id: id,
            last_id: id,
            bids,
            asks: vec![],
            checksum: None,
        };
        book.apply(0, &delta);
        window.changes(book).0
    }

    #[test]
    fn a_level_pushed_out_is_removed_by_one_kind_of_venue_and_left_to_the_client_by_the_other() {
        let start = [(100, 1), (99, 2), (98, 3)];
        assert_eq!(after(&mut book(&start), &[(101, 5)], false), [level((101, 5))]);
        assert_eq!(after(&mut book(&start), &[(101, 5)], true), [level((99, 0)), level((101, 5))]);
        // A level that comes in from below is told of, one that changes below is not.
        assert_eq!(after(&mut book(&start), &[(100, 0)], false), [level((100, 0)), level((98, 3))]);
        assert_eq!(after(&mut book(&start), &[(98, 7)], true), []);
    }
}
