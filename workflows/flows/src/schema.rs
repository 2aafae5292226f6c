//! JSON Schema of a workflow file, for editors. Made from the table of keys that the parser checks with.

use crate::file::Span;
use crate::keys::{Key, Kind, ROOT, Table};
use serde_json::{Map, Value, json};
use spec::jobs;

/// JSON Schema (draft 2020-12) of a workflow file. What needs a look at several keys at once, such as names of steps
/// and templates, is left to [`crate::Workflow::parse`].
pub fn json_schema() -> Value {
    let mut schema = table(&ROOT);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("traider workflow");
    schema
}

fn table(table: &Table) -> Value {
    let properties: Map<String, Value> = table.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> = table.keys.iter().filter(|key| key.must).map(|key| key.name).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties, "required": required})
}

fn property(key: &Key) -> Value {
    let mut schema = kind(&key.kind);
    schema["description"] = json!(key.doc);
    schema
}

fn kind(kind_of: &Kind) -> Value {
    match kind_of {
        Kind::Version => json!({"const": 1}),
        Kind::Text => json!({"type": "string"}),
        Kind::Name => json!({"type": "string", "pattern": "^[a-z0-9-]{1,60}$"}),
        Kind::Job => json!({"type": "string", "enum": jobs::names()}),
        Kind::Cron => json!({"type": "string", "pattern": r"^\s*\S+(\s+\S+){4}\s*$"}),
        Kind::ListParam => json!({"type": "string", "pattern": r"^params\..+$"}),
        Kind::Date => json!({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}"}),
        Kind::Span => {
            json!({"type": "string", "pattern": format!("^[0-9]+({})$", Span::UNITS.map(|(unit, _)| unit).join("|"))})
        }
        Kind::TimeOfDay => json!({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
        Kind::Count => json!({"type": "integer", "minimum": 1, "maximum": u32::MAX}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::OneOf(words) => json!({"type": "string", "enum": words}),
        Kind::Each(item) => json!({"type": "array", "items": kind(item), "uniqueItems": true}),
        Kind::Table(below) => table(below),
        Kind::Tables(below) => json!({"type": "array", "items": table(below), "minItems": 1}),
        Kind::Open => json!({"type": "object"}),
    }
}
