//! Market-data streams: `/stream?streams=a/b`, `/ws/<stream>`, and the control messages SUBSCRIBE, UNSUBSCRIBE,
//! LIST_SUBSCRIPTIONS, SET_PROPERTY and GET_PROPERTY. As at Binance, a stream nobody feeds is accepted and silent.

use crate::dialect::{Frame, Kind, News, Session, View};
use crate::line::Peer;
use crate::source::Wire;
use crate::state::Shared;
use crate::ws;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::ws::{Utf8Bytes, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const STREAMS_MAX: usize = 1024;

/// Query of `/stream`.
#[derive(Debug, Deserialize)]
pub struct Streams {
    /// Separated by `/`.
    pub streams: Option<String>,
}

/// `/stream?streams=a/b`.
pub async fn combined(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(query): Query<Streams>,
    upgrade: WebSocketUpgrade,
) -> Response {
    ws::open(upgrade, shared, peer, StreamSession::new(query.streams.as_deref().unwrap_or_default(), true))
}

/// `/ws`.
pub async fn bare(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    upgrade: WebSocketUpgrade,
) -> Response {
    ws::open(upgrade, shared, peer, StreamSession::new("", false))
}

/// `/ws/<stream>`.
pub async fn raw(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(streams): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    ws::open(upgrade, shared, peer, StreamSession::new(&streams, false))
}

fn names(path: &str) -> BTreeSet<String> {
    path.split('/').filter(|name| !name.is_empty()).take(STREAMS_MAX).map(str::to_owned).collect()
}

/// A connection for streams.
#[derive(Debug)]
pub struct StreamSession {
    streams: BTreeSet<String>,
    /// With the `{"stream","data"}` envelope.
    combined: bool,
}

impl StreamSession {
    /// A connection that begins with `streams`, separated by `/`.
    pub fn new(streams: &str, combined: bool) -> StreamSession {
        StreamSession { streams: names(streams), combined }
    }
    /// True when the client asked for this stream.
    pub fn has(&self, stream: &str) -> bool {
        self.streams.contains(stream)
    }
    /// The text of a message, as this connection gets it.
    pub fn text(&self, wire: &Wire, view: &View<'_>) -> Utf8Bytes {
        match (self.combined, view.stamp_ns) {
            (true, Some(ts_ns)) => stamped(&wire.text, ts_ns),
            (true, None) => wire.text.clone(),
            (false, _) => Utf8Bytes::from(&wire.text.as_str()[wire.data.clone()]),
        }
    }
}

/// What a stream is about.
fn kind(stream: &str) -> Kind {
    match stream.split_once('@').map_or("", |(_, channel)| channel) {
        channel if channel.starts_with("depth") => Kind::Book,
        "trade" | "aggTrade" => Kind::Trade,
        channel if channel.starts_with("kline") => Kind::Bar,
        _ => Kind::Quote,
    }
}

/// The envelope with our receive time as its first member.
fn stamped(text: &Utf8Bytes, ts_ns: u64) -> Utf8Bytes {
    match text.as_str().strip_prefix('{') {
        Some(rest) => format!(r#"{{"ts_recv_ns":{ts_ns},{rest}"#).into(),
        None => text.clone(),
    }
}

impl Session for StreamSession {
    fn hear(&mut self, _view: &View<'_>, text: &str) -> Vec<Frame> {
        let text = self.control(text).to_string().into();
        vec![Frame { kind: Kind::Other, symbol: None, text }]
    }

    fn tell(&mut self, view: &View<'_>, news: &News<'_>) -> Vec<Frame> {
        let wanted = news.wires.iter().filter(|w| self.streams.contains(&*w.stream));
        wanted.map(|w| Frame { kind: kind(&w.stream), symbol: Some(news.symbol), text: self.text(w, view) }).collect()
    }

    fn listens(&self) -> bool {
        !self.streams.is_empty()
    }

    fn wants_book(&self, view: &View<'_>, symbol: usize) -> bool {
        let prefix = format!("{}@depth", view.symbols[symbol].listed.instrument.symbol.to_lowercase());
        self.streams.iter().any(|stream| stream.starts_with(&prefix))
    }

    fn odd(&mut self, view: &View<'_>, symbol: usize) -> Frame {
        let name = view.symbols[symbol].listed.instrument.symbol;
        let data = format!(r#"{{"e":"auctionUpdate","E":{},"s":"{name}"}}"#, view.now_ns / 1_000_000);
        let wire = super::encode::envelope(&format!("{}@auction", name.to_lowercase()), &data);
        Frame { kind: Kind::Other, symbol: Some(symbol), text: self.text(&wire, view) }
    }

    fn notice(&mut self, view: &View<'_>) -> Option<Frame> {
        let data = format!(r#"{{"e":"serverShutdown","E":{}}}"#, view.now_ns / 1_000_000);
        let wire = super::encode::envelope("!serverShutdown", &data);
        Some(Frame { kind: Kind::Other, symbol: None, text: self.text(&wire, view) })
    }
}

#[derive(Debug, Deserialize)]
struct Control {
    method: String,
    #[serde(default)]
    params: Vec<Value>,
    #[serde(default)]
    id: Value,
}

impl StreamSession {
    /// Answers one control message.
    fn control(&mut self, text: &str) -> Value {
        let error = |id: &Value, code: i32, msg: &str| json!({"error": {"code": code, "msg": msg}, "id": id});
        let Ok(control) = serde_json::from_str::<Control>(text) else {
            return error(&Value::Null, 3, "Invalid JSON: expected an object with method, params and id");
        };
        let id = &control.id;
        let wanted: Vec<String> = control.params.iter().filter_map(|p| p.as_str().map(str::to_owned)).collect();
        let result = match control.method.as_str() {
            "SUBSCRIBE" if wanted.is_empty() || wanted.len() != control.params.len() => {
                return error(id, 2, "Invalid request: params must be an array of stream names");
            }
            "SUBSCRIBE" if self.streams.len() + wanted.len() > STREAMS_MAX => {
                return error(id, 2, "Invalid request: at most 1024 streams per connection");
            }
            "SUBSCRIBE" => {
                self.streams.extend(wanted);
                Value::Null
            }
            "UNSUBSCRIBE" => {
                for name in &wanted {
                    self.streams.remove(name);
                }
                Value::Null
            }
            "LIST_SUBSCRIPTIONS" => json!(self.streams),
            "SET_PROPERTY" => match control.params.as_slice() {
                [name, Value::Bool(combined)] if name == "combined" => {
                    self.combined = *combined;
                    Value::Null
                }
                _ => return error(id, 0, "Unknown property"),
            },
            "GET_PROPERTY" if wanted == ["combined"] => json!(self.combined),
            "GET_PROPERTY" => return error(id, 0, "Unknown property"),
            _ => return error(id, 2, "Invalid request: unknown method"),
        };
        json!({"result": result, "id": id})
    }
}
