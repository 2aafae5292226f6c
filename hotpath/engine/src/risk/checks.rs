//! The checks, in groups. Each looks at few numbers and reports them.

use super::{Check, Facts, Refusal, value_at_most};
use domain::config::RiskLimits;
use domain::event::Allowed;
use domain::order::OrderKind;
use domain::{Decimal, OrderRequest, Side, TickLots, num};

pub(super) struct Gate<'a> {
    pub(super) request: &'a OrderRequest,
    pub(super) facts: &'a Facts<'a>,
    pub(super) limits: &'a RiskLimits,
    pub(super) checks: &'a mut Vec<Check>,
}

impl Gate<'_> {
    /// An order on a spot venue reduces when it sells what is held; [`Refusal::Oversell`] sees to the rest.
    fn reduces(&self) -> bool {
        self.request.side == Side::Sell
    }

    /// Reports a number and refuses when it is not `ok`.
    fn check(
        &mut self,
        name: &'static str,
        value: String,
        limit: String,
        ok: bool,
        no: Refusal,
    ) -> Result<(), Refusal> {
        self.checks.push(Check { name, value, limit, ok });
        if ok { Ok(()) } else { Err(no) }
    }

    /// As [`Gate::check`] for conditions that have no number: silent when they hold.
    fn demand(&mut self, name: &'static str, ok: bool, no: Refusal) -> Result<(), Refusal> {
        if ok { Ok(()) } else { self.check(name, "no".to_owned(), "yes".to_owned(), false, no) }
    }

    pub(super) fn control(&mut self) -> Result<(), Refusal> {
        self.demand("entries_allowed", self.reduces() || !self.facts.halted, Refusal::Halted)?;
        self.demand("traded", self.facts.instrument.trade, Refusal::WatchOnly)?;
        let taken = match self.facts.allowed {
            Allowed::All => true,
            Allowed::PostOnly => self.request.kind == OrderKind::PostOnly,
            Allowed::CancelOnly | Allowed::Nothing => false,
        };
        self.demand("venue_open", taken, Refusal::VenueClosed)?;
        self.demand("order_link_up", self.facts.link_up, Refusal::LinkDown)
    }

    pub(super) fn book(&mut self) -> Result<(), Refusal> {
        self.demand("book_live", self.facts.book_live, Refusal::BookNotLive)?;
        let (age_ms, max) = (self.facts.book_age_ms, self.limits.book_age_ms_max);
        self.check("book_age_ms", age_ms.to_string(), max.to_string(), age_ms <= max, Refusal::BookStale { age_ms })?;
        let sound = self.facts.top.is_some_and(|(bid, ask)| bid < ask);
        self.demand("bid_below_ask", sound, Refusal::BookCrossed)
    }

    pub(super) fn rules(&mut self) -> Result<(), Refusal> {
        let (request, rules) = (self.request, self.facts.instrument);
        let same = request.instrument == rules.id && request.instrument_version == rules.version;
        self.demand("instrument_version", same, Refusal::InstrumentVersion)?;
        let qty = request.qty;
        let text = |qty| rules.qty(qty).to_string();
        let (least, most) = (rules.qty_min, rules.qty_max);
        let enough = qty >= least && !qty.is_zero();
        self.check("qty_least", text(qty), text(least), enough, Refusal::OffRules)?;
        self.check("qty_most", text(qty), text(most), qty <= most, Refusal::OffRules)?;
        let value = num::value(request.price, qty);
        let text = |value| rules.value(value).to_string();
        self.check("value_least", text(value), text(rules.value_min), value >= rules.value_min, Refusal::OffRules)
    }

    pub(super) fn price(&mut self) -> Result<(), Refusal> {
        let Some((bid, ask)) = self.facts.top else { return Err(Refusal::BookCrossed) };
        let mid2 = i128::from(bid.get()) + i128::from(ask.get());
        let off = (2 * i128::from(self.request.price.get()) - mid2).abs() * 10_000;
        let max = self.limits.price_collar_bps;
        // The text is rounded up to whole basis points; the comparison is exact.
        let shown = if mid2 > 0 { (off + mid2 - 1) / mid2 } else { i128::MAX };
        let ok = mid2 > 0 && off <= i128::from(max) * mid2;
        self.check("price_off_mid_bps", shown.to_string(), max.to_string(), ok, Refusal::PriceCollar)
    }

    pub(super) fn size(&mut self) -> Result<(), Refusal> {
        let (request, rules, limits) = (self.request, self.facts.instrument, self.limits);
        let value = num::value(request.price, request.qty);
        self.value("order_value", value, limits.order_value_max, Refusal::OrderValue)?;
        match request.side {
            Side::Buy => {
                let held = self.facts.held_at_most() + u128::from(request.qty.get());
                let worst = value_at_most(held, request.price);
                self.value("position_value", worst, limits.position_value_max, Refusal::PositionValue)
            }
            Side::Sell => {
                let (qty, free) = (request.qty, self.facts.free_to_sell());
                let text = |qty| rules.qty(qty).to_string();
                self.check("qty_to_sell", text(qty), text(free), qty <= free, Refusal::Oversell)
            }
        }
    }

    pub(super) fn loss(&mut self) -> Result<(), Refusal> {
        let (net, floor) = (self.facts.day_net, loss_floor(self.facts.loss_base, self.limits.daily_loss_max));
        let within = !self.facts.loss_halted && floor.is_some_and(|floor| net > floor);
        if self.reduces() {
            return Ok(());
        }
        let limit = floor.map_or_else(|| "none".to_owned(), |floor| floor.to_string());
        self.check("day_net", net.to_string(), limit, within, Refusal::DailyLoss)
    }

    pub(super) fn rate(&mut self) -> Result<(), Refusal> {
        let (facts, limits) = (self.facts, self.limits);
        self.budget("orders_1s", facts.sent_1s, limits.orders_per_second_max, Refusal::OrderRatePerSecond)?;
        self.budget("orders_60s", facts.sent_60s, limits.orders_per_minute_max, Refusal::OrderRatePerMinute)?;
        self.budget("orders_open", facts.open_orders, limits.open_orders_max, Refusal::OpenOrders)?;
        self.demand("no_order_for_the_same", !facts.duplicate, Refusal::DuplicateIntent)
    }

    /// Reports the number with this order counted in.
    fn budget(&mut self, name: &'static str, used: u32, max: u32, no: Refusal) -> Result<(), Refusal> {
        let max = if self.reduces() { max } else { entry_share(max) };
        let with_this = used.saturating_add(1);
        self.check(name, with_this.to_string(), max.to_string(), with_this <= max, no)
    }

    fn value(&mut self, name: &'static str, value: TickLots, max: Decimal, no: Refusal) -> Result<(), Refusal> {
        let rules = self.facts.instrument;
        let ok = value <= rules.value_floor(max);
        self.check(name, rules.value(value).to_string(), max.to_string(), ok, no)
    }
}

/// What entries may use of a budget: four fifths, at least one (I-07 keeps the rest for orders that reduce).
pub(super) const fn entry_share(max: u32) -> u32 {
    if max <= 1 { max } else { max - max.div_ceil(5) }
}

/// The day's net at which entries stop: `loss_max` below the base it counts from. `None` past 38 digits, where no entry
/// is allowed.
pub(crate) fn loss_floor(loss_base: Decimal, loss_max: Decimal) -> Option<Decimal> {
    loss_base.checked_add(Decimal::new(-loss_max.mantissa, loss_max.scale))
}
