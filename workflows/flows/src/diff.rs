//! What changed between two versions of a workflow, in words.

use crate::file::Span;
use crate::keys::{Kind, ROOT, Table};
use crate::workflow::Workflow;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// One difference between two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where: `schedule.cron`, ``step `report` ``, ``step `report` timeout``.
    pub at: String,
    /// What it was, as written in a file; `None` when it is new.
    pub old: Option<String>,
    /// What it is now; `None` when it is gone.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "{}: {old} -> {new}", self.at),
            (None, Some(new)) => write!(f, "{} added: {new}", self.at),
            (Some(old), None) => write!(f, "{} removed: {old}", self.at),
            (None, None) => f.write_str(&self.at),
        }
    }
}

/// What changed from the old version to the new one, in the order of a file's keys. The same meaning gives no change,
/// and so do steps in another order, unless only their order changed.
pub fn diff(old: &Workflow, new: &Workflow) -> Vec<Change> {
    let mut out = Vec::new();
    tables(&mut out, "", old.definition(), new.definition(), &ROOT);
    if out.is_empty() && old.sha256() != new.sha256() {
        let order = |flow: &Workflow| {
            flow.file().step.iter().map(|step| step.name.get_ref().clone()).collect::<Vec<_>>().join(", ")
        };
        out.push(Change { at: "order of steps".to_owned(), old: Some(order(old)), new: Some(order(new)) });
    }
    out
}

fn tables(out: &mut Vec<Change>, path: &str, old: &Value, new: &Value, keys: &Table) {
    for key in keys.keys {
        let at = if path.is_empty() || path.ends_with(' ') {
            format!("{path}{}", key.name)
        } else {
            format!("{path}.{}", key.name)
        };
        let (old, new) = (&old[key.name], &new[key.name]);
        match &key.kind {
            _ if old == new => {}
            Kind::Tables(below) => steps(out, old, new, below),
            Kind::Table(below) if old.is_object() && new.is_object() => tables(out, &at, old, new, below),
            Kind::Open => open(out, &at, old, new),
            kind => out.push(Change { at, old: shown(old, kind), new: shown(new, kind) }),
        }
    }
}

/// Steps are the same when their names are.
fn steps(out: &mut Vec<Change>, old: &Value, new: &Value, keys: &Table) {
    let all = |steps: &Value| steps.as_array().cloned().unwrap_or_default();
    let (old, new) = (all(old), all(new));
    let named = |steps: &[Value], name: &Value| steps.iter().find(|step| step["name"] == *name).cloned();
    let at = |step: &Value| format!("step `{}`", step["name"].as_str().unwrap_or_default());
    let job = |step: &Value| Some(step["job"].as_str().unwrap_or_default().to_owned());
    for step in old.iter().filter(|step| named(&new, &step["name"]).is_none()) {
        out.push(Change { at: at(step), old: job(step), new: None });
    }
    for step in &new {
        match named(&old, &step["name"]) {
            None => out.push(Change { at: at(step), old: None, new: job(step) }),
            Some(was) => tables(out, &format!("{} ", at(step)), &was, step, keys),
        }
    }
}

fn open(out: &mut Vec<Change>, at: &str, old: &Value, new: &Value) {
    let none = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&none), new.as_object().unwrap_or(&none));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names.into_iter().filter(|name| old.get(*name) != new.get(*name)) {
        let text = |value: Option<&Value>| value.map(Value::to_string);
        out.push(Change { at: format!("{at}.{name}"), old: text(old.get(name)), new: text(new.get(name)) });
    }
}

/// A value as it is written in a file; `None` when it is not there.
fn shown(value: &Value, kind: &Kind) -> Option<String> {
    match (kind, value) {
        (_, Value::Null) => None,
        (Kind::Span, Value::String(text)) => {
            Some(Span::parse(text).map_or_else(|| text.clone(), |span| span.to_string()))
        }
        (Kind::Each(_), Value::Array(items)) if items.is_empty() => None,
        (Kind::Table(below), Value::Object(_)) => {
            let fields = below
                .keys
                .iter()
                .filter_map(|key| Some(format!("{} = {}", key.name, shown(&value[key.name], &key.kind)?)));
            Some(format!("{{ {} }}", fields.collect::<Vec<_>>().join(", ")))
        }
        (_, other) => Some(other.to_string()),
    }
}
