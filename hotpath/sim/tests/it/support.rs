//! A venue with one instrument, `ABCUSD`: tick 1, lot 1, so that a price is a price and values are plain numbers.

use domain::config::Fees;
use domain::event::{BookDelta, BookSnapshot, Level, Quote, Trade};
use domain::order::{ExecEvent, Fill, TimeInForce};
use domain::{
    Asset, ClientOrderId, Decimal, Event, Increment, Instrument, InstrumentId, Lots, Side, TickLots, Ticks, Venue,
};
use sim::{NewOrder, QueueModel, SimConfig, SimKind, SimOutput, SimVenue};

pub const ABC: InstrumentId = InstrumentId(0);
pub const REFILL_NS: u64 = 1000;

pub fn instrument() -> Instrument {
    Instrument {
        id: ABC,
        version: 1,
        venue: Venue::BINANCE,
        symbol: "ABCUSD".try_into().unwrap(),
        base: Asset::from("ABC").unwrap(),
        quote: Asset::from("USD").unwrap(),
        tick: Increment::parse("1").unwrap(),
        lot: Increment::parse("1").unwrap(),
        qty_min: Lots::new(1),
        qty_max: Lots::new(1000),
        value_min: TickLots::new(50),
        contract: domain::instrument::Contract::Spot,
        trade: true,
        book: domain::instrument::BookRule::ASKED,
    }
}

/// 100000 USD, 1000 ABC, fees of 10 bps (maker) and 20 bps (taker).
pub fn config(queue: QueueModel) -> SimConfig {
    let balance = |asset: &str, n: i128| (Asset::from(asset).unwrap(), Decimal::new(n, 0));
    SimConfig {
        queue,
        refill_ns: REFILL_NS,
        fees: Fees { maker_bps: 10, taker_bps: 20 },
        balances: vec![balance("USD", 100_000), balance("ABC", 1000)],
        ..SimConfig::default()
    }
}

pub fn venue(queue: QueueModel) -> SimVenue {
    let mut venue = SimVenue::new(config(queue));
    venue.on_market(0, &Event::Instrument(instrument()), &mut Vec::new());
    venue
}

fn levels(list: &[(i64, u64)]) -> Vec<Level> {
    list.iter().map(|(p, q)| Level { price: Ticks::new(*p), qty: Lots::new(*q) }).collect()
}

pub fn snapshot(last_id: u64, bids: &[(i64, u64)], asks: &[(i64, u64)]) -> Event {
    let (bids, asks) = (levels(bids), levels(asks));
    Event::BookSnapshot(BookSnapshot { instrument: ABC, ts_venue_ns: 0, last_id, bids, asks, checksum: None })
}

pub fn delta(id: u64, bids: &[(i64, u64)], asks: &[(i64, u64)]) -> Event {
    let (bids, asks) = (levels(bids), levels(asks));
    Event::BookDelta(BookDelta {
        instrument: ABC,
        ts_venue_ns: 0,
        first_id: id,
        last_id: id,
        bids,
        asks,
        checksum: None,
    })
}

pub fn quote(update_id: u64, bid: (i64, u64), ask: (i64, u64)) -> Event {
    let (bid, ask) = (levels(&[bid])[0], levels(&[ask])[0]);
    Event::Quote(Quote { instrument: ABC, ts_venue_ns: 0, update_id, bid, ask })
}

/// Somebody sold (or bought) `qty` at `price`.
pub fn trade(aggressor: Side, price: i64, qty: u64) -> Event {
    let (price, qty) = (Ticks::new(price), Lots::new(qty));
    Event::Trade(Trade { instrument: ABC, ts_venue_ns: 0, trade_id: 1, price, qty, aggressor })
}

pub fn id(n: u32) -> ClientOrderId {
    ClientOrderId { home: 0, epoch: 0, sequence: n }
}

pub fn limit(n: u32, side: Side, price: i64, qty: u64) -> NewOrder {
    NewOrder {
        id: id(n),
        instrument: ABC,
        side,
        kind: SimKind::Limit,
        tif: TimeInForce::Gtc,
        price: Ticks::new(price),
        qty: Lots::new(qty),
    }
}

/// The fills among the outputs: order, price, size, resting or not.
pub fn fills(out: &[SimOutput]) -> Vec<(u32, i64, u64, bool)> {
    let fill = |o: &SimOutput| match o {
        SimOutput::Exec { report, .. } => match &report.event {
            ExecEvent::Filled(Fill { price, qty, maker, .. }) => {
                Some((report.id.sequence, price.get(), qty.get(), *maker))
            }
            _ => None,
        },
        _ => None,
    };
    out.iter().filter_map(fill).collect()
}

/// Short names of the news of orders.
pub fn news(out: &[SimOutput]) -> Vec<(u32, &'static str)> {
    let name = |o: &SimOutput| match o {
        SimOutput::Exec { report, .. } | SimOutput::Refused { report, .. } => {
            Some((report.id.sequence, report.event.name()))
        }
        SimOutput::Balance(_) => None,
    };
    out.iter().filter_map(name).collect()
}

/// Free and locked, in text.
pub fn balance(venue: &SimVenue, asset: &str) -> (String, String) {
    let b = venue.balances().into_iter().find(|b| b.asset.as_str() == asset).unwrap();
    (b.free.normalized().to_string(), b.locked.normalized().to_string())
}

/// A venue and its clock, for cases told step by step.
pub struct Desk {
    pub venue: SimVenue,
    pub ts_ns: u64,
}

impl Desk {
    pub fn new(queue: QueueModel, bids: &[(i64, u64)], asks: &[(i64, u64)]) -> Desk {
        let mut desk = Desk { venue: venue(queue), ts_ns: 0 };
        desk.market(&snapshot(1, bids, asks));
        desk
    }
    pub fn market(&mut self, event: &Event) -> Vec<SimOutput> {
        let mut out = Vec::new();
        self.venue.on_market(self.ts_ns, event, &mut out);
        out
    }
    pub fn send(&mut self, new: NewOrder) -> Vec<SimOutput> {
        let mut out = Vec::new();
        // The refusal, if any, is in the outputs.
        self.venue.submit(self.ts_ns, &new, &mut out).ok();
        out
    }
    pub fn cancel(&mut self, n: u32) -> Vec<SimOutput> {
        let mut out = Vec::new();
        self.venue.cancel(self.ts_ns, &id(n), &mut out).ok();
        out
    }
    pub fn front(&self, n: u32) -> f64 {
        self.venue.order(&id(n)).unwrap().queue.front
    }
}
