//! The public side of Binance's three markets as [`Adapter`]s.
//!
//! The futures' stream addresses have two tiers since 2026-04 (`/public` for books and best prices, `/market` for the
//! rest), so their instruments come over two connections each.

use super::feed::Reader;
use super::sign::percent_encode;
use super::{DecodeError, Market, decode, info, polls, symbols, ws};
use crate::adapter::{Adapter, Budget, Connection, Discipline, Endpoints, Feed, Request, Said};
use crate::poll::Poll;
use crate::trades::TradeIds;
use crate::wire::SymbolTable;
use domain::event::{Bar, BookSnapshot};
use domain::{Instrument, Venue};
use std::sync::Arc;
use std::time::Duration;

/// Instruments on one connection. The venue allows 1024 streams; all of them stand in the address, which is kept short
/// of the few KiB that servers take.
const INSTRUMENTS_MAX: usize = 40;
/// Symbols in one question for rules, for the same reason.
const SYMBOLS_MAX: usize = 100;
/// Bars in one answer.
const BARS_MAX: u64 = 1000;
/// COIN-M answers no question for bars over a longer time.
const COIN_M_SPAN_MS: u64 = 200 * 86_400_000;

/// One market of Binance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binance(Market);

/// Binance Spot.
pub static BINANCE: Binance = Binance(Market::Spot);
/// USD-M futures; read only.
pub static USD_M: Binance = Binance(Market::UsdM);
/// COIN-M futures; read only.
pub static COIN_M: Binance = Binance(Market::CoinM);

impl Binance {
    pub(super) const fn market(self) -> Market {
        self.0
    }

    pub(super) fn ask(&self, what: &str, parameters: &[(&str, &str)], weight: u32) -> Request {
        let mut path = format!("{}/{what}", self.0.api());
        for (n, (name, value)) in parameters.iter().enumerate() {
            path.push(if n == 0 { '?' } else { '&' });
            path.push_str(&format!("{name}={}", percent_encode(value)));
        }
        Request { path, weight }
    }

    /// Tiers of the stream address, and the streams of one instrument on each.
    const fn tiers(&self) -> &'static [(&'static str, &'static [&'static str])] {
        const BOOK: &[&str] = &["depth@100ms", "bookTicker"];
        const TAPE: &[&str] = &["aggTrade", "kline_1m", "markPrice@1s", "forceOrder"];
        match self.0 {
            Market::Spot => &[("", &["depth@100ms", "trade", "bookTicker", "kline_1m"])],
            Market::UsdM => &[("/public", BOOK), ("/market", TAPE)],
            Market::CoinM => {
                &[("", &["depth@100ms", "bookTicker", "aggTrade", "kline_1m", "markPrice@1s", "forceOrder"])]
            }
        }
    }
}

impl Adapter for Binance {
    fn venue(&self) -> Venue {
        self.0.venue()
    }

    fn endpoints(&self) -> Endpoints {
        let (rest, streams) = match self.0 {
            Market::Spot => ("https://api.binance.com", "wss://stream.binance.com:9443"),
            Market::UsdM => ("https://fapi.binance.com", "wss://fstream.binance.com"),
            Market::CoinM => ("https://dapi.binance.com", "wss://dstream.binance.com"),
        };
        Endpoints { rest: rest.to_owned(), streams: streams.to_owned() }
    }

    fn discipline(&self) -> Discipline {
        // Spot pings every 20 s, futures every 3 min; two of them may get lost or come late.
        let (silence, weight) = match self.0 {
            Market::Spot => (Duration::from_secs(60), 6000),
            Market::UsdM | Market::CoinM => (Duration::from_secs(400), 2400),
        };
        Discipline {
            ping: None,
            lifetime: Some(Duration::from_secs(24 * 3600)),
            silence,
            messages: Budget { most: 5, window: Duration::from_secs(1) },
            connects: Budget { most: 300, window: Duration::from_secs(300) },
            requests: Budget { most: weight, window: Duration::from_secs(60) },
        }
    }

    fn connections(&self, endpoints: &Endpoints, instruments: &[Instrument]) -> Vec<Connection> {
        let one = |(tier, kinds): (&str, &[&str]), some: &[Instrument]| {
            let streams: Vec<String> = some
                .iter()
                // Not every symbol is ASCII.
                .map(|i| percent_encode(&i.symbol.to_lowercase()))
                .flat_map(|symbol| kinds.iter().map(move |kind| format!("{symbol}@{kind}")))
                .collect();
            debug_assert!(streams.len() <= ws::STREAMS_MAX, "the venue allows no more streams on a connection");
            Connection {
                url: format!("{}{tier}/stream?streams={}", endpoints.streams, streams.join("/")),
                first: Vec::new(),
                instruments: some.iter().map(|i| i.id).collect(),
                books: some
                    .iter()
                    .filter(|_| kinds.iter().any(|kind| kind.starts_with("depth")))
                    .map(|i| i.id)
                    .collect(),
            }
        };
        let groups = instruments.chunks(INSTRUMENTS_MAX);
        groups.flat_map(|some| self.tiers().iter().map(move |tier| one(*tier, some))).collect()
    }

    fn feed(&self, table: Arc<SymbolTable>) -> Box<dyn Feed> {
        Box::new(Reader::new(self.0, table))
    }

    /// Of single trades on Spot, of sums of them (`aggTrade`) on futures; both count up by one.
    fn trade_ids(&self) -> TradeIds {
        TradeIds::Contiguous
    }

    fn renew(&self, _: &Instrument) -> Vec<String> {
        Vec::new()
    }

    fn rules_requests(&self, symbols: &[&str]) -> Vec<Request> {
        if self.0 != Market::Spot {
            // Futures tell all at once, whatever is asked for.
            return vec![self.ask("exchangeInfo", &[], 1)];
        }
        let list = |some: &[&str]| {
            let names: Vec<String> = some.iter().map(|s| format!("\"{s}\"")).collect();
            self.ask("exchangeInfo", &[("symbols", &format!("[{}]", names.join(",")))], 20)
        };
        symbols.chunks(SYMBOLS_MAX).map(list).collect()
    }

    fn read_rules(&self, answers: &[&str], symbols: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
        info::instruments_in(self.0, answers, symbols)
    }

    fn book_request(&self, instrument: &Instrument) -> Request {
        // Spot has 5000 levels for five times the weight: a book a second would use up the budget in half a minute.
        let weight = if self.0 == Market::Spot { 50 } else { 20 };
        self.ask("depth", &[("symbol", &instrument.symbol), ("limit", "1000")], weight)
    }

    fn read_book(&self, answer: &str, instrument: &Instrument) -> Result<BookSnapshot, DecodeError> {
        decode::snapshot(answer, instrument)
    }

    fn polls(&self, instruments: &[Instrument]) -> Vec<Poll> {
        polls::polls(*self, instruments)
    }

    fn read_poll(
        &self,
        poll: &Poll,
        answer: &str,
        table: &SymbolTable,
        out: &mut Vec<Said>,
    ) -> Result<(), DecodeError> {
        polls::read(self.0, poll, answer, table, out)
    }

    fn time_request(&self) -> Request {
        self.ask("time", &[], 1)
    }

    fn read_time(&self, answer: &str) -> Result<u64, DecodeError> {
        info::time_ns(answer)
    }

    fn bars_request(&self, instrument: &Instrument, seconds: u32, from_ns: u64, to_ns: u64) -> Option<Request> {
        let interval = ws::interval(seconds).filter(|name| self.0 == Market::Spot || *name != "1s")?;
        let from_ms = from_ns.div_ceil(1_000_000);
        let mut last_ms = to_ns.div_ceil(1_000_000).saturating_sub(1);
        // No wider than one answer, so that it holds the oldest bars whichever end the venue counts from.
        let span_ms = BARS_MAX * u64::from(seconds) * 1000;
        let span_ms = if self.0 == Market::CoinM { span_ms.min(COIN_M_SPAN_MS) } else { span_ms };
        last_ms = last_ms.min(from_ms.saturating_add(span_ms - 1));
        let (from, last, most) = (from_ms.to_string(), last_ms.to_string(), BARS_MAX.to_string());
        let parameters = [
            ("symbol", instrument.symbol.as_str()),
            ("interval", interval),
            ("startTime", &from),
            ("endTime", &last),
            ("limit", &most),
        ];
        Some(self.ask("klines", &parameters, if self.0 == Market::Spot { 2 } else { 5 }))
    }

    fn read_bars(&self, answer: &str, instrument: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError> {
        info::bars(answer, instrument, seconds)
    }

    fn symbols_in(&self, text: &str) -> Vec<String> {
        symbols::symbols_in(self.0, text)
    }
}

#[cfg(test)]
#[path = "adapter_tests.rs"]
mod tests;
