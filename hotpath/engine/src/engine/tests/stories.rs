//! Short stories through the whole engine: what comes in, and what must go out.

use crate::effect::{AuditRecord, Effect};
use crate::engine::market::TRADE_AHEAD_NS_MAX;
use crate::engine::{ConfigError, Engine};
use crate::risk::Refusal;
use crate::testing::*;
use domain::config::StrategyRule;
use domain::event::{Channel, Link, OperatorCommand, note};
use domain::order::VenueOrderStatus;
use domain::{ClientOrderId, Decimal, Event, ExecEvent, Instrument, Lots, OrderRequest, OrderState, Side, Venue};

const S: u64 = 1_000_000_000;

fn rule() -> StrategyRule {
    StrategyRule::FlowImbalance {
        symbols: vec![],
        order_value: decimal("500"),
        window_s: 1,
        enter_bps: 10_000,
        exit_bps: -990_000,
        queue_imbalance_min_bps: 0,
        hold_s_max: 60,
        cooldown_s: 1,
        slippage_max_bps: 5,
    }
}

/// An engine with a live book around 60000.00 whose ids, time and prices the test moves on.
struct Story {
    engine: Engine,
    now: u64,
    id: u64,
}

impl Story {
    fn new() -> Self {
        Self::with(rule())
    }
    fn with(rule: StrategyRule) -> Self {
        let mut story = Story { engine: Engine::new(&config(&[rule])).unwrap(), now: S, id: 100 };
        story.tell(session(1));
        story.tell(Event::Instrument(btcusdt()));
        let asked = story.change(10, 10);
        assert!(asked.contains(&Effect::RequestSnapshot { instrument: ID }));
        story.snapshot();
        story
    }
    fn tell(&mut self, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        self.engine.step(self.now, &event, &mut out);
        out
    }
    fn snapshot(&mut self) -> Vec<Effect> {
        let s = snapshot(self.id, &[(6_000_000, 10), (5_999_000, 10)], &[(6_000_100, 10), (6_001_000, 10)]);
        self.tell(Event::BookSnapshot(s))
    }
    /// The next change of the book: sizes at the best prices.
    fn change(&mut self, bid: u64, ask: u64) -> Vec<Effect> {
        self.id += 1;
        let (id, bids, asks) = (self.id, [(6_000_000, bid)], [(6_000_100, ask)]);
        self.tell(Event::BookDelta(delta(id, id, &bids, &asks)))
    }
    fn wait(&mut self, seconds: u64) {
        self.now += seconds * S;
    }
    /// Quiet until the window is warm, then a flood at the bid.
    fn flood(&mut self) -> Vec<Effect> {
        self.change(10, 10);
        self.change(11, 10);
        self.wait(1);
        self.change(12, 10);
        self.wait(1);
        self.change(400, 10)
    }
    /// An entry that was sent.
    fn entry(&mut self) -> OrderRequest {
        let sent = sends(&self.flood());
        assert_eq!(sent.len(), 1);
        sent[0]
    }
    fn news(&mut self, id: ClientOrderId, event: ExecEvent) -> Vec<Effect> {
        self.tell(exec(id, event))
    }
    /// Holds what one entry bought.
    fn holding() -> (Self, OrderRequest) {
        let mut story = Story::new();
        let entry = story.entry();
        story.news(entry.id, accepted(1));
        story.news(entry.id, ExecEvent::Filled(fill("1", 6_000_100, entry.qty.get(), "USDT", "0.5")));
        (story, entry)
    }
    fn state(&self, id: ClientOrderId) -> OrderState {
        self.engine.orders.get(id).unwrap().state
    }
}

fn refusals(effects: &[Effect]) -> Vec<Refusal> {
    let refusal = |e: &Effect| match e {
        Effect::Audit(AuditRecord::Verdict { refusal, .. }) => refusal.clone(),
        _ => None,
    };
    effects.iter().filter_map(refusal).collect()
}

fn queries(effects: &[Effect]) -> Vec<ClientOrderId> {
    effects.iter().filter_map(|e| if let Effect::Query { id, .. } = e { Some(*id) } else { None }).collect()
}

fn halts(effects: &[Effect]) -> Vec<bool> {
    let halt = |e: &Effect| if let Effect::Audit(AuditRecord::Halt { halted, .. }) = e { Some(*halted) } else { None };
    effects.iter().filter_map(halt).collect()
}

#[test]
fn from_a_flood_at_the_bid_to_an_order_with_its_whole_story() {
    let mut story = Story::new();
    let effects = story.flood();
    let [Effect::Audit(AuditRecord::Signal { signal, top, book_id, features, .. }), verdict, Effect::Send(sent)] =
        effects.as_slice()
    else {
        panic!("signal, verdict, order: {effects:?}")
    };
    assert_eq!((*signal, *book_id), (1, story.id));
    assert_eq!(top.unwrap().map(domain::Ticks::get), [6_000_000, 6_000_100]);
    assert!(features.iter().all(|f| f.value.is_some()));
    let Effect::Audit(AuditRecord::Verdict { signal: 1, request, refusal: None, checks, sized_by }) = verdict else {
        panic!("approved: {verdict:?}")
    };
    assert_eq!((request, *sized_by), (sent.request(), "order_value"));
    assert!(!checks.is_empty());
    // 60001.00 * 1.0005 = 60031.0005, cut; 500 / 60031.00 = 0.008329 BTC, cut.
    assert_eq!((request.price.get(), request.qty.get(), request.side), (6_003_100, 832, Side::Buy));
    assert_eq!(request.id, ClientOrderId { home: 7, epoch: 1, sequence: 1 });
}

#[test]
fn a_round_trip_is_booked_and_shown_exactly() {
    let (mut story, entry) = Story::holding();
    assert!(sends(&story.change(900, 10)).is_empty(), "no second entry on top of a position");
    story.wait(60);
    let exit = sends(&story.change(901, 10))[0];
    assert_eq!((exit.side, exit.qty), (Side::Sell, entry.qty));
    // 60000.00 * 0.9995 = 59970.00 exactly.
    assert_eq!(exit.price.get(), 5_997_000);
    story.news(exit.id, ExecEvent::Filled(fill("2", 6_000_000, 832, "USDT", "0.5")));
    let view = story.engine.view();
    let pnl = view.pnl["USDT"];
    // Bought at 60001, sold at 60000: 0.00832 BTC times -1.
    assert_eq!((pnl.realized, pnl.fees, pnl.net), (decimal("-0.00832"), decimal("1"), decimal("-1.00832")));
    assert_eq!(view.instruments[0].position.qty, decimal("0"));
    assert_eq!(view.instruments[0].markers.len(), 2);
    assert_eq!(view.decisions[0].order, exit.id, "newest first");
    assert!(view.decisions.iter().all(|d| d.approved) && view.orders.is_empty());
    assert!(view.safety.can_trade && !view.safety.halted, "{:?}", view.safety);
}

#[test]
fn nothing_is_sent_before_a_session() {
    let mut story = Story::new();
    story.engine.control.session = None;
    assert_eq!(refusals(&story.flood()), [Refusal::Halted]);
}

#[test]
fn the_operators_halt_stops_entries_and_lets_exits_pass_until_resumed() {
    let mut story = Story::new();
    let halt = OperatorCommand::Halt { reason: note("lunch") };
    assert_eq!(halts(&story.tell(Event::Operator(halt))), [true]);
    assert_eq!(refusals(&story.flood()), [Refusal::Halted]);
    let safety = story.engine.view().safety;
    assert!(safety.halted && !safety.can_trade && safety.reason.unwrap().contains("lunch"));
    story.tell(session(2));
    assert!(story.engine.view().safety.halted, "a restart does not lift a halt");

    let (mut story, _) = Story::holding();
    story.tell(Event::Operator(halt));
    story.wait(60);
    let effects = story.change(900, 10);
    assert_eq!(sends(&effects)[0].side, Side::Sell);
    let resume = OperatorCommand::Resume { reason: note("back") };
    assert_eq!(halts(&story.tell(Event::Operator(resume))), [false]);
    assert!(!story.engine.view().safety.halted);
}

#[test]
fn a_halt_cancels_what_is_on_its_way_in() {
    let mut story = Story::new();
    let entry = story.entry();
    let effects = story.tell(Event::Operator(OperatorCommand::Halt { reason: note("stop") }));
    assert!(effects.contains(&Effect::Cancel { id: entry.id, instrument: ID }));
    assert_eq!(story.state(entry.id), OrderState::Cancelling { leaves: entry.qty });
    let effects = story.tell(Event::Operator(OperatorCommand::CancelAll));
    assert!(effects.is_empty(), "one cancel is on its way already");
}

#[test]
fn the_daily_loss_stops_entries_until_resumed_and_lets_exits_pass() {
    let (mut story, entry) = Story::holding();
    // A fee no venue takes, to lose a lot at once.
    let effects = story.news(entry.id, ExecEvent::Filled(fill("9", 6_000_100, 1, "USDT", "200")));
    assert_eq!(halts(&effects), [true]);
    assert!(story.engine.view().safety.reason.unwrap().contains("daily loss"));
    story.wait(60);
    assert_eq!(sends(&story.change(900, 10))[0].side, Side::Sell);
    let resume = OperatorCommand::Resume { reason: note("accepted") };
    story.tell(Event::Operator(resume));
    story.wait(2);
    assert!(halts(&story.change(901, 10)).is_empty(), "the loss so far was accepted");
    let pnl = story.engine.view().pnl["USDT"];
    assert!(pnl.day_net < Some(decimal("-200")), "the day's net stays what it is: {pnl:?}");
    assert_eq!(pnl.day_loss_base, pnl.day_net, "one more allowance counts from the resume");
}

#[test]
fn a_halt_of_the_operator_and_its_resume_leave_the_daily_loss_as_it_was() {
    let (mut story, entry) = Story::holding();
    let filled = |n: &str, fee| ExecEvent::Filled(fill(n, 6_000_100, 1, "USDT", fee));
    assert!(halts(&story.news(entry.id, filled("9", "150"))).is_empty(), "within the limit of 200");
    let before = story.engine.view().pnl["USDT"];
    story.tell(Event::Operator(OperatorCommand::Halt { reason: note("lunch") }));
    story.tell(Event::Operator(OperatorCommand::Resume { reason: note("back") }));
    let after = story.engine.view().pnl["USDT"];
    assert_eq!((after.day_net, after.day_loss_base), (before.day_net, Some(Decimal::ZERO)));
    assert_eq!(halts(&story.news(entry.id, filled("10", "60"))), [true], "210 are lost, not 60");
}

#[test]
fn a_restart_makes_open_orders_unknown_asks_about_them_and_believes_no_book() {
    let mut story = Story::new();
    let entry = story.entry();
    story.news(entry.id, accepted(1));
    let effects = story.tell(session(2));
    assert_eq!(queries(&effects), [entry.id]);
    assert_eq!(story.state(entry.id), OrderState::Unknown { leaves: entry.qty, not_found: 0 });
    assert_eq!(story.engine.view().instruments[0].book.reason, "session started");
    assert!(story.engine.view().safety.reasons.iter().any(|r| r.contains("unknown fate")));
    // The venue says: partly filled, the rest expired.
    story.news(entry.id, ExecEvent::Filled(fill("1", 6_000_100, 32, "USDT", "0")));
    story.news(entry.id, ExecEvent::Found { status: VenueOrderStatus::Expired, filled: Lots::new(32) });
    assert!(!story.state(entry.id).is_open());
    story.change(10, 10);
    story.wait(20);
    assert_eq!(story.change(10, 10).len(), 1, "asked again: the first question of this session is unanswered");
    story.snapshot();
    story.wait(120);
    let exit = sends(&story.change(900, 10))[0];
    assert_eq!((exit.qty.get(), exit.id), (32, ClientOrderId { home: 7, epoch: 2, sequence: 1 }));
}

#[test]
fn without_an_order_link_nothing_is_sent_and_nothing_is_asked_until_it_is_back() {
    let mut story = Story::new();
    let entry = story.entry();
    let link = |up| Event::Link(Link { venue: Venue::BINANCE, channel: Channel::Orders, up });
    let effects = story.tell(link(false));
    assert!(queries(&effects).is_empty());
    assert_eq!(story.state(entry.id), OrderState::Unknown { leaves: entry.qty, not_found: 0 });
    story.wait(30);
    assert!(queries(&story.change(10, 10)).is_empty());
    assert!(!story.engine.view().safety.can_trade);
    assert_eq!(queries(&story.tell(link(true))), [entry.id]);
    story.news(entry.id, ExecEvent::Expired);
    story.tell(link(false));
    assert_eq!(refusals(&story.flood()), [Refusal::LinkDown]);
}

#[test]
fn an_unanswered_order_becomes_unknown_counts_as_held_and_is_asked_about() {
    let mut story = Story::new();
    let entry = story.entry();
    story.wait(5);
    assert_eq!(queries(&story.tell(Event::Timer)), [entry.id]);
    assert!(sends(&story.flood()).is_empty(), "no second order for the same thing");
    assert_eq!(story.engine.stats().orders.unknown, 1);
    // "Not found", twice, far enough apart.
    story.wait(1);
    story.news(entry.id, ExecEvent::NotFound);
    story.wait(2);
    story.news(entry.id, ExecEvent::NotFound);
    assert_eq!(story.engine.stats().orders.never_arrived, 1);
    assert!(!story.state(entry.id).is_open());
}

#[test]
fn a_book_that_fell_silent_prices_no_order() {
    let mut story = Story::with(StrategyRule::EmaCross {
        symbols: vec![],
        order_value: decimal("500"),
        fast_bars: 1,
        slow_bars: 2,
        volume_bars: 1,
        volume_ratio_min_bps: 0,
        atr_bars: 1,
        stop_atr_bps: 90_000,
        slippage_max_bps: 5,
    });
    // Closes fall, then jump, then fall again; the trade that opens a minute closes the one before it.
    let minute = |story: &mut Story, m: u64, price| {
        story.now = story.now.max(m * 60 * S);
        story.tell(Event::Trade(trade(m * 60 * S, price, 5, Side::Buy)))
    };
    for (m, price) in [(1, 6_000_300), (2, 6_000_200), (3, 6_000_100), (4, 6_000_400)] {
        assert!(refusals(&minute(&mut story, m, price)).is_empty());
    }
    story.now = 5 * 60 * S;
    story.change(10, 10);
    let entry = sends(&minute(&mut story, 5, 6_000_000))[0];
    story.news(entry.id, ExecEvent::Filled(fill("1", 6_000_100, entry.qty.get(), "USDT", "0.5")));
    // The trade of minute 6 shows the fall of minute 5, but the book has said nothing for a minute.
    assert_eq!(refusals(&minute(&mut story, 6, 6_000_000)), [Refusal::BookStale { age_ms: 60_000 }]);
    story.wait(2);
    assert_eq!(sends(&story.change(11, 10))[0].side, Side::Sell, "and out it goes with the next change");
}

#[test]
fn a_book_without_a_link_wakes_nobody() {
    let (mut story, _) = Story::holding();
    story.wait(60);
    story.tell(Event::Link(Link { venue: Venue::BINANCE, channel: Channel::Market, up: false }));
    assert!(sends(&story.change(900, 10)).is_empty());
    let safety = story.engine.view().safety;
    assert!(!safety.can_trade && safety.reasons.iter().any(|r| r.contains("link down")), "{safety:?}");
}

#[test]
fn a_fill_of_an_order_nobody_knows_stops_entries() {
    let mut story = Story::new();
    let stranger = ClientOrderId { home: 7, epoch: 0, sequence: 9 };
    assert!(halts(&story.news(stranger, ExecEvent::Expired)).is_empty());
    assert_eq!(halts(&story.news(stranger, ExecEvent::Filled(fill("1", 1, 1, "USDT", "0")))), [true]);
    assert_eq!(story.engine.stats().orders.strangers, 2);
}

#[test]
fn a_late_fill_is_booked_reported_and_asked_about() {
    let mut story = Story::new();
    let entry = story.entry();
    story.news(entry.id, ExecEvent::Expired);
    let effects = story.news(entry.id, ExecEvent::Filled(fill("1", 6_000_100, 5, "USDT", "0")));
    assert_eq!(queries(&effects), [entry.id]);
    assert_eq!(story.engine.portfolio.account(ID).unwrap().position().get(), 5);
    let odd = |e: &Effect| matches!(e, Effect::Audit(AuditRecord::Order { error: Some(_), .. }));
    assert!(effects.iter().any(odd));
}

#[test]
fn new_rules_go_on_with_the_same_steps_and_stop_everything_with_other_ones() {
    let (mut story, _) = Story::holding();
    assert!(story.tell(Event::Instrument(Instrument { version: 2, ..btcusdt() })).is_empty());
    assert!(story.engine.view().instruments[0].book.mid.is_some(), "the book goes on");
    let other = Instrument { version: 3, lot: domain::Increment::parse("0.001").unwrap(), ..btcusdt() };
    assert_eq!(halts(&story.tell(Event::Instrument(other))), [true]);
    assert!(story.change(10, 10).is_empty(), "nothing of it is used any more");
    assert_eq!(story.engine.view().instruments[0].position.qty, decimal("0.00832"));
}

#[test]
fn bars_close_and_are_told() {
    let mut story = Story::new();
    story.now = 100 * S;
    story.tell(Event::Timer);
    let at = |s: u64, p| Event::Trade(trade(s * S, p, 3, Side::Buy));
    assert!(story.tell(at(100, 6_000_000)).is_empty());
    let effects = story.tell(at(101, 6_000_200));
    let [Effect::Audit(AuditRecord::Bar { seconds: 1, open_ns, ohlc, .. })] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!((*open_ns, ohlc[3].get()), (100 * S, 6_000_000));
    story.now = 200 * S;
    let seconds: Vec<u32> = story
        .tell(Event::Timer)
        .iter()
        .filter_map(|e| if let Effect::Audit(AuditRecord::Bar { seconds, .. }) = e { Some(*seconds) } else { None })
        .collect();
    assert_eq!(seconds, [1, 60], "by the clock");
}

#[test]
fn a_trade_of_the_far_future_does_not_become_the_running_bar() {
    let mut story = Story::new();
    story.now = 100 * S;
    story.tell(Event::Timer);
    let ahead = story.now + TRADE_AHEAD_NS_MAX;
    story.tell(Event::Trade(trade(ahead + 1, 9, 3, Side::Buy)));
    assert_eq!(story.engine.stats().trades_late, 1);
    story.tell(Event::Trade(trade(100 * S, 6_000_000, 3, Side::Buy)));
    story.tell(Event::Trade(trade(ahead, 6_000_000, 3, Side::Buy)));
    assert_eq!(story.engine.stats().trades_late, 1, "a venue clock may be a little ahead");
    assert_eq!(story.engine.stats().bars, 1, "the second of the good trade");
}

#[test]
fn a_restart_comes_before_the_time_that_passed_until_it() {
    let mut story = Story::new();
    let entry = story.entry();
    story.wait(60);
    let effects = story.tell(session(2));
    let moves: Vec<_> = effects
        .iter()
        .filter_map(|e| if let Effect::Audit(AuditRecord::Order { news, .. }) = e { Some(*news) } else { None })
        .collect();
    assert_eq!((moves, queries(&effects)), (vec!["session"], vec![entry.id]));
}

#[test]
fn configurations_that_make_no_sense_are_refused_with_the_name_of_what_is_wrong() {
    let mut no_limit = config(&[]);
    no_limit.risk.daily_loss_max = decimal("0");
    assert_eq!(Engine::new(&no_limit).unwrap_err(), ConfigError::Limit(no_limit.risk.check().unwrap_err()));
    let mut twice = config(&[rule(), rule()]);
    twice.strategies[1].name = "s0".to_owned();
    assert_eq!(Engine::new(&twice).unwrap_err(), ConfigError::SameName("s0".to_owned()));
    let mut bad = rule();
    if let StrategyRule::FlowImbalance { window_s, .. } = &mut bad {
        *window_s = 0;
    }
    let error = Engine::new(&config(&[bad])).unwrap_err().to_string();
    assert_eq!(error, "strategy `s0`: `window_s` must be above zero");
}
