//! The real handlers: each job kind of `spec::jobs` joined to the code in `data` and `ledger`.

use crate::Handlers;
use serde_json::json;
use spec::{JobSpec, jobs};
use store::{StepContext, StepError, StepOutcome};

/// A handler for every kind there is.
pub fn handlers() -> Handlers {
    Handlers::default()
        .with(jobs::IngestJournal::NAME, data::ingest::run)
        .with(jobs::ValidateDay::NAME, data::validate::run)
        .with(jobs::BuildFeatures::NAME, data::features::run)
        .with(jobs::ProjectLedger::NAME, |ctx| async move { project_ledger(&ctx).await })
        .with(jobs::ReportDaily::NAME, |ctx| async move { ledger::report::run(&ctx).await })
}

/// Books the facts of every run. All of them, not the day's alone: the books are a projection of everything that is
/// known, and telling a fact twice changes nothing. A run whose journal proves nothing is left out and named: its rows, if
/// an earlier build booked any, stay as they are.
async fn project_ledger(ctx: &StepContext) -> Result<StepOutcome, StepError> {
    let (home, cancel) = (ctx.home.clone(), ctx.cancel.clone());
    let told = tokio::task::spawn_blocking(move || data::facts::of_all(&home, || cancel.is_cancelled()))
        .await
        .map_err(|e| StepError::Permanent(format!("reading the journals failed: {e}")))??;
    for refused in &told.refused {
        ctx.log.warn(&format!("run {} is left out of the books: {}", refused.run, refused.reason));
    }
    let mut outcome = ledger::project::run_with(ctx, told.facts).await?;
    if let Some(summary) = outcome.summary.as_object_mut() {
        summary.insert("refused".to_owned(), json!(told.refused));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_kind_has_a_handler_and_no_handler_is_without_a_kind() {
        let table = handlers();
        let mut kinds = jobs::names();
        kinds.sort_unstable();
        assert_eq!(table.kinds().collect::<Vec<_>>(), kinds);
    }
}
