//! Market-data connections of every dialect: they join the market, hear, and leave it.

use crate::client::MarketClient;
use crate::clock::Speed;
use crate::connection::{self, Incoming};
use crate::dialect::Session;
use crate::line::{Hand, Peer};
use crate::state::{Out, Shared};
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use std::sync::Arc;
use tokio::sync::mpsc;

/// At maximal speed flow control keeps only a few frames under way; control replies come on top.
const QUEUE_MAX_SPEED: usize = 512;
/// At a paced speed: about a minute of a busy market, then the client is too slow.
const QUEUE_PACED: usize = 8192;

/// Opens a connection with this session.
pub fn open(
    upgrade: WebSocketUpgrade,
    shared: Arc<Shared>,
    Peer(hand): Peer,
    session: impl Session + 'static,
) -> Response {
    upgrade.on_upgrade(move |socket| serve(socket, shared, hand, Box::new(session)))
}

async fn serve(socket: WebSocket, shared: Arc<Shared>, hand: Arc<Hand>, session: Box<dyn Session>) {
    let (rx, client) = {
        let mut world = shared.world();
        let queue = if world.clock.speed() == Speed::Max { QUEUE_MAX_SPEED } else { QUEUE_PACED };
        let (tx, rx) = mpsc::channel(queue);
        if world.finished {
            // Only a client that is not registered can come this late; its queue is empty, so there is room.
            drop(tx.try_send(Out::Close(1000, "end of source")));
        }
        let client = world.join_market(MarketClient::new(tx, session, hand.clone()));
        (rx, client)
    };
    shared.wake.notify_one();
    let state = shared.clone();
    connection::run(socket, rx, shared.clone(), hand, move |incoming| {
        match incoming {
            Incoming::Text(text) => state.world().hear(client, text),
            Incoming::Pong(payload) => {
                let ping = std::str::from_utf8(payload).ok().and_then(|p| p.strip_prefix("flow:")?.parse().ok());
                if let Some(ping) = ping {
                    state.world().on_pong(client, ping);
                } else {
                    state.world().traffic.message(client);
                }
            }
            Incoming::Ping => state.world().traffic.message(client),
        }
        state.wake.notify_one();
    })
    .await;
    shared.world().leave_market(client);
    shared.wake.notify_one();
}
