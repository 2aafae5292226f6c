//! The synthetic market as a source: [`sim::market`] in the words of Binance's streams. Made up, and named so.

use super::{Item, ItemKind, Listed, Message, Opened, SourceError};
use crate::text::fixed;
use axum::extract::ws::Utf8Bytes;
use domain::event::Level;
use domain::{Event, Instrument, InstrumentId, Lots, Side, Ticks};
use sim::market::{MarketConfig, STEP_NS, SyntheticMarket};
use sim::rules::{self, Steps};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

const NS_PER_MS: u64 = 1_000_000;
/// Items made ahead of the emitter: a few seconds of a busy market.
const AHEAD: usize = 512;

/// Symbols there is a synthetic market for: price at the start, usual size at the top, smallest trade, in text.
const MARKETS: [(&str, &str, &str, &str); 4] = [
    ("BTCUSDT", "60000", "2", "0.0015"),
    ("ETHUSDT", "2600", "30", "0.03"),
    ("BNBUSDT", "580", "80", "0.1"),
    ("SOLUSDT", "150", "300", "0.4"),
];

struct Streams {
    depth: Arc<str>,
    trade: Arc<str>,
    ticker: Arc<str>,
}

struct Market {
    market: SyntheticMarket,
    instrument: Instrument,
    streams: Streams,
}

fn market(index: usize, symbol: &str, seed: u64, start_ns: u64) -> Result<Market, SourceError> {
    let unknown = || SourceError::Symbol { symbol: symbol.to_owned(), has: MARKETS.map(|(name, ..)| name).join(", ") };
    let id = InstrumentId(u16::try_from(index).map_err(|_| unknown())?);
    let (_, price, top, trade) = MARKETS.iter().find(|(name, ..)| *name == symbol).ok_or_else(unknown)?;
    let instrument = rules::instrument(id, symbol, &Steps::default()).map_err(|_| unknown())?;
    let lots = |text: &str| instrument.lot.count(text).ok().and_then(|n| u64::try_from(n).ok()).map(Lots::new);
    let config = MarketConfig {
        instrument: id,
        // Each symbol its own sequence out of the one seed.
        seed: seed ^ (u64::from(id.0) << 48),
        start_ns,
        price: instrument.tick.count(price).map(Ticks::new).map_err(|_| unknown())?,
        top_qty: lots(top).ok_or_else(unknown)?,
        trade_qty_min: lots(trade).ok_or_else(unknown)?,
    };
    let lower = symbol.to_lowercase();
    let stream = |kind: &str| Arc::from(format!("{lower}@{kind}"));
    let streams = Streams { depth: stream("depth@100ms"), trade: stream("trade"), ticker: stream("bookTicker") };
    Ok(Market { market: SyntheticMarket::new(config), instrument, streams })
}

/// Starts making the market of `seed` for `symbols` (`BTCUSDT` if none are named), from now on.
///
/// # Errors
/// [`SourceError::Symbol`] for a symbol there is no market for.
pub fn open(seed: u64, symbols: &[String], seconds: Option<u64>, free_running: bool) -> Result<Opened, SourceError> {
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let first_ns = u64::try_from(now_ns).unwrap_or(0);
    let default = ["BTCUSDT".to_owned()];
    let symbols = if symbols.is_empty() { &default } else { symbols };
    let mut markets = symbols
        .iter()
        .enumerate()
        .map(|(index, symbol)| market(index, symbol, seed, first_ns))
        .collect::<Result<Vec<_>, _>>()?;
    let listed = markets
        .iter()
        .map(|m| Listed { instrument: m.instrument.clone(), snapshot: m.market.snapshot(), recorded: None })
        .collect();
    let (tx, items) = mpsc::channel(AHEAD);
    let steps = seconds.map(|s| s * 1_000_000_000 / STEP_NS);
    std::thread::Builder::new()
        .name("synthetic-market".to_owned())
        .spawn(move || make(&mut markets, steps, &tx))
        .map_err(|source| SourceError::Open { path: "synthetic".into(), source })?;
    Ok(Opened { symbols: listed, first_ns, items, free_running })
}

/// Everything the BTCUSDT market of `seed` sends in its first `seconds`, with receive times: input for benches. Starts
/// at a fixed time, so that the same seed gives the same bytes.
///
/// # Panics
/// Never: there is a market for BTCUSDT.
pub fn texts(seed: u64, seconds: u64) -> Vec<(u64, String)> {
    const START_NS: u64 = 1_700_000_000_000_000_000;
    let mut m = market(0, "BTCUSDT", seed, START_NS).expect("BTCUSDT is in the table");
    let mut events = Vec::new();
    for _ in 0..seconds * 1_000_000_000 / STEP_NS {
        m.market.step(&mut events);
    }
    let text = |(ts_ns, event)| message(&m, ts_ns, event).map(|message| (ts_ns, message.text.to_string()));
    events.into_iter().filter_map(text).collect()
}

fn make(markets: &mut [Market], steps: Option<u64>, tx: &mpsc::Sender<Item>) {
    let (mut events, mut items) = (Vec::new(), Vec::new());
    let mut done = 0;
    while steps.is_none_or(|steps| done < steps) {
        for m in &mut *markets {
            m.market.step(&mut events);
            for (ts_ns, event) in events.drain(..) {
                if let Some(message) = message(m, ts_ns, event) {
                    items.push(Item { ts_ns, kind: ItemKind::Message(message) });
                }
            }
        }
        // Stable: symbols keep their order at one instant.
        items.sort_by_key(|item| item.ts_ns);
        for item in items.drain(..) {
            if tx.blocking_send(item).is_err() {
                return;
            }
        }
        done += 1;
    }
}

/// The event as the venue would write it.
fn message(m: &Market, ts_ns: u64, event: Event) -> Option<Message> {
    let i = &m.instrument;
    let (symbol, ms) = (&i.symbol, ts_ns / NS_PER_MS);
    let (stream, data) = match &event {
        Event::BookDelta(d) => {
            let (bids, asks) = (pairs(i, &d.bids), pairs(i, &d.asks));
            let (first, last) = (d.first_id, d.last_id);
            let head = format!(r#"{{"e":"depthUpdate","E":{ms},"s":"{symbol}","U":{first},"u":{last}"#);
            (&m.streams.depth, format!(r#"{head},"b":{bids},"a":{asks}}}"#))
        }
        Event::Trade(t) => {
            let (p, q, id) = (fixed(i.price(t.price)), fixed(i.qty(t.qty)), t.trade_id);
            let (trade_ms, maker) = (t.ts_venue_ns / NS_PER_MS, t.aggressor == Side::Sell);
            let head = format!(r#"{{"e":"trade","E":{ms},"s":"{symbol}","t":{id},"p":"{p}","q":"{q}""#);
            (&m.streams.trade, format!(r#"{head},"T":{trade_ms},"m":{maker},"M":true}}"#))
        }
        Event::Quote(q) => {
            let text = |l: Level| (fixed(i.price(l.price)), fixed(i.qty(l.qty)));
            let ((b, bq), (a, aq)) = (text(q.bid), text(q.ask));
            let id = q.update_id;
            (&m.streams.ticker, format!(r#"{{"u":{id},"s":"{symbol}","b":"{b}","B":"{bq}","a":"{a}","A":"{aq}"}}"#))
        }
        _ => return None,
    };
    let head = format!(r#"{{"stream":"{stream}","data":"#);
    let data_range = head.len()..head.len() + data.len();
    let text = Utf8Bytes::from(format!("{head}{data}}}"));
    Some(Message { stream: stream.clone(), text, data: data_range, event })
}

fn pairs(i: &Instrument, levels: &[Level]) -> String {
    let mut text = String::from("[");
    for l in levels {
        let comma = if text.len() > 1 { "," } else { "" };
        let (p, q) = (fixed(i.price(l.price)), fixed(i.qty(l.qty)));
        write!(text, r#"{comma}["{p}","{q}"]"#).expect("writing to a String does not fail");
    }
    text.push(']');
    text
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
        let mut m = market(0, "ETHUSDT", 9, 1_700_000_000_000_000_000).unwrap();
        let mut events = Vec::new();
        for _ in 0..50 {
            m.market.step(&mut events);
        }
        assert!(events.len() > 100);
        for (ts_ns, event) in events {
            let message = message(&m, ts_ns, event.clone()).unwrap();
            let envelope: Envelope<'_> = serde_json::from_str(message.text.as_str()).unwrap();
            let data = envelope.data.unwrap();
            assert_eq!(data.get(), &message.text.as_str()[message.data.clone()]);
            let body = decode::body(envelope.stream.unwrap(), data).unwrap();
            assert_eq!(decode::event(&m.instrument, &body).unwrap(), event);
        }
    }
}
