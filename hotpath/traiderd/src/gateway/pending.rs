//! Requests on their way and what their answers mean. Pure: no socket, no clock, so that every order of events can be
//! tested.
//!
//! A question about an order takes up to three requests, because the venue lists fills only by its own number of the
//! order, and because the fills must be known before the status is believed: status (if the number is unknown), fills,
//! status. If the status counts more than the fills add up to, the fills are read again.

use domain::event::{Event, ExecReport, note};
use domain::order::Fill;
use domain::{ClientOrderId, ExecEvent, Instrument, InstrumentId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use venues::binance::user::{self, Reply, Status};

/// A request without an answer for this long has an unknown outcome.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Most requests on their way at once.
pub const PENDING_MAX: usize = 4096;
/// How often the fills of one question are read.
const ROUNDS_MAX: u8 = 3;

/// A request on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// About which order; meaningless for [`Asked::Account`].
    pub id: ClientOrderId,
    /// Of what.
    pub instrument: InstrumentId,
    /// What was asked.
    pub asked: Asked,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// Take this order.
    Place(Box<domain::OrderRequest>),
    /// Cancel it.
    Cancel,
    /// What became of it; the first status, by our id, to learn the venue's number.
    Number,
    /// Its fills.
    Fills {
        /// The venue's number of it.
        venue_id: u64,
        /// How often they were read before.
        round: u8,
    },
    /// Its status after its fills.
    Status {
        /// The venue's number of it.
        venue_id: u64,
        /// How often the fills were read.
        round: u8,
        /// The fills with the venue's time, ns.
        fills: Vec<(u64, Fill)>,
    },
    /// What we hold.
    Account,
}

/// What an answer leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// For the engine.
    pub events: Vec<Event>,
    /// Next request of the same question.
    pub next: Option<Request>,
}

impl Request {
    /// The question what became of an order; shorter when the venue's number of it is known.
    pub fn question(id: ClientOrderId, instrument: InstrumentId, venue_id: Option<u64>) -> Request {
        let asked = venue_id.map_or(Asked::Number, |venue_id| Asked::Fills { venue_id, round: 0 });
        Request { id, instrument, asked }
    }

    fn then(&self, asked: Asked) -> Outcome {
        Outcome { next: Some(Request { asked, ..self.clone() }), ..Outcome::default() }
    }
    fn news(&self, event: ExecEvent) -> Outcome {
        Outcome { events: vec![self.report(0, event)], next: None }
    }
    fn report(&self, ts_venue_ns: u64, event: ExecEvent) -> Event {
        Event::Exec(ExecReport { id: self.id, ts_venue_ns, event })
    }

    /// What it means that the request never left: the order does not exist, the cancel did not happen, the question
    /// stays open.
    pub fn not_sent(&self, why: &str) -> Option<Event> {
        let reason = note(&format!("not sent: {why}"));
        let event = match self.asked {
            Asked::Place(_) => ExecEvent::Rejected { reason },
            Asked::Cancel => ExecEvent::CancelRejected { reason },
            Asked::Number | Asked::Fills { .. } | Asked::Status { .. } => ExecEvent::OutcomeUnknown { reason },
            Asked::Account => return None,
        };
        Some(self.report(0, event))
    }

    /// What it means that no answer came.
    pub fn unanswered(&self, why: &str) -> Option<Event> {
        match self.asked {
            Asked::Account => None,
            Asked::Place(_) | Asked::Cancel | Asked::Number | Asked::Fills { .. } | Asked::Status { .. } => {
                Some(self.report(0, ExecEvent::OutcomeUnknown { reason: note(why) }))
            }
        }
    }

    /// What the answer means. `i` is the request's instrument.
    pub fn answered(&self, reply: &Reply<'_>, i: &Instrument) -> Outcome {
        match &self.asked {
            Asked::Place(_) => self.news(user::placed(reply)),
            Asked::Cancel => user::cancelled(reply).map_or_else(Outcome::default, |event| self.news(event)),
            Asked::Number => match user::status(reply, i) {
                Status::NotFound => self.news(ExecEvent::NotFound),
                Status::Found { venue_order_id, .. } => self.then(Asked::Fills { venue_id: venue_order_id, round: 0 }),
                Status::Unclear(reason) => self.news(ExecEvent::OutcomeUnknown { reason }),
            },
            Asked::Fills { venue_id, round } => match user::trades(reply, i) {
                Ok(fills) => self.then(Asked::Status { venue_id: *venue_id, round: round + 1, fills }),
                Err(reason) => self.news(ExecEvent::OutcomeUnknown { reason }),
            },
            Asked::Status { venue_id, round, fills } => self.settled(user::status(reply, i), *venue_id, *round, fills),
            Asked::Account => match user::balances(reply) {
                Ok(all) => Outcome { events: all.into_iter().map(Event::Balance).collect(), next: None },
                Err(reason) => {
                    tracing::warn!(%reason, "the venue does not tell our balances");
                    Outcome::default()
                }
            },
        }
    }

    fn settled(&self, status: Status, venue_id: u64, round: u8, fills: &[(u64, Fill)]) -> Outcome {
        let last = match status {
            Status::Found { filled, .. }
                if fills.iter().map(|(_, f)| u128::from(f.qty.get())).sum::<u128>() < u128::from(filled.get())
                    && round < ROUNDS_MAX =>
            {
                return self.then(Asked::Fills { venue_id, round });
            }
            Status::Found { status, filled, .. } => ExecEvent::Found { status, filled },
            Status::NotFound => ExecEvent::NotFound,
            Status::Unclear(reason) => ExecEvent::OutcomeUnknown { reason },
        };
        // Fills are facts whatever the status says, and they come first.
        let mut events: Vec<Event> =
            fills.iter().map(|(ts, fill)| self.report(*ts, ExecEvent::Filled(*fill))).collect();
        events.push(self.report(0, last));
        Outcome { events, next: None }
    }
}

/// Requests on their way, by number.
#[derive(Debug, Default)]
pub struct Pending {
    requests: BTreeMap<u64, (Instant, Request)>,
}

impl Pending {
    /// True when no answer is awaited.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
    /// True when no more may be sent before answers come.
    pub fn is_full(&self) -> bool {
        self.requests.len() >= PENDING_MAX
    }
    /// Notes a request sent now under `number`, which only goes up.
    pub fn insert(&mut self, number: u64, request: Request, now: Instant) {
        self.requests.insert(number, (now + ANSWER_WAIT, request));
    }
    /// The request that `number` belongs to; an answer is taken once.
    pub fn take(&mut self, number: u64) -> Option<Request> {
        self.requests.remove(&number).map(|(_, request)| request)
    }
    /// Takes those that waited too long, oldest first.
    pub fn expired(&mut self, now: Instant) -> Vec<Request> {
        let mut late = Vec::new();
        while let Some(entry) = self.requests.first_entry()
            && entry.get().0 <= now
        {
            late.push(entry.remove().1);
        }
        late
    }
    /// Takes all, oldest first.
    pub fn drain(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests).into_values().map(|(_, request)| request).collect()
    }
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
