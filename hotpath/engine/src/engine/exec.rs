//! News of our orders: states, fills, and the questions to the venue.

use super::Engine;
use super::view::Marker;
use crate::effect::{AuditRecord, Effect};
use crate::orders::{Order, Outcome};
use crate::stats::OrderStats;
use domain::event::{ExecReport, Note, note};
use domain::order::{Closed, Fill};
use domain::{ClientOrderId, ExecEvent, OrderState};

impl Engine {
    pub(super) fn on_exec(&mut self, report: &ExecReport, out: &mut Vec<Effect>) {
        let Some(outcome) = self.orders.on_exec(self.now_ns, report.id, &report.event) else {
            return self.on_stranger(report, out);
        };
        self.stats.orders.fills_duplicate += u64::from(outcome.duplicate);
        self.stats.orders.misfits += u64::from(outcome.error.is_some());
        if let Some(fill) = &outcome.fill {
            self.book_fill(report.id, &outcome, fill, out);
        }
        if outcome.from != outcome.to || outcome.error.is_some() {
            count(&mut self.stats.orders, outcome.from, outcome.to);
            out.push(Effect::Audit(AuditRecord::Order {
                id: report.id,
                from: outcome.from,
                to: outcome.to,
                news: report.event.name(),
                note: words(&report.event),
                error: outcome.error,
            }));
        }
        self.ask_due(out);
    }

    fn book_fill(&mut self, id: ClientOrderId, outcome: &Outcome, fill: &Fill, out: &mut Vec<Effect>) {
        let (instrument, side) = (outcome.instrument, outcome.side);
        let fee_bps = self.config.fees.taker_bps;
        let booked = self.portfolio.fill(self.now_ns, instrument, outcome.strategy, side, fill, fee_bps);
        let booked = booked.expect("an order's instrument has an account");
        self.stats.fills += 1;
        self.stats.fees_odd += u64::from(booked.fee_odd);
        out.push(Effect::Audit(AuditRecord::Fill {
            id,
            instrument,
            side,
            fill: *fill,
            position: booked.position,
            realized: booked.realized,
        }));
        if let Some(Some(market)) = self.markets.get_mut(usize::from(instrument.0)) {
            market.history.push_marker(Marker {
                ts_recv_ns: self.now_ns,
                order: id,
                side,
                price: fill.price,
                qty: fill.qty,
            });
        }
        self.check_loss(out);
    }

    /// News of an order this run does not know, perhaps of a run before it. A fill of such an order means that the
    /// position is not what we think it is, and that is a reason to stop.
    fn on_stranger(&mut self, report: &ExecReport, out: &mut Vec<Effect>) {
        self.stats.orders.strangers += 1;
        out.push(Effect::Audit(AuditRecord::Stranger { id: report.id, news: report.event }));
        if matches!(report.event, ExecEvent::Filled(_)) {
            self.halt(&format!("fill of {}, an order this run does not know: reconcile, then resume", report.id), out);
        }
    }

    /// Time has passed: orders without an answer become unknown, unknown ones are asked about.
    pub(super) fn orders_on_time(&mut self, out: &mut Vec<Effect>) {
        let stats = &mut self.stats.orders;
        self.orders.on_time(self.now_ns, |order, from| lost(stats, order, from, "unanswered", out));
        self.ask_due(out);
    }

    /// Every open order becomes unknown.
    pub(super) fn lose_sight(&mut self, why: &'static str, out: &mut Vec<Effect>) {
        let stats = &mut self.stats.orders;
        self.orders.lose_sight(|order, from| lost(stats, order, from, why, out));
    }

    /// Asks the venue about every order whose time it is, if there is a way to ask.
    pub(super) fn ask_due(&mut self, out: &mut Vec<Effect>) {
        if !self.control.all_orders_up() {
            return;
        }
        let stats = &mut self.stats.orders;
        self.orders.due(self.now_ns, |request| {
            stats.queries += 1;
            out.push(Effect::Query { id: request.id, instrument: request.instrument });
        });
    }

    /// Cancels every open order that `which` picks and that can be cancelled.
    pub(super) fn cancel_open(&mut self, which: impl Fn(&Order) -> bool, out: &mut Vec<Effect>) {
        let picked: Vec<_> =
            self.orders.open().filter(|o| o.state.can_cancel() && which(o)).map(|o| o.request).collect();
        for request in picked {
            let Some((from, to)) = self.orders.cancel_sent(self.now_ns, request.id) else { continue };
            self.stats.orders.cancels += 1;
            out.push(Effect::Cancel { id: request.id, instrument: request.instrument });
            out.push(moved(request.id, from, to, "cancel_sent"));
        }
    }
}

fn lost(stats: &mut OrderStats, order: &Order, from: OrderState, why: &'static str, out: &mut Vec<Effect>) {
    if order.state == from {
        return;
    }
    count(stats, from, order.state);
    out.push(moved(order.request.id, from, order.state, why));
}

fn moved(id: ClientOrderId, from: OrderState, to: OrderState, news: &'static str) -> Effect {
    Effect::Audit(AuditRecord::Order { id, from, to, news, note: Note::new(), error: None })
}

fn count(stats: &mut OrderStats, from: OrderState, to: OrderState) {
    let unknown = |state| matches!(state, OrderState::Unknown { .. });
    stats.unknown += u64::from(unknown(to) && !unknown(from));
    if !from.is_open() {
        return;
    }
    match to {
        OrderState::Closed(Closed::Filled) => stats.filled += 1,
        OrderState::Closed(Closed::Cancelled) => stats.cancelled += 1,
        OrderState::Closed(Closed::Expired) => stats.expired += 1,
        OrderState::Closed(Closed::Rejected) => stats.rejected += 1,
        OrderState::Closed(Closed::NeverArrived) => stats.never_arrived += 1,
        OrderState::InFlight { .. }
        | OrderState::Live { .. }
        | OrderState::Cancelling { .. }
        | OrderState::Unknown { .. } => {}
    }
}

/// The venue's or the network's words.
fn words(event: &ExecEvent) -> Note {
    match event {
        ExecEvent::Rejected { reason }
        | ExecEvent::CancelRejected { reason }
        | ExecEvent::OutcomeUnknown { reason } => *reason,
        ExecEvent::Found { status, filled } => note(&format!("{status:?}, {} lots filled", filled.get())),
        ExecEvent::Accepted { .. }
        | ExecEvent::Filled(_)
        | ExecEvent::Cancelled
        | ExecEvent::Expired
        | ExecEvent::NotFound => Note::new(),
    }
}
