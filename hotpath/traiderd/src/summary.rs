//! What a run came to, as one JSON object.

use crate::journal::Sealed;
use crate::telemetry::{Latencies, Telemetry, get};
use domain::Decimal;
use engine::View;
use engine::engine::view::Pnl;
use engine::stats::{BookStats, OrderStats};
use serde::Serialize;
use settings::Halt;
use std::collections::BTreeMap;

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The run.
    pub run_id: String,
    /// Its mode.
    pub mode: &'static str,
    /// Why it ended.
    pub ended: String,
    /// The halt in force at the end, in the words of `halt.json`; null when entries were allowed.
    pub halt: Option<Halt>,
    /// Market frames received in this session.
    pub frames: u64,
    /// Market frames that could not be read.
    pub frames_unreadable: u64,
    /// Order books.
    pub book: BookSummary,
    /// Orders.
    pub orders: OrderStats,
    /// Fills booked.
    pub fills: u64,
    /// Signals given.
    pub signals: u64,
    /// Orders not closed at the end.
    pub open_orders: usize,
    /// What is held at the end, in base, per symbol.
    pub position: BTreeMap<String, Decimal>,
    /// Profit and loss, when all instruments are paid in one asset.
    pub pnl: Option<Pnl>,
    /// Profit and loss per quote asset.
    pub pnl_by_quote: BTreeMap<String, Pnl>,
    /// The journal.
    pub journal: JournalSummary,
    /// How long things took, ns.
    pub latency_ns: Latencies,
    /// Times a producer had to wait for the engine.
    pub stalls: u64,
}

/// Counters of the order books, in the numbers by which other programs describe a recording.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BookSummary {
    /// Changes applied that are wholly newer than the snapshot they build on.
    pub diffs_applied: u64,
    /// Changes applied that overlap their snapshot: at most one per snapshot.
    pub diffs_bridged: u64,
    /// Snapshots taken as a base.
    pub snapshots: u64,
    /// Changes missing in the stream.
    pub sequence_breaks: u64,
    /// Times a book stood crossed after a change.
    pub crossed: u64,
    /// Book tops compared with the venue's own best bid and ask of the same update id.
    pub tops_compared: u64,
    /// Those that were equal in price and size.
    pub tops_equal: u64,
}

impl From<BookStats> for BookSummary {
    fn from(s: BookStats) -> BookSummary {
        BookSummary {
            diffs_applied: s.diffs_applied,
            diffs_bridged: s.diffs_bridged,
            snapshots: s.snapshots,
            sequence_breaks: s.sequence_breaks,
            crossed: s.crossed,
            tops_compared: s.tops_compared,
            tops_equal: s.tops_equal,
        }
    }
}

/// The journal's end.
#[derive(Clone, Debug, Serialize)]
pub struct JournalSummary {
    /// Records of the run.
    pub records: u64,
    /// Effects of the run.
    pub effects: u64,
    /// Hash over them, hex.
    pub effects_hash: String,
}

/// What only the session knows of itself.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    /// The run.
    pub run_id: &'a str,
    /// Its mode.
    pub mode: &'static str,
    /// Why it ended.
    pub ended: &'a str,
    /// The halt in force at the end.
    pub halt: Option<Halt>,
}

/// Puts a summary together.
pub fn summary(told: Told<'_>, view: &View, sealed: &Sealed, t: &Telemetry) -> Summary {
    Summary {
        run_id: told.run_id.to_owned(),
        mode: told.mode,
        ended: told.ended.to_owned(),
        halt: told.halt,
        frames: t.streams.traded(|s| &s.frames),
        frames_unreadable: t.streams.traded(|s| &s.unreadable),
        book: view.stats.book.into(),
        orders: view.stats.orders,
        fills: view.stats.fills,
        signals: view.stats.signals,
        open_orders: view.orders.len(),
        position: view.instruments.iter().filter(|i| i.trade).map(|i| (i.symbol.clone(), i.position.qty)).collect(),
        pnl: view.pnl.values().next().copied().filter(|_| view.pnl.len() == 1),
        pnl_by_quote: view.pnl.clone(),
        journal: JournalSummary {
            records: sealed.records,
            effects: view.effects_count,
            effects_hash: view.effects_hash.clone(),
        },
        latency_ns: t.latencies(),
        stalls: get(&t.stalls),
    }
}
