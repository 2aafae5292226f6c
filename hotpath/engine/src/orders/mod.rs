//! Our orders and what we know of them. News goes through [`OrderState::on`]; fills are booked once (I-21); an order
//! whose fate is not proven is `Unknown` and is asked about until it is (I-04).
//!
//! The table says what has to be done ([`Outcome`], [`Orders::due`]); the engine does it.

mod pricing;
mod query;

pub use pricing::limit_price;
pub use query::{ANSWER_WAIT_NS, DEADLINE_NS, NOT_FOUND_SPACING_NS};

use domain::order::{Closed, Fill, TimeInForce, VenueOrderStatus};
use domain::{
    ClientOrderId, ExecEvent, FillId, InstrumentId, Lots, OrderRequest, OrderState, Side, StrategyId, VenueOrderId,
};
use query::Query;
use std::collections::{BTreeMap, VecDeque};

/// Closed orders kept to recognise late and repeated news. Older ones are forgotten.
pub const CLOSED_KEPT: usize = 10_000;

/// One of our orders.
#[derive(Clone, Debug)]
pub struct Order {
    /// As it was sent.
    pub request: OrderRequest,
    /// Where it stands.
    pub state: OrderState,
    /// Sum of its distinct fills.
    pub filled: Lots,
    /// The venue's id, once known.
    pub venue_id: Option<VenueOrderId>,
    /// Receive time of the event it was made on, ns.
    pub sent_ns: u64,
    /// The signal it came from.
    pub signal: u64,
    fills: Vec<FillId>,
    /// Receive time of the last sign of it, ns; for the wait for an answer.
    heard_ns: u64,
    query: Option<Query>,
}

/// What a piece of news changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Instrument of the order.
    pub instrument: InstrumentId,
    /// Strategy of the order.
    pub strategy: StrategyId,
    /// Side of the order.
    pub side: Side,
    /// State before.
    pub from: OrderState,
    /// State after.
    pub to: OrderState,
    /// A fill to book.
    pub fill: Option<Fill>,
    /// The fill was booked before.
    pub duplicate: bool,
    /// What did not fit.
    pub error: Option<String>,
}

/// All orders of a run.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    all: BTreeMap<ClientOrderId, Order>,
    /// Ids of orders not closed, oldest first.
    open: Vec<ClientOrderId>,
    /// Ids of closed orders, in the order they closed.
    closed: VecDeque<ClientOrderId>,
    /// Closed orders the venue has to be asked about, because it knows of fills we have not seen.
    doubtful: Vec<ClientOrderId>,
    /// Send times of the last minute, oldest first.
    sent: VecDeque<u64>,
}

impl Orders {
    /// Notes an order that is being sent.
    ///
    /// # Panics
    /// When its id was used before (I-02).
    pub fn insert(&mut self, now_ns: u64, request: OrderRequest, signal: u64) {
        assert!(!request.qty.is_zero(), "an order has a size");
        let order = Order {
            request,
            state: OrderState::sent(request.qty),
            filled: Lots::ZERO,
            venue_id: None,
            sent_ns: now_ns,
            signal,
            fills: Vec::new(),
            heard_ns: now_ns,
            query: None,
        };
        let before = self.all.insert(request.id, order);
        assert!(before.is_none(), "I-02: an order id is used once");
        self.open.push(request.id);
        assert!(self.sent.back().is_none_or(|&last| last <= now_ns), "orders are sent in order of time");
        self.sent.push_back(now_ns);
    }

    /// One order, open or lately closed.
    pub fn get(&self, id: ClientOrderId) -> Option<&Order> {
        self.all.get(&id)
    }
    /// Orders not closed, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Order> {
        self.open.iter().map(|id| &self.all[id])
    }
    /// Number of orders not closed.
    pub const fn open_count(&self) -> usize {
        self.open.len()
    }
    /// What open orders may still trade on one side of an instrument; unknown ones included.
    pub fn open_leaves(&self, instrument: InstrumentId, side: Side) -> Lots {
        let of = |o: &&Order| o.request.instrument == instrument && o.request.side == side;
        let sum = self.open().filter(of).map(|o| o.state.leaves().get()).fold(0u64, u64::saturating_add);
        Lots::new(sum)
    }
    /// True while the strategy has an order open on the instrument; on one side if given.
    pub fn is_busy(&self, strategy: StrategyId, instrument: InstrumentId, side: Option<Side>) -> bool {
        self.open().any(|o| {
            o.request.strategy == strategy
                && o.request.instrument == instrument
                && side.is_none_or(|side| side == o.request.side)
        })
    }
    /// Orders sent in the last `span_ns` before `now_ns`; spans up to a minute.
    pub fn sent_within(&mut self, now_ns: u64, span_ns: u64) -> u32 {
        const KEPT_NS: u64 = 60_000_000_000;
        while self.sent.front().is_some_and(|&t| t.saturating_add(KEPT_NS) <= now_ns) {
            self.sent.pop_front();
        }
        let n = self.sent.iter().rev().take_while(|&&t| t.saturating_add(span_ns) > now_ns).count();
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// News of one of our orders; `None` when this run does not know it.
    pub fn on_exec(&mut self, now_ns: u64, id: ClientOrderId, event: &ExecEvent) -> Option<Outcome> {
        let order = self.all.get_mut(&id)?;
        let outcome = order.hear(now_ns, event);
        let whole = order.filled >= order.request.qty;
        assert!(whole || outcome.to != OrderState::Closed(Closed::Filled), "an order is filled when its fills add up");
        if outcome.from.is_open() && !outcome.to.is_open() {
            self.close(id);
        }
        self.watch(id);
        Some(outcome)
    }

    /// We sent a cancel for it. Returns the states before and after.
    pub fn cancel_sent(&mut self, now_ns: u64, id: ClientOrderId) -> Option<(OrderState, OrderState)> {
        let order = self.all.get_mut(&id)?;
        let from = order.state;
        order.state = from.cancel_sent();
        order.heard_ns = now_ns;
        if !matches!(order.state, OrderState::Unknown { .. }) {
            order.query = None;
        }
        Some((from, order.state))
    }

    /// We lost sight of every open order: calls `each` with what moved. Nothing is asked yet.
    pub fn lose_sight(&mut self, mut each: impl FnMut(&Order, OrderState)) {
        for id in &self.open {
            let order = self.all.get_mut(id).expect("open orders are in the table");
            let from = order.state;
            order.state = from.lost_sight();
            order.query.get_or_insert_with(Query::at_once);
            each(order, from);
        }
    }

    /// Every unknown order is to be asked about now.
    pub fn ask_all(&mut self) {
        for id in self.open.iter().chain(&self.doubtful) {
            let order = self.all.get_mut(id).expect("watched orders are in the table");
            if order.query.is_some() || matches!(order.state, OrderState::Unknown { .. }) {
                order.query = Some(order.query.take().map_or_else(Query::at_once, Query::again));
            }
        }
    }

    /// Orders waiting too long for an answer become unknown. Calls `each` with what moved.
    pub fn on_time(&mut self, now_ns: u64, mut each: impl FnMut(&Order, OrderState)) {
        for id in &self.open {
            let order = self.all.get_mut(id).expect("open orders are in the table");
            let waiting = match order.state {
                OrderState::InFlight { .. } | OrderState::Cancelling { .. } => true,
                // What cannot rest must end at once; silence means that its end was lost on the way.
                OrderState::Live { .. } => order.request.tif != TimeInForce::Gtc,
                OrderState::Unknown { .. } | OrderState::Closed(_) => false,
            };
            if waiting && now_ns >= order.heard_ns.saturating_add(ANSWER_WAIT_NS) {
                let from = order.state;
                order.state = from.lost_sight();
                order.query = Some(Query::at_once());
                each(order, from);
            }
        }
    }

    /// Orders to ask the venue about now; each call counts as asked.
    pub fn due(&mut self, now_ns: u64, mut each: impl FnMut(&OrderRequest)) {
        for id in self.open.iter().chain(&self.doubtful) {
            let order = self.all.get_mut(id).expect("watched orders are in the table");
            if let Some(query) = &mut order.query
                && query.is_due(now_ns)
            {
                query.asked(now_ns);
                each(&order.request);
                assert!(!query.is_due(now_ns), "no order is asked about twice at once");
            }
        }
    }

    fn close(&mut self, id: ClientOrderId) {
        let before = self.open.len();
        self.open.retain(|open| *open != id);
        assert!(self.open.len() + 1 == before, "an order is open once");
        self.closed.push_back(id);
        if self.closed.len() > CLOSED_KEPT
            && let Some(oldest) = self.closed.pop_front()
        {
            self.doubtful.retain(|d| *d != oldest);
            self.all.remove(&oldest);
        }
        assert!(self.closed.len() <= CLOSED_KEPT, "what is kept of the past is bounded");
        assert!(self.all.len() == self.open.len() + self.closed.len(), "an order is open or closed");
    }

    /// Keeps the list of closed orders with open questions.
    fn watch(&mut self, id: ClientOrderId) {
        let doubtful = self.all.get(&id).is_some_and(|o| !o.state.is_open() && o.query.is_some());
        match (doubtful, self.doubtful.iter().position(|d| *d == id)) {
            (true, None) => self.doubtful.push(id),
            (false, Some(at)) => {
                self.doubtful.remove(at);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}

impl Order {
    fn hear(&mut self, now_ns: u64, event: &ExecEvent) -> Outcome {
        let from = self.state;
        let mut outcome = Outcome {
            instrument: self.request.instrument,
            strategy: self.request.strategy,
            side: self.request.side,
            from,
            to: from,
            fill: None,
            duplicate: false,
            error: None,
        };
        match event {
            ExecEvent::Filled(fill) => self.hear_fill(fill, &mut outcome),
            ExecEvent::Found { status, filled } => self.hear_found(now_ns, *status, *filled, event, &mut outcome),
            ExecEvent::NotFound => self.hear_not_found(now_ns, event, &mut outcome),
            ExecEvent::Accepted { venue_order_id } => {
                self.venue_id = Some(*venue_order_id);
                self.apply(event, &mut outcome);
            }
            ExecEvent::Rejected { .. }
            | ExecEvent::Cancelled
            | ExecEvent::Expired
            | ExecEvent::CancelRejected { .. }
            | ExecEvent::OutcomeUnknown { .. } => self.apply(event, &mut outcome),
        }
        self.heard_ns = now_ns;
        self.plan(&outcome);
        outcome.to = self.state;
        assert!(outcome.to.leaves() <= from.leaves(), "what may still trade never grows");
        assert!(from.is_open() || !outcome.to.is_open(), "what has ended stays ended");
        let unknown = matches!(outcome.to, OrderState::Unknown { .. });
        assert!(!unknown || self.query.is_some(), "I-04: an unknown order is asked about");
        assert!(outcome.fill.is_none() || !outcome.duplicate, "I-21: a fill is booked or was booked before");
        outcome
    }

    fn apply(&mut self, event: &ExecEvent, outcome: &mut Outcome) {
        match self.state.on(event) {
            Ok(to) => self.state = to,
            Err(error) => {
                outcome.error = Some(error.to_string());
                self.query = Some(Query::at_once());
            }
        }
    }

    /// A fill is a fact: it is booked once, whatever the order's state says of it.
    fn hear_fill(&mut self, fill: &Fill, outcome: &mut Outcome) {
        if self.fills.contains(&fill.id) {
            outcome.duplicate = true;
            return;
        }
        self.fills.push(fill.id);
        self.filled = Lots::new(self.filled.get().saturating_add(fill.qty.get()));
        outcome.fill = Some(*fill);
        self.apply(&ExecEvent::Filled(*fill), outcome);
        let leaves = self.state.leaves();
        if outcome.error.is_some() && self.state.is_open() && fill.qty > leaves {
            // More than was ordered: what was left is certainly gone.
            let rest = Fill { qty: leaves, ..*fill };
            self.state = self.state.on(&ExecEvent::Filled(rest)).unwrap_or(self.state);
        }
    }

    /// The venue lists fills before it states the status. If it counts more than we have seen, some are still to come,
    /// and the order must not end before they are booked.
    fn hear_found(
        &mut self,
        now_ns: u64,
        status: VenueOrderStatus,
        filled: Lots,
        event: &ExecEvent,
        outcome: &mut Outcome,
    ) {
        if filled > self.filled {
            outcome.error =
                Some(format!("the venue counts {} lots filled, we saw {}", filled.get(), self.filled.get()));
            if self.state.is_open() {
                self.state = self.state.lost_sight();
            }
            // Asked again at its own pace: the answer just came, and the next one needs time to differ.
            self.query = Some(self.query.take().unwrap_or_else(|| Query::after(now_ns)));
            return;
        }
        self.query = None;
        self.apply(event, outcome);
        if status == VenueOrderStatus::Filled && self.state.is_open() {
            self.query = Some(Query::after(now_ns));
        }
    }

    /// "Not found" proves something only when the order had time to arrive and the answers lie apart: a venue's query
    /// side lags its matching side.
    fn hear_not_found(&mut self, now_ns: u64, event: &ExecEvent, outcome: &mut Outcome) {
        if !self.state.is_open() {
            self.query = None;
            return;
        }
        if self.filled > Lots::ZERO {
            // It traded, so it exists; the answer is wrong.
            outcome.error = Some("the venue does not know an order it has filled".to_owned());
            self.state = self.state.lost_sight();
            return;
        }
        let arrived_by = self.sent_ns.saturating_add(DEADLINE_NS);
        let query = self.query.get_or_insert_with(|| Query::after(now_ns));
        if now_ns >= arrived_by && query.counts_not_found(now_ns) {
            self.apply(event, outcome);
        } else {
            self.state = self.state.lost_sight();
        }
    }

    /// Unknown orders are asked about, settled ones are not. An order that was closed before keeps its question until an
    /// answer agrees with what we booked; see `hear_found`.
    fn plan(&mut self, outcome: &Outcome) {
        match self.state {
            OrderState::Unknown { .. } => {
                self.query.get_or_insert_with(Query::at_once);
            }
            OrderState::InFlight { .. }
            | OrderState::Live { .. }
            | OrderState::Cancelling { .. }
            | OrderState::Closed(_) => {
                if outcome.from.is_open() && outcome.error.is_none() {
                    self.query = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
