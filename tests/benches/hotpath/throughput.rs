//! How fast frames become events: whole recorded captures through [`venues::adapter::Adapter::feed`], beside a bare
//! `serde_json` parse of the same bytes into typed structs that borrow, in the same run, rounds taking turns.
//!
//! The bare parse is told beforehand which type each frame has, and leaves numbers in strings as they stand: it does
//! less than any decoder has to.

use super::{ROUNDS, lines};
use domain::instrument::{BookRule, Contract};
use domain::{Instrument, Venue};
use serde::Deserialize;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use venues::adapter::Said;
use venues::wire::SymbolTable;

#[derive(Deserialize)]
struct Frame<'a, T> {
    stream: &'a str,
    data: T,
}

#[derive(Deserialize)]
struct Depth<'a> {
    #[serde(rename = "E")]
    event_ms: u64,
    s: &'a str,
    #[serde(rename = "U")]
    first_id: u64,
    u: u64,
    pu: Option<u64>,
    #[serde(borrow)]
    b: Vec<[&'a str; 2]>,
    #[serde(borrow)]
    a: Vec<[&'a str; 2]>,
}

#[derive(Deserialize)]
struct Trade<'a> {
    s: &'a str,
    t: u64,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    trade_ms: u64,
    m: bool,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    u: u64,
    #[serde(rename = "E")]
    event_ms: Option<u64>,
    s: &'a str,
    b: &'a str,
    #[serde(rename = "B")]
    bid_qty: &'a str,
    a: &'a str,
    #[serde(rename = "A")]
    ask_qty: &'a str,
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(rename = "lastUpdateId")]
    last_id: u64,
    #[serde(borrow)]
    bids: Vec<[&'a str; 2]>,
    #[serde(borrow)]
    asks: Vec<[&'a str; 2]>,
}

#[derive(Clone, Copy)]
enum Kind {
    Depth,
    Trade,
    Ticker,
    Whole,
}

fn kind(text: &str) -> Kind {
    let stream = text.split("\"data\"").next().unwrap_or_default();
    match stream {
        s if s.contains("@depth") => Kind::Depth,
        s if s.contains("@trade") => Kind::Trade,
        s if s.contains("@bookTicker") => Kind::Ticker,
        _ => Kind::Whole,
    }
}

/// Something out of every member, so that none is left out by the compiler.
fn bare(kind: Kind, text: &str) -> serde_json::Result<u64> {
    let levels = |of: &[[&str; 2]]| of.iter().map(|[p, q]| (p.len() + q.len()) as u64).sum::<u64>();
    let text_len = |all: &[&str]| all.iter().map(|s| s.len() as u64).sum::<u64>();
    Ok(match kind {
        Kind::Depth => {
            let Frame { stream, data: d } = serde_json::from_str::<Frame<'_, Depth<'_>>>(text)?;
            let ids = d.event_ms ^ d.first_id ^ d.u ^ d.pu.unwrap_or(0);
            ids ^ text_len(&[stream, d.s]) ^ levels(&d.b) ^ levels(&d.a)
        }
        Kind::Trade => {
            let Frame { stream, data: d } = serde_json::from_str::<Frame<'_, Trade<'_>>>(text)?;
            d.t ^ d.trade_ms ^ u64::from(d.m) ^ text_len(&[stream, d.s, d.p, d.q])
        }
        Kind::Ticker => {
            let Frame { stream, data: d } = serde_json::from_str::<Frame<'_, Ticker<'_>>>(text)?;
            d.u ^ d.event_ms.unwrap_or(0) ^ text_len(&[stream, d.s, d.b, d.bid_qty, d.a, d.ask_qty])
        }
        Kind::Whole => {
            let d: Whole<'_> = serde_json::from_str(text)?;
            d.last_id ^ levels(&d.bids) ^ levels(&d.asks)
        }
    })
}

/// A capture's file, venue, symbol, tick and lot.
const CAPTURES: [(&str, Venue, &str, &str, &str); 3] = [
    ("spot_btcusdt_20240808", venues::binance::Market::Spot.venue(), "BTCUSDT", "0.01", "0.00001"),
    ("usdm_btcusdt_20240808", venues::binance::Market::UsdM.venue(), "BTCUSDT", "0.1", "0.001"),
    ("cm_btcusd_perp_20240808", venues::binance::Market::CoinM.venue(), "BTCUSD_PERP", "0.1", "1"),
];

fn instrument(venue: Venue, symbol: &str, tick: &str, lot: &str) -> Instrument {
    Instrument {
        venue,
        symbol: symbol.parse().expect("short"),
        tick: domain::Increment::parse(tick).expect("a step"),
        lot: domain::Increment::parse(lot).expect("a step"),
        contract: Contract::Spot,
        trade: false,
        book: BookRule::ASKED,
        ..super::instrument()
    }
}

/// Prints the table; says so where a capture is absent.
pub(super) fn bench() {
    println!(
        "{:<34} {:>8} {:>7} {:>23} {:>23} {:>6}",
        "decode and normalise", "messages", "MB", "bare serde_json", "Adapter::feed", "ratio"
    );
    let mut total = Row::default();
    for (file, venue, symbol, tick, lot) in CAPTURES {
        let Some(path) = recorded::find("bench", &format!("l2/binance_raw/{file}.gz")) else { continue };
        let row = measure(&lines(&path), instrument(venue, symbol, tick, lot));
        row.print(file);
        total.add(&row);
    }
    total.print("all");
}

#[derive(Default)]
struct Row {
    messages: usize,
    bytes: usize,
    bare: Duration,
    ours: Duration,
}

impl Row {
    fn add(&mut self, other: &Row) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.bare += other.bare;
        self.ours += other.ours;
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn print(&self, name: &str) {
        let (messages, mb) = (self.messages as f64, self.bytes as f64 / 1e6);
        let rate = |took: Duration| {
            let s = took.as_secs_f64().max(1e-9);
            format!("{:.0} MB/s {:.2} M/s", mb / s, messages / s / 1e6)
        };
        let ratio = self.ours.as_secs_f64() / self.bare.as_secs_f64().max(1e-9);
        println!(
            "{name:<34} {:>8} {mb:>7.1} {:>23} {:>23} {ratio:>6.2}",
            self.messages,
            rate(self.bare),
            rate(self.ours)
        );
    }
}

/// The median round of each.
fn measure(frames: &[(u64, String)], instrument: Instrument) -> Row {
    let adapter = venues::adapter::adapter(instrument.venue).expect("a venue of ours");
    let table = Arc::new(SymbolTable::new([instrument]));
    let kinds: Vec<Kind> = frames.iter().map(|(_, text)| kind(text)).collect();
    let (mut bare_took, mut ours_took) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for ((_, text), kind) in frames.iter().zip(&kinds) {
            black_box(bare(*kind, text).expect("a recorded frame"));
        }
        bare_took.push(start.elapsed());
        let (mut feed, mut out, mut events) = (adapter.feed(Arc::clone(&table)), Vec::new(), 0);
        let start = Instant::now();
        for (_, text) in frames {
            feed.frame(text, &mut out).expect("a recorded frame");
            events += out.iter().filter(|said| matches!(said, Said::Event(_) | Said::RecordedBook(_))).count();
            black_box(&out);
            out.clear();
        }
        ours_took.push(start.elapsed());
        assert_eq!(events, frames.len(), "every frame is an event or a whole book");
    }
    bare_took.sort_unstable();
    ours_took.sort_unstable();
    let bytes = frames.iter().map(|(_, text)| text.len()).sum();
    Row { messages: frames.len(), bytes, bare: bare_took[ROUNDS / 2], ours: ours_took[ROUNDS / 2] }
}
