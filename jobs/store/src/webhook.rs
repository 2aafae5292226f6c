//! Alerts that others send in, kept before they are acknowledged. One row is one vote and never an order: nothing here, and
//! nothing that reads it, can make one.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};

/// One alert as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The same alert has the same key.
    pub key: String,
    /// Its key had it come in the minute before; none when its key does not depend on the time.
    pub key_before: Option<String>,
    /// When it came in, by our clock.
    pub received_at: DateTime<Utc>,
    /// The address it came from.
    pub sender: String,
    /// The way it was sent on, as it says.
    pub route: String,
    /// The sender's name for the rule behind it.
    pub strategy: String,
    /// The exchange, in the sender's words.
    pub exchange: String,
    /// The ticker, in the sender's words.
    pub ticker: String,
    /// The length of its bars, in the sender's words.
    pub timeframe: String,
    /// 1 wants it up, -1 down, 0 neither; `None` when it does not say so in words that are known.
    pub vote: Option<i16>,
    /// The price it names, as it was written.
    pub price: String,
    /// When its bar began, by the sender's clock.
    pub bar_time: Option<DateTime<Utc>>,
    /// When it was sent, by the sender's clock.
    pub fired_at: Option<DateTime<Utc>>,
    /// True when its bar was not over.
    pub provisional: Option<bool>,
    /// All of it, without the secret.
    pub body: String,
}

/// Keeps an alert; when this returns it is on disk. True when it is new, false when it was there already.
///
/// # Errors
/// When the database cannot be reached, or the text cannot be kept.
pub async fn keep(store: &Store, alert: &Alert) -> Result<bool, StoreError> {
    let done = sqlx::query(include_str!("../../../sql/queries/webhook/keep.sql"))
        .bind(&alert.key)
        .bind(&alert.key_before)
        .bind(alert.received_at)
        .bind(&alert.sender)
        .bind(&alert.route)
        .bind(&alert.strategy)
        .bind(&alert.exchange)
        .bind(&alert.ticker)
        .bind(&alert.timeframe)
        .bind(alert.vote)
        .bind(&alert.price)
        .bind(alert.bar_time)
        .bind(alert.fired_at)
        .bind(alert.provisional)
        .bind(&alert.body)
        .execute(&store.pool)
        .await
        .map_err(StoreError::sql("keep an alert that came in"))?;
    Ok(done.rows_affected() == 1)
}
