//! Recordings through feed and book, a naive book to compare with, and instruments by hand.

use domain::event::Level;
use domain::instrument::{BookRule, Contract};
use domain::{Event, Increment, Instrument, InstrumentId, Lots, TickLots, Venue};
use engine::book::{Book, Levels};
use engine::stats::BookStats;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use venues::adapter::{Adapter, Feed, Said, adapter};
use venues::recording::{Entry, Recording, What};
use venues::wire::SymbolTable;

pub fn venue(name: &str) -> &'static dyn Adapter {
    adapter(Venue::named(name)).unwrap()
}

/// A spot instrument with pushed books; the limits do not matter here.
pub fn instrument(id: u16, venue: &str, symbol: &str, tick: &str, lot: &str) -> Instrument {
    Instrument {
        id: InstrumentId(id),
        version: 1,
        venue: Venue::named(venue),
        symbol: symbol.parse().unwrap(),
        base: "BASE".parse().unwrap(),
        quote: "QUOTE".parse().unwrap(),
        tick: Increment::parse(tick).unwrap(),
        lot: Increment::parse(lot).unwrap(),
        qty_min: Lots::new(1),
        qty_max: Lots::new(1_000_000_000),
        value_min: TickLots::ZERO,
        contract: Contract::Spot,
        trade: true,
        book: BookRule::PUSHED,
    }
}

pub fn feed(adapter: &dyn Adapter, instruments: &[Instrument]) -> Box<dyn Feed> {
    adapter.feed(Arc::new(SymbolTable::new(instruments.iter().cloned())))
}

/// What a readable frame says.
#[track_caller]
pub fn said(feed: &mut dyn Feed, text: &str) -> Vec<Said> {
    let mut out = Vec::new();
    feed.frame(text, &mut out).unwrap_or_else(|e| panic!("{e}: {text}"));
    out
}

/// The events of a readable frame that says nothing else.
#[track_caller]
pub fn events(feed: &mut dyn Feed, text: &str) -> Vec<Event> {
    let event = |s| match s {
        Said::Event(event) => event,
        other => panic!("{other:?}"),
    };
    said(feed, text).into_iter().map(event).collect()
}

/// A fixture made by another project; `None` where it is not there.
pub fn fixture(test: &str, file: &str) -> Option<String> {
    recorded::find(test, &format!("rest/nautilus/{file}")).map(|path| std::fs::read_to_string(path).unwrap())
}

pub fn entries(path: PathBuf) -> Vec<Entry> {
    let mut recording = Recording::open(&path).unwrap();
    let mut out = Vec::new();
    while let Some(entry) = recording.next_entry().unwrap() {
        out.push(entry);
    }
    out
}

/// The recorded answer that holds the rules.
pub fn answer(entries: &[Entry]) -> &str {
    &entries.iter().find(|e| matches!(e.what, What::Http(_))).unwrap().text
}

pub fn received(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|e| e.what == What::Receive)
}

/// Recorded messages of every kind, of a size that is quick to mutate; none where the recordings are not.
pub fn short_frames(test: &str, file: &str) -> Vec<String> {
    let Some(path) = recorded::find(test, file) else { return Vec::new() };
    let short = received(&entries(path)).filter(|e| e.text.len() < 2000).map(|e| e.text.clone()).collect::<Vec<_>>();
    short.into_iter().take(400).collect()
}

/// What came out of a recorded connection.
pub struct Run {
    pub frames: u64,
    pub said: Vec<Said>,
    pub books: BTreeMap<InstrumentId, Book>,
    pub stats: BookStats,
}

/// Every frame of one connection through feed and books. A frame that cannot be read fails the test.
pub fn run(adapter: &dyn Adapter, instruments: &[Instrument], entries: &[Entry]) -> Run {
    let mut feed = feed(adapter, instruments);
    let books = instruments.iter().map(|i| (i.id, Book::new(i))).collect();
    let mut run = Run { frames: 0, said: Vec::new(), books, stats: BookStats::default() };
    for entry in received(entries) {
        let from = run.said.len();
        feed.frame(&entry.text, &mut run.said).unwrap();
        run.frames += 1;
        for said in &run.said[from..] {
            let Said::Event(event) = said else { continue };
            let _news = match event {
                Event::BookSnapshot(b) => {
                    run.books.get_mut(&b.instrument).unwrap().on_snapshot(entry.ts_ns, b, &mut run.stats)
                }
                Event::BookDelta(d) => {
                    run.books.get_mut(&d.instrument).unwrap().on_delta(entry.ts_ns, d, &mut run.stats)
                }
                Event::BookGap { instrument, .. } => {
                    run.books.get_mut(instrument).unwrap().on_gap(entry.ts_ns, &mut run.stats)
                }
                _ => continue,
            };
        }
    }
    run
}

impl Run {
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.said.iter().filter_map(|s| if let Said::Event(event) = s { Some(event) } else { None })
    }
    pub fn others(&self) -> Vec<&'static str> {
        self.said.iter().filter_map(|s| if let Said::Other(what) = s { Some(*what) } else { None }).collect()
    }
    /// Trades on the half of the spread that their aggressor would trade on, by the best prices said last, and others.
    pub fn aggressors(&self) -> (usize, usize) {
        let (mut mids, mut right, mut wrong) = (BTreeMap::new(), 0, 0);
        for event in self.events() {
            match event {
                Event::Quote(q) => {
                    mids.insert(q.instrument, q.bid.price.get() + q.ask.price.get());
                }
                Event::Trade(t) => {
                    let Some(mid2) = mids.get(&t.instrument) else { continue };
                    let above = 2 * t.price.get() > *mid2;
                    if above == (t.aggressor == domain::Side::Buy) { right += 1 } else { wrong += 1 }
                }
                _ => {}
            }
        }
        (right, wrong)
    }
}

/// A book that keeps the venue's text, by price in units of 10^-12.
#[derive(Default)]
pub struct Naive {
    pub sides: [BTreeMap<i128, i128>; 2],
}

impl Naive {
    pub fn set(&mut self, side: usize, price: &Value, qty: &Value) {
        let (price, qty) = (units(price.as_str().unwrap()), units(qty.as_str().unwrap()));
        if qty == 0 {
            self.sides[side].remove(&price);
        } else {
            self.sides[side].insert(price, qty);
        }
    }
    #[track_caller]
    pub fn check(&self, book: &Book, i: &Instrument) {
        let ours = |levels: &Levels| -> Vec<(i128, i128)> {
            let plain = |Level { price, qty }| (i.price(price).at_scale(12).unwrap(), i.qty(qty).at_scale(12).unwrap());
            levels.iter().map(plain).collect()
        };
        assert!(book.is_live());
        assert_eq!(ours(book.bids()), self.sides[0].iter().rev().map(|(p, q)| (*p, *q)).collect::<Vec<_>>());
        assert_eq!(ours(book.asks()), self.sides[1].iter().map(|(p, q)| (*p, *q)).collect::<Vec<_>>());
    }
}

fn units(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<12}").parse().unwrap()
}

/// Any change of a text: bytes replaced, put in or left out, the end cut off.
pub fn mutate(text: &str, changes: &[(usize, u8, u8)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (at, kind, byte) in changes {
        let at = at % (bytes.len() + 1);
        match kind % 4 {
            0 if at < bytes.len() => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
