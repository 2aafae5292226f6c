//! The gate every order passes. It alone can make an [`Approved`].
//!
//! The checks run in the order of [`Refusal`]'s variants; the first that applies is the answer, and what was looked at
//! until then is reported number by number. Orders that reduce a position pass the checks that protect against new
//! risk (halts, daily loss) and may use the whole rate budget, of which entries leave a fifth (I-07). They never pass
//! a book that cannot be believed, and never sell more than is held.

mod checks;
mod sizing;

pub(crate) use checks::loss_floor;
pub use sizing::{Size, entry, exit, room};

use domain::config::RiskLimits;
use domain::event::Allowed;
use domain::{Decimal, Instrument, Lots, OrderRequest, Position, Side, TickLots, Ticks, num};
use serde::Serialize;

/// An order that passed every limit. Only this module can make one: the field is private, and so is the way in.
///
/// ```
/// fn read(x: engine::risk::Approved) -> domain::OrderRequest {
///     *x.request()
/// }
/// ```
///
/// The other way round does not compile; the two differ in nothing else:
///
/// ```compile_fail,E0603
/// fn forge(request: domain::OrderRequest) -> engine::risk::Approved {
///     engine::risk::Approved(request)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approved(OrderRequest);

impl Approved {
    /// The order inside.
    pub const fn request(&self) -> &OrderRequest {
        &self.0
    }
}

/// Why an order was refused, in the order the checks run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// Entries are stopped.
    Halted,
    /// It is only watched.
    WatchOnly,
    /// The venue does not take such orders now.
    VenueClosed,
    /// There is no way to send it.
    LinkDown,
    /// The book is not in step with the venue.
    BookNotLive,
    /// The book has not changed for too long.
    BookStale {
        /// How long, ms.
        age_ms: u64,
    },
    /// Best bid not below best ask, or one of them missing.
    BookCrossed,
    /// Made under other trading rules than those in force (I-08).
    InstrumentVersion,
    /// Against the venue's rules for sizes and values.
    OffRules,
    /// Too far from mid.
    PriceCollar,
    /// One order too large.
    OrderValue,
    /// The position could grow too large, open and unknown orders counted as filled (I-04).
    PositionValue,
    /// More than is held, less what open and unknown orders may already sell.
    Oversell,
    /// Too much lost today.
    DailyLoss,
    /// Too many orders in the last second.
    OrderRatePerSecond,
    /// Too many orders in the last minute.
    OrderRatePerMinute,
    /// Too many orders open.
    OpenOrders,
    /// The strategy has an open order for the same thing (I-03).
    DuplicateIntent,
}

impl Refusal {
    /// A short name for messages, counters and views.
    pub const fn name(&self) -> &'static str {
        match self {
            Refusal::Halted => "halted",
            Refusal::WatchOnly => "watch_only",
            Refusal::VenueClosed => "venue_closed",
            Refusal::LinkDown => "link_down",
            Refusal::BookNotLive => "book_not_live",
            Refusal::BookStale { .. } => "book_stale",
            Refusal::BookCrossed => "book_crossed",
            Refusal::InstrumentVersion => "instrument_version",
            Refusal::OffRules => "off_rules",
            Refusal::PriceCollar => "price_collar",
            Refusal::OrderValue => "order_value",
            Refusal::PositionValue => "position_value",
            Refusal::Oversell => "oversell",
            Refusal::DailyLoss => "daily_loss",
            Refusal::OrderRatePerSecond => "order_rate_per_second",
            Refusal::OrderRatePerMinute => "order_rate_per_minute",
            Refusal::OpenOrders => "open_orders",
            Refusal::DuplicateIntent => "duplicate_intent",
        }
    }
}

/// One number that was looked at, against its limit. Both are text, because they have many units; the name says which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, unit last.
    pub name: &'static str,
    /// What it was.
    pub value: String,
    /// What it must not pass.
    pub limit: String,
    /// True when it was within.
    pub ok: bool,
}

/// Everything the checks look at.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The rules in force.
    pub instrument: &'a Instrument,
    /// Entries are stopped by the operator or by a fault.
    pub halted: bool,
    /// Entries are stopped by a loss, until the operator resumes.
    pub loss_halted: bool,
    /// What the venue takes now.
    pub allowed: Allowed,
    /// Orders can be sent.
    pub link_up: bool,
    /// The book is in step.
    pub book_live: bool,
    /// Time since its last valid change, ms.
    pub book_age_ms: u64,
    /// Its best bid and ask.
    pub top: Option<(Ticks, Ticks)>,
    /// Sum of fills.
    pub position: Position,
    /// What of it can be sold (fees taken in base are gone).
    pub sellable: Lots,
    /// What open and unknown buy orders may still buy.
    pub open_buys: Lots,
    /// What open and unknown sell orders may still sell.
    pub open_sells: Lots,
    /// Net profit since 00:00 UTC, in quote.
    pub day_net: Decimal,
    /// The day's net from which the daily loss limit counts, in quote; zero unless the operator granted more.
    pub loss_base: Decimal,
    /// Orders sent in the last second.
    pub sent_1s: u32,
    /// Orders sent in the last minute.
    pub sent_60s: u32,
    /// Orders open.
    pub open_orders: u32,
    /// The strategy has an order open on this instrument and side.
    pub duplicate: bool,
}

impl Facts<'_> {
    /// What may be sold at most, whatever becomes of the orders that are out.
    pub fn free_to_sell(&self) -> Lots {
        self.sellable.saturating_sub(self.open_sells)
    }
    /// What we may hold at most, whatever becomes of the orders that are out: sells count as not filled.
    pub fn held_at_most(&self) -> u128 {
        u128::from(u64::try_from(self.position.get()).unwrap_or(0)) + u128::from(self.open_buys.get())
    }
}

/// Judges one order. What was looked at goes into `checks`.
///
/// # Errors
/// The first [`Refusal`] that applies.
pub(crate) fn review(
    request: OrderRequest,
    facts: &Facts<'_>,
    limits: &RiskLimits,
    checks: &mut Vec<Check>,
) -> Result<Approved, Refusal> {
    let mut gate = checks::Gate { request: &request, facts, limits, checks };
    gate.control()?;
    gate.book()?;
    gate.rules()?;
    gate.price()?;
    gate.size()?;
    gate.loss()?;
    gate.rate()?;
    assert!(checks.iter().all(|c| c.ok), "an approved order passed every check that was reported");
    assert!(!request.qty.is_zero(), "an approved order has a size");
    // The two limits that must not fail, a second time and another way.
    match request.side {
        Side::Buy => {
            let room = room(facts, limits, request.price);
            assert!(num::value(request.price, request.qty) <= room, "an approved entry fits the position limit");
        }
        Side::Sell => {
            let all = u128::from(request.qty.get()) + u128::from(facts.open_sells.get());
            assert!(all <= u128::from(facts.sellable.get()), "I-09: an approved sale leaves no short position");
        }
    }
    Ok(Approved(request))
}

/// Value of the position at `price` when everything that may be bought is bought.
pub(crate) fn value_at_most(held: u128, price: Ticks) -> TickLots {
    let held = i128::try_from(held).unwrap_or(i128::MAX);
    TickLots::new(held.saturating_mul(i128::from(price.get())))
}

#[cfg(test)]
mod tests;
