//! What a journal proves about orders and money, told as [`spec::facts::Facts`].

use crate::DataError;
use crate::replay::{Step, replay_part};
use crate::runs::{self, Run, market_name};
use crate::seal;
use domain::event::note;
use domain::journal::{self, JournalError, Kind};
use domain::order::OrderKind;
use domain::order::TimeInForce;
use domain::{Decimal, Event, Instrument, InstrumentId, OrderRequest, StrategyId};
use engine::{AuditRecord, Effect};
use serde::Serialize;
use settings::{Home, Mode, RunManifest};
use spec::facts::{Facts, FillFact, Mark, OrderFact};
use std::collections::BTreeMap;
use std::path::Path;
use venues::journal_dir::{Entry, read_run, segment_path};

/// The facts of the run in `dir`, by replay. A replay that differs from the journal proves nothing and is refused.
///
/// # Errors
/// [`DataError`] when the journal cannot be read, is damaged, or this build decides differently on it.
pub fn facts_from_journal(dir: &Path) -> Result<Facts, DataError> {
    facts_of_part(dir, None, &|| false)
}

/// [`facts_from_journal`] as they were when record `last` was the last input.
///
/// * `stop` - asked now and then.
///
/// # Errors
/// As [`facts_from_journal`]; [`DataError::Cancelled`] when told to stop.
pub fn facts_of_part(dir: &Path, last: Option<u64>, stop: &dyn Fn() -> bool) -> Result<Facts, DataError> {
    let manifest = RunManifest::read(dir).map_err(DataError::io("read", dir.join("manifest.json")))?;
    let mut teller = Teller::new(&manifest);
    let done = replay_part(dir, last, stop, |_, step| teller.step(step))?;
    // First, because a journal that was cut also differs at its end, and not because of this build.
    if let Some(missing) = done.missing {
        return Err(missing);
    }
    if let Some(difference) = done.first_difference {
        let at = difference.seq.map_or_else(|| "its end".to_owned(), |seq| format!("record {seq}"));
        return Err(DataError::Value(format!(
            "run {} cannot be told with this build: at {at} the journal says {}, a replay gives {}",
            manifest.run_id, difference.expected, difference.got
        )));
    }
    Ok(teller.finish(done.last_seq))
}

/// What the journals of a home prove.
#[derive(Debug, Default)]
pub struct Told {
    /// Of every run that a replay proves.
    pub facts: Vec<Facts>,
    /// The other runs.
    pub refused: Vec<Refused>,
}

/// A run whose journal proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Its id; the name of its folder when the manifest does not tell.
    pub run: String,
    /// Why.
    pub reason: String,
    /// Its mode; `None` when the manifest does not tell.
    pub mode: Option<String>,
    /// When its first input came, our clock, ns; `None` when none can be read.
    pub since_ns: Option<u64>,
    /// When its last input came; `None` when the journal is damaged, so that nobody knows what came after.
    pub until_ns: Option<u64>,
}

impl Refused {
    /// True when the run may have had a part in the time from `start_ns` to before `end_ns`: what cannot be read is not
    /// taken for nothing.
    pub fn concerns(&self, start_ns: i64, end_ns: i64) -> bool {
        let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        self.since_ns.is_none_or(|ns| signed(ns) < end_ns) && self.until_ns.is_none_or(|ns| signed(ns) >= start_ns)
    }

    /// A run whose manifest does not say what it was.
    fn unknown(run: String, error: &DataError) -> Refused {
        Refused { run, reason: store::error::chain(error), mode: None, since_ns: None, until_ns: None }
    }

    pub(crate) fn of(run: &Run, error: &DataError) -> Refused {
        let (since_ns, until_ns) = span(run);
        Refused {
            run: run.manifest.run_id.clone(),
            reason: store::error::chain(error),
            mode: Some(run.manifest.mode.name().to_owned()),
            since_ns,
            until_ns,
        }
    }
}

/// Times of the first and the last input; the last only of a journal that can be read to its end.
fn span(run: &Run) -> (Option<u64>, Option<u64>) {
    let mut since = first_input(run);
    let Ok(mut reader) = read_run(&run.dir) else { return (since, None) };
    let mut until = None;
    for entry in reader.by_ref() {
        match entry {
            Ok(Entry::Input { ts_recv_ns, .. }) => {
                since = since.or(Some(ts_recv_ns));
                until = Some(ts_recv_ns);
            }
            Ok(Entry::Effects(_)) => {}
            Err(_) => return (since, None),
        }
    }
    let whole = seal::missing(&run.dir, &run.manifest, reader.tail()).is_none();
    (since, until.filter(|_| whole))
}

/// Time of the first input. A reader refuses a damaged segment as a whole; what stands before the damage in the first
/// one reads like a torn segment.
fn first_input(run: &Run) -> Option<u64> {
    let bytes = std::fs::read(segment_path(&run.dir, 1)).ok()?;
    let of = |bytes: &[u8]| {
        let segment = journal::read_segment(bytes, 1, 0, [0; 32])?;
        Ok(segment.records.iter().find(|r| r.kind == Kind::Input).map(|r| r.ts_recv_ns))
    };
    match of(&bytes) {
        Err(JournalError::Damaged { offset, .. }) => of(bytes.get(..offset)?).ok()?,
        first => first.ok()?,
    }
}

/// The facts of every run with a journal. A run that cannot be proven (damaged, or decided differently by this build)
/// is refused by itself: what another build or a bad disk left behind says nothing about the other runs.
///
/// # Errors
/// [`DataError::Cancelled`], or a failure to read that may pass ([`DataError::is_transient`]); such a run may well be
/// sound, so it is not refused.
pub fn of_all(home: &Home, cancelled: impl Fn() -> bool) -> Result<Told, DataError> {
    let listed = runs::list(home)?;
    let mut told = Told::default();
    for (run, error) in listed.unreadable {
        if error.is_transient() {
            return Err(error);
        }
        told.refused.push(Refused::unknown(run, &error));
    }
    for run in listed.runs {
        if cancelled() {
            return Err(DataError::Cancelled);
        }
        match facts_of_part(&run.dir, None, &cancelled) {
            Ok(facts) => told.facts.push(facts),
            Err(error) if error.is_transient() || matches!(error, DataError::Cancelled) => return Err(error),
            Err(error) => told.refused.push(Refused::of(&run, &error)),
        }
    }
    Ok(told)
}

/// The facts of the runs in `booked` as they were when the record named there was the last input. A run without a
/// journal, or with one that ends earlier, is refused like one that cannot be proven.
///
/// # Errors
/// As [`of_all`].
pub fn of_booked(home: &Home, booked: &BTreeMap<String, i64>, cancelled: impl Fn() -> bool) -> Result<Told, DataError> {
    let mut listed = runs::list(home)?;
    let mut told = Told::default();
    for (run, last) in booked {
        let last = u64::try_from(*last).unwrap_or(0);
        if let Some((_, error)) = listed.unreadable.iter().find(|(name, _)| name == run) {
            told.refused.push(Refused::unknown(run.clone(), error));
            continue;
        }
        let Some(at) = listed.runs.iter().position(|r| r.manifest.run_id == *run) else {
            let gone = DataError::NotFound("its journal is not in the home".to_owned());
            told.refused.push(Refused::unknown(run.clone(), &gone));
            continue;
        };
        let run = listed.runs.swap_remove(at);
        match facts_of_part(&run.dir, Some(last), &cancelled) {
            Ok(facts) if facts.last_seq == last => told.facts.push(facts),
            Ok(facts) => {
                let short = format!("it is booked to record {last}, its journal ends at {}", facts.last_seq);
                told.refused.push(Refused::of(&run, &DataError::Value(short)));
            }
            Err(error) if error.is_transient() || matches!(error, DataError::Cancelled) => return Err(error),
            Err(error) => told.refused.push(Refused::of(&run, &error)),
        }
    }
    Ok(told)
}

struct Teller {
    facts: Facts,
    mode: Mode,
    strategies: Vec<String>,
    instruments: BTreeMap<InstrumentId, Instrument>,
    /// Order id to its place in `facts.orders`.
    orders: BTreeMap<String, usize>,
    /// Price and when it was seen.
    marks: BTreeMap<InstrumentId, (Decimal, u64)>,
}

impl Teller {
    fn new(manifest: &RunManifest) -> Teller {
        let facts =
            Facts { run_id: manifest.run_id.clone(), mode: manifest.mode.name().to_owned(), ..Facts::default() };
        Teller {
            facts,
            mode: manifest.mode,
            strategies: manifest.config.strategies.iter().map(|s| s.name.clone()).collect(),
            instruments: BTreeMap::new(),
            orders: BTreeMap::new(),
            marks: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: Step<'_>) {
        match step.event {
            // What is only watched is no matter of orders and money, and another venue may call it by the same symbol.
            Event::Instrument(i) if i.trade => {
                self.instruments.insert(i.id, i.clone());
            }
            Event::Trade(t) => {
                if let Some(i) = self.instruments.get(&t.instrument) {
                    self.marks.insert(t.instrument, (i.price(t.price), step.ts_recv_ns));
                }
            }
            Event::Quote(q) => {
                if let Some(i) = self.instruments.get(&q.instrument) {
                    let mid = mid(i.price(q.bid.price), i.price(q.ask.price));
                    self.marks.insert(q.instrument, (mid, step.ts_recv_ns));
                }
            }
            _ => {}
        }
        for effect in step.effects {
            if let Effect::Audit(record) = effect {
                self.record(&step, record);
            }
        }
    }

    fn record(&mut self, step: &Step<'_>, record: &AuditRecord) {
        match record {
            AuditRecord::Verdict { signal, request, refusal, .. } => {
                let (state, reason) = match refusal {
                    Some(refusal) => ("denied", refusal.name()),
                    None => ("in_flight", ""),
                };
                self.order(step, *signal, request, state, reason);
            }
            AuditRecord::Order { id, to, note, .. } => {
                if let Some(order) = self.known(&id.to_string()) {
                    order.state = to.name().to_owned();
                    if !note.is_empty() {
                        order.reason = note.to_string();
                    }
                    (order.updated_seq, order.updated_ns) = (step.seq, step.ts_recv_ns);
                }
            }
            AuditRecord::Fill { id, instrument, side, fill, .. } => {
                let Some(i) = self.instruments.get(instrument).cloned() else { return };
                let qty = i.qty(fill.qty);
                let order_id = id.to_string();
                let Some(order) = self.known(&order_id) else { return };
                order.filled = order.filled.checked_add(qty).unwrap_or(order.filled);
                (order.updated_seq, order.updated_ns) = (step.seq, step.ts_recv_ns);
                let strategy = order.strategy.clone();
                let ts_venue_ns = match step.event {
                    Event::Exec(report) => report.ts_venue_ns,
                    _ => 0,
                };
                self.facts.fills.push(FillFact {
                    venue: market_name(self.mode, i.venue),
                    symbol: i.symbol.to_string(),
                    fill_id: fill.id.to_string(),
                    order_id,
                    strategy,
                    base: i.base.to_string(),
                    quote: i.quote.to_string(),
                    side: *side,
                    price: i.price(fill.price),
                    qty,
                    fee_asset: fill.fee.asset.to_string(),
                    fee_amount: fill.fee.amount,
                    maker: fill.maker,
                    seq: step.seq,
                    ts_venue_ns,
                    ts_recv_ns: step.ts_recv_ns,
                });
            }
            _ => {}
        }
    }

    fn order(&mut self, step: &Step<'_>, signal: u64, request: &OrderRequest, state: &str, reason: &str) {
        let Some(i) = self.instruments.get(&request.instrument) else { return };
        let order_id = request.id.to_string();
        self.orders.insert(order_id.clone(), self.facts.orders.len());
        self.facts.orders.push(OrderFact {
            order_id,
            venue: market_name(self.mode, i.venue),
            symbol: i.symbol.to_string(),
            strategy: strategy_name(&self.strategies, request.strategy),
            signal,
            side: request.side,
            kind: kind_name(request.kind).to_owned(),
            tif: tif_name(request.tif).to_owned(),
            price: i.price(request.price),
            qty: i.qty(request.qty),
            filled: Decimal::ZERO,
            state: state.to_owned(),
            reason: note(reason).to_string(),
            created_seq: step.seq,
            created_ns: step.ts_recv_ns,
            updated_seq: step.seq,
            updated_ns: step.ts_recv_ns,
        });
    }

    fn known(&mut self, id: &str) -> Option<&mut OrderFact> {
        self.orders.get(id).and_then(|&at| self.facts.orders.get_mut(at))
    }

    fn finish(mut self, last_seq: u64) -> Facts {
        let symbol = |id: &InstrumentId| self.instruments.get(id).map(|i| i.symbol.to_string());
        let mark = |(id, &(price, ts_ns)): (_, &(_, _))| Some(Mark { symbol: symbol(id)?, price, ts_ns });
        self.facts.marks = self.marks.iter().filter_map(mark).collect();
        self.facts.instruments = self.instruments.into_values().collect();
        self.facts.last_seq = last_seq;
        self.facts
    }
}

/// The middle of two prices, exact.
fn mid(bid: Decimal, ask: Decimal) -> Decimal {
    let half = Decimal::new(5, 1);
    bid.checked_add(ask).and_then(|sum| sum.checked_mul(half)).map_or(bid, Decimal::normalized)
}

/// Name of a strategy by its place in the configuration.
pub(crate) fn strategy_name(strategies: &[String], id: StrategyId) -> String {
    strategies.get(usize::from(id.0)).cloned().unwrap_or_else(|| format!("#{}", id.0))
}

/// `limit`, `post_only`.
pub(crate) const fn kind_name(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Limit => "limit",
        OrderKind::PostOnly => "post_only",
    }
}

/// `gtc`, `ioc`, `fok`.
pub(crate) const fn tif_name(tif: TimeInForce) -> &'static str {
    match tif {
        TimeInForce::Gtc => "gtc",
        TimeInForce::Ioc => "ioc",
        TimeInForce::Fok => "fok",
    }
}
