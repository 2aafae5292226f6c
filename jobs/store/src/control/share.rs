//! Limits that steps of any run share. Who claims such a step holds the limit's lock and counts; who finds it used up is
//! held, and woken by the next step with the same key that ends.

use super::lease::{Claimed, WorkerId, claim_in};
use crate::{StepPointer, Store, StoreError, queue};
use sqlx::PgConnection;
use std::time::Duration;

/// Claims a step that shares a limit, or holds it.
pub(super) async fn claim(
    store: &Store,
    pointer: &StepPointer,
    worker: &WorkerId,
    lease: Duration,
) -> Result<Option<Claimed>, StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("claim a step"))?;
    super::Changes::lock(&mut tx, std::slice::from_ref(&pointer.run)).await?;
    let share: Option<(String, i32)> = sqlx::query_as(include_str!("../../../../sql/queries/step/share_of.sql"))
        .bind(&pointer.run)
        .bind(&pointer.step)
        .bind(pointer.attempt)
        .bind(pointer.epoch)
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::sql("look at a shared limit"))?;
    let Some((key, max)) = share else { return Ok(None) };
    lock(&mut tx, &key).await?;
    if using(&mut tx, &key).await? >= i64::from(max) {
        sqlx::query(include_str!("../../../../sql/queries/step/hold.sql"))
            .bind(&pointer.run)
            .bind(&pointer.step)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::sql("hold a step"))?;
        tx.commit().await.map_err(StoreError::sql("hold a step"))?;
        return Ok(None);
    }
    let claimed = claim_in(&mut *tx, &[(pointer, worker)], lease, true).await?;
    tx.commit().await.map_err(StoreError::sql("claim a step"))?;
    Ok(claimed.into_iter().next().map(|(_, claimed)| claimed))
}

async fn lock(tx: &mut PgConnection, key: &str) -> Result<(), StoreError> {
    sqlx::query(include_str!("../../../../sql/queries/step/share.sql"))
        .bind(key)
        .execute(tx)
        .await
        .map_err(StoreError::sql("lock a shared limit"))?;
    Ok(())
}

async fn using(tx: &mut PgConnection, key: &str) -> Result<i64, StoreError> {
    sqlx::query_scalar(include_str!("../../../../sql/queries/step/sharing.sql"))
        .bind(key)
        .fetch_one(tx)
        .await
        .map_err(StoreError::sql("count the users of a shared limit"))
}

/// A use of the limit ended: who waits longest for it gets a task.
pub(super) async fn wake(tx: &mut PgConnection, key: &str) -> Result<(), StoreError> {
    lock(tx, key).await?;
    let next: Option<(String, String)> = sqlx::query_as(include_str!("../../../../sql/queries/step/held.sql"))
        .bind(key)
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::sql("look for who waits for a shared limit"))?;
    match next {
        Some(step) => queue::push_again(tx, vec![step]).await,
        None => Ok(()),
    }
}
