//! Answers over REST: `{"error":[],"result":{…}}` with status 200 even when the answer is no. An error that begins
//! with `E` is one; one that begins with `W` is a warning and comes with a result.

use super::text::plain;
use crate::wire::{DecodeError, LEVELS_MAX, price, public_qty};
use domain::Instrument;
use domain::event::{Bar, BookSnapshot, Level};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

const NS: u64 = 1_000_000_000;

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    error: Vec<String>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// The result in an answer.
pub(super) fn result<'a, T: Deserialize<'a>>(answer: &'a str, what: &'static str) -> Result<T, DecodeError> {
    let shape = |cause: String| DecodeError::shape(what, cause, answer);
    let reply: Reply<'a> = serde_json::from_str(answer).map_err(|e| shape(e.to_string()))?;
    if let Some(error) = reply.error.iter().find(|e| !e.starts_with('W')) {
        return Err(shape(format!("the venue says {error}")));
    }
    let result = reply.result.ok_or_else(|| shape("it has no result".to_owned()))?;
    serde_json::from_str(result.get()).map_err(|e| shape(e.to_string()))
}

#[derive(Deserialize)]
struct Depth<'a> {
    #[serde(borrow)]
    bids: Vec<(&'a str, &'a str, IgnoredAny)>,
    #[serde(borrow)]
    asks: Vec<(&'a str, &'a str, IgnoredAny)>,
}

/// The book out of `Depth`. Its id is 0: nothing ties it to the stream, so the next change there shows a gap.
pub(super) fn book(answer: &str, i: &Instrument) -> Result<BookSnapshot, DecodeError> {
    const WHAT: &str = "Kraken depth";
    // The key is the venue's own name of the pair, whatever was asked for.
    let pairs: BTreeMap<String, Depth<'_>> = result(answer, WHAT)?;
    let mut pairs = pairs.into_values();
    let (Some(depth), None) = (pairs.next(), pairs.next()) else {
        return Err(DecodeError::shape(WHAT, "it is not about one pair", answer));
    };
    let side = |rows: &[(&str, &str, IgnoredAny)]| {
        if rows.len() > LEVELS_MAX {
            return Err(DecodeError::shape(WHAT, "too many levels", answer));
        }
        rows.iter().map(|(p, q, _)| Ok(Level { price: price(p, i, WHAT)?, qty: public_qty(q, i, WHAT)? })).collect()
    };
    Ok(BookSnapshot {
        instrument: i.id,
        ts_venue_ns: 0,
        last_id: 0,
        bids: side(&depth.bids)?,
        asks: side(&depth.asks)?,
        checksum: None,
    })
}

#[derive(Deserialize)]
struct Time {
    unixtime: u64,
}

/// The time out of `Time`, ns.
pub(super) fn time(answer: &str) -> Result<u64, DecodeError> {
    let time: Time = result(answer, "Kraken time")?;
    Ok(time.unixtime.saturating_mul(NS))
}

type Row<'a> = Vec<&'a RawValue>;

/// The bars out of `OHLC`. `last` there is the begin of the newest finished one; what begins later may still change.
pub(super) fn bars(answer: &str, i: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError> {
    const WHAT: &str = "Kraken bars";
    let shape = |cause: String| DecodeError::shape(WHAT, cause, answer);
    let members: BTreeMap<String, &RawValue> = result(answer, WHAT)?;
    let last: u64 = match members.get("last") {
        Some(raw) => serde_json::from_str(raw.get()).map_err(|e| shape(e.to_string()))?,
        None => return Err(shape("it does not say which bar is the last finished one".to_owned())),
    };
    let rows = members.iter().find(|(key, _)| *key != "last").map(|(_, rows)| rows.get());
    let rows = rows.ok_or_else(|| shape("it has no pair".to_owned()))?;
    let rows: Vec<Row<'_>> = serde_json::from_str(rows).map_err(|e| shape(e.to_string()))?;
    let bar = |row: &Row<'_>| {
        let [time, open, high, low, close, _vwap, volume, ..] = row.as_slice() else {
            return Err(shape("a bar has at least 7 fields".to_owned()));
        };
        let begin: u64 = time.get().parse().map_err(|_| shape(format!("a bar begins at {time}")))?;
        let at = |raw: &RawValue| price(&plain(raw.get()), i, WHAT);
        Ok(Bar {
            instrument: i.id,
            seconds,
            open_ns: begin.saturating_mul(NS),
            open: at(open)?,
            high: at(high)?,
            low: at(low)?,
            close: at(close)?,
            volume: public_qty(&plain(volume.get()), i, WHAT)?,
            last: begin <= last,
        })
    };
    let mut bars = rows.iter().map(bar).collect::<Result<Vec<Bar>, _>>()?;
    bars.sort_by_key(|bar| bar.open_ns);
    Ok(bars)
}
