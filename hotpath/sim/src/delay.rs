//! The way to the venue and back takes time. [`DelayedVenue`] holds orders and cancels until they arrive, and reports
//! until we would have seen them, in one deterministic order, so that a backtest meets the same races as the live
//! system: a fill can be on its way while the cancel is.

use crate::order::{NewOrder, SimOutput};
use crate::venue::SimVenue;
use domain::{ClientOrderId, Event};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long the way takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LatencyModel {
    /// Always the same.
    Constant {
        /// From us to the venue, ns.
        entry_ns: u64,
        /// From the venue to us, ns.
        response_ns: u64,
    },
}

impl LatencyModel {
    /// From us to the venue for something sent at `_ts_ns`, ns.
    pub const fn entry_ns(&self, _ts_ns: u64) -> u64 {
        match self {
            LatencyModel::Constant { entry_ns, .. } => *entry_ns,
        }
    }
    /// From the venue to us for something that happened at `_ts_ns`, ns.
    pub const fn response_ns(&self, _ts_ns: u64) -> u64 {
        match self {
            LatencyModel::Constant { response_ns, .. } => *response_ns,
        }
    }
}

#[derive(Clone, Debug)]
enum Command {
    Submit(NewOrder),
    Cancel(ClientOrderId),
}

/// A venue behind a wire.
///
/// A backtest, for each market event at `ts`: first `while let Some((at, report)) = venue.poll(ts)` feed the engine
/// at time `at` (its answers go in through [`DelayedVenue::submit`] and [`DelayedVenue::cancel`] at `at`), then
/// [`DelayedVenue::on_market`], then the engine.
#[derive(Clone, Debug)]
pub struct DelayedVenue {
    venue: SimVenue,
    latency: LatencyModel,
    /// By arrival time, then in the order sent.
    inbound: BTreeMap<(u64, u64), Command>,
    /// By time of sight, then in the order they happened.
    outbound: BTreeMap<(u64, u64), SimOutput>,
    counter: u64,
    scratch: Vec<SimOutput>,
}

impl DelayedVenue {
    /// `venue` behind `latency`.
    pub fn new(venue: SimVenue, latency: LatencyModel) -> Self {
        Self { venue, latency, inbound: BTreeMap::new(), outbound: BTreeMap::new(), counter: 0, scratch: Vec::new() }
    }
    /// The venue itself, as it stands.
    pub const fn venue(&self) -> &SimVenue {
        &self.venue
    }

    /// Sends an order at `ts_ns`.
    pub fn submit(&mut self, ts_ns: u64, new: NewOrder) {
        self.send(ts_ns, Command::Submit(new));
    }
    /// Sends a cancel at `ts_ns`.
    pub fn cancel(&mut self, ts_ns: u64, id: ClientOrderId) {
        self.send(ts_ns, Command::Cancel(id));
    }

    fn send(&mut self, ts_ns: u64, command: Command) {
        self.counter += 1;
        let arrives_ns = ts_ns.saturating_add(self.latency.entry_ns(ts_ns));
        self.inbound.insert((arrives_ns, self.counter), command);
    }

    /// Time of the next thing to happen without the market, if any.
    pub fn next_due_ns(&self) -> Option<u64> {
        let times =
            [self.inbound.first_key_value().map(|(k, _)| k.0), self.outbound.first_key_value().map(|(k, _)| k.0)];
        times.into_iter().flatten().min()
    }

    /// The next report we see at or before `until_ns`, with its time. Lets arrive what arrives on the way.
    pub fn poll(&mut self, until_ns: u64) -> Option<(u64, SimOutput)> {
        loop {
            let arrival = self.inbound.first_key_value().map(|(k, _)| k.0);
            let sight = self.outbound.first_key_value().map(|(k, _)| k.0);
            match (arrival, sight) {
                // At the same instant the venue moves first.
                (Some(a), s) if a <= until_ns && s.is_none_or(|s| a <= s) => self.arrive(),
                (_, Some(s)) if s <= until_ns => {
                    return self.outbound.pop_first().map(|((at_ns, _), output)| (at_ns, output));
                }
                _ => return None,
            }
        }
    }

    fn arrive(&mut self) {
        let Some(((ts_ns, _), command)) = self.inbound.pop_first() else { return };
        let mut scratch = std::mem::take(&mut self.scratch);
        // Refusals are among the reports, so the result says nothing new.
        match command {
            Command::Submit(new) => drop(self.venue.submit(ts_ns, &new, &mut scratch)),
            Command::Cancel(id) => drop(self.venue.cancel(ts_ns, &id, &mut scratch)),
        }
        self.queue(ts_ns, &mut scratch);
        self.scratch = scratch;
    }

    /// Applies a public event at `ts_ns`; call [`DelayedVenue::poll`] up to `ts_ns` first.
    ///
    /// # Panics
    /// When something was due before it: fills before arrival would follow.
    pub fn on_market(&mut self, ts_ns: u64, event: &Event) {
        assert!(self.next_due_ns().is_none_or(|due| due > ts_ns), "poll up to {ts_ns} before the market moves");
        let mut scratch = std::mem::take(&mut self.scratch);
        self.venue.on_market(ts_ns, event, &mut scratch);
        self.queue(ts_ns, &mut scratch);
        self.scratch = scratch;
    }

    fn queue(&mut self, ts_ns: u64, outputs: &mut Vec<SimOutput>) {
        let seen_ns = ts_ns.saturating_add(self.latency.response_ns(ts_ns));
        for output in outputs.drain(..) {
            self.counter += 1;
            self.outbound.insert((seen_ns, self.counter), output);
        }
    }
}
