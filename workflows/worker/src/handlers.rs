//! The table that joins job kinds to the code that does the work.

use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{StepContext, StepError, StepOutcome};

/// What one job kind does.
pub type Handler = Arc<dyn Fn(StepContext) -> BoxFuture<'static, Result<StepOutcome, StepError>> + Send + Sync>;

/// Job kind to handler.
#[derive(Clone, Default)]
pub struct Handlers {
    table: BTreeMap<String, Handler>,
}

impl Handlers {
    /// Adds a kind; a later one wins over an earlier one of the same name.
    pub fn with<F, Fut>(mut self, kind: &str, handler: F) -> Handlers
    where
        F: Fn(StepContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<StepOutcome, StepError>> + Send + 'static,
    {
        self.table.insert(kind.to_owned(), Arc::new(move |context| Box::pin(handler(context))));
        self
    }

    /// The handler of a kind.
    pub fn get(&self, kind: &str) -> Option<&Handler> {
        self.table.get(kind)
    }

    /// The kinds in the table.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(String::as_str)
    }
}
