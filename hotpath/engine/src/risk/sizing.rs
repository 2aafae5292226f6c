//! How much: one function per direction, always rounded to the smaller risk. The limit that set the size is named.

use super::{Facts, value_at_most};
use domain::config::RiskLimits;
use domain::{Decimal, Lots, TickLots, Ticks, num};

/// A size and the limit that set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How much; may be zero or below the venue's least, which the rules check refuses.
    pub qty: Lots,
    /// Which limit set it.
    pub by: &'static str,
}

/// Value still free under the position limit, whatever becomes of the orders that are out.
pub fn room(facts: &Facts<'_>, limits: &RiskLimits, price: Ticks) -> TickLots {
    let max = facts.instrument.value_floor(limits.position_value_max).get();
    TickLots::new(max.saturating_sub(value_at_most(facts.held_at_most(), price).get()).max(0))
}

/// Size of an entry at `price`: the smallest of what is wanted, the order limit, the room and the venue's largest.
pub fn entry(wanted: Decimal, facts: &Facts<'_>, limits: &RiskLimits, price: Ticks) -> Size {
    let rules = facts.instrument;
    let lots = |value: TickLots| lots_for(value, price);
    let size = smallest([
        ("order_value", lots(rules.value_floor(wanted))),
        ("order_value_max", lots(rules.value_floor(limits.order_value_max))),
        ("position_value_max", lots(room(facts, limits, price))),
        ("qty_max", rules.qty_max),
    ]);
    assert!(size.qty.is_zero() || num::value(price, size.qty) <= rules.value_floor(wanted), "never more than wanted");
    size
}

/// Size of an exit at `price`: the smallest of what is held, what is free to sell, the order limit and the venue's
/// largest. What is left comes with the next exit.
pub fn exit(held: Lots, facts: &Facts<'_>, limits: &RiskLimits, price: Ticks) -> Size {
    smallest([
        ("held", held),
        ("free_to_sell", facts.free_to_sell()),
        ("order_value_max", lots_for(facts.instrument.value_floor(limits.order_value_max), price)),
        ("qty_max", facts.instrument.qty_max),
    ])
}

/// Whole lots whose value at `price` is not above `value`.
fn lots_for(value: TickLots, price: Ticks) -> Lots {
    if price.get() <= 0 {
        return Lots::ZERO;
    }
    Lots::new(u64::try_from(value.get().max(0) / i128::from(price.get())).unwrap_or(u64::MAX))
}

fn smallest(limits: [(&'static str, Lots); 4]) -> Size {
    let [first, rest @ ..] = limits;
    let (by, qty) = rest.into_iter().fold(first, |least, next| if next.1 < least.1 { next } else { least });
    assert!(limits.iter().all(|(_, limit)| qty <= *limit), "the size is within every limit");
    Size { qty, by }
}
