//! Why an order was sent: the chain from the order back over the verdict and the signal to the book it saw and the
//! journal record that carried it. Found by replay, so every number in it is what the engine had at that moment.

use crate::DataError;
use crate::facts::{kind_name, strategy_name, tif_name};
use crate::replay::{Step, replay};
use crate::runs::Run;
use crate::search::{order_id, search};
use domain::{ClientOrderId, Event, Instrument, InstrumentId, OrderRequest};
use engine::{AuditRecord, Effect, FeatureValue};
use serde_json::{Value, json};
use settings::{Home, RunManifest};
use std::collections::{BTreeMap, VecDeque};

/// Book events of one instrument remembered; a signal points at one of the last few.
const BOOKS_KEPT: usize = 256;
/// Signals remembered; an order follows its signal at once.
const SIGNALS_KEPT: usize = 256;

/// The chain of order `id`, searched in `run`, or in all runs from the one written last.
///
/// # Errors
/// [`DataError::NotFound`] when no run knows the order, [`DataError`] when a journal cannot be replayed.
pub fn why(home: &Home, id: &str, run: Option<&str>) -> Result<Value, DataError> {
    let id = order_id(id)?;
    search(home, id, run, |run| chain(run, id))
}

fn chain(run: &Run, id: ClientOrderId) -> Result<Option<Value>, DataError> {
    let mut teller = Teller::new(&run.manifest, id);
    let done = replay(&run.dir, |_, step| teller.step(step))?;
    let Some(mut value) = teller.finish() else {
        // What is not there may be in what was cut off.
        return done.missing.map_or(Ok(None), Err);
    };
    value["replay_equal"] = json!(done.first_difference.is_none() && done.missing.is_none());
    Ok(Some(value))
}

/// A book event as remembered.
struct Seen {
    seq: u64,
    ts_recv_ns: u64,
    first_id: u64,
    last_id: u64,
    event: Event,
}

struct Teller {
    run: RunManifest,
    strategies: Vec<String>,
    id: ClientOrderId,
    instruments: BTreeMap<InstrumentId, Instrument>,
    books: BTreeMap<InstrumentId, VecDeque<Seen>>,
    signals: VecDeque<(u64, Value, InstrumentId, u64)>,
    /// The parts of the answer, once the order was made.
    found: Option<Value>,
    instrument: Option<Instrument>,
    transitions: Vec<Value>,
    fills: Vec<Value>,
    filled: u64,
    state: String,
}

impl Teller {
    fn new(run: &RunManifest, id: ClientOrderId) -> Teller {
        Teller {
            run: run.clone(),
            strategies: run.config.strategies.iter().map(|s| s.name.clone()).collect(),
            id,
            instruments: BTreeMap::new(),
            books: BTreeMap::new(),
            signals: VecDeque::new(),
            found: None,
            instrument: None,
            transitions: Vec::new(),
            fills: Vec::new(),
            filled: 0,
            state: String::new(),
        }
    }

    fn step(&mut self, step: Step<'_>) {
        let (instrument, first_id, last_id) = match step.event {
            Event::Instrument(i) => {
                self.instruments.insert(i.id, i.clone());
                (None, 0, 0)
            }
            Event::BookSnapshot(b) => (Some(b.instrument), b.last_id, b.last_id),
            Event::BookDelta(b) => (Some(b.instrument), b.first_id, b.last_id),
            Event::Quote(q) => (Some(q.instrument), q.update_id, q.update_id),
            _ => (None, 0, 0),
        };
        // Once the order is there, its book is too.
        if let (Some(instrument), None) = (instrument, &self.found) {
            let ring = self.books.entry(instrument).or_default();
            if ring.len() == BOOKS_KEPT {
                ring.pop_front();
            }
            let (seq, ts_recv_ns) = (step.seq, step.ts_recv_ns);
            ring.push_back(Seen { seq, ts_recv_ns, first_id, last_id, event: step.event.clone() });
        }
        for effect in step.effects {
            if let Effect::Audit(record) = effect {
                self.record(&step, record);
            }
        }
    }

    fn record(&mut self, step: &Step<'_>, record: &AuditRecord) {
        match record {
            AuditRecord::Signal { signal, instrument, book_id, .. } if self.found.is_none() => {
                if self.signals.len() == SIGNALS_KEPT {
                    self.signals.pop_front();
                }
                self.signals.push_back((*signal, self.signal(step, record), *instrument, *book_id));
            }
            AuditRecord::Verdict { request, .. } if request.id == self.id => self.verdict(step, record, request),
            AuditRecord::Order { id, from, to, news, note, error } if *id == self.id => {
                self.state = to.name().to_owned();
                self.transitions.push(json!({
                    "seq": step.seq, "ts_recv_ns": step.ts_recv_ns, "from": from.name(), "to": to.name(),
                    "news": news, "note": note, "error": error,
                }));
            }
            AuditRecord::Fill { id, fill, position, realized, .. } if *id == self.id => {
                let Some(i) = &self.instrument else { return };
                self.filled += fill.qty.get();
                let ts_venue_ns = match step.event {
                    Event::Exec(report) => report.ts_venue_ns,
                    _ => 0,
                };
                self.fills.push(json!({
                    "seq": step.seq, "ts_recv_ns": step.ts_recv_ns, "ts_venue_ns": ts_venue_ns,
                    "fill_id": fill.id, "price": i.price(fill.price), "qty": i.qty(fill.qty),
                    "fee": fill.fee.amount, "fee_asset": fill.fee.asset, "maker": fill.maker,
                    "position_after": i.position(*position), "realized": i.value(*realized),
                }));
            }
            _ => {}
        }
    }

    fn signal(&self, step: &Step<'_>, record: &AuditRecord) -> Value {
        let AuditRecord::Signal { signal, strategy, instrument, side, intent, reason, features, book_id, top } = record
        else {
            return Value::Null;
        };
        let price = |n: usize| {
            let (i, top) = (self.instruments.get(instrument)?, top.as_ref()?);
            Some(i.price(top[n]))
        };
        let rule = self.run.config.strategies.get(usize::from(strategy.0));
        json!({
            "seq": step.seq, "ts_recv_ns": step.ts_recv_ns, "signal": signal,
            "strategy": strategy_name(&self.strategies, *strategy), "side": side, "intent": intent,
            "rule": rule.map(|s| &s.rule), "reason": reason,
            "features": features.iter().map(feature).collect::<Vec<_>>(),
            "book_id": book_id, "top": top.map(|_| json!({ "bid": price(0), "ask": price(1) })),
        })
    }

    fn verdict(&mut self, step: &Step<'_>, record: &AuditRecord, request: &OrderRequest) {
        let AuditRecord::Verdict { signal, refusal, checks, sized_by, .. } = record else { return };
        let Some(i) = self.instruments.get(&request.instrument).cloned() else { return };
        let from = self.signals.iter().rev().find(|s| s.0 == *signal);
        let (book, raw) = from.map_or((Value::Null, Value::Null), |s| self.book(s.2, s.3));
        self.state = if refusal.is_some() { "denied" } else { "in_flight" }.to_owned();
        self.found = Some(json!({
            "order_id": self.id,
            "run_id": self.run.run_id,
            "mode": self.run.mode.name(),
            "order": {
                "seq": step.seq, "ts_recv_ns": step.ts_recv_ns,
                "venue": i.venue.name(), "symbol": i.symbol, "instrument_version": request.instrument_version,
                "strategy": strategy_name(&self.strategies, request.strategy), "side": request.side,
                "kind": kind_name(request.kind), "tif": tif_name(request.tif),
                "price": i.price(request.price), "qty": i.qty(request.qty),
                "value": i.notional(request.price, request.qty),
            },
            "risk": {
                "seq": step.seq, "ts_recv_ns": step.ts_recv_ns, "approved": refusal.is_none(), "refusal": refusal,
                "checks": checks, "sized_by": sized_by,
            },
            "signal": from.map(|s| s.1.clone()),
            "book": book,
            "raw": raw,
        }));
        self.instrument = Some(i);
    }

    /// The book event the signal saw: the newest that carries its update id, else the newest at all; and the journal
    /// record it came in.
    fn book(&self, instrument: InstrumentId, book_id: u64) -> (Value, Value) {
        let (Some(ring), Some(i)) = (self.books.get(&instrument), self.instruments.get(&instrument)) else {
            return (Value::Null, Value::Null);
        };
        let is_book = |s: &&Seen| !matches!(s.event, Event::Quote(_));
        let carries = |s: &&Seen| (s.first_id..=s.last_id).contains(&book_id);
        let found = ring.iter().rev().filter(is_book).find(carries).or_else(|| ring.iter().rev().find(is_book));
        let Some(seen) = found.or_else(|| ring.back()) else { return (Value::Null, Value::Null) };
        let (kind, ts_venue_ns, levels) = match &seen.event {
            Event::BookSnapshot(b) => ("book_snapshot", b.ts_venue_ns, b.bids.len() + b.asks.len()),
            Event::BookDelta(b) => ("book_delta", b.ts_venue_ns, b.bids.len() + b.asks.len()),
            Event::Quote(q) => ("quote", q.ts_venue_ns, 2),
            _ => ("", 0, 0),
        };
        let quote = ring.iter().rev().find_map(|s| match &s.event {
            Event::Quote(q) => Some(json!({
                "seq": s.seq, "update_id": q.update_id,
                "bid": i.price(q.bid.price), "bid_qty": i.qty(q.bid.qty),
                "ask": i.price(q.ask.price), "ask_qty": i.qty(q.ask.qty),
            })),
            _ => None,
        });
        let book = json!({
            "seq": seen.seq, "ts_recv_ns": seen.ts_recv_ns, "ts_venue_ns": ts_venue_ns, "kind": kind,
            "first_id": seen.first_id, "update_id": seen.last_id, "levels": levels, "last_quote": quote,
        });
        // A whole book is thousands of levels; its record number is enough.
        let event = if kind == "book_snapshot" { Value::Null } else { json!(seen.event) };
        (book, json!({ "seq": seen.seq, "ts_recv_ns": seen.ts_recv_ns, "event": event }))
    }

    fn finish(self) -> Option<Value> {
        let mut value = self.found?;
        let order = &mut value["order"];
        order["state"] = json!(self.state);
        order["filled"] = json!(self.instrument.map(|i| i.qty(domain::Lots::new(self.filled))));
        order["transitions"] = json!(self.transitions);
        order["fills"] = json!(self.fills);
        Some(value)
    }
}

fn feature(value: &FeatureValue) -> Value {
    json!({ "id": value.id, "value": value.value })
}
