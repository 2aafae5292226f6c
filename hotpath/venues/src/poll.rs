//! What no stream of a venue tells: questions to be asked over HTTP again and again. The caller asks, as often as
//! [`Poll::every`] says and its budget allows; the adapter reads the answers.

use crate::adapter::{Budget, Request, Said};
use crate::wire::SymbolTable;
use domain::event::{Allowed, Status, note};
use domain::{Event, InstrumentId};
use std::time::Duration;

/// A question to be asked again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// What the answer tells.
    pub what: Polled,
    /// Of which instruments.
    pub instruments: Vec<InstrumentId>,
    /// The question.
    pub request: Request,
    /// How long from one to the next.
    pub every: Duration,
}

/// What is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Polled {
    /// How much of a derivative is held.
    OpenInterest,
    /// What a market lets be done.
    Status,
}

/// How long from one to the next of questions that weigh so much together: `least`, or longer where they would take more
/// than a tenth of what the venue allows.
pub(crate) fn pace(least: Duration, weight: usize, allowed: Budget) -> Duration {
    let weight = u32::try_from(weight).unwrap_or(u32::MAX);
    least.max(allowed.window.saturating_mul(weight.saturating_mul(10)) / allowed.most.max(1))
}

/// A status in an answer: the venue's word for it, and what it means; `None` for a word we do not know.
pub(crate) type Told<'a> = (&'a str, Option<Allowed>);

/// Says of every instrument of the poll what the answer tells, where `find` looks for a symbol in it. A market the venue
/// does not list lets nothing be done.
pub(crate) fn statuses<'a>(
    poll: &Poll,
    table: &SymbolTable,
    out: &mut Vec<Said>,
    find: impl Fn(&str) -> Option<Told<'a>>,
) {
    for i in poll.instruments.iter().filter_map(|id| table.by_id(*id)) {
        let (word, allowed) = find(&i.symbol).unwrap_or(("not listed", Some(Allowed::Nothing)));
        out.push(match allowed {
            Some(allowed) => {
                let status = Status { venue: i.venue, instrument: Some(i.id), allowed, said: note(word) };
                Said::Event(Event::Status(status))
            }
            None => Said::Other("unknown status"),
        });
    }
}
