//! Reads journals and puts the facts of one day in order, each kept once.

use crate::DataError;
use crate::error::damage;
use crate::runs::{Run, market_name};
use crate::seal;
use crate::step::Scope;
use domain::event::{BookDelta, BookSnapshot, Level, Quote, Trade};
use domain::{Decimal, Event, Instrument, InstrumentId, Lots, Side, Ticks};
use lake::{LevelRow, QuoteRow, TradeRow};
use serde_json::{Value, json};
use settings::Mode;
use std::collections::{BTreeMap, BTreeSet};
use venues::journal_dir::{Entry, read_run};

/// Facts of one day kept at most; a home that has more is split by symbol (`symbols` of the job).
pub const ROWS_MAX: usize = 50_000_000;
/// How often the wish to stop is looked at, in journal entries.
const STOP_EVERY: u64 = 65_536;

/// One day, by venue and symbol.
#[derive(Debug, Default)]
pub struct Day {
    /// Everything known of each instrument.
    pub series: BTreeMap<(String, String), Series>,
    /// Runs that told something of the day, with a version each.
    pub runs: Vec<(String, String)>,
    /// Journals that could be read only in part.
    pub damaged: Vec<Value>,
    kept: usize,
}

/// A fact with its receive time, in ticks and lots of the instrument it names.
#[derive(Clone, Debug)]
struct Fact<T> {
    ts_recv_ns: u64,
    rules: usize,
    fact: T,
}

/// One instrument's day.
#[derive(Debug, Default)]
pub struct Series {
    /// Digits after the point of prices and sizes, fine enough for every version of the rules.
    pub scales: (u8, u8),
    /// Tick in text; several when it changed.
    pub tick: String,
    /// Lot in text.
    pub lot: String,
    /// Runs it came from.
    pub runs: BTreeSet<String>,
    /// Facts told differently by two runs.
    pub conflicts: u64,
    /// Largest trade id before the day.
    pub before: Option<u64>,
    /// Smallest trade id after the day.
    pub after: Option<u64>,
    rules: Vec<Instrument>,
    trades: BTreeMap<u64, Fact<Trade>>,
    quotes: BTreeMap<u64, Fact<Quote>>,
    deltas: BTreeMap<(u64, u64), Fact<BookDelta>>,
    snapshots: BTreeMap<u64, Fact<BookSnapshot>>,
}

/// Reads all `runs`, oldest first, for the day of `scope`.
///
/// # Errors
/// [`DataError`] when a journal cannot be read for another reason than damage, or the day is too large.
pub(crate) fn collect(runs: &[Run], scope: &Scope, stop: &dyn Fn() -> bool) -> Result<Day, DataError> {
    let mut day = Day::default();
    for run in runs {
        let told = read(run, scope, stop, &mut day)?;
        if let Some(version) = told {
            day.runs.push((format!("journal/{}", run.manifest.run_id), version));
        }
    }
    Ok(day)
}

/// Reads one run; returns its version when it told something of the day.
fn read(run: &Run, scope: &Scope, stop: &dyn Fn() -> bool, day: &mut Day) -> Result<Option<String>, DataError> {
    // A made-up market runs by the wall clock; a recorded one may be of any day.
    if run.manifest.mode == Mode::Demo && signed(run.manifest.created_ns)? >= scope.day.end_ns() {
        return Ok(None);
    }
    let mut reader = read_run(&run.dir)?;
    let mut whole = true;
    let mut current: BTreeMap<InstrumentId, ((String, String), usize)> = BTreeMap::new();
    let (mut told, mut entries, mut cut, mut last_seq) = (false, 0u64, false, 0u64);
    loop {
        entries += 1;
        if entries.is_multiple_of(STOP_EVERY) && stop() {
            return Err(DataError::Cancelled);
        }
        let entry = match reader.next().transpose() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) => match damage(&error) {
                Some(what) => {
                    day.damaged.push(json!({ "run": run.manifest.run_id, "damage": what }));
                    whole = false;
                    break;
                }
                None => return Err(error.into()),
            },
        };
        let Entry::Input { seq, ts_recv_ns, event } = entry else { continue };
        // A prefix, and no filter: once a later record is there, nothing can be added to what stands before it.
        if scope.until_ns.is_some_and(|until| signed(ts_recv_ns).is_ok_and(|ts| ts >= until)) {
            cut = true;
            break;
        }
        last_seq = seq;
        if let Event::Instrument(i) = &event {
            let key = (market_name(run.manifest.mode, i.venue), i.symbol.to_string());
            if scope.wants(&key.0, &key.1) {
                let rules = day.series.entry(key.clone()).or_default().learn(i);
                current.insert(i.id, (key, rules));
            }
            continue;
        }
        let Some((key, rules)) = instrument_of(&event).and_then(|id| current.get(&id)) else { continue };
        let Some(series) = day.series.get_mut(key) else { continue };
        let before = series.kept();
        if series.take(scope.day, ts_recv_ns, *rules, event) {
            told = true;
            series.runs.insert(run.manifest.run_id.clone());
        }
        day.kept += series.kept() - before;
        if day.kept > ROWS_MAX {
            return Err(DataError::Value(format!(
                "the day has more than {ROWS_MAX} facts; ingest it symbol by symbol (`symbols` of the job)"
            )));
        }
    }
    let tail = reader.tail();
    // Damage ends the reading early, and is told already.
    if let Some(missing) = seal::missing(&run.dir, &run.manifest, tail).filter(|_| whole && !cut) {
        day.damaged.push(json!({ "run": run.manifest.run_id, "damage": missing.damage() }));
    }
    let version = match (scope.until_ns, tail.seal) {
        // Where the reading ended, and not how far the journal has grown meanwhile.
        (Some(_), _) => format!("to record {last_seq}"),
        (None, Some(seal)) => hex::encode(seal),
        (None, None) => format!("{} records", tail.next_seq),
    };
    Ok(told.then_some(version))
}

fn instrument_of(event: &Event) -> Option<InstrumentId> {
    match event {
        Event::Trade(t) => Some(t.instrument),
        Event::Quote(q) => Some(q.instrument),
        Event::BookDelta(b) => Some(b.instrument),
        Event::BookSnapshot(b) => Some(b.instrument),
        _ => None,
    }
}

impl Series {
    fn learn(&mut self, i: &Instrument) -> usize {
        if let Some(at) = self.rules.iter().position(|r| (r.tick, r.lot) == (i.tick, i.lot)) {
            return at;
        }
        let add = |list: &mut String, text: String| {
            if !list.split(' ').any(|t| t == text) {
                *list = if list.is_empty() { text } else { format!("{list} {text}") };
            }
        };
        add(&mut self.tick, i.tick.to_string());
        add(&mut self.lot, i.lot.to_string());
        self.scales = (self.scales.0.max(i.tick.scale), self.scales.1.max(i.lot.scale));
        self.rules.push(i.clone());
        self.rules.len() - 1
    }

    fn kept(&self) -> usize {
        self.trades.len() + self.quotes.len() + self.deltas.len() + self.snapshots.len()
    }

    /// Takes a fact when it is of the day; returns whether it was.
    fn take(&mut self, day: lake::Day, ts_recv_ns: u64, rules: usize, event: Event) -> bool {
        let ns = |ts: u64| i64::try_from(ts).unwrap_or(i64::MAX);
        let stated = |ts_venue_ns: u64| if ts_venue_ns == 0 { ns(ts_recv_ns) } else { ns(ts_venue_ns) };
        let time = match &event {
            Event::Trade(t) => stated(t.ts_venue_ns),
            Event::BookDelta(b) => stated(b.ts_venue_ns),
            Event::BookSnapshot(b) => stated(b.ts_venue_ns),
            _ => ns(ts_recv_ns),
        };
        if !day.contains(time) {
            if let Event::Trade(t) = &event {
                self.neighbour(t.trade_id, time < day.start_ns());
            }
            return false;
        }
        // A run numbers its instruments its own way, so the number is no part of the fact.
        match event {
            Event::Trade(mut t) => {
                t.instrument = InstrumentId(0);
                put(&mut self.trades, &mut self.conflicts, t.trade_id, Fact { ts_recv_ns, rules, fact: t });
            }
            Event::Quote(mut q) => {
                q.instrument = InstrumentId(0);
                put(&mut self.quotes, &mut self.conflicts, q.update_id, Fact { ts_recv_ns, rules, fact: q });
            }
            Event::BookDelta(mut b) => {
                b.instrument = InstrumentId(0);
                let key = (b.last_id, b.first_id);
                put(&mut self.deltas, &mut self.conflicts, key, Fact { ts_recv_ns, rules, fact: b });
            }
            Event::BookSnapshot(mut b) => {
                b.instrument = InstrumentId(0);
                // Two snapshots of one id may reach differently deep; that is no conflict.
                self.snapshots.entry(b.last_id).or_insert(Fact { ts_recv_ns, rules, fact: b });
            }
            _ => return false,
        }
        true
    }

    fn neighbour(&mut self, id: u64, earlier: bool) {
        if earlier {
            self.before = Some(self.before.map_or(id, |b| b.max(id)));
        } else {
            self.after = Some(self.after.map_or(id, |a| a.min(id)));
        }
    }

    /// The day's trades, by id.
    ///
    /// # Errors
    /// [`DataError::Value`] when a number does not fit a column.
    pub fn trades(&self) -> Result<Vec<TradeRow>, DataError> {
        let row = |f: &Fact<Trade>| {
            Ok(TradeRow {
                ts_venue_ns: signed(if f.fact.ts_venue_ns == 0 { f.ts_recv_ns } else { f.fact.ts_venue_ns })?,
                ts_recv_ns: signed(f.ts_recv_ns)?,
                trade_id: signed(f.fact.trade_id)?,
                price: self.price(f.rules, f.fact.price)?,
                qty: self.qty(f.rules, f.fact.qty)?,
                aggressor_buy: f.fact.aggressor == Side::Buy,
            })
        };
        self.trades.values().map(row).collect()
    }

    /// The day's quotes, by update id.
    ///
    /// # Errors
    /// As [`Series::trades`].
    pub fn quotes(&self) -> Result<Vec<QuoteRow>, DataError> {
        let row = |f: &Fact<Quote>| {
            Ok(QuoteRow {
                ts_venue_ns: stated(f.fact.ts_venue_ns)?,
                ts_recv_ns: signed(f.ts_recv_ns)?,
                update_id: signed(f.fact.update_id)?,
                bid_price: self.price(f.rules, f.fact.bid.price)?,
                bid_qty: self.qty(f.rules, f.fact.bid.qty)?,
                ask_price: self.price(f.rules, f.fact.ask.price)?,
                ask_qty: self.qty(f.rules, f.fact.ask.qty)?,
            })
        };
        self.quotes.values().map(row).collect()
    }

    /// The day's book messages, one row per level, by last change id; a snapshot stands before the change that ends on
    /// the same id.
    ///
    /// # Errors
    /// As [`Series::trades`].
    pub fn levels(&self) -> Result<Vec<LevelRow>, DataError> {
        let mut rows = Vec::new();
        let mut snapshots = self.snapshots.iter().peekable();
        for ((last_id, _), delta) in &self.deltas {
            while let Some((id, snapshot)) = snapshots.next_if(|(id, _)| *id <= last_id) {
                self.snapshot_rows(*id, snapshot, &mut rows)?;
            }
            let d = &delta.fact;
            let head = Head {
                ts_venue_ns: stated(d.ts_venue_ns)?,
                ts_recv_ns: signed(delta.ts_recv_ns)?,
                first_id: signed(d.first_id)?,
                last_id: signed(d.last_id)?,
                snapshot: false,
            };
            self.rows_of(&head, delta.rules, &d.bids, &d.asks, &mut rows)?;
        }
        for (id, snapshot) in snapshots {
            self.snapshot_rows(*id, snapshot, &mut rows)?;
        }
        Ok(rows)
    }

    fn snapshot_rows(&self, id: u64, s: &Fact<BookSnapshot>, rows: &mut Vec<LevelRow>) -> Result<(), DataError> {
        let head = Head {
            ts_venue_ns: stated(s.fact.ts_venue_ns)?,
            ts_recv_ns: signed(s.ts_recv_ns)?,
            first_id: signed(id)?,
            last_id: signed(id)?,
            snapshot: true,
        };
        self.rows_of(&head, s.rules, &s.fact.bids, &s.fact.asks, rows)
    }

    fn rows_of(
        &self,
        head: &Head,
        rules: usize,
        bids: &[Level],
        asks: &[Level],
        rows: &mut Vec<LevelRow>,
    ) -> Result<(), DataError> {
        if bids.is_empty() && asks.is_empty() {
            rows.push(head.row(None));
        }
        for (is_bid, level) in bids.iter().map(|l| (true, l)).chain(asks.iter().map(|l| (false, l))) {
            rows.push(head.row(Some((is_bid, self.price(rules, level.price)?, self.qty(rules, level.qty)?))));
        }
        Ok(())
    }

    fn price(&self, rules: usize, price: Ticks) -> Result<i64, DataError> {
        scaled(self.rules.get(rules).map(|i| i.price(price)), self.scales.0)
    }
    fn qty(&self, rules: usize, qty: Lots) -> Result<i64, DataError> {
        scaled(self.rules.get(rules).map(|i| i.qty(qty)), self.scales.1)
    }
}

struct Head {
    ts_venue_ns: Option<i64>,
    ts_recv_ns: i64,
    first_id: i64,
    last_id: i64,
    snapshot: bool,
}

impl Head {
    fn row(&self, level: Option<(bool, i64, i64)>) -> LevelRow {
        LevelRow {
            ts_venue_ns: self.ts_venue_ns,
            ts_recv_ns: self.ts_recv_ns,
            first_id: self.first_id,
            last_id: self.last_id,
            snapshot: self.snapshot,
            level,
        }
    }
}

/// Keeps the first to tell a fact; another content under the same key is a conflict.
fn put<K: Ord, T: PartialEq>(facts: &mut BTreeMap<K, Fact<T>>, conflicts: &mut u64, key: K, new: Fact<T>) {
    match facts.get(&key) {
        Some(known) => *conflicts += u64::from(known.fact != new.fact),
        None => drop(facts.insert(key, new)),
    }
}

fn scaled(amount: Option<Decimal>, scale: u8) -> Result<i64, DataError> {
    amount
        .and_then(|d| d.at_scale(scale))
        .and_then(|n| i64::try_from(n).ok())
        .ok_or_else(|| DataError::Value(format!("an amount does not fit a column of scale {scale}")))
}

fn signed(n: u64) -> Result<i64, DataError> {
    i64::try_from(n).map_err(|_| DataError::Value(format!("{n} does not fit a column")))
}

fn stated(ts_venue_ns: u64) -> Result<Option<i64>, DataError> {
    if ts_venue_ns == 0 { Ok(None) } else { signed(ts_venue_ns).map(Some) }
}
