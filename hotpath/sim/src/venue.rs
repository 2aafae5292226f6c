//! The simulated venue: our orders against a public market that does not know of them.
//!
//! Our orders rest *behind* what the feed displays and never change the market. What happens:
//! * a public trade at our price moves us forward in the queue and fills us with what is left of it; it is shared
//!   once over all our orders, best price first, then oldest first;
//! * a best price on the other side that crosses our resting price fills us up to the size seen there;
//! * an order that can trade at once walks the displayed book, and what it takes stays taken ([`crate::book`]);
//! * refusals, fees, locked funds and ids follow Binance Spot; fees are charged in the quote asset.
//!
//! Left out on purpose: our impact beyond the size we take, stop orders, amendments, balances in a third fee asset.
//! How trades become fills is in `matching`.

use crate::account::Account;
use crate::book::Book;
use crate::order::{NewOrder, OwnTrade, Reject, SimKind, SimOrder, SimOutput, SimStatus};
use crate::queue::{QueueModel, QueuePosition};
use domain::config::Fees;
use domain::event::{Balance, ExecReport, note};
use domain::order::{ExecEvent, TimeInForce};
use domain::{
    Asset, ClientOrderId, Decimal, Event, Instrument, InstrumentId, Lots, Side, TickLots, Venue, VenueOrderId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

/// How the venue behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimConfig {
    /// Whom it plays.
    pub venue: Venue,
    /// Fees, basis points of value, charged in quote.
    pub fees: Fees,
    /// Who cancelled when the queue shrinks without a trade.
    pub queue: QueueModel,
    /// Time in which liquidity we took has grown back, ns.
    pub refill_ns: u64,
    /// Most open orders per instrument.
    pub open_orders_max: usize,
    /// Closed orders and own trades remembered; older ones are forgotten.
    pub history_max: usize,
    /// Holdings at the start.
    pub balances: Vec<(Asset, Decimal)>,
}

impl Default for SimConfig {
    /// Binance Spot without discounts: 10 bps both ways, 200 open orders, pessimistic queue, refill in 10 s.
    fn default() -> Self {
        Self {
            venue: Venue::BINANCE,
            fees: Fees { maker_bps: 10, taker_bps: 10 },
            queue: QueueModel::Pessimistic,
            refill_ns: 10_000_000_000,
            open_orders_max: 200,
            history_max: 100_000,
            balances: Vec::new(),
        }
    }
}

/// One instrument: its rules, its market, our resting orders in order of arrival.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub instrument: Instrument,
    pub book: Book,
    pub resting: Vec<u64>,
}

/// The venue. Same inputs, same outputs.
#[derive(Clone, Debug)]
pub struct SimVenue {
    pub(crate) config: SimConfig,
    pub(crate) account: Account,
    pub(crate) listings: BTreeMap<InstrumentId, Listing>,
    pub(crate) orders: BTreeMap<u64, SimOrder>,
    by_client: BTreeMap<ClientOrderId, u64>,
    closed: VecDeque<u64>,
    trades: VecDeque<OwnTrade>,
    orders_count: u64,
    trades_count: u64,
    touched: BTreeSet<Asset>,
}

impl SimVenue {
    /// A venue without instruments; they come as [`Event::Instrument`].
    pub fn new(config: SimConfig) -> Self {
        let account = Account::new(&config.balances);
        Self {
            config,
            account,
            listings: BTreeMap::new(),
            orders: BTreeMap::new(),
            by_client: BTreeMap::new(),
            closed: VecDeque::new(),
            trades: VecDeque::new(),
            orders_count: 0,
            trades_count: 0,
            touched: BTreeSet::new(),
        }
    }

    /// Applies a public event: instrument, snapshot, delta, quote or trade; others change nothing.
    pub fn on_market(&mut self, ts_ns: u64, event: &Event, out: &mut Vec<SimOutput>) {
        match event {
            Event::Instrument(instrument) => self.list(ts_ns, instrument, out),
            Event::BookSnapshot(b) => self.on_book(ts_ns, b.instrument, out, |book| book.on_snapshot(b)),
            Event::BookDelta(b) => self.on_book(ts_ns, b.instrument, out, |book| book.on_delta(b)),
            Event::Quote(q) => self.on_book(ts_ns, q.instrument, out, |book| book.on_quote(q)),
            Event::Trade(t) => self.on_trade(ts_ns, t, out),
            Event::Session(_)
            | Event::SnapshotFailed { .. }
            | Event::BookGap { .. }
            | Event::Bar(_)
            | Event::Mark(_)
            | Event::Funding(_)
            | Event::OpenInterest(_)
            | Event::Liquidation(_)
            | Event::Status(_)
            | Event::Link(_)
            | Event::Exec(_)
            | Event::Balance(_)
            | Event::Operator(_)
            | Event::Timer => {}
        }
        self.report_balances(out);
    }

    fn list(&mut self, ts_ns: u64, instrument: &Instrument, out: &mut Vec<SimOutput>) {
        self.account.know(instrument.base);
        self.account.know(instrument.quote);
        let fresh =
            || Listing { instrument: instrument.clone(), book: Book::new(self.config.refill_ns), resting: Vec::new() };
        let listing = self.listings.entry(instrument.id).or_insert_with(fresh);
        let same_units = (listing.instrument.tick, listing.instrument.lot) == (instrument.tick, instrument.lot);
        if same_units {
            listing.instrument = instrument.clone();
            return;
        }
        // Prices and sizes mean something else now: nothing open or known can be kept.
        for venue_id in listing.resting.clone() {
            self.close(ts_ns, venue_id, SimStatus::Expired, ExecEvent::Expired, out);
        }
        let listing =
            Listing { instrument: instrument.clone(), book: Book::new(self.config.refill_ns), resting: Vec::new() };
        self.listings.insert(instrument.id, listing);
    }

    /// Takes a new order and lets it trade. Returns the venue's id.
    ///
    /// # Errors
    /// [`Reject`]; the refusal is also put to `out`, and nothing else changed.
    pub fn submit(&mut self, ts_ns: u64, new: &NewOrder, out: &mut Vec<SimOutput>) -> Result<u64, Reject> {
        if let Err(reason) = self.check(ts_ns, new) {
            let event = ExecEvent::Rejected { reason: note(&reason.to_string()) };
            out.push(SimOutput::Refused { report: ExecReport { id: new.id, ts_venue_ns: ts_ns, event }, reason });
            return Err(reason);
        }
        let venue_id = self.accept(ts_ns, new, out);
        let limit = (new.kind != SimKind::Market).then_some(new.price);
        let all_or_nothing = limit.is_some() && new.tif == TimeInForce::Fok;
        if !all_or_nothing || self.within_reach(ts_ns, new) >= new.qty {
            self.take(ts_ns, venue_id, limit, out);
        }
        let rests = limit.is_some() && new.tif == TimeInForce::Gtc;
        let open = self.orders.get(&venue_id).is_some_and(|o| o.status.is_open());
        if open && rests {
            self.rest(venue_id);
        } else if open {
            self.close(ts_ns, venue_id, SimStatus::Expired, ExecEvent::Expired, out);
        }
        self.report_balances(out);
        Ok(venue_id)
    }

    /// Cancels an open order. Returns it as it ended.
    ///
    /// # Errors
    /// [`Reject::UnknownOrder`] when no order with this id is open; also put to `out`.
    pub fn cancel(&mut self, ts_ns: u64, id: &ClientOrderId, out: &mut Vec<SimOutput>) -> Result<SimOrder, Reject> {
        let Some(order) = self.order(id).filter(|o| o.status.is_open()).copied() else {
            let reason = Reject::UnknownOrder;
            let event = ExecEvent::CancelRejected { reason: note(&reason.to_string()) };
            out.push(SimOutput::Refused { report: ExecReport { id: *id, ts_venue_ns: ts_ns, event }, reason });
            return Err(reason);
        };
        self.close(ts_ns, order.venue_id, SimStatus::Cancelled, ExecEvent::Cancelled, out);
        self.report_balances(out);
        Ok(self.orders.get(&order.venue_id).copied().unwrap_or(order))
    }

    /// Cancels one order and sends another. With `go_on` the new one is sent even if the cancel failed.
    ///
    /// Returns both answers; the second is `None` when the new order was not tried.
    pub fn cancel_replace(
        &mut self,
        ts_ns: u64,
        cancel: &ClientOrderId,
        new: &NewOrder,
        go_on: bool,
        out: &mut Vec<SimOutput>,
    ) -> (Result<SimOrder, Reject>, Option<Result<u64, Reject>>) {
        let cancelled = self.cancel(ts_ns, cancel, out);
        let placed = (cancelled.is_ok() || go_on).then(|| self.submit(ts_ns, new, out));
        (cancelled, placed)
    }

    /// The newest order with this client id.
    pub fn order(&self, id: &ClientOrderId) -> Option<&SimOrder> {
        self.by_client.get(id).and_then(|venue_id| self.orders.get(venue_id))
    }
    /// The order with this venue id.
    pub fn order_by_venue_id(&self, venue_id: u64) -> Option<&SimOrder> {
        self.orders.get(&venue_id)
    }
    /// Every remembered order, oldest first.
    pub fn orders(&self) -> impl Iterator<Item = &SimOrder> {
        self.orders.values()
    }
    /// Open orders, oldest first.
    pub fn open_orders(&self) -> impl Iterator<Item = &SimOrder> {
        let mut ids: Vec<u64> = self.listings.values().flat_map(|l| l.resting.iter().copied()).collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.orders.get(&id))
    }
    /// Remembered own trades with an id of at least `trade_id`, oldest first.
    pub fn fills_since(&self, trade_id: u64) -> impl DoubleEndedIterator<Item = &OwnTrade> {
        // Ids count up by one, so the place follows from the id.
        let oldest = self.trades.front().map_or(0, |t| t.trade_id);
        let skip = usize::try_from(trade_id.saturating_sub(oldest)).unwrap_or(usize::MAX);
        self.trades.range(skip.min(self.trades.len())..)
    }
    /// Remembered trades of one order, oldest first.
    pub fn fills_of(&self, venue_id: u64) -> Vec<OwnTrade> {
        let Some(order) = self.orders.get(&venue_id) else { return Vec::new() };
        let since = self.trades.iter().rev().take_while(|t| t.ts_ns >= order.created_ns);
        let mut own: Vec<OwnTrade> = since.filter(|t| t.venue_id == venue_id).copied().collect();
        own.reverse();
        own
    }
    /// Every asset's balance, in name order.
    pub fn balances(&self) -> Vec<Balance> {
        self.account.balances(self.config.venue)
    }
    /// The fees it charges.
    pub const fn fees(&self) -> &Fees {
        &self.config.fees
    }
    /// The market as the venue sees it.
    pub fn book(&self, instrument: InstrumentId) -> Option<&Book> {
        self.listings.get(&instrument).map(|l| &l.book)
    }
    /// The rules in force.
    pub fn instrument(&self, instrument: InstrumentId) -> Option<&Instrument> {
        self.listings.get(&instrument).map(|l| &l.instrument)
    }

    fn accept(&mut self, ts_ns: u64, new: &NewOrder, out: &mut Vec<SimOutput>) -> u64 {
        self.orders_count += 1;
        let venue_id = self.orders_count;
        let instrument = &self.listings[&new.instrument].instrument;
        let (asset, locked) = match new.side {
            Side::Sell => (instrument.base, instrument.qty(new.qty)),
            Side::Buy if new.kind == SimKind::Market => (instrument.quote, Decimal::ZERO),
            Side::Buy => (instrument.quote, self.hold(instrument, new.price, new.qty)),
        };
        self.account.lock(asset, locked);
        self.touched.insert(asset);
        let order = SimOrder {
            venue_id,
            request: *new,
            filled: Lots::ZERO,
            value_filled: TickLots::ZERO,
            status: SimStatus::New,
            created_ns: ts_ns,
            updated_ns: ts_ns,
            locked,
            queue: QueuePosition::behind_all(None),
        };
        self.orders.insert(venue_id, order);
        self.by_client.insert(new.id, venue_id);
        let mut text = VenueOrderId::new();
        write!(text, "{venue_id}").expect("20 digits fit");
        let report = ExecReport { id: new.id, ts_venue_ns: ts_ns, event: ExecEvent::Accepted { venue_order_id: text } };
        out.push(SimOutput::Exec { report, order });
        venue_id
    }

    fn rest(&mut self, venue_id: u64) {
        let Some(order) = self.orders.get_mut(&venue_id) else { return };
        let Some(listing) = self.listings.get_mut(&order.request.instrument) else { return };
        order.queue = QueuePosition::behind_all(listing.book.displayed(order.request.side, order.request.price));
        listing.resting.push(venue_id);
    }

    /// Ends an open order and gives back what it held.
    pub(crate) fn close(
        &mut self,
        ts_ns: u64,
        venue_id: u64,
        status: SimStatus,
        event: ExecEvent,
        out: &mut Vec<SimOutput>,
    ) {
        let Some(order) = self.orders.get_mut(&venue_id) else { return };
        let held = order.locked;
        order.locked = Decimal::ZERO;
        order.status = status;
        order.updated_ns = ts_ns;
        let order = *order;
        let instrument = &self.listings[&order.request.instrument].instrument;
        let asset = if order.request.side == Side::Buy { instrument.quote } else { instrument.base };
        self.account.unlock(asset, held);
        self.touched.insert(asset);
        self.retire(&order);
        let report = ExecReport { id: order.request.id, ts_venue_ns: ts_ns, event };
        out.push(SimOutput::Exec { report, order });
    }

    /// Takes a closed order off the book and forgets the oldest beyond the bound.
    pub(crate) fn retire(&mut self, order: &SimOrder) {
        if let Some(listing) = self.listings.get_mut(&order.request.instrument) {
            listing.resting.retain(|id| *id != order.venue_id);
        }
        self.closed.push_back(order.venue_id);
        if self.closed.len() > self.config.history_max
            && let Some(oldest) = self.closed.pop_front()
            && let Some(gone) = self.orders.remove(&oldest)
            && self.by_client.get(&gone.request.id) == Some(&oldest)
        {
            self.by_client.remove(&gone.request.id);
        }
    }

    pub(crate) fn next_trade_id(&mut self) -> u64 {
        self.trades_count += 1;
        self.trades_count
    }

    pub(crate) fn remember(&mut self, trade: OwnTrade) {
        if self.trades.len() == self.config.history_max {
            self.trades.pop_front();
        }
        self.trades.push_back(trade);
    }

    pub(crate) fn touch(&mut self, asset: Asset) {
        self.touched.insert(asset);
    }

    fn report_balances(&mut self, out: &mut Vec<SimOutput>) {
        while let Some(asset) = self.touched.pop_first() {
            out.push(SimOutput::Balance(self.account.balance(self.config.venue, asset)));
        }
    }
}
