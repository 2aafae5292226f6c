//! Reads one connection of Advanced Trade: the envelope and its sequence here, books in [`super::l2`], trades, best
//! prices and bars below, the state of markets in [`super::status`].
//!
//! Quirks: `side` of a public trade is the side of who was resting, so the other one took; snapshots repeat recent
//! trades, newest first; bars have no closed flag and put low and high before open; the time in heartbeats is Go's own
//! text and not read; `ticker_batch` has no best prices.

use super::{exchange, instruments, status};
use crate::adapter::{Feed, Said};
use crate::wire::{self, DecodeError, SymbolTable, parse};
use domain::event::{Bar, Level, Quote, Trade, note};
use domain::{Event, Instrument, InstrumentId, Side};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Length of the bars in the stream, seconds; there are no others.
const BAR_SECONDS: u32 = 300;

/// A reader for one connection.
pub(super) struct CoinbaseFeed {
    pub(super) table: Arc<SymbolTable>,
    /// Number of the next message; unknown before the first.
    next: Option<u64>,
    pub(super) streams: BTreeMap<InstrumentId, Stream>,
}

/// What is remembered of one instrument.
#[derive(Default)]
pub(super) struct Stream {
    /// Id of the last change of the book, counted here; `None` while no book was seen on this connection.
    pub(super) book_id: Option<u64>,
    last_trade: Option<u64>,
    newest_bar: Option<Bar>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
    sequence_num: Option<u64>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    // Members of messages without a channel.
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

impl Feed for CoinbaseFeed {
    fn frame(&mut self, text: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        let e: Envelope<'_> = parse("message", text)?;
        let Some(channel) = e.channel.as_deref() else {
            return match e.kind.as_deref() {
                Some("error") => {
                    out.push(Said::Reply(Some(e.message.unwrap_or_default().into_owned())));
                    Ok(())
                }
                Some(kind) => exchange::message(self, kind, text, out),
                None => {
                    out.push(Said::Other("message without channel"));
                    Ok(())
                }
            };
        };
        if !e.sequence_num.is_none_or(|number| self.is_new(number, out)) {
            out.push(Said::Other("old message"));
            return Ok(());
        }
        let ts_ns = e.timestamp.as_deref().and_then(wire::time_ns).unwrap_or(0);
        let events = e.events.map_or("[]", RawValue::get);
        match channel {
            "l2_data" => self.book(events, ts_ns, out),
            "market_trades" => self.trades(events, out),
            "ticker" | "ticker_batch" => self.tickers(events, ts_ns, out),
            "candles" => self.candles(events, out),
            "status" => status::stream(events, &self.table, out),
            "heartbeats" => {
                out.push(Said::Alive);
                Ok(())
            }
            "subscriptions" => {
                out.push(Said::Reply(None));
                Ok(())
            }
            _ => {
                out.push(Said::Other("unknown channel"));
                Ok(())
            }
        }
    }
}

impl CoinbaseFeed {
    pub(super) fn new(table: Arc<SymbolTable>) -> CoinbaseFeed {
        CoinbaseFeed { table, next: None, streams: BTreeMap::new() }
    }

    /// Keeps the count of messages; false for one that was already there. Behind a gap it goes on from the new number.
    fn is_new(&mut self, number: u64, out: &mut Vec<Said>) -> bool {
        let after = number.saturating_add(1);
        match self.next.replace(after) {
            None => {}
            Some(next) if next == number => {}
            // Nothing says that a count may start anew; should it, the books are no surer than after a loss.
            Some(next) if number > next || number == 0 => self.lost("lost messages", out),
            Some(next) => {
                self.next = Some(next);
                return false;
            }
        }
        true
    }

    /// Something may be missing in every book of this connection.
    pub(super) fn lost(&self, reason: &str, out: &mut Vec<Said>) {
        let books = self.streams.iter().filter(|(_, stream)| stream.book_id.is_some());
        let before = out.len();
        out.extend(books.map(|(id, _)| Said::Event(Event::BookGap { instrument: *id, reason: note(reason) })));
        if out.len() == before {
            out.push(Said::Other("lost messages"));
        }
    }

    fn trades(&mut self, events: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        const WHAT: &str = "market_trades";
        let events: Vec<TradesEvent<'_>> = parse(WHAT, events)?;
        let mut trades: Vec<RawTrade<'_>> = events.into_iter().flat_map(|e| e.trades).collect();
        // The newest come first.
        trades.sort_by_key(|t| t.trade_id.parse::<u64>().unwrap_or(u64::MAX));
        trades.iter().try_for_each(|t| self.trade(t, WHAT, out))
    }

    pub(super) fn trade(
        &mut self,
        t: &RawTrade<'_>,
        what: &'static str,
        out: &mut Vec<Said>,
    ) -> Result<(), DecodeError> {
        let table = Arc::clone(&self.table);
        let trade_id: u64 = t.trade_id.parse().map_err(|e| DecodeError::shape(what, e, &t.trade_id))?;
        let mut known = false;
        for i in instruments(&table, &t.product_id) {
            known = true;
            let last = &mut self.streams.entry(i.id).or_default().last_trade;
            if last.is_some_and(|last| trade_id <= last) {
                out.push(Said::Other("repeated trade"));
                continue;
            }
            // Ids of a product count up by one: matches were once missing for hours on a connection that lived.
            if last.is_some_and(|last| trade_id - last > 1) {
                out.push(Said::Other("trades missing"));
            }
            *last = Some(trade_id);
            let aggressor = match &*t.side {
                "BUY" | "buy" => Side::Sell,
                "SELL" | "sell" => Side::Buy,
                _ => {
                    out.push(Said::Other("unknown trade side"));
                    continue;
                }
            };
            out.push(Said::Event(Event::Trade(Trade {
                instrument: i.id,
                ts_venue_ns: wire::time_ns(&t.time).unwrap_or(0),
                trade_id,
                price: wire::price(&t.price, i, what)?,
                qty: wire::public_qty(&t.size, i, what)?,
                aggressor,
            })));
        }
        if !known {
            out.push(Said::Other("unknown symbol"));
        }
        Ok(())
    }

    fn tickers(&mut self, events: &str, ts_ns: u64, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        let events: Vec<TickersEvent<'_>> = parse("ticker", events)?;
        events.iter().flat_map(|e| &e.tickers).try_for_each(|t| self.ticker(t, ts_ns, out))
    }

    pub(super) fn ticker(&self, t: &Ticker<'_>, ts_ns: u64, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        const WHAT: &str = "ticker";
        let said = [t.best_bid, t.best_bid_quantity, t.best_ask, t.best_ask_quantity];
        let [Some(bid), Some(bid_qty), Some(ask), Some(ask_qty)] =
            said.map(|text| text.filter(|text| !text.is_empty()))
        else {
            out.push(Said::Other("ticker without best prices"));
            return Ok(());
        };
        let mut known = false;
        for i in instruments(&self.table, &t.product_id) {
            known = true;
            let level = |price, qty| -> Result<Level, DecodeError> {
                Ok(Level { price: wire::price(price, i, WHAT)?, qty: wire::public_qty(qty, i, WHAT)? })
            };
            out.push(Said::Event(Event::Quote(Quote {
                instrument: i.id,
                ts_venue_ns: ts_ns,
                // It does not say which change of the book it belongs to.
                update_id: 0,
                bid: level(bid, bid_qty)?,
                ask: level(ask, ask_qty)?,
            })));
        }
        if !known {
            out.push(Said::Other("unknown symbol"));
        }
        Ok(())
    }

    fn candles(&mut self, events: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        const WHAT: &str = "candles";
        let events: Vec<CandlesEvent<'_>> = parse(WHAT, events)?;
        let table = Arc::clone(&self.table);
        let mut bars: BTreeMap<InstrumentId, BTreeMap<u64, Bar>> = BTreeMap::new();
        for candle in events.iter().flat_map(|e| &e.candles) {
            let mut known = false;
            for i in instruments(&table, &candle.product_id) {
                known = true;
                let bar = candle.bar.read(i, BAR_SECONDS, WHAT)?;
                bars.entry(i.id).or_default().insert(bar.open_ns, bar);
            }
            if !known {
                out.push(Said::Other("unknown symbol"));
            }
        }
        for (id, bars) in bars {
            let newest = &mut self.streams.entry(id).or_default().newest_bar;
            // There is no closed flag: a bar has ended once one that begins later is there.
            if let Some(ended) = newest.filter(|b| !bars.contains_key(&b.open_ns)) {
                let later = bars.keys().next_back().is_some_and(|open_ns| *open_ns > ended.open_ns);
                out.extend(later.then_some(Said::Event(Event::Bar(Bar { last: true, ..ended }))));
            }
            // Of two of the same time the one said now.
            *newest = newest.take().into_iter().chain(bars.values().copied()).max_by_key(|b| b.open_ns);
            let open_ns = newest.map_or(0, |b| b.open_ns);
            out.extend(bars.into_values().map(|b| Said::Event(Event::Bar(Bar { last: b.open_ns < open_ns, ..b }))));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct TradesEvent<'a> {
    #[serde(borrow, default)]
    trades: Vec<RawTrade<'a>>,
}

#[derive(Deserialize)]
pub(super) struct RawTrade<'a> {
    #[serde(borrow)]
    pub(super) trade_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) product_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) price: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) size: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) side: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) time: Cow<'a, str>,
}

#[derive(Deserialize)]
struct TickersEvent<'a> {
    #[serde(borrow, default)]
    tickers: Vec<Ticker<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Ticker<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    best_bid: Option<&'a str>,
    best_bid_quantity: Option<&'a str>,
    best_ask: Option<&'a str>,
    best_ask_quantity: Option<&'a str>,
}

#[derive(Deserialize)]
struct CandlesEvent<'a> {
    #[serde(borrow, default)]
    candles: Vec<Candle<'a>>,
}

#[derive(Deserialize)]
struct Candle<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow, flatten)]
    bar: RawBar<'a>,
}

/// A bar as streams and questions tell it; members are found by name, because low and high come before open.
#[derive(Deserialize)]
pub(super) struct RawBar<'a> {
    #[serde(borrow)]
    start: Cow<'a, str>,
    #[serde(borrow)]
    open: Cow<'a, str>,
    #[serde(borrow)]
    high: Cow<'a, str>,
    #[serde(borrow)]
    low: Cow<'a, str>,
    #[serde(borrow)]
    close: Cow<'a, str>,
    #[serde(borrow)]
    volume: Cow<'a, str>,
}

impl RawBar<'_> {
    pub(super) fn read(&self, i: &Instrument, seconds: u32, what: &'static str) -> Result<Bar, DecodeError> {
        let start_s: u64 = self.start.parse().map_err(|e| DecodeError::shape(what, e, &self.start))?;
        let price = |text| wire::price(text, i, what);
        Ok(Bar {
            instrument: i.id,
            seconds,
            open_ns: start_s.saturating_mul(1_000_000_000),
            open: price(&self.open)?,
            high: price(&self.high)?,
            low: price(&self.low)?,
            close: price(&self.close)?,
            volume: wire::public_qty(&self.volume, i, what)?,
            last: false,
        })
    }
}
