//! Orders over the WebSocket API. The market by hand ends with bids 100 x 1, 99 x 5, 98 x 4 and asks 101 x 2,
//! 101.5 x 1, 102 x 3; fees are 10 bps, in quote; 100000 USDT to start with.

use crate::support::*;
use serde_json::{Value, json};

/// A server whose capture has ended; orders go on.
fn ended() -> (Server, tempfile::TempDir) {
    let (server, dir) = serve(&small(&[]), |_| {});
    server.connect("/ws/btcusdt@trade").rest();
    (server, dir)
}

fn order(id: &str, side: &str, kind: &str, price: &str, qty: &str) -> Value {
    let mut v = json!({"symbol": "BTCUSDT", "side": side, "type": kind, "quantity": qty, "newClientOrderId": id,
        "timestamp": 1});
    if !price.is_empty() {
        v["price"] = json!(price);
    }
    if kind == "LIMIT" {
        v["timeInForce"] = json!("GTC");
    }
    v
}

fn balance(server: &Server, asset: &str) -> (String, String) {
    let status = server.json("/emulator/status");
    let rows = status["account"]["balances"].as_array().unwrap();
    let row = rows.iter().find(|b| b["asset"] == asset).unwrap();
    (row["free"].as_str().unwrap().to_owned(), row["locked"].as_str().unwrap().to_owned())
}

#[test]
fn a_market_order_walks_the_book_and_does_not_get_the_same_size_twice() {
    let (server, _dir) = ended();
    let mut api = server.api().log_on();
    let reply = api.ok("order.place", order("trd-0000beef-1-1", "BUY", "MARKET", "", "3"));
    assert_eq!((&reply["status"], &reply["executedQty"]), (&json!("FILLED"), &json!("3.00000000")));
    assert_eq!(reply["cummulativeQuoteQty"], "303.50000000", "2 x 101 + 1 x 101.5");
    let fills: Vec<_> =
        reply["fills"].as_array().unwrap().iter().map(|f| (f["price"].clone(), f["commission"].clone())).collect();
    let want = [(json!("101.00000000"), json!("0.20200000")), (json!("101.50000000"), json!("0.10150000"))];
    assert_eq!(fills, want);
    assert_eq!(balance(&server, "USDT").0, "99696.19650000", "100000 - 303.5 - 0.3035");
    assert_eq!(balance(&server, "BTC").0, "3.00000000");
    let reply = api.ok("order.place", order("trd-0000beef-1-2", "BUY", "MARKET", "", "1"));
    assert_eq!(reply["fills"][0]["price"], "102.00000000", "what was taken is gone");
    // Reports: new, two trades, balances; in this order.
    let new = api.event();
    assert_eq!((&new["e"], &new["x"], &new["X"]), (&json!("executionReport"), &json!("NEW"), &json!("NEW")));
    assert_eq!((&new["c"], &new["o"], &new["t"]), (&json!("trd-0000beef-1-1"), &json!("MARKET"), &json!(-1)));
    let first = api.event();
    assert_eq!((&first["x"], &first["X"]), (&json!("TRADE"), &json!("PARTIALLY_FILLED")));
    assert_eq!(
        (&first["l"], &first["L"], &first["z"]),
        (&json!("2.00000000"), &json!("101.00000000"), &json!("2.00000000"))
    );
    assert_eq!((&first["n"], &first["N"], &first["m"]), (&json!("0.20200000"), &json!("USDT"), &json!(false)));
    let second = api.event();
    assert_eq!(
        (&second["X"], &second["z"], &second["Z"]),
        (&json!("FILLED"), &json!("3.00000000"), &json!("303.50000000"))
    );
    assert!(second["t"].as_u64() > first["t"].as_u64() && second["I"].as_u64() > first["I"].as_u64());
    let position = api.event();
    assert_eq!(position["e"], "outboundAccountPosition");
    assert_eq!(position["B"][0], json!({"a": "BTC", "f": "3.00000000", "l": "0.00000000"}));
    // Reconciliation reads the same trades.
    let trades = api.ok("myTrades", json!({"symbol": "BTCUSDT", "timestamp": 1}));
    let ids: Vec<_> = trades.as_array().unwrap().iter().map(|t| t["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!((&trades[0]["quoteQty"], &trades[0]["isBuyer"]), (&json!("202.00000000"), &json!(true)));
    let later = api.ok("myTrades", json!({"symbol": "BTCUSDT", "fromId": 3, "timestamp": 1}));
    assert_eq!(later.as_array().unwrap().len(), 1);
    let one = api.ok("myTrades", json!({"symbol": "BTCUSDT", "orderId": 1, "timestamp": 1}));
    assert_eq!(one.as_array().unwrap().len(), 2);
}

#[test]
fn a_resting_order_holds_funds_and_a_cancel_gives_them_back() {
    let (server, _dir) = ended();
    let mut api = server.api().log_on();
    let reply = api.ok("order.place", order("trd-0000beef-1-1", "BUY", "LIMIT", "90.00", "2"));
    assert_eq!((&reply["status"], &reply["orderId"], &reply["fills"]), (&json!("NEW"), &json!(1), &json!([])));
    assert_eq!(balance(&server, "USDT"), ("99819.82000000".to_owned(), "180.18000000".to_owned()), "180 and its fee");
    let queried =
        api.ok("order.status", json!({"symbol": "BTCUSDT", "origClientOrderId": "trd-0000beef-1-1", "timestamp": 1}));
    assert_eq!(
        (&queried["status"], &queried["isWorking"], &queried["price"]),
        (&json!("NEW"), &json!(true), &json!("90.00000000"))
    );
    assert_eq!(api.ok("openOrders.status", json!({"timestamp": 1}))[0]["orderId"], 1);
    let twice = api.error("order.place", order("trd-0000beef-1-1", "BUY", "LIMIT", "91.00", "2"));
    assert_eq!(twice, (400, -2010, "Duplicate order sent.".to_owned()));
    let cancel =
        json!({"symbol": "BTCUSDT", "origClientOrderId": "trd-0000beef-1-1", "newClientOrderId": "c1", "timestamp": 1});
    let cancelled = api.ok("order.cancel", cancel.clone());
    assert_eq!(
        (&cancelled["status"], &cancelled["clientOrderId"], &cancelled["origClientOrderId"]),
        (&json!("CANCELED"), &json!("c1"), &json!("trd-0000beef-1-1"))
    );
    assert_eq!(balance(&server, "USDT"), ("100000.00000000".to_owned(), "0.00000000".to_owned()));
    assert_eq!(api.error("order.cancel", cancel), (400, -2011, "Unknown order sent.".to_owned()));
    let new = api.event_of("executionReport");
    assert_eq!((&new["x"], &new["C"], &new["w"]), (&json!("NEW"), &json!(""), &json!(true)));
    let gone = api.event_of("executionReport");
    assert_eq!((&gone["x"], &gone["X"]), (&json!("CANCELED"), &json!("CANCELED")));
    assert_eq!((&gone["c"], &gone["C"]), (&json!("c1"), &json!("trd-0000beef-1-1")), "the order's own id moves to C");
}

#[test]
fn refusals_carry_the_venues_codes() {
    let (server, _dir) = ended();
    let mut api = server.api().log_on();
    let mut refused = |order: Value| {
        let (_, code, text) = api.error("order.place", order);
        (code, text)
    };
    let filter = |name: &str| (-1013, format!("Filter failure: {name}"));
    assert_eq!(refused(order("a", "BUY", "LIMIT", "90.001", "2")), filter("PRICE_FILTER"));
    assert_eq!(refused(order("a", "BUY", "LIMIT", "1000000.01", "2")), filter("PRICE_FILTER"));
    assert_eq!(refused(order("a", "BUY", "LIMIT", "90", "0.000001")), filter("LOT_SIZE"));
    assert_eq!(refused(order("a", "BUY", "LIMIT", "90", "9000.00001")), filter("LOT_SIZE"));
    assert_eq!(refused(order("a", "BUY", "LIMIT", "90", "0.05555")), filter("NOTIONAL"), "4.9995 is below 5");
    assert_eq!(refused(order("a", "BUY", "LIMIT", "90", "0.0000000001")).0, -1111);
    assert_eq!(refused(order("a", "BUY", "LIMIT", "90", "ten")).0, -1100);
    assert_eq!(refused(order("bad id", "BUY", "LIMIT", "90", "2")).0, -1100);
    let poor = "Account has insufficient balance for requested action.".to_owned();
    assert_eq!(refused(order("a", "BUY", "LIMIT", "90", "2000")), (-2010, poor.clone()));
    assert_eq!(refused(order("a", "SELL", "LIMIT", "110", "2")), (-2010, poor));
    let takes = "Order would immediately match and take.".to_owned();
    assert_eq!(refused(order("a", "BUY", "LIMIT_MAKER", "101", "2")), (-2010, takes));
    let mut odd = order("a", "BUY", "LIMIT", "90", "2");
    odd["symbol"] = json!("NOPE");
    assert_eq!(refused(odd), (-1121, "Invalid symbol.".to_owned()));
    let mut odd = order("a", "BUY", "LIMIT", "90", "2");
    odd.as_object_mut().unwrap().remove("price");
    assert_eq!(refused(odd).0, -1102);
    let known = json!({"symbol": "BTCUSDT", "origClientOrderId": "trd-0000beef-1-1", "timestamp": 1});
    assert_eq!(api.error("order.status", known), (400, -2013, "Order does not exist.".to_owned()));
    assert_eq!(balance(&server, "USDT").1, "0.00000000", "refusals hold nothing");
}

#[test]
fn immediate_or_cancel_expires_its_rest_and_fill_or_kill_takes_all_or_nothing() {
    let (server, _dir) = ended();
    let mut api = server.api().log_on();
    let mut place = |id: &str, tif: &str, qty: &str| {
        let mut o = order(id, "BUY", "LIMIT", "101.5", qty);
        o["timeInForce"] = json!(tif);
        let reply = api.ok("order.place", o);
        (reply["status"].clone(), reply["executedQty"].clone())
    };
    assert_eq!(place("a", "FOK", "3.00001"), (json!("EXPIRED"), json!("0.00000000")));
    assert_eq!(place("b", "FOK", "2"), (json!("FILLED"), json!("2.00000000")));
    assert_eq!(place("c", "IOC", "4"), (json!("EXPIRED"), json!("1.00000000")));
    assert_eq!(balance(&server, "USDT").1, "0.00000000");
}

#[test]
fn public_trades_fill_a_resting_order_after_the_queue_before_it() {
    // 1 rests at 100 before us. Sold at 100: 0.6, then 0.7 (0.3 of it ours), then 0.5 (ours).
    let sold = |ms, id, qty| line(ms, &trade(ms, id, "100.00000000", qty, true));
    let lines = small(&[sold(10, 502, "0.60000000"), sold(11, 503, "0.70000000"), sold(12, 504, "0.50000000")]);
    let (server, _dir) = serve(&lines, |c| c.hold = true);
    let mut api = server.api().log_on();
    api.ok("order.place", order("trd-0000beef-1-1", "BUY", "LIMIT_MAKER", "100", "0.6"));
    let mut market = server.connect("/ws/btcusdt@trade");
    server.post("/emulator/start");
    market.rest();
    assert_eq!(api.event_of("executionReport")["x"], "NEW");
    let first = api.event_of("executionReport");
    assert_eq!(
        (&first["x"], &first["l"], &first["m"], &first["X"]),
        (&json!("TRADE"), &json!("0.30000000"), &json!(true), &json!("PARTIALLY_FILLED"))
    );
    let second = api.event_of("executionReport");
    assert_eq!(
        (&second["l"], &second["z"], &second["X"], &second["w"]),
        (&json!("0.30000000"), &json!("0.60000000"), &json!("FILLED"), &json!(false))
    );
    assert_eq!(balance(&server, "BTC").0, "0.60000000");
    assert_eq!(balance(&server, "USDT"), ("99939.94000000".to_owned(), "0.00000000".to_owned()), "60 and 0.06");
}

#[test]
fn orders_and_fills_outlive_their_client() {
    let (server, _dir) = ended();
    let mut first = server.api().log_on();
    first.ok("order.place", order("trd-0000beef-1-1", "BUY", "LIMIT", "90", "1"));
    first.ok("order.place", order("trd-0000beef-1-2", "BUY", "MARKET", "", "1"));
    drop(first);
    let mut second = server.api().log_on();
    let open = second.ok("openOrders.status", json!({"symbol": "BTCUSDT", "timestamp": 1}));
    assert_eq!((open.as_array().unwrap().len(), &open[0]["clientOrderId"]), (1, &json!("trd-0000beef-1-1")));
    assert_eq!(second.ok("myTrades", json!({"symbol": "BTCUSDT", "timestamp": 1}))[0]["price"], "101.00000000");
    let account = second.ok("account.status", json!({"omitZeroBalances": true, "timestamp": 1}));
    let btc = json!({"asset": "BTC", "free": "1.00000000", "locked": "0.00000000"});
    assert_eq!(account["balances"][0], btc);
    assert_eq!(account["commissionRates"]["taker"], "0.00100000");
    let gone = second.ok("openOrders.cancelAll", json!({"symbol": "BTCUSDT", "timestamp": 1}));
    assert_eq!((&gone[0]["origClientOrderId"], &gone[0]["status"]), (&json!("trd-0000beef-1-1"), &json!("CANCELED")));
    assert_eq!(second.error("openOrders.cancelAll", json!({"symbol": "BTCUSDT", "timestamp": 1})).1, -2011);
}

#[test]
fn cancel_replace_says_what_became_of_both_halves() {
    let (server, _dir) = ended();
    let mut api = server.api().log_on();
    api.ok("order.place", order("web_1", "BUY", "LIMIT", "90", "1"));
    let replace = |old: &str, new: &str, price: &str, mode: &str| {
        let mut o = order(new, "BUY", "LIMIT", price, "1");
        o["cancelReplaceMode"] = json!(mode);
        o["cancelOrigClientOrderId"] = json!(old);
        o
    };
    let both = api.ok("order.cancelReplace", replace("web_1", "web_2", "91", "STOP_ON_FAILURE"));
    assert_eq!((&both["cancelResult"], &both["newOrderResult"]), (&json!("SUCCESS"), &json!("SUCCESS")));
    assert_eq!(both["newOrderResponse"]["clientOrderId"], "web_2");
    let stopped = api.call("order.cancelReplace", replace("web_1", "web_3", "92", "STOP_ON_FAILURE"));
    assert_eq!((&stopped["status"], &stopped["error"]["code"]), (&json!(400), &json!(-2022)));
    assert_eq!(stopped["error"]["data"]["newOrderResult"], "NOT_ATTEMPTED");
    assert_eq!(stopped["error"]["data"]["cancelResponse"]["code"], -2011);
    let half = api.call("order.cancelReplace", replace("web_1", "web_3", "92", "ALLOW_FAILURE"));
    assert_eq!((&half["status"], &half["error"]["code"]), (&json!(409), &json!(-2021)));
    let open = api.ok("openOrders.status", json!({"symbol": "BTCUSDT", "timestamp": 1}));
    let ids: Vec<_> = open.as_array().unwrap().iter().map(|o| o["clientOrderId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["web_2", "web_3"]);
    assert_eq!(balance(&server, "USDT").1, "183.18300000", "91 and 92 and their fees");
}

#[test]
fn the_api_also_answers_market_questions() {
    let (server, _dir) = ended();
    let mut api = server.api();
    assert_eq!(api.ok("ping", json!({})), json!({}));
    assert!(api.ok("time", json!({}))["serverTime"].as_u64().unwrap() >= START_NS / 1_000_000);
    assert_eq!(api.ok("exchangeInfo", json!({"symbols": ["BTCUSDT"]}))["symbols"][0]["symbol"], "BTCUSDT");
    assert_eq!(api.ok("depth", json!({"symbol": "BTCUSDT", "limit": 1}))["bids"][0][0], "100.00000000");
    let reply = api.call("ping", json!({"returnRateLimits": false}));
    assert!(reply.get("rateLimits").is_none());
    assert_eq!(api.call("ping", json!({}))["rateLimits"][0]["rateLimitType"], "REQUEST_WEIGHT");
    assert_eq!(api.error("no.such", json!({"apiKey": "k", "signature": "s"})).0, 400);
}

#[test]
fn a_server_that_asks_for_keys_refuses_strangers_and_takes_any_key() {
    let (server, _dir) = serve(&small(&[]), |c| c.require_key = true);
    let mut stranger = server.api();
    assert_eq!(stranger.ok("ping", json!({})), json!({}));
    let (status, code, _) = stranger.error("order.place", order("a", "BUY", "LIMIT", "90", "2"));
    assert_eq!((status, code), (401, -2015));
    let signed = json!({"symbol": "BTCUSDT", "orderId": 9, "apiKey": "k", "signature": "s", "timestamp": 1});
    assert_eq!(stranger.error("order.status", signed), (400, -2013, "Order does not exist.".to_owned()));
    let mut known = stranger.log_on();
    assert_eq!(known.ok("order.place", order("a", "BUY", "LIMIT", "90", "2"))["status"], "NEW");
}
