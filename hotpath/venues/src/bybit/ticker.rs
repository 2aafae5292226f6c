//! Tickers of linear contracts: a whole one first, then only what changed. What is absent stays as it was; it never
//! becomes nothing or zero.

use crate::adapter::Said;
use crate::wire::{DecodeError, ms_to_ns, parse, price, public_qty};
use domain::event::{Funding, Level, Mark, OpenInterest, Quote};
use domain::{Decimal, Event, Instrument, Lots, Ticks};
use serde::Deserialize;

const WHAT: &str = "tickers";

/// The last that was said of each.
#[derive(Default)]
pub(super) struct Ticker {
    bid: (Option<Ticks>, Option<Lots>),
    ask: (Option<Ticks>, Option<Lots>),
    mark: Option<Decimal>,
    index: Option<Decimal>,
    funding_rate: Option<Decimal>,
    /// ns.
    funding_next: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    bid1_price: Option<&'a str>,
    bid1_size: Option<&'a str>,
    ask1_price: Option<&'a str>,
    ask1_size: Option<&'a str>,
    mark_price: Option<&'a str>,
    index_price: Option<&'a str>,
    funding_rate: Option<&'a str>,
    next_funding_time: Option<&'a str>,
    /// Both sides of each position.
    open_interest: Option<&'a str>,
    /// Each position once; there since 2026-06-11.
    single_open_interest: Option<&'a str>,
}

impl Ticker {
    /// Reads a ticker and says what it tells anew.
    pub(super) fn read(
        &mut self,
        i: &Instrument,
        whole: bool,
        data: &str,
        ts_venue_ns: u64,
        out: &mut Vec<Said>,
    ) -> Result<(), DecodeError> {
        let fields: Fields<'_> = parse(WHAT, data)?;
        if whole {
            *self = Ticker::default();
        }
        let instrument = i.id;
        let before = out.len();
        if self.take_best(&fields, i)?
            && let (Some(bid), Some(ask)) = (level(self.bid), level(self.ask))
        {
            out.push(Said::Event(Event::Quote(Quote { instrument, ts_venue_ns, update_id: 0, bid, ask })));
        }
        let number = |text, field| decimal(text, i, field);
        let marked = take(&mut self.mark, number(fields.mark_price, "markPrice")?)
            | take(&mut self.index, number(fields.index_price, "indexPrice")?);
        if marked {
            let (mark, index) = (self.mark, self.index);
            out.push(Said::Event(Event::Mark(Mark { instrument, ts_venue_ns, mark, index })));
        }
        let next = said(fields.next_funding_time).map(|text| text.parse().map(ms_to_ns)).transpose();
        let next = next.map_err(|e| DecodeError::shape(WHAT, e, data))?;
        let funded = take(&mut self.funding_rate, number(fields.funding_rate, "fundingRate")?)
            | take(&mut self.funding_next, next);
        if funded && let Some(rate) = self.funding_rate {
            let next_ns = self.funding_next.unwrap_or(0);
            out.push(Said::Event(Event::Funding(Funding { instrument, ts_venue_ns, rate, next_ns })));
        }
        let both_sides = number(fields.open_interest, "openInterest")?.and_then(half);
        if let Some(size) = number(fields.single_open_interest, "singleOpenInterest")?.or(both_sides) {
            out.push(Said::Event(Event::OpenInterest(OpenInterest { instrument, ts_venue_ns, size })));
        }
        if out.len() == before {
            out.push(Said::Other("ticker of nothing we follow"));
        }
        Ok(())
    }

    /// Takes what is said of best prices; false when that is nothing.
    fn take_best(&mut self, fields: &Fields<'_>, i: &Instrument) -> Result<bool, DecodeError> {
        let ticks = |text| said(text).map(|text| price(text, i, WHAT)).transpose();
        let lots = |text| said(text).map(|text| public_qty(text, i, WHAT)).transpose();
        Ok(take(&mut self.bid.0, ticks(fields.bid1_price)?)
            | take(&mut self.bid.1, lots(fields.bid1_size)?)
            | take(&mut self.ask.0, ticks(fields.ask1_price)?)
            | take(&mut self.ask.1, lots(fields.ask1_size)?))
    }
}

/// Empty text says as little as none.
fn said(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn take<T>(last: &mut Option<T>, new: Option<T>) -> bool {
    let is_said = new.is_some();
    if is_said {
        *last = new;
    }
    is_said
}

fn level((price, qty): (Option<Ticks>, Option<Lots>)) -> Option<Level> {
    Some(Level { price: price?, qty: qty? })
}

fn decimal(text: Option<&str>, i: &Instrument, field: &'static str) -> Result<Option<Decimal>, DecodeError> {
    said(text).map(|text| Decimal::parse(text).map_err(DecodeError::number(WHAT, &i.symbol, field))).transpose()
}

/// Exactly half; `None` past the range of numbers.
fn half(n: Decimal) -> Option<Decimal> {
    n.checked_mul(Decimal::new(5, 1)).filter(|half| half.scale <= domain::num::SCALE_MAX).map(Decimal::normalized)
}
