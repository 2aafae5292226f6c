//! Balances, exact. Every change is one of four moves; free and locked never go below zero.

use domain::event::Balance;
use domain::{Asset, Decimal, Venue};
use std::collections::BTreeMap;

/// What is free and what open orders hold, per asset.
#[derive(Clone, Debug, Default)]
pub struct Account {
    assets: BTreeMap<Asset, Holding>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Holding {
    free: Decimal,
    locked: Decimal,
}

fn add(a: Decimal, b: Decimal) -> Decimal {
    a.checked_add(b).expect("amounts are below 10^20 with at most 18 digits after the point")
}

fn sub(a: Decimal, b: Decimal) -> Decimal {
    a.checked_sub(b).expect("amounts are below 10^20 with at most 18 digits after the point")
}

impl Account {
    /// The holdings at the start.
    pub fn new(start: &[(Asset, Decimal)]) -> Self {
        let mut account = Account::default();
        for (asset, amount) in start {
            account.credit(*asset, *amount);
        }
        account
    }

    /// Makes sure the asset is listed, with zero if it is new.
    pub fn know(&mut self, asset: Asset) {
        self.assets.entry(asset).or_default();
    }

    /// Free amount of `asset`.
    pub fn free(&self, asset: &Asset) -> Decimal {
        self.assets.get(asset).map_or(Decimal::ZERO, |h| h.free)
    }

    /// True when at least `amount` is free.
    pub fn covers(&self, asset: &Asset, amount: Decimal) -> bool {
        sub(self.free(asset), amount).mantissa >= 0
    }

    /// Adds to what is free.
    pub fn credit(&mut self, asset: Asset, amount: Decimal) {
        let h = self.assets.entry(asset).or_default();
        h.free = add(h.free, amount);
    }

    /// Takes from what is free.
    ///
    /// # Panics
    /// When less is free: callers check with [`Account::covers`] or have locked enough.
    pub fn debit(&mut self, asset: Asset, amount: Decimal) {
        let h = self.assets.entry(asset).or_default();
        h.free = sub(h.free, amount);
        assert!(h.free.mantissa >= 0, "{asset}: {} free after a debit of {amount}", h.free);
    }

    /// Moves from free to locked.
    ///
    /// # Panics
    /// When less is free.
    pub fn lock(&mut self, asset: Asset, amount: Decimal) {
        self.debit(asset, amount);
        let h = self.assets.entry(asset).or_default();
        h.locked = add(h.locked, amount);
    }

    /// Moves from locked to free.
    ///
    /// # Panics
    /// When less is locked.
    pub fn unlock(&mut self, asset: Asset, amount: Decimal) {
        self.credit(asset, amount);
        let h = self.assets.entry(asset).or_default();
        h.locked = sub(h.locked, amount);
        assert!(h.locked.mantissa >= 0, "{asset}: {} locked after an unlock of {amount}", h.locked);
    }

    /// One asset.
    pub fn balance(&self, venue: Venue, asset: Asset) -> Balance {
        let h = self.assets.get(&asset).copied().unwrap_or_default();
        Balance { venue, asset, free: h.free, locked: h.locked }
    }

    /// Every asset, in name order.
    pub fn balances(&self, venue: Venue) -> Vec<Balance> {
        self.assets.keys().map(|asset| self.balance(venue, *asset)).collect()
    }
}
