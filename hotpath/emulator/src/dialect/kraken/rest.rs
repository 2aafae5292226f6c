//! `/0/public/...`: an envelope with `error` and `result`, status 200 even then.

use super::super::words::{full, rules};
use crate::klines::{MINUTE_MS, Wanted};
use crate::state::{Shared, Symbol, World};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::event::Level;
use domain::{Instrument, Side};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Params = BTreeMap<String, String>;

/// Rows of candles there ever are.
const ROWS: usize = 720;

/// The REST addresses.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/0/public/Time", get(time))
        .route("/0/public/SystemStatus", get(system))
        .route("/0/public/AssetPairs", get(pairs))
        .route("/0/public/Depth", get(depth))
        .route("/0/public/OHLC", get(candles))
}

fn answer(result: Result<Value, &str>) -> Response {
    let body = match result {
        Ok(result) => json!({"error": [], "result": result}),
        Err(error) => json!({"error": [error]}),
    };
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// `BTC/USD` is `XBTUSD` here, and `XXBTZUSD` in answers; newer assets have one name.
fn names(i: &Instrument) -> (String, String, String) {
    let old = |asset: &str| match asset {
        "BTC" => "XBT".to_owned(),
        other => other.to_owned(),
    };
    let (base, quote) = (old(&i.base), old(&i.quote));
    let alt = format!("{base}{quote}");
    let key = match base.as_str() {
        "XBT" | "ETH" => format!("X{base}Z{quote}"),
        _ => alt.clone(),
    };
    (key, alt, format!("{base}/{quote}"))
}

fn find<'a>(world: &'a World, name: &str) -> Option<(usize, &'a Symbol)> {
    let fits = |s: &Symbol| {
        let (key, alt, ws) = names(rules(s));
        [key.as_str(), &alt, &ws, rules(s).symbol.as_str()].contains(&name)
    };
    world.symbols.iter().enumerate().find(|(_, s)| fits(s))
}

async fn time(State(shared): State<Arc<Shared>>) -> Response {
    let now_ns = shared.world().venue_ns();
    let at = jiff::Timestamp::from_nanosecond(i128::from(now_ns)).unwrap_or_default();
    let text = at.strftime("%a, %d %b %y %H:%M:%S +0000").to_string();
    answer(Ok(json!({"unixtime": now_ns / 1_000_000_000, "rfc1123": text})))
}

async fn system(State(shared): State<Arc<Shared>>) -> Response {
    let now_ns = shared.world().venue_ns();
    answer(Ok(json!({"status": "online", "timestamp": super::rfc3339(now_ns)})))
}

async fn pairs(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let world = shared.world();
    let wanted: Vec<&Symbol> = match params.get("pair") {
        Some(list) => match list.split(',').map(|name| find(&world, name).map(|(_, s)| s)).collect::<Option<_>>() {
            Some(found) => found,
            None => return answer(Err("EQuery:Unknown asset pair")),
        },
        None => world.symbols.iter().collect(),
    };
    let rows: Map<String, Value> = wanted.into_iter().map(pair).collect();
    answer(Ok(Value::Object(rows)))
}

fn pair(s: &Symbol) -> (String, Value) {
    let i = rules(s);
    let (key, alt, ws) = names(i);
    let row = json!({
        "altname": alt, "wsname": ws, "aclass_base": "currency", "base": i.base, "aclass_quote": "currency",
        "quote": i.quote, "lot": "unit", "cost_decimals": 5, "pair_decimals": i.tick.scale,
        "lot_decimals": i.lot.scale, "lot_multiplier": 1, "leverage_buy": [], "leverage_sell": [],
        "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]], "fee_volume_currency": "ZUSD", "margin_call": 80,
        "margin_stop": 40, "ordermin": "0.00005", "costmin": "0.5", "tick_size": i.tick.times(1).to_string(),
        "status": super::markets::status(s.allowed),
    });
    (key, row)
}

async fn depth(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let name = params.get("pair").map(String::as_str).unwrap_or_default();
    let most = params.get("count").and_then(|n| n.parse().ok()).unwrap_or(100usize).clamp(1, 500);
    let (stale, late) = {
        let mut world = shared.world();
        let Some(at) = find(&world, name).map(|(at, _)| at) else { return answer(Err("EQuery:Unknown asset pair")) };
        world.spoil_book(at)
    };
    tokio::time::sleep(late).await;
    let world = shared.world();
    let Some((_, symbol)) = find(&world, name) else { return answer(Err("EQuery:Unknown asset pair")) };
    let (i, book) = (rules(symbol), if stale { &symbol.start } else { &symbol.truth });
    let seconds = book.ts_ns / 1_000_000_000;
    let rows = |side| -> Vec<Value> {
        let row = |l: &Level| {
            let (price, qty) = full(i, l);
            json!([price, qty, seconds])
        };
        book.side(side, most).iter().map(row).collect()
    };
    answer(Ok(json!({names(i).0: {"asks": rows(Side::Sell), "bids": rows(Side::Buy)}})))
}

async fn candles(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let world = shared.world();
    let name = params.get("pair").map(String::as_str).unwrap_or_default();
    let Some((_, symbol)) = find(&world, name) else { return answer(Err("EQuery:Unknown asset pair")) };
    let minutes = params.get("interval").map_or(Ok(1), |n| n.parse::<u64>()).unwrap_or(0);
    if !super::INTERVALS.contains(&minutes) {
        return answer(Err("EGeneral:Invalid arguments"));
    }
    // The newest rows, whatever `since` says.
    let wanted = Wanted { interval_ms: minutes * MINUTE_MS, start_ms: None, end_ms: None, limit: ROWS };
    let since = params.get("since").and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
    let i = rules(symbol);
    let bars = symbol.klines.bars(&wanted);
    let last = bars.len().checked_sub(2).map_or(0, |at| bars[at].0 / 1000);
    let row = |(open_ms, bar): &(u64, crate::klines::Bar)| {
        let [o, h, l, c] = bar.ohlc.map(|p| i.price(p).to_string());
        let vwap = if bar.trades == 0 { "0.0".to_owned() } else { c.clone() };
        json!([open_ms / 1000, o, h, l, c, vwap, i.qty(bar.volume).to_string(), bar.trades])
    };
    let rows: Vec<Value> = bars.iter().filter(|(open_ms, _)| open_ms / 1000 > since || since == 0).map(row).collect();
    answer(Ok(json!({names(i).0: rows, "last": last})))
}
