//! First-in-first-out lots. What comes in opens a lot with its cost; what goes out takes from the oldest lots and
//! realises a gain. Pure, and independent of the order in which events are told.
//!
//! * One queue per portfolio, venue account, asset and currency of cost. An asset bought in one currency and sold in
//!   another would need a price between the two; the books refuse that instead of guessing (see [`crate::check`]).
//! * Fees (`fee_mode = add_to_cost`): in the quote asset they add to the cost of a buy and come off the proceeds of a
//!   sale; in the base asset they make the lot smaller at the same cost, or the disposal larger at the same proceeds;
//!   in a third asset they are a disposal of that asset without proceeds.
//! * A lot's cost is carried as what remains of it, never as a rounded unit cost. The last fraction of a lot takes the
//!   remainder, and so does the last fraction of a disposal, so that all sums are exact.
//! * What goes out without ever having come in was held before the first fill: it opens an *assumed* lot at that
//!   moment, with the cost it is sold for, so that no gain is made up. Assumed lots are marked everywhere.

use crate::amount::{Amount, AmountError};
use crate::book::fact_id;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Which lots match each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Queue {
    /// Whose books.
    pub portfolio: String,
    /// Account at the venue.
    pub venue: String,
    /// What is held.
    pub asset: String,
    /// In what its cost is counted.
    pub currency: String,
}

/// What happened to a holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It grew by `qty` at a total `cost`.
    Acquire {
        /// How much; positive.
        qty: Amount,
        /// What all of it cost, fees included.
        cost: Amount,
    },
    /// It shrank by `qty` for total `proceeds`.
    Dispose {
        /// How much; positive.
        qty: Amount,
        /// What all of it brought, after fees.
        proceeds: Amount,
    },
}

/// One acquisition or disposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Which queue.
    pub queue: Queue,
    /// When, ns.
    pub ts_ns: u64,
    /// Journal record, which orders equal times.
    pub seq: u64,
    /// The fact behind it, unique; orders what is still equal.
    pub id: String,
    /// What happened.
    pub change: Change,
}

impl Movement {
    /// The total order: time, acquisitions before disposals, sequence, id.
    pub fn order(&self) -> (u64, bool, u64, &str) {
        (self.ts_ns, matches!(self.change, Change::Dispose { .. }), self.seq, &self.id)
    }
}

/// One acquisition and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lot {
    /// The acquisition's id.
    pub id: String,
    /// Which queue.
    pub queue: Queue,
    /// When it was acquired, ns.
    pub opened_ns: u64,
    /// Journal record of the acquisition.
    pub seq: u64,
    /// How much was acquired.
    pub qty: Amount,
    /// What it cost.
    pub cost: Amount,
    /// What is left of it.
    pub left_qty: Amount,
    /// What is left of its cost.
    pub left_cost: Amount,
    /// True when nobody told us of the acquisition.
    pub assumed: bool,
}

/// One piece of a disposal matched with one piece of a lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Hash of lot and disposal.
    pub id: String,
    /// The lot.
    pub lot_id: String,
    /// The disposal.
    pub disposal_id: String,
    /// Which queue.
    pub queue: Queue,
    /// When the lot was acquired, ns.
    pub opened_ns: u64,
    /// When it was disposed of, ns.
    pub closed_ns: u64,
    /// Journal record of the disposal.
    pub seq: u64,
    /// How much.
    pub qty: Amount,
    /// Its part of the lot's cost.
    pub cost: Amount,
    /// Its part of the proceeds.
    pub proceeds: Amount,
    /// `proceeds - cost`.
    pub gain: Amount,
    /// True when the lot is an assumed one.
    pub assumed: bool,
}

/// All queues.
#[derive(Clone, Debug, Default)]
pub struct Lots {
    queues: BTreeMap<Queue, Holding>,
    matches: Vec<Match>,
}

#[derive(Clone, Debug, Default)]
struct Holding {
    open: VecDeque<Lot>,
    closed: Vec<Lot>,
    qty: Amount,
    cost: Amount,
    realized: Amount,
}

impl Lots {
    /// Matches movements told in any order.
    ///
    /// # Errors
    /// [`AmountError`] when a sum leaves the range.
    pub fn of(mut movements: Vec<Movement>) -> Result<Lots, AmountError> {
        movements.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut lots = Lots::default();
        for movement in &movements {
            lots.apply(movement)?;
        }
        Ok(lots)
    }

    /// Applies the next movement; the caller keeps [`Movement::order`]. Returns what had to be assumed for it.
    ///
    /// # Errors
    /// [`AmountError`] when a sum leaves the range.
    pub fn apply(&mut self, movement: &Movement) -> Result<Option<Lot>, AmountError> {
        let holding = self.queues.entry(movement.queue.clone()).or_default();
        match movement.change {
            Change::Acquire { qty, cost } => {
                holding.open(new_lot(movement, movement.id.clone(), qty, cost, false))?;
                Ok(None)
            }
            Change::Dispose { qty, proceeds } => holding.dispose(movement, qty, proceeds, &mut self.matches),
        }
    }

    /// Every lot ever opened, by queue, then in the order they were opened.
    pub fn lots(&self) -> impl Iterator<Item = &Lot> {
        self.queues.values().flat_map(|h| h.closed.iter().chain(&h.open))
    }
    /// Every match, in order of disposal.
    pub fn matches(&self) -> &[Match] {
        &self.matches
    }
    /// The queues there are.
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.keys()
    }
    /// What is held in a queue: quantity and cost, as kept up to date by every movement.
    pub fn held(&self, queue: &Queue) -> (Amount, Amount) {
        self.queues.get(queue).map_or((Amount::ZERO, Amount::ZERO), |h| (h.qty, h.cost))
    }
    /// Gain realised in a queue so far.
    pub fn realized(&self, queue: &Queue) -> Amount {
        self.queues.get(queue).map_or(Amount::ZERO, |h| h.realized)
    }
}

fn new_lot(movement: &Movement, id: String, qty: Amount, cost: Amount, assumed: bool) -> Lot {
    Lot {
        id,
        queue: movement.queue.clone(),
        opened_ns: movement.ts_ns,
        seq: movement.seq,
        qty,
        cost,
        left_qty: qty,
        left_cost: cost,
        assumed,
    }
}

impl Holding {
    fn open(&mut self, lot: Lot) -> Result<(), AmountError> {
        self.qty = self.qty.plus(lot.qty)?;
        self.cost = self.cost.plus(lot.cost)?;
        self.open.push_back(lot);
        Ok(())
    }

    fn dispose(
        &mut self,
        movement: &Movement,
        qty: Amount,
        proceeds: Amount,
        matches: &mut Vec<Match>,
    ) -> Result<Option<Lot>, AmountError> {
        let assumed = self.assume(movement, qty, proceeds)?;
        let (mut left, mut left_proceeds) = (qty, proceeds);
        while left.is_positive() {
            let lot = self.open.front_mut().expect("the shortage was filled by an assumed lot");
            let part = left.min(lot.left_qty);
            let cost = lot.left_cost.share(part, lot.left_qty);
            let brought = left_proceeds.share(part, left);
            lot.left_qty = lot.left_qty.minus(part)?;
            lot.left_cost = lot.left_cost.minus(cost)?;
            left = left.minus(part)?;
            left_proceeds = left_proceeds.minus(brought)?;
            let gain = brought.minus(cost)?;
            matches.push(matched(movement, lot, part, cost, brought, gain));
            self.qty = self.qty.minus(part)?;
            self.cost = self.cost.minus(cost)?;
            self.realized = self.realized.plus(gain)?;
            if lot.left_qty.is_zero() {
                let lot = self.open.pop_front().expect("it is the lot at the front");
                self.closed.push(lot);
            }
        }
        Ok(assumed)
    }

    /// Opens a lot for what the queue lacks, at the cost it is disposed of for. It stands behind all known lots, so
    /// it is what the last fraction of the disposal takes.
    fn assume(&mut self, movement: &Movement, qty: Amount, proceeds: Amount) -> Result<Option<Lot>, AmountError> {
        let short = qty.minus(self.qty)?;
        if !short.is_positive() {
            return Ok(None);
        }
        // The same cuts as the matching will make, so that the assumed part gains exactly nothing.
        let (mut left, mut cost) = (qty, proceeds);
        for lot in &self.open {
            cost = cost.minus(cost.share(lot.left_qty, left))?;
            left = left.minus(lot.left_qty)?;
        }
        let lot = new_lot(movement, fact_id(&["assumed", &movement.id]), short, cost, true);
        self.open(lot.clone())?;
        Ok(Some(lot))
    }
}

fn matched(movement: &Movement, lot: &Lot, qty: Amount, cost: Amount, proceeds: Amount, gain: Amount) -> Match {
    Match {
        id: fact_id(&["match", &lot.id, &movement.id]),
        lot_id: lot.id.clone(),
        disposal_id: movement.id.clone(),
        queue: movement.queue.clone(),
        opened_ns: lot.opened_ns,
        closed_ns: movement.ts_ns,
        seq: movement.seq,
        qty,
        cost,
        proceeds,
        gain,
        assumed: lot.assumed,
    }
}

#[cfg(test)]
#[path = "lots_tests.rs"]
mod tests;
