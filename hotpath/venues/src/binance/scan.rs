//! Reads the three messages that make up nearly all of the traffic in one pass: book changes, trades and best prices in
//! the combined-stream envelope, written the way the venue writes them, without spaces and escapes.
//!
//! It is a shortcut and decides nothing. What it takes is JSON, and it says of it what [`super::decode`] and
//! [`super::futures`] say; the tests compare both. At anything else, wrong or only unusual, it says `None`, and those
//! read the frame from its start. Numbers go to ticks and lots by the same functions.

use super::futures::kind_of;
use crate::wire::{LEVELS_MAX, SymbolTable, ms_to_ns, price, public_qty};
use arrayvec::ArrayVec;
use domain::event::{BookDelta, Level, Quote, Trade};
use domain::{Event, Instrument, Side};

/// Name of what is read; it only shows in errors, and those are told by the other reader.
const WHAT: &str = "market message";
/// Most members of a message that is taken.
const MEMBERS_MAX: usize = 16;
/// Levels of a side for which room is made at first; most changes have fewer.
const LEVELS_USUAL: usize = 16;
/// Stands for the name `pu`; the other names of use have one letter, which stands for itself.
const BEFORE: u8 = 1;

/// The Spot event in `text`.
pub(super) fn spot(text: &str, table: &SymbolTable) -> Option<Event> {
    let (stream, mut m) = envelope(text, table)?;
    match stream.split_once('@').map_or(stream, |(_, kind)| kind) {
        "depth" | "depth@100ms" if m.text(b'e')? == "depthUpdate" => {
            let first_id = m.number(b'U')?;
            m.delta(first_id)
        }
        "trade" if m.text(b'e')? == "trade" => m.trade(),
        "bookTicker" => m.quote(0),
        _ => None,
    }
}

/// The futures event in `text`.
pub(super) fn futures(text: &str, table: &SymbolTable) -> Option<Event> {
    let (stream, mut m) = envelope(text, table)?;
    match kind_of(stream) {
        "depthUpdate" => {
            let first_id = m.number(BEFORE)?.saturating_add(1);
            m.delta(first_id)
        }
        "trade" if m.text(b'X')? == "MARKET" => m.trade(),
        "bookTicker" => m.quote(ms_to_ns(m.number(b'E')?)),
        _ => None,
    }
}

/// The stream's name and the members of the message.
fn envelope<'a>(text: &'a str, table: &'a SymbolTable) -> Option<(&'a str, Members<'a>)> {
    let mut scan = Scan { text, at: 0 };
    scan.skip("{\"stream\":")?;
    let stream = scan.string()?;
    scan.skip(",\"data\":{")?;
    let mut members = Members::default();
    loop {
        let name = scan.string()?;
        scan.eat(b':')?;
        let value = scan.value(&members)?;
        if let ("s", Value::Text(symbol)) = (name, &value) {
            members.instrument = table.get(symbol);
        }
        members.add(name, value)?;
        match scan.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scan.eat(b'}')?;
    (scan.at == text.len()).then_some((stream, members))
}

enum Value<'a> {
    Text(&'a str),
    Number(u64),
    Bool(bool),
    Levels(Vec<Level>),
}

/// Members of use, each once.
#[derive(Default)]
struct Members<'a> {
    all: ArrayVec<(u8, Value<'a>), MEMBERS_MAX>,
    /// A bit for each name.
    seen: u128,
    /// Whose message it is; known from when its symbol was read.
    instrument: Option<&'a Instrument>,
}

impl<'a> Members<'a> {
    /// Keeps a member; `None` when it came before. Longer names are of no use to any reader, however often they come.
    fn add(&mut self, name: &str, value: Value<'a>) -> Option<()> {
        let name = match name.as_bytes() {
            [letter] if letter.is_ascii_alphabetic() => *letter,
            b"pu" => BEFORE,
            _ => return Some(()),
        };
        let bit = 1u128 << name;
        if self.seen & bit != 0 {
            return None;
        }
        self.seen |= bit;
        self.all.try_push((name, value)).ok()
    }

    fn get(&self, name: u8) -> Option<&Value<'a>> {
        self.all.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }
    fn text(&self, name: u8) -> Option<&'a str> {
        if let Value::Text(text) = self.get(name)? { Some(text) } else { None }
    }
    fn number(&self, name: u8) -> Option<u64> {
        if let Value::Number(n) = self.get(name)? { Some(*n) } else { None }
    }
    /// Takes the levels out.
    fn levels(&mut self, name: u8) -> Option<Vec<Level>> {
        let (_, value) = self.all.iter_mut().find(|(own, _)| *own == name)?;
        if let Value::Levels(levels) = value { Some(std::mem::take(levels)) } else { None }
    }

    fn delta(&mut self, first_id: u64) -> Option<Event> {
        Some(Event::BookDelta(BookDelta {
            instrument: self.instrument?.id,
            ts_venue_ns: ms_to_ns(self.number(b'E')?),
            first_id,
            last_id: self.number(b'u')?,
            bids: self.levels(b'b')?,
            asks: self.levels(b'a')?,
            checksum: None,
        }))
    }

    fn trade(&self) -> Option<Event> {
        let Value::Bool(buyer_rested) = self.get(b'm')? else { return None };
        let i = self.instrument?;
        Some(Event::Trade(Trade {
            instrument: i.id,
            ts_venue_ns: ms_to_ns(self.number(b'T')?),
            trade_id: self.number(b't')?,
            price: price(self.text(b'p')?, i, WHAT).ok()?,
            qty: public_qty(self.text(b'q')?, i, WHAT).ok()?,
            aggressor: if *buyer_rested { Side::Sell } else { Side::Buy },
        }))
    }

    fn quote(&self, ts_venue_ns: u64) -> Option<Event> {
        let i = self.instrument?;
        let best = |at, size| level(self.text(at)?, self.text(size)?, i);
        let (bid, ask) = (best(b'b', b'B')?, best(b'a', b'A')?);
        Some(Event::Quote(Quote { instrument: i.id, ts_venue_ns, update_id: self.number(b'u')?, bid, ask }))
    }
}

fn level(at: &str, size: &str, i: &Instrument) -> Option<Level> {
    Some(Level { price: price(at, i, WHAT).ok()?, qty: public_qty(size, i, WHAT).ok()? })
}

/// A place in the text. Every method reads what it is called after and says `None` at anything else.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, what: &str) -> Option<()> {
        self.text.as_bytes()[self.at..].starts_with(what.as_bytes()).then(|| self.at += what.len())
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// A string without escapes; characters below a space are not allowed in any.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.eat(b'"')?;
        let start = self.at;
        while let Some(eight) = self.text.as_bytes()[self.at..].first_chunk::<8>() {
            let ends = ends_of_text(u64::from_le_bytes(*eight));
            if ends != 0 {
                self.at += (ends.trailing_zeros() / 8) as usize;
                break;
            }
            self.at += 8;
        }
        // Stands at the end, or the text has fewer than eight bytes more.
        loop {
            match self.next()? {
                b'"' => return self.text.get(start..self.at - 1),
                b'\\' | 0..0x20 => return None,
                _ => {}
            }
        }
    }

    /// A whole number without sign. JSON allows no zero before other digits.
    fn number(&mut self) -> Option<u64> {
        let (start, mut n) = (self.at, 0u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            n = n.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        let digits = self.at - start;
        (digits == 1 || digits > 1 && self.text.as_bytes()[start] != b'0').then_some(n)
    }

    fn value(&mut self, members: &Members<'_>) -> Option<Value<'a>> {
        Some(match self.peek()? {
            b'"' => Value::Text(self.string()?),
            b'0'..=b'9' => Value::Number(self.number()?),
            b't' => {
                self.skip("true")?;
                Value::Bool(true)
            }
            b'f' => {
                self.skip("false")?;
                Value::Bool(false)
            }
            b'[' => Value::Levels(self.levels(members.instrument?)?),
            _ => return None,
        })
    }

    /// Levels of a book: `[["61737.63","0.5"],["61730.17","0"]]`.
    fn levels(&mut self, i: &Instrument) -> Option<Vec<Level>> {
        self.eat(b'[')?;
        if self.eat(b']').is_some() {
            return Some(Vec::new());
        }
        let mut all = Vec::with_capacity(LEVELS_USUAL);
        loop {
            self.eat(b'[')?;
            let at = self.string()?;
            self.eat(b',')?;
            let size = self.string()?;
            self.eat(b']')?;
            all.push(level(at, size, i)?);
            match self.next()? {
                b',' if all.len() < LEVELS_MAX => {}
                b']' => return Some(all),
                _ => return None,
            }
        }
    }
}

/// Marks quotes, backslashes and characters below a space among eight bytes: the lowest mark is the highest bit of the
/// first of them, marks above it may be wrong. No mark: there are none.
///
/// Source: Sean Eron Anderson, "Bit Twiddling Hacks", "Determine if a word has a byte less than n".
const fn ends_of_text(eight: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let (quote, slash) = (eight ^ (ONES * b'"' as u64), eight ^ (ONES * b'\\' as u64));
    let below = eight.wrapping_sub(ONES * 0x20) & !eight;
    (below | quote.wrapping_sub(ONES) & !quote | slash.wrapping_sub(ONES) & !slash) & HIGH
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
