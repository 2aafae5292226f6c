//! Reads the frames of one connection: version 2 here, version 1 in [`super::v1`].

use super::VENUE;
use super::text::{old_symbol, plain, symbol};
use crate::adapter::{Feed, Said};
use crate::wire::{DecodeError, LEVELS_MAX, SymbolTable, price, public_qty, time_ns};
use domain::event::{Allowed, Bar, BookDelta, BookSnapshot, Level, Quote, Status, Trade, note};
use domain::{Event, Instrument, InstrumentId, Side};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What has to be remembered of one connection.
pub(super) struct KrakenFeed {
    pub(super) table: Arc<SymbolTable>,
    /// Books have no sequence number: messages of each are counted here.
    counts: BTreeMap<InstrumentId, u64>,
    /// The bar that is being made, by instrument and seconds.
    bars: BTreeMap<(InstrumentId, u32), Bar>,
}

#[derive(Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    success: Option<bool>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    // Version 1.
    #[serde(borrow)]
    pub(super) event: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) status: Option<&'a RawValue>,
    #[serde(borrow, rename = "errorMessage")]
    pub(super) error_message: Option<&'a RawValue>,
}

/// The text in a JSON string that needs no escapes, as all names here.
pub(super) fn name(raw: Option<&RawValue>) -> Option<&str> {
    raw?.get().strip_prefix('"')?.strip_suffix('"')
}

pub(super) fn parse<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|e| DecodeError::shape(what, e, text))
}

impl Feed for KrakenFeed {
    fn frame(&mut self, text: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        if text.trim_start().starts_with('[') {
            return self.array(text, out);
        }
        let frame: Frame<'_> = parse("Kraken frame", text).inspect_err(|_| self.doubt(text, out))?;
        let Some(channel) = name(frame.channel) else {
            out.push(reply(&frame).unwrap_or_else(|| self.v1_event(&frame)));
            return Ok(());
        };
        let data = frame.data.map_or("", RawValue::get);
        match channel {
            "book" => self.book(name(frame.kind), data, text, out),
            "trade" if name(frame.kind) == Some("snapshot") => {
                // The last trades before the subscription; an earlier connection told them, or nobody listened.
                out.push(Said::Other("trade snapshot"));
                Ok(())
            }
            "trade" => self.trades(data, out),
            "ticker" => self.ticker(data, out),
            "ohlc" => self.ohlc(data, out),
            "status" => self.system(data, out),
            "instrument" => self.markets(data, out),
            "heartbeat" => {
                out.push(Said::Alive);
                Ok(())
            }
            _ => {
                out.push(Said::Other("channel"));
                Ok(())
            }
        }
    }
}

fn reply(frame: &Frame<'_>) -> Option<Said> {
    let complaint = || frame.error.map_or("", RawValue::get).trim_matches('"').to_owned();
    match (name(frame.method), frame.success) {
        (Some("pong"), _) => Some(Said::Alive),
        (_, Some(true)) => Some(Said::Reply(None)),
        (_, Some(false)) => Some(Said::Reply(Some(complaint()))),
        (_, None) if frame.error.is_some() => Some(Said::Reply(Some(complaint()))),
        (Some(_), None) => Some(Said::Other("method")),
        (None, None) => None,
    }
}

#[derive(Deserialize)]
struct RawLevel<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
}

#[derive(Deserialize)]
struct RawBook<'a> {
    symbol: String,
    #[serde(borrow, default)]
    bids: Vec<RawLevel<'a>>,
    #[serde(borrow, default)]
    asks: Vec<RawLevel<'a>>,
    checksum: Option<u32>,
    timestamp: Option<String>,
}

#[derive(Deserialize)]
struct RawTrade<'a> {
    symbol: String,
    side: String,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
    trade_id: u64,
    timestamp: String,
}

#[derive(Deserialize)]
struct RawTicker<'a> {
    symbol: String,
    #[serde(borrow)]
    bid: Option<&'a RawValue>,
    #[serde(borrow)]
    bid_qty: Option<&'a RawValue>,
    #[serde(borrow)]
    ask: Option<&'a RawValue>,
    #[serde(borrow)]
    ask_qty: Option<&'a RawValue>,
    timestamp: Option<String>,
}

#[derive(Deserialize)]
struct RawBar<'a> {
    symbol: String,
    interval: u32,
    interval_begin: String,
    #[serde(borrow)]
    open: &'a RawValue,
    #[serde(borrow)]
    high: &'a RawValue,
    #[serde(borrow)]
    low: &'a RawValue,
    #[serde(borrow)]
    close: &'a RawValue,
    #[serde(borrow)]
    volume: &'a RawValue,
}

#[derive(Deserialize)]
struct System {
    system: String,
}

#[derive(Deserialize)]
struct Markets {
    #[serde(default)]
    pairs: Vec<Market>,
}

#[derive(Deserialize)]
struct Market {
    symbol: String,
    status: String,
}

fn level(price_text: &RawValue, qty_text: &RawValue, i: &Instrument, what: &'static str) -> Result<Level, DecodeError> {
    let price = price(&plain(price_text.get()), i, what)?;
    Ok(Level { price, qty: public_qty(&plain(qty_text.get()), i, what)? })
}

fn side(raw: &[RawLevel<'_>], i: &Instrument) -> Result<Vec<Level>, DecodeError> {
    const WHAT: &str = "Kraken book";
    if raw.len() > LEVELS_MAX {
        return Err(DecodeError::shape(WHAT, format_args!("{} levels on one side", raw.len()), &i.symbol));
    }
    raw.iter().map(|l| level(l.price, l.qty, i, WHAT)).collect()
}

/// What a market or the whole venue lets be done, by its word for it.
pub(super) fn allowed(word: &str) -> Option<Allowed> {
    match word {
        "online" => Some(Allowed::All),
        // Limit orders that trade at once are allowed too; nothing of ours says that.
        "post_only" | "limit_only" => Some(Allowed::PostOnly),
        "cancel_only" | "reduce_only" => Some(Allowed::CancelOnly),
        "maintenance" | "delisted" | "work_in_progress" => Some(Allowed::Nothing),
        _ => None,
    }
}

pub(super) fn status(instrument: Option<InstrumentId>, word: &str) -> Said {
    let said = note(word);
    let told = allowed(word).map(|allowed| Event::Status(Status { venue: VENUE, instrument, allowed, said }));
    told.map_or(Said::Other("status"), Said::Event)
}

fn when(text: &str, what: &'static str) -> Result<u64, DecodeError> {
    time_ns(text).ok_or_else(|| DecodeError::shape(what, "its time is of another form", text))
}

impl KrakenFeed {
    pub(super) fn new(table: Arc<SymbolTable>) -> KrakenFeed {
        KrakenFeed { table, counts: BTreeMap::new(), bars: BTreeMap::new() }
    }

    /// The next number of a book's messages. The first is 2: a book from REST, which has 0, never seems to be followed.
    pub(super) fn count(&mut self, instrument: InstrumentId) -> u64 {
        let count = self.counts.entry(instrument).or_insert(1);
        *count += 1;
        *count
    }

    /// A frame that cannot be read may have changed the books it names, or any when it names none; only those that came
    /// on this connection.
    pub(super) fn doubt(&self, text: &str, out: &mut Vec<Said>) {
        let is_here = |i: &&Instrument| self.counts.contains_key(&i.id);
        let is_named = |i: &&Instrument| text.contains(i.symbol.as_str()) || text.contains(&old_symbol(&i.symbol));
        let all = self.table.instruments();
        let any_named = all.iter().any(|i| is_named(&i));
        out.extend(all.iter().filter(is_here).filter(|i| !any_named || is_named(i)).map(gap));
    }

    fn book(&mut self, kind: Option<&str>, data: &str, text: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        let whole = match kind {
            Some("snapshot") => true,
            Some("update") => false,
            _ => {
                out.push(Said::Other("book type"));
                return Ok(());
            }
        };
        let books: Vec<RawBook<'_>> = parse("Kraken book", data).inspect_err(|_| self.doubt(text, out))?;
        let table = Arc::clone(&self.table);
        for raw in &books {
            let Some(i) = table.get(&raw.symbol) else {
                out.push(Said::Other("symbol"));
                continue;
            };
            let id = self.count(i.id);
            let event = book(raw, i, whole, id).inspect_err(|_| out.push(gap(i)))?;
            out.push(Said::Event(event));
        }
        Ok(())
    }

    fn trades(&self, data: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        const WHAT: &str = "Kraken trade";
        for t in parse::<Vec<RawTrade<'_>>>(WHAT, data)? {
            let Some(i) = self.table.get(&t.symbol) else {
                out.push(Said::Other("symbol"));
                continue;
            };
            let aggressor = match t.side.as_str() {
                "buy" => Side::Buy,
                "sell" => Side::Sell,
                _ => {
                    out.push(Said::Other("trade side"));
                    continue;
                }
            };
            let Level { price, qty } = level(t.price, t.qty, i, WHAT)?;
            let (ts_venue_ns, trade_id) = (when(&t.timestamp, WHAT)?, t.trade_id);
            let trade = Trade { instrument: i.id, ts_venue_ns, trade_id, price, qty, aggressor };
            out.push(Said::Event(Event::Trade(trade)));
        }
        Ok(())
    }

    fn ticker(&self, data: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        const WHAT: &str = "Kraken ticker";
        for t in parse::<Vec<RawTicker<'_>>>(WHAT, data)? {
            let Some(i) = self.table.get(&t.symbol) else {
                out.push(Said::Other("symbol"));
                continue;
            };
            let (Some(bid), Some(bid_qty), Some(ask), Some(ask_qty)) = (t.bid, t.bid_qty, t.ask, t.ask_qty) else {
                out.push(Said::Other("one side only"));
                continue;
            };
            let ts_venue_ns = t.timestamp.as_deref().map_or(Ok(0), |text| when(text, WHAT))?;
            let (bid, ask) = (level(bid, bid_qty, i, WHAT)?, level(ask, ask_qty, i, WHAT)?);
            let quote = Quote { instrument: i.id, ts_venue_ns, update_id: 0, bid, ask };
            out.push(Said::Event(Event::Quote(quote)));
        }
        Ok(())
    }

    fn ohlc(&mut self, data: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        const WHAT: &str = "Kraken bar";
        for raw in parse::<Vec<RawBar<'_>>>(WHAT, data)? {
            let Some(i) = self.table.get(&raw.symbol) else {
                out.push(Said::Other("symbol"));
                continue;
            };
            let at = |text: &RawValue| price(&plain(text.get()), i, WHAT);
            let bar = Bar {
                instrument: i.id,
                seconds: raw.interval.saturating_mul(60),
                open_ns: when(&raw.interval_begin, WHAT)?,
                open: at(raw.open)?,
                high: at(raw.high)?,
                low: at(raw.low)?,
                close: at(raw.close)?,
                volume: public_qty(&plain(raw.volume.get()), i, WHAT)?,
                last: false,
            };
            self.bar(bar, out);
        }
        Ok(())
    }

    /// Tells a bar, and before it the one that it ends.
    pub(super) fn bar(&mut self, bar: Bar, out: &mut Vec<Said>) {
        let key = (bar.instrument, bar.seconds);
        match self.bars.get(&key) {
            Some(before) if bar.open_ns < before.open_ns => {
                out.push(Said::Other("bar that is over"));
                return;
            }
            Some(before) if bar.open_ns > before.open_ns => {
                out.push(Said::Event(Event::Bar(Bar { last: true, ..*before })));
            }
            Some(_) | None => {}
        }
        self.bars.insert(key, bar);
        out.push(Said::Event(Event::Bar(bar)));
    }

    fn system(&self, data: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        let all: Vec<System> = parse("Kraken status", data)?;
        out.extend(all.iter().map(|s| status(None, &s.system)));
        Ok(())
    }

    fn markets(&self, data: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        let markets: Markets = parse("Kraken instruments", data)?;
        let ours = markets.pairs.iter().filter_map(|m| Some((self.table.get(&m.symbol)?, m)));
        let before = out.len();
        out.extend(ours.map(|(i, m)| status(Some(i.id), &m.status)));
        if out.len() == before {
            out.push(Said::Other("symbol"));
        }
        Ok(())
    }

    /// The instrument of a pair as version 1 names it.
    pub(super) fn known(&self, pair: &str) -> Option<&Instrument> {
        self.table.get(&symbol(pair))
    }
}

pub(super) fn gap(i: &Instrument) -> Said {
    Said::Event(Event::BookGap { instrument: i.id, reason: note("a message could not be read") })
}

fn book(raw: &RawBook<'_>, i: &Instrument, whole: bool, id: u64) -> Result<Event, DecodeError> {
    let ts_venue_ns = raw.timestamp.as_deref().map_or(Ok(0), |text| when(text, "Kraken book"))?;
    let (bids, asks) = (side(&raw.bids, i)?, side(&raw.asks, i)?);
    let (instrument, checksum) = (i.id, raw.checksum);
    Ok(if whole {
        Event::BookSnapshot(BookSnapshot { instrument, ts_venue_ns, last_id: id, bids, asks, checksum })
    } else {
        Event::BookDelta(BookDelta { instrument, ts_venue_ns, first_id: id, last_id: id, bids, asks, checksum })
    })
}
