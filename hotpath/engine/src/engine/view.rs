//! A snapshot of the engine for status and the web page: plain data, exact amounts as decimal text. Building it
//! allocates; it is asked for some ten times a second and decides nothing.

use super::{Engine, Market};
use crate::book::{BookState, Levels, mid2};
use crate::features::{Bar, FeatureValue, float, queue_imbalance};
use crate::orders::Order;
use crate::portfolio::Account;
use crate::risk::{Check, Refusal};
use crate::signals::{Intent, Signal};
use crate::stats::Stats;
use domain::event::{Level, Trade, note};
use domain::{ClientOrderId, Decimal, Instrument, InstrumentId, Lots, OrderRequest, Side, Ticks, VenueOrderId};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// 1s bars kept for the view.
pub const BARS_1S_KEPT: usize = 120;
/// 1m bars kept for the view.
pub const BARS_1M_KEPT: usize = 240;
/// Decisions kept for the view.
pub const DECISIONS_KEPT: usize = 50;
/// Fills kept for the view, per instrument.
pub const MARKERS_KEPT: usize = 200;
/// Levels shown on each side.
const DEPTH_SHOWN: usize = 10;

/// What a market remembers for the view alone.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) last_trade: Option<Trade>,
    bars_1s: VecDeque<Bar>,
    bars_1m: VecDeque<Bar>,
    markers: VecDeque<Marker>,
}

impl History {
    pub(super) fn push_1s(&mut self, bar: Bar) {
        push(&mut self.bars_1s, bar, BARS_1S_KEPT);
    }
    pub(super) fn push_1m(&mut self, bar: Bar) {
        push(&mut self.bars_1m, bar, BARS_1M_KEPT);
    }
    pub(super) fn push_marker(&mut self, marker: Marker) {
        push(&mut self.markers, marker, MARKERS_KEPT);
    }
}

/// The last decisions, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Decisions(VecDeque<Decision>);

impl Decisions {
    pub(super) fn push(&mut self, decision: Decision) {
        push(&mut self.0, decision, DECISIONS_KEPT);
    }
}

fn push<T>(ring: &mut VecDeque<T>, item: T, kept: usize) {
    if ring.len() == kept {
        ring.pop_front();
    }
    ring.push_back(item);
    assert!(ring.len() <= kept, "what is kept for the view is bounded");
}

/// One fill, to be drawn on a chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marker {
    pub(super) ts_recv_ns: u64,
    pub(super) order: ClientOrderId,
    pub(super) side: Side,
    pub(super) price: Ticks,
    pub(super) qty: Lots,
}

/// One signal and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// Number of the signal; audit records point at it.
    pub signal: u64,
    /// Which input of the engine it was made on, counted from 1.
    pub input: u64,
    /// Receive time, ns.
    pub ts_recv_ns: u64,
    /// Whose idea.
    pub strategy: String,
    /// Of what.
    pub instrument: InstrumentId,
    /// Venue symbol.
    pub symbol: String,
    /// Which way.
    pub side: Side,
    /// Entry or exit.
    pub intent: Intent,
    /// Rule that fired, in words.
    pub reason: &'static str,
    /// What it saw.
    pub features: Vec<FeatureValue>,
    /// Order made of it.
    pub order: ClientOrderId,
    /// Limit price.
    pub price: Decimal,
    /// Size.
    pub qty: Decimal,
    /// Which limit set the size.
    pub sized_by: &'static str,
    /// True when it was sent.
    pub approved: bool,
    /// Why not, if not.
    pub refusal: Option<Refusal>,
    /// Numbers looked at, each against its limit.
    pub checks: Vec<Check>,
}

impl Decision {
    pub(super) fn new(
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

/// Everything worth showing.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// Engine time: largest receive time seen, ns.
    pub now_ns: u64,
    /// The run, once a session began.
    pub run: Option<String>,
    /// Leader epoch.
    pub epoch: Option<u32>,
    /// One per instrument.
    pub instruments: Vec<InstrumentView>,
    /// Profit and loss per quote asset, over all instruments.
    pub pnl: BTreeMap<String, Pnl>,
    /// Fees paid per asset, as the venue took them.
    pub fees: BTreeMap<String, Decimal>,
    /// What the venue says we hold, per asset.
    pub balances: BTreeMap<String, BalanceView>,
    /// Open orders, oldest first.
    pub orders: Vec<OrderView>,
    /// The last decisions, newest first.
    pub decisions: Vec<Decision>,
    /// Whether new risk is allowed, and if not why.
    pub safety: Safety,
    /// Counters.
    pub stats: Stats,
    /// Effects so far.
    pub effects_count: u64,
    /// Running hash over them, hex.
    pub effects_hash: String,
}

/// One instrument.
#[derive(Clone, Debug, Serialize)]
pub struct InstrumentView {
    /// Index in the run.
    pub id: InstrumentId,
    /// Venue symbol.
    pub symbol: String,
    /// Venue.
    pub venue: &'static str,
    /// What is bought and sold.
    pub base: String,
    /// What it is paid in.
    pub quote: String,
    /// Version of the rules.
    pub version: u32,
    /// Its order book.
    pub book: BookView,
    /// Last public trade.
    pub last_trade: Option<TradeView>,
    /// Closed 1s bars, oldest first.
    pub bars_1s: Vec<BarView>,
    /// Closed 1m bars, oldest first.
    pub bars_1m: Vec<BarView>,
    /// Features now.
    pub features: Vec<FeatureValue>,
    /// What we hold.
    pub position: PositionView,
    /// Profit and loss.
    pub pnl: Pnl,
    /// Our fills, oldest first.
    pub markers: Vec<MarkerView>,
}

/// An order book.
#[derive(Clone, Debug, Serialize)]
pub struct BookView {
    /// Cold, syncing, live, stale.
    pub state: BookState,
    /// Why.
    pub reason: &'static str,
    /// Last applied update id.
    pub last_id: u64,
    /// Time since its last valid change, ms; none before the first.
    pub age_ms: Option<u64>,
    /// Best bids, best first: price and size.
    pub bids: Vec<[Decimal; 2]>,
    /// Best asks, best first: price and size.
    pub asks: Vec<[Decimal; 2]>,
    /// Middle of the best prices.
    pub mid: Option<Decimal>,
    /// Spread over mid, basis points.
    pub spread_bps: Option<f64>,
}

/// A public trade.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TradeView {
    /// Venue clock, ns.
    pub ts_venue_ns: u64,
    /// Price.
    pub price: Decimal,
    /// Size.
    pub qty: Decimal,
    /// Who took.
    pub aggressor: Side,
}

/// A closed bar.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BarView {
    /// Start, venue clock, ns.
    pub open_ns: u64,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Size traded.
    pub volume: Decimal,
    /// Number of trades.
    pub trades: u32,
}

/// A position.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PositionView {
    /// Sum of fills, in base.
    pub qty: Decimal,
    /// What of it can be sold, in base.
    pub sellable: Decimal,
    /// Average price paid, cut to 8 digits more than the tick; none when flat.
    pub price: Option<Decimal>,
    /// Worth at mid, in quote; none before there was a live book.
    pub value: Option<Decimal>,
}

/// Profit and loss in quote.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Pnl {
    /// From closed holdings, fees aside.
    pub realized: Decimal,
    /// Of what is held, at mid.
    pub unrealized: Decimal,
    /// Fees, valued in quote.
    pub fees: Decimal,
    /// Realised and open, less fees.
    pub net: Decimal,
    /// Net since 00:00 UTC (or since the operator resumed); per quote asset only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_net: Option<Decimal>,
}

/// A venue balance.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BalanceView {
    /// Free to use.
    pub free: Decimal,
    /// Held by open orders.
    pub locked: Decimal,
}

/// An open order.
#[derive(Clone, Debug, Serialize)]
pub struct OrderView {
    /// Ours.
    pub id: ClientOrderId,
    /// The venue's.
    pub venue_id: Option<VenueOrderId>,
    /// Venue symbol.
    pub symbol: String,
    /// Whose idea.
    pub strategy: String,
    /// The signal it came from.
    pub signal: u64,
    /// Where it stands.
    pub state: &'static str,
    /// Which way.
    pub side: Side,
    /// Limit price.
    pub price: Decimal,
    /// Size.
    pub qty: Decimal,
    /// Filled so far.
    pub filled: Decimal,
    /// Time since it was sent, ms.
    pub age_ms: u64,
}

/// One of our fills.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MarkerView {
    /// Receive time, ns.
    pub ts_recv_ns: u64,
    /// Which order.
    pub order: ClientOrderId,
    /// Which way.
    pub side: Side,
    /// Price.
    pub price: Decimal,
    /// Size.
    pub qty: Decimal,
}

/// Am I safe, and may new risk be taken?
#[derive(Clone, Debug, Serialize)]
pub struct Safety {
    /// Entries are stopped by the operator, a fault or a loss.
    pub halted: bool,
    /// Why.
    pub reason: Option<String>,
    /// True when an entry could be sent now, on one instrument at least.
    pub can_trade: bool,
    /// Everything that stands in the way of something, in words.
    pub reasons: Vec<String>,
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
        Pnl { net: self.portfolio.net(quote), day_net: Some(self.portfolio.day_net(quote)), ..sum }
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
        if self.control.loss_halted {
            reasons.push("entries are halted: the daily loss limit was reached".to_owned());
        }
        if !self.control.orders_up {
            reasons.push("the order connection is down".to_owned());
        }
        let blocked = !reasons.is_empty();
        let mut usable = 0;
        for (account, market) in self.shown() {
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
            reasons.push(format!("{unknown} orders have an unknown fate and count as live and as filled"));
        }
        let halted = self.control.halt.is_some() || self.control.loss_halted;
        Safety {
            halted,
            reason: halted.then(|| reasons[0].clone()),
            can_trade: !blocked && usable > 0,
            reasons,
        }
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
        venue: rules.venue.name(),
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
    let mid2 = book.top().map(|(bid, ask)| (mid2(bid.price, ask.price), ask.price.get() - bid.price.get()));
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
            top.map(|(bid, ask)| spread_bps(mid2(bid.price, ask.price), ask.price.get() - bid.price.get())),
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
    }
}

fn half(price: Decimal) -> Decimal {
    Decimal::new(price.mantissa * 5, price.scale + 1)
}
