//! The emulator's own side, `/emulator/...`: what it does, what it counted, the true books; and the answers that a
//! script of faults puts in the place of the venue's.

use crate::allow::allow;
use crate::dialect::binance::rest::balances;
use crate::fault;
use crate::state::{Shared, Symbol, World};
use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use domain::Side;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Our own addresses.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/emulator/status", get(status))
        .route("/emulator/book", get(book))
        .route("/emulator/start", post(start))
        .route("/emulator/hold", post(hold))
        .route("/emulator/faults", post(add_faults))
        .route("/emulator/allow", post(allow))
}

fn json_reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json;charset=UTF-8")], body.to_string()).into_response()
}

/// Any other path.
pub async fn unknown() -> Response {
    (StatusCode::NOT_FOUND, "the emulator does not serve this path\n").into_response()
}

/// `GET /emulator/status`.
async fn status(State(shared): State<Arc<Shared>>) -> Response {
    json_reply(StatusCode::OK, &shown(&mut shared.world(), &shared.source))
}

fn shown(world: &mut World, source: &str) -> Value {
    json!({
        "dialect": world.dialect.name(),
        "source": source,
        "speed": world.clock.speed().to_string(),
        "virtual_ns": world.now_ns(),
        "venue_ns": world.venue_ns(),
        "frames": world.frames,
        "finished": world.finished,
        "started": world.started,
        "clients": world.market.len() + world.api.len(),
        "market_clients": world.market.len(),
        "symbols": world.symbols.iter().map(|s| s.listed.instrument.symbol.as_str()).collect::<Vec<_>>(),
        "orders": world.venue.orders().count(),
        "open_orders": world.venue.open_orders().count(),
        "trades": world.venue.fills_since(0).count(),
        "account": {"balances": balances(world)},
        "faults": world.faults.shown(),
        "faults_happened": world.faults.count(),
        "traffic": world.traffic.shown(),
    })
}

/// `POST /emulator/start`: lets a held source start or go on.
async fn start(State(shared): State<Arc<Shared>>) -> Response {
    shared.world().started = true;
    shared.wake.notify_one();
    status(State(shared)).await
}

/// `POST /emulator/hold`: stops the market where it stands, so that books can be compared at leisure.
async fn hold(State(shared): State<Arc<Shared>>) -> Response {
    shared.world().started = false;
    shared.wake.notify_one();
    status(State(shared)).await
}

/// `POST /emulator/faults`: more of a script, one fault a line; `at=` counts from now.
async fn add_faults(State(shared): State<Arc<Shared>>, text: String) -> Response {
    let added = fault::script::read(&text).and_then(|script| {
        let mut world = shared.world();
        let symbols: Vec<String> = world.symbols.iter().map(|s| s.listed.instrument.symbol.to_string()).collect();
        fault::check(world.dialect, &script, &symbols)?;
        let now_ns = world.now_ns();
        world.faults.add(now_ns, script);
        Ok(())
    });
    match added {
        Ok(()) => status(State(shared)).await,
        Err(why) => json_reply(StatusCode::BAD_REQUEST, &json!({"error": why})),
    }
}

#[derive(Debug, Deserialize)]
struct Which {
    symbol: String,
}

/// `GET /emulator/book?symbol=`: the true book, all levels, with the id it has in the venue's own counting.
async fn book(State(shared): State<Arc<Shared>>, Query(which): Query<Which>) -> Response {
    let world = shared.world();
    let Some(symbol) = world.symbol(&which.symbol) else {
        return json_reply(StatusCode::NOT_FOUND, &json!({"error": format!("no symbol `{}`", which.symbol)}));
    };
    let Symbol { listed, truth, .. } = symbol;
    let i = &listed.instrument;
    let side = |side| -> Vec<[String; 2]> {
        truth.side(side, usize::MAX).iter().map(|l| [i.price(l.price).to_string(), i.qty(l.qty).to_string()]).collect()
    };
    let body = json!({
        "symbol": i.symbol,
        "id": world.dialect.book_id(symbol),
        "changes": truth.changes,
        "ts_ns": truth.ts_ns,
        "bids": side(Side::Buy),
        "asks": side(Side::Sell),
    });
    json_reply(StatusCode::OK, &body)
}

const PAGE: &str =
    "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n";

/// Counts what is asked, and answers in the venue's place when a fault is due.
pub async fn watch(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let bad = {
        let mut world = shared.world();
        if request.headers().contains_key(header::UPGRADE) {
            world.traffic.connect();
            None
        } else {
            world.traffic.request();
            let now_ns = world.now_ns();
            world.faults.of_question(now_ns)
        }
    };
    let Some(bad) = bad else { return next.run(request).await };
    let status = StatusCode::from_u16(bad.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut reply = match bad.html {
        true => (status, [(header::CONTENT_TYPE, "text/html")], PAGE).into_response(),
        false => json_reply(status, &json!({"code": -1003, "msg": "Too many requests; the emulator was told so."})),
    };
    if let Some(seconds) = bad.retry_after {
        reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}
