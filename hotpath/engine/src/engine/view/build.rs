//! How the view is put together from the engine's state.

use super::history::Marker;
use super::*;
use crate::book::{Levels, mid2};
use crate::engine::{Engine, Market};
use crate::features::{Bar, float, queue_imbalance};
use crate::orders::Order;
use crate::portfolio::Account;
use crate::signals::Signal;
use domain::event::{Level, Trade, note};
use domain::{Instrument, OrderRequest, Ticks};
use std::collections::VecDeque;

/// Levels shown on each side.
const DEPTH_SHOWN: usize = 10;

impl Decision {
    pub(in crate::engine) fn new(
        engine: &Engine,
        signal: &Signal,
        request: &OrderRequest,
        refusal: Option<&Refusal>,
        sized_by: &'static str,
        checks: &[Check],
    ) -> Self {
        let rules = engine.portfolio.account(request.instrument).map(Account::instrument);
        Self {
            signal: engine.signals,
            input: engine.stats.events,
            ts_recv_ns: engine.now_ns,
            strategy: engine.strategy_name(request),
            instrument: request.instrument,
            symbol: rules.map_or_else(String::new, |r| r.symbol.to_string()),
            side: signal.side,
            intent: signal.intent,
            reason: signal.reason,
            features: signal.features.clone(),
            order: request.id,
            price: rules.map_or(Decimal::ZERO, |r| r.price(request.price)),
            qty: rules.map_or(Decimal::ZERO, |r| r.qty(request.qty)),
            sized_by,
            approved: refusal.is_none(),
            refusal: refusal.cloned(),
            checks: checks.to_vec(),
        }
    }
}

impl Engine {
    /// A snapshot for status and the web page.
    pub fn view(&self) -> View {
        let session = self.control.session.as_ref();
        let quotes: std::collections::BTreeSet<_> = self.portfolio.quotes().collect();
        View {
            now_ns: self.now_ns,
            run: session.map(|s| s.run.to_string()),
            epoch: session.map(|s| s.epoch),
            instruments: self.shown().map(|(account, market)| instrument_view(account, market, self.now_ns)).collect(),
            pnl: quotes.into_iter().map(|quote| (quote.to_string(), self.pnl_of(quote))).collect(),
            fees: self.portfolio.fees().iter().map(|(asset, fee)| (asset.to_string(), *fee)).collect(),
            balances: self
                .balances
                .iter()
                .map(|(asset, b)| (asset.to_string(), BalanceView { free: b.free, locked: b.locked }))
                .collect(),
            orders: self.orders.open().map(|order| self.order_view(order)).collect(),
            decisions: self.decisions.0.iter().rev().cloned().collect(),
            safety: self.safety(),
            stats: self.stats,
            effects_count: self.effects_count(),
            effects_hash: self.effects_hash().iter().map(|b| format!("{b:02x}")).collect(),
        }
    }

    fn shown(&self) -> impl Iterator<Item = (&Account, &Market)> {
        self.portfolio.accounts().filter_map(|account| {
            let market = self.markets.get(usize::from(account.instrument().id.0))?.as_ref()?;
            Some((account, market))
        })
    }

    fn pnl_of(&self, quote: domain::Asset) -> Pnl {
        let mut sum = Pnl::default();
        for account in self.portfolio.accounts().filter(|a| a.instrument().quote == quote) {
            let pnl = pnl_view(account);
            let plus = |a: Decimal, b: Decimal| a.checked_add(b).unwrap_or(a).normalized();
            sum.realized = plus(sum.realized, pnl.realized);
            sum.unrealized = plus(sum.unrealized, pnl.unrealized);
            sum.fees = plus(sum.fees, pnl.fees);
        }
        Pnl {
            net: self.portfolio.net(quote),
            day_net: Some(self.portfolio.day_net(quote)),
            day_loss_base: Some(self.portfolio.loss_base(quote)),
            ..sum
        }
    }

    fn order_view(&self, order: &Order) -> OrderView {
        let request = &order.request;
        let rules = self.portfolio.account(request.instrument).map(Account::instrument);
        let qty = |lots| rules.map_or(Decimal::ZERO, |r| r.qty(lots));
        OrderView {
            id: request.id,
            venue_id: order.venue_id,
            symbol: rules.map_or_else(String::new, |r| r.symbol.to_string()),
            strategy: self.strategy_name(request),
            signal: order.signal,
            state: order.state.name(),
            side: request.side,
            price: rules.map_or(Decimal::ZERO, |r| r.price(request.price)),
            qty: qty(request.qty),
            filled: qty(order.filled),
            age_ms: self.now_ns.saturating_sub(order.sent_ns) / 1_000_000,
        }
    }

    fn strategy_name(&self, request: &OrderRequest) -> String {
        self.config.strategies.get(usize::from(request.strategy.0)).map_or_else(String::new, |s| s.name.clone())
    }

    fn safety(&self) -> Safety {
        let mut reasons = Vec::new();
        if let Some(why) = &self.control.halt {
            reasons.push(format!("entries are halted: {why}"));
        }
        if self.control.session.is_none() {
            reasons.push("no session has begun".to_owned());
        }
        if self.control.loss_halted.is_some() {
            reasons.push("entries are halted: the daily loss limit was reached".to_owned());
        }
        if !self.control.all_orders_up() {
            reasons.push("the order connection is down".to_owned());
        }
        let blocked = !reasons.is_empty();
        let mut usable = 0;
        // What is only watched makes nothing unsafe.
        for (account, market) in self.shown().filter(|(account, _)| account.instrument().trade) {
            let age_ms = self.now_ns.saturating_sub(market.book.changed_recv_ns()) / 1_000_000;
            let (symbol, book) = (&account.instrument().symbol, &market.book);
            if !book.is_live() {
                reasons.push(format!("{symbol}: the book is {} ({})", book.state().name(), book.reason()));
            } else if age_ms > self.config.risk.book_age_ms_max {
                reasons.push(format!("{symbol}: the book has not changed for {age_ms} ms"));
            } else {
                usable += 1;
            }
        }
        if self.portfolio.accounts().next().is_none() {
            reasons.push("no instrument is known".to_owned());
        }
        let unknown = self.orders.open().filter(|o| matches!(o.state, domain::OrderState::Unknown { .. })).count();
        if unknown > 0 {
            reasons.push(format!("orders of unknown fate, counted as live and as filled: {unknown}"));
        }
        let halted = self.control.halt.is_some() || self.control.loss_halted.is_some();
        Safety { halted, reason: halted.then(|| reasons[0].clone()), can_trade: !blocked && usable > 0, reasons }
    }
}

fn instrument_view(account: &Account, market: &Market, now_ns: u64) -> InstrumentView {
    let rules = account.instrument();
    let bars = |bars: &VecDeque<Bar>| bars.iter().map(|b| bar_view(rules, b)).collect();
    let trade = |t: Trade| TradeView {
        ts_venue_ns: t.ts_venue_ns,
        price: rules.price(t.price),
        qty: rules.qty(t.qty),
        aggressor: t.aggressor,
    };
    let marker = |m: &Marker| MarkerView {
        ts_recv_ns: m.ts_recv_ns,
        order: m.order,
        side: m.side,
        price: rules.price(m.price),
        qty: rules.qty(m.qty),
    };
    InstrumentView {
        id: rules.id,
        symbol: rules.symbol.to_string(),
        venue: rules.venue,
        trade: rules.trade,
        base: rules.base.to_string(),
        quote: rules.quote.to_string(),
        version: rules.version,
        book: book_view(rules, market, now_ns),
        last_trade: market.history.last_trade.map(trade),
        bars_1s: bars(&market.history.bars_1s),
        bars_1m: bars(&market.history.bars_1m),
        features: features(rules, market),
        position: position_view(account),
        pnl: pnl_view(account),
        markers: market.history.markers.iter().map(marker).collect(),
    }
}

fn book_view(rules: &Instrument, market: &Market, now_ns: u64) -> BookView {
    let book = &market.book;
    let levels = |side: &Levels| {
        let pair = |l: Level| [rules.price(l.price), rules.qty(l.qty)];
        side.iter().take(DEPTH_SHOWN).map(pair).collect()
    };
    let mid2 =
        book.top().map(|(bid, ask)| (mid2(bid.price, ask.price), ask.price.get().saturating_sub(bid.price.get())));
    BookView {
        state: book.state(),
        reason: book.reason(),
        last_id: book.last_id(),
        age_ms: (book.changed_recv_ns() > 0).then(|| now_ns.saturating_sub(book.changed_recv_ns()) / 1_000_000),
        bids: levels(book.bids()),
        asks: levels(book.asks()),
        mid: mid2.map(|(mid2, _)| half(rules.price(Ticks::new(mid2)))),
        spread_bps: mid2.filter(|(mid2, _)| *mid2 > 0).map(|(mid2, spread)| spread_bps(mid2, spread)),
    }
}

fn spread_bps(mid2: i64, spread: i64) -> f64 {
    10_000.0 * float(i128::from(spread)) / (float(i128::from(mid2)) / 2.0)
}

fn features(rules: &Instrument, market: &Market) -> Vec<FeatureValue> {
    let unit = float(i128::from(rules.tick.units)) / (0..rules.tick.scale).fold(1.0, |ten, _| ten * 10.0);
    let top = if market.book.is_live() { market.book.top() } else { None };
    let value = |id, value| FeatureValue { id: note(id), value };
    let mut all = vec![
        value("price.vwap(session)@trade", market.common.vwap.value().map(|ticks| ticks * unit)),
        value("book.queue_imbalance(1)@change", top.map(|(bid, ask)| queue_imbalance(bid, ask))),
        value(
            "book.spread_bps()@change",
            top.map(|(bid, ask)| {
                spread_bps(mid2(bid.price, ask.price), ask.price.get().saturating_sub(bid.price.get()))
            }),
        ),
    ];
    for feature in market.tracks.iter().flat_map(|(_, strategy)| strategy.features()) {
        if all.iter().all(|known| known.id != feature.id) {
            all.push(feature);
        }
    }
    all
}

fn bar_view(rules: &Instrument, bar: &Bar) -> BarView {
    BarView {
        open_ns: bar.open_ns,
        open: rules.price(bar.open),
        high: rules.price(bar.high),
        low: rules.price(bar.low),
        close: rules.price(bar.close),
        volume: rules.qty(bar.volume),
        trades: bar.trades,
    }
}

fn position_view(account: &Account) -> PositionView {
    const MORE: u8 = 8;
    let rules = account.instrument();
    let position = i128::from(account.position().get());
    // Cost over position is a price in ticks; the division keeps eight digits more than the tick has.
    let price = (position != 0).then(|| {
        let ticks = account.cost().get() * 10i128.pow(MORE.into()) / position;
        Decimal::new(ticks * i128::from(rules.tick.units), rules.tick.scale + MORE)
    });
    PositionView {
        qty: rules.position(account.position()),
        sellable: rules.qty(account.sellable()),
        price,
        value: account.worth(),
    }
}

fn pnl_view(account: &Account) -> Pnl {
    Pnl {
        realized: account.instrument().value(account.realized()).normalized(),
        unrealized: account.unrealized().normalized(),
        fees: account.fees(),
        net: account.net(),
        day_net: None,
        day_loss_base: None,
    }
}

fn half(price: Decimal) -> Decimal {
    Decimal::new(price.mantissa * 5, price.scale + 1)
}
