//! Frames: several lines are several frames of one connection. What they say goes into books, as in the engine.
//!
//! Beside not panicking:
//!
//! * a space before a frame changes nothing. It makes Binance's scanner give up, so this compares it with the reader that it
//!   stands in for;
//! * every event fits a record of the journal and comes back from it as it was;
//! * no live book is crossed, unsorted, too deep, or holds a level without size;
//! * after whatever came, a good frame says what it says on a new connection.

use crate::market::Market;
use domain::codec::Wire;
use domain::journal::{HEAD, RECORD_MAX};
use domain::{Event, Instrument, InstrumentId};
use engine::book::{Book, LEVELS_MAX, Levels};
use engine::stats::BookStats;
use std::collections::BTreeMap;
use venues::adapter::{Feed, Said};
use venues::wire::DecodeError;

/// More frames in one input find nothing that fewer do not.
const FRAMES_MAX: usize = 64;

macro_rules! venues {
    ($($name:ident = $venue:literal),* $(,)?) => {$(
        pub(crate) fn $name(bytes: &[u8]) {
            run(Market::of($venue), bytes);
        }
    )*};
}
venues!(
    binance = "binance",
    binance_usdm = "binance-usdm",
    binance_coinm = "binance-coinm",
    kraken = "kraken",
    coinbase = "coinbase",
    bybit = "bybit",
    bybit_linear = "bybit-linear",
    okx = "okx",
);

/// How far inputs come: events that they tell, and how many of them left a live book behind.
pub fn reach(venue: &str, inputs: &[Vec<u8>]) -> (usize, usize) {
    let books = inputs.iter().map(|bytes| run(Market::of(venue), bytes));
    books.fold((0, 0), |(events, live), books| (events + books.events, live + books.live))
}

fn run(market: &Market, bytes: &[u8]) -> Books {
    let text = String::from_utf8_lossy(bytes);
    let (mut feed, mut twin) = (market.feed(), market.feed());
    let mut books = Books::new(&market.instruments);
    for frame in text.split('\n').take(FRAMES_MAX) {
        let (said, result) = read(&mut *feed, frame);
        // The protocol's own words, which are no JSON, stand alone.
        let spaced = if frame.starts_with(['{', '[']) { format!(" {frame}") } else { frame.to_owned() };
        let (again, twins_result) = read(&mut *twin, &spaced);
        assert_eq!(said, again, "a space before the frame says something else: {frame}");
        assert_eq!(result.is_ok(), twins_result.is_ok(), "{result:?} and with a space {twins_result:?}: {frame}");
        for one in &said {
            books.hear(market, frame, one);
        }
        market.adapter.symbols_in(frame);
    }
    let (said, result) = read(&mut *feed, market.good);
    let (want, _) = read(&mut *market.feed(), market.good);
    assert!(want.iter().any(|said| matches!(said, Said::Event(_))), "the good frame is none: {want:?}");
    assert!(result.is_ok() && said == want, "afterwards a good frame says {said:?}, {result:?}");
    books
}

fn read(feed: &mut dyn Feed, frame: &str) -> (Vec<Said>, Result<(), DecodeError>) {
    let mut said = Vec::new();
    let result = feed.frame(frame, &mut said);
    (said, result)
}

/// An event goes into the journal and comes back.
pub(crate) fn check_event(event: &Event) {
    let bytes = event.to_bytes();
    assert!(HEAD + bytes.len() <= RECORD_MAX, "{} bytes do not fit a record", bytes.len());
    match Event::from_bytes(&bytes) {
        Ok(back) => assert_eq!(&back, event, "the journal changes it"),
        Err(e) => panic!("the journal cannot give back {event:?}: {e}"),
    }
}

/// The books of a venue, fed as the engine feeds them.
pub(crate) struct Books {
    books: BTreeMap<InstrumentId, Book>,
    stats: BookStats,
    now_ns: u64,
    events: usize,
    /// Events after which a book was live.
    live: usize,
}

impl Books {
    pub(crate) fn new(instruments: &[Instrument]) -> Books {
        let books = instruments.iter().map(|i| (i.id, Book::new(i))).collect();
        Books { books, stats: BookStats::default(), now_ns: 1_700_000_000_000_000_000, events: 0, live: 0 }
    }

    fn hear(&mut self, market: &Market, frame: &str, said: &Said) {
        match said {
            Said::Event(event) => self.event(event),
            // A recorder's question, whose answer stands between the frames.
            Said::RecordedBook(symbol) => {
                let named = symbol.as_deref().map_or(market.instruments.first(), |symbol| market.table.get(symbol));
                let book = named.and_then(|i| market.adapter.read_book(frame, i).ok());
                if let Some(book) = book {
                    self.event(&Event::BookSnapshot(book));
                }
            }
            Said::Reply(_) | Said::Alive | Said::Shutdown | Said::Other(_) => {}
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        check_event(event);
        self.now_ns += 100_000_000;
        self.events += 1;
        let id = match event {
            Event::BookSnapshot(b) => b.instrument,
            Event::BookDelta(d) => d.instrument,
            Event::BookGap { instrument, .. } => *instrument,
            Event::Quote(q) => q.instrument,
            _ => return,
        };
        let book = self.books.get_mut(&id).unwrap_or_else(|| panic!("nobody asked for {id:?}"));
        let stats = &mut self.stats;
        let _news = match event {
            Event::BookSnapshot(b) => book.on_snapshot(self.now_ns, b, stats),
            Event::BookDelta(d) => book.on_delta(self.now_ns, d, stats),
            Event::BookGap { .. } => book.on_gap(self.now_ns, stats),
            Event::Quote(q) => {
                book.on_quote(q, stats);
                return;
            }
            _ => return,
        };
        check_book(book);
        self.live += usize::from(book.is_live());
    }
}

fn check_book(book: &Book) {
    let crossed = book.top().is_some_and(|(bid, ask)| bid.price >= ask.price);
    assert!(!(book.is_live() && crossed), "a live book is crossed: {:?}", book.top());
    for (side, falls) in [(book.bids(), true), (book.asks(), false)] {
        check_side(side, falls);
    }
}

fn check_side(side: &Levels, falls: bool) {
    assert!(side.len() <= LEVELS_MAX);
    let sorted = side.iter().zip(side.iter().skip(1)).all(|(a, b)| (a.price > b.price) == falls && a.price != b.price);
    assert!(sorted, "a side is not in order");
    assert!(side.iter().all(|level| !level.qty.is_zero()), "a level without size");
}
