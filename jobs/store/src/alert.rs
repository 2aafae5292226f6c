//! What somebody should know.

use crate::StoreError;
use serde_json::json;
use sqlx::PgConnection;

/// A run that is over.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct RunOver {
    pub(crate) id: String,
    pub(crate) workflow: String,
    pub(crate) partition_key: String,
    pub(crate) state: String,
    pub(crate) error: Option<String>,
    pub(crate) alert: Vec<String>,
    pub(crate) dead: bool,
}

/// A failed run leaves an alert in the outbox.
pub(crate) async fn run_over(tx: &mut PgConnection, run: &RunOver) -> Result<(), StoreError> {
    if run.state == "failed" {
        // One alert per end of the run: a retry that fails again alerts again.
        let key = format!("run-failed/{}/{}", run.id, ulid::Ulid::generate());
        sqlx::query(include_str!("../../../sql/queries/run/outbox.sql"))
            .bind(key)
            .bind("alert")
            .bind(json!({"run": run.id, "what": "run failed", "why": run.error}))
            .execute(tx)
            .await
            .map_err(StoreError::sql("write an alert"))?;
    }
    Ok(())
}
