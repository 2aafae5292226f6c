//! One instrument in recordings: its book, and what is counted of it.

use super::clock::Clock;
use domain::event::{BookDelta, BookSnapshot};
use domain::instrument::{BookFeed, BookRule};
use domain::{Event, Instrument, InstrumentId, Venue};
use engine::book::{Book, News};
use engine::stats::BookStats;
use serde_json::{Value, json};
use venues::adapter::adapter;
use venues::trades::{TradeIds, TradeWatch};

/// What is counted of a book and of trades, by name.
pub(super) const COUNTS: [&str; 12] = [
    "messages",
    "diffs_applied",
    "sequence_breaks",
    "tops_compared",
    "tops_equal",
    "checksums_ok",
    "checksums_total",
    "crossed",
    "gaps",
    "trade_gaps",
    "trades_missing",
    "trades_repeated",
];

/// One instrument in recordings.
pub(super) struct Track {
    instrument: Instrument,
    rules_recorded: bool,
    book: Book,
    stats: BookStats,
    clock: Clock,
    messages: u64,
    /// Changes that were applied to a live book: what was kept for the whole book to come is not counted.
    applied: u64,
    diffs: u64,
    wholes: u64,
    trades: TradeWatch,
    quotes: u64,
    last_id: Option<u64>,
    now_ns: u64,
    /// The book waits for a whole one.
    asked: bool,
    /// A recorded whole book that came before it was asked for.
    spare: Option<BookSnapshot>,
}

impl Track {
    pub(super) fn new(instrument: &Instrument, rules_recorded: bool) -> Track {
        // An instrument comes from an adapter; were it none, its ids would prove nothing.
        let ids = adapter(instrument.venue).map_or(TradeIds::Unordered, |a| a.trade_ids());
        Track {
            instrument: instrument.clone(),
            rules_recorded,
            book: Book::new(instrument),
            stats: BookStats::default(),
            clock: Clock::default(),
            messages: 0,
            applied: 0,
            diffs: 0,
            wholes: 0,
            trades: TradeWatch::new(ids),
            quotes: 0,
            last_id: None,
            now_ns: 0,
            asked: false,
            spare: None,
        }
    }

    pub(super) const fn venue(&self) -> Venue {
        self.instrument.venue
    }
    pub(super) const fn instrument(&self) -> &Instrument {
        &self.instrument
    }
    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }
    /// Last id of the last change that came.
    pub(super) const fn last_id(&self) -> Option<u64> {
        self.last_id
    }

    /// One more message spoke of it.
    pub(super) const fn heard(&mut self) {
        self.messages += 1;
    }

    /// A market event of it came.
    pub(super) fn event(&mut self, recv_ns: u64, event: &Event) {
        let now_ns = self.now(recv_ns);
        match event {
            Event::BookDelta(delta) => {
                self.clock.saw(recv_ns, delta.ts_venue_ns);
                self.delta(now_ns, delta);
            }
            Event::BookSnapshot(whole) => self.pushed(now_ns, whole),
            Event::BookGap { .. } => {
                let news = self.book.on_gap(now_ns, &mut self.stats);
                self.answer(now_ns, news);
            }
            Event::Quote(quote) => {
                self.clock.saw(recv_ns, quote.ts_venue_ns);
                self.quotes += 1;
                self.book.on_quote(quote, &mut self.stats);
            }
            Event::Trade(trade) => {
                self.clock.saw(recv_ns, trade.ts_venue_ns);
                self.trades.on(trade.trade_id);
            }
            _ => {}
        }
    }

    fn delta(&mut self, now_ns: u64, delta: &BookDelta) {
        self.diffs += 1;
        self.last_id = Some(delta.last_id);
        let news = self.book.on_delta(now_ns, delta, &mut self.stats);
        self.applied += u64::from(news.applied);
        self.answer(now_ns, news);
    }

    /// The book's time: a recorder's clock that steps back stands still there.
    fn now(&mut self, recv_ns: u64) -> u64 {
        self.now_ns = self.now_ns.max(recv_ns);
        self.now_ns
    }

    /// A whole book came in the stream.
    fn pushed(&mut self, now_ns: u64, whole: &BookSnapshot) {
        if self.instrument.book.feed == BookFeed::Asked && !self.rules_recorded && self.wholes == 0 {
            // The rules are not known, but this shows where its whole books come from.
            self.instrument.book = BookRule::PUSHED;
            self.book = Book::new(&self.instrument);
        }
        if self.instrument.book.feed == BookFeed::Asked {
            return self.whole(now_ns, whole.clone());
        }
        self.wholes += 1;
        self.last_id = Some(whole.last_id);
        let news = self.book.on_snapshot(now_ns, whole, &mut self.stats);
        self.answer(now_ns, news);
    }

    /// A whole book was recorded beside the stream.
    pub(super) fn whole(&mut self, recv_ns: u64, whole: BookSnapshot) {
        self.wholes += 1;
        if self.instrument.book.feed == BookFeed::Pushed || self.book.is_live() {
            return;
        }
        self.spare = Some(whole);
        if self.asked {
            let now_ns = self.now(recv_ns);
            self.use_spare(now_ns);
        }
    }

    fn answer(&mut self, now_ns: u64, news: News) {
        self.asked |= news.ask;
        if news.ask {
            self.use_spare(now_ns);
        }
    }

    fn use_spare(&mut self, now_ns: u64) {
        if let Some(whole) = self.spare.take() {
            self.asked = false;
            // What it was good for shows in the book's state.
            let _news = self.book.on_snapshot(now_ns, &whole, &mut self.stats);
        }
    }

    /// Its connection was opened anew: what comes now does not build on what came before.
    pub(super) fn reconnected(&mut self, recv_ns: u64) {
        let now_ns = self.now(recv_ns);
        let _down = self.book.on_link(now_ns, false);
        let _up = self.book.on_link(now_ns, true);
        self.asked = false;
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        let news = self.book.on_time(u64::MAX);
        self.answer(u64::MAX, news);
    }

    /// Why there is no book although there are changes of one.
    pub(super) fn refused(&self) -> Option<&'static str> {
        match (self.diffs, self.stats.snapshots, self.wholes) {
            (0, _, _) | (_, 1.., _) => None,
            (_, 0, 0) => Some("there are changes of its book, but no whole book that they build on"),
            (_, 0, _) => Some("no recorded whole book fits the changes"),
        }
    }

    /// One of [`COUNTS`].
    pub(super) fn count(&self, name: &str) -> u64 {
        match name {
            "messages" => self.messages,
            "diffs_applied" => self.applied,
            "sequence_breaks" => self.stats.sequence_breaks,
            "tops_compared" => self.stats.tops_compared,
            "tops_equal" => self.stats.tops_equal,
            "checksums_ok" => self.stats.checksums_equal,
            "checksums_total" => self.stats.checksums,
            "crossed" => self.stats.crossed,
            "gaps" => self.stats.gaps,
            "trade_gaps" => self.trades.counts().gaps,
            "trades_missing" => self.trades.counts().missing,
            "trades_repeated" => self.trades.counts().repeated,
            _ => 0,
        }
    }

    pub(super) fn facts(&self) -> Value {
        let mut facts = json!({
            "venue": self.instrument.venue.name(),
            "symbol": self.instrument.symbol.as_str(),
            "rules": if self.rules_recorded { "recorded" } else { "assumed" },
            "diffs": self.diffs,
            "snapshots": self.wholes,
            "trades": self.trades.counts().trades + self.trades.counts().repeated,
            "quotes": self.quotes,
            "book": self.book.state().name(),
            "bids": self.book.bids().iter().count(),
            "asks": self.book.asks().iter().count(),
            "clock_offset_ms": self.clock.offset_ms(),
            "latency_ms": self.clock.latency(),
            "refused": self.refused(),
        });
        for name in COUNTS {
            facts[name] = json!(self.count(name));
        }
        facts
    }
}

/// Whose market event it is.
pub(super) const fn whose(event: &Event) -> Option<InstrumentId> {
    match event {
        Event::BookSnapshot(e) => Some(e.instrument),
        Event::BookDelta(e) => Some(e.instrument),
        Event::BookGap { instrument, .. } | Event::SnapshotFailed { instrument, .. } => Some(*instrument),
        Event::Quote(e) => Some(e.instrument),
        Event::Trade(e) => Some(e.instrument),
        Event::Bar(e) => Some(e.instrument),
        Event::Mark(e) => Some(e.instrument),
        Event::Funding(e) => Some(e.instrument),
        Event::OpenInterest(e) => Some(e.instrument),
        Event::Liquidation(e) => Some(e.instrument),
        Event::Status(e) => e.instrument,
        Event::Session(_)
        | Event::Instrument(_)
        | Event::Link(_)
        | Event::Exec(_)
        | Event::Balance(_)
        | Event::Operator(_)
        | Event::Timer => None,
    }
}
