//! Looks through a whole capture without trading rules: what is in it and how fine its numbers are. Numbers stay text
//! until the steps are known, so a finer tick than expected is seen, not refused.

use crate::DataError;
use serde::Deserialize;
use sim::rules::Steps;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use venues::capture::Capture;

/// What one symbol shows.
#[derive(Clone, Debug, Default)]
pub struct Symbol {
    /// Trades.
    pub trades: u64,
    /// How fine its numbers are.
    pub steps: Steps,
}

/// What a capture shows.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Smallest and largest receive time, ns.
    pub span_ns: Option<(u64, u64)>,
    /// By symbol, upper case.
    pub symbols: BTreeMap<String, Symbol>,
    /// What is wrong with it, if anything: an end in the middle, or a line that is not what a capture's line is. Nothing after it
    /// was looked at.
    pub damage: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

/// Members of all stream messages together; names differ by case only.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    s: Option<Cow<'a, str>>,
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
    loop {
        let line = capture.lines() + 1;
        let (ts_ns, text) = match capture.next_line() {
            Ok(Some(next)) => next,
            Ok(None) => break,
            Err(e) => {
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
        scan.take(&message);
    }
    Ok(scan)
}

impl Scan {
    fn take(&mut self, message: &Envelope<'_>) {
        let (Some(stream), Some(data)) = (&message.stream, &message.data) else { return };
        let (name, kind) = stream.split_once('@').unwrap_or((stream, ""));
        if kind == "depth" || kind.starts_with("depth@") || kind == "trade" || kind == "bookTicker" {
            let name = data.s.as_deref().map_or_else(|| name.to_uppercase(), str::to_owned);
            let symbol = self.symbols.entry(name).or_default();
            symbol.trades += u64::from(kind == "trade");
            see_all(&mut symbol.steps, data);
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
