//! The connection to the database: made when first needed and again after a failure, given up when it takes too long, so
//! that a page hears within seconds that nobody answers.

use crate::problem::Problem;
use settings::Home;
use std::time::Duration;
use store::{Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long a look may take.
pub const LOOK: Duration = Duration::from_secs(4);
/// How long a change may take.
pub const CHANGE: Duration = Duration::from_secs(15);

/// The database of a home, there or not.
pub struct Database {
    home: Home,
    store: Mutex<Option<Store>>,
}

impl Database {
    /// Not yet connected.
    pub fn new(home: Home) -> Database {
        Database { home, store: Mutex::default() }
    }

    /// Asks it something.
    ///
    /// # Errors
    /// What the question fails with; [`Problem::down`] when nobody answers within `patience`.
    pub async fn ask<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        patience: Duration,
        question: impl FnOnce(Store) -> F,
    ) -> Result<T, Problem> {
        let asked = timeout(patience, async { question(self.store().await?).await }).await;
        let problem = match asked {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Problem::from(error),
            Err(_) => Problem::down(format!("the database did not answer within {} s", patience.as_secs())),
        };
        if problem.code == "database_down" {
            self.store.lock().await.take();
        }
        Err(problem)
    }

    async fn store(&self) -> Result<Store, StoreError> {
        let mut kept = self.store.lock().await;
        if let Some(store) = &*kept {
            return Ok(store.clone());
        }
        let store = Store::attach(&self.home).await?;
        Ok(kept.insert(store).clone())
    }
}
