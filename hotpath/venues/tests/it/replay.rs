//! Runs recorded files and single frames through a venue's adapter into books, as the daemon does.

use domain::event::Event;
use domain::{Instrument, InstrumentId};
use engine::book::Book;
use engine::stats::BookStats;
use std::collections::BTreeMap;
use std::sync::Arc;
use venues::adapter::{Adapter, Feed, Said};
use venues::recording::{Entry, Recording, What};
use venues::wire::SymbolTable;

/// One reader and the books it feeds.
pub(crate) struct Replay {
    feed: Box<dyn Feed>,
    pub(crate) books: BTreeMap<InstrumentId, Book>,
    pub(crate) stats: BookStats,
    /// How often each kind of thing was said.
    pub(crate) said: BTreeMap<&'static str, u64>,
    /// Instruments whose whole book was asked for.
    pub(crate) asked: Vec<InstrumentId>,
    now_ns: u64,
}

impl Replay {
    pub(crate) fn new(adapter: &dyn Adapter, instruments: &[Instrument]) -> Replay {
        let table = Arc::new(SymbolTable::new(instruments.iter().cloned()));
        let books = instruments.iter().map(|i| (i.id, Book::new(i))).collect();
        let (stats, said) = (BookStats::default(), BTreeMap::new());
        Replay { feed: adapter.feed(table), books, stats, said, asked: Vec::new(), now_ns: 0 }
    }

    /// Reads one frame; every book has to be uncrossed after it.
    #[track_caller]
    pub(crate) fn frame(&mut self, text: &str) -> Vec<Said> {
        let mut out = Vec::new();
        self.feed.frame(text, &mut out).unwrap();
        self.take(&out);
        out
    }

    /// Reads one frame that cannot be read; what it said before it failed, and why.
    #[track_caller]
    pub(crate) fn bad_frame(&mut self, text: &str) -> (Vec<Said>, String) {
        let mut out = Vec::new();
        let error = self.feed.frame(text, &mut out).unwrap_err();
        self.take(&out);
        (out, error.to_string())
    }

    fn take(&mut self, out: &[Said]) {
        // A second passes with each frame, so that a book that asks may ask again.
        self.now_ns += 1_000_000_000;
        for said in out {
            *self.said.entry(kind(said)).or_default() += 1;
            let Said::Event(event) = said else { continue };
            let (now, stats) = (self.now_ns, &mut self.stats);
            let (id, news) = match event {
                Event::BookSnapshot(s) => {
                    (s.instrument, self.books.get_mut(&s.instrument).unwrap().on_snapshot(now, s, stats))
                }
                Event::BookDelta(d) => {
                    (d.instrument, self.books.get_mut(&d.instrument).unwrap().on_delta(now, d, stats))
                }
                Event::BookGap { instrument, .. } => {
                    (*instrument, self.books.get_mut(instrument).unwrap().on_gap(now, stats))
                }
                _ => continue,
            };
            if news.ask {
                self.asked.push(id);
            }
        }
    }

    pub(crate) fn book(&self, id: u16) -> &Book {
        &self.books[&InstrumentId(id)]
    }
}

fn kind(said: &Said) -> &'static str {
    match said {
        Said::Event(Event::BookSnapshot(_)) => "snapshot",
        Said::Event(Event::BookDelta(_)) => "delta",
        Said::Event(Event::BookGap { .. }) => "gap",
        Said::Event(Event::Quote(_)) => "quote",
        Said::Event(Event::Trade(_)) => "trade",
        Said::Event(Event::Bar(_)) => "bar",
        Said::Event(Event::Status(_)) => "status",
        Said::Event(_) => "event",
        Said::RecordedBook(_) => "recorded book",
        Said::Reply(_) => "reply",
        Said::Alive => "alive",
        Said::Shutdown => "shutdown",
        Said::Other(what) => what,
    }
}

/// All entries of a recorded file; `None`, with a line, when it is not there.
pub(crate) fn entries(test: &str, file: &str) -> Option<Vec<Entry>> {
    let mut recording = Recording::open(&recorded::find(test, file)?).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = recording.next_entry().unwrap() {
        all.push(entry);
    }
    Some(all)
}

/// The text of a fixture; `None`, with a line, when it is not there.
pub(crate) fn fixture(test: &str, file: &str) -> Option<String> {
    Some(std::fs::read_to_string(recorded::find(test, &format!("rest/{file}"))?).unwrap())
}

pub(crate) fn received(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|e| e.what == What::Receive)
}

/// Runs a recording: the rules from its REST replies and its books, one reader for each connection's frames.
pub(crate) fn run(adapter: &dyn Adapter, entries: &[Entry]) -> Replay {
    let sent = entries.iter().filter(|e| e.what == What::Send);
    let mut symbols: Vec<String> = sent.flat_map(|e| adapter.symbols_in(&e.text)).collect();
    symbols.sort();
    symbols.dedup();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let answers = entries.iter().filter(|e| matches!(e.what, What::Http(_) | What::Receive));
    let answers: Vec<&str> = answers.map(|e| e.text.as_str()).collect();
    let instruments = adapter.read_rules(&answers, &symbols).unwrap();
    let mut replay = Replay::new(adapter, &instruments);
    for entry in received(entries) {
        replay.frame(&entry.text);
    }
    replay
}
