//! The synthetic market as a source: [`sim::market`], for the dialect to put in words. Made up, and named so.

use super::{Item, ItemKind, Listed, Message, Opened, SourceError};
use crate::dialect::binance::{Binance, encode};
use crate::dialect::{Dialect, market};
use domain::{Instrument, InstrumentId};
use sim::market::{MarketConfig, STEP_NS, SyntheticMarket};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Items made ahead of the emitter: a few seconds of a busy market.
const AHEAD: usize = 512;

struct Market {
    market: SyntheticMarket,
    instrument: Instrument,
}

fn market(dialect: &dyn Dialect, index: usize, symbol: &str, seed: u64, start_ns: u64) -> Result<Market, SourceError> {
    let offers = dialect.markets();
    let unknown = || SourceError::Symbol { symbol: symbol.to_owned(), has: market::names(offers) };
    let id = InstrumentId(u16::try_from(index).map_err(|_| unknown())?);
    let offer = offers.iter().find(|o| o.symbol == symbol).ok_or_else(unknown)?;
    let instrument = dialect.instrument(id, offer).ok_or_else(unknown)?;
    let (price, top_qty, trade_qty_min) = offer.numbers(&instrument).ok_or_else(unknown)?;
    let config = MarketConfig {
        instrument: id,
        // Each symbol its own sequence out of the one seed.
        seed: seed ^ (u64::from(id.0) << 48),
        start_ns,
        price,
        top_qty,
        trade_qty_min,
    };
    Ok(Market { market: SyntheticMarket::new(config), instrument })
}

/// Starts making the market of `seed` for `symbols` (the dialect's first if none are named), from now on.
///
/// # Errors
/// [`SourceError::Symbol`] for a symbol there is no market for.
pub fn open(
    dialect: &dyn Dialect,
    seed: u64,
    symbols: &[String],
    seconds: Option<u64>,
    free_running: bool,
) -> Result<Opened, SourceError> {
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let first_ns = u64::try_from(now_ns).unwrap_or(0);
    let (mut markets, listed) = markets(dialect, seed, symbols, first_ns)?;
    let (tx, items) = mpsc::channel(AHEAD);
    let steps = seconds.map(|s| s * 1_000_000_000 / STEP_NS);
    std::thread::Builder::new()
        .name("synthetic-market".to_owned())
        .spawn(move || make(&mut markets, steps, |item| tx.blocking_send(item).is_ok()))
        .map_err(|source| SourceError::Open { path: "synthetic".into(), source })?;
    Ok(Opened { symbols: listed, first_ns, items, free_running })
}

type Markets = (Vec<Market>, Vec<Listed>);

fn markets(dialect: &dyn Dialect, seed: u64, symbols: &[String], first_ns: u64) -> Result<Markets, SourceError> {
    let default: Vec<String> = dialect.markets().iter().take(1).map(|o| o.symbol.to_owned()).collect();
    let symbols = if symbols.is_empty() { &default } else { symbols };
    let markets = symbols
        .iter()
        .enumerate()
        .map(|(index, symbol)| market(dialect, index, symbol, seed, first_ns))
        .collect::<Result<Vec<_>, _>>()?;
    let listed = markets
        .iter()
        .map(|m| Listed { instrument: m.instrument.clone(), snapshot: m.market.snapshot(), recorded: None })
        .collect();
    Ok((markets, listed))
}

/// The same market made by a task of the runtime, with a fixed beginning: the same arguments give the same market, and a
/// runtime whose time is simulated knows of all that happens.
///
/// # Errors
/// As [`open`].
pub fn within(
    dialect: &dyn Dialect,
    seed: u64,
    symbols: &[String],
    seconds: Option<u64>,
) -> Result<Opened, SourceError> {
    let (mut markets, symbols) = markets(dialect, seed, symbols, START_NS)?;
    let (tx, items) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut left = seconds.map(|s| s * 1_000_000_000 / STEP_NS);
        while left != Some(0) {
            left = left.map(|n| n - 1);
            let mut step = Vec::new();
            make(&mut markets, Some(1), |item| {
                step.push(item);
                true
            });
            for item in step {
                if tx.send(item).await.is_err() {
                    return;
                }
            }
        }
    });
    Ok(Opened { symbols, first_ns: START_NS, items, free_running: true })
}

/// Where a market that is to be the same each time begins, ns since 1970.
const START_NS: u64 = 1_700_000_000_000_000_000;

/// Everything the BTCUSDT market of `seed` sends in its first `seconds` at Binance, with receive times: input for
/// benches. Starts at a fixed time, so that the same seed gives the same bytes.
///
/// # Panics
/// Never: there is a market for BTCUSDT.
pub fn texts(seed: u64, seconds: u64) -> Vec<(u64, String)> {
    let mut m = market(&Binance, 0, "BTCUSDT", seed, START_NS).expect("BTCUSDT is in the table");
    let mut events = Vec::new();
    for _ in 0..seconds * 1_000_000_000 / STEP_NS {
        m.market.step(&mut events);
    }
    let text = |(ts_ns, event)| encode::wire(&m.instrument, ts_ns, 0, &event).map(|w| (ts_ns, w.text.to_string()));
    events.into_iter().filter_map(text).collect()
}

fn make(markets: &mut [Market], steps: Option<u64>, mut take: impl FnMut(Item) -> bool) {
    let (mut events, mut items) = (Vec::new(), Vec::new());
    let mut done = 0;
    while steps.is_none_or(|steps| done < steps) {
        for m in &mut *markets {
            m.market.step(&mut events);
            for (ts_ns, event) in events.drain(..) {
                items.push(Item { ts_ns, kind: ItemKind::Message(Message { event, wire: None }) });
            }
        }
        // Stable: symbols keep their order at one instant.
        items.sort_by_key(|item| item.ts_ns);
        for item in items.drain(..) {
            if !take(item) {
                return;
            }
        }
        done += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::{self, Envelope};
    use super::*;

    #[test]
    fn one_seed_writes_the_same_bytes() {
        let once = texts(5, 20);
        assert_eq!(once, texts(5, 20));
        assert!(once.windows(2).all(|w| w[0].0 <= w[1].0) && once.len() > 200);
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_event() {
        let mut m = market(&Binance, 0, "ETHUSDT", 9, 1_700_000_000_000_000_000).unwrap();
        let mut events = Vec::new();
        for _ in 0..50 {
            m.market.step(&mut events);
        }
        assert!(events.len() > 100);
        for (ts_ns, event) in events {
            let message = encode::wire(&m.instrument, ts_ns, 0, &event).unwrap();
            let envelope: Envelope<'_> = serde_json::from_str(message.text.as_str()).unwrap();
            let data = envelope.data.unwrap();
            assert_eq!(data.get(), &message.text.as_str()[message.data.clone()]);
            let body = decode::body(envelope.stream.unwrap(), data).unwrap();
            assert_eq!(decode::event(&m.instrument, &body).unwrap(), event);
        }
    }
}
