//! The board of the control plane: workflows, runs, schedules, backfills, assets, workers, dead letters, alerts.
//!
//! * here: pages (one shell, filled by `assets/board*.js`) and what they read, `GET /api/board/...`
//! * [`answers`] keeps answers for a moment
//! * [`logs`] a run's log as a stream
//! * [`act`] what changes something, `POST /api/board/...`, and who may
//!
//! **Invariant:** a GET changes nothing.

mod act;
mod answers;
mod logs;

pub use answers::Answers;

use crate::App;
use crate::database::LOOK;
use crate::problem::Problem;
use crate::runs::WORKER_SEEN_S;
use crate::web::{asset, script};
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::view::{self, RunFilter};
use store::{Store, StoreError, alert, assets, backfill, schedule};

/// Rows of a list at most.
const ROWS_MAX: i64 = 200;
/// Assets and partitions shown at most.
const ASSETS_MAX: i64 = 500;

/// Pages, scripts and data of the board.
pub fn router(app: &App) -> Router<App> {
    let mut pages = Router::new()
        .route("/board", get(|| async { shell("workflows") }))
        .route("/board/", get(|| async { shell("workflows") }))
        .route(
            "/board.css",
            get(|| async { asset("text/css; charset=utf-8", include_str!("../../assets/board.css")) }),
        );
    for tab in ["workflows", "runs", "schedules", "backfills", "assets", "workers", "dead", "alerts"] {
        pages = pages
            .route(&format!("/board/{tab}"), get(move || async move { shell(tab) }))
            .route(&format!("/board/{tab}/{{*which}}"), get(move || async move { shell(tab) }));
    }
    for (name, text) in SCRIPTS {
        pages = pages.route(&format!("/{name}"), get(move || async move { script(text) }));
    }
    let data = reads()
        .merge(act::router(app))
        .fallback(|uri: Uri| async move {
            let what = format!("there is no /api/board{}", uri.path());
            Problem::new(StatusCode::NOT_FOUND, "not_found", what, "see docs/operations.md, The board")
        })
        .method_not_allowed_fallback(|| async {
            let what = "this address does not take that method";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", what, "look with GET, change with POST")
        });
    pages.nest("/api/board", data)
}

const SCRIPTS: [(&str, &str); 9] = [
    ("board.js", include_str!("../../assets/board.js")),
    ("board-api.js", include_str!("../../assets/board-api.js")),
    ("board-parts.js", include_str!("../../assets/board-parts.js")),
    ("board-lists.js", include_str!("../../assets/board-lists.js")),
    ("board-plans.js", include_str!("../../assets/board-plans.js")),
    ("board-assets.js", include_str!("../../assets/board-assets.js")),
    ("board-run.js", include_str!("../../assets/board-run.js")),
    ("board-graph.js", include_str!("../../assets/board-graph.js")),
    ("board-logs.js", include_str!("../../assets/board-logs.js")),
];

/// The page's frame with this tab marked; scripts fill it.
fn shell(tab: &str) -> Response {
    let mark = format!("data-tab=\"{tab}\"");
    let text = include_str!("../../assets/board.html").replace(&mark, &format!("{mark} aria-current=\"page\""));
    ([(axum::http::header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

fn reads() -> Router<App> {
    Router::new()
        .route("/attention", get(attention))
        .route("/workflows", get(workflows))
        .route("/workflows/{name}/grid", get(grid))
        .route("/runs", get(runs))
        .route("/runs/{id}", get(run))
        .route("/runs/{id}/history", get(history))
        .route("/runs/{id}/logs", get(logs::follow))
        .route("/schedules", get(schedules))
        .route("/schedules/{name}", get(one_schedule))
        .route("/backfills", get(backfills))
        .route("/backfills/{id}", get(one_backfill))
        .route("/assets", get(all_assets))
        .route("/assets/one", get(one_asset))
        .route("/workers", get(workers))
        .route("/dead", get(dead))
        .route("/alerts", get(alerts))
}

/// What a request says of itself, for a kept answer.
type Asked = (Uri, HeaderMap);

async fn look<T: Serialize, F: Future<Output = Result<T, StoreError>>>(
    app: &App,
    (uri, headers): Asked,
    question: impl FnOnce(Store) -> F,
) -> Response {
    let key = uri.path_and_query().map_or("", |whole| whole.as_str());
    app.answers.get(key, &headers, app.database.ask(LOOK, question)).await
}

fn query<T>(given: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let unfit = |e: QueryRejection| Problem::request(e.body_text(), "correct what follows the `?` in the address");
    given.map(|Query(query)| query).map_err(unfit)
}

async fn attention(State(app): State<App>, asked: Asked) -> Response {
    look(&app, asked, async |store| view::attention(&store, WORKER_SEEN_S).await).await
}

async fn workflows(State(app): State<App>, asked: Asked) -> Response {
    look(&app, asked, async |store| view::workflows(&store).await).await
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<i64>,
}

impl Limit {
    fn rows(&self, usual: i64) -> i64 {
        self.limit.unwrap_or(usual).clamp(1, ROWS_MAX)
    }
}

async fn grid(
    State(app): State<App>,
    Path(name): Path<String>,
    limit: Result<Query<Limit>, QueryRejection>,
    asked: Asked,
) -> Result<Response, Problem> {
    let rows = query(limit)?.rows(30);
    Ok(look(&app, asked, |store| async move { view::grid(&store, &name, rows).await }).await)
}

#[derive(Deserialize)]
struct Which {
    workflow: Option<String>,
    state: Option<String>,
    partition: Option<String>,
    limit: Option<i64>,
}

async fn runs(
    State(app): State<App>,
    which: Result<Query<Which>, QueryRejection>,
    asked: Asked,
) -> Result<Response, Problem> {
    let Which { workflow, state, partition, limit } = query(which)?;
    let filter = RunFilter { workflow, state, partition, jobs_only: false, limit: Limit { limit }.rows(50) };
    Ok(look(&app, asked, |store| async move { view::list_runs(&store, &filter).await }).await)
}

async fn run(State(app): State<App>, Path(id): Path<String>, asked: Asked) -> Response {
    look(&app, asked, |store| async move { view::show_run(&store, &id).await }).await
}

/// What happened to a run, and whether that record is as it was written.
async fn history(State(app): State<App>, Path(id): Path<String>, asked: Asked) -> Response {
    let read = |store: Store| async move {
        let id = view::find_run(&store, &id).await?;
        let (events, holds) = (view::events(&store, &id).await?, view::history_holds(&store, &id).await?);
        Ok(json!({"holds": holds, "events": events}))
    };
    look(&app, asked, read).await
}

async fn schedules(State(app): State<App>, asked: Asked) -> Response {
    look(&app, asked, async |store| schedule::list(&store, Utc::now()).await).await
}

async fn one_schedule(State(app): State<App>, Path(name): Path<String>, asked: Asked) -> Response {
    look(&app, asked, |store| async move { schedule::show(&store, &name, Utc::now()).await }).await
}

async fn backfills(State(app): State<App>, asked: Asked) -> Response {
    look(&app, asked, async |store| backfill::list(&store, 50).await).await
}

async fn one_backfill(State(app): State<App>, Path(id): Path<String>, asked: Asked) -> Response {
    look(&app, asked, |store| async move { backfill::show(&store, &id).await }).await
}

async fn all_assets(State(app): State<App>, asked: Asked) -> Response {
    look(&app, asked, async |store| view::asset_overview(&store, ASSETS_MAX).await).await
}

/// An asset by name, and which part of it: a partition, or the one that a version is of, or none.
#[derive(Deserialize)]
struct Of {
    asset: String,
    partition: Option<String>,
    sha256: Option<String>,
}

async fn one_asset(
    State(app): State<App>,
    of: Result<Query<Of>, QueryRejection>,
    asked: Asked,
) -> Result<Response, Problem> {
    let of = query(of)?;
    Ok(look(&app, asked, |store| async move { asset_of(&store, of).await }).await)
}

async fn asset_of(store: &Store, Of { asset, partition, sha256 }: Of) -> Result<serde_json::Value, StoreError> {
    let mut partitions = assets::list(store, Some(&asset), ASSETS_MAX).await?;
    partitions.retain(|row| row.version.asset == asset);
    let partition = match (partition, sha256) {
        (Some(partition), _) => Some(partition),
        (None, Some(sha256)) => view::partition_of(store, &asset, &sha256).await?,
        (None, None) => partitions.first().map(|row| row.version.partition.clone()),
    };
    let Some(partition) = partition else {
        let what = format!("made version of asset {asset}; what no step made, such as a journal, has no page here");
        return Err(StoreError::NotFound { what });
    };
    Ok(json!({
        "asset": asset,
        "partition": partition,
        "partitions": partitions,
        "versions": assets::versions(store, &asset, &partition).await?,
        "upstream": assets::upstream(store, &asset, &partition).await?,
        "downstream": assets::downstream(store, &asset, &partition).await?,
    }))
}

async fn workers(State(app): State<App>, asked: Asked) -> Response {
    let read = async |store: Store| {
        let (workers, queues) = (view::workers(&store, WORKER_SEEN_S).await?, view::queues(&store).await?);
        Ok(json!({"workers": workers, "queues": queues, "running": view::running(&store, ROWS_MAX).await?}))
    };
    look(&app, asked, read).await
}

async fn dead(State(app): State<App>, asked: Asked) -> Response {
    look(&app, asked, async |store| view::dead(&store, ROWS_MAX).await).await
}

async fn alerts(State(app): State<App>, asked: Asked) -> Response {
    look(&app, asked, async |store| alert::list(&store, true, ROWS_MAX).await).await
}
