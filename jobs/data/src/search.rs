//! Looking for an order in one run, or in all of them.

use crate::DataError;
use crate::runs::{self, Run};
use domain::ClientOrderId;
use settings::Home;

/// What `look` finds of order `id` in `run`, or in the first of all runs that has it. A run that cannot be looked through
/// does not hide what another one tells, but it is named when none of them tells anything.
///
/// # Errors
/// [`DataError::NotFound`] when no run knows the order, or why the one run asked for cannot be looked through.
pub(crate) fn search<T>(
    home: &Home,
    id: ClientOrderId,
    run: Option<&str>,
    mut look: impl FnMut(&Run) -> Result<Option<T>, DataError>,
) -> Result<T, DataError> {
    if let Some(name) = run {
        let run = runs::find(home, name)?;
        let missing = || DataError::NotFound(format!("run {} has no order `{id}`", run.manifest.run_id));
        return look(&run)?.ok_or_else(missing);
    }
    let listed = runs::list(home)?;
    let mut skipped: Vec<String> = listed.unreadable.iter().map(|(run, e)| format!("{run} ({e})")).collect();
    for run in &listed.runs {
        match look(run) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(e) => skipped.push(format!("{} ({e})", run.manifest.run_id)),
        }
    }
    let skipped = if skipped.is_empty() { String::new() } else { format!("; not readable: {}", skipped.join(", ")) };
    Err(DataError::NotFound(format!("no order `{id}` in {} searched runs{skipped}", listed.runs.len())))
}

/// The id in `text`.
///
/// # Errors
/// [`DataError::Usage`].
pub(crate) fn order_id(text: &str) -> Result<ClientOrderId, DataError> {
    text.parse().map_err(|e| DataError::Usage(format!("{e}")))
}
