//! Questions to Bybit over HTTP and their answers; all of them public, without a key. The HTTP status is 200 even for
//! refusals: only `retCode` tells.

use super::Bybit;
use crate::adapter::{Adapter, Request, Said};
use crate::poll::{self, Poll};
use crate::wire::{self, DecodeError, RawLevel, SymbolTable, levels, ms_to_ns, parse, price, public_qty};
use domain::event::{Allowed, Bar, BookSnapshot};
use domain::instrument::{BookRule, Contract};
use domain::{Asset, Decimal, Increment, Instrument, InstrumentId, Lots, TickLots};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Most bars in one answer.
const BARS_MAX: u64 = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    ret_code: i64,
    #[serde(borrow, default)]
    ret_msg: Cow<'a, str>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    /// The venue's time, ms.
    #[serde(default)]
    time: u64,
}

fn result<'a, T: Deserialize<'a>>(what: &'static str, answer: &'a str) -> Result<(T, u64), DecodeError> {
    let a: Answer<'a> = parse(what, answer)?;
    let refused = || DecodeError::shape(what, format_args!("code {}: {}", a.ret_code, a.ret_msg), answer);
    let result = a.result.filter(|_| a.ret_code == 0).ok_or_else(refused)?;
    Ok((parse(what, result.get())?, a.time))
}

#[derive(Deserialize)]
struct Infos<'a> {
    #[serde(borrow)]
    category: Option<Cow<'a, str>>,
    #[serde(borrow)]
    list: Vec<Info<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    base_coin: Cow<'a, str>,
    #[serde(borrow)]
    quote_coin: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    lot_size_filter: LotSize<'a>,
    #[serde(borrow)]
    price_filter: PriceFilter<'a>,
}

/// Spot and linear name the same things differently. On spot `minOrderQty` and the like are no longer in force.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LotSize<'a> {
    base_precision: Option<&'a str>,
    max_limit_order_qty: Option<&'a str>,
    min_order_amt: Option<&'a str>,
    qty_step: Option<&'a str>,
    min_order_qty: Option<&'a str>,
    max_order_qty: Option<&'a str>,
    min_notional_value: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PriceFilter<'a> {
    tick_size: &'a str,
}

pub(super) fn rules(line: &Bybit, answers: &[&str], symbols: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
    const WHAT: &str = "instruments-info";
    let mut infos = Vec::new();
    for answer in answers {
        let (list, _): (Infos<'_>, u64) = result(WHAT, answer)?;
        is_ours(line, list.category.as_deref(), WHAT, answer)?;
        infos.extend(list.list);
    }
    let one = |(n, symbol): (usize, &&str)| {
        let missing = || DecodeError::shape(WHAT, format_args!("it lacks {symbol}"), answers.first().unwrap_or(&""));
        let info = infos.iter().find(|info| info.symbol == **symbol).ok_or_else(missing)?;
        let id = u16::try_from(n).map_err(|e| DecodeError::shape(WHAT, e, symbol))?;
        instrument(line, InstrumentId(id), info)
    };
    symbols.iter().enumerate().map(one).collect()
}

/// The same symbols trade in every line, and a question without one is answered for linear.
fn is_ours(line: &Bybit, category: Option<&str>, what: &'static str, answer: &str) -> Result<(), DecodeError> {
    if category.is_some_and(|category| category != line.category) {
        return Err(DecodeError::shape(what, format_args!("it is not of {}", line.category), answer));
    }
    Ok(())
}

/// What the instruments of `poll` let be done. The venue has no word for less than everything and more than nothing.
pub(super) fn statuses(
    line: &Bybit,
    poll: &Poll,
    answer: &str,
    table: &SymbolTable,
    out: &mut Vec<Said>,
) -> Result<(), DecodeError> {
    const WHAT: &str = "instruments-info";
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        category: Option<Cow<'a, str>>,
        #[serde(borrow)]
        list: Vec<One<'a>>,
    }
    #[derive(Deserialize)]
    struct One<'a> {
        #[serde(borrow)]
        symbol: Cow<'a, str>,
        #[serde(borrow)]
        status: Cow<'a, str>,
    }
    let (all, _): (List<'_>, u64) = result(WHAT, answer)?;
    is_ours(line, all.category.as_deref(), WHAT, answer)?;
    let status = |name: &str| all.list.iter().find(|one| one.symbol == name).map(|one| &*one.status);
    poll::statuses(poll, table, out, |name| status(name).map(|status| (status, allowed(status))));
    Ok(())
}

fn allowed(status: &str) -> Option<Allowed> {
    match status {
        "Trading" => Some(Allowed::All),
        "PreLaunch" | "Settling" | "Delivering" | "Closed" => Some(Allowed::Nothing),
        _ => None,
    }
}

fn instrument(line: &Bybit, id: InstrumentId, info: &Info<'_>) -> Result<Instrument, DecodeError> {
    const WHAT: &str = "instruments-info";
    let (symbol, lots) = (info.symbol.as_ref(), &info.lot_size_filter);
    let bad = |cause: String| DecodeError::shape(WHAT, cause, symbol);
    let have = |field: Option<&'_ str>, name: &str| match field {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(bad(format!("{symbol} has no {name}"))),
    };
    let asset = |text: &str| Asset::from(text).map_err(|e| bad(e.to_string()));
    let step = |text: &str, name| Increment::parse(text).map_err(DecodeError::number(WHAT, symbol, name));
    let spot = line.is_spot();
    let (lot, value_min, qty_max) = if spot {
        let qty_max = lots.max_limit_order_qty.or(lots.max_order_qty);
        (have(lots.base_precision, "basePrecision")?, have(lots.min_order_amt, "minOrderAmt")?, qty_max)
    } else {
        let value_min = lots.min_notional_value.unwrap_or("0").to_owned();
        (have(lots.qty_step, "qtyStep")?, value_min, lots.max_order_qty)
    };
    let mut i = Instrument {
        id,
        version: 1,
        venue: line.venue(),
        symbol: symbol.parse().map_err(|_| bad(format!("the symbol {symbol} is too long")))?,
        base: asset(&info.base_coin)?,
        quote: asset(&info.quote_coin)?,
        tick: step(info.price_filter.tick_size, "tickSize")?,
        lot: step(&lot, "lot")?,
        // Of spot only the value of an order has a lower limit.
        qty_min: Lots::new(1),
        qty_max: Lots::ZERO,
        value_min: TickLots::ZERO,
        contract: if spot { Contract::Spot } else { Contract::Linear(Decimal::new(1, 0)) },
        trade: spot && info.status == "Trading",
        book: BookRule::PUSHED,
    };
    i.qty_max = wire::lots_at_most(&have(qty_max, "largest size")?, &i, WHAT)?;
    if !spot {
        i.qty_min = wire::lots_at_least(&have(lots.min_order_qty, "minOrderQty")?, &i, WHAT)?;
    }
    let value = Decimal::parse(&value_min).map_err(DecodeError::number(WHAT, symbol, "least value"))?;
    i.value_min = wire::value_at_least(&i, value);
    Ok(i)
}

#[derive(Deserialize)]
struct Book<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    b: Vec<RawLevel<'a>>,
    #[serde(borrow)]
    a: Vec<RawLevel<'a>>,
    ts: u64,
    cts: Option<u64>,
}

/// Its `u` belongs to the stream of 1000 levels and means nothing in ours: it gets 0, on which no change fits.
pub(super) fn book(answer: &str, i: &Instrument) -> Result<BookSnapshot, DecodeError> {
    const WHAT: &str = "orderbook";
    let (book, _): (Book<'_>, u64) = result(WHAT, answer)?;
    if *book.s != *i.symbol {
        return Err(DecodeError::shape(WHAT, format_args!("it is of {} and not of {}", book.s, i.symbol), answer));
    }
    Ok(BookSnapshot {
        instrument: i.id,
        ts_venue_ns: ms_to_ns(book.cts.unwrap_or(book.ts)),
        last_id: 0,
        bids: levels(&book.b, i, WHAT)?,
        asks: levels(&book.a, i, WHAT)?,
        checksum: None,
    })
}

pub(super) fn time(answer: &str) -> Result<u64, DecodeError> {
    const WHAT: &str = "time";
    #[derive(Deserialize)]
    struct Time<'a> {
        #[serde(borrow, rename = "timeNano")]
        ns: Cow<'a, str>,
    }
    let (time, _): (Time<'_>, u64) = result(WHAT, answer)?;
    time.ns.parse().map_err(|e| DecodeError::shape(WHAT, e, answer))
}

pub(super) fn bars_request(line: &Bybit, i: &Instrument, seconds: u32, from_ns: u64, to_ns: u64) -> Option<Request> {
    let interval = match seconds {
        60 | 180 | 300 | 900 | 1800 | 3600 | 7200 | 14_400 | 21_600 | 43_200 => (seconds / 60).to_string(),
        86_400 => "D".to_owned(),
        604_800 => "W".to_owned(),
        _ => return None,
    };
    let start = from_ns.div_ceil(1_000_000);
    // The end is part of the answer, and of more bars than fit into it the oldest would be left out.
    let most = start.saturating_add(BARS_MAX * u64::from(seconds) * 1000);
    let end = to_ns.div_ceil(1_000_000).min(most).saturating_sub(1).max(start);
    let (category, symbol, limit) = (line.category, i.symbol, BARS_MAX);
    let path = format!(
        "/v5/market/kline?category={category}&symbol={symbol}&interval={interval}&start={start}&end={end}&limit={limit}"
    );
    Some(Request { path, weight: 1 })
}

/// Newest first on the wire.
pub(super) fn bars(line: &Bybit, answer: &str, i: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError> {
    const WHAT: &str = "kline";
    #[derive(Deserialize)]
    struct Klines<'a> {
        #[serde(borrow)]
        category: Option<Cow<'a, str>>,
        #[serde(borrow)]
        symbol: Cow<'a, str>,
        /// Start (ms), open, high, low, close, volume, turnover.
        #[serde(borrow)]
        list: Vec<[&'a str; 7]>,
    }
    let (klines, now_ms): (Klines<'_>, u64) = result(WHAT, answer)?;
    is_ours(line, klines.category.as_deref(), WHAT, answer)?;
    if *klines.symbol != *i.symbol {
        return Err(DecodeError::shape(WHAT, format_args!("it is of another symbol than {}", i.symbol), answer));
    }
    let one = |[start, open, high, low, close, volume, _]: &[&str; 7]| -> Result<Bar, DecodeError> {
        let start_ms: u64 = start.parse().map_err(|e| DecodeError::shape(WHAT, e, answer))?;
        Ok(Bar {
            instrument: i.id,
            seconds,
            open_ns: ms_to_ns(start_ms),
            open: price(open, i, WHAT)?,
            high: price(high, i, WHAT)?,
            low: price(low, i, WHAT)?,
            close: price(close, i, WHAT)?,
            volume: public_qty(volume, i, WHAT)?,
            last: start_ms.saturating_add(u64::from(seconds) * 1000) <= now_ms,
        })
    };
    let mut bars = klines.list.iter().map(one).collect::<Result<Vec<Bar>, _>>()?;
    bars.sort_by_key(|b| b.open_ns);
    Ok(bars)
}
