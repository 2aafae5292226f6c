//! Settings of what goes in and out beside the venues. All of it is off unless somebody wants it.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Who may send alerts in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Whether anybody may.
    pub enabled: bool,
    /// Where it listens.
    pub bind: SocketAddr,
    /// File with the secret that every alert must hold; empty: `<home>/config/webhook.secret`.
    pub secret_file: String,
    /// The only addresses that may send.
    pub allow: Vec<IpAddr>,
    /// What becomes of an alert from elsewhere that holds the secret.
    pub unlisted: Unlisted,
    /// Believe a relay on this machine that says for whom it speaks (`X-Forwarded-For`).
    pub trust_forwarded: bool,
    /// Alerts taken in a minute, at most.
    pub per_minute_max: u32,
}

/// Where market data is handed on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Whether it is.
    pub enabled: bool,
    /// The server, `host:port`.
    pub address: String,
    /// Entries a stream keeps, about.
    pub stream_max: u32,
    /// Levels of each side of a book.
    pub book_levels: u16,
    /// At most one snapshot of a book in this time, ms.
    pub book_ms: u32,
}

/// What becomes of an alert that comes from an address not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unlisted {
    /// It is refused.
    Refuse,
    /// It is taken and logged: for the days after the sender's addresses changed.
    Log,
}
