//! `/api/v5/...`: an envelope with `code`, `msg` and `data`.

use super::super::words::{ms, plain, rules};
use super::{BARS, rows};
use crate::klines::{Bar, MINUTE_MS, Wanted};
use crate::state::{Shared, Symbol};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::event::Allowed;
use domain::{Instrument, Side};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Params = BTreeMap<String, String>;

/// The REST addresses.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v5/public/time", get(time))
        .route("/api/v5/public/instruments", get(instruments))
        .route("/api/v5/market/books", get(book))
        .route("/api/v5/market/candles", get(candles))
        .route("/api/v5/market/history-candles", get(candles))
}

fn answer(result: Result<Value, (&str, &str)>) -> Response {
    let body = match result {
        Ok(data) => json!({"code": "0", "msg": "", "data": data}),
        Err((code, msg)) => json!({"code": code, "msg": msg, "data": []}),
    };
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

const UNKNOWN: (&str, &str) = ("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.");

async fn time(State(shared): State<Arc<Shared>>) -> Response {
    let now_ns = shared.world().venue_ns();
    answer(Ok(json!([{"ts": ms(now_ns).to_string()}])))
}

/// The venue's word for what an instrument lets be done.
const fn state(allowed: Allowed) -> &'static str {
    match allowed {
        Allowed::All => "live",
        Allowed::PostOnly => "post_only",
        Allowed::CancelOnly | Allowed::Nothing => "suspend",
    }
}

async fn instruments(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let world = shared.world();
    if params.get("instType").map(String::as_str) != Some("SPOT") {
        return answer(Err(("51000", "Parameter instType error")));
    }
    let only = params.get("instId");
    let fits = |s: &&Symbol| only.is_none_or(|name| *name == rules(s).symbol.as_str());
    let row = |s: &Symbol| {
        let i = rules(s);
        let (tick, lot) = (plain(i.tick.times(1)), plain(i.lot.times(1)));
        json!({"instType": "SPOT", "instId": i.symbol, "baseCcy": i.base, "quoteCcy": i.quote, "settleCcy": "",
            "ctVal": "", "ctMult": "", "ctValCcy": "", "ctType": "", "listTime": "1548133413000", "expTime": "",
            "lever": "10", "tickSz": tick, "lotSz": lot, "minSz": "0.00001", "state": state(s.allowed), "uly": "",
            "maxLmtSz": "9999999999", "maxMktSz": "1000000", "alias": "", "category": "1", "optType": "", "stk": ""})
    };
    let rows: Vec<Value> = world.symbols.iter().filter(fits).map(row).collect();
    answer(if rows.is_empty() { Err(UNKNOWN) } else { Ok(Value::Array(rows)) })
}

async fn book(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let name = params.get("instId").cloned().unwrap_or_default();
    let most = params.get("sz").and_then(|n| n.parse().ok()).unwrap_or(1usize).clamp(1, 400);
    let (stale, late) = {
        let mut world = shared.world();
        let Some(at) = world.symbol(&name).map(|s| usize::from(rules(s).id.0)) else { return answer(Err(UNKNOWN)) };
        world.spoil_book(at)
    };
    tokio::time::sleep(late).await;
    let mut world = shared.world();
    let now_ns = world.venue_ns();
    let Some(symbol) = world.symbol(&name) else { return answer(Err(UNKNOWN)) };
    let (i, book) = (rules(symbol), if stale { &symbol.start } else { &symbol.truth });
    let (bids, asks) = (rows(i, &book.side(Side::Buy, most)), rows(i, &book.side(Side::Sell, most)));
    answer(Ok(json!([{"asks": asks, "bids": bids, "ts": ms(now_ns).to_string(), "seqId": book.last_id}])))
}

/// One bar as a row of texts.
pub fn row(i: &Instrument, open_ms: u64, bar: &Bar, over: bool) -> Value {
    let [o, h, l, c] = bar.ohlc.map(|p| plain(i.price(p)));
    let (volume, value) = (plain(i.qty(bar.volume)), plain(i.value(bar.value)));
    json!([open_ms.to_string(), o, h, l, c, volume, value, value, if over { "1" } else { "0" }])
}

/// `after` is older than, `before` newer than; newest first.
async fn candles(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let mut world = shared.world();
    let now_ms = world.now_ns() / 1_000_000;
    let name = params.get("instId").map(String::as_str).unwrap_or_default();
    let Some(symbol) = world.symbol(name) else { return answer(Err(UNKNOWN)) };
    let bar = params.get("bar").map_or("1m", String::as_str);
    let Some((_, minutes)) = BARS.iter().find(|(known, _)| *known == bar) else {
        return answer(Err(("51000", "Parameter bar error")));
    };
    let number = |name: &str| params.get(name).and_then(|n| n.parse::<u64>().ok());
    let length_ms = minutes * MINUTE_MS;
    let wanted = Wanted {
        interval_ms: length_ms,
        start_ms: None,
        end_ms: number("after").map(|ms| ms.saturating_sub(1)),
        limit: usize::try_from(number("limit").unwrap_or(100).clamp(1, 300)).unwrap_or(300),
    };
    let i = rules(symbol);
    let newer = number("before").unwrap_or(0);
    let bars = symbol.klines.bars(&wanted);
    let rows = bars.iter().rev().filter(|(open_ms, _)| *open_ms > newer || newer == 0);
    answer(Ok(rows.map(|(open_ms, bar)| row(i, *open_ms, bar, open_ms + length_ms <= now_ms)).collect()))
}
