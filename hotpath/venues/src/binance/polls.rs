//! What Binance tells over HTTP only: open interest of futures, and whether a symbol trades.

use super::adapter::Binance;
use super::{DecodeError, Market, futures};
use crate::adapter::{Adapter, Said};
use crate::poll::{Poll, Polled, Told, pace, statuses};
use crate::wire::{SymbolTable, parse};
use domain::event::Allowed;
use domain::{Event, Instrument};
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

/// Symbols in one question, as for rules.
const SYMBOLS_MAX: usize = 100;
const STATUS_EVERY: Duration = Duration::from_secs(60);
/// Futures are not traded here, and all of them come at once, which are megabytes.
const STATUS_EVERY_FUTURES: Duration = Duration::from_secs(300);
const HELD_EVERY: Duration = Duration::from_secs(30);

/// Of Spot the status of up to a hundred symbols at a time; of futures the status of all, and what is held of each.
pub(super) fn polls(market: Binance, instruments: &[Instrument]) -> Vec<Poll> {
    let names = |some: &[Instrument]| -> Vec<String> { some.iter().map(|i| i.symbol.to_string()).collect() };
    let status = |some: &[Instrument], every| {
        let names = names(some);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let ids: Vec<_> = some.iter().map(|i| i.id).collect();
        let requests = market.rules_requests(&names).into_iter();
        requests.map(move |request| Poll { what: Polled::Status, instruments: ids.clone(), request, every })
    };
    if market.market() == Market::Spot {
        return instruments.chunks(SYMBOLS_MAX).flat_map(|some| status(some, STATUS_EVERY)).collect();
    }
    let held = |i: &Instrument| Poll {
        what: Polled::OpenInterest,
        instruments: vec![i.id],
        request: market.ask("openInterest", &[("symbol", &i.symbol)], 1),
        every: pace(HELD_EVERY, instruments.len(), market.discipline().requests),
    };
    let all = if instruments.is_empty() { None } else { Some(status(instruments, STATUS_EVERY_FUTURES)) };
    all.into_iter().flatten().chain(instruments.iter().map(held)).collect()
}

/// Reads the answer to one of [`polls`].
pub(super) fn read(
    market: Market,
    poll: &Poll,
    answer: &str,
    table: &SymbolTable,
    out: &mut Vec<Said>,
) -> Result<(), DecodeError> {
    match poll.what {
        Polled::OpenInterest => {
            for i in poll.instruments.iter().filter_map(|id| table.by_id(*id)) {
                out.push(Said::Event(Event::OpenInterest(futures::open_interest(answer, i)?)));
            }
        }
        Polled::Status => {
            let info: Info<'_> = parse("exchangeInfo", answer)?;
            statuses(poll, table, out, |name| info.symbols.iter().find(|s| s.symbol == name).map(|s| s.told(market)));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Info<'a> {
    #[serde(borrow)]
    symbols: Vec<Symbol<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Symbol<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    /// COIN-M calls it `contractStatus`.
    #[serde(borrow, alias = "contractStatus")]
    status: Cow<'a, str>,
    is_spot_trading_allowed: Option<bool>,
}

impl Symbol<'_> {
    /// The words are those of the venue's enums, of Spot and of futures.
    fn told(&self, market: Market) -> Told<'_> {
        let allowed = match &*self.status {
            "TRADING" if market == Market::Spot && self.is_spot_trading_allowed == Some(false) => {
                Some(Allowed::Nothing)
            }
            "TRADING" => Some(Allowed::All),
            "CANCEL_ONLY" => Some(Allowed::CancelOnly),
            "HALT" | "BREAK" | "END_OF_DAY" | "PENDING_TRADING" | "PRE_DELIVERING" | "DELIVERING" | "DELIVERED"
            | "PRE_SETTLE" | "SETTLING" | "CLOSE" => Some(Allowed::Nothing),
            _ => None,
        };
        (&self.status, allowed)
    }
}
