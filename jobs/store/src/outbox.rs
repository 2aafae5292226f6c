//! Messages for the world outside: written with the fact that causes them, sent later, at least once, each channel by
//! itself. A message has a key that never changes, so that who receives it twice can tell.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct Message {
    /// Its number.
    pub id: i64,
    /// What it is, for ever.
    pub key: String,
    /// `alert`.
    pub topic: String,
    /// Where it goes; empty: to be given to every channel it is for.
    pub channel: String,
    /// What it says.
    pub payload: Value,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// How often it was tried, this time included.
    pub attempts: i32,
}

/// Writes a message; one with the same key is written once.
///
/// # Errors
/// When the database cannot be reached.
pub async fn add(
    tx: &mut PgConnection,
    key: &str,
    topic: &str,
    channel: &str,
    payload: &Value,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("../../../sql/queries/outbox/add.sql"))
        .bind(key)
        .bind(topic)
        .bind(channel)
        .bind(payload)
        .execute(tx)
        .await
        .map_err(StoreError::sql("write a message"))?;
    Ok(())
}

/// Takes the oldest messages that are due; they are nobody else's for a minute.
///
/// # Errors
/// When the database cannot be reached.
pub async fn take(store: &Store) -> Result<Vec<Message>, StoreError> {
    let mut taken: Vec<Message> = sqlx::query_as(include_str!("../../../sql/queries/outbox/take.sql"))
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("take messages"))?;
    taken.sort_by_key(|message| message.id);
    Ok(taken)
}

/// Gives a message to these channels, each a message of its own from now on.
///
/// # Errors
/// When the database cannot be reached.
pub async fn fan_out(store: &Store, message: &Message, channels: &[String]) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("give out a message"))?;
    for channel in channels {
        let key = format!("{}/{channel}", message.key);
        add(&mut tx, &key, &message.topic, channel, &message.payload).await?;
    }
    let nobody = channels.is_empty().then_some("no channel is set up");
    mark(&mut tx, message.id, nobody).await?;
    tx.commit().await.map_err(StoreError::sql("give out a message"))
}

/// It was sent, or, with a reason, never will be.
///
/// # Errors
/// When the database cannot be reached; it will be sent again.
pub async fn sent(store: &Store, message: &Message, why_not: Option<&str>) -> Result<(), StoreError> {
    let mut connection = store.pool.acquire().await.map_err(StoreError::sql("mark a message"))?;
    mark(&mut connection, message.id, why_not).await
}

async fn mark(on: &mut PgConnection, id: i64, why_not: Option<&str>) -> Result<(), StoreError> {
    sqlx::query(include_str!("../../../sql/queries/outbox/sent.sql"))
        .bind(id)
        .bind(why_not)
        .execute(on)
        .await
        .map_err(StoreError::sql("mark a message"))?;
    Ok(())
}

/// It could not be sent this time.
///
/// # Errors
/// When the database cannot be reached.
pub async fn failed(store: &Store, message: &Message, why: &str) -> Result<(), StoreError> {
    sqlx::query(include_str!("../../../sql/queries/outbox/failed.sql"))
        .bind(message.id)
        .bind(why)
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql("mark a message"))?;
    Ok(())
}
