//! Trading rules out of `AssetPairs`.
//!
//! The tick is written with `pair_decimals` digits even where `tick_size` is coarser, and the lot with `lot_decimals`,
//! because those are the digits that go into a book's checksum.

use super::text::{old_symbol, symbol};
use super::{DEPTH, VENUE, rest, v1};
use crate::wire::{DecodeError, qty};
use domain::instrument::{BookFeed, BookRule, Checksum, ChecksumText, Contract};
use domain::num::NumError;
use domain::{Asset, Decimal, Increment, Instrument, InstrumentId, Lots, TickLots};
use serde::Deserialize;
use std::collections::BTreeMap;

const WHAT: &str = "Kraken rules";

/// Levels of each side in a checksum, at any depth.
const CHECKSUM: Checksum = Checksum { levels: 10, text: ChecksumText::Digits };

#[derive(Deserialize)]
struct Pair {
    altname: String,
    /// Absent for dark pools, which have no stream.
    wsname: Option<String>,
    pair_decimals: u8,
    lot_decimals: u8,
    tick_size: Option<String>,
    ordermin: Option<String>,
    costmin: Option<String>,
}

/// The rules of `wanted`, each given as version 2's symbol, version 1's, the altname, or the key of its pair.
pub(super) fn instruments(answers: &[&str], wanted: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
    let (mut pairs, mut unread) = (BTreeMap::new(), None);
    for answer in answers {
        match rest::result::<BTreeMap<String, Pair>>(answer, WHAT) {
            Ok(some) => pairs.extend(some),
            // It is told when something is missing for it; else it was one of the frames, or about something else.
            Err(e) => unread = unread.or(Some(e)),
        }
    }
    let mut all = Vec::with_capacity(wanted.len());
    for (n, name) in wanted.iter().enumerate() {
        let id = u16::try_from(n).map_err(|e| DecodeError::shape(WHAT, e, name))?;
        match pairs.iter().find(|(key, pair)| is_named(name, key, pair)) {
            Some((_, pair)) => all.push(instrument(InstrumentId(id), pair)?),
            None => return Err(unread.unwrap_or_else(|| DecodeError::shape(WHAT, "a pair is not among them", name))),
        }
    }
    for answer in answers {
        as_written(answer, &mut all);
    }
    Ok(all)
}

fn is_named(name: &str, key: &str, pair: &Pair) -> bool {
    let Some(wsname) = &pair.wsname else { return false };
    name == key || name == pair.altname || old_symbol(name) == *wsname || name == wsname
}

fn instrument(id: InstrumentId, pair: &Pair) -> Result<Instrument, DecodeError> {
    let wsname = pair.wsname.as_deref().unwrap_or_default();
    let symbol = symbol(wsname).into_owned();
    let bad = |cause: &str| DecodeError::shape(WHAT, cause, wsname);
    let number = |field| DecodeError::number(WHAT, wsname, field);
    let (base, quote) = symbol.split_once('/').ok_or_else(|| bad("a pair's name has a slash"))?;
    let asset = |name: &str| Asset::from(name).map_err(|e| DecodeError::shape(WHAT, e, wsname));
    if pair.pair_decimals > 18 || pair.lot_decimals > 18 {
        return Err(bad("more than 18 digits after the point"));
    }
    let mut i = Instrument {
        id,
        version: 1,
        venue: VENUE,
        symbol: symbol.parse().map_err(|_| bad("the name is too long"))?,
        base: asset(base)?,
        quote: asset(quote)?,
        tick: tick(pair).map_err(number("tick_size"))?,
        lot: Increment { units: 1, scale: pair.lot_decimals },
        qty_min: Lots::new(1),
        // The venue names no largest order.
        qty_max: Lots::new(i64::MAX.unsigned_abs()),
        value_min: TickLots::ZERO,
        contract: Contract::Spot,
        // Orders are not sent there.
        trade: false,
        book: BookRule { feed: BookFeed::Pushed, depth: DEPTH, checksum: Some(CHECKSUM) },
    };
    if let Some(least) = &pair.ordermin {
        i.qty_min = qty(least, &i, WHAT)?;
    }
    if let Some(least) = &pair.costmin {
        let least = Decimal::parse(least).map_err(number("costmin"))?;
        let floor = i.value_floor(least);
        i.value_min = if i.value(floor) == least { floor } else { TickLots::new(floor.get() + 1) };
    }
    Ok(i)
}

fn tick(pair: &Pair) -> Result<Increment, NumError> {
    let scale = pair.pair_decimals;
    let Some(text) = &pair.tick_size else { return Ok(Increment { units: 1, scale }) };
    let units = Decimal::parse(text)?.at_scale(scale).and_then(|units| u64::try_from(units).ok());
    match units {
        Some(units) if units > 0 => Ok(Increment { units, scale }),
        // Finer than the digits, or none: what it says for itself.
        _ => Increment::parse(text),
    }
}

/// Takes digits and depth of a recorded book of version 1 over into its instrument. Version 1 pads prices (`XMR/USD` of
/// 2021: 2 decimals in the rules, `354.80000000` in the book), and its checksum is over the padded text.
fn as_written(frame: &str, instruments: &mut [Instrument]) {
    let Some(book) = v1::written(frame) else { return };
    for i in instruments.iter_mut().filter(|i| i.symbol.as_str() == book.symbol) {
        i.tick = padded(i.tick, book.price_digits);
        i.lot = padded(i.lot, book.qty_digits);
        i.book.depth = book.depth;
    }
}

/// The same step, written with more digits.
fn padded(step: Increment, scale: u8) -> Increment {
    let more = u32::from(scale.min(18).saturating_sub(step.scale));
    match 10u64.checked_pow(more).and_then(|factor| step.units.checked_mul(factor)) {
        Some(units) if more > 0 => Increment { units, scale },
        _ => step,
    }
}
