//! From one event to every client's frames, through the faults that are due.

use crate::client::{Fate, MarketClient, raw_frame};
use crate::clock::Speed;
use crate::dialect::{Frame, Kind, News};
use crate::fault::{BadBook, Fault, FaultKind};
use crate::source::Message;
use crate::state::{Out, World};
use domain::event::Level;
use domain::{Event, Side};
use std::time::Duration;

/// How many changes of a pushed book overtake a slow whole one.
const OVERTAKE: u32 = 3;

const fn fate(kind: FaultKind) -> Fate {
    match kind {
        FaultKind::Gap => Fate::Lost,
        FaultKind::Duplicate => Fate::Twice,
        FaultKind::Reorder => Fate::Late(1),
        FaultKind::Replay => Fate::Replay,
        FaultKind::Truncated => Fate::Cut,
        FaultKind::Huge => Fate::Huge,
        // Written into the message itself, or not of messages.
        _ => Fate::Pass,
    }
}

fn symbol_of(event: &Event) -> Option<usize> {
    let id = match event {
        Event::BookDelta(d) => d.instrument,
        Event::Trade(t) => t.instrument,
        Event::Quote(q) => q.instrument,
        Event::Mark(m) => m.instrument,
        Event::Funding(f) => f.instrument,
        Event::OpenInterest(o) => o.instrument,
        Event::Liquidation(l) => l.instrument,
        Event::Status(s) => s.instrument?,
        _ => return None,
    };
    Some(usize::from(id.0))
}

impl World {
    /// Sends an event to every client that wants it, and lets the fault happen that is due on it.
    pub fn send_market(&mut self, ts_ns: u64, message: &Message) {
        let Some(symbol) = symbol_of(&message.event).filter(|s| *s < self.symbols.len()) else { return };
        let name = self.symbols[symbol].listed.instrument.symbol;
        let is_book = matches!(message.event, Event::BookDelta(_));
        let fault = is_book.then(|| self.faults.of_message(ts_ns, &name)).flatten();
        let crossed = fault.filter(|(_, kind)| *kind == FaultKind::Crossed).and_then(|_| self.false_bid(symbol));
        let mut event = message.event.clone();
        if let (Event::BookDelta(delta), Some(level)) = (&mut event, crossed) {
            delta.bids.push(level);
        }
        let paced = self.clock.speed() == Speed::Max;
        let dialect = self.dialect;
        let mut market = std::mem::take(&mut self.market);
        let view = self.view(ts_ns);
        let wires = match (&message.wire, crossed) {
            (Some(recorded), None) => vec![recorded.clone()],
            _ => dialect.wires(&view, &event),
        };
        let wrong_checksum = fault.is_some_and(|(_, kind)| kind == FaultKind::Checksum);
        let news = News { ts_ns, symbol, event: &event, wires: &wires, crossed, wrong_checksum };
        let said: Vec<(u64, Vec<Frame>)> = market
            .iter_mut()
            .map(|(id, client)| (*id, client.session.tell(&view, &news)))
            .filter(|(_, frames)| !frames.is_empty())
            .collect();
        let mut happened = false;
        for (id, frames) in said {
            for frame in frames {
                let Some(client) = market.get_mut(&id) else { break };
                let hit = fault.filter(|_| frame.kind == Kind::Book);
                let fate = match hit {
                    Some((_, kind)) => fate(kind),
                    None if self.faults.is_silent(ts_ns, &name, frame.kind) => Fate::Lost,
                    None => Fate::Pass,
                };
                let (had, room) = client.send(frame, fate, paced);
                happened |=
                    hit.is_some_and(|(_, kind)| had || matches!(kind, FaultKind::Crossed | FaultKind::Checksum));
                if !room {
                    tracing::warn!(client = id, "too slow: its queue is full, disconnecting it as the venue would");
                    // Dropping the sender makes the writer close the connection.
                    market.remove(&id);
                }
            }
        }
        self.market = market;
        if let Some((at, _)) = fault.filter(|_| happened) {
            self.faults.happened(at, ts_ns, Some(&name));
        }
    }

    /// A bid some ticks above the best ask.
    fn false_bid(&self, symbol: usize) -> Option<Level> {
        let ask = self.symbols[symbol].truth.side(Side::Sell, 1).first().copied()?;
        Some(Level { price: ask.price.plus(3), qty: ask.qty })
    }

    /// Answers a client's message. False when its queue is full.
    pub fn hear(&mut self, id: u64, text: &str) {
        self.traffic.message(id);
        let now_ns = self.now_ns();
        let Some(mut client) = self.market.remove(&id) else { return };
        let bad = self.bad_book(now_ns, None);
        let mut view = self.view(now_ns);
        view.stale = bad.filter(|(_, bad, _)| *bad == BadBook::Stale).map(|(_, _, symbol)| symbol);
        let frames = client.session.hear(&view, text);
        let mut room = true;
        for frame in frames {
            let hit = bad.filter(|(_, _, symbol)| frame.kind == Kind::Snapshot && frame.symbol == Some(*symbol));
            let fate = match hit {
                Some((_, BadBook::Slow(_), _)) => Fate::Late(OVERTAKE),
                _ => Fate::Pass,
            };
            if let Some((at, _, symbol)) = hit {
                let name = self.symbols[symbol].listed.instrument.symbol;
                self.faults.happened(at, now_ns, Some(&name));
            }
            room &= client.send(frame, fate, false).1;
        }
        if room {
            self.market.insert(id, client);
        }
    }

    /// What is wrong with the next whole book: of `symbol`, or of whichever comes first.
    fn bad_book(&self, now_ns: u64, symbol: Option<usize>) -> Option<(usize, BadBook, usize)> {
        let of = |at: usize| {
            let name = self.symbols[at].listed.instrument.symbol;
            self.faults.of_book(now_ns, &name).map(|(fault, bad)| (fault, bad, at))
        };
        match symbol {
            Some(at) => of(at),
            None => (0..self.symbols.len()).find_map(of),
        }
    }

    /// What is wrong with the answer to a question for this symbol's whole book: whether it is the one of the start, and
    /// how late it comes. Counted.
    pub fn spoil_book(&mut self, symbol: usize) -> (bool, Duration) {
        let now_ns = self.now_ns();
        let Some((at, bad, _)) = self.bad_book(now_ns, Some(symbol)) else { return (false, Duration::ZERO) };
        let name = self.symbols[symbol].listed.instrument.symbol;
        self.faults.happened(at, now_ns, Some(&name));
        match bad {
            BadBook::Stale => (true, Duration::ZERO),
            BadBook::Slow(by) => (false, by),
        }
    }

    /// Lets happen what is due to all connections.
    pub fn disturb(&mut self, ts_ns: u64) {
        self.wake_readers(ts_ns);
        while let Some((at, fault)) = self.faults.of_connections(ts_ns) {
            if !self.has_listeners() {
                return;
            }
            let symbol = fault
                .symbol
                .as_ref()
                .and_then(|name| self.symbols.iter().position(|s| s.listed.instrument.symbol.as_str() == name));
            let mut market = std::mem::take(&mut self.market);
            for client in market.values_mut().filter(|c| c.session.listens()) {
                self.strike(ts_ns, client, &fault, symbol.unwrap_or(0));
            }
            self.market = market;
            let name = symbol.map(|s| self.symbols[s].listed.instrument.symbol);
            self.faults.happened(at, ts_ns, name.as_deref());
        }
    }

    fn strike(&mut self, ts_ns: u64, client: &mut MarketClient, fault: &Fault, symbol: usize) {
        let view = self.view(ts_ns);
        let outs = match fault.kind {
            FaultKind::HalfOpen => {
                client.hand.half_open();
                Vec::new()
            }
            FaultKind::SlowConsumer => {
                client.hand.set_deaf(true);
                self.deaf_until_ns = Some(ts_ns.saturating_add(fault.for_ns));
                Vec::new()
            }
            FaultKind::Reset => {
                let mut bytes = raw_frame(&[b' '; 2000]);
                bytes.truncate(1000);
                vec![Out::Reset(bytes)]
            }
            FaultKind::Utf8 => vec![Out::Raw(raw_frame(b"{\"x\":\"\xc3\x28\xff\"}"))],
            FaultKind::UnknownEnum => vec![Out::Text(client.session.odd(&view, symbol).text)],
            FaultKind::Close => {
                let notice = client.session.notice(&view).map(|frame| Out::Text(frame.text));
                notice.into_iter().chain([Out::Close(1001, "going away")]).collect()
            }
            _ => Vec::new(),
        };
        for out in outs {
            if client.tx.try_send(out).is_err() {
                tracing::warn!("a client's queue is full, so a fault did not reach it");
            }
        }
    }

    fn wake_readers(&mut self, ts_ns: u64) {
        if self.deaf_until_ns.is_some_and(|until| until <= ts_ns) {
            self.deaf_until_ns = None;
            self.market.values().for_each(|c| c.hand.set_deaf(false));
        }
    }

    /// A second of wall time has passed: heartbeats.
    pub fn tick(&mut self) {
        let now_ns = self.now_ns();
        let mut market = std::mem::take(&mut self.market);
        let view = self.view(now_ns);
        market.retain(|_, client| {
            let frames = client.session.tick(&view);
            frames.into_iter().all(|frame| client.send(frame, Fate::Pass, false).1)
        });
        self.market = market;
        self.disturb(now_ns);
    }
}
