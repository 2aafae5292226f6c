//! Watches the ids of one instrument's trades: which are new, which were there already, and how many are missing. After
//! every reconnect venues tell their last trades again, and a connection can live for hours and bring none.
//!
//! How ids go is the adapter's to say ([`Adapter::trade_ids`](crate::adapter::Adapter::trade_ids)). The watch outlives
//! connections, and decides nothing: who drops repeated trades should know that a venue which begins its ids anew (a
//! testnet, a market listed again) seems to repeat old ones.

use domain::InstrumentId;
use domain::event::Trade;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How the ids of one instrument's trades go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeIds {
    /// Each is one more than the one before: what is left out is missing.
    Contiguous,
    /// Later ones are higher; what is left out says nothing.
    Rising,
    /// In no order; equal ones are of the same trade.
    Unordered,
}

/// What a trade's id tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeNews {
    /// It was not there yet, and so many before it were not either: 0 unless ids are contiguous.
    New {
        /// How many were skipped to get to it.
        missing: u64,
    },
    /// It was not there yet, but a later one was: it had been skipped, or is from before the watch began.
    Late,
    /// It was there already.
    Repeated,
}

/// What was counted of one instrument's trades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TradeCounts {
    /// Trades that were not there yet.
    pub trades: u64,
    /// How often ids were skipped.
    pub gaps: u64,
    /// Trades that are missing: skipped, and not come since.
    pub missing: u64,
    /// Trades that were there already.
    pub repeated: u64,
}

/// Stretches without a hole that are kept apart. Past that, the holes between the oldest are given up: what comes out of
/// them then seems repeated.
const STRETCHES_MAX: usize = 256;

/// Ids kept where they have no order.
const RECENT_MAX: usize = 4096;

/// The watch over one instrument.
#[derive(Clone, Debug)]
pub struct TradeWatch {
    counts: TradeCounts,
    seen: Seen,
}

#[derive(Clone, Debug)]
enum Seen {
    /// First and last ids of stretches without a hole, in order, none next to each other; and the first id ever.
    Stretches(VecDeque<(u64, u64)>, Option<u64>),
    /// The highest.
    Highest(Option<u64>),
    /// The newest, in the order they came, and sorted.
    Recent(VecDeque<u64>, BTreeSet<u64>),
}

impl TradeWatch {
    /// A watch that has seen nothing.
    pub const fn new(ids: TradeIds) -> TradeWatch {
        let seen = match ids {
            TradeIds::Contiguous => Seen::Stretches(VecDeque::new(), None),
            TradeIds::Rising => Seen::Highest(None),
            TradeIds::Unordered => Seen::Recent(VecDeque::new(), BTreeSet::new()),
        };
        TradeWatch { counts: TradeCounts { trades: 0, gaps: 0, missing: 0, repeated: 0 }, seen }
    }

    /// What was counted so far.
    pub const fn counts(&self) -> TradeCounts {
        self.counts
    }

    /// What the id of a trade that came tells. 0 is no id: such a trade is new.
    pub fn on(&mut self, trade_id: u64) -> TradeNews {
        let news = match &mut self.seen {
            _ if trade_id == 0 => TradeNews::New { missing: 0 },
            Seen::Stretches(stretches, first) => {
                let news = stretch(stretches, trade_id);
                let first = *first.get_or_insert(trade_id);
                // What is older than the watch was never counted as missing.
                self.counts.missing -= u64::from(news == TradeNews::Late && trade_id > first);
                news
            }
            Seen::Highest(Some(highest)) if trade_id <= *highest => TradeNews::Repeated,
            Seen::Highest(highest) => {
                *highest = Some(trade_id);
                TradeNews::New { missing: 0 }
            }
            Seen::Recent(order, sorted) => recent(order, sorted, trade_id),
        };
        match news {
            TradeNews::New { missing } => {
                self.counts.trades += 1;
                self.counts.gaps += u64::from(missing > 0);
                self.counts.missing = self.counts.missing.saturating_add(missing);
            }
            TradeNews::Late => self.counts.trades += 1,
            TradeNews::Repeated => self.counts.repeated += 1,
        }
        news
    }
}

/// Adds an id to the stretches.
fn stretch(stretches: &mut VecDeque<(u64, u64)>, id: u64) -> TradeNews {
    // The first stretch that does not end before the id.
    let at = stretches.partition_point(|(_, last)| *last < id);
    if stretches.get(at).is_some_and(|(first, _)| *first <= id) {
        return TradeNews::Repeated;
    }
    let news = match (at == stretches.len(), stretches.back()) {
        (true, Some((_, last))) => TradeNews::New { missing: id - last - 1 },
        (true, None) => TradeNews::New { missing: 0 },
        (false, _) => TradeNews::Late,
    };
    let before = at.checked_sub(1).filter(|before| stretches[*before].1 + 1 == id);
    let after = stretches.get(at).filter(|(first, _)| *first == id + 1).copied();
    match (before, after) {
        (Some(before), Some((_, last))) => {
            stretches[before].1 = last;
            stretches.remove(at);
        }
        (Some(before), None) => stretches[before].1 = id,
        (None, Some(_)) => stretches[at].0 = id,
        (None, None) => stretches.insert(at, (id, id)),
    }
    if stretches.len() > STRETCHES_MAX
        && let Some((first, _)) = stretches.pop_front()
        && let Some(oldest) = stretches.front_mut()
    {
        oldest.0 = first;
    }
    news
}

fn recent(order: &mut VecDeque<u64>, sorted: &mut BTreeSet<u64>, id: u64) -> TradeNews {
    if !sorted.insert(id) {
        return TradeNews::Repeated;
    }
    order.push_back(id);
    if order.len() > RECENT_MAX
        && let Some(oldest) = order.pop_front()
    {
        sorted.remove(&oldest);
    }
    TradeNews::New { missing: 0 }
}

/// The trades that connections of one venue brought, one after the other: it outlives each of them.
#[derive(Clone, Debug)]
pub struct Trades {
    ids: TradeIds,
    /// Each instrument's watch, and the venue's newest time of its trades, ns.
    watches: BTreeMap<InstrumentId, (TradeWatch, u64)>,
}

impl Trades {
    /// None yet, of a venue whose ids go like this.
    pub const fn new(ids: TradeIds) -> Trades {
        Trades { ids, watches: BTreeMap::new() }
    }

    /// What the id of a trade that came tells.
    pub fn on(&mut self, trade: &Trade) -> TradeNews {
        let ids = self.ids;
        let new = || (TradeWatch::new(ids), 0);
        let (watch, newest_ns) = self.watches.entry(trade.instrument).or_insert_with(new);
        let mut news = watch.on(trade.trade_id);
        if news == TradeNews::Repeated && trade.ts_venue_ns > *newest_ns {
            // An old id on a new trade: the venue has begun to count anew.
            *watch = TradeWatch::new(ids);
            news = watch.on(trade.trade_id);
        }
        *newest_ns = trade.ts_venue_ns.max(*newest_ns);
        news
    }

    /// What was counted of all instruments.
    pub fn counts(&self) -> TradeCounts {
        let add = |a: TradeCounts, (b, _): &(TradeWatch, u64)| TradeCounts {
            trades: a.trades + b.counts.trades,
            gaps: a.gaps + b.counts.gaps,
            missing: a.missing.saturating_add(b.counts.missing),
            repeated: a.repeated + b.counts.repeated,
        };
        self.watches.values().fold(TradeCounts::default(), add)
    }
}

#[cfg(test)]
mod tests {
    use super::TradeNews::{Late, New, Repeated};
    use super::*;
    use proptest::prelude::*;

    const NEXT: TradeNews = New { missing: 0 };

    fn watched(ids: TradeIds, all: &[u64]) -> (Vec<TradeNews>, TradeCounts) {
        let mut watch = TradeWatch::new(ids);
        (all.iter().map(|id| watch.on(*id)).collect(), watch.counts())
    }

    #[test]
    fn what_is_skipped_is_missing_until_it_comes() {
        let (news, counts) = watched(TradeIds::Contiguous, &[7, 8, 12, 10, 10, 9, 11, 13, 6, 8]);
        assert_eq!(news, [NEXT, NEXT, New { missing: 3 }, Late, Repeated, Late, Late, NEXT, Late, Repeated]);
        assert_eq!(counts, TradeCounts { trades: 8, gaps: 1, missing: 0, repeated: 2 });
    }

    #[test]
    fn rising_ids_say_nothing_of_what_is_missing() {
        let (news, counts) = watched(TradeIds::Rising, &[7, 20, 20, 7, 21]);
        assert_eq!(news, [NEXT, NEXT, Repeated, Repeated, NEXT]);
        assert_eq!(counts, TradeCounts { trades: 3, gaps: 0, missing: 0, repeated: 2 });
    }

    #[test]
    fn trades_told_again_are_known_and_ids_that_begin_anew_are_not() {
        let trade = |id: u64, ts_venue_ns: u64| Trade {
            instrument: InstrumentId(3),
            trade_id: id,
            price: domain::Ticks::new(1),
            qty: domain::Lots::new(1),
            aggressor: domain::Side::Buy,
            ts_venue_ns,
        };
        let mut trades = Trades::new(TradeIds::Contiguous);
        let all = [(8, 50), (9, 60), (9, 60), (8, 50), (10, 60), (8, 70), (9, 70), (8, 70)];
        let known: Vec<bool> = all.iter().map(|(id, ns)| trades.on(&trade(*id, *ns)) == Repeated).collect();
        assert_eq!(known, [false, false, true, true, false, false, false, true]);
        assert_eq!(trades.counts(), TradeCounts { trades: 2, gaps: 0, missing: 0, repeated: 1 }, "since then");
    }

    #[test]
    fn ids_without_order_are_remembered_for_a_while() {
        let (news, counts) = watched(TradeIds::Unordered, &[900, 3, 900, 17, 3]);
        assert_eq!(news, [NEXT, NEXT, Repeated, NEXT, Repeated]);
        assert_eq!((counts.trades, counts.missing, counts.repeated), (3, 0, 2));
        let many: Vec<u64> = (1..=RECENT_MAX as u64 + 1).chain([2, 1]).collect();
        assert_eq!(watched(TradeIds::Unordered, &many).0[many.len() - 2..], [Repeated, NEXT], "1 was forgotten");
    }

    #[test]
    fn a_trade_without_an_id_is_new_and_hides_nothing() {
        for ids in [TradeIds::Contiguous, TradeIds::Rising, TradeIds::Unordered] {
            assert_eq!(watched(ids, &[0, 5, 0, 0, 5, 6]).0, [NEXT, NEXT, NEXT, NEXT, Repeated, NEXT], "{ids:?}");
        }
    }

    #[test]
    fn holes_are_bounded_and_the_oldest_are_given_up() {
        let every_other: Vec<u64> = (1..=2000).map(|n| 2 * n).collect();
        let mut watch = TradeWatch::new(TradeIds::Contiguous);
        for id in every_other {
            watch.on(id);
        }
        let Seen::Stretches(stretches, _) = &watch.seen else { panic!() };
        assert_eq!(stretches.len(), STRETCHES_MAX);
        assert_eq!(watch.counts(), TradeCounts { trades: 2000, gaps: 1999, missing: 1999, repeated: 0 });
        assert_eq!((watch.on(3999), watch.on(5)), (Late, Repeated), "one can still come, the other is given up");
        assert_eq!(watch.counts().missing, 1998);
    }

    #[test]
    fn the_ends_of_the_numbers_are_ids_too() {
        let (news, _) = watched(TradeIds::Contiguous, &[u64::MAX, u64::MAX, 1, u64::MAX - 1]);
        assert_eq!(news, [NEXT, Repeated, Late, Late]);
    }

    /// Every id ever, and nothing clever.
    #[derive(Default)]
    struct Naive(Vec<u64>);

    impl Naive {
        fn on(&mut self, ids: TradeIds, id: u64) -> TradeNews {
            let highest = self.0.iter().max().copied();
            let news = match ids {
                TradeIds::Rising if highest >= Some(id) => Repeated,
                _ if self.0.contains(&id) => Repeated,
                TradeIds::Contiguous if highest > Some(id) => Late,
                TradeIds::Contiguous => New { missing: highest.map_or(0, |highest| (highest + 1..id).count() as u64) },
                TradeIds::Rising | TradeIds::Unordered => NEXT,
            };
            self.0.push(id);
            news
        }
        /// Between the first that came and the highest, what never did.
        fn missing(&self) -> u64 {
            let (Some(first), Some(highest)) = (self.0.first(), self.0.iter().max()) else { return 0 };
            (*first..=*highest).filter(|id| !self.0.contains(id)).count() as u64
        }
    }

    proptest! {
        #[test]
        fn the_watch_equals_a_list_of_all_ids(ids in prop::collection::vec(1u64..120, 0..200)) {
            for kind in [TradeIds::Contiguous, TradeIds::Rising, TradeIds::Unordered] {
                let (mut watch, mut naive) = (TradeWatch::new(kind), Naive::default());
                for id in &ids {
                    prop_assert_eq!(watch.on(*id), naive.on(kind, *id), "{:?} {}", kind, id);
                }
                let counts = watch.counts();
                prop_assert_eq!(counts.trades + counts.repeated, ids.len() as u64);
                if kind == TradeIds::Contiguous {
                    prop_assert_eq!(counts.missing, naive.missing());
                }
            }
        }

        /// Whatever part of a contiguous stream comes, in whatever pieces it is told again: each trade is new once, and
        /// when all have come nothing is missing.
        #[test]
        fn told_again_in_pieces_each_trade_is_new_once(
            count in 1u64..300,
            pieces in prop::collection::vec((0u64..300, 1u64..60), 0..20),
        ) {
            let mut watch = TradeWatch::new(TradeIds::Contiguous);
            let pieces = pieces.iter().map(|(from, n)| (from % count) + 1..((from % count) + 1 + n).min(count + 1));
            let told: Vec<u64> = std::iter::once(1).chain(pieces.flatten()).chain(1..=count).collect();
            let new: Vec<u64> = told.iter().copied().filter(|id| watch.on(*id) != Repeated).collect();
            let once: BTreeSet<u64> = new.iter().copied().collect();
            prop_assert_eq!((new.len(), once.len() as u64), (once.len(), count));
            let counts = watch.counts();
            prop_assert_eq!((counts.trades, counts.missing), (count, 0));
            prop_assert_eq!(counts.repeated, told.len() as u64 - count);
        }
    }
}
