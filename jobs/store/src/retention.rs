//! What the database keeps and for how long: the log's tables by day, messages that were sent. Tasks that ended are
//! [`crate::control::prune`]'s. Where old days go is not known here; see `data::archive`.

use crate::{Store, StoreError, TxWrite};
use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::Duration;

/// A line as it stands in the database.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Line {
    /// Its number.
    pub id: i64,
    /// The run.
    pub run: String,
    /// The step.
    pub step: String,
    /// Its attempt.
    pub attempt: i32,
    /// When it was said.
    pub ts: DateTime<Utc>,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// What was said.
    pub message: String,
}

/// Days of the log that have a table of their own, oldest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn days(store: &Store) -> Result<Vec<NaiveDate>, StoreError> {
    sqlx::query_scalar(include_str!("../../../sql/queries/retention/days.sql"))
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list the log's days"))
}

/// Makes a table for each of these days that has none, and for every day whose lines have none; lines move over.
///
/// Returns how many were made.
///
/// # Errors
/// [`StoreError::Unreachable`] when the log is held by somebody else, such as a backup; else as the database fails.
pub async fn make_days(store: &Store, wanted: &[NaiveDate]) -> Result<usize, StoreError> {
    let homeless: Vec<NaiveDate> = sqlx::query_scalar(include_str!("../../../sql/queries/retention/days_without.sql"))
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("list the log's days"))?;
    let there = days(store).await?;
    let mut made = 0;
    for day in wanted.iter().chain(homeless.iter().filter(|day| !wanted.contains(day))) {
        if there.contains(day) {
            continue;
        }
        let (from, to) = bounds(*day);
        let text = include_str!("../../../sql/queries/retention/make_day.sql")
            .replace("%DAY%", &tag(*day))
            .replace("%FROM%", &from.to_rfc3339())
            .replace("%TO%", &to.to_rfc3339());
        let making = || held("make a table for a day of the log");
        let mut tx = store.pool.begin().await.map_err(making())?;
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *tx).await.map_err(making())?;
        tx.commit().await.map_err(making())?;
        made += 1;
    }
    Ok(made)
}

/// All lines of a day, in order.
///
/// # Errors
/// When the database cannot be reached.
pub async fn lines(store: &Store, day: NaiveDate) -> Result<Vec<Line>, StoreError> {
    let (from, to) = bounds(day);
    sqlx::query_as(include_str!("../../../sql/queries/retention/lines.sql"))
        .bind(from)
        .bind(to)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("read a day of the log"))
}

/// Drops a day's table in the step's transaction, if it holds just the lines that were read. When it holds others, or
/// somebody else holds it for longer than a moment, it stays for the next time.
pub struct DropDay {
    day: NaiveDate,
    count: i64,
    sum: i128,
}

impl DropDay {
    /// To drop `day`, of which `lines` are safe elsewhere.
    pub fn of(day: NaiveDate, lines: &[Line]) -> DropDay {
        let sum = lines.iter().map(|line| i128::from(line.id)).sum();
        DropDay { day, count: i64::try_from(lines.len()).unwrap_or(i64::MAX), sum }
    }

    async fn try_drop(&self, tx: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let about = |text: &str| AssertSqlSafe(text.replace("%DAY%", &tag(self.day)));
        let lock = about(include_str!("../../../sql/queries/retention/lock_day.sql"));
        sqlx::raw_sql(lock).execute(&mut *tx).await?;
        let count = about(include_str!("../../../sql/queries/retention/count_day.sql"));
        let held: (i64, String) = sqlx::query_as(count).persistent(false).fetch_one(&mut *tx).await?;
        if held != (self.count, self.sum.to_string()) {
            return Ok(false);
        }
        sqlx::raw_sql(about(include_str!("../../../sql/queries/retention/drop_day.sql"))).execute(tx).await?;
        Ok(true)
    }
}

#[async_trait]
impl TxWrite for DropDay {
    async fn apply(self: Box<Self>, tx: &mut PgConnection) -> Result<(), StoreError> {
        let dropping = || StoreError::sql("drop an old day of the log");
        let mut part = tx.begin().await.map_err(dropping())?;
        match self.try_drop(&mut part).await {
            Ok(true) => part.commit().await.map_err(dropping()),
            Ok(false) => {
                tracing::warn!(day = %self.day, "lines came into an old day of the log; it stays for now");
                part.rollback().await.map_err(dropping())
            }
            // Held, or gone already: another run was faster.
            Err(sqlx::Error::Database(e)) if matches!(e.code().as_deref(), Some("55P03" | "42P01")) => {
                tracing::warn!(day = %self.day, error = %e, "an old day of the log stays for now");
                part.rollback().await.map_err(dropping())
            }
            Err(error) => Err(dropping()(error)),
        }
    }
}

/// Deletes messages that were sent longer ago than `age`; returns how many.
///
/// # Errors
/// When the database cannot be reached.
pub async fn forget_sent(store: &Store, age: Duration) -> Result<u64, StoreError> {
    let done = sqlx::query(include_str!("../../../sql/queries/retention/forget_sent.sql"))
        .bind(age.as_secs_f64())
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql("delete old messages"))?;
    Ok(done.rows_affected())
}

/// `20261120`, as in the table's name.
fn tag(day: NaiveDate) -> String {
    day.format("%Y%m%d").to_string()
}

fn bounds(day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
    let start = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    (start(day), start(day.checked_add_days(Days::new(1)).unwrap_or(day)))
}

/// A lock that did not come in time comes later.
fn held(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| match source {
        sqlx::Error::Database(ref e) if e.code().as_deref() == Some("55P03") => {
            StoreError::Unreachable { at: format!("somebody else holds the log: asked to {doing}"), source }
        }
        source => StoreError::sql(doing)(source),
    }
}
