//! Messages of version 1, for recordings: arrays of channel number, content, channel name and pair. Everything in them
//! is text. A book message that changes both sides has two contents, and the checksum stands in the last.

use super::feed::{Frame, KrakenFeed, gap, name, parse, status};
use super::text::{plain, symbol};
use crate::adapter::Said;
use crate::wire::{DecodeError, LEVELS_MAX, price, public_qty, seconds_ns};
use domain::event::{Bar, BookDelta, BookSnapshot, Level, Quote, Trade};
use domain::{Event, Instrument, Side};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Price, size, time, and more.
type Row<'a> = Vec<&'a str>;

#[derive(Deserialize, Default)]
struct Sides<'a> {
    #[serde(borrow, rename = "as")]
    asks_whole: Option<Vec<Row<'a>>>,
    #[serde(borrow, rename = "bs")]
    bids_whole: Option<Vec<Row<'a>>>,
    #[serde(borrow, default)]
    a: Vec<Row<'a>>,
    #[serde(borrow, default)]
    b: Vec<Row<'a>>,
    #[serde(borrow)]
    c: Option<&'a str>,
}

/// How a recorded book is written.
pub(super) struct Written {
    pub(super) symbol: String,
    pub(super) depth: u16,
    /// Most digits after the point.
    pub(super) price_digits: u8,
    pub(super) qty_digits: u8,
}

/// How the whole book in `frame` is written; `None` when it is anything else.
pub(super) fn written(frame: &str) -> Option<Written> {
    let items: Vec<&RawValue> = serde_json::from_str(frame).ok()?;
    let [_, content, channel, pair] = items.as_slice() else { return None };
    let depth = name(Some(channel))?.strip_prefix("book-")?.parse().ok()?;
    let sides: Sides<'_> = serde_json::from_str(content.get()).ok()?;
    let rows = || sides.asks_whole.iter().chain(&sides.bids_whole).flatten();
    let digits = |at: usize| {
        let after_point = |row: &Row<'_>| row.get(at).and_then(|t| t.split_once('.')).map_or(0, |(_, f)| f.len());
        rows().map(after_point).max().and_then(|n| u8::try_from(n).ok())
    };
    let symbol = symbol(name(Some(pair))?).into_owned();
    Some(Written { symbol, depth, price_digits: digits(0)?, qty_digits: digits(1)? })
}

impl KrakenFeed {
    /// An event that is no array.
    pub(super) fn v1_event(&self, frame: &Frame<'_>) -> Said {
        match (name(frame.event), name(frame.status)) {
            (Some("heartbeat" | "pong"), _) => Said::Alive,
            (Some("systemStatus"), Some(word)) => status(None, word),
            (Some("subscriptionStatus"), Some("error")) => {
                Said::Reply(Some(frame.error_message.map_or("", RawValue::get).trim_matches('"').to_owned()))
            }
            (Some("subscriptionStatus"), Some("subscribed" | "unsubscribed")) => Said::Reply(None),
            (Some(_), _) => Said::Other("event"),
            (None, _) => Said::Other("message"),
        }
    }

    /// A message of version 1.
    pub(super) fn array(&mut self, text: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        const WHAT: &str = "Kraken array";
        let items: Vec<&RawValue> = parse(WHAT, text).inspect_err(|_| self.doubt(text, out))?;
        let [_, contents @ .., channel, pair] = items.as_slice() else {
            out.push(Said::Other("array"));
            return Ok(());
        };
        let (Some(channel), Some(pair), Some(content)) = (name(Some(channel)), name(Some(pair)), contents.first())
        else {
            out.push(Said::Other("array"));
            return Ok(());
        };
        let Some(i) = self.known(pair).cloned() else {
            out.push(Said::Other("symbol"));
            return Ok(());
        };
        let (kind, interval) = channel.split_once('-').unwrap_or((channel, ""));
        match kind {
            "book" => {
                let id = self.count(i.id);
                let event = book(contents, &i, id, text).inspect_err(|_| out.push(gap(&i)))?;
                out.push(Said::Event(event));
            }
            "trade" => trades(content.get(), &i, out)?,
            "ticker" => out.push(Said::Event(ticker(content.get(), &i)?)),
            "spread" => out.push(Said::Event(spread(content.get(), &i)?)),
            "ohlc" => {
                let bar = ohlc(content.get(), interval.parse().unwrap_or(1), &i)?;
                self.bar(bar, out);
            }
            _ => out.push(Said::Other("channel")),
        }
        Ok(())
    }
}

fn book(contents: &[&RawValue], i: &Instrument, id: u64, text: &str) -> Result<Event, DecodeError> {
    const WHAT: &str = "Kraken book";
    let (mut bids, mut asks, mut ts_venue_ns, mut whole, mut checksum) = (Vec::new(), Vec::new(), 0, false, None);
    for content in contents {
        let sides: Sides<'_> = parse(WHAT, content.get())?;
        whole |= sides.asks_whole.is_some() || sides.bids_whole.is_some();
        let whole_sides = (sides.asks_whole.unwrap_or_default(), sides.bids_whole.unwrap_or_default());
        for (rows, side) in
            [(whole_sides.0.iter().chain(&sides.a), &mut asks), (whole_sides.1.iter().chain(&sides.b), &mut bids)]
        {
            for row in rows {
                let (level, ts) = level(row, i, WHAT)?;
                // The message has no time, its levels have.
                ts_venue_ns = ts.max(ts_venue_ns);
                side.push(level);
            }
            if side.len() > LEVELS_MAX {
                return Err(DecodeError::shape(WHAT, "too many levels", text));
            }
        }
        if let Some(sum) = sides.c {
            checksum = Some(sum.parse().map_err(|e| DecodeError::shape(WHAT, e, sum))?);
        }
    }
    let instrument = i.id;
    Ok(if whole {
        Event::BookSnapshot(BookSnapshot { instrument, ts_venue_ns, last_id: id, bids, asks, checksum })
    } else {
        Event::BookDelta(BookDelta { instrument, ts_venue_ns, first_id: id, last_id: id, bids, asks, checksum })
    })
}

/// A level and its time.
fn level(row: &[&str], i: &Instrument, what: &'static str) -> Result<(Level, u64), DecodeError> {
    let [at, size, time, ..] = row else {
        return Err(DecodeError::shape(what, "a level has a price, a size and a time", &row.join(",")));
    };
    let level = Level { price: price(at, i, what)?, qty: public_qty(size, i, what)? };
    Ok((level, when(time, what)?))
}

fn when(text: &str, what: &'static str) -> Result<u64, DecodeError> {
    seconds_ns(text).ok_or_else(|| DecodeError::shape(what, "its time is no number of seconds", text))
}

/// `[price, size, time, "b" or "s", "m" or "l", text]`; version 1 has no trade ids.
fn trades(content: &str, i: &Instrument, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    const WHAT: &str = "Kraken trade";
    for row in parse::<Vec<Row<'_>>>(WHAT, content)? {
        let (Level { price, qty }, ts_venue_ns) = level(&row, i, WHAT)?;
        let aggressor = match row.get(3) {
            Some(&"b") => Side::Buy,
            Some(&"s") => Side::Sell,
            Some(_) | None => {
                out.push(Said::Other("trade side"));
                continue;
            }
        };
        let trade = Trade { instrument: i.id, ts_venue_ns, trade_id: 0, price, qty, aggressor };
        out.push(Said::Event(Event::Trade(trade)));
    }
    Ok(())
}

/// Best prices as `[price, whole lots, lots]`: the size is the last, the middle one is cut to whole units.
#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    a: Vec<&'a RawValue>,
    #[serde(borrow)]
    b: Vec<&'a RawValue>,
}

fn ticker(content: &str, i: &Instrument) -> Result<Event, DecodeError> {
    const WHAT: &str = "Kraken ticker";
    let t: Ticker<'_> = parse(WHAT, content)?;
    let best = |row: &[&RawValue]| {
        let [at, _, size, ..] = row else { return Err(DecodeError::shape(WHAT, "a price has three parts", content)) };
        Ok(Level { price: price(&plain(at.get()), i, WHAT)?, qty: public_qty(&plain(size.get()), i, WHAT)? })
    };
    Ok(Event::Quote(Quote { instrument: i.id, ts_venue_ns: 0, update_id: 0, bid: best(&t.b)?, ask: best(&t.a)? }))
}

/// `[bid, ask, time, bid size, ask size]`.
fn spread(content: &str, i: &Instrument) -> Result<Event, DecodeError> {
    const WHAT: &str = "Kraken spread";
    let row: Row<'_> = parse(WHAT, content)?;
    let [bid, ask, time, bid_size, ask_size, ..] = row.as_slice() else {
        return Err(DecodeError::shape(WHAT, "it has five parts", content));
    };
    let best = |at, size| Ok(Level { price: price(at, i, WHAT)?, qty: public_qty(size, i, WHAT)? });
    let (bid, ask, ts_venue_ns) = (best(bid, bid_size)?, best(ask, ask_size)?, when(time, WHAT)?);
    Ok(Event::Quote(Quote { instrument: i.id, ts_venue_ns, update_id: 0, bid, ask }))
}

/// `[time, end, open, high, low, close, vwap, volume, trades]`, of `minutes`.
fn ohlc(content: &str, minutes: u32, i: &Instrument) -> Result<Bar, DecodeError> {
    const WHAT: &str = "Kraken bar";
    let row: Vec<&RawValue> = parse(WHAT, content)?;
    let [_, end, open, high, low, close, _, volume, ..] = row.as_slice() else {
        return Err(DecodeError::shape(WHAT, "it has nine parts", content));
    };
    let seconds = minutes.saturating_mul(60);
    let end_ns = when(&plain(end.get()), WHAT)?;
    let at = |raw: &RawValue| price(&plain(raw.get()), i, WHAT);
    Ok(Bar {
        instrument: i.id,
        seconds,
        open_ns: end_ns.saturating_sub(u64::from(seconds) * 1_000_000_000),
        open: at(open)?,
        high: at(high)?,
        low: at(low)?,
        close: at(close)?,
        volume: public_qty(&plain(volume.get()), i, WHAT)?,
        last: false,
    })
}
