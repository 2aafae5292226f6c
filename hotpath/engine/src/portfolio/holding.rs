//! A number of lots and what they cost.

use domain::{Lots, Position, Side, TickLots, Ticks, num};

/// A holding at average cost. The cost is kept as a whole sum, never as a rounded price per lot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Sum of fills.
    pub position: Position,
    /// What it cost, fees aside; negative for a short position, which owes what it was sold for.
    pub cost: TickLots,
    /// Receive time at which it was last opened, ns.
    pub since_ns: u64,
}

impl Holding {
    /// Books a trade and returns the profit it realised.
    ///
    /// What closes takes its share of the cost, cut towards zero: the remainder stays with what is left, so that the
    /// last lot takes what is there and no unit is lost.
    ///
    /// # Panics
    /// Past the range of a position.
    pub fn trade(&mut self, side: Side, price: Ticks, qty: Lots) -> TickLots {
        let sign: i128 = if side == Side::Buy { 1 } else { -1 };
        let held = i128::from(self.position.get());
        let closing = if held * sign < 0 {
            Lots::new(u64::try_from(held.unsigned_abs()).unwrap_or(u64::MAX)).min(qty)
        } else {
            Lots::ZERO
        };
        let mut realized = 0;
        let mut cost = self.cost.get();
        if !closing.is_zero() {
            let share = exact(cost.checked_mul(i128::from(closing.get()))) / held.abs();
            assert!(share.abs() <= cost.abs(), "a share is a part");
            cost -= share;
            realized = exact((-sign * num::value(price, closing).get()).checked_sub(share));
        }
        cost = exact(cost.checked_add(sign * num::value(price, qty.saturating_sub(closing)).get()));
        self.cost = TickLots::new(cost);
        self.position = self.position.after(side, qty).expect("a position fits its type");
        TickLots::new(realized)
    }
}

/// Checked sums only (I-14): past 38 digits no number is right any more, and the run stops.
pub(super) fn exact(sum: Option<i128>) -> i128 {
    sum.expect("amounts of one run stay below 38 digits")
}
