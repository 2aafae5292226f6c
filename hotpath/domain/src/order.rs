//! Orders and their life. The transition is one total function over (state, event): a new event makes the compiler
//! ask what it means in every state. Silence is never final (I-04): an order without proof of its fate is `Unknown`.

use crate::{
    Asset, ClientOrderId, Decimal, FillId, InstrumentId, Lots, Side, StrategyId, Ticks, VenueOrderId, event::Note,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How an order may trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// At the limit or better; takes and rests according to its time in force.
    Limit,
    /// At the limit, only as a maker; refused by the venue if it would take.
    PostOnly,
}

/// How long an order may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeInForce {
    /// Until cancelled.
    Gtc,
    /// What can trade at once trades, the rest expires.
    Ioc,
    /// All at once or nothing.
    Fok,
}

/// An order as it goes to a venue. Only `engine::risk` can turn one into something that may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderRequest {
    /// Ours, unique for ever.
    pub id: ClientOrderId,
    /// What is traded.
    pub instrument: InstrumentId,
    /// Version of the trading rules it was made under.
    pub instrument_version: u32,
    /// Whose idea it was.
    pub strategy: StrategyId,
    /// Which way.
    pub side: Side,
    /// How it may trade.
    pub kind: OrderKind,
    /// How long it may live.
    pub tif: TimeInForce,
    /// Limit price.
    pub price: Ticks,
    /// Size.
    pub qty: Lots,
}

/// A fee or a rebate (negative).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// In which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Decimal,
}

/// One fill of one of our orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The venue's id; a fill is applied once (I-21).
    pub id: FillId,
    /// Price.
    pub price: Ticks,
    /// Size of this fill.
    pub qty: Lots,
    /// What it cost.
    pub fee: Fee,
    /// True when our order was resting.
    pub maker: bool,
}

/// What the venue knows of an order when asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueOrderStatus {
    /// On the book, perhaps partly filled.
    Open,
    /// Wholly filled.
    Filled,
    /// Cancelled.
    Cancelled,
    /// Expired (IOC remainder, self-trade prevention).
    Expired,
    /// Refused.
    Rejected,
}

/// News that can reach an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ExecEvent {
    /// The venue took it.
    Accepted {
        /// The venue's id.
        venue_order_id: VenueOrderId,
    },
    /// The venue refused it.
    Rejected {
        /// The venue's reason.
        reason: Note,
    },
    /// It traded.
    Filled(Fill),
    /// It was cancelled with what was left.
    Cancelled,
    /// It expired with what was left.
    Expired,
    /// A cancel was refused; says nothing about the order itself.
    CancelRejected {
        /// The venue's reason.
        reason: Note,
    },
    /// No answer: timeout, lost connection, 5xx. The order may or may not exist.
    OutcomeUnknown {
        /// What happened instead of an answer.
        reason: Note,
    },
    /// Answer to a query: the venue does not know it (perhaps not yet).
    NotFound,
    /// Answer to a query. Fills the venue lists are reported as [`ExecEvent::Filled`] before this.
    Found {
        /// Its status there.
        status: VenueOrderStatus,
        /// Total filled there.
        filled: Lots,
    },
}

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// Wholly filled.
    Filled,
    /// Cancelled.
    Cancelled,
    /// Expired.
    Expired,
    /// Refused by the venue.
    Rejected,
    /// Proven never to have reached the venue.
    NeverArrived,
}

/// Where an order stands. `leaves` is what may still trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum OrderState {
    /// Sent, no answer yet.
    InFlight {
        /// May still trade.
        leaves: Lots,
    },
    /// Known to rest at the venue.
    Live {
        /// May still trade.
        leaves: Lots,
    },
    /// A cancel is on its way.
    Cancelling {
        /// May still trade.
        leaves: Lots,
    },
    /// Its fate is not proven; counts as live and as filled until it is (I-04).
    Unknown {
        /// May still trade.
        leaves: Lots,
        /// How often in a row the venue said it does not know it.
        not_found: u8,
    },
    /// Final.
    Closed(Closed),
}

/// How many answers "not found" in a row prove that an order never arrived. The engine spaces the queries, because a
/// venue's query side lags its matching side.
pub const NOT_FOUND_PROOF: u8 = 2;

/// News that does not fit the state. The fact is booked all the same (a fill is a fill); the order must be looked at.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum TransitionError {
    /// News for an order that has ended.
    #[error("{event} after the order was closed as {closed:?}")]
    AfterClose {
        /// How it had ended.
        closed: Closed,
        /// Name of the news.
        event: &'static str,
    },
    /// More filled than was ordered.
    #[error("fill of {qty:?} with only {leaves:?} left")]
    Overfill {
        /// What was left.
        leaves: Lots,
        /// What came.
        qty: Lots,
    },
}

impl ExecEvent {
    /// A short name for messages and counters.
    pub const fn name(&self) -> &'static str {
        match self {
            ExecEvent::Accepted { .. } => "accepted",
            ExecEvent::Rejected { .. } => "rejected",
            ExecEvent::Filled(_) => "filled",
            ExecEvent::Cancelled => "cancelled",
            ExecEvent::Expired => "expired",
            ExecEvent::CancelRejected { .. } => "cancel_rejected",
            ExecEvent::OutcomeUnknown { .. } => "outcome_unknown",
            ExecEvent::NotFound => "not_found",
            ExecEvent::Found { .. } => "found",
        }
    }
}

impl OrderState {
    /// An order just handed to the gateway.
    pub const fn sent(qty: Lots) -> Self {
        OrderState::InFlight { leaves: qty }
    }

    /// What may still trade; zero once closed.
    pub const fn leaves(self) -> Lots {
        match self {
            OrderState::InFlight { leaves }
            | OrderState::Live { leaves }
            | OrderState::Cancelling { leaves }
            | OrderState::Unknown { leaves, .. } => leaves,
            OrderState::Closed(_) => Lots::ZERO,
        }
    }

    /// True until the order has ended.
    pub const fn is_open(self) -> bool {
        !matches!(self, OrderState::Closed(_))
    }

    /// True while a cancel makes sense and none is on its way.
    pub const fn can_cancel(self) -> bool {
        matches!(self, OrderState::InFlight { .. } | OrderState::Live { .. } | OrderState::Unknown { .. })
    }

    /// A short name for messages, tables and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            OrderState::InFlight { .. } => "in_flight",
            OrderState::Live { .. } => "live",
            OrderState::Cancelling { .. } => "cancelling",
            OrderState::Unknown { .. } => "unknown",
            OrderState::Closed(Closed::Filled) => "filled",
            OrderState::Closed(Closed::Cancelled) => "cancelled",
            OrderState::Closed(Closed::Expired) => "expired",
            OrderState::Closed(Closed::Rejected) => "rejected",
            OrderState::Closed(Closed::NeverArrived) => "never_arrived",
        }
    }

    /// We sent a cancel.
    #[must_use]
    pub const fn cancel_sent(self) -> OrderState {
        match self {
            OrderState::InFlight { leaves }
            | OrderState::Live { leaves }
            | OrderState::Cancelling { leaves }
            | OrderState::Unknown { leaves, .. } => OrderState::Cancelling { leaves },
            OrderState::Closed(c) => OrderState::Closed(c),
        }
    }

    /// We lost sight of it: the daemon restarted or the order connection broke.
    #[must_use]
    pub const fn lost_sight(self) -> OrderState {
        match self {
            OrderState::InFlight { leaves } | OrderState::Live { leaves } | OrderState::Cancelling { leaves } => {
                OrderState::Unknown { leaves, not_found: 0 }
            }
            OrderState::Unknown { leaves, not_found } => OrderState::Unknown { leaves, not_found },
            OrderState::Closed(c) => OrderState::Closed(c),
        }
    }

    /// Applies news. Fills must already be freed of duplicates by fill id.
    ///
    /// # Errors
    /// [`TransitionError`] when the news does not fit; the state stays as it was, and the caller must reconcile.
    pub fn on(self, event: &ExecEvent) -> Result<OrderState, TransitionError> {
        use {Closed as C, ExecEvent as E, OrderState as S, VenueOrderStatus as V};
        Ok(match (self, event) {
            (S::InFlight { leaves } | S::Unknown { leaves, .. }, E::Accepted { .. }) => S::Live { leaves },
            // The acknowledgement overtaken by a fill, a cancel or a second one: nothing new.
            (S::Live { leaves }, E::Accepted { .. }) => S::Live { leaves },
            (S::Cancelling { leaves }, E::Accepted { .. }) => S::Cancelling { leaves },

            (S::InFlight { .. } | S::Live { .. } | S::Cancelling { .. } | S::Unknown { .. }, E::Rejected { .. }) => {
                S::Closed(C::Rejected)
            }

            // A fill can overtake the acknowledgement, so it also means "accepted".
            (S::InFlight { leaves } | S::Live { leaves }, E::Filled(fill)) => match left(leaves, fill.qty)? {
                Lots::ZERO => S::Closed(C::Filled),
                leaves => S::Live { leaves },
            },
            (S::Cancelling { leaves }, E::Filled(fill)) => match left(leaves, fill.qty)? {
                Lots::ZERO => S::Closed(C::Filled),
                leaves => S::Cancelling { leaves },
            },
            // One more fill does not prove that there are no others we missed.
            (S::Unknown { leaves, .. }, E::Filled(fill)) => match left(leaves, fill.qty)? {
                Lots::ZERO => S::Closed(C::Filled),
                leaves => S::Unknown { leaves, not_found: 0 },
            },

            (S::InFlight { .. } | S::Live { .. } | S::Cancelling { .. } | S::Unknown { .. }, E::Cancelled) => {
                S::Closed(C::Cancelled)
            }
            (S::InFlight { .. } | S::Live { .. } | S::Cancelling { .. } | S::Unknown { .. }, E::Expired) => {
                S::Closed(C::Expired)
            }

            // "Unknown order" to a cancel means filled, gone or never there: ask.
            (S::Cancelling { leaves }, E::CancelRejected { .. }) => S::Unknown { leaves, not_found: 0 },
            (state @ (S::InFlight { .. } | S::Live { .. } | S::Unknown { .. }), E::CancelRejected { .. }) => state,

            (S::InFlight { leaves } | S::Live { leaves } | S::Cancelling { leaves }, E::OutcomeUnknown { .. }) => {
                S::Unknown { leaves, not_found: 0 }
            }
            (state @ S::Unknown { .. }, E::OutcomeUnknown { .. }) => state,

            (S::Unknown { leaves, not_found }, E::NotFound) => match not_found + 1 {
                NOT_FOUND_PROOF.. => S::Closed(C::NeverArrived),
                not_found => S::Unknown { leaves, not_found },
            },
            (S::InFlight { leaves } | S::Live { leaves } | S::Cancelling { leaves }, E::NotFound) => {
                S::Unknown { leaves, not_found: 1 }
            }

            // The venue lists its fills before it states its status, so whatever is still missing is really gone
            // or really open; `Found { Filled }` with leaves means a fill we have not seen, and the order stays
            // unknown until it is read.
            (
                S::InFlight { leaves } | S::Live { leaves } | S::Unknown { leaves, .. },
                E::Found { status: V::Open, .. },
            ) => S::Live { leaves },
            (S::Cancelling { leaves }, E::Found { status: V::Open, .. }) => S::Cancelling { leaves },
            (
                S::InFlight { leaves } | S::Live { leaves } | S::Cancelling { leaves } | S::Unknown { leaves, .. },
                E::Found { status: V::Filled, .. },
            ) => S::Unknown { leaves, not_found: 0 },
            (
                S::InFlight { .. } | S::Live { .. } | S::Cancelling { .. } | S::Unknown { .. },
                E::Found { status: V::Cancelled, .. },
            ) => S::Closed(C::Cancelled),
            (
                S::InFlight { .. } | S::Live { .. } | S::Cancelling { .. } | S::Unknown { .. },
                E::Found { status: V::Expired, .. },
            ) => S::Closed(C::Expired),
            (
                S::InFlight { .. } | S::Live { .. } | S::Cancelling { .. } | S::Unknown { .. },
                E::Found { status: V::Rejected, .. },
            ) => S::Closed(C::Rejected),

            // Late answers to questions that no longer matter.
            (
                S::Closed(c),
                E::CancelRejected { .. }
                | E::OutcomeUnknown { .. }
                | E::NotFound
                | E::Accepted { .. }
                | E::Found { .. },
            ) => S::Closed(c),
            // Said twice, on two paths.
            (S::Closed(C::Cancelled), E::Cancelled)
            | (S::Closed(C::Expired), E::Expired)
            | (S::Closed(C::Rejected), E::Rejected { .. }) => self,
            (S::Closed(closed), E::Filled(_) | E::Cancelled | E::Expired | E::Rejected { .. }) => {
                return Err(TransitionError::AfterClose { closed, event: event.name() });
            }
        })
    }
}

fn left(leaves: Lots, qty: Lots) -> Result<Lots, TransitionError> {
    leaves.checked_sub(qty).ok_or(TransitionError::Overfill { leaves, qty })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::note;

    const FIVE: Lots = Lots::new(5);

    fn filled(qty: u64) -> ExecEvent {
        ExecEvent::Filled(Fill {
            id: FillId::from("1").unwrap(),
            price: Ticks::new(100),
            qty: Lots::new(qty),
            fee: Fee { asset: Asset::from("USDT").unwrap(), amount: Decimal::ZERO },
            maker: false,
        })
    }
    fn accepted() -> ExecEvent {
        ExecEvent::Accepted { venue_order_id: VenueOrderId::from("7").unwrap() }
    }
    fn unknown() -> ExecEvent {
        ExecEvent::OutcomeUnknown { reason: note("timeout") }
    }
    fn found(status: VenueOrderStatus, filled: u64) -> ExecEvent {
        ExecEvent::Found { status, filled: Lots::new(filled) }
    }

    #[track_caller]
    fn check(script: &[ExecEvent], want: Result<OrderState, &str>) {
        let got = script.iter().try_fold(OrderState::sent(FIVE), |s, e| s.on(e)).map_err(|e| e.to_string());
        assert_eq!(got, want.map_err(str::to_owned));
    }

    #[test]
    fn a_fill_can_overtake_the_acknowledgement() {
        check(&[filled(2), accepted(), filled(3)], Ok(OrderState::Closed(Closed::Filled)));
    }

    #[test]
    fn a_cancel_can_cross_a_partial_fill() {
        let cancelling = OrderState::sent(FIVE).on(&accepted()).unwrap().cancel_sent();
        let state = cancelling.on(&filled(2)).unwrap();
        assert_eq!(state, OrderState::Cancelling { leaves: Lots::new(3) });
        assert_eq!(state.on(&ExecEvent::Cancelled), Ok(OrderState::Closed(Closed::Cancelled)));
    }

    #[test]
    fn silence_is_never_final_but_proof_is() {
        check(&[unknown()], Ok(OrderState::Unknown { leaves: FIVE, not_found: 0 }));
        check(&[unknown(), ExecEvent::NotFound], Ok(OrderState::Unknown { leaves: FIVE, not_found: 1 }));
        check(&[unknown(), ExecEvent::NotFound, ExecEvent::NotFound], Ok(OrderState::Closed(Closed::NeverArrived)));
        check(&[unknown(), accepted()], Ok(OrderState::Live { leaves: FIVE }));
        check(&[unknown(), found(VenueOrderStatus::Open, 0)], Ok(OrderState::Live { leaves: FIVE }));
    }

    #[test]
    fn filled_at_the_venue_but_not_seen_stays_unknown_until_the_fills_are_read() {
        let script = [unknown(), found(VenueOrderStatus::Filled, 5)];
        check(&script, Ok(OrderState::Unknown { leaves: FIVE, not_found: 0 }));
        check(&[unknown(), filled(5), found(VenueOrderStatus::Filled, 5)], Ok(OrderState::Closed(Closed::Filled)));
    }

    #[test]
    fn a_refused_cancel_makes_us_ask() {
        let cancelling = OrderState::sent(FIVE).on(&accepted()).unwrap().cancel_sent();
        let refused = ExecEvent::CancelRejected { reason: note("Unknown order sent.") };
        assert_eq!(cancelling.on(&refused), Ok(OrderState::Unknown { leaves: FIVE, not_found: 0 }));
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_changes_nothing() {
        check(&[filled(6)], Err("fill of Lots(6) with only Lots(5) left"));
        check(&[ExecEvent::Cancelled, filled(1)], Err("filled after the order was closed as Cancelled"));
        check(&[filled(5), ExecEvent::Cancelled], Err("cancelled after the order was closed as Filled"));
    }

    #[test]
    fn leaves_never_grow_whatever_comes() {
        let news = [
            accepted(),
            filled(1),
            filled(2),
            ExecEvent::Cancelled,
            ExecEvent::Expired,
            unknown(),
            ExecEvent::NotFound,
            ExecEvent::Rejected { reason: note("x") },
            ExecEvent::CancelRejected { reason: note("x") },
            found(VenueOrderStatus::Open, 0),
            found(VenueOrderStatus::Filled, 5),
            found(VenueOrderStatus::Cancelled, 0),
        ];
        // All scripts of three pieces of news, from every starting state.
        let starts = [
            OrderState::sent(FIVE),
            OrderState::Live { leaves: FIVE },
            OrderState::Cancelling { leaves: FIVE },
            OrderState::Unknown { leaves: FIVE, not_found: 0 },
        ];
        for start in starts {
            for a in &news {
                for b in &news {
                    for c in &news {
                        let mut state = start;
                        for event in [a, b, c] {
                            let next = state.on(event).unwrap_or(state);
                            assert!(next.leaves() <= state.leaves(), "{state:?} {event:?} -> {next:?}");
                            assert!(state.is_open() || !next.is_open(), "{state:?} came back to life by {event:?}");
                            state = next;
                        }
                    }
                }
            }
        }
    }
}
