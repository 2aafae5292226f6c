//! Assets: what steps made, from what, and where the newest good version of a partition is.

use crate::{AssetVersion, Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

/// A version with where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct AssetRow {
    /// The version.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub version: AssetVersion,
    /// The run that made it last.
    pub run: String,
    /// Its step.
    pub step: String,
    /// When.
    pub made_at: DateTime<Utc>,
}

/// The newest version of a partition.
///
/// # Errors
/// When the database cannot be reached.
pub async fn newest(store: &Store, asset: &str, partition: &str) -> Result<Option<AssetVersion>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/asset/newest.sql"))
        .bind(asset)
        .bind(partition)
        .fetch_optional(&store.pool)
        .await
        .map_err(StoreError::sql("look up an asset"))
}

/// The newest version of every partition, newest partition first.
///
/// * `asset` - only this asset and those below it (`trades` finds `trades/binance`).
/// * `limit` - rows at most.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list(store: &Store, asset: Option<&str>, limit: i64) -> Result<Vec<AssetRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/asset/list.sql"))
        .bind(asset)
        .bind(limit)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list assets"))
}

/// A version of an asset as part of a lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct LineageRow {
    /// Steps away from the version asked about.
    pub depth: i32,
    /// Asset.
    pub asset: String,
    /// Partition; empty when the version was never made by a step, as a journal is not.
    pub partition: String,
    /// Version.
    pub sha256: String,
    /// The run that made it (upstream), or that made something of what is asked about (downstream).
    pub run: Option<String>,
    /// Its step.
    pub step: Option<String>,
    /// When.
    pub made_at: Option<DateTime<Utc>>,
}

/// What the newest version of a partition was made from, and what that was made from, nearest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn upstream(store: &Store, asset: &str, partition: &str) -> Result<Vec<LineageRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/asset/upstream.sql"))
        .bind(asset)
        .bind(partition)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look up where an asset came from"))
}

/// What was made from any version of a partition, and from that, nearest first: which runs used it.
///
/// # Errors
/// When the database cannot be reached.
pub async fn downstream(store: &Store, asset: &str, partition: &str) -> Result<Vec<LineageRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/asset/downstream.sql"))
        .bind(asset)
        .bind(partition)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look up what was made from an asset"))
}

/// Every version of a partition, newest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn versions(store: &Store, asset: &str, partition: &str) -> Result<Vec<AssetRow>, StoreError> {
    sqlx::query_as(include_str!("../../../sql/queries/asset/versions.sql"))
        .bind(asset)
        .bind(partition)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list versions of an asset"))
}

pub(crate) async fn add_output(
    tx: &mut PgConnection,
    run: &str,
    step: &str,
    version: &AssetVersion,
) -> Result<(), StoreError> {
    let adding = || StoreError::sql(format!("add a version of asset {}", version.asset));
    sqlx::query(include_str!("../../../sql/queries/asset/add.sql"))
        .bind(&version.asset)
        .execute(&mut *tx)
        .await
        .map_err(adding())?;
    sqlx::query(include_str!("../../../sql/queries/asset/add_version.sql"))
        .bind(&version.asset)
        .bind(&version.partition)
        .bind(&version.sha256)
        .bind(run)
        .bind(step)
        .bind(&version.uri)
        .bind(version.rows)
        .bind(version.bytes)
        .bind(version.min_ts_ns)
        .bind(version.max_ts_ns)
        .bind(&version.schema_hash)
        .execute(&mut *tx)
        .await
        .map_err(adding())?;
    sqlx::query(include_str!("../../../sql/queries/asset/add_output.sql"))
        .bind(run)
        .bind(step)
        .bind(&version.asset)
        .bind(&version.partition)
        .bind(&version.sha256)
        .execute(tx)
        .await
        .map_err(adding())?;
    Ok(())
}

pub(crate) async fn add_input(
    tx: &mut PgConnection,
    run: &str,
    step: &str,
    asset: &str,
    sha256: &str,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("../../../sql/queries/asset/add_input.sql"))
        .bind(run)
        .bind(step)
        .bind(asset)
        .bind(sha256)
        .execute(tx)
        .await
        .map_err(StoreError::sql(format!("note that asset {asset} was read")))?;
    Ok(())
}
