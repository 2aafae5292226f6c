//! Orders in Binance's words: order objects in replies, `executionReport` and `outboundAccountPosition` events.

use crate::dialect::binance::text::fixed;
use crate::state::World;
use domain::order::{ExecEvent, Fill, TimeInForce};
use domain::{Decimal, Instrument, Side};
use serde_json::{Value, json};
use sim::{OwnTrade, SimKind, SimOrder, SimOutput, SimStatus};

const NS_PER_MS: u64 = 1_000_000;

/// `BUY` or `SELL`.
pub const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

/// The order type.
pub const fn kind(kind: SimKind) -> &'static str {
    match kind {
        SimKind::Limit => "LIMIT",
        SimKind::PostOnly => "LIMIT_MAKER",
        SimKind::Market => "MARKET",
    }
}

/// The time in force.
pub const fn tif(order: &SimOrder) -> &'static str {
    match (order.request.kind, order.request.tif) {
        (SimKind::PostOnly | SimKind::Market, _) | (SimKind::Limit, TimeInForce::Gtc) => "GTC",
        (SimKind::Limit, TimeInForce::Ioc) => "IOC",
        (SimKind::Limit, TimeInForce::Fok) => "FOK",
    }
}

/// The status.
pub const fn status(status: SimStatus) -> &'static str {
    match status {
        SimStatus::New => "NEW",
        SimStatus::PartiallyFilled => "PARTIALLY_FILLED",
        SimStatus::Filled => "FILLED",
        SimStatus::Cancelled => "CANCELED",
        SimStatus::Expired => "EXPIRED",
        SimStatus::ExpiredInMatch => "EXPIRED_IN_MATCH",
    }
}

fn instrument<'a>(world: &'a World, order: &SimOrder) -> &'a Instrument {
    &world.symbol_of(order.request.instrument).listed.instrument
}

const fn works(order: &SimOrder) -> bool {
    order.status.is_open() && !matches!(order.request.kind, SimKind::Market)
}

/// The members every form of an order shares.
pub fn summary(world: &World, order: &SimOrder) -> Value {
    let i = instrument(world, order);
    json!({
        "symbol": i.symbol,
        "orderId": order.venue_id,
        "orderListId": -1,
        "clientOrderId": world.ids.text(&order.request.id),
        "price": fixed(i.price(order.request.price)),
        "origQty": fixed(i.qty(order.request.qty)),
        "executedQty": fixed(i.qty(order.filled)),
        "origQuoteOrderQty": fixed(Decimal::ZERO),
        "cummulativeQuoteQty": fixed(i.value(order.value_filled)),
        "status": status(order.status),
        "timeInForce": tif(order),
        "type": kind(order.request.kind),
        "side": side(order.request.side),
        "workingTime": order.created_ns / NS_PER_MS,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    })
}

/// An order as `order.status` and `openOrders.status` show it.
pub fn queried(world: &World, order: &SimOrder) -> Value {
    let mut v = summary(world, order);
    v["stopPrice"] = json!(fixed(Decimal::ZERO));
    v["icebergQty"] = json!(fixed(Decimal::ZERO));
    v["time"] = json!(order.created_ns / NS_PER_MS);
    v["updateTime"] = json!(order.updated_ns / NS_PER_MS);
    v["isWorking"] = json!(works(order));
    v
}

/// A cancelled order as `order.cancel` shows it.
pub fn cancelled(world: &World, order: &SimOrder, cancel_id: &str) -> Value {
    let mut v = summary(world, order);
    v["origClientOrderId"] = v["clientOrderId"].take();
    v["clientOrderId"] = json!(cancel_id);
    v["transactTime"] = json!(order.updated_ns / NS_PER_MS);
    v
}

/// A trade of ours as `myTrades` shows it.
pub fn trade(world: &World, t: &OwnTrade) -> Value {
    let i = &world.symbol_of(t.instrument).listed.instrument;
    json!({
        "symbol": i.symbol,
        "id": t.trade_id,
        "orderId": t.venue_id,
        "orderListId": -1,
        "price": fixed(i.price(t.price)),
        "qty": fixed(i.qty(t.qty)),
        "quoteQty": fixed(i.notional(t.price, t.qty)),
        "commission": fixed(t.fee),
        "commissionAsset": i.quote,
        "time": t.ts_ns / NS_PER_MS,
        "isBuyer": t.side == Side::Buy,
        "isMaker": t.maker,
        "isBestMatch": true,
    })
}

/// The fills of an order that traded at once, for a FULL reply.
pub fn fills(world: &World, order: &SimOrder) -> Vec<Value> {
    let i = instrument(world, order);
    let own = world.venue.fills_of(order.venue_id);
    own.iter()
        .map(|t| {
            json!({
                "price": fixed(i.price(t.price)),
                "qty": fixed(i.qty(t.qty)),
                "commission": fixed(t.fee),
                "commissionAsset": i.quote,
                "tradeId": t.trade_id,
            })
        })
        .collect()
}

/// The user-data events for what the venue reported, as JSON text, balances last.
pub fn events(world: &mut World, outputs: &[SimOutput], cancel_id: Option<&str>, now_ns: u64) -> Vec<String> {
    let mut events = Vec::new();
    let mut balances: Vec<Value> = Vec::new();
    for output in outputs {
        match output {
            SimOutput::Exec { report, order } => {
                world.executions += 1;
                events.push(execution(world, &report.event, order, cancel_id, now_ns).to_string());
            }
            SimOutput::Balance(b) => {
                balances.push(json!({"a": b.asset, "f": fixed(b.free), "l": fixed(b.locked)}));
            }
            // A refused order never was; the reply says so.
            SimOutput::Refused { .. } => {}
        }
    }
    if !balances.is_empty() {
        let ms = now_ns / NS_PER_MS;
        events.push(json!({"e": "outboundAccountPosition", "E": ms, "u": ms, "B": balances}).to_string());
    }
    events
}

fn execution(world: &World, event: &ExecEvent, order: &SimOrder, cancel_id: Option<&str>, now_ns: u64) -> Value {
    let i = instrument(world, order);
    let own_id = world.ids.text(&order.request.id);
    let zero = fixed(Decimal::ZERO);
    let (kind_of_news, fill) = match event {
        ExecEvent::Accepted { .. } => ("NEW", None),
        ExecEvent::Filled(fill) => ("TRADE", Some(fill)),
        ExecEvent::Cancelled => ("CANCELED", None),
        ExecEvent::Expired if order.status == SimStatus::ExpiredInMatch => ("TRADE_PREVENTION", None),
        ExecEvent::Expired => ("EXPIRED", None),
        // The venue itself never reports these; they are our side's words.
        ExecEvent::Rejected { .. }
        | ExecEvent::CancelRejected { .. }
        | ExecEvent::OutcomeUnknown { .. }
        | ExecEvent::NotFound
        | ExecEvent::Found { .. } => ("REJECTED", None),
    };
    // A cancel has an id of its own; the order's then moves from `c` to `C`.
    let (c, original) = match (event, cancel_id) {
        (ExecEvent::Cancelled, Some(cancel)) => (cancel.to_owned(), own_id),
        _ => (own_id, String::new()),
    };
    let mut v = json!({
        "e": "executionReport", "E": now_ns / NS_PER_MS, "s": i.symbol, "c": c, "S": side(order.request.side),
        "o": kind(order.request.kind), "f": tif(order), "q": fixed(i.qty(order.request.qty)),
        "p": fixed(i.price(order.request.price)), "P": zero, "F": zero, "g": -1, "C": original,
        "x": kind_of_news, "X": status(order.status), "r": "NONE", "i": order.venue_id,
        "l": zero, "z": fixed(i.qty(order.filled)), "L": zero, "n": "0", "N": null,
        "T": order.updated_ns / NS_PER_MS, "t": -1, "I": world.executions, "w": works(order), "m": false,
        "M": false, "O": order.created_ns / NS_PER_MS, "Z": fixed(i.value(order.value_filled)), "Y": zero,
        "Q": zero, "W": order.created_ns / NS_PER_MS, "V": "EXPIRE_MAKER",
    });
    if let Some(fill) = fill {
        add_fill(&mut v, i, fill);
    }
    if kind_of_news == "EXPIRED" {
        v["eR"] = json!("INSUFFICIENT_LIQUIDITY");
    }
    v
}

fn add_fill(v: &mut Value, i: &Instrument, fill: &Fill) {
    v["l"] = json!(fixed(i.qty(fill.qty)));
    v["L"] = json!(fixed(i.price(fill.price)));
    v["Y"] = json!(fixed(i.notional(fill.price, fill.qty)));
    v["n"] = json!(fixed(fill.fee.amount));
    v["N"] = json!(fill.fee.asset);
    v["t"] = json!(fill.id.parse::<u64>().ok());
    v["m"] = json!(fill.maker);
}
