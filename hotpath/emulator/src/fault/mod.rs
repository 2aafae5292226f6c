//! What can go wrong at a venue, on command: a script of faults, each at its market time, and what of it has happened.
//!
//! A fault waits for its time, then for something it can happen to (the next change of that book, the next question,
//! somebody who listens), and is counted when it has happened. Start reading at [`Faults`].

pub mod script;

use crate::dialect::{Dialect, Kind};
use serde_json::{Value, json};
use std::str::FromStr;
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A change of a book is lost.
    Gap,
    /// A change comes twice.
    Duplicate,
    /// Two changes come in the wrong order.
    Reorder,
    /// An old change comes again.
    Replay,
    /// The next whole book is the one the market began with.
    StaleSnapshot,
    /// The next whole book comes late: after three changes where it is pushed, after `for` where it is asked for.
    SlowSnapshot,
    /// A change carries a bid above the best ask.
    Crossed,
    /// A checksum is wrong.
    Checksum,
    /// One channel of a symbol falls silent while everything else goes on.
    Silence,
    /// All connections stay open and carry nothing any more, in either direction.
    HalfOpen,
    /// All connections are reset in the middle of a frame.
    Reset,
    /// All connections are closed with the venue's own notice, if it has one.
    Close,
    /// Questions are answered with 429.
    TooMany,
    /// Questions are answered with 418.
    Banned,
    /// Questions are answered with a server error.
    ServerError,
    /// Questions are answered with a page for people.
    Html,
    /// Half of a message's text.
    Truncated,
    /// A message of 10 MB.
    Huge,
    /// A text frame that is not UTF-8.
    Utf8,
    /// A value of a closed set that nobody has heard of.
    UnknownEnum,
    /// The venue's clock is off for a while.
    ClockSkew,
    /// The venue's clock jumps, for good.
    ClockStep,
    /// The venue stops reading for a while.
    SlowConsumer,
}

const NAMES: [(FaultKind, &str); 23] = [
    (FaultKind::Gap, "gap"),
    (FaultKind::Duplicate, "duplicate"),
    (FaultKind::Reorder, "reorder"),
    (FaultKind::Replay, "replay"),
    (FaultKind::StaleSnapshot, "stale-snapshot"),
    (FaultKind::SlowSnapshot, "slow-snapshot"),
    (FaultKind::Crossed, "crossed"),
    (FaultKind::Checksum, "checksum"),
    (FaultKind::Silence, "silence"),
    (FaultKind::HalfOpen, "half-open"),
    (FaultKind::Reset, "reset"),
    (FaultKind::Close, "close"),
    (FaultKind::TooMany, "429"),
    (FaultKind::Banned, "418"),
    (FaultKind::ServerError, "5xx"),
    (FaultKind::Html, "html"),
    (FaultKind::Truncated, "truncated"),
    (FaultKind::Huge, "huge"),
    (FaultKind::Utf8, "utf8"),
    (FaultKind::UnknownEnum, "unknown-enum"),
    (FaultKind::ClockSkew, "clock-skew"),
    (FaultKind::ClockStep, "clock-step"),
    (FaultKind::SlowConsumer, "slow-consumer"),
];

impl FaultKind {
    /// Every kind.
    pub const ALL: &[FaultKind] = &{
        let mut all = [FaultKind::Gap; NAMES.len()];
        let mut at = 0;
        while at < NAMES.len() {
            all[at] = NAMES[at].0;
            at += 1;
        }
        all
    };

    /// Its name in scripts.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
    /// All names.
    pub fn names() -> String {
        NAMES.map(|(_, name)| name).join(", ")
    }
    /// It happens to one symbol.
    pub const fn has_symbol(self) -> bool {
        self.is_of_a_message()
            || matches!(self, Self::StaleSnapshot | Self::SlowSnapshot | Self::Silence | Self::UnknownEnum)
    }
    /// It happens to a change of a book.
    pub const fn is_of_a_message(self) -> bool {
        matches!(
            self,
            Self::Gap
                | Self::Duplicate
                | Self::Reorder
                | Self::Replay
                | Self::Crossed
                | Self::Checksum
                | Self::Truncated
                | Self::Huge
        )
    }
    /// It happens to every connection there is.
    const fn is_of_connections(self) -> bool {
        matches!(self, Self::HalfOpen | Self::Reset | Self::Close | Self::Utf8 | Self::UnknownEnum | Self::SlowConsumer)
    }
    const fn is_of_questions(self) -> bool {
        matches!(self, Self::TooMany | Self::Banned | Self::ServerError | Self::Html)
    }
}

impl FromStr for FaultKind {
    type Err = String;
    fn from_str(text: &str) -> Result<FaultKind, String> {
        let found = NAMES.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind);
        found.ok_or_else(|| format!("`{text}` is no kind of fault; there are {}", FaultKind::names()))
    }
}

/// One fault of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// When at the earliest, ns of market time since the market began.
    pub at_ns: u64,
    /// To which symbol; `None` = whichever comes first.
    pub symbol: Option<String>,
    /// Which channel falls silent.
    pub channel: Kind,
    /// How long it lasts, ns of market time; of a slow answer, real time.
    pub for_ns: u64,
    /// How many questions, or times, at most.
    pub count: u32,
    /// By how much the clock is off, ms.
    pub ms: i64,
    /// HTTP status of a server error.
    pub status: u16,
    /// Seconds to wait that the venue states.
    pub retry_after: Option<u64>,
}

impl Fault {
    /// A fault with the usual numbers: 3 s long, once, 1.5 s of clock, 503.
    pub fn new(kind: FaultKind, at_ns: u64) -> Fault {
        Fault {
            kind,
            at_ns,
            symbol: None,
            channel: Kind::Book,
            for_ns: 3_000_000_000,
            count: 1,
            ms: 1500,
            status: 503,
            retry_after: None,
        }
    }
}

/// Says no when a script asks for what this venue does not have.
///
/// # Errors
/// In words.
pub fn check(dialect: &dyn Dialect, script: &[Fault], symbols: &[String]) -> Result<(), String> {
    for fault in script {
        if fault.kind == FaultKind::Checksum && !dialect.has_checksums() {
            return Err(format!("{} sends no checksums", dialect.name()));
        }
        if let Some(symbol) = fault.symbol.as_ref().filter(|s| !symbols.contains(s)) {
            return Err(format!("there is no symbol `{symbol}`"));
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Entry {
    fault: Fault,
    /// How often it happened.
    times: u64,
    /// Market time of the first time, ns since the start.
    first_ns: Option<u64>,
    /// To whom.
    symbol: Option<String>,
}

/// How a question is to be answered instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAnswer {
    /// HTTP status.
    pub status: u16,
    /// Seconds to wait.
    pub retry_after: Option<u64>,
    /// With a page for people.
    pub html: bool,
}

/// What is wrong with a whole book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBook {
    /// It is the one of the start.
    Stale,
    /// It comes so much later.
    Slow(Duration),
}

/// A script at work.
#[derive(Debug)]
pub struct Faults {
    start_ns: u64,
    entries: Vec<Entry>,
}

impl Faults {
    /// A script for a market that begins at `start_ns`.
    pub fn new(start_ns: u64, script: Vec<Fault>) -> Faults {
        let entry = |fault| Entry { fault, times: 0, first_ns: None, symbol: None };
        Faults { start_ns, entries: script.into_iter().map(entry).collect() }
    }

    /// Adds to the script; the times of `more` count from `now_ns`.
    pub fn add(&mut self, now_ns: u64, more: Vec<Fault>) {
        let age = now_ns.saturating_sub(self.start_ns);
        let shifted = |fault: Fault| Fault { at_ns: fault.at_ns.saturating_add(age), ..fault };
        let entry = |fault| Entry { fault: shifted(fault), times: 0, first_ns: None, symbol: None };
        self.entries.extend(more.into_iter().map(entry));
    }

    /// The first fault that is due, not used up, fits the symbol, and is as wanted.
    fn due(&self, now_ns: u64, symbol: Option<&str>, wanted: impl Fn(&Fault) -> bool) -> Option<usize> {
        let age = now_ns.saturating_sub(self.start_ns);
        let fits = |f: &Fault| match (&f.symbol, symbol) {
            (Some(want), Some(symbol)) => want == symbol,
            _ => true,
        };
        let due = |e: &Entry| e.fault.at_ns <= age && e.times < u64::from(e.fault.count) && fits(&e.fault);
        self.entries.iter().position(|e| due(e) && wanted(&e.fault))
    }

    /// Fault number `at` has happened.
    pub fn happened(&mut self, at: usize, now_ns: u64, symbol: Option<&str>) {
        let age = now_ns.saturating_sub(self.start_ns);
        if let Some(e) = self.entries.get_mut(at) {
            e.times += 1;
            e.first_ns.get_or_insert(age);
            e.symbol = symbol.map(str::to_owned).or_else(|| e.symbol.take());
        }
    }

    /// The fault that the next change of this symbol's book suffers, and its number for [`Faults::happened`].
    pub fn of_message(&self, now_ns: u64, symbol: &str) -> Option<(usize, FaultKind)> {
        let at = self.due(now_ns, Some(symbol), |f| f.kind.is_of_a_message())?;
        Some((at, self.entries[at].fault.kind))
    }

    /// The fault that all connections suffer now.
    pub fn of_connections(&self, now_ns: u64) -> Option<(usize, Fault)> {
        let at = self.due(now_ns, None, |f| f.kind.is_of_connections())?;
        Some((at, self.entries[at].fault.clone()))
    }

    /// How the next question is to be answered, if not as usual; counted.
    pub fn of_question(&mut self, now_ns: u64) -> Option<BadAnswer> {
        let at = self.due(now_ns, None, |f| f.kind.is_of_questions())?;
        self.happened(at, now_ns, None);
        let Fault { kind, status, retry_after, .. } = self.entries[at].fault;
        let status = match kind {
            FaultKind::TooMany => 429,
            FaultKind::Banned => 418,
            FaultKind::Html => 502,
            _ => status,
        };
        Some(BadAnswer { status, retry_after, html: kind == FaultKind::Html })
    }

    /// What is wrong with the next whole book of this symbol, and the number for [`Faults::happened`].
    pub fn of_book(&self, now_ns: u64, symbol: &str) -> Option<(usize, BadBook)> {
        let wanted = |f: &Fault| matches!(f.kind, FaultKind::StaleSnapshot | FaultKind::SlowSnapshot);
        let at = self.due(now_ns, Some(symbol), wanted)?;
        let fault = &self.entries[at].fault;
        let slow = BadBook::Slow(Duration::from_nanos(fault.for_ns));
        Some((at, if fault.kind == FaultKind::SlowSnapshot { slow } else { BadBook::Stale }))
    }

    /// True when this channel of the symbol is silent now: what would be said is lost, and counted.
    pub fn is_silent(&mut self, now_ns: u64, symbol: &str, channel: Kind) -> bool {
        let age = now_ns.saturating_sub(self.start_ns);
        let silent = |e: &Entry| {
            e.fault.kind == FaultKind::Silence
                && e.fault.channel == channel
                && e.fault.symbol.as_deref().is_none_or(|s| s == symbol)
                && (e.fault.at_ns..e.fault.at_ns + e.fault.for_ns).contains(&age)
        };
        let Some(at) = self.entries.iter().position(silent) else { return false };
        self.happened(at, now_ns, Some(symbol));
        true
    }

    /// How far the venue's clock is off, ns.
    pub fn clock_ns(&mut self, now_ns: u64) -> i64 {
        let age = now_ns.saturating_sub(self.start_ns);
        let mut off = 0;
        for e in &mut self.entries {
            let Fault { kind, at_ns, for_ns, ms, .. } = e.fault;
            let now = match kind {
                FaultKind::ClockStep => age >= at_ns,
                FaultKind::ClockSkew => (at_ns..at_ns + for_ns).contains(&age),
                _ => false,
            };
            if now {
                off += ms * 1_000_000;
                e.times = 1;
                e.first_ns.get_or_insert(age);
            }
        }
        off
    }

    /// For the status page: every fault, when it first happened, to which symbol, how often.
    pub fn shown(&self) -> Value {
        let row = |e: &Entry| {
            json!({
                "kind": e.fault.kind.name(),
                "at_ms": e.fault.at_ns / 1_000_000,
                "happened_ms": e.first_ns.map(|ns| ns / 1_000_000),
                "symbol": e.symbol.as_ref().or(e.fault.symbol.as_ref()),
                "times": e.times,
            })
        };
        self.entries.iter().map(row).collect()
    }

    /// How many faults have happened.
    pub fn count(&self) -> usize {
        self.entries.iter().filter(|e| e.times > 0).count()
    }
}
