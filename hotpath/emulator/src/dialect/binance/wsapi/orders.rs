//! The order methods of the WebSocket API.

use super::{News, report};
use crate::dialect::binance::rest::{self, Params, number, required};
use crate::dialect::binance::text::ApiError;
use crate::state::World;
use domain::order::TimeInForce;
use domain::{ClientOrderId, Decimal, Increment, InstrumentId, Lots, Side, Ticks, num::NumError};
use serde_json::{Value, json};
use sim::rules;
use sim::{NewOrder, OwnTrade, SimKind, SimOrder};

const NS_PER_MS: u64 = 1_000_000;
/// Orders and trades per reply.
const ROWS: u64 = 500;
const ROWS_MAX: u64 = 1000;

type Answer = Result<Value, ApiError>;

/// How much a reply to a new order says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Ids and time.
    Ack,
    /// And the order.
    Result,
    /// And its fills.
    Full,
}

/// A new order as it came in.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// For the venue.
    pub order: NewOrder,
    /// For the reply.
    pub detail: Detail,
}

fn steps(step: Increment, params: &Params, name: &str, filter: &str) -> Result<i64, ApiError> {
    let text = required(params, name)?;
    match step.count(text) {
        Ok(n) if n >= 0 => Ok(n),
        Ok(_) | Err(NumError::Syntax(_) | NumError::Overflow(_)) => Err(ApiError::illegal(name)),
        Err(NumError::OffStep { .. }) => {
            let digits = Decimal::parse(text).map_or(0, |d| d.normalized().scale);
            Err(if digits > rules::SCALE {
                ApiError::new(-1111, format!("Parameter '{name}' has too much precision."))
            } else {
                ApiError::new(-1013, format!("Filter failure: {filter}"))
            })
        }
    }
}

/// Reads the parameters of `order.place`.
///
/// # Errors
/// Binance's codes for missing, illegal and off-step parameters.
pub fn parse(world: &mut World, params: &Params) -> Result<Parsed, ApiError> {
    let i = rest::symbol(world, params)?.listed.instrument.clone();
    let side = match required(params, "side")? {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        _ => return Err(ApiError::new(-1117, "Invalid side.")),
    };
    let kind = match required(params, "type")? {
        "LIMIT" => SimKind::Limit,
        "LIMIT_MAKER" => SimKind::PostOnly,
        "MARKET" => SimKind::Market,
        "STOP_LOSS" | "STOP_LOSS_LIMIT" | "TAKE_PROFIT" | "TAKE_PROFIT_LIMIT" => {
            return Err(ApiError::new(-1013, "This order type is not supported by the emulator."));
        }
        _ => return Err(ApiError::new(-1116, "Invalid orderType.")),
    };
    if kind == SimKind::Market && params.contains_key("quoteOrderQty") {
        return Err(ApiError::new(-1013, "Quote order qty market orders are not support for this symbol."));
    }
    let tif = match (kind, params.get("timeInForce").map(String::as_str)) {
        (SimKind::Limit, None) => return Err(ApiError::missing("timeInForce")),
        (SimKind::Limit, Some("GTC")) | (SimKind::PostOnly, None) => TimeInForce::Gtc,
        (SimKind::Limit, Some("IOC")) | (SimKind::Market, None) => TimeInForce::Ioc,
        (SimKind::Limit, Some("FOK")) => TimeInForce::Fok,
        (SimKind::Limit, Some(_)) => return Err(ApiError::new(-1115, "Invalid timeInForce.")),
        (SimKind::PostOnly | SimKind::Market, Some(_)) => {
            return Err(ApiError::new(-1106, "Parameter 'timeInForce' sent when not required."));
        }
    };
    let price = match kind {
        SimKind::Market => Ticks::new(0),
        SimKind::Limit | SimKind::PostOnly => Ticks::new(steps(i.tick, params, "price", "PRICE_FILTER")?),
    };
    let most = Decimal::new(i128::from(rules::PRICE_MAX), 0);
    if most.checked_sub(i.price(price)).is_none_or(|d| d.mantissa < 0) {
        return Err(ApiError::new(-1013, "Filter failure: PRICE_FILTER"));
    }
    let qty = steps(i.lot, params, "quantity", "LOT_SIZE")?;
    let qty = Lots::new(u64::try_from(qty).map_err(|_| ApiError::illegal("quantity"))?);
    let detail = match (params.get("newOrderRespType").map(String::as_str), kind) {
        (Some("ACK"), _) | (None, SimKind::PostOnly) => Detail::Ack,
        (Some("RESULT"), _) => Detail::Result,
        (Some("FULL"), _) | (None, SimKind::Limit | SimKind::Market) => Detail::Full,
        (Some(_), _) => return Err(ApiError::new(-1100, "Invalid newOrderRespType.")),
    };
    let id = new_id(world, params)?;
    Ok(Parsed { order: NewOrder { id, instrument: i.id, side, kind, tif, price, qty }, detail })
}

fn new_id(world: &mut World, params: &Params) -> Result<ClientOrderId, ApiError> {
    let text = id_text(world, params, "newClientOrderId")?;
    Ok(world.ids.id(&text))
}

/// A client id out of the parameters, or a generated one.
fn id_text(world: &mut World, params: &Params, name: &str) -> Result<String, ApiError> {
    let Some(text) = params.get(name) else { return Ok(world.ids.generate()) };
    let legal = |c: char| c.is_ascii_alphanumeric() || ".:/_-".contains(c);
    if (1..=36).contains(&text.len()) && text.chars().all(legal) {
        return Ok(text.clone());
    }
    let range = "^[\\.A-Z\\:/a-z0-9_-]{1,36}$";
    Err(ApiError::new(-1100, format!("Illegal characters found in parameter '{name}'; legal range is '{range}'.")))
}

fn placed(world: &World, venue_id: u64, detail: Detail) -> Value {
    let Some(order) = world.venue.order_by_venue_id(venue_id) else { return Value::Null };
    let whole = report::summary(world, order);
    let mut v = match detail {
        Detail::Ack => json!({
            "symbol": whole["symbol"], "orderId": whole["orderId"], "orderListId": -1,
            "clientOrderId": whole["clientOrderId"],
        }),
        Detail::Result | Detail::Full => whole,
    };
    v["transactTime"] = json!(order.created_ns / NS_PER_MS);
    if detail == Detail::Full {
        v["fills"] = json!(report::fills(world, order));
    }
    v
}

/// `order.place`.
///
/// # Errors
/// As [`parse`], and the venue's refusals.
pub fn place(world: &mut World, params: &Params, news: &mut News) -> Answer {
    let Parsed { order, detail } = parse(world, params)?;
    let now_ns = world.now_ns();
    let venue_id = world.venue.submit(now_ns, &order, &mut news.outputs)?;
    Ok(placed(world, venue_id, detail))
}

/// The order that `orderId` or a client id names, whatever its state.
fn find(world: &World, params: &Params, client_name: &str, venue_name: &str) -> Result<Option<SimOrder>, ApiError> {
    let symbol: InstrumentId = rest::symbol(world, params)?.listed.instrument.id;
    let order = match (number(params, venue_name)?, params.get(client_name)) {
        (Some(id), _) => world.venue.order_by_venue_id(id),
        (None, Some(text)) => world.ids.find(text).and_then(|id| world.venue.order(&id)),
        (None, None) => {
            let msg = format!("Param '{client_name}' or '{venue_name}' must be sent, but both were empty/null!");
            return Err(ApiError::new(-1102, msg));
        }
    };
    Ok(order.filter(|o| o.request.instrument == symbol).copied())
}

fn unknown_order() -> ApiError {
    sim::Reject::UnknownOrder.into()
}

/// `order.cancel`.
///
/// # Errors
/// -2011 when no such order is open, or when `cancelRestrictions` forbids it.
pub fn cancel(world: &mut World, params: &Params, news: &mut News) -> Answer {
    let order = find(world, params, "origClientOrderId", "orderId")?.filter(|o| o.status.is_open());
    let order = order.ok_or_else(unknown_order)?;
    let restriction = params.get("cancelRestrictions").map(String::as_str);
    if matches!(
        (restriction, order.filled.is_zero()),
        (Some("ONLY_NEW"), false) | (Some("ONLY_PARTIALLY_FILLED"), true)
    ) {
        return Err(ApiError::new(-2011, "Order was not canceled due to cancel restrictions."));
    }
    let cancel_id = id_text(world, params, "newClientOrderId")?;
    let now_ns = world.now_ns();
    let order = world.venue.cancel(now_ns, &order.request.id, &mut news.outputs)?;
    let answer = report::cancelled(world, &order, &cancel_id);
    news.cancel_id = Some(cancel_id);
    Ok(answer)
}

/// `order.cancelReplace`.
///
/// # Errors
/// -2021 when only half of it worked, -2022 when nothing did.
pub fn cancel_replace(world: &mut World, params: &Params, news: &mut News) -> Answer {
    let go_on = match required(params, "cancelReplaceMode")? {
        "STOP_ON_FAILURE" => false,
        "ALLOW_FAILURE" => true,
        _ => return Err(ApiError::new(-1100, "Invalid cancelReplaceMode.")),
    };
    // Bad parameters of the new order stop everything before the cancel.
    let Parsed { order: new, detail } = parse(world, params)?;
    let old = find(world, params, "cancelOrigClientOrderId", "cancelOrderId")?;
    let cancel_id = id_text(world, params, "cancelNewClientOrderId")?;
    let now_ns = world.now_ns();
    let nothing = ClientOrderId::default();
    let old_id = old.filter(|o| o.status.is_open()).map_or(nothing, |o| o.request.id);
    let (cancelled, sent) = world.venue.cancel_replace(now_ns, &old_id, &new, go_on, &mut news.outputs);
    let error = |reject: sim::Reject| ApiError::from(reject).body();
    let cancel_response = match &cancelled {
        Ok(order) => report::cancelled(world, order, &cancel_id),
        Err(reject) => error(*reject),
    };
    let new_response = match &sent {
        Some(Ok(venue_id)) => placed(world, *venue_id, detail),
        Some(Err(reject)) => error(*reject),
        None => Value::Null,
    };
    news.cancel_id = Some(cancel_id);
    let word = |ok: bool| if ok { "SUCCESS" } else { "FAILURE" };
    let result = json!({
        "cancelResult": word(cancelled.is_ok()),
        "newOrderResult": sent.as_ref().map_or("NOT_ATTEMPTED", |r| word(r.is_ok())),
        "cancelResponse": cancel_response,
        "newOrderResponse": new_response,
    });
    let (status, code, msg) = match (cancelled.is_ok(), sent.is_some_and(|r| r.is_ok())) {
        (true, true) => return Ok(result),
        (false, false) => (400, -2022, "Order cancel-replace failed."),
        _ => (409, -2021, "Order cancel-replace partially failed."),
    };
    Err(ApiError { status, data: Some(result), ..ApiError::new(code, msg) })
}

/// `order.status`.
///
/// # Errors
/// -2013 when the venue does not know it.
pub fn status(world: &mut World, params: &Params) -> Answer {
    let order = find(world, params, "origClientOrderId", "orderId")?;
    let order = order.ok_or_else(|| ApiError::new(-2013, "Order does not exist."))?;
    Ok(report::queried(world, &order))
}

/// `openOrders.status`, of one symbol or of all.
///
/// # Errors
/// -1121 for a symbol nobody trades here.
pub fn open(world: &mut World, params: &Params) -> Answer {
    let only = match params.contains_key("symbol") {
        true => Some(rest::symbol(world, params)?.listed.instrument.id),
        false => None,
    };
    let wanted = |o: &&SimOrder| only.is_none_or(|id| o.request.instrument == id);
    Ok(world.venue.open_orders().filter(wanted).map(|o| report::queried(world, o)).collect())
}

/// `openOrders.cancelAll` of one symbol.
///
/// # Errors
/// -2011 when none is open.
pub fn cancel_all(world: &mut World, params: &Params, news: &mut News) -> Answer {
    let symbol = rest::symbol(world, params)?.listed.instrument.id;
    let open: Vec<ClientOrderId> =
        world.venue.open_orders().filter(|o| o.request.instrument == symbol).map(|o| o.request.id).collect();
    if open.is_empty() {
        return Err(unknown_order());
    }
    let cancel_id = world.ids.generate();
    let now_ns = world.now_ns();
    let mut rows = Vec::new();
    for id in open {
        let order = world.venue.cancel(now_ns, &id, &mut news.outputs)?;
        rows.push(report::cancelled(world, &order, &cancel_id));
    }
    news.cancel_id = Some(cancel_id);
    Ok(Value::Array(rows))
}

fn row_limit(params: &Params) -> Result<usize, ApiError> {
    let limit = number(params, "limit")?.unwrap_or(ROWS).clamp(1, ROWS_MAX);
    Ok(usize::try_from(limit).unwrap_or(1))
}

/// The first `limit` rows after a starting id, else the newest ones; oldest first either way.
fn page(mut rows: Vec<Value>, from_start: bool, limit: usize) -> Value {
    if from_start {
        rows.truncate(limit);
    } else {
        rows.drain(..rows.len().saturating_sub(limit));
    }
    Value::Array(rows)
}

/// `allOrders` of one symbol; with `orderId` from that order on.
///
/// # Errors
/// -1121, -1102, -1100.
pub fn all(world: &mut World, params: &Params) -> Answer {
    let symbol = rest::symbol(world, params)?.listed.instrument.id;
    let from = number(params, "orderId")?;
    let wanted = |o: &&SimOrder| o.request.instrument == symbol && o.venue_id >= from.unwrap_or(0);
    let rows = world.venue.orders().filter(wanted).map(|o| report::queried(world, o)).collect();
    Ok(page(rows, from.is_some(), row_limit(params)?))
}

/// `myTrades` of one symbol: of one order (`orderId`), from a trade on (`fromId`), in a span of time.
///
/// # Errors
/// -1121, -1102, -1100.
pub fn trades(world: &mut World, params: &Params) -> Answer {
    let symbol = rest::symbol(world, params)?.listed.instrument.id;
    let (order, from) = (number(params, "orderId")?, number(params, "fromId")?);
    let (start, end) = (number(params, "startTime")?, number(params, "endTime")?);
    let wanted = |t: &&OwnTrade| {
        let ms = t.ts_ns / NS_PER_MS;
        t.instrument == symbol
            && order.is_none_or(|id| t.venue_id == id)
            && start.is_none_or(|s| ms >= s)
            && end.is_none_or(|e| ms <= e)
    };
    let rows = world.venue.fills_since(from.unwrap_or(0)).filter(wanted).map(|t| report::trade(world, t)).collect();
    Ok(page(rows, from.is_some() || start.is_some(), row_limit(params)?))
}
