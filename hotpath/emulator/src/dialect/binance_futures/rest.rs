//! `/fapi/v1/...` and `/dapi/v1/...`.

use super::super::binance::candles::{interval_ms, rows};
use super::super::binance::encode::pairs;
use super::super::binance::rest::{Params, number, required};
use super::super::binance::text::{ApiError, qty};
use super::super::words::{ms, rules};
use super::encode::{id, is_inverse, mark_price, next_funding_ms, pair};
use crate::klines::Wanted;
use crate::state::{Shared, Symbol, World};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::event::Allowed;
use domain::instrument::Contract;
use domain::{Instrument, Lots, Side};
use serde_json::{Value, json};
use std::sync::Arc;

/// The longest time that COIN-M tells bars of.
const COIN_M_SPAN_MS: u64 = 200 * 86_400_000;

/// The REST addresses, without what they begin with.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/ping", get(|| async { reply(Ok("{}".to_owned())) }))
        .route("/time", get(time))
        .route("/exchangeInfo", get(info))
        .route("/depth", get(depth))
        .route("/klines", get(klines))
        .route("/premiumIndex", get(premium))
        .route("/openInterest", get(interest))
}

fn reply(result: Result<String, ApiError>) -> Response {
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(e) => (StatusCode::from_u16(e.status).unwrap_or(StatusCode::BAD_REQUEST), e.body().to_string()),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn find<'a>(world: &'a World, params: &Params) -> Result<&'a Symbol, ApiError> {
    world.symbol(required(params, "symbol")?).ok_or_else(ApiError::symbol)
}

async fn time(State(shared): State<Arc<Shared>>) -> Response {
    let now_ns = shared.world().venue_ns();
    reply(Ok(json!({"serverTime": ms(now_ns)}).to_string()))
}

async fn info(State(shared): State<Arc<Shared>>) -> Response {
    let mut world = shared.world();
    let now = ms(world.venue_ns());
    let rows: Vec<Value> = world.symbols.iter().map(row).collect();
    let limits = json!([{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}]);
    let body = json!({"timezone": "UTC", "serverTime": now, "rateLimits": limits, "exchangeFilters": [],
        "assets": [], "symbols": rows});
    reply(Ok(body.to_string()))
}

/// The venue's word for a contract that trades or not; while it settles or is delivered, nothing can be done.
const fn status(i: &Instrument, allowed: Allowed) -> &'static str {
    match allowed {
        Allowed::All => "TRADING",
        Allowed::PostOnly | Allowed::CancelOnly | Allowed::Nothing if is_inverse(i) => "DELIVERING",
        Allowed::PostOnly | Allowed::CancelOnly | Allowed::Nothing => "SETTLING",
    }
}

fn row(symbol: &Symbol) -> Value {
    let i = rules(symbol);
    let (tick, lot) = (i.tick.times(1).to_string(), i.lot.times(1).to_string());
    let status = status(i, symbol.allowed);
    let price = json!({"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick});
    let lots = |kind: &str, most: &str| json!({"filterType": kind, "minQty": lot, "maxQty": most, "stepSize": lot});
    let mut row = json!({"symbol": i.symbol, "pair": pair(i), "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000_u64, "onboardDate": 1_569_398_400_000_u64, "baseAsset": i.base,
        "quoteAsset": i.quote, "pricePrecision": i.tick.scale, "quantityPrecision": i.lot.scale,
        "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": [],
        "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"]});
    let differs = match i.contract {
        // Its values are in base, and no order is too small for them.
        Contract::Inverse(size) => json!({"contractStatus": status, "contractSize": i64::try_from(size.mantissa).ok(),
            "marginAsset": i.base, "equalQtyPrecision": 4,
            "filters": [price, lots("LOT_SIZE", "1000000"), lots("MARKET_LOT_SIZE", "60000")]}),
        Contract::Spot | Contract::Linear(_) => json!({"status": status, "marginAsset": i.quote,
            "filters": [price, lots("LOT_SIZE", "1000"), lots("MARKET_LOT_SIZE", "1000"),
                {"filterType": "MIN_NOTIONAL", "notional": "100"}]}),
    };
    if let (Value::Object(row), Value::Object(differs)) = (&mut row, differs) {
        row.extend(differs);
    }
    row
}

async fn depth(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let spoiled = {
        let mut world = shared.world();
        let at = find(&world, &params).map(|s| usize::from(rules(s).id.0));
        at.map(|at| world.spoil_book(at))
    };
    let (stale, late) = match spoiled {
        Ok(spoiled) => spoiled,
        Err(error) => return reply(Err(error)),
    };
    tokio::time::sleep(late).await;
    let mut world = shared.world();
    let now = ms(world.venue_ns());
    reply((|| {
        let most = usize::try_from(number(&params, "limit")?.unwrap_or(500).clamp(1, 1000)).unwrap_or(1000);
        let symbol = find(&world, &params)?;
        let (i, book) = (rules(symbol), if stale { &symbol.start } else { &symbol.truth });
        let (bids, asks) = (pairs(i, &book.side(Side::Buy, most)), pairs(i, &book.side(Side::Sell, most)));
        let last = id(book.last_id);
        let named = format!(r#""symbol":"{}","pair":"{}","#, i.symbol, pair(i));
        let named = if is_inverse(i) { named.as_str() } else { "" };
        Ok(format!(r#"{{"lastUpdateId":{last},"E":{now},"T":{now},{named}"bids":{bids},"asks":{asks}}}"#))
    })())
}

async fn klines(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let world = shared.world();
    reply((|| {
        let symbol = find(&world, &params)?;
        let interval =
            interval_ms(required(&params, "interval")?).ok_or_else(|| ApiError::new(-1120, "Invalid interval."))?;
        let wanted = Wanted {
            interval_ms: interval,
            start_ms: number(&params, "startTime")?,
            end_ms: number(&params, "endTime")?,
            limit: usize::try_from(number(&params, "limit")?.unwrap_or(500).clamp(1, 1500)).unwrap_or(1500),
        };
        let span_ms = wanted.start_ms.zip(wanted.end_ms).map_or(0, |(start, end)| end.saturating_sub(start));
        if is_inverse(rules(symbol)) && span_ms > COIN_M_SPAN_MS {
            return Err(ApiError::new(
                -1127,
                "Lookup interval is too big. More than 4800 hours between startTime and endTime.",
            ));
        }
        Ok(Value::Array(rows(&symbol.klines, rules(symbol), &wanted)).to_string())
    })())
}

async fn premium(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let mut world = shared.world();
    let now = ms(world.venue_ns());
    reply(find(&world, &params).map(|symbol| {
        let (i, price) = (rules(symbol), mark_price(symbol).unwrap_or_default());
        let mut answer = json!({"symbol": i.symbol, "markPrice": price, "indexPrice": price,
            "estimatedSettlePrice": price, "lastFundingRate": "0.00010000", "interestRate": "0.00010000",
            "nextFundingTime": next_funding_ms(now), "time": now});
        if is_inverse(i) {
            // A list, even of one.
            answer["pair"] = pair(i).into();
            answer = Value::Array(vec![answer]);
        }
        answer.to_string()
    }))
}

async fn interest(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let mut world = shared.world();
    let now = ms(world.venue_ns());
    reply(find(&world, &params).map(|symbol| {
        let i = rules(symbol);
        let mut answer = json!({"openInterest": qty(i, Lots::new(80_000_000)), "symbol": i.symbol, "time": now});
        if is_inverse(i) {
            answer["pair"] = pair(i).into();
            answer["contractType"] = "PERPETUAL".into();
        }
        answer.to_string()
    }))
}
