//! Routes, headers, and the two guards of a page without log-in: it is reachable on the loopback interface alone, and
//! only under a loopback name, so that a foreign site cannot reach it by pointing its own name here (DNS rebinding).

use crate::sections::{Sections, delta};
use crate::{App, board};
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use futures::stream::{Stream, unfold};
use serde_json::{Value, json};
use std::convert::Infallible;

/// Everything from this server, nothing from elsewhere, nothing inline, in no frame.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
/// A report is one file with its style inside, and nothing else is allowed to it.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// The page and its data. Serve it on a loopback address only; see [`crate::loopback`].
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(|| async { asset("text/html; charset=utf-8", include_str!("../assets/index.html")) }))
        .route("/style.css", get(|| async { asset("text/css; charset=utf-8", include_str!("../assets/style.css")) }))
        .route("/app.js", get(|| async { script(include_str!("../assets/app.js")) }))
        .route("/chart.js", get(|| async { script(include_str!("../assets/chart.js")) }))
        .route("/panels.js", get(|| async { script(include_str!("../assets/panels.js")) }))
        .route("/theme.js", get(|| async { script(include_str!("../assets/theme.js")) }))
        .route("/token.js", get(|| async { script(include_str!("../assets/token.js")) }))
        .route("/text.js", get(|| async { script(include_str!("../assets/text.js")) }))
        .route("/icon.svg", get(|| async { asset("image/svg+xml", include_str!("../assets/icon.svg")) }))
        .route("/events", get(events))
        .route("/api/view", get(view))
        .route("/api/runs", get(runs))
        .route("/api/reports", get(reports))
        .route("/api/status", get(status))
        .route("/reports/{day}", get(report))
        .merge(board::router(&app))
        .with_state(app)
        .layer(from_fn(guard))
}

pub(crate) fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

pub(crate) fn script(text: &'static str) -> Response {
    asset("text/javascript; charset=utf-8", text)
}

/// Refuses foreign names, and adds the security headers to every answer.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok());
    let mut response = if host.is_some_and(is_loopback_name) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "this page answers to 127.0.0.1 and localhost only\n").into_response()
    };
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    let fixed: [(HeaderName, &'static str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// True for `127.x.y.z`, `localhost` and `[::1]`, each with or without a port.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    name == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn events(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let frames = app.feed.subscribe();
    let stream = unfold((app, frames, Sections::new()), |(app, mut frames, mut sent)| async move {
        frames.changed().await.ok()?;
        let text = {
            let now = frames.borrow_and_update().clone();
            delta(&mut sent, &now)
        };
        Some((Ok(Event::default().event("frame").data(text)), (app, frames, sent)))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

/// The newest view in one piece, in the same parts as the stream.
async fn view(State(app): State<App>) -> Response {
    let text = delta(&mut Sections::new(), &app.feed.now().await);
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn runs(State(app): State<App>) -> Json<Value> {
    Json(app.runs.newest().await)
}

async fn status(State(app): State<App>) -> Json<Value> {
    let frame = app.feed.now().await;
    let part = |name: &str| frame.get(name).and_then(|text| serde_json::from_str::<Value>(text).ok());
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "home": app.home.root().display().to_string(),
        "link": part("link"),
        "safety": part("safety"),
    }))
}

/// Days with a report, newest first.
async fn reports(State(app): State<App>) -> Json<Value> {
    let mut days: Vec<String> = std::fs::read_dir(app.home.reports())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("manifest.json").is_file())
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("day=").map(str::to_owned))
        .filter(|day| is_day(day))
        .collect();
    days.sort_unstable_by(|a, b| b.cmp(a));
    days.truncate(14);
    Json(json!({"days": days}))
}

async fn report(State(app): State<App>, Path(day): Path<String>) -> Response {
    let file = app.home.reports().join(format!("day={day}")).join("report.html");
    match is_day(&day).then(|| std::fs::read(&file)) {
        Some(Ok(bytes)) => {
            let kind = (header::CONTENT_TYPE, "text/html; charset=utf-8");
            ([kind, (header::CONTENT_SECURITY_POLICY, REPORT_POLICY)], bytes).into_response()
        }
        _ => (
            StatusCode::NOT_FOUND,
            "there is no report of that day; this makes one: traider run start daily --partition YYYY-MM-DD\n",
        )
            .into_response(),
    }
}

/// `2026-11-20` and nothing else: it becomes part of a path.
fn is_day(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_answered() {
        for good in ["127.0.0.1", "127.0.0.1:8420", "localhost:1", "localhost", "[::1]:8420", "[::1]"] {
            assert!(is_loopback_name(good), "{good}");
        }
        for bad in
            ["", "evil.example", "evil.example:8420", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"]
        {
            assert!(!is_loopback_name(bad), "{bad}");
        }
    }

    #[test]
    fn only_days_become_paths() {
        assert!(is_day("2026-11-20"));
        for bad in ["", "..", "2026-11-2", "2026/11/20", "../../../../", "2026-11-20x"] {
            assert!(!is_day(bad), "{bad}");
        }
    }
}
