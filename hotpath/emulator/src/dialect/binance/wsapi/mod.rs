//! The WebSocket API, `/ws-api/v3`: orders, account, user data. Frames are `{id, method, params}` in and
//! `{id, status, result | error, rateLimits, ts_recv_ns}` out; the last member is ours (market time, ns).
//!
//! Everybody is trusted: no key is needed unless the server was told to ask for one, then any key and signature will
//! do. Timestamps are not checked: market time is not the client's time.

pub mod orders;
pub mod report;

use crate::connection::{self, Incoming};
use crate::dialect::binance::rest::{self, Params};
use crate::dialect::binance::text::{ApiError, used_limits};
use crate::state::{ApiClient, Out, Shared, World};
use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sim::SimOutput;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Replies and events waiting for one client.
const QUEUE: usize = 8192;
const NS_PER_MS: u64 = 1_000_000;

/// `/ws-api/v3`.
pub async fn connect(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| serve(socket, shared))
}

async fn serve(socket: WebSocket, shared: Arc<Shared>) {
    let (tx, rx) = mpsc::channel(QUEUE);
    let client = {
        let mut world = shared.world();
        world.weigh(2);
        let client = world.next_client();
        world.api.insert(client, ApiClient { tx, logged_on: false, subscription: None, subscriptions_count: 0 });
        client
    };
    let state = shared.clone();
    connection::run(socket, rx, shared.clone(), Arc::default(), move |incoming| {
        if let Incoming::Text(text) = incoming {
            handle(&mut state.world(), client, text);
            // A depth request may be what the market waits for.
            state.wake.notify_one();
        }
    })
    .await;
    shared.world().api.remove(&client);
}

#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Map<String, Value>,
}

/// News that a request caused: what the venue reported, and the client id of the cancel.
#[derive(Debug, Default)]
pub struct News {
    /// What the venue reported.
    pub outputs: Vec<SimOutput>,
    /// Client id of the cancel, for the reports.
    pub cancel_id: Option<String>,
}

/// Answers one request: the reply first, then the events it caused.
fn handle(world: &mut World, client: u64, text: &str) {
    let mut news = News::default();
    let (id, answer, with_limits) = match serde_json::from_str::<Request>(text) {
        Ok(request) => {
            let params = rest::flatten(&request.params);
            let with_limits = params.get("returnRateLimits").is_none_or(|v| v != "false");
            let answer = dispatch(world, client, &request.method, &params, &mut news);
            (request.id, answer, with_limits)
        }
        Err(_) => (Value::Null, Err(ApiError::new(-1135, "Invalid JSON Request")), true),
    };
    let used = world.weigh(match &answer {
        Ok(_) => 0,
        Err(_) => 1,
    });
    let now_ns = world.now_ns();
    let mut reply = match answer {
        Ok(result) => json!({"id": id, "status": 200, "result": result}),
        Err(error) => json!({"id": id, "status": error.status, "error": error.body()}),
    };
    if with_limits {
        reply["rateLimits"] = used_limits(used);
    }
    reply["ts_recv_ns"] = json!(now_ns);
    if let Some(c) = world.api.get(&client)
        && c.tx.try_send(Out::Text(reply.to_string().into())).is_err()
    {
        tracing::warn!(client, "does not read its replies: disconnecting it");
        world.api.remove(&client);
    }
    world.publish(&news.outputs, news.cancel_id.as_deref());
}

fn dispatch(world: &mut World, client: u64, method: &str, params: &Params, news: &mut News) -> Result<Value, ApiError> {
    let signed = params.contains_key("apiKey") && params.contains_key("signature");
    if world.require_key && needs_key(method) && !signed && !world.api.get(&client).is_some_and(|c| c.logged_on) {
        return Err(ApiError {
            status: 401,
            ..ApiError::new(-2015, "Invalid API-key, IP, or permissions for action.")
        });
    }
    match method {
        "ping" => Ok(json!({})),
        "time" => Ok(json!({"serverTime": world.now_ns() / NS_PER_MS})),
        "exchangeInfo" => rest::info(world, params),
        "klines" => rest::candles(world, params),
        "depth" => rest::book(world, params).map(|text| serde_json::from_str(&text).unwrap_or(Value::Null)),
        "session.logon" => logon(world, client, params),
        "session.status" => session(world, client),
        "session.logout" => {
            with_client(world, client, |c| c.logged_on = false);
            session(world, client)
        }
        "userDataStream.subscribe" | "userDataStream.subscribe.signature" => subscribe(world, client),
        "userDataStream.unsubscribe" => {
            with_client(world, client, |c| c.subscription = None);
            Ok(json!({}))
        }
        "order.place" => orders::place(world, params, news),
        "order.test" => orders::parse(world, params).map(|_| json!({})),
        "order.cancel" => orders::cancel(world, params, news),
        "order.cancelReplace" => orders::cancel_replace(world, params, news),
        "order.status" => orders::status(world, params),
        "openOrders.status" => orders::open(world, params),
        "openOrders.cancelAll" => orders::cancel_all(world, params, news),
        "allOrders" => orders::all(world, params),
        "myTrades" => orders::trades(world, params),
        "account.status" => Ok(account(world, params)),
        other => Err(ApiError::new(-1000, format!("Unknown method '{other}'."))),
    }
}

fn needs_key(method: &str) -> bool {
    let public =
        ["ping", "time", "exchangeInfo", "klines", "depth", "session.logon", "session.status", "session.logout"];
    !public.contains(&method)
}

fn with_client(world: &mut World, client: u64, change: impl FnOnce(&mut ApiClient)) {
    if let Some(c) = world.api.get_mut(&client) {
        change(c);
    }
}

fn logon(world: &mut World, client: u64, params: &Params) -> Result<Value, ApiError> {
    rest::required(params, "apiKey")?;
    with_client(world, client, |c| c.logged_on = true);
    session(world, client)
}

fn session(world: &mut World, client: u64) -> Result<Value, ApiError> {
    let now_ms = world.now_ns() / NS_PER_MS;
    let c = world.api.get(&client);
    let since = c.filter(|c| c.logged_on).map(|_| now_ms);
    Ok(json!({
        "apiKey": since.map(|_| "emulator"),
        "authorizedSince": since,
        "connectedSince": now_ms,
        "returnRateLimits": true,
        "serverTime": now_ms,
        "userDataStream": c.is_some_and(|c| c.subscription.is_some()),
    }))
}

fn subscribe(world: &mut World, client: u64) -> Result<Value, ApiError> {
    let Some(c) = world.api.get_mut(&client) else { return Ok(Value::Null) };
    if c.subscription.is_some() {
        return Err(ApiError::new(-2035, "User Data Stream subscription already active."));
    }
    let id = c.subscriptions_count;
    c.subscriptions_count += 1;
    c.subscription = Some(id);
    Ok(json!({"subscriptionId": id}))
}

fn account(world: &mut World, params: &Params) -> Value {
    let omit_zero = params.get("omitZeroBalances").is_some_and(|v| v == "true");
    let zero = |b: &Value| {
        ["free", "locked"].iter().all(|k| b[k].as_str().is_some_and(|v| !v.contains(|c| ('1'..='9').contains(&c))))
    };
    let balances: Vec<Value> = rest::balances(world).into_iter().filter(|b| !omit_zero || !zero(b)).collect();
    let (maker, taker) = (world.venue.fees().maker_bps, world.venue.fees().taker_bps);
    let rate = |bps: u32| crate::dialect::binance::text::fixed(domain::Decimal::new(i128::from(bps), 4));
    json!({
        "makerCommission": maker,
        "takerCommission": taker,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": rate(maker), "taker": rate(taker), "buyer": rate(0), "seller": rate(0)},
        "canTrade": true,
        "canWithdraw": false,
        "canDeposit": false,
        "brokered": false,
        "requireSelfTradePrevention": false,
        "preventSor": false,
        "updateTime": world.now_ns() / NS_PER_MS,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": 1,
    })
}
