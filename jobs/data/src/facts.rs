//! What a journal proves about orders and money, told as [`spec::facts::Facts`].

use crate::DataError;
use crate::replay::{Step, replay};
use crate::runs::market_name;
use domain::event::note;
use domain::order::OrderKind;
use domain::order::TimeInForce;
use domain::{Decimal, Event, Instrument, InstrumentId, OrderRequest, StrategyId};
use engine::{AuditRecord, Effect};
use settings::{Mode, RunManifest};
use spec::facts::{Facts, FillFact, OrderFact};
use std::collections::BTreeMap;
use std::path::Path;

/// The facts of the run in `dir`, by replay. A replay that differs from the journal proves nothing and is refused.
///
/// # Errors
/// [`DataError`] when the journal cannot be read, is damaged, or this build decides differently on it.
pub fn facts_from_journal(dir: &Path) -> Result<Facts, DataError> {
    let manifest = RunManifest::read(dir).map_err(DataError::io("read", dir.join("manifest.json")))?;
    let mut teller = Teller::new(&manifest);
    let done = replay(dir, |_, step| teller.step(step))?;
    if let Some(difference) = done.first_difference {
        let at = difference.seq.map_or_else(|| "its end".to_owned(), |seq| format!("record {seq}"));
        return Err(DataError::Value(format!(
            "run {} cannot be told with this build: at {at} the journal says {}, a replay gives {}",
            manifest.run_id, difference.expected, difference.got
        )));
    }
    Ok(teller.finish(done.last_seq))
}

struct Teller {
    facts: Facts,
    mode: Mode,
    strategies: Vec<String>,
    instruments: BTreeMap<InstrumentId, Instrument>,
    /// Order id to its place in `facts.orders`.
    orders: BTreeMap<String, usize>,
    marks: BTreeMap<InstrumentId, Decimal>,
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
            Event::Instrument(i) => {
                self.instruments.insert(i.id, i.clone());
            }
            Event::Trade(t) => {
                if let Some(i) = self.instruments.get(&t.instrument) {
                    self.marks.insert(t.instrument, i.price(t.price));
                }
            }
            Event::Quote(q) => {
                if let Some(i) = self.instruments.get(&q.instrument) {
                    self.marks.insert(q.instrument, mid(i.price(q.bid.price), i.price(q.ask.price)));
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
        self.facts.marks = self.marks.iter().filter_map(|(id, mark)| Some((symbol(id)?, *mark))).collect();
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
