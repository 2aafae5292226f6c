//! What the venue lets an account and an address do, counted before anything is sent (I-07): new orders against the account's
//! order limit, questions about orders against the budget of the address, which daemon and jobs share. Cancels wait for
//! nothing: the venue counts them against neither while they succeed.

use super::pending::Asked;
use crate::clock::wall_ns;
use std::path::Path;
use std::time::Duration;
use venues::adapter::{Adapter, Budget};
use venues::binance::BINANCE;
use venues::limit::{Leave, LimitError, Limiter, Priority, Window, address_scope};

/// Unfilled orders of an account; the venue's documented figure. Nine tenths are used, so that a venue that counts a moment
/// longer than we do has nothing to refuse.
const ORDERS: Budget = Budget { most: 50, window: Duration::from_secs(10) };

/// The budgets of one account.
#[derive(Debug)]
pub struct Budgets {
    orders: Window,
    questions: Limiter,
}

impl Budgets {
    /// The budgets that are counted in the folder `dir`.
    ///
    /// # Errors
    /// [`LimitError`].
    pub fn open(dir: &Path) -> Result<Budgets, LimitError> {
        let questions = Limiter::open(dir, &address_scope(BINANCE.venue()), BINANCE.discipline().requests)?;
        Ok(Budgets { orders: Window::new(ORDERS), questions })
    }

    /// Counts a request; why it may not be sent now, if it may not.
    pub fn refuses(&mut self, asked: &Asked) -> Option<&'static str> {
        let weight = match asked {
            Asked::Cancel => return None,
            Asked::Place(_) => {
                let leave = self.orders.take(wall_ns(), 1, Priority::Order.share(ORDERS.most));
                return (leave != Leave::Granted).then_some("the account's limit of new orders is used up");
            }
            Asked::Number | Asked::Status { .. } => 4,
            Asked::Fills { .. } | Asked::Account => 20,
        };
        match self.questions.take(weight, Priority::Cancel) {
            Ok(Leave::Granted) => None,
            Ok(Leave::Wait(_)) => Some("the venue's budget of questions is used up"),
            Err(error) => {
                // What is unknown about an order is worse than a question too many.
                tracing::warn!(%error, "asking uncounted");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use venues::limit::Left;

    #[test]
    fn orders_stop_before_the_account_is_refused_and_cancels_never_do() {
        let dir = tempfile::tempdir().unwrap();
        let mut budgets = Budgets::open(dir.path()).unwrap();
        let order = Asked::Place(Box::new(crate::gateway::link::tests::order(1)));
        let sent = (0..100).filter(|_| budgets.refuses(&order).is_none()).count();
        assert_eq!(sent, 45);
        assert!((0..1000).all(|_| budgets.refuses(&Asked::Cancel).is_none()));
    }

    #[test]
    fn questions_about_orders_count_with_everybody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let mut budgets = Budgets::open(dir.path()).unwrap();
        assert_eq!(budgets.refuses(&Asked::Number), None);
        let jobs = Limiter::open(dir.path(), "binance-ip", BINANCE.discipline().requests).unwrap();
        assert_eq!(jobs.left().unwrap(), Left { used: 4, most: 6000, banned: None });
        jobs.told(5990).unwrap();
        assert!(budgets.refuses(&Asked::Account).is_some() && budgets.refuses(&Asked::Number).is_none());
    }
}
