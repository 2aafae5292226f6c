//! What tests share: an instrument, events in short form, the recorded captures, and a tiny venue that fills.

use crate::effect::Effect;
use crate::engine::Engine;
use domain::config::{EngineConfig, Fees, RiskLimits, StrategyConfig, StrategyRule};
use domain::event::{BookDelta, BookSnapshot, ExecReport, Level, Quote, Session, Trade};
use domain::order::{Fee, Fill};
use domain::{
    Asset, ClientOrderId, Decimal, Event, ExecEvent, FillId, Increment, Instrument, InstrumentId, Lots, OrderRequest,
    RunId, Side, TickLots, Ticks, Venue, VenueOrderId,
};
use std::collections::BTreeMap;
use std::io::Read;

pub(crate) const ID: InstrumentId = InstrumentId(0);

pub(crate) fn level(price: i64, qty: u64) -> Level {
    Level { price: Ticks::new(price), qty: Lots::new(qty) }
}

pub(crate) fn levels(pairs: &[(i64, u64)]) -> Vec<Level> {
    pairs.iter().map(|&(p, q)| level(p, q)).collect()
}

pub(crate) fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

/// Binance's BTCUSDT: tick 0.01, lot 0.00001, least order 5 USDT.
pub(crate) fn btcusdt() -> Instrument {
    instrument("BTCUSDT", "BTC", "0.00001")
}

pub(crate) fn instrument(symbol: &str, base: &str, lot: &str) -> Instrument {
    let mut instrument = Instrument {
        id: ID,
        version: 1,
        venue: Venue::BINANCE,
        symbol: symbol.try_into().unwrap(),
        base: Asset::from(base).unwrap(),
        quote: Asset::from("USDT").unwrap(),
        tick: Increment::parse("0.01").unwrap(),
        lot: Increment::parse(lot).unwrap(),
        qty_min: Lots::new(1),
        qty_max: Lots::new(900_000_000),
        value_min: TickLots::ZERO,
        contract: domain::instrument::Contract::Spot,
        trade: true,
        book: domain::instrument::BookRule::ASKED,
    };
    instrument.value_min = instrument.value_floor(decimal("5"));
    instrument
}

pub(crate) fn session(epoch: u32) -> Event {
    Event::Session(Session { run: RunId::from("run").unwrap(), home: 7, epoch, seed: 1 })
}

pub(crate) fn limits() -> RiskLimits {
    RiskLimits {
        order_value_max: decimal("1000"),
        position_value_max: decimal("5000"),
        daily_loss_max: decimal("200"),
        book_age_ms_max: 1500,
        price_collar_bps: 50,
        orders_per_second_max: 5,
        orders_per_minute_max: 60,
        open_orders_max: 10,
    }
}

pub(crate) fn config(rules: &[StrategyRule]) -> EngineConfig {
    let strategies = rules.iter().enumerate();
    EngineConfig {
        risk: limits(),
        fees: Fees { maker_bps: 10, taker_bps: 10 },
        strategies: strategies.map(|(n, rule)| StrategyConfig { name: format!("s{n}"), rule: rule.clone() }).collect(),
    }
}

pub(crate) fn delta(first_id: u64, last_id: u64, bids: &[(i64, u64)], asks: &[(i64, u64)]) -> BookDelta {
    BookDelta {
        instrument: ID,
        ts_venue_ns: 0,
        first_id,
        last_id,
        bids: levels(bids),
        asks: levels(asks),
        checksum: None,
    }
}

pub(crate) fn snapshot(last_id: u64, bids: &[(i64, u64)], asks: &[(i64, u64)]) -> BookSnapshot {
    BookSnapshot { instrument: ID, ts_venue_ns: 0, last_id, bids: levels(bids), asks: levels(asks), checksum: None }
}

pub(crate) fn trade(ts_venue_ns: u64, price: i64, qty: u64, aggressor: Side) -> Trade {
    let (price, qty) = (Ticks::new(price), Lots::new(qty));
    Trade { instrument: ID, ts_venue_ns, trade_id: 0, price, qty, aggressor }
}

pub(crate) fn fill(id: &str, price: i64, qty: u64, fee_asset: &str, fee: &str) -> Fill {
    Fill {
        id: FillId::from(id).unwrap(),
        price: Ticks::new(price),
        qty: Lots::new(qty),
        fee: Fee { asset: Asset::from(fee_asset).unwrap(), amount: decimal(fee) },
        maker: false,
    }
}

pub(crate) fn exec(id: ClientOrderId, event: ExecEvent) -> Event {
    Event::Exec(ExecReport { id, ts_venue_ns: 0, event })
}

pub(crate) fn accepted(n: u64) -> ExecEvent {
    ExecEvent::Accepted { venue_order_id: VenueOrderId::from(&n.to_string()).unwrap() }
}

/// Orders among effects.
pub(crate) fn sends(effects: &[Effect]) -> Vec<OrderRequest> {
    let request = |e: &Effect| if let Effect::Send(approved) = e { Some(*approved.request()) } else { None };
    effects.iter().filter_map(request).collect()
}

/// A tiny venue: fills an order wholly at the best price of the last quote if its limit allows, else lets it expire.
/// Fees are 10 bps of what is received, as Binance takes them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Venuelet {
    tops: BTreeMap<InstrumentId, (Level, Level)>,
    rules: BTreeMap<InstrumentId, Instrument>,
    fills: u64,
}

impl Venuelet {
    pub(crate) fn watch(&mut self, event: &Event) {
        match event {
            Event::Quote(q) => {
                self.tops.insert(q.instrument, (q.bid, q.ask));
            }
            Event::Instrument(i) => {
                self.rules.insert(i.id, i.clone());
            }
            _ => {}
        }
    }
    pub(crate) fn answer(&mut self, request: &OrderRequest) -> Vec<Event> {
        let (bid, ask) = self.tops[&request.instrument];
        let rules = &self.rules[&request.instrument];
        let (price, good) = match request.side {
            Side::Buy => (ask.price, ask.price <= request.price),
            Side::Sell => (bid.price, bid.price >= request.price),
        };
        self.fills += 1;
        let rate = decimal("0.001");
        let (asset, got) = match request.side {
            Side::Buy => (rules.base, rules.qty(request.qty)),
            Side::Sell => (rules.quote, rules.notional(price, request.qty)),
        };
        let fee = Fee { asset, amount: got.checked_mul(rate).unwrap().normalized() };
        let id = FillId::from(&self.fills.to_string()).unwrap();
        let end = if good {
            ExecEvent::Filled(Fill { id, price, qty: request.qty, fee, maker: false })
        } else {
            ExecEvent::Expired
        };
        vec![exec(request.id, accepted(self.fills)), exec(request.id, end)]
    }
}

/// Runs events through an engine with a [`Venuelet`] that answers right after the event an order was made on.
pub(crate) fn run(engine: &mut Engine, events: &[(u64, Event)]) -> Vec<Effect> {
    let (mut venue, mut all, mut out) = (Venuelet::default(), Vec::new(), Vec::new());
    for (ts, event) in events {
        venue.watch(event);
        engine.step(*ts, event, &mut out);
        let answers: Vec<Event> = sends(&out).iter().flat_map(|request| venue.answer(request)).collect();
        all.append(&mut out);
        for answer in answers {
            engine.step(*ts, &answer, &mut out);
            all.append(&mut out);
        }
    }
    all
}

/// One of the recorded captures as events, instrument first; `None`, with a line, when the data is not there.
pub(crate) fn capture(test: &str, file: &str, instrument: &Instrument) -> Option<Vec<(u64, Event)>> {
    let bytes = std::fs::read(recorded::find(test, &format!("l2/binance_raw/{file}"))?).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    let mut events = vec![(0, session(1)), (0, Event::Instrument(instrument.clone()))];
    events.extend(text.lines().map(|line| {
        let (ts, message) = line.split_once(' ').unwrap();
        (ts.parse().unwrap(), message_event(&serde_json::from_str(message).unwrap(), instrument))
    }));
    Some(events)
}

fn message_event(message: &serde_json::Value, rules: &Instrument) -> Event {
    let price = |v: &serde_json::Value| Ticks::new(rules.tick.count(v.as_str().unwrap()).unwrap());
    let qty = |v: &serde_json::Value| Lots::new(rules.lot.count(v.as_str().unwrap()).unwrap().try_into().unwrap());
    let side = |v: &serde_json::Value| -> Vec<Level> {
        v.as_array().unwrap().iter().map(|l| Level { price: price(&l[0]), qty: qty(&l[1]) }).collect()
    };
    let number = |v: &serde_json::Value| v.as_u64().unwrap();
    let instrument = rules.id;
    let Some(stream) = message["stream"].as_str() else {
        let last_id = number(&message["lastUpdateId"]);
        let (bids, asks) = (side(&message["bids"]), side(&message["asks"]));
        return Event::BookSnapshot(BookSnapshot { instrument, ts_venue_ns: 0, last_id, bids, asks, checksum: None });
    };
    let data = &message["data"];
    if stream.ends_with("@bookTicker") {
        let bid = Level { price: price(&data["b"]), qty: qty(&data["B"]) };
        let ask = Level { price: price(&data["a"]), qty: qty(&data["A"]) };
        return Event::Quote(Quote { instrument, ts_venue_ns: 0, update_id: number(&data["u"]), bid, ask });
    }
    if stream.ends_with("@trade") {
        return Event::Trade(Trade {
            instrument,
            ts_venue_ns: number(&data["T"]) * 1_000_000,
            trade_id: number(&data["t"]),
            price: price(&data["p"]),
            qty: qty(&data["q"]),
            // `m`: the buyer was resting, so the seller took.
            aggressor: if data["m"].as_bool().unwrap() { Side::Sell } else { Side::Buy },
        });
    }
    Event::BookDelta(BookDelta {
        instrument,
        ts_venue_ns: number(&data["E"]) * 1_000_000,
        first_id: number(&data["U"]),
        last_id: number(&data["u"]),
        bids: side(&data["b"]),
        asks: side(&data["a"]),
        checksum: None,
    })
}

/// The strategy files that are shipped.
pub(crate) fn shipped(name: &str) -> StrategyRule {
    let path = recorded::checkout().join("config/strategies").join(name);
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
