//! What an alert says. Everything in it is the sender's claim: read with care, kept as it was written, believed by nobody.
//!
//! The message that our page tells users to write is JSON whose values are all texts, because a placeholder may turn into
//! `NaN`, `na` or a number with separators, and then it would be no JSON. A message that is none is kept too, without a vote.

use crate::gate::Secret;
use chrono::{DateTime, Duration, Utc};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use store::webhook::Alert;

/// Version of our own message form.
const VERSION: &str = "1";
/// Longest value of a field that is kept beside the body, characters.
const FIELD_MAX: usize = 200;
/// An alert that was sent longer ago is a replay or came too late to be of use.
const OLD: Duration = Duration::seconds(60);
/// How far the sender's clock may be ahead of ours.
const AHEAD: Duration = Duration::seconds(5);

/// Why an alert is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The secret is missing or another.
    Secret,
    /// It is no text that can be kept.
    Unreadable,
    /// It was sent too long ago, or in the future.
    Time,
}

/// Fields by name, each as it was written.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// Reads an alert that came in at `now` from `sender`.
///
/// * `in_path` - the secret, if the address held one.
///
/// # Errors
/// [`Refusal`].
pub fn read(
    bytes: &[u8],
    in_path: Option<&str>,
    secret: &Secret,
    sender: String,
    now: DateTime<Utc>,
) -> Result<Alert, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::Unreadable);
    let mut fields: Fields<'_> = text.ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let in_body = fields.remove("secret").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    // A wrong secret in one place is not made good by the right one in the other.
    let given = [in_path, in_body.as_deref()];
    let right = given.iter().flatten().map(|given| secret.is(given)).fold(true, |all, right| all & right);
    if !right || given == [None, None] {
        return Err(Refusal::Secret);
    }
    // Postgres keeps no NUL.
    let text = text?;
    if text.contains('\0') || text.trim().is_empty() {
        return Err(Refusal::Unreadable);
    }
    let body = if fields.is_empty() { text.trim().to_owned() } else { written(&fields) };
    let body = secret.hide_in(&body);
    let field = |name: &str| secret.hide_in(&field(&fields, name));
    let fired_at = time(&field("fired"));
    if fired_at.is_some_and(|fired| fired < now - OLD || fired > now + AHEAD) {
        return Err(Refusal::Time);
    }
    let (key, key_before) = keys(&field("id"), &body, now);
    let (timeframe, bar_time) = (field("tf"), time(&field("bar_time")));
    let bar_end = bar_time.zip(length(&timeframe)).and_then(|(began, length)| began.checked_add_signed(length));
    Ok(Alert {
        key,
        key_before,
        received_at: now,
        sender,
        route: field("route"),
        strategy: field("strategy"),
        exchange: field("exchange"),
        ticker: field("ticker"),
        vote: if field("v") == VERSION { vote(&field("position"), &field("side")) } else { None },
        price: field("price"),
        provisional: bar_end.map(|end| fired_at.unwrap_or(now) < end),
        timeframe,
        bar_time,
        fired_at,
        body,
    })
}

/// The alert's own id names it for ever. Without one it is its body, and a minute later the same words are another alert.
fn keys(id: &str, body: &str, now: DateTime<Utc>) -> (String, Option<String>) {
    if !id.is_empty() {
        return (format!("id:{}", hash(id)), None);
    }
    let (hash, minute) = (hash(body), now.timestamp().div_euclid(60));
    (format!("body:{hash}:{minute}"), Some(format!("body:{hash}:{}", minute - 1)))
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The fields as one JSON object, every value as it came.
fn written(fields: &Fields<'_>) -> String {
    let all: Vec<String> =
        fields.iter().map(|(name, raw)| format!("{}:{}", serde_json::Value::from(name.as_str()), raw.get())).collect();
    format!("{{{}}}", all.join(","))
}

/// A field's text, or what was written where it is a number; empty when it is missing or something else.
fn field(fields: &Fields<'_>, name: &str) -> String {
    let Some(raw) = fields.get(name).map(|raw| raw.get()) else { return String::new() };
    let text = match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).unwrap_or_default(),
        Some(b'{' | b'[' | b'n') | None => String::new(),
        Some(_) => raw.to_owned(),
    };
    text.trim().chars().filter(|c| !c.is_control()).take(FIELD_MAX).collect()
}

/// What it wants: where the sender's own strategy stands now says more than the order that took it there.
fn vote(position: &str, side: &str) -> Option<i16> {
    match (position.to_ascii_lowercase().as_str(), side.to_ascii_lowercase().as_str()) {
        ("long", _) | ("", "buy") => Some(1),
        ("short", _) | ("", "sell") => Some(-1),
        ("flat", _) => Some(0),
        _ => None,
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc())
}

/// Length of a bar: a bare number is minutes, else seconds `S`, days `D` or weeks `W`, the number left out when it is 1.
/// Months have no one length.
fn length(timeframe: &str) -> Option<Duration> {
    let (number, unit) = match timeframe.char_indices().last()? {
        (_, '0'..='9') => (timeframe, 60),
        (at, 'S') => (&timeframe[..at], 1),
        (at, 'D') => (&timeframe[..at], 86_400),
        (at, 'W') => (&timeframe[..at], 7 * 86_400),
        _ => return None,
    };
    let number = if number.is_empty() { 1 } else { number.parse::<u32>().ok().filter(|n| *n > 0)? };
    Duration::try_seconds(i64::from(number) * unit)
}

#[cfg(test)]
mod tests;
