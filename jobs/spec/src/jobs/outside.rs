//! Jobs that ask the world outside.

use super::moment::hour;
use super::{JobSpec, key};
use crate::plan::Queue;
use serde::{Deserialize, Serialize};

/// Asks CoinGecko for reference prices, market capitalisations and dominance, once for each hour, and brings them into the
/// lake. Only the hour that is now can be asked for: what was told earlier is on no free plan, so a missed hour stays missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferencePrices {
    /// UTC hour, `2026-11-20T07`.
    #[serde(deserialize_with = "hour")]
    pub hour: String,
    /// CoinGecko's own ids, `bitcoin`: tickers are not unique there.
    pub coins: Vec<String>,
    /// Currency of prices and capitalisations.
    #[serde(default = "usd")]
    pub currency: String,
    /// Where to ask instead, for tests and mirrors; https, or http to this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

fn usd() -> String {
    "usd".to_owned()
}

impl JobSpec for ReferencePrices {
    const NAME: &'static str = "reference-prices";
    const ATTEMPTS_MAX: u32 = 4;
    const QUEUE: Queue = Queue::Io;
    fn idempotency_key(&self) -> String {
        key(Self::NAME, &self.hour, Some(&self.currency), &self.coins)
    }
}
