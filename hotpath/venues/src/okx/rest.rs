//! Answers over REST: `{"code":"0","msg":"","data":[…]}`; any other code is a no. Levels and candles are read here
//! for the stream too, which writes them the same way.

use crate::wire::{DecodeError, LEVELS_MAX, ms_to_ns, price, public_qty};
use domain::Instrument;
use domain::event::{Bar, BookSnapshot, Level};
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use std::fmt;

#[derive(Deserialize)]
struct Reply<'a> {
    code: String,
    #[serde(default)]
    msg: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The data in an answer.
pub(super) fn data<'a, T: Deserialize<'a>>(answer: &'a str, what: &'static str) -> Result<T, DecodeError> {
    let shape = |cause: String| DecodeError::shape(what, cause, answer);
    let reply: Reply<'a> = serde_json::from_str(answer).map_err(|e| shape(e.to_string()))?;
    if reply.code != "0" {
        return Err(shape(format!("the venue says {} {}", reply.code, reply.msg)));
    }
    let data = reply.data.ok_or_else(|| shape("it has no data".to_owned()))?;
    serde_json::from_str(data.get()).map_err(|e| shape(e.to_string()))
}

/// A level: price, size, and more that has no use (a field that is always 0, and the number of orders).
pub(super) struct Row<'a>(&'a str, &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Row<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Row<'a>, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = Row<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a level: price and size as text")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Row<'de>, A::Error> {
                let short = || de::Error::custom("a level has a price and a size");
                let price = seq.next_element()?.ok_or_else(short)?;
                let size = seq.next_element()?.ok_or_else(short)?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Row(price, size))
            }
        }
        d.deserialize_seq(Rows)
    }
}

pub(super) fn levels(rows: &[Row<'_>], i: &Instrument, what: &'static str) -> Result<Vec<Level>, DecodeError> {
    if rows.len() > LEVELS_MAX {
        return Err(DecodeError::shape(what, format_args!("{} levels on one side", rows.len()), &i.symbol));
    }
    rows.iter().map(|Row(p, q)| Ok(Level { price: price(p, i, what)?, qty: public_qty(q, i, what)? })).collect()
}

/// Milliseconds in text, as ns.
pub(super) fn when(ms: &str, what: &'static str) -> Result<u64, DecodeError> {
    ms.parse().map(ms_to_ns).map_err(|_| DecodeError::shape(what, "its time is no number of milliseconds", ms))
}

#[derive(Deserialize)]
struct Depth<'a> {
    #[serde(borrow)]
    asks: Vec<Row<'a>>,
    #[serde(borrow)]
    bids: Vec<Row<'a>>,
    ts: &'a str,
}

/// The book out of `market/books`. Its id is 0: the stream's ids are the feed's own, so the next change shows a gap.
pub(super) fn book(answer: &str, i: &Instrument) -> Result<BookSnapshot, DecodeError> {
    const WHAT: &str = "OKX book";
    let books: Vec<Depth<'_>> = data(answer, WHAT)?;
    let [book] = books.as_slice() else { return Err(DecodeError::shape(WHAT, "it is not one book", answer)) };
    Ok(BookSnapshot {
        instrument: i.id,
        ts_venue_ns: when(book.ts, WHAT)?,
        last_id: 0,
        bids: levels(&book.bids, i, WHAT)?,
        asks: levels(&book.asks, i, WHAT)?,
        checksum: None,
    })
}

#[derive(Deserialize)]
struct Time<'a> {
    ts: &'a str,
}

/// The time out of `public/time`, ns.
pub(super) fn time(answer: &str) -> Result<u64, DecodeError> {
    const WHAT: &str = "OKX time";
    let times: Vec<Time<'_>> = data(answer, WHAT)?;
    times.first().map_or_else(|| Err(DecodeError::shape(WHAT, "it is empty", answer)), |time| when(time.ts, WHAT))
}

/// The bars out of `market/history-candles`, which has the newest first.
pub(super) fn bars(answer: &str, i: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError> {
    let rows: Vec<Vec<&str>> = data(answer, "OKX candles")?;
    let mut bars = rows.iter().map(|row| bar(row, i, seconds)).collect::<Result<Vec<_>, _>>()?;
    bars.sort_by_key(|bar| bar.open_ns);
    Ok(bars)
}

/// `[begin, open, high, low, close, size, size in currency, size in quote, "1" when finished]`.
pub(super) fn bar(row: &[&str], i: &Instrument, seconds: u32) -> Result<Bar, DecodeError> {
    const WHAT: &str = "OKX candle";
    let [begin, open, high, low, close, volume, _, _, finished, ..] = row else {
        return Err(DecodeError::shape(WHAT, "it has nine parts", &row.join(",")));
    };
    Ok(Bar {
        instrument: i.id,
        seconds,
        open_ns: when(begin, WHAT)?,
        open: price(open, i, WHAT)?,
        high: price(high, i, WHAT)?,
        low: price(low, i, WHAT)?,
        close: price(close, i, WHAT)?,
        volume: public_qty(volume, i, WHAT)?,
        last: *finished == "1",
    })
}
