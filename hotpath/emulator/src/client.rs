//! A market-data connection as the market sees it: its session, its queue, and what faults have done to it.

use crate::dialect::{Frame, Kind, Session};
use crate::line::Hand;
use crate::state::Out;
use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;

/// At maximal speed a ping follows every so many frames.
const FRAMES_PER_PING: u64 = 4;
/// So many unanswered pings stop the market.
const PINGS_UNANSWERED_MAX: u64 = 2;
/// Old book messages kept per symbol, to be said again.
const MEMORY: usize = 8;
/// A frame nobody expects in this size.
const HUGE: usize = 10 << 20;

/// What happens to a frame on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Pass,
    /// It is lost.
    Lost,
    /// It comes twice.
    Twice,
    /// It comes after so many later changes of the same book.
    Late(u32),
    /// An old one comes after it.
    Replay,
    /// Half of its text.
    Cut,
    /// With 10 MB of something else in it.
    Huge,
}

#[derive(Debug)]
struct Held {
    symbol: Option<usize>,
    left: u32,
    frame: Frame,
}

/// A market-data connection.
#[derive(Debug)]
pub struct MarketClient {
    /// To its writer; bounded.
    pub tx: mpsc::Sender<Out>,
    /// What it has asked for.
    pub session: Box<dyn Session>,
    /// The TCP side.
    pub hand: Arc<Hand>,
    memory: BTreeMap<usize, VecDeque<Utf8Bytes>>,
    held: Vec<Held>,
    sent: u64,
    pings: u64,
    pongs: u64,
}

impl MarketClient {
    /// A new connection.
    pub fn new(tx: mpsc::Sender<Out>, session: Box<dyn Session>, hand: Arc<Hand>) -> MarketClient {
        MarketClient { tx, session, hand, memory: BTreeMap::new(), held: Vec::new(), sent: 0, pings: 0, pongs: 0 }
    }

    /// True when it has not answered enough pings to be sent more at maximal speed.
    pub fn is_behind(&self) -> bool {
        self.session.listens() && self.pings - self.pongs >= PINGS_UNANSWERED_MAX
    }

    /// It answered flow ping number `ping`; perhaps only the newest of several.
    pub fn on_pong(&mut self, ping: u64) {
        self.pongs = self.pongs.max(ping.min(self.pings));
    }

    fn put(&mut self, text: Utf8Bytes) -> bool {
        self.tx.try_send(Out::Text(text)).is_ok()
    }

    /// Sends a market frame that suffers `fate`. Whether the fate could be had, and whether the queue had room.
    pub fn send(&mut self, frame: Frame, fate: Fate, paced: bool) -> (bool, bool) {
        let (symbol, kind) = (frame.symbol, frame.kind);
        let mut had = fate != Fate::Pass;
        let text = frame.text.clone();
        let mut room = match fate {
            Fate::Pass => self.put(text.clone()),
            Fate::Lost => true,
            Fate::Twice => self.put(text.clone()) && self.put(text.clone()),
            Fate::Late(left) => {
                self.held.push(Held { symbol, left, frame });
                return (true, true);
            }
            Fate::Replay => {
                let old = symbol.and_then(|s| self.memory.get(&s)).and_then(|m| m.front().cloned());
                had = old.is_some();
                self.put(text.clone()) && old.is_none_or(|old| self.put(old))
            }
            Fate::Cut => self.put(half(&text)),
            Fate::Huge => self.put(padded(&text)),
        };
        if kind == Kind::Book {
            if let Some(symbol) = symbol {
                let memory = self.memory.entry(symbol).or_default();
                memory.push_back(text);
                if memory.len() > MEMORY {
                    memory.pop_front();
                }
            }
            room &= self.release(symbol);
        }
        if paced {
            room &= self.flow_ping();
        }
        (had, room)
    }

    /// Lets go of what waited for this many changes of the book.
    fn release(&mut self, symbol: Option<usize>) -> bool {
        let mut room = true;
        for mut held in std::mem::take(&mut self.held) {
            if held.symbol == symbol {
                held.left -= 1;
            }
            if held.left == 0 {
                room &= self.put(held.frame.text);
            } else {
                self.held.push(held);
            }
        }
        room
    }

    fn flow_ping(&mut self) -> bool {
        self.sent += 1;
        if !self.sent.is_multiple_of(FRAMES_PER_PING) {
            return true;
        }
        self.pings += 1;
        self.tx.try_send(Out::Ping(Bytes::from(format!("flow:{}", self.pings)))).is_ok()
    }
}

/// The first half of a text.
fn half(text: &str) -> Utf8Bytes {
    let mut end = text.len() / 2;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Utf8Bytes::from(&text[..end])
}

/// The same object with one more member, 10 MB long.
fn padded(text: &str) -> Utf8Bytes {
    let pad = "x".repeat(HUGE);
    match text.strip_prefix('{') {
        Some(rest) => format!("{{\"padding\":\"{pad}\",{rest}").into(),
        None => format!("{text}{}", " ".repeat(HUGE)).into(),
    }
}

/// A text frame as bytes, unmasked as servers send them. The payload needs no meaning, not even UTF-8.
pub fn raw_frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x81];
    match u16::try_from(payload.len()) {
        Ok(n) if n < 126 => bytes.push(n.to_be_bytes()[1]),
        Ok(n) => {
            bytes.push(126);
            bytes.extend(n.to_be_bytes());
        }
        Err(_) => {
            bytes.push(127);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}
