//! One connection's reader. Between frames it remembers only whose trades come one by one, so that the same trades told
//! in sums (`aggTrade`) are not counted again.

use super::decode::{self, Body};
use super::{DecodeError, Market, SymbolTable, futures, scan};
use crate::adapter::{Feed, Said};
use domain::{Event, InstrumentId};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

pub(super) struct Reader {
    market: Market,
    table: Arc<SymbolTable>,
    told_singly: Vec<InstrumentId>,
    bodies: Vec<Body>,
}

/// COIN-M names the symbol in a whole book, the other markets do not.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    symbol: Option<Cow<'a, str>>,
}

impl Reader {
    pub(super) const fn new(market: Market, table: Arc<SymbolTable>) -> Reader {
        Reader { market, table, told_singly: Vec::new(), bodies: Vec::new() }
    }

    fn told(&mut self, event: &Event) {
        if let Event::Trade(trade) = event
            && !self.told_singly.contains(&trade.instrument)
        {
            self.told_singly.push(trade.instrument);
        }
    }

    fn said(&mut self, body: Body, text: &str) -> Result<Said, DecodeError> {
        Ok(match body {
            Body::Event(event) => {
                self.told(&event);
                Said::Event(event)
            }
            Body::Sum(trade) if self.told_singly.contains(&trade.instrument) => Said::Other("aggTrade"),
            Body::Sum(trade) => Said::Event(Event::Trade(trade)),
            Body::Snapshot => {
                let named: Named<'_> = decode::parse("depth snapshot", text)?;
                Said::RecordedBook(named.symbol.map(Cow::into_owned))
            }
            Body::Reply(complaint) => Said::Reply(complaint),
            Body::Shutdown => Said::Shutdown,
            Body::Other(what) => Said::Other(what),
        })
    }
}

impl Feed for Reader {
    fn frame(&mut self, text: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
        let scanned = match self.market {
            Market::Spot => scan::spot(text, &self.table),
            Market::UsdM | Market::CoinM => scan::futures(text, &self.table),
        };
        if let Some(event) = scanned {
            self.told(&event);
            out.push(Said::Event(event));
            return Ok(());
        }
        let read = match self.market {
            Market::Spot => decode::parsed(text, &self.table).map(|body| self.bodies.push(body)),
            Market::UsdM | Market::CoinM => futures::message(text, &self.table, &mut self.bodies),
        };
        let mut bodies = std::mem::take(&mut self.bodies);
        for body in bodies.drain(..) {
            out.push(self.said(body, text)?);
        }
        self.bodies = bodies;
        read
    }
}
