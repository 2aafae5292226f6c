//! Trading rules out of `public/instruments`.

use super::{DEPTH, VENUE, rest};
use crate::adapter::Said;
use crate::poll::{self, Poll};
use crate::wire::{DecodeError, SymbolTable, qty};
use domain::event::Allowed;
use domain::instrument::{BookFeed, BookRule, Checksum, ChecksumText, Contract};
use domain::{Asset, Decimal, Increment, Instrument, InstrumentId, Lots, TickLots};
use serde::Deserialize;

const WHAT: &str = "OKX rules";

const CHECKSUM: Checksum = Checksum { levels: 25, text: ChecksumText::Decimals };

/// Everything is text, and empty where it does not apply.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Rules {
    inst_id: String,
    inst_type: String,
    tick_sz: String,
    lot_sz: String,
    min_sz: String,
    max_lmt_sz: String,
    ct_type: String,
    ct_val: String,
    ct_mult: String,
}

/// The rules of the `wanted` symbols.
pub(super) fn instruments(answers: &[&str], wanted: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
    let (mut all, mut unread): (Vec<Rules>, _) = (Vec::new(), None);
    for answer in answers {
        match rest::data::<Vec<Rules>>(answer, WHAT) {
            Ok(some) => all.extend(some),
            // It is told when something is missing for it; else it was about something else.
            Err(e) => unread = unread.or(Some(e)),
        }
    }
    let mut found = Vec::with_capacity(wanted.len());
    for (n, symbol) in wanted.iter().enumerate() {
        let id = u16::try_from(n).map_err(|e| DecodeError::shape(WHAT, e, symbol))?;
        match all.iter().find(|rules| rules.inst_id == *symbol) {
            Some(rules) => found.push(instrument(InstrumentId(id), rules)?),
            None => return Err(unread.unwrap_or_else(|| DecodeError::shape(WHAT, "one is not among them", symbol))),
        }
    }
    Ok(found)
}

/// What the instruments of `poll` let be done. Before trading starts and while it is suspended or a token is redenominated
/// that is nothing.
pub(super) fn statuses(poll: &Poll, answer: &str, table: &SymbolTable, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct One<'a> {
        inst_id: &'a str,
        state: &'a str,
    }
    let all: Vec<One<'_>> = rest::data(answer, WHAT)?;
    let state = |name: &str| all.iter().find(|one| one.inst_id == name).map(|one| one.state);
    poll::statuses(poll, table, out, |name| state(name).map(|state| (state, allowed(state))));
    Ok(())
}

fn allowed(state: &str) -> Option<Allowed> {
    match state {
        "live" => Some(Allowed::All),
        "post_only" => Some(Allowed::PostOnly),
        "suspend" | "preopen" | "rebase" | "test" => Some(Allowed::Nothing),
        _ => None,
    }
}

fn instrument(id: InstrumentId, rules: &Rules) -> Result<Instrument, DecodeError> {
    let symbol = rules.inst_id.as_str();
    let bad = |cause: &str| DecodeError::shape(WHAT, cause, symbol);
    let number = |field| DecodeError::number(WHAT, symbol, field);
    let asset = |name: &str| Asset::from(name).map_err(|e| DecodeError::shape(WHAT, e, symbol));
    // Contracts have no base and quote of their own; their names begin with both.
    let mut parts = symbol.split('-');
    let (Some(base), Some(quote)) = (parts.next(), parts.next()) else { return Err(bad("a name has a hyphen")) };
    let mut i = Instrument {
        id,
        version: 1,
        venue: VENUE,
        symbol: symbol.parse().map_err(|_| bad("the name is too long"))?,
        base: asset(base)?,
        quote: asset(quote)?,
        tick: Increment::parse(&rules.tick_sz).map_err(number("tickSz"))?,
        lot: Increment::parse(&rules.lot_sz).map_err(number("lotSz"))?,
        qty_min: Lots::ZERO,
        qty_max: Lots::ZERO,
        value_min: TickLots::ZERO,
        contract: contract(rules)?,
        // Orders are not sent there.
        trade: false,
        book: BookRule { feed: BookFeed::Pushed, depth: DEPTH, checksum: Some(CHECKSUM) },
    };
    i.qty_min = qty(&rules.min_sz, &i, WHAT)?;
    i.qty_max = qty(&rules.max_lmt_sz, &i, WHAT)?;
    Ok(i)
}

fn contract(rules: &Rules) -> Result<Contract, DecodeError> {
    let number = |text: &str, field| Decimal::parse(text).map_err(DecodeError::number(WHAT, &rules.inst_id, field));
    let size = || {
        // A contract is worth `ctVal` times `ctMult`.
        let (one, times) = (number(&rules.ct_val, "ctVal")?, number(&rules.ct_mult, "ctMult")?);
        one.checked_mul(times).ok_or_else(|| DecodeError::shape(WHAT, "a contract is too large", &rules.inst_id))
    };
    match (rules.inst_type.as_str(), rules.ct_type.as_str()) {
        ("SPOT", _) => Ok(Contract::Spot),
        ("SWAP" | "FUTURES", "linear") => Ok(Contract::Linear(size()?)),
        ("SWAP" | "FUTURES", "inverse") => Ok(Contract::Inverse(size()?)),
        _ => Err(DecodeError::shape(WHAT, "neither spot nor a linear or inverse contract", &rules.inst_id)),
    }
}
