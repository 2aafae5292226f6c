//! What somebody should know: opened once, noted again while it lasts, and followed by "recovered" when it is over. The
//! messages leave through the outbox, written in the transaction of what they tell.

use crate::{Store, StoreError, outbox};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use std::time::Duration;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Alert {
    /// The same trouble has the same key, however often it is seen.
    pub key: String,
    /// `failed`, `dead`, `late`, `stale` or `paused`.
    pub kind: String,
    /// The workflow it is about.
    pub workflow: String,
    /// Its partition; may be empty.
    pub partition: String,
    /// The run.
    pub run: Option<String>,
    /// The step.
    pub step: Option<String>,
    /// For people.
    pub detail: String,
    /// Who hears of it; empty means every channel that is set up.
    pub channels: Vec<String>,
}

/// An alert as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct AlertRow {
    /// Its key.
    pub key: String,
    /// `failed`, `dead`, `late`, `stale` or `paused`.
    pub kind: String,
    /// The workflow.
    pub workflow: String,
    /// Its partition.
    pub partition: String,
    /// The run.
    pub run: Option<String>,
    /// The step.
    pub step: Option<String>,
    /// For people.
    pub detail: String,
    /// How often it was seen since it opened.
    pub seen: i32,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// When it was seen last.
    pub last_at: DateTime<Utc>,
    /// When it was over.
    pub recovered_at: Option<DateTime<Utc>>,
}

/// Opens the alert, or notes that it was seen again; true when it opened, and a message leaves.
///
/// # Errors
/// When the database cannot be reached.
pub async fn raise(tx: &mut PgConnection, alert: &Alert) -> Result<bool, StoreError> {
    let (generation, opened): (i32, bool) = sqlx::query_as(include_str!("../../../sql/queries/alert/raise.sql"))
        .bind(&alert.key)
        .bind(&alert.kind)
        .bind(&alert.workflow)
        .bind(&alert.partition)
        .bind(&alert.run)
        .bind(&alert.step)
        .bind(&alert.detail)
        .bind(&alert.channels)
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::sql("raise an alert"))?;
    if opened {
        tell(tx, alert, generation, "raised").await?;
    }
    Ok(opened)
}

/// Ends those of the alerts that are open; each has a message.
///
/// # Errors
/// When the database cannot be reached.
pub async fn recover(tx: &mut PgConnection, keys: &[String]) -> Result<usize, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Over {
        #[sqlx(flatten)]
        alert: Alert,
        generation: i32,
    }
    let over: Vec<Over> = sqlx::query_as(include_str!("../../../sql/queries/alert/recover.sql"))
        .bind(keys)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::sql("end alerts"))?;
    for Over { alert, generation } in &over {
        tell(tx, alert, *generation, "recovered").await?;
    }
    Ok(over.len())
}

async fn tell(tx: &mut PgConnection, alert: &Alert, generation: i32, what: &str) -> Result<(), StoreError> {
    let payload = json!({
        "what": what, "kind": alert.kind, "key": alert.key, "workflow": alert.workflow, "partition": alert.partition,
        "run": alert.run, "step": alert.step, "detail": alert.detail, "channels": alert.channels,
    });
    outbox::add(tx, &format!("{}/{generation}/{what}", alert.key), "alert", "", &payload).await
}

/// A run that is over.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct RunOver {
    pub(crate) id: String,
    workflow: String,
    partition_key: String,
    pub(crate) state: String,
    pub(crate) error: Option<String>,
    alert: Vec<String>,
    dead: bool,
    /// An alert about this partition is open.
    alarmed: bool,
}

/// The key of "the runs of this partition fail".
pub(crate) fn failed_key(workflow: &str, partition: &str) -> String {
    format!("failed/{workflow}/{partition}")
}

/// A failed run raises an alert about its partition; the next one of that partition that is done ends it.
pub(crate) async fn run_over(tx: &mut PgConnection, run: &RunOver) -> Result<(), StoreError> {
    let key = failed_key(&run.workflow, &run.partition_key);
    match run.state.as_str() {
        "failed" => {
            let alert = Alert {
                key,
                kind: if run.dead { "dead" } else { "failed" }.to_owned(),
                workflow: run.workflow.clone(),
                partition: run.partition_key.clone(),
                run: Some(run.id.clone()),
                step: None,
                detail: run.error.clone().unwrap_or_default(),
                channels: run.alert.clone(),
            };
            raise(tx, &alert).await.map(drop)
        }
        "done" if run.alarmed => recover(tx, &[key]).await.map(drop),
        _ => Ok(()),
    }
}

/// Looks for what is late, stale, or paused for longer than `paused`, and for what is no longer. Returns how many alerts
/// opened and how many ended.
///
/// * `now` - the time to judge by.
///
/// # Errors
/// When the database cannot be reached.
pub async fn watch(store: &Store, now: DateTime<Utc>, paused: Duration) -> Result<(usize, usize), StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("look for trouble"))?;
    // One at a time: two that look at the same moment would count everything twice.
    let alone: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended('traider.watch', 0))")
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::sql("look for trouble"))?;
    if !alone {
        return Ok((0, 0));
    }
    let looking = || StoreError::sql("look for trouble");
    let mut found: Vec<Alert> = sqlx::query_as(include_str!("../../../sql/queries/alert/late.sql"))
        .bind(now)
        .fetch_all(&mut *tx)
        .await
        .map_err(looking())?;
    let paused: Vec<Alert> = sqlx::query_as(include_str!("../../../sql/queries/alert/paused.sql"))
        .bind(now)
        .bind(paused.as_secs_f64())
        .fetch_all(&mut *tx)
        .await
        .map_err(looking())?;
    let stale: Vec<Alert> = sqlx::query_as(include_str!("../../../sql/queries/alert/stale.sql"))
        .bind(now)
        .fetch_all(&mut *tx)
        .await
        .map_err(looking())?;
    let still: Vec<String> = stale.iter().map(|alert| alert.key.clone()).collect();
    found.extend(paused);
    found.extend(stale);
    let mut opened = 0;
    for alert in &found {
        opened += usize::from(raise(&mut tx, alert).await?);
    }
    let over: Vec<String> = sqlx::query_scalar(include_str!("../../../sql/queries/alert/late_over.sql"))
        .bind(&still)
        .fetch_all(&mut *tx)
        .await
        .map_err(looking())?;
    let ended = recover(&mut tx, &over).await?;
    tx.commit().await.map_err(looking())?;
    Ok((opened, ended))
}

/// Alerts, open ones first; with `all`, those that are over too.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list(store: &Store, all: bool, limit: i64) -> Result<Vec<AlertRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/alert/list.sql"))
        .bind(all)
        .bind(limit)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list alerts"))
}
