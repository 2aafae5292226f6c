//! What a new order must pass, what it must hold, and what it costs: the part of [`SimVenue`] that guards money.

use crate::book::Book;
use crate::order::{NewOrder, Reject, SimKind};
use crate::venue::{Listing, SimVenue};
use domain::{Decimal, Instrument, Lots, Side, TickLots, Ticks, num};

impl SimVenue {
    /// Every refusal a new order can meet, in the order of the checks.
    pub(crate) fn check(&self, ts_ns: u64, new: &NewOrder) -> Result<(), Reject> {
        let Listing { instrument, book, resting } =
            self.listings.get(&new.instrument).ok_or(Reject::UnknownInstrument)?;
        let market = new.kind == SimKind::Market;
        if !market && new.price.get() <= 0 {
            return Err(Reject::PriceFilter);
        }
        if new.qty < instrument.qty_min || new.qty > instrument.qty_max || new.qty.is_zero() {
            return Err(Reject::LotSize);
        }
        let best = book.best(new.side.opposite()).map(|l| l.price);
        let price = if market { best } else { Some(new.price) };
        if price.is_some_and(|p| num::value(p, new.qty) < instrument.value_min) {
            return Err(Reject::Notional);
        }
        if self.order(&new.id).is_some_and(|o| o.status.is_open()) {
            return Err(Reject::DuplicateOrder);
        }
        if resting.len() >= self.config.open_orders_max {
            return Err(Reject::MaxOrders);
        }
        if new.kind == SimKind::PostOnly && self.would_take(new, best) {
            return Err(Reject::WouldTake);
        }
        let (asset, amount) = match (new.side, market) {
            (Side::Sell, _) => (instrument.base, instrument.qty(new.qty)),
            (Side::Buy, false) => (instrument.quote, self.hold(instrument, new.price, new.qty)),
            (Side::Buy, true) => (instrument.quote, self.market_cost(ts_ns, instrument, book, new.qty)),
        };
        if self.account.covers(&asset, amount) { Ok(()) } else { Err(Reject::InsufficientBalance) }
    }

    fn would_take(&self, new: &NewOrder, best: Option<Ticks>) -> bool {
        let crosses = |price: Ticks| match new.side {
            Side::Buy => price <= new.price,
            Side::Sell => price >= new.price,
        };
        best.is_some_and(crosses)
            || self.resting(new.instrument, new.side.opposite()).iter().any(|o| crosses(o.request.price))
    }

    /// What a buy has to hold: its value and the larger of the two fees.
    pub(crate) fn hold(&self, instrument: &Instrument, price: Ticks, qty: Lots) -> Decimal {
        let bps = self.config.fees.maker_bps.max(self.config.fees.taker_bps);
        plus_fee(instrument.notional(price, qty), bps)
    }

    /// What a market buy would cost now.
    fn market_cost(&self, ts_ns: u64, instrument: &Instrument, book: &Book, qty: Lots) -> Decimal {
        let (mut left, mut value) = (qty, 0i128);
        book.walk(Side::Sell, |level| {
            let n = book.available(Side::Sell, level, ts_ns).min(left);
            left = left.saturating_sub(n);
            value += num::value(level.price, n).get();
            !left.is_zero()
        });
        plus_fee(instrument.value(TickLots::new(value)), self.config.fees.taker_bps)
    }
}

fn plus_fee(value: Decimal, bps: u32) -> Decimal {
    value.checked_add(fee(value, bps)).expect("values are below 10^20")
}

/// `bps` basis points of `value`, exact.
pub(crate) fn fee(value: Decimal, bps: u32) -> Decimal {
    value.checked_mul(Decimal::new(i128::from(bps), 4)).expect("values are below 10^20")
}
