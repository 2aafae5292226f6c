//! What we hold and what it earned, from fills alone: a position is the sum of its fills (I-20), its cost is whole
//! tick·lots, realised profit is exact. Fees are kept per asset and, for profit and loss, valued in quote.
//!
//! Left out on purpose: balances the venue reports (the daemon reconciles), and tax lots (the ledger's work).

mod holding;

pub use holding::Holding;

use holding::exact;

use domain::order::Fill;
use domain::{Asset, Decimal, Instrument, InstrumentId, Lots, Position, Side, StrategyId, TickLots, Ticks};
use std::collections::BTreeMap;

/// One UTC day in nanoseconds.
const DAY_NS: u64 = 86_400_000_000_000;
/// Digits after the point kept of a fee's value in quote; cut off against us.
const FEE_SCALE: u8 = 12;

/// The account of one instrument.
#[derive(Clone, Debug)]
pub struct Account {
    instrument: Instrument,
    total: Holding,
    /// By strategy; their sum is `total`.
    strategies: Vec<Holding>,
    realized: TickLots,
    /// Sells minus buys at their prices.
    cash: TickLots,
    bought: u128,
    sold: u128,
    /// Fees valued in quote.
    fees: Decimal,
    /// Fees taken out of what was bought.
    fees_base: Decimal,
    /// Best bid plus best ask of the last live book; 0 before there was one.
    mark2: i64,
}

/// What booking a fill changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Holding after it.
    pub position: Position,
    /// Profit it realised before its fee, average cost.
    pub realized: TickLots,
    /// True when the fee could not be added; the position is right all the same.
    pub fee_odd: bool,
}

impl Account {
    fn new(instrument: Instrument, strategies: usize) -> Self {
        Self {
            instrument,
            total: Holding::default(),
            strategies: vec![Holding::default(); strategies],
            realized: TickLots::ZERO,
            cash: TickLots::ZERO,
            bought: 0,
            sold: 0,
            fees: Decimal::ZERO,
            fees_base: Decimal::ZERO,
            mark2: 0,
        }
    }

    /// The rules in force.
    pub const fn instrument(&self) -> &Instrument {
        &self.instrument
    }
    /// Sum of fills.
    pub const fn position(&self) -> Position {
        self.total.position
    }
    /// What the position cost, fees aside.
    pub const fn cost(&self) -> TickLots {
        self.total.cost
    }
    /// What one strategy holds.
    pub fn of(&self, strategy: StrategyId) -> Holding {
        self.strategies.get(usize::from(strategy.0)).copied().unwrap_or_default()
    }
    /// Profit realised so far, fees aside.
    pub const fn realized(&self) -> TickLots {
        self.realized
    }
    /// Fees so far, valued in quote.
    pub const fn fees(&self) -> Decimal {
        self.fees
    }
    /// True before the first fill.
    pub const fn is_untouched(&self) -> bool {
        self.bought == 0 && self.sold == 0
    }

    /// What can be sold: the position less the fees the venue took out of it, whole lots.
    pub fn sellable(&self) -> Lots {
        let held = Lots::new(u64::try_from(self.total.position.get()).unwrap_or(0));
        let lot = Decimal::new(i128::from(self.instrument.lot.units), self.instrument.lot.scale);
        let scale = lot.scale.max(self.fees_base.scale);
        let taken = match (self.fees_base.at_scale(scale), lot.at_scale(scale)) {
            // A lot that is only partly there cannot be sold.
            (Some(fees), Some(lot)) => u64::try_from(fees.max(0).div_euclid(lot) + i128::from(fees.max(0) % lot > 0)),
            _ => return Lots::ZERO,
        };
        let free = taken.map_or(Lots::ZERO, |taken| held.saturating_sub(Lots::new(taken)));
        assert!(free <= held, "no more can be sold than is held");
        free
    }

    /// True when so little cannot be sold by itself.
    pub fn is_dust(&self, qty: Lots) -> bool {
        let price = Ticks::new(self.mark2 / 2);
        let worth = if self.mark2 == 0 { None } else { Some(domain::num::value(price, qty)) };
        qty < self.instrument.qty_min || qty.is_zero() || worth.is_some_and(|w| w < self.instrument.value_min)
    }

    /// What the position is worth at mid, in quote; `None` before there was a live book.
    pub fn worth(&self) -> Option<Decimal> {
        (self.mark2 != 0).then(|| self.half(i128::from(self.total.position.get()) * i128::from(self.mark2)))
    }

    /// Open profit at mid, in quote; zero before there was a live book.
    pub fn unrealized(&self) -> Decimal {
        if self.mark2 == 0 {
            return Decimal::ZERO;
        }
        self.half(i128::from(self.total.position.get()) * i128::from(self.mark2) - 2 * self.total.cost.get())
    }

    /// Realised and open profit less fees, in quote.
    pub fn net(&self) -> Decimal {
        let gross = add(self.instrument.value(self.realized), self.unrealized());
        add(gross, Decimal::new(-self.fees.mantissa, self.fees.scale))
    }

    /// `halves` half tick·lots in quote.
    fn half(&self, halves: i128) -> Decimal {
        let one = self.instrument.value(TickLots::new(1));
        Decimal::new(exact(halves.checked_mul(one.mantissa * 5)), one.scale + 1)
    }

    fn book(&mut self, now_ns: u64, strategy: StrategyId, side: Side, fill: &Fill, other_fee_bps: u32) -> Booked {
        let dust = self.is_dust(Lots::new(u64::try_from(self.of(strategy).position.get()).unwrap_or(0)));
        let realized = self.total.trade(side, fill.price, fill.qty);
        if let Some(holding) = self.strategies.get_mut(usize::from(strategy.0)) {
            holding.trade(side, fill.price, fill.qty);
            if side == Side::Buy && dust {
                holding.since_ns = now_ns;
            }
        }
        let value = domain::num::value(fill.price, fill.qty).get();
        match side {
            Side::Buy => (self.bought, self.cash) = (self.bought + u128::from(fill.qty.get()), less(self.cash, value)),
            Side::Sell => (self.sold, self.cash) = (self.sold + u128::from(fill.qty.get()), less(self.cash, -value)),
        }
        self.realized = TickLots::new(exact(self.realized.get().checked_add(realized.get())));
        let fee_odd = self.charge(fill, other_fee_bps).is_none();
        self.check();
        Booked { position: self.total.position, realized, fee_odd }
    }

    fn charge(&mut self, fill: &Fill, other_fee_bps: u32) -> Option<()> {
        let (asset, amount) = (fill.fee.asset, fill.fee.amount.normalized());
        if amount.scale > 18 || amount.mantissa.unsigned_abs() >= 10u128.pow(24) {
            return None;
        }
        let in_quote = if asset == self.instrument.quote {
            amount
        } else if asset == self.instrument.base {
            self.fees_base = self.fees_base.checked_add(amount)?.normalized();
            amount.checked_mul(self.instrument.price(fill.price))?
        } else if amount.is_zero() {
            Decimal::ZERO
        } else {
            // Paid in a third asset (BNB), whose price we do not have here: the configured rate stands in.
            self.instrument.notional(fill.price, fill.qty).checked_mul(Decimal::new(i128::from(other_fee_bps), 4))?
        };
        self.fees = self.fees.checked_add(cut_against_us(in_quote))?.normalized();
        Some(())
    }

    /// What must hold if we made no mistake.
    fn check(&self) {
        let sum = i128::try_from(self.bought).ok().zip(i128::try_from(self.sold).ok()).map(|(b, s)| b - s);
        assert_eq!(sum, Some(i128::from(self.total.position.get())), "I-20: position = sum of fills");
        let parts: i64 = self.strategies.iter().map(|h| h.position.get()).sum();
        assert_eq!(parts, self.total.position.get(), "the strategies' holdings add up to the position");
        let identity = self.cash.get() + self.total.cost.get();
        assert_eq!(self.realized.get(), identity, "realised profit = cash flow + cost of what is held");
        assert!(self.total.position != Position::FLAT || self.total.cost == TickLots::ZERO, "nothing costs nothing");
    }
}

/// All accounts of a run.
#[derive(Clone, Debug)]
pub struct Portfolio {
    accounts: Vec<Option<Account>>,
    strategies: usize,
    fees: BTreeMap<Asset, Decimal>,
    day_end_ns: u64,
    /// Net profit per quote asset when the day began.
    day_base: BTreeMap<Asset, Decimal>,
    /// The day's net from which the daily loss counts, per quote asset; zero until more is granted.
    loss_base: BTreeMap<Asset, Decimal>,
}

impl Portfolio {
    /// Empty, for so many strategies.
    pub const fn new(strategies: usize) -> Self {
        Self {
            accounts: Vec::new(),
            strategies,
            fees: BTreeMap::new(),
            day_end_ns: 0,
            day_base: BTreeMap::new(),
            loss_base: BTreeMap::new(),
        }
    }

    /// Opens an instrument's account or puts new rules into it.
    ///
    /// # Panics
    /// When tick or lot change under an account that has fills: its numbers would change their meaning.
    pub fn open(&mut self, instrument: Instrument) {
        let at = usize::from(instrument.id.0);
        if self.accounts.len() <= at {
            self.accounts.resize(at + 1, None);
        }
        match &mut self.accounts[at] {
            Some(account) if !account.is_untouched() => {
                let same = (account.instrument.tick, account.instrument.lot) == (instrument.tick, instrument.lot);
                assert!(same, "tick and lot stay while there are fills");
                account.instrument = instrument;
            }
            slot => *slot = Some(Account::new(instrument, self.strategies)),
        }
    }

    /// An instrument's account.
    pub fn account(&self, id: InstrumentId) -> Option<&Account> {
        self.accounts.get(usize::from(id.0))?.as_ref()
    }
    /// All accounts in instrument order.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().flatten()
    }
    /// Fees paid, per asset.
    pub const fn fees(&self) -> &BTreeMap<Asset, Decimal> {
        &self.fees
    }

    /// Notes the best prices of a live book.
    pub fn mark(&mut self, id: InstrumentId, mid2: i64) {
        if let Some(Some(account)) = self.accounts.get_mut(usize::from(id.0)) {
            account.mark2 = mid2;
        }
    }

    /// Books one fill, which must be new (I-21). `other_fee_bps` values a fee paid in a third asset.
    pub fn fill(
        &mut self,
        now_ns: u64,
        id: InstrumentId,
        strategy: StrategyId,
        side: Side,
        fill: &Fill,
        other_fee_bps: u32,
    ) -> Option<Booked> {
        let account = self.accounts.get_mut(usize::from(id.0))?.as_mut()?;
        let mut booked = account.book(now_ns, strategy, side, fill, other_fee_bps);
        let paid = self.fees.entry(fill.fee.asset).or_default();
        match paid.checked_add(fill.fee.amount) {
            Some(sum) => *paid = sum.normalized(),
            None => booked.fee_odd = true,
        }
        Some(booked)
    }

    /// Net profit in one quote asset since the run began: realised, open, less fees.
    pub fn net(&self, quote: Asset) -> Decimal {
        self.accounts().filter(|a| a.instrument.quote == quote).fold(Decimal::ZERO, |sum, a| add(sum, a.net()))
    }

    /// Net profit in one quote asset since 00:00 UTC, whatever the operator did.
    pub fn day_net(&self, quote: Asset) -> Decimal {
        let base = self.day_base.get(&quote).copied().unwrap_or_default();
        add(self.net(quote), Decimal::new(-base.mantissa, base.scale))
    }

    /// The day's net from which the daily loss limit counts: zero, or where it stood at the last
    /// [`Portfolio::grant_loss`] of the day.
    pub fn loss_base(&self, quote: Asset) -> Decimal {
        self.loss_base.get(&quote).copied().unwrap_or_default()
    }

    /// Starts a new day, with a new allowance for losses, if one has begun.
    pub fn roll_day(&mut self, now_ns: u64) {
        if now_ns < self.day_end_ns {
            return;
        }
        self.day_end_ns = (now_ns / DAY_NS + 1).saturating_mul(DAY_NS);
        self.loss_base.clear();
        let quotes: Vec<Asset> = self.quotes().collect();
        for quote in quotes {
            let net = self.net(quote);
            self.day_base.insert(quote, net);
        }
    }

    /// Allows one more daily loss in one quote asset, counted from where the day's net is now.
    pub fn grant_loss(&mut self, quote: Asset) {
        self.loss_base.insert(quote, self.day_net(quote));
    }

    /// Quote assets of what is traded, in instrument order; one may come more than once.
    pub fn quotes(&self) -> impl Iterator<Item = Asset> {
        self.accounts().filter(|a| a.instrument.trade).map(|a| a.instrument.quote)
    }
}

/// Exact sum. Amounts of one run stay far below 38 digits; past them no number is right any more, and the run stops.
fn add(a: Decimal, b: Decimal) -> Decimal {
    a.checked_add(b).expect("amounts of one run stay below 38 digits").normalized()
}

fn less(a: TickLots, b: i128) -> TickLots {
    TickLots::new(exact(a.get().checked_sub(b)))
}

/// At most [`FEE_SCALE`] digits after the point, rounded up: a fee is never taken for smaller than it is.
fn cut_against_us(fee: Decimal) -> Decimal {
    let fee = fee.normalized();
    if fee.scale <= FEE_SCALE {
        return fee;
    }
    let unit = 10i128.pow(u32::from(fee.scale - FEE_SCALE));
    Decimal::new(fee.mantissa.div_euclid(unit) + i128::from(fee.mantissa.rem_euclid(unit) > 0), FEE_SCALE)
}

#[cfg(test)]
mod tests;
