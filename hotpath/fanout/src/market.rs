//! Folds a run's events into what is handed on: every trade, and of each book at most one snapshot per period of receive
//! time. The same journal gives the same entries, however often it is read and wherever reading was interrupted.

use crate::follow::Input;
use domain::event::{Channel, Level, Trade};
use domain::{Event, Instrument, InstrumentId, Side};
use engine::book::{Book, News};
use engine::stats::BookStats;
use serde_json::json;
use std::collections::BTreeMap;

/// One entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The stream.
    pub key: String,
    /// The journal's record that led to it.
    pub seq: u64,
    /// Names and values.
    pub fields: Vec<(&'static str, String)>,
}

/// How much of books is handed on.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Levels of each side.
    pub levels: usize,
    /// At most one snapshot of a book in this time, ns.
    pub period_ns: u64,
}

struct Watched {
    instrument: Instrument,
    book: Book,
    /// Changed since its last snapshot was handed on.
    changed: bool,
    /// True when the last that was handed on is a live book.
    told_live: bool,
    told_ns: u64,
}

/// The markets of one run.
pub struct Markets {
    depth: Depth,
    all: BTreeMap<InstrumentId, Watched>,
    stats: BookStats,
}

impl Markets {
    /// None yet.
    pub fn new(depth: Depth) -> Markets {
        Markets { depth, all: BTreeMap::new(), stats: BookStats::default() }
    }

    /// Applies one input and adds what it leads to.
    pub fn step(&mut self, input: &Input, out: &mut Vec<Entry>) {
        let now_ns = input.ts_recv_ns;
        let stats = &mut self.stats;
        for watched in self.all.values_mut() {
            watched.hear(|book| book.on_time(now_ns));
        }
        match &input.event {
            Event::Session(_) => self.all.values_mut().for_each(|w| w.hear(Book::chill)),
            Event::Instrument(instrument) => self.on_instrument(instrument),
            Event::Link(link) if link.channel == Channel::Market => {
                for watched in self.all.values_mut().filter(|w| w.instrument.venue == link.venue) {
                    watched.hear(|book| book.on_link(now_ns, link.up));
                }
            }
            Event::BookSnapshot(whole) => {
                if let Some(w) = self.all.get_mut(&whole.instrument) {
                    w.hear(|b| b.on_snapshot(now_ns, whole, stats));
                }
            }
            Event::BookDelta(delta) => {
                if let Some(w) = self.all.get_mut(&delta.instrument) {
                    w.hear(|b| b.on_delta(now_ns, delta, stats));
                }
            }
            Event::BookGap { instrument, .. } => {
                if let Some(w) = self.all.get_mut(instrument) {
                    w.hear(|b| b.on_gap(now_ns, stats));
                }
            }
            Event::SnapshotFailed { instrument, .. } => {
                if let Some(w) = self.all.get_mut(instrument) {
                    w.hear(|b| b.on_snapshot_failed(now_ns, stats));
                }
            }
            Event::Trade(trade) => out.extend(self.all.get(&trade.instrument).map(|w| w.trade(input, trade))),
            _ => {}
        }
        let depth = self.depth;
        out.extend(self.all.values_mut().filter_map(|watched| watched.snapshot(input, depth)));
    }

    /// Rules that changed make a new book: its ticks and lots may mean something else.
    fn on_instrument(&mut self, instrument: &Instrument) {
        let known = self.all.get(&instrument.id);
        if known.is_some_and(|w| w.instrument == *instrument) {
            return;
        }
        let told_live = known.is_some_and(|w| w.told_live);
        let book = Book::new(instrument);
        let watched = Watched { instrument: instrument.clone(), book, changed: true, told_live, told_ns: 0 };
        self.all.insert(instrument.id, watched);
    }
}

impl Watched {
    fn hear(&mut self, what: impl FnOnce(&mut Book) -> News) {
        let news = what(&mut self.book);
        self.changed |= news.moved || news.applied;
    }

    fn key(&self, of: &str) -> String {
        format!("traider:{of}:{}:{}", self.instrument.venue, self.instrument.symbol)
    }

    fn trade(&self, input: &Input, trade: &Trade) -> Entry {
        let side = if trade.aggressor == Side::Buy { "buy" } else { "sell" };
        Entry {
            key: self.key("trades"),
            seq: input.seq,
            fields: vec![
                ("ts_venue_ns", trade.ts_venue_ns.to_string()),
                ("ts_recv_ns", input.ts_recv_ns.to_string()),
                ("trade_id", trade.trade_id.to_string()),
                ("price", self.instrument.price(trade.price).to_string()),
                ("qty", self.instrument.qty(trade.qty).to_string()),
                ("aggressor", side.to_owned()),
            ],
        }
    }

    /// The book, if it has changed and its period is over; at once when it was lost.
    fn snapshot(&mut self, input: &Input, depth: Depth) -> Option<Entry> {
        let live = self.book.is_live();
        let lost = self.told_live && !live;
        let due = live && self.changed && input.ts_recv_ns >= self.told_ns.saturating_add(depth.period_ns);
        if !due && !lost {
            return None;
        }
        (self.changed, self.told_live, self.told_ns) = (false, live, input.ts_recv_ns);
        let side = |levels: &engine::book::Levels| {
            let text =
                |l: Level| json!([self.instrument.price(l.price).to_string(), self.instrument.qty(l.qty).to_string()]);
            let shown = if live { depth.levels } else { 0 };
            serde_json::Value::from(levels.iter().take(shown).map(text).collect::<Vec<_>>()).to_string()
        };
        Some(Entry {
            key: self.key("book"),
            seq: input.seq,
            fields: vec![
                ("ts_recv_ns", input.ts_recv_ns.to_string()),
                ("state", self.book.state().name().to_owned()),
                ("last_id", self.book.last_id().to_string()),
                ("bids", side(self.book.bids())),
                ("asks", side(self.book.asks())),
            ],
        })
    }
}
