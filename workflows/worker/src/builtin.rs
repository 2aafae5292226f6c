//! The real handlers: each job kind of `spec::jobs` joined to the code in `data` and `ledger`.

use crate::Handlers;
use settings::Home;
use spec::{Facts, JobSpec, jobs};
use store::{CancelToken, StepContext, StepError, StepOutcome};

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
/// known, and telling a fact twice changes nothing.
async fn project_ledger(ctx: &StepContext) -> Result<StepOutcome, StepError> {
    let (home, cancel) = (ctx.home.clone(), ctx.cancel.clone());
    let facts = tokio::task::spawn_blocking(move || all_facts(&home, &cancel))
        .await
        .map_err(|e| StepError::Permanent(format!("reading the journals failed: {e}")))??;
    ledger::project::run_with(ctx, facts).await
}

/// The facts of every run with a journal, told by replaying it.
fn all_facts(home: &Home, cancel: &CancelToken) -> Result<Vec<Facts>, StepError> {
    let refuse = |e: data::DataError| StepError::Permanent(store::error::chain(&e));
    let mut all = Vec::new();
    for run in data::runs::all(home).map_err(refuse)? {
        cancel.check()?;
        all.push(data::facts_from_journal(&run.dir).map_err(refuse)?);
    }
    Ok(all)
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
