//! A portfolio's books: postings and lots built side by side from the same fills, with the accounting invariants
//! proven after every fill (I-20, I-21, I-24). What does not hold is an error, never a log line.
//!
//! * each entry sums to zero in every asset;
//! * position from the fills themselves = balance of the asset account = open lots;
//! * P&L realised by lots = P&L of the ledger (money that came in, plus the cost of what is still held).

use crate::amount::{Amount, AmountError, sum};
use crate::book::{self, Balances, Entry, Opening};
use crate::lots::{Change, Lot, Lots, Movement, Queue};
use domain::Side;
use spec::facts::FillFact;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Why books cannot be made of the facts.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LedgerError {
    /// A number does not fit.
    #[error("fill {fill} cannot be booked: {source}")]
    Amount {
        /// The fill.
        fill: String,
        /// The cause.
        source: AmountError,
    },
    /// One key, two stories.
    #[error("fill {fill} of {symbol} is told twice with different content; one of the journals is wrong")]
    Conflict {
        /// The fill.
        fill: String,
        /// Of what.
        symbol: String,
    },
    /// An asset is both bought and used as money.
    #[error(
        "{asset} at {venue} is traded and also pays for other assets; lots across currencies need a price between them, \
         which the ledger does not have: trade it in one role only"
    )]
    TwoRoles {
        /// The venue.
        venue: String,
        /// The asset.
        asset: String,
    },
    /// An asset is bought in one currency and sold in another.
    #[error(
        "{asset} at {venue} is traded in more than one currency; its lots would need a price between them, which the \
         ledger does not have: trade it against one currency only"
    )]
    TwoCurrencies {
        /// The venue.
        venue: String,
        /// The asset.
        asset: String,
    },
    /// Books that do not agree with themselves.
    #[error("the books do not add up ({invariant}) after fill {fill}: {what}")]
    Broken {
        /// Number of the invariant.
        invariant: &'static str,
        /// The fill after which it was found.
        fill: String,
        /// Both numbers.
        what: String,
    },
}

/// Postings and lots of one portfolio.
#[derive(Clone, Debug, Default)]
pub struct Books {
    portfolio: String,
    /// Every entry, openings included, in the order booked.
    pub entries: Vec<Entry>,
    /// Sums of all postings.
    pub balances: Balances,
    /// Lots and matches.
    pub lots: Lots,
    /// Base held according to the fills alone, and openings; a second way to the same number.
    positions: BTreeMap<(String, String), Amount>,
    /// Cost of lots that no fill paid for, per currency.
    opening_costs: BTreeMap<(String, String), Amount>,
    /// Money held before the first fill, per venue and currency.
    opening_money: BTreeMap<(String, String), Amount>,
}

impl Books {
    /// Books openings, then fills, told in any order.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing of the books is usable then.
    pub fn of(portfolio: &str, openings: &[Opening], fills: &[FillFact]) -> Result<Books, LedgerError> {
        let fills = unique(fills)?;
        roles(&fills)?;
        let mut books = Books { portfolio: portfolio.to_owned(), ..Books::default() };
        for opening in openings {
            books.open(opening).map_err(|source| LedgerError::Amount { fill: opening.name.clone(), source })?;
        }
        for fill in &fills {
            let fail = |source| LedgerError::Amount { fill: fill.fill_id.clone(), source };
            books.fill(fill).map_err(fail)?;
            books.verify(fill)?;
        }
        books.verify_lots()?;
        Ok(books)
    }

    /// Books a told opening. Money has no lots; anything else opens one.
    fn open(&mut self, opening: &Opening) -> Result<(), AmountError> {
        let entry = book::of_opening(&self.portfolio, opening);
        if opening.asset == opening.currency {
            add(&mut self.opening_money, (&opening.venue, &opening.asset), opening.amount)?;
        } else {
            let queue = self.queue(&opening.venue, &opening.asset, &opening.currency);
            let change = Change::Acquire { qty: opening.amount, cost: opening.cost };
            let movement = Movement { queue, ts_ns: opening.ts_ns, seq: 0, id: entry.id.clone(), change };
            self.lots.apply(&movement)?;
            add(&mut self.opening_costs, (&opening.venue, &opening.currency), opening.cost)?;
            add(&mut self.positions, (&opening.venue, &opening.asset), opening.amount)?;
        }
        self.book(entry)
    }

    fn fill(&mut self, fill: &FillFact) -> Result<(), AmountError> {
        let entry = book::of_fill(&self.portfolio, fill)?;
        for movement in movements(&self.portfolio, fill, &entry.id)? {
            if let Some(assumed) = self.lots.apply(&movement)? {
                self.assume(fill, &assumed)?;
            }
        }
        let qty = Amount::from_decimal(fill.qty)?;
        let signed = if fill.side == Side::Buy { qty } else { qty.negated() };
        add(&mut self.positions, (&fill.venue, &fill.base), signed)?;
        if fill.fee_asset != fill.quote {
            let fee = Amount::from_decimal(fill.fee_amount)?;
            add(&mut self.positions, (&fill.venue, &fill.fee_asset), fee.negated())?;
        }
        self.book(entry)
    }

    /// Books what a fill proved to have been held before: an opening balance of exactly that.
    fn assume(&mut self, fill: &FillFact, lot: &Lot) -> Result<(), AmountError> {
        let opening = Opening {
            name: lot.id.clone(),
            venue: lot.queue.venue.clone(),
            asset: lot.queue.asset.clone(),
            amount: lot.qty,
            cost: lot.cost,
            currency: lot.queue.currency.clone(),
            ts_ns: lot.opened_ns,
        };
        add(&mut self.opening_costs, (&opening.venue, &opening.currency), opening.cost)?;
        add(&mut self.positions, (&opening.venue, &opening.asset), opening.amount)?;
        let entry = Entry { seq: fill.seq, ..book::of_opening(&self.portfolio, &opening) };
        self.book(entry)
    }

    fn book(&mut self, entry: Entry) -> Result<(), AmountError> {
        self.balances.add(&entry)?;
        self.entries.push(entry);
        Ok(())
    }

    fn queue(&self, venue: &str, asset: &str, currency: &str) -> Queue {
        queue(&self.portfolio, venue, asset, currency)
    }

    /// The invariants that a fill touches.
    fn verify(&self, fill: &FillFact) -> Result<(), LedgerError> {
        let amount = |source| LedgerError::Amount { fill: fill.fill_id.clone(), source };
        let broken = |invariant, what: String| Err(LedgerError::Broken { invariant, fill: fill.fill_id.clone(), what });
        // The fill's entry is the last; openings it proved stand before it.
        for entry in self.entries.iter().rev().take(3) {
            if let Some((asset, sum)) = book::imbalance(entry).map_err(amount)? {
                return broken("I-20", format!("entry {} sums to {sum} {asset}, not to zero", entry.id));
            }
        }
        for asset in BTreeSet::from([&fill.base, &fill.fee_asset]) {
            if *asset == fill.quote {
                continue;
            }
            let told = self.positions.get(&(fill.venue.clone(), asset.clone())).copied().unwrap_or_default();
            let booked = self.balances.get(&book::asset_account(&fill.venue, asset), asset);
            let (lots, _) = self.lots.held(&self.queue(&fill.venue, asset, &fill.quote));
            if told != booked || booked != lots {
                return broken("I-20, I-24", format!("{asset}: fills say {told}, postings {booked}, lots {lots}"));
            }
        }
        let (by_lots, by_ledger) = self.realized(&fill.venue, &fill.quote).map_err(amount)?;
        if by_lots != by_ledger {
            return broken("I-24", format!("realised {by_lots} {} by lots, {by_ledger} by the ledger", fill.quote));
        }
        Ok(())
    }

    /// P&L realised in a currency, once by lots and once by the ledger.
    fn realized(&self, venue: &str, currency: &str) -> Result<(Amount, Amount), AmountError> {
        let mine = |q: &&Queue| q.venue == venue && q.currency == currency;
        let queues: Vec<&Queue> = self.lots.queues().filter(mine).collect();
        let by_lots = sum(queues.iter().map(|q| self.lots.realized(q)))?;
        let held = sum(queues.iter().map(|q| self.lots.held(q).1))?;
        let key = (venue.to_owned(), currency.to_owned());
        let opening = |map: &BTreeMap<(String, String), Amount>| map.get(&key).copied().unwrap_or_default();
        let money = self.balances.get(&book::asset_account(venue, currency), currency);
        let came_in = money.minus(opening(&self.opening_money))?;
        Ok((by_lots, came_in.plus(held)?.minus(opening(&self.opening_costs))?))
    }

    /// Walks all lots once: the running totals of the queues are the sums of their lots.
    fn verify_lots(&self) -> Result<(), LedgerError> {
        let fail = |source| LedgerError::Amount { fill: "all".to_owned(), source };
        let mut sums: BTreeMap<&Queue, (Amount, Amount)> = BTreeMap::new();
        for lot in self.lots.lots() {
            let entry = sums.entry(&lot.queue).or_default();
            *entry = (entry.0.plus(lot.left_qty).map_err(fail)?, entry.1.plus(lot.left_cost).map_err(fail)?);
        }
        for (queue, walked) in sums {
            let kept = self.lots.held(queue);
            if kept != walked {
                let what =
                    format!("{}: lots sum to {} at {}, kept {} at {}", queue.asset, walked.0, walked.1, kept.0, kept.1);
                return Err(LedgerError::Broken { invariant: "I-24", fill: "all".to_owned(), what });
            }
        }
        Ok(())
    }
}

/// What a fill does to lots; see the table of fees in [`crate::lots`].
pub(crate) fn movements(portfolio: &str, fill: &FillFact, id: &str) -> Result<Vec<Movement>, AmountError> {
    let fee = Amount::from_decimal(fill.fee_amount)?;
    let none = Amount::ZERO;
    let (in_quote, in_base) = match () {
        () if fill.fee_asset == fill.quote => (fee, none),
        () if fill.fee_asset == fill.base => (none, fee),
        () => (none, none),
    };
    let (qty, value) = (Amount::from_decimal(fill.qty)?, Amount::product(fill.price, fill.qty)?);
    let change = match fill.side {
        Side::Buy => Change::Acquire { qty: qty.minus(in_base)?, cost: value.plus(in_quote)? },
        Side::Sell => Change::Dispose { qty: qty.plus(in_base)?, proceeds: value.minus(in_quote)? },
    };
    let at = |queue, id: String, change| Movement { queue, ts_ns: book::fill_time(fill), seq: fill.seq, id, change };
    let mut movements = vec![at(queue(portfolio, &fill.venue, &fill.base, &fill.quote), id.to_owned(), change)];
    if fill.fee_asset != fill.quote && fill.fee_asset != fill.base && !fee.is_zero() {
        let fees = queue(portfolio, &fill.venue, &fill.fee_asset, &fill.quote);
        let change = if fee.is_positive() {
            Change::Dispose { qty: fee, proceeds: none }
        } else {
            Change::Acquire { qty: fee.negated(), cost: none }
        };
        movements.push(at(fees, book::fact_id(&["fee", id]), change));
    }
    Ok(movements)
}

fn queue(portfolio: &str, venue: &str, asset: &str, currency: &str) -> Queue {
    let text = str::to_owned;
    Queue { portfolio: text(portfolio), venue: text(venue), asset: text(asset), currency: text(currency) }
}

fn add(map: &mut BTreeMap<(String, String), Amount>, key: (&str, &str), amount: Amount) -> Result<(), AmountError> {
    let sum = map.entry((key.0.to_owned(), key.1.to_owned())).or_default();
    *sum = sum.plus(amount)?;
    Ok(())
}

/// Each fill once (I-21), in the order lots are matched: time, buys first, sequence, id.
fn unique(fills: &[FillFact]) -> Result<Vec<FillFact>, LedgerError> {
    let mut seen: BTreeMap<(&str, &str, &str), &FillFact> = BTreeMap::new();
    for fill in fills {
        let key = (fill.venue.as_str(), fill.symbol.as_str(), fill.fill_id.as_str());
        if seen.insert(key, fill).is_some_and(|told| told != fill) {
            return Err(LedgerError::Conflict { fill: fill.fill_id.clone(), symbol: fill.symbol.clone() });
        }
    }
    let mut fills: Vec<FillFact> = seen.into_values().cloned().collect();
    fills.sort_by(|a, b| {
        let key = |f: &FillFact| (book::fill_time(f), f.side == Side::Sell, f.seq);
        key(a).cmp(&key(b)).then_with(|| (&a.symbol, &a.fill_id).cmp(&(&b.symbol, &b.fill_id)))
    });
    Ok(fills)
}

/// Refuses what lots in one currency cannot describe.
fn roles(fills: &[FillFact]) -> Result<(), LedgerError> {
    let mut currency: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for fill in fills {
        let mut priced = vec![fill.base.as_str()];
        if fill.fee_asset != fill.quote {
            priced.push(&fill.fee_asset);
        }
        for asset in priced {
            if *currency.entry((&fill.venue, asset)).or_insert(&fill.quote) != fill.quote {
                return Err(LedgerError::TwoCurrencies { venue: fill.venue.clone(), asset: asset.to_owned() });
            }
        }
    }
    for fill in fills {
        if currency.contains_key(&(fill.venue.as_str(), fill.quote.as_str())) {
            return Err(LedgerError::TwoRoles { venue: fill.venue.clone(), asset: fill.quote.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
