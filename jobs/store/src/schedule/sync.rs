//! Taking over what the workflow files say.

use super::{Catchup, Planner, ScheduleRow, ScheduleState};
use crate::{Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Makes the schedules be `rows` and no others. A new one begins at its start if it catches up, else now; one whose pattern
/// changed goes on from its last slot; one that is gone becomes inactive, and its waiting slots are cancelled. Returns
/// what is wrong with rows that cannot be followed; these stay as they were.
///
/// * `unread` - names of workflows whose files cannot be read at present: their schedules are left as they are.
///
/// # Errors
/// When the database cannot be reached; nothing has changed then.
pub async fn sync(
    store: &Store,
    rows: &[ScheduleRow],
    unread: &BTreeSet<String>,
    now: DateTime<Utc>,
    planner: &dyn Planner,
) -> Result<Vec<String>, StoreError> {
    let doing = || StoreError::sql("bring the schedules up to date");
    let mut tx = store.pool.begin().await.map_err(doing())?;
    sqlx::query(include_str!("../../../../sql/queries/schedule/lock_sync.sql"))
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    let known: Vec<ScheduleState> = sqlx::query_as(include_str!("../../../../sql/queries/schedule/lock_all.sql"))
        .fetch_all(&mut *tx)
        .await
        .map_err(doing())?;
    let known: BTreeMap<&str, &ScheduleState> = known.iter().map(|s| (s.row.name.as_str(), s)).collect();
    let mut problems = Vec::new();
    for row in rows {
        let before = known.get(row.name.as_str()).copied();
        if before.is_some_and(|state| state.active && state.row == *row) {
            continue;
        }
        let last_slot = begin(row, before, now);
        let next_slot = match planner.slots(row, last_slot, DateTime::<Utc>::MAX_UTC, 1) {
            Ok(slots) => slots.first().copied(),
            Err(what) => {
                problems.push(format!("schedule `{}`: {what}", row.name));
                continue;
            }
        };
        sqlx::query(include_str!("../../../../sql/queries/schedule/upsert.sql"))
            .bind(&row.name)
            .bind(&row.workflow)
            .bind(&row.cron)
            .bind(&row.tz)
            .bind(row.catchup)
            .bind(row.overlap)
            .bind(row.catchup_window_s)
            .bind(row.jitter_s)
            .bind(row.start_at)
            .bind(row.depends_on_past)
            .bind(last_slot)
            .bind(next_slot)
            .bind(now)
            .execute(&mut *tx)
            .await
            .map_err(doing())?;
    }
    let wanted: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let gone: Vec<&str> =
        known.keys().copied().filter(|name| !wanted.contains(name) && !unread.contains(*name)).collect();
    sqlx::query(include_str!("../../../../sql/queries/schedule/deactivate.sql"))
        .bind(&gone)
        .execute(&mut *tx)
        .await
        .map_err(doing())?;
    tx.commit().await.map_err(doing())?;
    Ok(problems)
}

/// The moment after which slots count.
fn begin(row: &ScheduleRow, before: Option<&ScheduleState>, now: DateTime<Utc>) -> DateTime<Utc> {
    // A slot at the start itself counts.
    let start = row.start_at.map(|start| start - TimeDelta::seconds(1));
    let anew = match row.catchup {
        Catchup::None => start.map_or(now, |start| start.max(now)),
        Catchup::Latest | Catchup::All => start.unwrap_or(now),
    };
    match before {
        Some(ScheduleState { last_slot: Some(last), active: true, .. }) => {
            start.map_or(*last, |start| start.max(*last))
        }
        // Gone for a while and back: what it was not meant to run is not made up.
        Some(ScheduleState { last_slot: Some(last), .. }) => anew.max(*last),
        _ => anew,
    }
}
