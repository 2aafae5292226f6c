//! A workflow as some version of it was: from the definition a run or a backfill is pinned to, whatever its file says now.

use crate::problem::Problems;
use crate::workflow::Workflow;
use serde_json::{Map, Value};
use toml::Table;

/// The workflow a stored definition describes. Its schedule is left out: what is pinned is planned, not scheduled.
///
/// * `definition` - as [`spec::RunPlan::definition`] has it. The workflow read back has another hash than the one stored,
///   so plans made from it must be given the stored hash and definition again.
///
/// # Errors
/// What this version of the format no longer accepts of it.
pub fn pinned(name: &str, definition: &Value) -> Result<Workflow, Problems> {
    let mut file = definition.as_object().cloned().unwrap_or_default();
    file.remove("schedule");
    let file = table(&file);
    Workflow::parse(&format!("{name} as stored"), &file.to_string())
}

/// TOML has no null; a key without a value is a key that is not there.
fn table(object: &Map<String, Value>) -> Table {
    object.iter().filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect()
}

fn plain(value: &Value) -> Option<toml::Value> {
    match value {
        Value::Null => None,
        Value::Bool(yes) => Some(toml::Value::Boolean(*yes)),
        Value::Number(number) => {
            number.as_i64().map(toml::Value::Integer).or_else(|| number.as_f64().map(toml::Value::Float))
        }
        Value::String(text) => Some(toml::Value::String(text.clone())),
        Value::Array(items) => Some(toml::Value::Array(items.iter().filter_map(plain).collect())),
        Value::Object(object) => Some(toml::Value::Table(table(object))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::BUILT_IN;

    #[test]
    fn a_stored_definition_plans_what_its_file_planned() {
        for (file, text) in BUILT_IN {
            let from_file = Workflow::parse(file, text).unwrap().plan("2026-11-20", &Map::new()).unwrap();
            let stored = pinned("it", &from_file.definition).unwrap().plan("2026-11-20", &Map::new()).unwrap();
            assert_eq!(stored.steps, from_file.steps, "{file}");
        }
    }
}
