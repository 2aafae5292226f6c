//! Reads the frames of one connection; what a book's ids mean is in [`super::chain`].

use super::chain::{Chain, Link};
use super::rest::{Row, bar, levels, when};
use crate::adapter::{Feed, Said};
use crate::wire::{DecodeError, SymbolTable, price, public_qty};
use domain::event::{BookDelta, BookSnapshot, Level, Quote, Trade, note};
use domain::{Event, Instrument, InstrumentId, Side};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

const BOOK: &str = "OKX book";
const UNREAD: &str = "a message could not be read";

/// What has to be remembered of one connection.
pub(super) struct OkxFeed {
    table: Arc<SymbolTable>,
    chains: BTreeMap<InstrumentId, Chain>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    arg: Option<Arg<'a>>,
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arg<'a> {
    #[serde(borrow)]
    channel: &'a str,
    #[serde(borrow)]
    inst_id: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBook<'a> {
    #[serde(borrow)]
    asks: Vec<Row<'a>>,
    #[serde(borrow)]
    bids: Vec<Row<'a>>,
    ts: &'a str,
    checksum: Option<i32>,
    seq_id: Option<u64>,
    /// -1 in a whole book.
    prev_seq_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTrade<'a> {
    trade_id: &'a str,
    px: &'a str,
    sz: &'a str,
    /// The taker's.
    side: &'a str,
    ts: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTicker<'a> {
    bid_px: &'a str,
    bid_sz: &'a str,
    ask_px: &'a str,
    ask_sz: &'a str,
    ts: &'a str,
}

#[derive(Deserialize)]
struct RawBest<'a> {
    #[serde(borrow)]
    asks: Vec<Row<'a>>,
    #[serde(borrow)]
    bids: Vec<Row<'a>>,
    ts: &'a str,
}

fn parse<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|e| DecodeError::shape(what, e, text))
}

fn name(raw: Option<&RawValue>) -> Option<&str> {
    raw?.get().strip_prefix('"')?.strip_suffix('"')
}

impl Feed for OkxFeed {
    fn frame(&mut self, text: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        if text == "pong" {
            out.push(Said::Alive);
            return Ok(());
        }
        let frame: Frame<'_> = parse("OKX frame", text).inspect_err(|_| self.doubt(text, out))?;
        if frame.event.is_some() {
            out.push(event(&frame));
            return Ok(());
        }
        let (Some(arg), Some(data)) = (frame.arg, frame.data.map(RawValue::get)) else {
            out.push(Said::Other("message"));
            return Ok(());
        };
        let table = Arc::clone(&self.table);
        let Some(i) = arg.inst_id.and_then(|symbol| table.get(symbol)) else {
            out.push(Said::Other("symbol"));
            return Ok(());
        };
        match (arg.channel, name(frame.action)) {
            ("books" | "books-l2-tbt" | "books50-l2-tbt", Some("snapshot")) => self.books(true, data, i, out),
            ("books" | "books-l2-tbt" | "books50-l2-tbt", Some("update")) => self.books(false, data, i, out),
            ("books" | "books-l2-tbt" | "books50-l2-tbt", _) => {
                out.push(Said::Other("book action"));
                Ok(())
            }
            ("trades", _) => trades(data, i, out),
            ("bbo-tbt", _) => best(data, i, out),
            ("tickers", _) => ticker(data, i, out),
            (channel, _) => match channel.strip_prefix("candle").and_then(seconds) {
                Some(seconds) => candles(data, i, seconds, out),
                None => {
                    out.push(Said::Other("channel"));
                    Ok(())
                }
            },
        }
    }
}

fn event(frame: &Frame<'_>) -> Said {
    let complaint = || {
        let (code, msg) = (name(frame.code).unwrap_or(""), name(frame.msg).unwrap_or(""));
        Said::Reply(Some(format!("{code} {msg}").trim().to_owned()))
    };
    match name(frame.event) {
        Some("subscribe" | "unsubscribe") => Said::Reply(None),
        Some("error" | "channel-conn-count-error") => complaint(),
        // The service is about to be upgraded.
        Some("notice") if name(frame.code) == Some("64008") => Said::Shutdown,
        Some(_) | None => Said::Other("event"),
    }
}

/// Length of the bars of a candle channel. Weeks and months are left out: no two months are of one length.
fn seconds(bar: &str) -> Option<u32> {
    let bar = bar.strip_suffix("utc").unwrap_or(bar);
    let unit = match bar.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'H' => 3600,
        b'D' => 86_400,
        _ => return None,
    };
    bar.get(..bar.len() - 1)?.parse::<u32>().ok()?.checked_mul(unit).filter(|seconds| *seconds > 0)
}

impl OkxFeed {
    pub(super) fn new(table: Arc<SymbolTable>) -> OkxFeed {
        OkxFeed { table, chains: BTreeMap::new() }
    }

    /// A frame that cannot be read may have changed the books it names, or any when it names none; only those that came
    /// on this connection.
    fn doubt(&self, text: &str, out: &mut Vec<Said>) {
        let is_here = |i: &&Instrument| self.chains.contains_key(&i.id);
        let is_named = |i: &&Instrument| text.contains(&format!("\"{}\"", i.symbol));
        let all = self.table.instruments();
        let any_named = all.iter().any(|i| is_named(&i));
        let doubted = all.iter().filter(is_here).filter(|i| !any_named || is_named(i));
        out.extend(doubted.map(|i| gap(i, UNREAD)));
    }

    fn books(&mut self, whole: bool, data: &str, i: &Instrument, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        let unread = |out: &mut Vec<Said>| out.push(gap(i, UNREAD));
        for raw in parse::<Vec<RawBook<'_>>>(BOOK, data).inspect_err(|_| unread(out))? {
            let (ts_venue_ns, bids, asks) = contents(&raw, i).inspect_err(|_| unread(out))?;
            let chain = self.chains.entry(i.id).or_default();
            let instrument = i.id;
            // A sum of nothing the venue could have sent is 0; it says 0 where it does not count any more.
            let checksum = raw.checksum.map(i32::cast_unsigned).filter(|sum| *sum != 0);
            if whole {
                let last_id = chain.start(raw.seq_id, ts_venue_ns);
                let book = BookSnapshot { instrument, ts_venue_ns, last_id, bids, asks, checksum };
                out.push(Said::Event(Event::BookSnapshot(book)));
                continue;
            }
            let prev = raw.prev_seq_id.and_then(|id| u64::try_from(id).ok());
            match chain.follow(raw.seq_id, prev, ts_venue_ns, bids.is_empty() && asks.is_empty()) {
                Link::Ids(first_id, last_id) => {
                    let change = BookDelta { instrument, ts_venue_ns, first_id, last_id, bids, asks, checksum };
                    out.push(Said::Event(Event::BookDelta(change)));
                }
                Link::Idle => out.push(Said::Alive),
                Link::Lost => out.push(gap(i, "the ids fell back")),
            }
        }
        Ok(())
    }
}

/// Time, bids, asks.
fn contents(raw: &RawBook<'_>, i: &Instrument) -> Result<(u64, Vec<Level>, Vec<Level>), DecodeError> {
    Ok((when(raw.ts, BOOK)?, levels(&raw.bids, i, BOOK)?, levels(&raw.asks, i, BOOK)?))
}

fn gap(i: &Instrument, reason: &str) -> Said {
    Said::Event(Event::BookGap { instrument: i.id, reason: note(reason) })
}

fn trades(data: &str, i: &Instrument, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    const WHAT: &str = "OKX trade";
    for t in parse::<Vec<RawTrade<'_>>>(WHAT, data)? {
        let aggressor = match t.side {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            _ => {
                out.push(Said::Other("trade side"));
                continue;
            }
        };
        out.push(Said::Event(Event::Trade(Trade {
            instrument: i.id,
            ts_venue_ns: when(t.ts, WHAT)?,
            trade_id: t.trade_id.parse().map_err(|e| DecodeError::shape(WHAT, e, t.trade_id))?,
            price: price(t.px, i, WHAT)?,
            qty: public_qty(t.sz, i, WHAT)?,
            aggressor,
        })));
    }
    Ok(())
}

/// Best bid and ask. The id is left out: the venue does not say that this channel counts as `books` does.
fn best(data: &str, i: &Instrument, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    const WHAT: &str = "OKX best prices";
    for raw in parse::<Vec<RawBest<'_>>>(WHAT, data)? {
        let (bids, asks) = (levels(&raw.bids, i, WHAT)?, levels(&raw.asks, i, WHAT)?);
        match (bids.first(), asks.first()) {
            (Some(bid), Some(ask)) => out.push(quote(i, when(raw.ts, WHAT)?, *bid, *ask)),
            _ => out.push(Said::Other("one side only")),
        }
    }
    Ok(())
}

fn ticker(data: &str, i: &Instrument, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    const WHAT: &str = "OKX ticker";
    for t in parse::<Vec<RawTicker<'_>>>(WHAT, data)? {
        if t.bid_px.is_empty() || t.ask_px.is_empty() {
            out.push(Said::Other("one side only"));
            continue;
        }
        let level = |at, size| Ok(Level { price: price(at, i, WHAT)?, qty: public_qty(size, i, WHAT)? });
        out.push(quote(i, when(t.ts, WHAT)?, level(t.bid_px, t.bid_sz)?, level(t.ask_px, t.ask_sz)?));
    }
    Ok(())
}

fn quote(i: &Instrument, ts_venue_ns: u64, bid: Level, ask: Level) -> Said {
    Said::Event(Event::Quote(Quote { instrument: i.id, ts_venue_ns, update_id: 0, bid, ask }))
}

fn candles(data: &str, i: &Instrument, seconds: u32, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    for row in parse::<Vec<Vec<&str>>>("OKX candle", data)? {
        out.push(Said::Event(Event::Bar(bar(&row, i, seconds)?)));
    }
    Ok(())
}
