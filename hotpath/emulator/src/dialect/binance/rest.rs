//! The REST side: `/api/v3/{ping,time,exchangeInfo,depth,klines}`. The WebSocket API answers with the same functions.

use super::candles::{self as rows, interval_ms};
use super::text::{ApiError, fixed, limits};
use crate::klines::Wanted;
use crate::state::{Shared, Symbol, World};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::Side;
use domain::event::{Allowed, Level};
use serde_json::{Map, Value, json};
use sim::rules;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const NS_PER_MS: u64 = 1_000_000;
const DEPTH_MAX: usize = 5000;

/// Parameters of a request, by name.
pub type Params = BTreeMap<String, String>;

type Reply = Result<String, ApiError>;

fn answer(shared: &Shared, weight: u64, make: impl FnOnce(&mut World) -> Reply) -> Response {
    let mut world = shared.world();
    let used = world.weigh(weight);
    let (status, body) = match make(&mut world) {
        Ok(body) => (200, body),
        Err(error) => (error.status, error.body().to_string()),
    };
    drop(world);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/json;charset=UTF-8".to_owned()),
        ("x-mbx-used-weight-1m", used.to_string()),
    ];
    (status, headers, body).into_response()
}

/// `GET /api/v3/ping`.
pub async fn ping(State(shared): State<Arc<Shared>>) -> Response {
    answer(&shared, 1, |_| Ok("{}".to_owned()))
}

/// `GET /api/v3/time`: market time.
pub async fn time(State(shared): State<Arc<Shared>>) -> Response {
    answer(&shared, 1, |world| Ok(json!({"serverTime": world.venue_ns() / NS_PER_MS}).to_string()))
}

/// `GET /api/v3/exchangeInfo`.
pub async fn exchange_info(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    answer(&shared, 20, |world| info(world, &params).map(|v| v.to_string()))
}

/// `GET /api/v3/depth`.
pub async fn depth(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let (stale, late) = spoiled(&mut shared.world(), &params);
    tokio::time::sleep(late).await;
    let reply = answer(&shared, 5, |world| if stale { first_book(world, &params) } else { book(world, &params) });
    shared.wake.notify_one();
    reply
}

/// `GET /api/v3/klines`.
pub async fn klines(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    answer(&shared, 2, |world| candles(world, &params).map(|v| v.to_string()))
}

/// Balances as Binance lists them.
pub fn balances(world: &World) -> Vec<Value> {
    let row = |b: domain::event::Balance| json!({"asset": b.asset, "free": fixed(b.free), "locked": fixed(b.locked)});
    world.venue.balances().into_iter().map(row).collect()
}

/// A parameter that must be there.
///
/// # Errors
/// -1102 when it is missing or empty.
pub fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, ApiError> {
    params.get(name).map(String::as_str).filter(|v| !v.is_empty()).ok_or_else(|| ApiError::missing(name))
}

/// A whole number, if the parameter is there.
///
/// # Errors
/// -1100 when it is no whole number.
pub fn number(params: &Params, name: &str) -> Result<Option<u64>, ApiError> {
    params.get(name).map(|v| v.parse().map_err(|_| ApiError::illegal(name))).transpose()
}

/// The symbol the request names.
///
/// # Errors
/// -1102 when none is named, -1121 when nobody trades it here.
pub fn symbol<'a>(world: &'a World, params: &Params) -> Result<&'a Symbol, ApiError> {
    world.symbol(required(params, "symbol")?).ok_or_else(ApiError::symbol)
}

/// `exchangeInfo`, for one symbol (`symbol`), several (`symbols`) or all.
///
/// # Errors
/// -1121 for a symbol nobody trades here, -1100 for a bad list.
pub fn info(world: &mut World, params: &Params) -> Result<Value, ApiError> {
    let names: Vec<String> = match (params.get("symbol"), params.get("symbols")) {
        (Some(one), _) => vec![one.clone()],
        (None, Some(list)) => serde_json::from_str(list).map_err(|_| ApiError::illegal("symbols"))?,
        (None, None) => world.symbols.iter().map(|s| s.listed.instrument.symbol.to_string()).collect(),
    };
    let now_ms = world.now_ns() / NS_PER_MS;
    let symbols = names
        .iter()
        .map(|name| world.symbol(name).map(symbol_info).ok_or_else(ApiError::symbol))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": limits(),
        "exchangeFilters": [],
        "symbols": symbols,
    }))
}

/// The venue's word for what a symbol lets be done; it has none for post-only.
const fn status(allowed: Allowed) -> &'static str {
    match allowed {
        Allowed::All => "TRADING",
        Allowed::PostOnly | Allowed::CancelOnly => "CANCEL_ONLY",
        Allowed::Nothing => "HALT",
    }
}

fn symbol_info(symbol: &Symbol) -> Value {
    let i = &symbol.listed.instrument;
    let (tick, lot) = (fixed(i.tick.times(1)), fixed(i.lot.times(1)));
    let whole = |n: u64| format!("{n}.00000000");
    json!({
        "symbol": i.symbol,
        "status": status(symbol.allowed),
        "baseAsset": i.base,
        "baseAssetPrecision": 8,
        "quoteAsset": i.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": false,
        "ocoAllowed": false,
        "otoAllowed": false,
        "opoAllowed": false,
        "quoteOrderQtyMarketAllowed": false,
        "allowTrailingStop": false,
        "cancelReplaceAllowed": true,
        "amendAllowed": false,
        "pegInstructionsAllowed": false,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": whole(rules::PRICE_MAX), "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": fixed(i.qty(i.qty_min)), "maxQty": fixed(i.qty(i.qty_max)),
                "stepSize": lot},
            {"filterType": "NOTIONAL", "minNotional": fixed(i.value(i.value_min)), "applyMinToMarket": true,
                "maxNotional": "9000000000000.00000000", "applyMaxToMarket": false, "avgPriceMins": 0},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200}
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    })
}

/// What a fault does to the book: whether it is the one of the start, and how late it comes.
fn spoiled(world: &mut World, params: &Params) -> (bool, Duration) {
    match symbol(world, params).map(|s| s.listed.instrument.id) {
        Ok(id) => world.spoil_book(usize::from(id.0)),
        Err(_) => (false, Duration::ZERO),
    }
}

/// The book as it was at the start.
fn first_book(world: &World, params: &Params) -> Reply {
    let Symbol { listed, start, .. } = symbol(world, params)?;
    let rows = |side| -> Vec<[String; 2]> {
        let i = &listed.instrument;
        start.side(side, DEPTH_MAX).iter().map(|l| [fixed(i.price(l.price)), fixed(i.qty(l.qty))]).collect()
    };
    Ok(json!({"lastUpdateId": start.last_id, "bids": rows(Side::Buy), "asks": rows(Side::Sell)}).to_string())
}

/// `depth`: up to the place of the recorded snapshot the recorded one, then the book as it stands.
///
/// # Errors
/// -1102, -1121, -1100 as everywhere.
pub fn book(world: &mut World, params: &Params) -> Reply {
    let limit = number(params, "limit")?.unwrap_or(100);
    let limit = usize::try_from(limit).unwrap_or(DEPTH_MAX).clamp(1, DEPTH_MAX);
    let id = symbol(world, params)?.listed.instrument.id;
    let at = usize::from(id.0);
    world.symbols[at].snapshot_served = true;
    let Symbol { listed, snapshot_passed, .. } = &world.symbols[at];
    let (last_id, bids, asks) = match world.venue.book(id) {
        Some(book) if *snapshot_passed || listed.recorded.is_none() => {
            (book.last_id(), book.levels(Side::Buy, limit), book.levels(Side::Sell, limit))
        }
        _ => {
            let start = &listed.snapshot;
            let whole = start.bids.len().max(start.asks.len()) <= limit;
            if let (true, Some(recorded)) = (whole, &listed.recorded) {
                return Ok(recorded.to_string());
            }
            let cut = |levels: &[Level]| levels.iter().take(limit).copied().collect();
            (start.last_id, cut(&start.bids), cut(&start.asks))
        }
    };
    let rows = |levels: Vec<Level>| -> Vec<[String; 2]> {
        let i = &listed.instrument;
        levels.iter().map(|l| [fixed(i.price(l.price)), fixed(i.qty(l.qty))]).collect()
    };
    Ok(json!({"lastUpdateId": last_id, "bids": rows(bids), "asks": rows(asks)}).to_string())
}

/// `klines`.
///
/// # Errors
/// -1102, -1121, -1100, and -1120 for an interval that is not served.
pub fn candles(world: &mut World, params: &Params) -> Result<Value, ApiError> {
    let symbol = symbol(world, params)?;
    let interval =
        interval_ms(required(params, "interval")?).ok_or_else(|| ApiError::new(-1120, "Invalid interval."))?;
    let limit = number(params, "limit")?.unwrap_or(500).clamp(1, 1000);
    let wanted = Wanted {
        interval_ms: interval,
        start_ms: number(params, "startTime")?,
        end_ms: number(params, "endTime")?,
        limit: usize::try_from(limit).unwrap_or(1000),
    };
    Ok(Value::Array(rows::rows(&symbol.klines, &symbol.listed.instrument, &wanted)))
}

/// Parameters out of a JSON object: texts, numbers and flags as text, lists as JSON.
pub fn flatten(params: &Map<String, Value>) -> Params {
    let text = |v: &Value| match v {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    params.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), text(v))).collect()
}
