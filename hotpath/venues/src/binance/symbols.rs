//! Whose data a recorded frame or address is about. The markets write nearly the same, so this looks for what only one of
//! them writes; what both write the same way counts for both.

use super::Market;
use serde_json::Value;

/// The symbols that `text`, a frame or an address, speaks about on `market`; empty when it is of another market or venue.
pub(super) fn symbols_in(market: Market, text: &str) -> Vec<String> {
    if text.starts_with('/') || text.contains("://") && !text.starts_with('{') {
        return address(market, text);
    }
    let Ok(frame) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let message = if frame["stream"].is_string() { &frame["data"] } else { &frame };
    let parts: &[Value] = message.as_array().map_or(std::slice::from_ref(message), Vec::as_slice);
    let mut found = Vec::new();
    for part in parts {
        if let Some(symbol) = symbol(part).filter(|symbol| speaks(market, part, symbol))
            && !found.contains(symbol)
        {
            found.push(symbol.clone());
        }
    }
    found
}

fn symbol(message: &Value) -> Option<&String> {
    let named = [&message["s"], &message["o"]["s"]];
    // A recorded whole book of COIN-M; others name none.
    let book = message["lastUpdateId"].is_u64().then(|| &message["symbol"]);
    named.into_iter().chain(book).find_map(|v| match v {
        Value::String(symbol) => Some(symbol),
        _ => None,
    })
}

/// True when `market` writes messages like this one.
fn speaks(market: Market, message: &Value, symbol: &str) -> bool {
    let has = |member: &str| !message[member].is_null();
    let like_spot = match message["e"].as_str() {
        Some("depthUpdate") if has("pu") => Some(false),
        Some("trade" | "aggTrade") => Some(has("M")),
        Some("depthUpdate" | "avgPrice" | "referencePrice" | "blockTrade") => Some(true),
        Some("bookTicker" | "markPriceUpdate" | "forceOrder") => Some(false),
        // Bars and statistics are the same everywhere.
        Some("kline" | "24hrTicker" | "24hrMiniTicker") => None,
        Some(_) => return false,
        None if has("u") && has("B") && has("A") => Some(true),
        None if has("lastUpdateId") => Some(false),
        None => return false,
    };
    // BTCUSD_PERP and BTCUSD_250328; on USD-M it is BTCUSDT_250328.
    let coin_m = symbol.contains("USD_");
    match market {
        Market::Spot => like_spot != Some(false) && !coin_m,
        Market::UsdM => like_spot != Some(true) && !coin_m,
        Market::CoinM => like_spot != Some(true) && coin_m,
    }
}

fn address(market: Market, text: &str) -> Vec<String> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let member = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let host = match market {
        Market::Spot => "stream.binance.com",
        Market::UsdM => "fstream.binance.com",
        Market::CoinM => "dstream.binance.com",
    };
    let names: Vec<&str> = match (member("symbol"), member("streams"), path.rsplit_once("/ws/")) {
        (Some(symbol), _, _) if path.contains(market.api()) => vec![symbol],
        (_, Some(streams), _) if path.contains(&format!("/{host}")) => streams.split('/').collect(),
        (_, _, Some((start, streams))) if start.contains(&format!("/{host}")) => streams.split('/').collect(),
        _ => Vec::new(),
    };
    let mut found: Vec<String> = Vec::new();
    for name in names {
        let symbol = name.split('@').next().unwrap_or_default().to_uppercase();
        if !symbol.is_empty() && !symbol.starts_with('!') && !found.contains(&symbol) {
            found.push(symbol);
        }
    }
    found
}
