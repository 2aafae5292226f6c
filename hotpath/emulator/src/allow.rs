//! What a market lets be done, on command: `POST /emulator/allow?symbol=BTC/USD&what=cancel_only`. Who asked to be told
//! is told at once; questions are answered with it from then on. It is no fault: every venue does this at any time.

use crate::source::Message;
use crate::state::{Shared, World};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::Event;
use domain::event::{Allowed, Status, note};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Query of the address.
#[derive(Debug, Deserialize)]
pub struct Which {
    symbol: String,
    /// `all`, `post_only`, `cancel_only`, `nothing`. A venue without a word for it says the next stricter one it has.
    what: Allowed,
}

/// `POST /emulator/allow`.
pub async fn allow(State(shared): State<Arc<Shared>>, Query(which): Query<Which>) -> Response {
    let mut world = shared.world();
    if !world.allow(&which.symbol, which.what) {
        let error = json!({"error": format!("no symbol `{}`", which.symbol)});
        return (StatusCode::NOT_FOUND, Json(error)).into_response();
    }
    Json(json!({"symbol": which.symbol, "what": which.what})).into_response()
}

impl World {
    /// Changes what the market called `name` lets be done, and says so. False when there is no such market.
    pub fn allow(&mut self, name: &str, allowed: Allowed) -> bool {
        let Some(symbol) = self.symbols.iter_mut().find(|s| s.listed.instrument.symbol.as_str() == name) else {
            return false;
        };
        symbol.allowed = allowed;
        let (venue, instrument) = (symbol.listed.instrument.venue, Some(symbol.listed.instrument.id));
        let event = Event::Status(Status { venue, instrument, allowed, said: note("") });
        let now_ns = self.now_ns();
        self.send_market(now_ns, &Message { event, wire: None });
        true
    }
}
