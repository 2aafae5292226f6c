//! `/v5/market/...`: an envelope with `retCode` and `result`, status 200 even on errors.

use super::super::words::{ms, pairs, rules};
use super::{INTERVALS, update_id};
use crate::klines::{Bar, MINUTE_MS, Wanted};
use crate::state::{Shared, Symbol};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::Side;
use domain::event::Allowed;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Params = BTreeMap<String, String>;

/// The REST addresses of one category. Whoever names none means linear.
pub fn routes(category: &'static str) -> Router<Arc<Shared>> {
    let fits = move |params: &Params| params.get("category").map_or("linear", String::as_str) == category;
    Router::new()
        .route("/v5/market/time", get(time))
        .route(
            "/v5/market/instruments-info",
            get(move |state, Query(params): Query<Params>| instruments(state, params.clone(), fits(&params), category)),
        )
        .route(
            "/v5/market/orderbook",
            get(move |state, Query(params): Query<Params>| book(state, params.clone(), fits(&params))),
        )
        .route(
            "/v5/market/kline",
            get(move |state, Query(params): Query<Params>| candles(state, params.clone(), fits(&params), category)),
        )
}

fn answer(now_ns: u64, result: Result<Value, (i32, &str)>) -> Response {
    let (code, text, result) = match result {
        Ok(result) => (0, "OK", result),
        Err((code, text)) => (code, text, json!({})),
    };
    let body = json!({"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": ms(now_ns)});
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

const BAD_CATEGORY: (i32, &str) = (10001, "Illegal category");
const BAD_SYMBOL: (i32, &str) = (10001, "params error: Symbol Invalid");

async fn time(State(shared): State<Arc<Shared>>) -> Response {
    let now_ns = shared.world().venue_ns();
    let seconds = (now_ns / 1_000_000_000).to_string();
    answer(now_ns, Ok(json!({"timeSecond": seconds, "timeNano": now_ns.to_string()})))
}

async fn instruments(
    State(shared): State<Arc<Shared>>,
    params: Params,
    fits: bool,
    category: &'static str,
) -> Response {
    let mut world = shared.world();
    let now_ns = world.venue_ns();
    if !fits {
        return answer(now_ns, Err(BAD_CATEGORY));
    }
    let only = params.get("symbol");
    let wanted: Vec<&Symbol> =
        world.symbols.iter().filter(|s| only.is_none_or(|name| *name == rules(s).symbol.as_str())).collect();
    if wanted.is_empty() {
        return answer(now_ns, Err(BAD_SYMBOL));
    }
    let rows: Vec<Value> = wanted.into_iter().map(|s| instrument(s, category)).collect();
    answer(now_ns, Ok(json!({"category": category, "list": rows, "nextPageCursor": ""})))
}

/// The venue's word for an instrument that trades or not.
const fn status(allowed: Allowed) -> &'static str {
    match allowed {
        Allowed::All => "Trading",
        Allowed::PostOnly | Allowed::CancelOnly | Allowed::Nothing => "Closed",
    }
}

fn instrument(s: &Symbol, category: &str) -> Value {
    let i = rules(s);
    let (tick, lot) = (i.tick.times(1).to_string(), i.lot.times(1).to_string());
    let (symbol, base, quote, status) = (i.symbol, i.base, i.quote, status(s.allowed));
    if category == "spot" {
        return json!({"symbol": symbol, "baseCoin": base, "quoteCoin": quote, "innovation": "0", "status": status,
            "marginTrading": "none", "lotSizeFilter": {"basePrecision": lot, "quotePrecision": "0.0000001",
                "minOrderQty": lot, "maxOrderQty": "83", "minOrderAmt": "5", "maxOrderAmt": "8000000",
                "maxLimitOrderQty": "83", "maxMarketOrderQty": "41"},
            "priceFilter": {"tickSize": tick}, "riskParameters": {"priceLimitRatioX": "0.01",
                "priceLimitRatioY": "0.01"}});
    }
    json!({"symbol": symbol, "contractType": "LinearPerpetual", "status": status, "baseCoin": base,
        "quoteCoin": quote, "settleCoin": quote, "launchTime": "1584230400000", "deliveryTime": "0",
        "priceScale": "2", "leverageFilter": {"minLeverage": "1", "maxLeverage": "100", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.8", "tickSize": tick},
        "lotSizeFilter": {"maxOrderQty": "1190", "minOrderQty": lot, "qtyStep": lot, "maxMktOrderQty": "500",
            "minNotionalValue": "5"},
        "unifiedMarginTrade": true, "fundingInterval": 480})
}

async fn book(State(shared): State<Arc<Shared>>, params: Params, fits: bool) -> Response {
    let name = params.get("symbol").cloned().unwrap_or_default();
    let most = params.get("limit").and_then(|n| n.parse().ok()).unwrap_or(25usize).clamp(1, 1000);
    let (stale, late) = {
        let mut world = shared.world();
        let now_ns = world.venue_ns();
        let at = world.symbol(&name).map(|s| usize::from(rules(s).id.0));
        match at {
            _ if !fits => return answer(now_ns, Err(BAD_CATEGORY)),
            None => return answer(now_ns, Err(BAD_SYMBOL)),
            Some(at) => world.spoil_book(at),
        }
    };
    tokio::time::sleep(late).await;
    let mut world = shared.world();
    let now_ns = world.venue_ns();
    let Some(symbol) = world.symbol(&name) else { return answer(now_ns, Err(BAD_SYMBOL)) };
    let (i, book) = (rules(symbol), if stale { &symbol.start } else { &symbol.truth });
    let (bids, asks) = (pairs(i, &book.side(Side::Buy, most)), pairs(i, &book.side(Side::Sell, most)));
    let (u, seq, ts) = (update_id(book.changes), book.last_id, ms(now_ns));
    let result = format!(r#"{{"s":"{name}","b":{bids},"a":{asks},"ts":{ts},"u":{u},"seq":{seq},"cts":{ts}}}"#);
    answer(now_ns, Ok(serde_json::from_str(&result).unwrap_or_default()))
}

async fn candles(State(shared): State<Arc<Shared>>, params: Params, fits: bool, category: &'static str) -> Response {
    let mut world = shared.world();
    let now_ns = world.venue_ns();
    if !fits {
        return answer(now_ns, Err(BAD_CATEGORY));
    }
    let name = params.get("symbol").map(String::as_str).unwrap_or_default();
    let Some(symbol) = world.symbol(name) else { return answer(now_ns, Err(BAD_SYMBOL)) };
    let interval = params.get("interval").map(String::as_str).unwrap_or_default();
    let Some((_, minutes)) = INTERVALS.iter().find(|(known, _)| *known == interval) else {
        return answer(now_ns, Err((10001, "params error: Invalid period!")));
    };
    let number = |name: &str| params.get(name).and_then(|n| n.parse::<u64>().ok());
    let limit = usize::try_from(number("limit").unwrap_or(200).clamp(1, 1000)).unwrap_or(1000);
    let wanted = Wanted { interval_ms: minutes * MINUTE_MS, start_ms: number("start"), end_ms: number("end"), limit };
    let i = rules(symbol);
    let row = |(open_ms, bar): &(u64, Bar)| {
        let [o, h, l, c] = bar.ohlc.map(|p| i.price(p).to_string());
        json!([open_ms.to_string(), o, h, l, c, i.qty(bar.volume).to_string(), i.value(bar.value).to_string()])
    };
    // Newest first.
    let rows: Vec<Value> = symbol.klines.bars(&wanted).iter().rev().map(row).collect();
    answer(now_ns, Ok(json!({"category": category, "symbol": name, "list": rows})))
}
