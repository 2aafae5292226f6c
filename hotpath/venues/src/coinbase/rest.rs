//! Questions to Coinbase over HTTP and their answers; all of them public, without a key.

use super::VENUE;
use super::feed::RawBar;
use crate::adapter::Request;
use crate::wire::{self, DecodeError, parse};
use domain::event::{Bar, BookSnapshot, Level};
use domain::instrument::{BookRule, Contract};
use domain::{Asset, Decimal, Increment, Instrument, InstrumentId, Lots, TickLots};
use serde::Deserialize;
use std::borrow::Cow;

const MARKET: &str = "/api/v3/brokerage/market";

/// Most bars in one answer.
const BARS_MAX: u64 = 350;

/// Levels of a side asked for.
const LEVELS_ASKED: u32 = 1000;

#[derive(Deserialize)]
struct Products<'a> {
    #[serde(borrow)]
    products: Vec<Product<'a>>,
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    product_type: Cow<'a, str>,
    #[serde(borrow)]
    base_currency_id: Cow<'a, str>,
    #[serde(borrow)]
    quote_currency_id: Cow<'a, str>,
    price_increment: &'a str,
    base_increment: &'a str,
    base_min_size: &'a str,
    base_max_size: &'a str,
    quote_min_size: &'a str,
    #[serde(default)]
    view_only: bool,
    #[serde(default)]
    is_disabled: bool,
}

pub(super) fn product_request(symbol: &str) -> Request {
    Request { path: format!("{MARKET}/products/{symbol}"), weight: 1 }
}

/// Rules out of answers of one product each, or of whole lists.
pub(super) fn rules(answers: &[&str], symbols: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
    const WHAT: &str = "products";
    let mut products = Vec::new();
    for answer in answers {
        match parse::<Products<'_>>(WHAT, answer) {
            Ok(list) => products.extend(list.products),
            Err(_) => products.push(parse::<Product<'_>>(WHAT, answer)?),
        }
    }
    let one = |(n, symbol): (usize, &&str)| {
        let missing = || DecodeError::shape(WHAT, format_args!("it lacks {symbol}"), answers.first().unwrap_or(&""));
        let product = products.iter().find(|p| p.product_id == **symbol).ok_or_else(missing)?;
        let id = u16::try_from(n).map_err(|e| DecodeError::shape(WHAT, e, symbol))?;
        instrument(InstrumentId(id), product)
    };
    symbols.iter().enumerate().map(one).collect()
}

fn instrument(id: InstrumentId, p: &Product<'_>) -> Result<Instrument, DecodeError> {
    const WHAT: &str = "product";
    let symbol = p.product_id.as_ref();
    let bad = |cause: String| DecodeError::shape(WHAT, cause, symbol);
    if p.product_type != "SPOT" {
        return Err(bad(format!("{symbol} is {} and not spot", p.product_type)));
    }
    let asset = |text: &str| Asset::from(text).map_err(|e| bad(e.to_string()));
    let step = |text, name| Increment::parse(text).map_err(DecodeError::number(WHAT, symbol, name));
    let mut i = Instrument {
        id,
        version: 1,
        venue: VENUE,
        symbol: symbol.parse().map_err(|_| bad(format!("the symbol {symbol} is too long")))?,
        base: asset(&p.base_currency_id)?,
        quote: asset(&p.quote_currency_id)?,
        tick: step(p.price_increment, "price_increment")?,
        lot: step(p.base_increment, "base_increment")?,
        qty_min: Lots::ZERO,
        qty_max: Lots::ZERO,
        value_min: TickLots::ZERO,
        contract: Contract::Spot,
        trade: !(p.view_only || p.is_disabled),
        book: BookRule::PUSHED,
    };
    i.qty_min = wire::lots_at_least(p.base_min_size, &i, WHAT)?;
    i.qty_max = wire::lots_at_most(p.base_max_size, &i, WHAT)?;
    let value = Decimal::parse(p.quote_min_size).map_err(DecodeError::number(WHAT, symbol, "quote_min_size"))?;
    i.value_min = wire::value_at_least(&i, value);
    Ok(i)
}

#[derive(Deserialize)]
struct BookAnswer<'a> {
    #[serde(borrow)]
    pricebook: PriceBook<'a>,
}

#[derive(Deserialize)]
struct PriceBook<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    bids: Vec<PriceSize<'a>>,
    #[serde(borrow)]
    asks: Vec<PriceSize<'a>>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct PriceSize<'a> {
    price: &'a str,
    size: &'a str,
}

pub(super) fn book_request(i: &Instrument) -> Request {
    Request { path: format!("{MARKET}/product_book?product_id={}&limit={LEVELS_ASKED}", i.symbol), weight: 1 }
}

/// The book has no number: it gets 0, on which no change of the stream fits (see [`super::l2`]).
pub(super) fn book(answer: &str, i: &Instrument) -> Result<BookSnapshot, DecodeError> {
    const WHAT: &str = "product_book";
    let book = parse::<BookAnswer<'_>>(WHAT, answer)?.pricebook;
    if super::canonical(&book.product_id) != super::canonical(&i.symbol) {
        return Err(DecodeError::shape(WHAT, format_args!("it is of another product than {}", i.symbol), answer));
    }
    let levels = |raw: &[PriceSize<'_>]| -> Result<Vec<Level>, DecodeError> {
        let level = |l: &PriceSize<'_>| -> Result<Level, DecodeError> {
            Ok(Level { price: wire::price(l.price, i, WHAT)?, qty: wire::public_qty(l.size, i, WHAT)? })
        };
        raw.iter().map(level).collect()
    };
    Ok(BookSnapshot {
        instrument: i.id,
        ts_venue_ns: book.time.as_deref().and_then(wire::time_ns).unwrap_or(0),
        last_id: 0,
        bids: levels(&book.bids)?,
        asks: levels(&book.asks)?,
        checksum: None,
    })
}

pub(super) fn time(answer: &str) -> Result<u64, DecodeError> {
    const WHAT: &str = "time";
    #[derive(Deserialize)]
    struct Time<'a> {
        #[serde(borrow, rename = "epochMillis")]
        epoch_ms: Cow<'a, str>,
    }
    let time: Time<'_> = parse(WHAT, answer)?;
    let ms = time.epoch_ms.parse().map_err(|e| DecodeError::shape(WHAT, e, answer))?;
    Ok(wire::ms_to_ns(ms))
}

pub(super) fn bars_request(i: &Instrument, seconds: u32, from_ns: u64, to_ns: u64) -> Option<Request> {
    let granularity = match seconds {
        60 => "ONE_MINUTE",
        300 => "FIVE_MINUTE",
        900 => "FIFTEEN_MINUTE",
        1800 => "THIRTY_MINUTE",
        3600 => "ONE_HOUR",
        7200 => "TWO_HOUR",
        21_600 => "SIX_HOUR",
        86_400 => "ONE_DAY",
        _ => return None,
    };
    let length = u64::from(seconds);
    // A bar that began before `from` is not asked for, nor one that begins at `to`; both ends are in the answer.
    let start = from_ns.div_ceil(1_000_000_000).next_multiple_of(length);
    let end = to_ns.div_ceil(1_000_000_000).min(start.saturating_add(BARS_MAX * length)).saturating_sub(1).max(start);
    let (symbol, limit) = (i.symbol, BARS_MAX);
    let path =
        format!("{MARKET}/products/{symbol}/candles?start={start}&end={end}&granularity={granularity}&limit={limit}");
    Some(Request { path, weight: 1 })
}

/// Newest first on the wire; minutes without a trade are missing. The answer does not say what time it is, so the newest
/// bar counts as unfinished.
pub(super) fn bars(answer: &str, i: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError> {
    const WHAT: &str = "candles";
    #[derive(Deserialize)]
    struct Candles<'a> {
        #[serde(borrow)]
        candles: Vec<RawBar<'a>>,
    }
    let rows: Candles<'_> = parse(WHAT, answer)?;
    let mut bars = rows.candles.iter().map(|row| row.read(i, seconds, WHAT)).collect::<Result<Vec<Bar>, _>>()?;
    bars.sort_by_key(|b| b.open_ns);
    let finished = bars.len().saturating_sub(1);
    bars[..finished].iter_mut().for_each(|b| b.last = true);
    Ok(bars)
}
