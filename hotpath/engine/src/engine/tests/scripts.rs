//! Random scripts of everything that can happen: books that break, links that drop, restarts, and a venue that delays,
//! repeats, reorders and withholds its news. The venue keeps its own truth; after every event the engine is held
//! against it.
//!
//! What the venue never does: fill more than was ordered, or end a sell order before it has told of its fills (a buy it
//! may).

use crate::effect::{AuditRecord, Effect};
use crate::engine::Engine;
use crate::testing::*;
use domain::config::StrategyRule;
use domain::event::{Channel, Link, OperatorCommand, Quote, note};
use domain::order::VenueOrderStatus as Status;
use domain::{ClientOrderId, Event, ExecEvent, Lots, OrderRequest, Side, Venue};
use proptest::prelude::*;
use std::collections::BTreeSet;

const MS: u64 = 1_000_000;
const BID: i64 = 6_000_000;

/// An order as the venue knows it.
struct Truth {
    request: OrderRequest,
    arrived: bool,
    ended: Option<Status>,
    /// Name, size, and whether we were told.
    fills: Vec<(String, u64, bool)>,
    /// We were told of its end.
    end_told: bool,
}

impl Truth {
    fn filled(&self) -> u64 {
        self.fills.iter().map(|f| f.1).sum()
    }
    fn told(&self) -> u64 {
        self.fills.iter().filter(|f| f.2).map(|f| f.1).sum()
    }
    fn sign(&self) -> i64 {
        if self.request.side == Side::Buy { 1 } else { -1 }
    }
}

struct World {
    engine: Engine,
    now: u64,
    id: u64,
    orders: Vec<Truth>,
    asked: Vec<ClientOrderId>,
    snapshot_wanted: bool,
    halted: bool,
    epoch: u32,
    ids: BTreeSet<ClientOrderId>,
    /// The book is live, by what the engine told.
    live: bool,
    events: Vec<(u64, Event)>,
    effects: Vec<Effect>,
}

fn rules() -> [StrategyRule; 2] {
    let flow = StrategyRule::FlowImbalance {
        symbols: vec![],
        order_value: decimal("900"),
        window_s: 1,
        enter_bps: 100,
        exit_bps: -20_000,
        queue_imbalance_min_bps: -10_000,
        hold_s_max: 3,
        cooldown_s: 0,
        slippage_max_bps: 5,
    };
    let ema = StrategyRule::EmaCross {
        symbols: vec![],
        order_value: decimal("700"),
        fast_bars: 1,
        slow_bars: 2,
        volume_bars: 1,
        volume_ratio_min_bps: 0,
        atr_bars: 1,
        stop_atr_bps: 1_000,
        slippage_max_bps: 5,
    };
    [flow, ema]
}

impl World {
    fn new() -> Self {
        let mut world = World {
            engine: Engine::new(&config(&rules())).unwrap(),
            now: 1_000_000 * MS,
            id: 10,
            orders: vec![],
            asked: vec![],
            snapshot_wanted: false,
            halted: false,
            epoch: 1,
            ids: BTreeSet::new(),
            live: false,
            events: vec![],
            effects: vec![],
        };
        world.tell(session(1));
        world.tell(Event::Instrument(btcusdt()));
        world
    }

    fn tell(&mut self, event: Event) {
        let mut out = Vec::new();
        self.engine.step(self.now, &event, &mut out);
        self.events.push((self.now, event));
        self.take(&out);
        self.effects.append(&mut out);
        self.check();
    }

    fn take(&mut self, effects: &[Effect]) {
        let mut approved = None;
        for effect in effects {
            match effect {
                Effect::Audit(AuditRecord::Verdict { request, refusal, .. }) => {
                    approved = refusal.is_none().then_some(*request);
                }
                Effect::Send(sent) => {
                    assert_eq!(approved.take().as_ref(), Some(sent.request()), "sent means approved just before");
                    self.sent(*sent.request());
                }
                Effect::Query { id, .. } => self.asked.push(*id),
                Effect::RequestSnapshot { .. } => self.snapshot_wanted = true,
                Effect::Audit(AuditRecord::Halt { halted, .. }) => self.halted = *halted,
                Effect::Audit(AuditRecord::Book { state, .. }) => self.live = *state == "live",
                Effect::Cancel { id, .. } => assert!(self.ids.contains(id)),
                Effect::Audit(_) => {}
            }
        }
    }

    fn sent(&mut self, request: OrderRequest) {
        assert!(self.ids.insert(request.id), "I-02: an id is used once");
        // As told so far: the event of this very step may have ended it after the order was decided on.
        assert!(self.live, "I-10");
        assert!(!request.qty.is_zero());
        if request.side == Side::Buy {
            assert!(!self.halted, "no entry while halted");
            let may_buy = |o: &Truth| o.request.side == Side::Buy && !o.end_told;
            let out: u64 = self.orders.iter().filter(|o| may_buy(o)).map(|o| o.request.qty.get() - o.told()).sum();
            let worst = i128::from(self.told_position()) + i128::from(out + request.qty.get());
            let value = btcusdt().value(domain::TickLots::new(worst * i128::from(request.price.get())));
            assert!(value.checked_sub(decimal("5000")).unwrap().mantissa <= 0, "position limit, unknowns as filled");
        }
        let fresh = Truth { request, arrived: true, ended: None, fills: vec![], end_told: false };
        self.orders.push(fresh);
        if request.side == Side::Sell {
            let may_sell = |o: &&Truth| o.request.side == Side::Sell && !o.end_told;
            let out: u64 = self.orders.iter().filter(may_sell).map(|o| o.request.qty.get() - o.told()).sum();
            assert!(i64::try_from(out).unwrap() <= self.told_position(), "never sells more than is held");
        }
    }

    fn told_position(&self) -> i64 {
        self.orders.iter().map(|o| o.sign() * i64::try_from(o.told()).unwrap()).sum()
    }

    fn check(&self) {
        let live = self.engine.markets.first().and_then(Option::as_ref).is_some_and(|m| m.book.is_live());
        assert_eq!(self.live, live, "what the book is was told");
        let account = self.engine.portfolio.account(ID);
        assert_eq!(account.map_or(0, |a| a.position().get()), self.told_position(), "position = sum of distinct fills");
        let truth: i64 = self.orders.iter().map(|o| o.sign() * i64::try_from(o.filled()).unwrap()).sum();
        assert!(truth >= 0, "the venue never saw us short");
        for o in &self.orders {
            let ours = self.engine.orders.get(o.request.id).unwrap();
            assert_eq!(ours.filled.get(), o.told());
            assert!(ours.state.leaves().get() + ours.filled.get() <= ours.request.qty.get());
            let may_trade = o.arrived && o.ended.is_none();
            assert!(ours.state.is_open() || !may_trade, "I-04: an order that may trade is not given up");
        }
    }

    fn exec(&mut self, at: usize, event: ExecEvent) {
        self.tell(exec(self.orders[at].request.id, event));
    }

    /// Tells of a fill, the first time or again.
    fn tell_fill(&mut self, at: usize, n: usize) {
        let order = &mut self.orders[at];
        let (price, side) = (order.request.price.get(), order.request.side);
        let (name, qty, told) = &mut order.fills[n];
        *told = true;
        let fee = if side == Side::Buy { ("BTC", "0.000004") } else { ("USDT", "0.3") };
        let fill = fill(name, price, *qty, fee.0, fee.1);
        self.exec(at, ExecEvent::Filled(fill));
    }

    fn tell_all_fills(&mut self, at: usize) {
        for n in 0..self.orders[at].fills.len() {
            if !self.orders[at].fills[n].2 {
                self.tell_fill(at, n);
            }
        }
    }

    fn answer_query(&mut self, lie: bool) {
        let Some(id) = self.asked.pop() else { return };
        let Some(at) = self.orders.iter().position(|o| o.request.id == id) else { panic!("asked for a stranger") };
        if !self.orders[at].arrived {
            if !self.engine.orders.get(id).unwrap().state.is_open() {
                return;
            }
            self.exec(at, ExecEvent::NotFound);
            if !self.engine.orders.get(id).unwrap().state.is_open() {
                self.orders[at].end_told = true;
            }
            return;
        }
        // Sometimes the status overtakes the fills; the engine must see that they are missing.
        if !lie {
            self.tell_all_fills(at);
        }
        let order = &mut self.orders[at];
        let filled = order.filled();
        let status = order.ended.unwrap_or(Status::Open);
        if !lie || filled == order.told() {
            order.end_told |= order.ended.is_some();
        }
        let missing = filled > order.told();
        let open = self.engine.orders.get(id).unwrap().state.is_open();
        self.exec(at, ExecEvent::Found { status, filled: Lots::new(filled) });
        let after = self.engine.orders.get(id).unwrap().state.is_open();
        assert!(!missing || open == after, "no order ends while fills are missing");
    }

    /// One thing happens.
    fn act(&mut self, kind: u8, a: u64, b: u64) {
        self.now += (a % 7) * 40 * MS;
        let open: Vec<usize> =
            (0..self.orders.len()).filter(|&n| self.orders[n].arrived && self.orders[n].ended.is_none()).collect();
        let pick = |list: &[usize]| (!list.is_empty()).then(|| list[usize::try_from(b).unwrap() % list.len()]);
        match kind {
            0..=39 => self.market(kind, a, b),
            40..=49 => {
                if let Some(at) = pick(&open) {
                    self.venue_fills(at, a);
                }
            }
            50..=54 => {
                if let Some(at) = pick(&open) {
                    self.exec(at, accepted(a));
                }
            }
            55..=62 => {
                if let Some(at) = pick(&open) {
                    self.venue_ends(at, a);
                }
            }
            63..=66 => {
                if let Some(at) = pick(&open) {
                    self.exec(at, ExecEvent::OutcomeUnknown { reason: note("timeout") });
                }
            }
            67..=68 => {
                // It never reached the venue, and nobody says so.
                let untouched: Vec<_> = open.into_iter().filter(|&n| self.orders[n].fills.is_empty()).collect();
                if let Some(at) = pick(&untouched)
                    && self.engine.orders.get(self.orders[at].request.id).unwrap().venue_id.is_none()
                {
                    self.orders[at].arrived = false;
                }
            }
            69..=74 => {
                // A delayed fill at last, or one said twice.
                let filled: Vec<_> = (0..self.orders.len()).filter(|&n| !self.orders[n].fills.is_empty()).collect();
                if let Some(at) = pick(&filled) {
                    let n = usize::try_from(a).unwrap() % self.orders[at].fills.len();
                    self.tell_fill(at, n);
                }
            }
            75..=84 => self.answer_query(a.is_multiple_of(4)),
            85..=87 => self.now += 2_500 * MS,
            88 => self.now += 61_000 * MS,
            89 => self.tell(Event::Timer),
            90..=91 => self.link(Channel::Orders, a.is_multiple_of(2)),
            92 => self.link(Channel::Market, false),
            93..=94 => self.link(Channel::Market, true),
            95 => self.tell(Event::Operator(OperatorCommand::Halt { reason: note("h") })),
            96..=97 => self.tell(Event::Operator(OperatorCommand::Resume { reason: note("r") })),
            98 => self.tell(Event::Operator(OperatorCommand::CancelAll)),
            _ => {
                self.epoch += 1;
                self.tell(session(self.epoch));
            }
        }
    }

    fn link(&mut self, channel: Channel, up: bool) {
        self.tell(Event::Link(Link { venue: Venue::BINANCE, channel, up }));
    }

    fn market(&mut self, kind: u8, a: u64, b: u64) {
        let drift = i64::try_from(a % 9).unwrap() * 10;
        let (bid, ask) = (BID + drift, BID + 100 + drift);
        if self.snapshot_wanted && kind.is_multiple_of(3) {
            self.snapshot_wanted = false;
            if kind == 39 {
                return self.tell(Event::SnapshotFailed { instrument: ID, reason: note("503") });
            }
            // Now and then one change behind, which the buffer has to bridge.
            let s = snapshot(self.id - b % 2, &[(BID - 50, 5), (BID - 5_000, 9)], &[(BID + 300, 5), (BID + 5_000, 9)]);
            return self.tell(Event::BookSnapshot(s));
        }
        match kind {
            0..=2 => {
                let side = if b.is_multiple_of(2) { Side::Buy } else { Side::Sell };
                self.tell(Event::Trade(trade(self.now, bid, 1 + b % 50, side)));
            }
            3 => {
                let (bid, ask) = (level(bid, b + 1), level(ask, a + 1));
                self.tell(Event::Quote(Quote { instrument: ID, ts_venue_ns: 0, update_id: self.id, bid, ask }));
            }
            4 => {
                // A gap.
                self.id += 5;
                self.tell(Event::BookDelta(delta(self.id, self.id, &[(bid, 3)], &[])));
            }
            5 if b.is_multiple_of(3) => {
                self.id += 1;
                self.tell(Event::BookDelta(delta(self.id, self.id, &[(ask + 9_000, 3)], &[])));
            }
            _ => {
                // One id or two; two can straddle a snapshot.
                let first = self.id + 1;
                self.id = first + a % 2;
                let (bids, asks) = ([(BID - 50, 1 + a % 60), (BID - 60, b % 3)], [(BID + 300, 1 + b % 60)]);
                self.tell(Event::BookDelta(delta(first, self.id, &bids, &asks)));
            }
        }
    }

    fn venue_fills(&mut self, at: usize, a: u64) {
        let order = &mut self.orders[at];
        let left = order.request.qty.get() - order.filled();
        let qty = (1 + a % 400).min(left);
        let n = order.fills.len();
        order.fills.push((format!("{}-{n}", order.request.id.sequence), qty, false));
        if qty == left {
            order.ended = Some(Status::Filled);
        }
        if !a.is_multiple_of(3) {
            self.tell_fill(at, n);
        }
        let order = &mut self.orders[at];
        order.end_told |= order.ended.is_some() && order.told() == order.request.qty.get();
    }

    fn venue_ends(&mut self, at: usize, a: u64) {
        if self.orders[at].request.side == Side::Sell {
            self.tell_all_fills(at);
        }
        let order = &mut self.orders[at];
        let (status, news) = match a % 3 {
            0 => (Status::Cancelled, ExecEvent::Cancelled),
            1 => (Status::Expired, ExecEvent::Expired),
            _ if order.fills.is_empty() => (Status::Rejected, ExecEvent::Rejected { reason: note("no") }),
            _ => (Status::Expired, ExecEvent::Expired),
        };
        order.ended = Some(status);
        if !a.is_multiple_of(5) {
            order.end_told = true;
            self.exec(at, news);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_the_invariants_hold_and_the_same_events_give_the_same_effects(
        script in prop::collection::vec((0u8..100, 0u64..1_000, 0u64..1_000), 50..600), cut in 0usize..600,
    ) {
        let mut world = World::new();
        for &(kind, a, b) in &script {
            world.act(kind, a, b);
        }
        let mut again = Engine::new(&config(&rules())).unwrap();
        let (mut effects, mut copy, mut copied) = (Vec::new(), None, Vec::new());
        for (at, (now, event)) in world.events.iter().enumerate() {
            if at == cut.min(world.events.len() - 1) {
                copy = Some(again.clone());
                copied.clone_from(&effects);
            }
            again.step(*now, event, &mut effects);
            if let Some(copy) = &mut copy {
                copy.step(*now, event, &mut copied);
            }
        }
        // Compared as text, because a feature that is not a number would not equal itself.
        prop_assert_eq!(format!("{effects:?}"), format!("{:?}", world.effects));
        prop_assert_eq!(format!("{copied:?}"), format!("{:?}", world.effects));
        prop_assert_eq!(again.effects_hash(), world.engine.effects_hash());
        prop_assert_eq!(copy.unwrap().effects_hash(), world.engine.effects_hash());
        prop_assert_eq!(world.engine.effects_count(), world.effects.len() as u64);
        serde_json::to_string(&world.engine.view()).unwrap();
    }
}

/// The scripts above would prove little if nothing happened in them.
#[test]
fn a_long_script_reaches_every_kind_of_news() {
    let mut world = World::new();
    // A fixed linear congruential sequence: any full-period one will do.
    let mut x = 12_345u64;
    let mut draw = |n: u64| {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 33) % n
    };
    for _ in 0..40_000 {
        let (kind, a, b) = (draw(100), draw(1_000), draw(1_000));
        world.act(u8::try_from(kind).unwrap(), a, b);
    }
    let s = *world.engine.stats();
    let counts = [
        s.fills,
        s.signals,
        s.bars,
        s.orders.sent,
        s.orders.denied,
        s.orders.filled,
        s.orders.cancelled,
        s.orders.expired,
        s.orders.rejected,
        s.orders.never_arrived,
        s.orders.unknown,
        s.orders.queries,
        s.orders.cancels,
        s.orders.fills_duplicate,
        s.orders.misfits,
        s.book.diffs_applied,
        s.book.diffs_bridged,
        s.book.sequence_breaks,
        s.book.crossed,
        s.book.snapshots,
        s.book.snapshots_failed,
        s.book.tops_compared,
    ];
    assert!(counts.iter().all(|&n| n > 0), "{s:?}");
    let sells = world.orders.iter().filter(|o| o.request.side == Side::Sell).count();
    assert!(sells > 10, "{sells} sells");
}
