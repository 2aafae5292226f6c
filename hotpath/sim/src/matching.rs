//! How the public market fills our orders: the part of [`SimVenue`] that turns book changes and trades into fills.

use crate::book::Book;
use crate::checks::fee;
use crate::order::{OwnTrade, SimKind, SimOrder, SimOutput, SimStatus};
use crate::venue::SimVenue;
use domain::event::{ExecReport, Level, Trade};
use domain::order::{ExecEvent, Fee, Fill};
use domain::{Decimal, FillId, InstrumentId, Lots, Side, TickLots, Ticks, num};
use std::fmt::Write as _;

/// True when a resting order of `side` at `own` would trade at `price`.
const fn reaches(side: Side, own: Ticks, price: Ticks) -> bool {
    match side {
        Side::Buy => price.get() <= own.get(),
        Side::Sell => price.get() >= own.get(),
    }
}

impl SimVenue {
    /// Our resting orders of one side, best price first, then oldest first.
    pub(crate) fn resting(&self, instrument: InstrumentId, side: Side) -> Vec<SimOrder> {
        let Some(listing) = self.listings.get(&instrument) else { return Vec::new() };
        let mut own: Vec<SimOrder> = listing
            .resting
            .iter()
            .filter_map(|id| self.orders.get(id))
            .filter(|o| o.request.side == side)
            .copied()
            .collect();
        // Stable, and `resting` is in order of arrival.
        own.sort_by_key(|o| match side {
            Side::Buy => -o.request.price.get(),
            Side::Sell => o.request.price.get(),
        });
        own
    }

    /// Applies a book change, moves our orders in their queues, and fills those the other side now crosses.
    pub(crate) fn on_book(
        &mut self,
        ts_ns: u64,
        instrument: InstrumentId,
        out: &mut Vec<SimOutput>,
        apply: impl FnOnce(&mut Book),
    ) {
        let Some(listing) = self.listings.get_mut(&instrument) else { return };
        if listing.resting.is_empty() {
            apply(&mut listing.book);
            return;
        }
        let displayed = |book: &Book, o: &SimOrder| book.displayed(o.request.side, o.request.price);
        let before: Vec<(u64, Option<Lots>)> = listing
            .resting
            .iter()
            .filter_map(|id| self.orders.get(id))
            .map(|o| (o.venue_id, displayed(&listing.book, o)))
            .collect();
        apply(&mut listing.book);
        let mut blind = Vec::new();
        for (venue_id, before) in before {
            let Some(order) = self.orders.get_mut(&venue_id) else { continue };
            let after = displayed(&listing.book, order);
            if after.is_some() && order.queue.front.is_infinite() {
                blind.push((venue_id, order.request.price));
            }
            match (before, after) {
                (Some(before), Some(after)) if before != after => {
                    order.queue.on_depth(self.config.queue, before, after);
                }
                (None, Some(after)) => order.queue.cap(after),
                // Unchanged, or no longer known: what is not seen moves nobody.
                (Some(_), Some(_)) | (_, None) => {}
            }
        }
        // Orders that arrived while nothing was known meet the book now, as if they arrived now.
        for (venue_id, price) in blind {
            self.take(ts_ns, venue_id, Some(price), out);
        }
        self.cross(ts_ns, instrument, Side::Buy, out);
        self.cross(ts_ns, instrument, Side::Sell, out);
    }

    /// Fills resting orders of `side` that the displayed other side crosses, up to the size seen there.
    fn cross(&mut self, ts_ns: u64, instrument: InstrumentId, side: Side, out: &mut Vec<SimOutput>) {
        for order in self.resting(instrument, side) {
            let mut left = order.leaves();
            for (price, qty) in self.offers(ts_ns, instrument, side, Some(order.request.price), left) {
                left = left.saturating_sub(qty);
                self.consume(ts_ns, instrument, side, price, qty);
                self.fill(ts_ns, order.venue_id, order.request.price, qty, true, out);
            }
            if left == order.leaves() {
                // Nothing for the best of ours, so nothing for the others.
                break;
            }
        }
    }

    /// What an order of `side` could take now, best first, at `limit` or better, `qty` at most.
    fn offers(
        &self,
        ts_ns: u64,
        instrument: InstrumentId,
        side: Side,
        limit: Option<Ticks>,
        qty: Lots,
    ) -> Vec<(Ticks, Lots)> {
        let mut offers = Vec::new();
        let Some(listing) = self.listings.get(&instrument) else { return offers };
        let mut left = qty;
        listing.book.walk(side.opposite(), |level: Level| {
            if left.is_zero() || limit.is_some_and(|limit| !reaches(side, limit, level.price)) {
                return false;
            }
            let n = listing.book.available(side.opposite(), level, ts_ns).min(left);
            if !n.is_zero() {
                left = left.saturating_sub(n);
                offers.push((level.price, n));
            }
            true
        });
        offers
    }

    fn consume(&mut self, ts_ns: u64, instrument: InstrumentId, side: Side, price: Ticks, qty: Lots) {
        if let Some(listing) = self.listings.get_mut(&instrument) {
            listing.book.take(side.opposite(), price, qty, ts_ns);
        }
    }

    /// How much of a limit order could trade at once.
    pub(crate) fn within_reach(&self, ts_ns: u64, new: &crate::NewOrder) -> Lots {
        let offers = self.offers(ts_ns, new.instrument, new.side, Some(new.price), new.qty);
        Lots::new(offers.iter().map(|(_, qty)| qty.get()).sum())
    }

    /// Lets an arriving order take what it can reach. Orders of ours in its way expire instead of trading with it
    /// (Binance's `EXPIRE_MAKER`).
    pub(crate) fn take(&mut self, ts_ns: u64, venue_id: u64, limit: Option<Ticks>, out: &mut Vec<SimOutput>) {
        let Some(order) = self.orders.get(&venue_id).copied() else { return };
        let (instrument, side) = (order.request.instrument, order.request.side);
        let own = self.resting(instrument, side.opposite());
        let expire = |venue: &mut SimVenue, out: &mut Vec<SimOutput>, in_the_way: &dyn Fn(Ticks) -> bool| {
            for other in own.iter().filter(|o| in_the_way(o.request.price)) {
                if venue.orders.get(&other.venue_id).is_some_and(|o| o.status.is_open()) {
                    venue.close(ts_ns, other.venue_id, SimStatus::ExpiredInMatch, ExecEvent::Expired, out);
                }
            }
        };
        let mut left = order.leaves();
        for (price, qty) in self.offers(ts_ns, instrument, side, limit, left) {
            expire(self, out, &|own| own != price && reaches(side, price, own));
            left = left.saturating_sub(qty);
            self.consume(ts_ns, instrument, side, price, qty);
            self.fill(ts_ns, venue_id, price, qty, false, out);
        }
        if !left.is_zero() {
            expire(self, out, &|own| limit.is_none_or(|limit| reaches(side, limit, own)));
        }
    }

    /// Shares one public trade over our orders that it passed.
    pub(crate) fn on_trade(&mut self, ts_ns: u64, trade: &Trade, out: &mut Vec<SimOutput>) {
        let side = trade.aggressor.opposite();
        // `left` of the trade is still to be shared; `eaten` is market size at the price it already went through.
        let (mut left, mut eaten) = (trade.qty, 0.0);
        for own in self.resting(trade.instrument, side) {
            if !reaches(side, own.request.price, trade.price) {
                break;
            }
            // Better priced than the trade: everything displayed before us had to trade first, and did.
            if own.request.price == trade.price {
                let Some(order) = self.orders.get_mut(&own.venue_id) else { continue };
                let ahead = (order.queue.front - eaten).max(0.0);
                let advance = ahead.min(left.get() as f64);
                eaten += advance;
                // Rounded up: a lot that was partly needed ahead of us is not ours.
                left = left.saturating_sub(Lots::new(advance.ceil() as u64));
                order.queue.on_trade(trade.qty, eaten);
                if order.queue.front > 0.0 {
                    continue;
                }
            }
            let qty = left.min(own.leaves());
            if !qty.is_zero() {
                left = left.saturating_sub(qty);
                self.fill(ts_ns, own.venue_id, own.request.price, qty, true, out);
            }
        }
    }

    /// Books one fill: order, balances, trade list, report.
    fn fill(&mut self, ts_ns: u64, venue_id: u64, price: Ticks, qty: Lots, maker: bool, out: &mut Vec<SimOutput>) {
        let trade_id = self.next_trade_id();
        let Some(order) = self.orders.get(&venue_id).copied() else { return };
        assert!(qty <= order.leaves(), "fill of {qty:?} with {:?} left", order.leaves());
        let fees = &self.config.fees;
        let instrument = &self.listings[&order.request.instrument].instrument;
        let (base, quote) = (instrument.base, instrument.quote);
        let value = instrument.notional(price, qty);
        let charged = fee(value, if maker { fees.maker_bps } else { fees.taker_bps });
        let size = instrument.qty(qty);
        let released = match order.request.side {
            Side::Sell => size,
            Side::Buy if order.request.kind == SimKind::Market => Decimal::ZERO,
            Side::Buy => self.hold(instrument, order.request.price, qty),
        };
        match order.request.side {
            Side::Buy => {
                self.account.unlock(quote, released);
                self.account.debit(quote, value);
                self.account.debit(quote, charged);
                self.account.credit(base, size);
            }
            Side::Sell => {
                self.account.unlock(base, released);
                self.account.debit(base, size);
                self.account.credit(quote, value);
                self.account.debit(quote, charged);
            }
        }
        self.touch(base);
        self.touch(quote);
        let order = self.count_fill(ts_ns, venue_id, price, qty, released);
        if order.status == SimStatus::Filled {
            self.retire(&order);
        }
        let (id, side, instrument) = (order.request.id, order.request.side, order.request.instrument);
        self.remember(OwnTrade { trade_id, venue_id, id, instrument, side, price, qty, fee: charged, maker, ts_ns });
        let mut text = FillId::new();
        write!(text, "{trade_id}").expect("20 digits fit");
        let fill = Fill { id: text, price, qty, fee: Fee { asset: quote, amount: charged }, maker };
        let report = ExecReport { id, ts_venue_ns: ts_ns, event: ExecEvent::Filled(fill) };
        out.push(SimOutput::Exec { report, order });
    }

    fn count_fill(&mut self, ts_ns: u64, venue_id: u64, price: Ticks, qty: Lots, released: Decimal) -> SimOrder {
        let order = self.orders.get_mut(&venue_id).expect("the caller has just read it");
        order.filled = Lots::new(order.filled.get() + qty.get());
        order.value_filled = TickLots::new(order.value_filled.get() + num::value(price, qty).get());
        order.locked = order.locked.checked_sub(released).expect("released is part of what was locked");
        order.updated_ns = ts_ns;
        order.status = if order.leaves().is_zero() { SimStatus::Filled } else { SimStatus::PartiallyFilled };
        *order
    }
}
