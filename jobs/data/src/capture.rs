//! Looks through a whole capture without trading rules: what is in it, what is missing, and how fine its numbers are.
//! Numbers stay text until the steps are known, so a finer tick than expected is seen, not refused.

use crate::DataError;
use serde::Deserialize;
use sim::rules::Steps;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use venues::capture::{Capture, CaptureError};

/// What one symbol shows.
#[derive(Clone, Debug, Default)]
pub struct Symbol {
    /// Depth updates.
    pub depth: u64,
    /// Trades.
    pub trades: u64,
    /// Best bid and ask updates.
    pub quotes: u64,
    /// Places where a depth update does not follow the one before.
    pub sequence_breaks: u64,
    /// Places where a trade id is not one more than the one before.
    pub trade_gaps: u64,
    /// How fine its numbers are.
    pub steps: Steps,
    last_depth_id: Option<u64>,
    last_trade_id: Option<u64>,
}

/// What a capture shows.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Whole lines, up to the first that is damaged.
    pub lines: u64,
    /// Smallest and largest receive time, ns.
    pub span_ns: Option<(u64, u64)>,
    /// Lines received before the line above them.
    pub out_of_order: u64,
    /// By symbol, upper case.
    pub symbols: BTreeMap<String, Symbol>,
    /// Line numbers of snapshots.
    pub snapshots: Vec<u64>,
    /// Messages of no known kind.
    pub other: u64,
    /// Receive time less the venue's event time, ms, of every message that states one, sorted.
    pub offsets_ms: Vec<i64>,
    /// Where and how it ends too early, if it does.
    pub truncated: Option<String>,
    /// What is wrong with it, if anything: that end, or a line that is not what a capture's line is. Nothing after it
    /// was looked at.
    pub damage: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(rename = "lastUpdateId")]
    last_update_id: Option<u64>,
}

/// Members of all stream messages together; names differ by case only.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "E")]
    event_ms: Option<i64>,
    #[serde(borrow)]
    s: Option<Cow<'a, str>>,
    #[serde(rename = "U")]
    first_id: Option<u64>,
    u: Option<u64>,
    t: Option<u64>,
    #[serde(borrow)]
    p: Option<Cow<'a, str>>,
    #[serde(borrow)]
    q: Option<Cow<'a, str>>,
    #[serde(borrow)]
    b: Option<Side<'a>>,
    #[serde(borrow)]
    a: Option<Side<'a>>,
    #[serde(borrow, rename = "B")]
    bid_qty: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "A")]
    ask_qty: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Side<'a> {
    #[serde(borrow)]
    Levels(Vec<[Cow<'a, str>; 2]>),
    #[serde(borrow)]
    Price(Cow<'a, str>),
    Other(serde::de::IgnoredAny),
}

/// Reads the whole capture, up to its first damage, which is reported in [`Scan::damage`], not as an error.
///
/// # Errors
/// [`DataError`] when it cannot be opened or is no gzip.
pub fn scan(path: &Path) -> Result<Scan, DataError> {
    let mut capture = Capture::open(path)?;
    let mut scan = Scan::default();
    let mut last_ns = 0;
    loop {
        let line = capture.lines() + 1;
        let (ts_ns, text) = match capture.next_line() {
            Ok(Some(next)) => next,
            Ok(None) => break,
            Err(e) => {
                scan.truncated = matches!(e, CaptureError::Truncated { .. }).then(|| e.to_string());
                scan.damage = Some(e.to_string());
                break;
            }
        };
        let message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(e) => {
                scan.damage = Some(DataError::Line { line, what: e.to_string() }.to_string());
                break;
            }
        };
        let (first, last) = scan.span_ns.unwrap_or((ts_ns, ts_ns));
        scan.span_ns = Some((first.min(ts_ns), last.max(ts_ns)));
        scan.out_of_order += u64::from(ts_ns < last_ns);
        last_ns = ts_ns;
        scan.take(line, ts_ns, &message);
    }
    scan.lines = capture.lines();
    scan.offsets_ms.sort_unstable();
    Ok(scan)
}

impl Scan {
    fn take(&mut self, line: u64, ts_ns: u64, message: &Envelope<'_>) {
        let (stream, data) = match (&message.stream, &message.data) {
            (Some(stream), Some(data)) => (stream, data),
            _ if message.last_update_id.is_some() => return self.snapshots.push(line),
            _ => return self.other += 1,
        };
        let (name, kind) = stream.split_once('@').unwrap_or((stream, ""));
        if let Some(event_ms) = data.event_ms {
            let recv_ms = i64::try_from(ts_ns / 1_000_000).unwrap_or(i64::MAX);
            self.offsets_ms.push(recv_ms.saturating_sub(event_ms));
        }
        let name = data.s.as_deref().map_or_else(|| name.to_uppercase(), str::to_owned);
        let known = kind == "depth" || kind.starts_with("depth@") || kind == "trade" || kind == "bookTicker";
        if !known {
            return self.other += 1;
        }
        let symbol = self.symbols.entry(name).or_default();
        see_all(&mut symbol.steps, data);
        match kind {
            "trade" => {
                symbol.trades += 1;
                let gap = |last: u64| data.t != Some(last + 1);
                symbol.trade_gaps += u64::from(symbol.last_trade_id.is_some_and(gap));
                symbol.last_trade_id = data.t;
            }
            "bookTicker" => symbol.quotes += 1,
            _ => {
                symbol.depth += 1;
                let breaks = |last: u64| data.first_id != Some(last + 1);
                symbol.sequence_breaks += u64::from(symbol.last_depth_id.is_some_and(breaks));
                symbol.last_depth_id = data.u;
            }
        }
    }
}

fn see_all(steps: &mut Steps, data: &Data<'_>) {
    if let Some(price) = &data.p {
        steps.see_price(price);
    }
    [&data.q, &data.bid_qty, &data.ask_qty].into_iter().flatten().for_each(|qty| steps.see_qty(qty));
    for side in [&data.b, &data.a].into_iter().flatten() {
        match side {
            Side::Levels(levels) => levels.iter().for_each(|[price, qty]| steps.see(price, qty)),
            Side::Price(price) => steps.see_price(price),
            Side::Other(_) => {}
        }
    }
}
