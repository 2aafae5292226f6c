//! `/api/v3/brokerage/...`, the public forms and those that ask for a key elsewhere, without asking.

use super::super::words::{plain, rfc3339, rules};
use crate::klines::{Bar, MINUTE_MS, Wanted};
use crate::state::{Shared, Symbol};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::event::{Allowed, Level};
use domain::{Instrument, Side};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Params = BTreeMap<String, String>;

/// Most candles of one answer.
const ROWS: u64 = 350;
const GRANULARITIES: [(&str, u64); 9] = [
    ("ONE_MINUTE", 1),
    ("FIVE_MINUTE", 5),
    ("FIFTEEN_MINUTE", 15),
    ("THIRTY_MINUTE", 30),
    ("ONE_HOUR", 60),
    ("TWO_HOUR", 120),
    ("FOUR_HOUR", 240),
    ("SIX_HOUR", 360),
    ("ONE_DAY", 1440),
];

/// The REST addresses.
pub fn routes() -> Router<Arc<Shared>> {
    let mut router = Router::new().route("/api/v3/brokerage/time", get(time));
    for base in ["/api/v3/brokerage/market", "/api/v3/brokerage"] {
        router = router
            .route(&format!("{base}/products"), get(products))
            .route(&format!("{base}/products/{{id}}"), get(product))
            .route(&format!("{base}/products/{{id}}/candles"), get(candles))
            .route(&format!("{base}/product_book"), get(book));
    }
    router
}

fn ok(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn refused(status: StatusCode, error: &str, text: &str) -> Response {
    let body = json!({"error": error, "error_details": text, "message": text});
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn unknown() -> Response {
    refused(StatusCode::NOT_FOUND, "NOT_FOUND", "valid product_id is required")
}

async fn time(State(shared): State<Arc<Shared>>) -> Response {
    let ns = shared.world().venue_ns();
    let (seconds, millis) = ((ns / 1_000_000_000).to_string(), (ns / 1_000_000).to_string());
    ok(&json!({"iso": rfc3339(ns), "epochSeconds": seconds, "epochMillis": millis}))
}

fn row(s: &Symbol) -> Value {
    let i = rules(s);
    let best = s.truth.side(Side::Buy, 1).first().map_or_else(String::new, |l| plain(i.price(l.price)));
    let (tick, lot) = (i.tick.times(1).to_string(), i.lot.times(1).to_string());
    json!({
        "product_id": i.symbol, "price": best, "base_increment": lot, "quote_increment": tick,
        "price_increment": tick, "quote_min_size": "1", "quote_max_size": "150000000", "base_min_size": lot,
        "base_max_size": "3400", "status": super::status(s.allowed), "is_disabled": false,
        "cancel_only": s.allowed == Allowed::CancelOnly, "limit_only": false,
        "post_only": s.allowed == Allowed::PostOnly, "trading_disabled": s.allowed == Allowed::Nothing,
        "auction_mode": false,
        "product_type": "SPOT", "quote_currency_id": i.quote, "base_currency_id": i.base, "view_only": false,
        "product_venue": "CBE", "alias": "", "alias_to": [format!("{}C", i.symbol)],
    })
}

async fn products(State(shared): State<Arc<Shared>>) -> Response {
    let world = shared.world();
    let rows: Vec<Value> = world.symbols.iter().map(row).collect();
    ok(&json!({"products": rows, "num_products": rows.len()}))
}

async fn product(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    shared.world().symbol(&id).map_or_else(unknown, |s| ok(&row(s)))
}

async fn book(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let id = params.get("product_id").cloned().unwrap_or_default();
    let most = params.get("limit").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let (stale, late) = {
        let mut world = shared.world();
        let Some(at) = world.symbol(&id).map(|s| usize::from(rules(s).id.0)) else { return unknown() };
        world.spoil_book(at)
    };
    tokio::time::sleep(late).await;
    let mut world = shared.world();
    let now_ns = world.venue_ns();
    let Some(symbol) = world.symbol(&id) else { return unknown() };
    let (i, book) = (rules(symbol), if stale { &symbol.start } else { &symbol.truth });
    let side = |side| -> Vec<Value> { book.side(side, most).iter().map(|l| level(i, l)).collect() };
    let pricebook =
        json!({"product_id": id, "bids": side(Side::Buy), "asks": side(Side::Sell), "time": rfc3339(now_ns)});
    ok(&json!({"pricebook": pricebook}))
}

fn level(i: &Instrument, l: &Level) -> Value {
    json!({"price": plain(i.price(l.price)), "size": plain(i.qty(l.qty))})
}

async fn candles(State(shared): State<Arc<Shared>>, Path(id): Path<String>, Query(params): Query<Params>) -> Response {
    let world = shared.world();
    let Some(symbol) = world.symbol(&id) else { return unknown() };
    let seconds = |name: &str| params.get(name).and_then(|s| s.parse::<u64>().ok());
    let granularity = params.get("granularity").map(String::as_str).unwrap_or_default();
    let minutes = GRANULARITIES.iter().find(|(name, _)| *name == granularity).map(|(_, minutes)| *minutes);
    let (Some(start), Some(end), Some(minutes)) = (seconds("start"), seconds("end"), minutes) else {
        return refused(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "start, end and granularity are required");
    };
    if end.saturating_sub(start) / (minutes * 60) > ROWS {
        return refused(
            StatusCode::BAD_REQUEST,
            "INVALID_ARGUMENT",
            "number of candles requested should be less than 350",
        );
    }
    let wanted = Wanted {
        interval_ms: minutes * MINUTE_MS,
        start_ms: Some(start * 1000),
        end_ms: Some(end * 1000),
        limit: usize::MAX,
    };
    let i = rules(symbol);
    let row = |(open_ms, bar): &(u64, Bar)| {
        let [o, h, l, c] = bar.ohlc.map(|p| plain(i.price(p)));
        json!({"start": (open_ms / 1000).to_string(), "low": l, "high": h, "open": o, "close": c,
            "volume": plain(i.qty(bar.volume))})
    };
    // Newest first; a time without trades has no candle.
    let bars = symbol.klines.bars(&wanted);
    let rows: Vec<Value> = bars.iter().rev().filter(|(_, bar)| bar.trades > 0).map(row).collect();
    ok(&json!({"candles": rows}))
}
