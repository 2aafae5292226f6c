//! What changes something. Each needs the token, a request of our own page, and JSON; a foreign site can send neither the
//! token nor, without asking first, JSON or the token's header.

use crate::App;
use crate::database::CHANGE;
use crate::problem::Problem;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Json, Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};
use spec::Queue;
use store::control::{self, Retried};
use store::{Store, StoreError, backfill, queue, schedule, view};

/// Header that carries the token.
pub const TOKEN_HEADER: &str = "x-traider-token";
/// Longest request.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Longest reason, in bytes.
const WHY_BYTES_MAX: usize = 500;

pub fn router(app: &App) -> Router<App> {
    Router::new()
        .route("/token", post(|| async { Json(json!({"ok": true})) }))
        .route("/runs/{id}/cancel", post(cancel_run))
        .route("/runs/{id}/retry", post(retry_run))
        .route("/runs/{id}/discard", post(discard_step))
        .route("/schedules/{name}/{verb}", post(steer_schedule))
        .route("/backfills/{id}/{verb}", post(steer_backfill))
        .route("/queues/{name}/{verb}", post(steer_queue))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route_layer(from_fn_with_state(app.clone(), only_the_owner))
}

async fn only_the_owner(State(app): State<App>, request: Request, next: Next) -> Response {
    match allowed(&app, request.headers()) {
        // Nothing answers to another method here; that is said, not done.
        _ if request.method() != Method::POST => next.run(request).await,
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Checked in this order: the first that fails is told.
fn allowed(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let own = format!("http://{}", text("host"));
    if text("origin") != own {
        let what = format!("this request does not come from {own}");
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            what,
            "use the board's own buttons, or the command line",
        ));
    }
    let kind = text(header::CONTENT_TYPE.as_str()).split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let what = "a change is asked for in JSON";
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            what,
            "send content-type: application/json",
        ));
    }
    if !app.token.is(text(TOKEN_HEADER)) {
        let what =
            if text(TOKEN_HEADER).is_empty() { "the token is missing" } else { "the token is not the right one" };
        let todo = "open the address that was printed at the start, or give the page the token from run/board.token in the home folder";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "no_token", what, todo));
    }
    Ok(())
}

type Body<T> = Result<Json<T>, JsonRejection>;

fn body<T>(given: Body<T>) -> Result<T, Problem> {
    let unfit = |e: JsonRejection| {
        Problem::request(e.body_text(), "correct the body; docs/operations.md, The board, says what it holds")
    };
    given.map(|Json(value)| value).map_err(unfit)
}

/// Changes something, and forgets what was known before.
async fn change<F: Future<Output = Result<Value, StoreError>>>(
    app: &App,
    how: impl FnOnce(Store) -> F,
) -> Result<Json<Value>, Problem> {
    let done = app.database.ask(CHANGE, how).await;
    // Also when it failed: a change that took too long may have been made.
    app.answers.forget();
    done.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn cancel_run(
    State(app): State<App>,
    Path(id): Path<String>,
    given: Body<Nothing>,
) -> Result<Json<Value>, Problem> {
    body(given)?;
    let cancel = |store: Store| async move {
        let id = view::find_run(&store, &id).await?;
        Ok(json!({"run": id, "cancelled": control::cancel(&store, &id).await?}))
    };
    change(&app, cancel).await
}

#[derive(Deserialize)]
#[serde(tag = "which", rename_all = "lowercase", deny_unknown_fields)]
enum Retry {
    Failed,
    All,
    From { step: String },
}

async fn retry_run(State(app): State<App>, Path(id): Path<String>, given: Body<Retry>) -> Result<Json<Value>, Problem> {
    let which = body(given)?;
    let retry = |store: Store| async move {
        let id = view::find_run(&store, &id).await?;
        let which = match &which {
            Retry::Failed => Retried::Failed,
            Retry::All => Retried::All,
            Retry::From { step } => Retried::From(step),
        };
        Ok(json!({"run": id, "steps": control::retry(&store, &id, which).await?}))
    };
    change(&app, retry).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Discard {
    step: String,
    why: String,
}

async fn discard_step(
    State(app): State<App>,
    Path(id): Path<String>,
    given: Body<Discard>,
) -> Result<Json<Value>, Problem> {
    let Discard { step, why } = body(given)?;
    let why = reason(Some(why))?;
    let discard = |store: Store| async move {
        let id = view::find_run(&store, &id).await?;
        control::discard(&store, &id, &step, &why).await?;
        Ok(json!({"run": id, "step": step, "discarded": true}))
    };
    change(&app, discard).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Steer {
    why: Option<String>,
}

/// What is held must say why: somebody else will find it.
fn reason(why: Option<String>) -> Result<String, Problem> {
    let why = why.unwrap_or_default().trim().to_owned();
    if why.is_empty() || why.len() > WHY_BYTES_MAX {
        let what = format!("a reason of 1 to {WHY_BYTES_MAX} bytes is needed");
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "no_reason",
            what,
            "say why, for whoever finds it like this",
        ));
    }
    Ok(why)
}

fn unknown(verb: &str, known: &str) -> Problem {
    let what = format!("`{verb}` cannot be done here");
    Problem::new(StatusCode::NOT_FOUND, "not_found", what, format!("one of: {known}"))
}

async fn steer_schedule(
    State(app): State<App>,
    Path((name, verb)): Path<(String, String)>,
    given: Body<Steer>,
) -> Result<Json<Value>, Problem> {
    let Steer { why } = body(given)?;
    match verb.as_str() {
        "pause" => {
            let why = reason(why)?;
            let pause = |store: Store| async move {
                let changed = schedule::pause(&store, &name, &why, Utc::now()).await?;
                Ok(json!({"schedule": name, "paused": true, "changed": changed}))
            };
            change(&app, pause).await
        }
        "resume" => {
            let resume = |store: Store| async move {
                let changed = schedule::resume(&store, &name, Utc::now()).await?;
                Ok(json!({"schedule": name, "paused": false, "changed": changed}))
            };
            change(&app, resume).await
        }
        other => Err(unknown(other, "pause, resume")),
    }
}

async fn steer_backfill(
    State(app): State<App>,
    Path((id, verb)): Path<(String, String)>,
    given: Body<Nothing>,
) -> Result<Json<Value>, Problem> {
    body(given)?;
    if !matches!(verb.as_str(), "pause" | "resume" | "cancel") {
        return Err(unknown(&verb, "pause, resume, cancel"));
    }
    let steer = |store: Store| async move {
        let (id, now) = (backfill::find(&store, &id).await?, Utc::now());
        let mut told = Vec::new();
        match verb.as_str() {
            "pause" => backfill::pause(&store, &id, now).await?,
            "resume" => backfill::resume(&store, &id, now).await?,
            _ => told = backfill::cancel(&store, &id, now).await?,
        }
        Ok(json!({"backfill": id, "done": verb, "runs_told": told}))
    };
    change(&app, steer).await
}

async fn steer_queue(
    State(app): State<App>,
    Path((name, verb)): Path<(String, String)>,
    given: Body<Steer>,
) -> Result<Json<Value>, Problem> {
    let Steer { why } = body(given)?;
    let Some(queue) = Queue::parse(&name) else {
        let known = Queue::ALL.map(Queue::name).join(", ");
        let what = format!("there is no queue {name}");
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", what, format!("one of: {known}")));
    };
    match verb.as_str() {
        "pause" => {
            let why = reason(why)?;
            let pause = |store: Store| async move {
                let changed = queue::pause(&store, queue, &why).await?;
                Ok(json!({"queue": name, "paused": true, "changed": changed}))
            };
            change(&app, pause).await
        }
        "resume" => {
            let resume = |store: Store| async move {
                let changed = queue::resume(&store, queue).await?;
                Ok(json!({"queue": name, "paused": false, "changed": changed}))
            };
            change(&app, resume).await
        }
        other => Err(unknown(other, "pause, resume")),
    }
}
