//! Market-data streams: `/stream?streams=a/b`, `/ws/<stream>`, and the control messages SUBSCRIBE, UNSUBSCRIBE,
//! LIST_SUBSCRIPTIONS, SET_PROPERTY and GET_PROPERTY. As at Binance, a stream nobody feeds is accepted and silent.

use crate::clock::Speed;
use crate::connection::{self, Incoming};
use crate::state::{Out, Shared};
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// At maximal speed flow control keeps only a few frames under way; control replies come on top.
const QUEUE_MAX_SPEED: usize = 512;
/// At a paced speed: about a minute of a busy market, then the client is too slow.
const QUEUE_PACED: usize = 8192;
const STREAMS_MAX: usize = 1024;

/// Query of `/stream`.
#[derive(Debug, Deserialize)]
pub struct Streams {
    streams: Option<String>,
}

/// `/stream?streams=a/b`.
pub async fn combined(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<Streams>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let streams = names(query.streams.as_deref().unwrap_or_default());
    upgrade.on_upgrade(move |socket| serve(socket, shared, streams, true))
}

/// `/ws`.
pub async fn bare(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| serve(socket, shared, BTreeSet::new(), false))
}

/// `/ws/<stream>`.
pub async fn raw(
    State(shared): State<Arc<Shared>>,
    Path(streams): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let streams = names(&streams);
    upgrade.on_upgrade(move |socket| serve(socket, shared, streams, false))
}

fn names(path: &str) -> BTreeSet<String> {
    path.split('/').filter(|name| !name.is_empty()).take(STREAMS_MAX).map(str::to_owned).collect()
}

async fn serve(socket: WebSocket, shared: Arc<Shared>, streams: BTreeSet<String>, combined: bool) {
    let (tx, rx, client) = {
        let mut world = shared.world();
        let queue = if world.clock.speed() == Speed::Max { QUEUE_MAX_SPEED } else { QUEUE_PACED };
        let (tx, rx) = mpsc::channel(queue);
        if world.finished {
            // Only a client that is not registered can come this late; its queue is empty, so there is room.
            drop(tx.try_send(Out::Close(1000, "end of source")));
        }
        let client = world.join_market(tx.clone(), streams, combined);
        (tx, rx, client)
    };
    // The registry alone keeps the queue open, so that removing a client there ends its writer.
    let replies = tx.downgrade();
    drop(tx);
    shared.wake.notify_one();
    let state = shared.clone();
    connection::run(socket, rx, shared.clone(), move |incoming| {
        match incoming {
            Incoming::Text(text) => {
                let reply = control(&state, client, text).to_string();
                if let Some(tx) = replies.upgrade()
                    && tx.try_send(Out::Text(reply.into())).is_err()
                {
                    state.world().market.remove(&client);
                }
            }
            Incoming::Pong(payload) => {
                let ping = std::str::from_utf8(payload).ok().and_then(|p| p.strip_prefix("flow:")?.parse().ok());
                if let Some(ping) = ping {
                    state.world().on_pong(client, ping);
                }
            }
        }
        state.wake.notify_one();
    })
    .await;
    shared.world().market.remove(&client);
    shared.wake.notify_one();
}

#[derive(Debug, Deserialize)]
struct Control {
    method: String,
    #[serde(default)]
    params: Vec<Value>,
    #[serde(default)]
    id: Value,
}

/// Answers one control message.
fn control(shared: &Shared, client: u64, text: &str) -> Value {
    let error = |id: &Value, code: i32, msg: &str| json!({"error": {"code": code, "msg": msg}, "id": id});
    let Ok(control) = serde_json::from_str::<Control>(text) else {
        return error(&Value::Null, 3, "Invalid JSON: expected an object with method, params and id");
    };
    let id = &control.id;
    let wanted: Vec<String> = control.params.iter().filter_map(|p| p.as_str().map(str::to_owned)).collect();
    let mut world = shared.world();
    let Some(c) = world.market.get_mut(&client) else { return error(id, 1, "Connection closed") };
    let result = match control.method.as_str() {
        "SUBSCRIBE" if wanted.is_empty() || wanted.len() != control.params.len() => {
            return error(id, 2, "Invalid request: params must be an array of stream names");
        }
        "SUBSCRIBE" if c.streams.len() + wanted.len() > STREAMS_MAX => {
            return error(id, 2, "Invalid request: at most 1024 streams per connection");
        }
        "SUBSCRIBE" => {
            c.streams.extend(wanted);
            Value::Null
        }
        "UNSUBSCRIBE" => {
            for name in &wanted {
                c.streams.remove(name);
            }
            Value::Null
        }
        "LIST_SUBSCRIPTIONS" => json!(c.streams),
        "SET_PROPERTY" => match control.params.as_slice() {
            [name, Value::Bool(combined)] if name == "combined" => {
                c.combined = *combined;
                Value::Null
            }
            _ => return error(id, 0, "Unknown property"),
        },
        "GET_PROPERTY" if wanted == ["combined"] => json!(c.combined),
        "GET_PROPERTY" => return error(id, 0, "Unknown property"),
        _ => return error(id, 2, "Invalid request: unknown method"),
    };
    json!({"result": result, "id": id})
}
