//! Books of Advanced Trade. A change of a book has no number of its own, so they are counted here. The first one is
//! number 2: a whole book from a question has number 0, and no change of the stream fits on it.
//!
//! What cannot be read is lost, and no id would show it, so it is said at once.

use super::feed::CoinbaseFeed;
use super::instruments;
use crate::adapter::Said;
use crate::wire::{self, DecodeError, LEVELS_MAX, parse};
use domain::event::{BookDelta, BookSnapshot, Level, note};
use domain::{Event, Instrument, Side};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

const WHAT: &str = "l2_data";

#[derive(Deserialize)]
struct L2Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    updates: Vec<Update<'a>>,
}

#[derive(Deserialize)]
struct Update<'a> {
    #[serde(borrow)]
    side: Cow<'a, str>,
    #[serde(borrow)]
    price_level: &'a str,
    #[serde(borrow)]
    new_quantity: &'a str,
}

/// What a message says of one book.
pub(super) struct Change {
    /// It is the whole book.
    pub(super) whole: bool,
    pub(super) ts_ns: u64,
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

impl CoinbaseFeed {
    pub(super) fn book(&mut self, events: &str, ts_ns: u64, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        let events: Vec<L2Event<'_>> = parse(WHAT, events).inspect_err(|_| self.lost("unreadable change", out))?;
        let table = Arc::clone(&self.table);
        let mut result = Ok(());
        for event in &events {
            let mut known = false;
            for i in instruments(&table, &event.product_id) {
                known = true;
                // One book that cannot be read takes nothing from the others.
                result = result.and(self.change(i, change(event, i, ts_ns), out));
            }
            if !known {
                out.push(Said::Other("unknown symbol"));
            }
        }
        result
    }

    /// Says a change of the book of `i`, or that one was lost.
    pub(super) fn change(
        &mut self,
        i: &Instrument,
        change: Result<Change, Unread>,
        out: &mut Vec<Said>,
    ) -> Result<(), DecodeError> {
        let book_id = &mut self.streams.entry(i.id).or_default().book_id;
        let id = book_id.unwrap_or(1) + 1;
        *book_id = Some(id);
        let event = match change {
            Ok(Change { whole: true, ts_ns, bids, asks }) => Event::BookSnapshot(BookSnapshot {
                instrument: i.id,
                ts_venue_ns: ts_ns,
                last_id: id,
                bids,
                asks,
                checksum: None,
            }),
            Ok(Change { whole: false, ts_ns, bids, asks }) => Event::BookDelta(BookDelta {
                instrument: i.id,
                ts_venue_ns: ts_ns,
                first_id: id,
                last_id: id,
                bids,
                asks,
                checksum: None,
            }),
            Err(unread) => {
                let reason = note("unreadable change");
                out.push(Said::Event(Event::BookGap { instrument: i.id, reason }));
                return match unread {
                    Unread::Unknown(what) => {
                        out.push(Said::Other(what));
                        Ok(())
                    }
                    Unread::Bad(error) => Err(error),
                };
            }
        };
        out.push(Said::Event(event));
        Ok(())
    }
}

/// Why a change could not be read.
pub(super) enum Unread {
    /// A value of a closed set that we do not know.
    Unknown(&'static str),
    /// Something else than documented.
    Bad(DecodeError),
}

impl From<DecodeError> for Unread {
    fn from(error: DecodeError) -> Unread {
        Unread::Bad(error)
    }
}

fn change(event: &L2Event<'_>, i: &Instrument, ts_ns: u64) -> Result<Change, Unread> {
    let whole = match &*event.kind {
        "snapshot" => true,
        "update" => false,
        _ => return Err(Unread::Unknown("unknown book event")),
    };
    let mut change = Change { whole, ts_ns, bids: Vec::new(), asks: Vec::new() };
    for u in &event.updates {
        let side = match &*u.side {
            "bid" => Side::Buy,
            "offer" => Side::Sell,
            _ => return Err(Unread::Unknown("unknown book side")),
        };
        change.push(side, u.price_level, u.new_quantity, i)?;
    }
    Ok(change)
}

impl Change {
    pub(super) fn push(&mut self, side: Side, price: &str, qty: &str, i: &Instrument) -> Result<(), DecodeError> {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if levels.len() == LEVELS_MAX {
            let many = format_args!("more than the {LEVELS_MAX} levels on one side that make sense");
            return Err(DecodeError::shape(WHAT, many, &i.symbol));
        }
        levels.push(Level { price: wire::price(price, i, WHAT)?, qty: wire::public_qty(qty, i, WHAT)? });
        Ok(())
    }
}
