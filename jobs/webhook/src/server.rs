//! The one route. An alert is answered with 200 when it is on disk, and with a bare status otherwise; the sender gives up
//! after three seconds, so the answer comes within two, whatever the database does.

use crate::gate::{Rate, Secret, sender};
use crate::message::{self, Refusal};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use chrono::Utc;
use settings::config::{Unlisted, Webhook};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::{Store, StoreError};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Largest message, bytes.
pub const BODY_MAX: usize = 16 * 1024;
/// When an answer must be there: the sender hangs up after 3 s.
const DEADLINE: Duration = Duration::from_secs(2);
/// Requests answered at a time.
const AT_ONCE: usize = 16;

/// What the requests share.
pub struct Receiver {
    store: Store,
    secret: Secret,
    settings: Webhook,
    rate: Mutex<Rate>,
    at_once: Semaphore,
}

impl Receiver {
    /// Keeps what comes in `store`, whose tables are up to date.
    pub fn new(store: Store, secret: Secret, settings: Webhook) -> Receiver {
        let rate = Mutex::new(Rate::new(settings.per_minute_max, Instant::now()));
        Receiver { store, secret, settings, rate, at_once: Semaphore::new(AT_ONCE) }
    }

    fn lists(&self, from: Option<IpAddr>) -> bool {
        from.is_some_and(|from| self.settings.allow.iter().any(|ip| ip.to_canonical() == from))
    }

    async fn take(&self, from: Option<IpAddr>, headers: &HeaderMap, path: Option<&str>, body: Body) -> StatusCode {
        let listed = self.lists(from);
        if !listed && self.settings.unlisted == Unlisted::Refuse {
            tracing::warn!(?from, "an alert from an address that is not listed was refused");
            return StatusCode::FORBIDDEN;
        }
        if !is_text(headers) {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE;
        }
        let Ok(bytes) = to_bytes(body, BODY_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE };
        let sender = from.map_or_else(|| "unknown".to_owned(), |from| from.to_string());
        let alert = match message::read(&bytes, path, &self.secret, sender, Utc::now()) {
            Ok(alert) => alert,
            Err(refusal) => {
                tracing::warn!(?from, ?refusal, "an alert was refused");
                return if refusal == Refusal::Secret { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
            }
        };
        // Only who knows the secret uses the minute up.
        if !self.rate.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now()) {
            tracing::warn!(?from, route = alert.route, "more alerts in a minute than are taken");
            return StatusCode::TOO_MANY_REQUESTS;
        }
        if !listed {
            tracing::warn!(?from, route = alert.route, "an alert came from an address that is not listed");
        }
        match store::webhook::keep(&self.store, &alert).await {
            Ok(new) => {
                tracing::info!(new, key = alert.key, route = alert.route, "an alert is kept");
                StatusCode::OK
            }
            Err(error) => not_kept(&error),
        }
    }
}

fn not_kept(error: &StoreError) -> StatusCode {
    tracing::error!(error = store::error::chain(error), "an alert could not be kept");
    StatusCode::SERVICE_UNAVAILABLE
}

/// True for JSON and plain text, in whatever character set it says: it must be UTF-8.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.eq_ignore_ascii_case("text/plain")
}

/// The routes: `POST /hooks/tradingview`, and the same with the secret behind it for messages that have no place for it.
pub fn router(receiver: Arc<Receiver>) -> Router {
    Router::new()
        .route("/hooks/tradingview", post(bare))
        .route("/hooks/tradingview/{secret}", post(with_secret))
        .with_state(receiver)
}

type Shared = State<Arc<Receiver>>;

async fn bare(receiver: Shared, peer: ConnectInfo<SocketAddr>, headers: HeaderMap, body: Body) -> StatusCode {
    answer(&receiver, peer.0, &headers, None, body).await
}

async fn with_secret(
    receiver: Shared,
    peer: ConnectInfo<SocketAddr>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    answer(&receiver, peer.0, &headers, Some(&secret), body).await
}

async fn answer(
    receiver: &Receiver,
    peer: SocketAddr,
    headers: &HeaderMap,
    secret: Option<&str>,
    body: Body,
) -> StatusCode {
    let Ok(_place) = receiver.at_once.try_acquire() else { return StatusCode::SERVICE_UNAVAILABLE };
    let forwarded: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or_default()).collect();
    let from = sender(peer.ip(), forwarded.into_iter(), receiver.settings.trust_forwarded);
    let taken = timeout(DEADLINE, receiver.take(from, headers, secret, body)).await;
    taken.unwrap_or_else(|_| {
        tracing::error!("an alert was not kept in time");
        StatusCode::SERVICE_UNAVAILABLE
    })
}
