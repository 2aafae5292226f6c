//! Market data: books, bars, features, and the waking of strategies.

use super::{Engine, Market};
use crate::book::{News, mid2};
use crate::effect::{AuditRecord, Effect};
use crate::features::Bar;
use crate::signals::Look;
use domain::event::{BookDelta, BookSnapshot, Quote, Trade};
use domain::{InstrumentId, Side, StrategyId};

/// How far a trade's venue time may lie ahead of our receive time, ns. Venue clocks were seen 1.3 s ahead; a trade from
/// further away would open a bar to which every good one after it comes too late.
pub(super) const TRADE_AHEAD_NS_MAX: u64 = 5_000_000_000;

impl Engine {
    pub(super) fn on_delta(&mut self, delta: &BookDelta, out: &mut Vec<Effect>) {
        let Some(market) = find(&mut self.markets, delta.instrument) else { return self.unknown_instrument() };
        let news = market.book.on_delta(self.now_ns, delta, &mut self.stats.book);
        self.on_news(delta.instrument, news, out);
    }

    pub(super) fn on_snapshot(&mut self, snapshot: &BookSnapshot, out: &mut Vec<Effect>) {
        let Some(market) = find(&mut self.markets, snapshot.instrument) else { return self.unknown_instrument() };
        let news = market.book.on_snapshot(self.now_ns, snapshot, &mut self.stats.book);
        self.on_news(snapshot.instrument, news, out);
    }

    pub(super) fn on_snapshot_failed(&mut self, id: InstrumentId, out: &mut Vec<Effect>) {
        let Some(market) = find(&mut self.markets, id) else { return self.unknown_instrument() };
        let news = market.book.on_snapshot_failed(self.now_ns, &mut self.stats.book);
        self.on_news(id, news, out);
    }

    pub(super) fn on_book_gap(&mut self, id: InstrumentId, out: &mut Vec<Effect>) {
        let Some(market) = find(&mut self.markets, id) else { return self.unknown_instrument() };
        let news = market.book.on_gap(self.now_ns, &mut self.stats.book);
        self.on_news(id, news, out);
    }

    pub(super) fn on_quote(&mut self, quote: &Quote) {
        match find(&mut self.markets, quote.instrument) {
            Some(market) => market.book.on_quote(quote, &mut self.stats.book),
            None => self.unknown_instrument(),
        }
    }

    pub(super) fn on_trade(&mut self, trade: &Trade, out: &mut Vec<Effect>) {
        let Some(market) = find(&mut self.markets, trade.instrument) else { return self.unknown_instrument() };
        if trade.ts_venue_ns > self.now_ns.saturating_add(TRADE_AHEAD_NS_MAX) {
            self.stats.trades_late += 1;
            return;
        }
        let late = market.common.late();
        let bars = market.common.on_trade(trade);
        self.stats.trades_late += market.common.late() - late;
        market.history.last_trade = Some(*trade);
        self.on_bars(trade.instrument, bars, out);
    }

    /// Time has passed for one market.
    pub(super) fn market_on_time(&mut self, at: usize, out: &mut Vec<Effect>) {
        let Some(market) = self.markets[at].as_mut().filter(|m| !m.frozen) else { return };
        let id = InstrumentId(u16::try_from(at).expect("instruments are bounded"));
        let news = market.book.on_time(self.now_ns);
        let bars = market.common.on_time(self.now_ns);
        self.on_news(id, news, out);
        self.on_bars(id, bars, out);
    }

    pub(super) fn on_news(&mut self, id: InstrumentId, news: News, out: &mut Vec<Effect>) {
        let Some(market) = find(&mut self.markets, id) else { return };
        if news.moved {
            let book = &market.book;
            out.push(Effect::Audit(AuditRecord::Book {
                instrument: id,
                state: book.state().name(),
                reason: book.reason(),
                last_id: book.last_id(),
            }));
            if !book.is_live() {
                market.common.on_book_lost();
                market.tracks.iter_mut().for_each(|(_, s)| s.on_book_lost());
            }
        }
        if news.ask {
            assert!(!market.book.is_live(), "a live book needs no snapshot");
            out.push(Effect::RequestSnapshot { instrument: id });
        }
        if news.applied {
            self.on_top(id, out);
        }
    }

    /// The live book changed: features first, then strategies in their order.
    fn on_top(&mut self, id: InstrumentId, out: &mut Vec<Effect>) {
        let Some(market) = find(&mut self.markets, id) else { return };
        assert!(market.book.is_live(), "only live books feed signals");
        let Some((bid, ask)) = market.book.top() else { return market.common.on_book_lost() };
        assert!(bid.price < ask.price, "I-10: a live book is not crossed");
        self.portfolio.mark(id, mid2(bid.price, ask.price));
        let step = market.common.on_top(bid, ask);
        assert!(step.is_none_or(|s| s.depth2 > 0), "the best levels are not empty");
        for at in 0..market_tracks(&self.markets, id) {
            let Some(look) = self.look(id, at) else { return };
            let Some(market) = find(&mut self.markets, id) else { return };
            let (strategy, track) = &mut market.tracks[at];
            let strategy = *strategy;
            if let Some(signal) = track.on_book(step, &look) {
                self.act(id, strategy, signal, look.held, out);
            }
        }
    }

    fn on_bars(&mut self, id: InstrumentId, [second, minute]: [Option<Bar>; 2], out: &mut Vec<Effect>) {
        let Some(market) = find(&mut self.markets, id) else { return };
        if let Some(bar) = second {
            market.history.push_1s(bar);
            self.stats.bars += 1;
            out.push(record(id, 1, &bar));
        }
        let Some(bar) = minute else { return };
        market.history.push_1m(bar);
        self.stats.bars += 1;
        out.push(record(id, 60, &bar));
        for at in 0..market_tracks(&self.markets, id) {
            let Some(look) = self.look(id, at) else { return };
            let Some(market) = find(&mut self.markets, id) else { return };
            let (strategy, track) = &mut market.tracks[at];
            let strategy = *strategy;
            if let Some(signal) = track.on_bar_1m(&bar, &look) {
                self.act(id, strategy, signal, look.held, out);
            }
        }
    }

    /// What strategy number `at` of a market sees now.
    fn look(&self, id: InstrumentId, at: usize) -> Option<Look> {
        let market = self.markets.get(usize::from(id.0))?.as_ref()?;
        let account = self.portfolio.account(id)?;
        let strategy: StrategyId = market.tracks.get(at)?.0;
        let holding = account.of(strategy);
        let qty = domain::Lots::new(u64::try_from(holding.position.get()).unwrap_or(0));
        let held = if qty.is_zero() {
            qty
        } else {
            qty.min(account.sellable().saturating_sub(self.orders.open_leaves(id, Side::Sell)))
        };
        Some(Look {
            now_ns: self.now_ns,
            top: if market.book.is_live() { market.book.top() } else { None },
            held: if account.is_dust(held) { domain::Lots::ZERO } else { held },
            cost: holding.cost,
            cost_qty: qty,
            since_ns: holding.since_ns,
            busy: self.orders.is_busy(strategy, id, None),
        })
    }

    fn unknown_instrument(&mut self) {
        self.stats.unknown_instruments += 1;
    }
}

/// A market that still takes data. A free function, so that the rest of the engine stays free to borrow.
pub(super) fn find(markets: &mut [Option<Market>], id: InstrumentId) -> Option<&mut Market> {
    markets.get_mut(usize::from(id.0))?.as_mut().filter(|m| !m.frozen)
}

fn market_tracks(markets: &[Option<Market>], id: InstrumentId) -> usize {
    markets.get(usize::from(id.0)).and_then(Option::as_ref).map_or(0, |m| m.tracks.len())
}

fn record(instrument: InstrumentId, seconds: u32, bar: &Bar) -> Effect {
    Effect::Audit(AuditRecord::Bar {
        instrument,
        seconds,
        open_ns: bar.open_ns,
        ohlc: [bar.open, bar.high, bar.low, bar.close],
        volume: bar.volume,
        trades: bar.trades,
    })
}
