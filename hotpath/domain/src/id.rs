//! Ids and small closed sets. Every id is derived, never drawn: run + component + counter, or the venue's own text.

use arrayvec::ArrayString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use thiserror::Error;

/// A venue (exchange, or one market of it) by its lower-case name: `binance`, `binance-usdm`, `kraken`. A name and not a
/// closed set: the core treats all alike, and what is special about one stands in its instruments' rules.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Venue([u8; VENUE_MAX]);

/// Longest name of a venue, bytes.
const VENUE_MAX: usize = 16;

impl Venue {
    /// Binance Spot.
    pub const BINANCE: Venue = Venue::named("binance");

    /// The venue of this name: 1 to 16 lower-case letters, digits and hyphens.
    ///
    /// # Panics
    /// For any other name; for names in the program's own text. See [`Venue::parse`].
    pub const fn named(name: &str) -> Venue {
        match Venue::parse(name) {
            Some(venue) => venue,
            None => panic!("a venue's name is 1 to 16 lower-case letters, digits and hyphens"),
        }
    }

    /// The venue of this name, if it is a name.
    pub const fn parse(name: &str) -> Option<Venue> {
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes.len() > VENUE_MAX {
            return None;
        }
        let (mut padded, mut at) = ([0; VENUE_MAX], 0);
        while at < bytes.len() {
            if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'-') {
                return None;
            }
            padded[at] = bytes[at];
            at += 1;
        }
        Some(Venue(padded))
    }

    /// The lower-case name used in files, configs and partitions.
    pub fn name(&self) -> &str {
        let length = self.0.iter().position(|b| *b == 0).unwrap_or(VENUE_MAX);
        // Only ASCII gets in.
        std::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl fmt::Debug for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl Serialize for Venue {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}
impl<'de> Deserialize<'de> for Venue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Venue, D::Error> {
        let name = <std::borrow::Cow<'_, str>>::deserialize(d)?;
        Venue::parse(&name).ok_or_else(|| de::Error::custom(format!("`{name}` is no venue's name")))
    }
}

/// Which way an order or a trade goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Takes the base asset in.
    Buy,
    /// Gives the base asset out.
    Sell,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
    /// `buy` or `sell`.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Index of an instrument inside one run; the [`crate::Instrument`] event binds it to a venue and a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstrumentId(pub u16);

/// Index of a strategy in the run's configuration, in file-name order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StrategyId(pub u8);

/// An asset's ticker, such as `BTC`; at most 15 bytes.
pub type Asset = ArrayString<15>;
/// A run's id: a ULID for live runs, a hash of its inputs for backtests; at most 40 bytes.
pub type RunId = ArrayString<40>;
/// The venue's own id of an order, as text; at most 40 bytes.
pub type VenueOrderId = ArrayString<40>;
/// The venue's id of one fill of ours (I-21: each is applied once); at most 40 bytes.
pub type FillId = ArrayString<40>;

/// Our id of an order, made before it is sent and never used twice (I-02): the installation's tag, the leader epoch
/// (one more at every start of the daemon) and a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientOrderId {
    /// Tag of the installation (home folder); 0 in backtests.
    pub home: u32,
    /// Leader epoch under which the id was made; 0 in backtests.
    pub epoch: u32,
    /// Counts up from 1 within the epoch.
    pub sequence: u32,
}

/// The text is not one of our order ids.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("`{0}` is not a traider order id (trd-<home>-<epoch>-<sequence>)")]
pub struct NotOurs(pub String);

impl fmt::Display for ClientOrderId {
    /// At most 34 characters out of `[a-z0-9-]`, which all venues accept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trd-{:08x}-{}-{}", self.home, self.epoch, self.sequence)
    }
}

impl std::str::FromStr for ClientOrderId {
    type Err = NotOurs;
    fn from_str(text: &str) -> Result<Self, NotOurs> {
        let ours = || {
            let rest = text.strip_prefix("trd-")?;
            let mut parts = rest.split('-');
            let home = parts.next().filter(|p| p.len() == 8)?;
            let id = ClientOrderId {
                home: u32::from_str_radix(home, 16).ok()?,
                epoch: parts.next()?.parse().ok()?,
                sequence: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(id)
        };
        // Only the one canonical spelling is ours, so that text and id are in one-to-one relation.
        ours().filter(|id| id.to_string() == text).ok_or_else(|| NotOurs(text.to_owned()))
    }
}

impl Serialize for ClientOrderId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for ClientOrderId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_survives_a_round_trip_and_strangers_are_refused() {
        let id = ClientOrderId { home: 0xbeef, epoch: u32::MAX, sequence: u32::MAX };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().len() <= 36, "Binance allows 36 characters");
        for stranger in ["", "trd-1-1-1", "web_123", "trd-0000beef-01-1", "trd-0000beef-1", "trd-0000BEEF-1-1"] {
            assert!(stranger.parse::<ClientOrderId>().is_err(), "{stranger}");
        }
    }
}
