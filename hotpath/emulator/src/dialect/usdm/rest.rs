//! `/fapi/v1/...`.

use super::super::binance::candles::{interval_ms, rows};
use super::super::binance::encode::pairs;
use super::super::binance::rest::{Params, number, required};
use super::super::binance::text::{ApiError, fixed};
use super::super::words::{ms, rules};
use super::{id, mark_price, next_funding_ms};
use crate::klines::Wanted;
use crate::state::{Shared, Symbol, World};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::Side;
use domain::event::Allowed;
use serde_json::{Value, json};
use std::sync::Arc;

/// The REST addresses.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/fapi/v1/ping", get(|| async { reply(Ok("{}".to_owned())) }))
        .route("/fapi/v1/time", get(time))
        .route("/fapi/v1/exchangeInfo", get(info))
        .route("/fapi/v1/depth", get(depth))
        .route("/fapi/v1/klines", get(klines))
        .route("/fapi/v1/premiumIndex", get(premium))
        .route("/fapi/v1/openInterest", get(interest))
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

/// The venue's word for a contract that trades or not; while it settles, nothing can be done.
const fn status(allowed: Allowed) -> &'static str {
    match allowed {
        Allowed::All => "TRADING",
        Allowed::PostOnly | Allowed::CancelOnly | Allowed::Nothing => "SETTLING",
    }
}

fn row(symbol: &Symbol) -> Value {
    let i = rules(symbol);
    let (tick, lot) = (i.tick.times(1).to_string(), i.lot.times(1).to_string());
    let lots = |kind: &str| json!({"filterType": kind, "minQty": lot, "maxQty": "1000", "stepSize": lot});
    json!({"symbol": i.symbol, "pair": i.symbol, "contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000_u64,
    "onboardDate": 1_569_398_400_000_u64, "status": status(symbol.allowed), "baseAsset": i.base, "quoteAsset": i.quote,
    "marginAsset": i.quote, "pricePrecision": i.tick.scale, "quantityPrecision": i.lot.scale,
    "underlyingType": "COIN", "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
        lots("LOT_SIZE"), lots("MARKET_LOT_SIZE"), {"filterType": "MIN_NOTIONAL", "notional": "100"}
    ]})
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
        Ok(format!(r#"{{"lastUpdateId":{last},"E":{now},"T":{now},"bids":{bids},"asks":{asks}}}"#))
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
        Ok(Value::Array(rows(&symbol.klines, rules(symbol), &wanted)).to_string())
    })())
}

async fn premium(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let mut world = shared.world();
    let now = ms(world.venue_ns());
    reply(find(&world, &params).map(|symbol| {
        let price = mark_price(symbol).unwrap_or_default();
        json!({"symbol": rules(symbol).symbol, "markPrice": price, "indexPrice": price,
            "estimatedSettlePrice": price, "lastFundingRate": "0.00010000", "interestRate": "0.00010000",
            "nextFundingTime": next_funding_ms(now), "time": now})
        .to_string()
    }))
}

async fn interest(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let mut world = shared.world();
    let now = ms(world.venue_ns());
    reply(find(&world, &params).map(|symbol| {
        let i = rules(symbol);
        let held = fixed(i.lot.times(80_000_000));
        json!({"openInterest": held, "symbol": i.symbol, "time": now}).to_string()
    }))
}
