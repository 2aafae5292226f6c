//! One order and its fills, as the journal of its run proves them.

use crate::search::{order_id, search};
use crate::{DataError, facts_from_journal};
use serde_json::{Value, json};
use settings::Home;

/// Order `id`, searched in `run`, or in all runs as `why` does: `{run_id, mode, order, fills}`.
///
/// # Errors
/// [`DataError::NotFound`] when no run knows the order, [`DataError`] when the run asked for proves nothing.
pub fn order(home: &Home, id: &str, run: Option<&str>) -> Result<Value, DataError> {
    let id = order_id(id)?;
    let text = id.to_string();
    search(home, id, run, |run| {
        let facts = facts_from_journal(&run.dir)?;
        let Some(order) = facts.orders.iter().find(|o| o.order_id == text) else { return Ok(None) };
        let fills: Vec<_> = facts.fills.iter().filter(|f| f.order_id == text).collect();
        Ok(Some(json!({ "run_id": facts.run_id, "mode": facts.mode, "order": order, "fills": fills })))
    })
}
