//! Filling in templates. Not a language: only `{partition}`, `{partition.start}`, `{partition.end}`, `{params.<name>}`,
//! in a fan-out `{item}`, and in a job's input `{run.id}`. A string that is one template becomes the value itself,
//! lists included. A run has no id while it is planned, so `{run.id}` stays as it is until [`spec::plan::fill_run_id`].

use crate::partition::Range;
use crate::problem::meant;
use chrono::SecondsFormat;
use serde_json::{Map, Value};
use spec::plan::RUN_ID;

/// What templates may refer to.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) partition: &'a str,
    pub(crate) range: Option<Range>,
    pub(crate) params: &'a Map<String, Value>,
    pub(crate) item: Option<&'a Value>,
}

impl Scope<'_> {
    /// The value with every template in it filled in.
    pub(crate) fn fill(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => self.fill_text(text),
            Value::Array(items) => items.iter().map(|v| self.fill(v)).collect::<Result<_, _>>().map(Value::Array),
            Value::Object(fields) => {
                let filled = fields.iter().map(|(key, v)| Ok((key.clone(), self.fill(v)?)));
                filled.collect::<Result<_, String>>().map(Value::Object)
            }
            other => Ok(other.clone()),
        }
    }

    /// A name made of a text with templates. It is needed before the run has an id.
    pub(crate) fn fill_name(&self, text: &str) -> Result<String, String> {
        if text.contains(RUN_ID) {
            return Err(format!("`{RUN_ID}` may only stand in `with`; here there is no run yet"));
        }
        match self.fill_text(text)? {
            Value::String(name) => Ok(name),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(format!("`{text}` is {other}, which is no name")),
        }
    }

    fn fill_text(&self, text: &str) -> Result<Value, String> {
        if let Some(name) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'))
            && !name.contains(['{', '}'])
        {
            return self.value(name);
        }
        let mut filled = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            filled.push_str(&rest[..open]);
            let close = rest[open..].find('}').ok_or_else(|| format!("`{text}` has a `{{` without a `}}`"))?;
            match self.value(&rest[open + 1..open + close])? {
                Value::String(value) => filled.push_str(&value),
                Value::Number(value) => filled.push_str(&value.to_string()),
                Value::Bool(value) => filled.push_str(&value.to_string()),
                _ => return Err(format!("`{text}` puts a list into a text; let the template stand alone")),
            }
            rest = &rest[open + close + 1..];
        }
        filled.push_str(rest);
        Ok(Value::String(filled))
    }

    fn value(&self, name: &str) -> Result<Value, String> {
        let moment = |pick: fn(Range) -> chrono::DateTime<chrono::Utc>| {
            let range = self.range.ok_or("this workflow's partitions have no start and end")?;
            Ok(Value::String(pick(range).to_rfc3339_opts(SecondsFormat::Secs, true)))
        };
        match name {
            "partition" => Ok(Value::String(self.partition.to_owned())),
            "partition.start" => moment(|range| range.start),
            "partition.end" => moment(|range| range.end),
            "run.id" => Ok(Value::from(RUN_ID)),
            "item" => self.item.cloned().ok_or_else(|| "`{item}` is only there in a step with for_each".to_owned()),
            _ => {
                let param = name.strip_prefix("params.");
                if let Some(value) = param.and_then(|param| self.params.get(param)) {
                    return Ok(value.clone());
                }
                let params: Vec<String> = self.params.keys().map(|key| format!("params.{key}")).collect();
                let fixed = ["partition", "partition.start", "partition.end", "run.id", "item"];
                let hint = meant(name, fixed.into_iter().chain(params.iter().map(String::as_str)));
                Err(format!("there is no template `{{{name}}}`{hint}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fill(value: Value) -> Result<Value, String> {
        let params = json!({"venues": ["a", "b"], "depth": 5});
        let range =
            Range { start: "2026-11-20T00:00:00Z".parse().unwrap(), end: "2026-11-21T00:00:00Z".parse().unwrap() };
        let item = json!("kraken");
        let scope = Scope {
            partition: "2026-11-20",
            range: Some(range),
            params: params.as_object().unwrap(),
            item: Some(&item),
        };
        scope.fill(&value)
    }

    #[test]
    fn a_lone_template_keeps_its_type_and_others_become_text() {
        let filled =
            fill(json!({"v": "{params.venues}", "d": "{params.depth}", "k": "x/{item}/{partition}", "n": [1]}));
        assert_eq!(filled.unwrap(), json!({"v": ["a", "b"], "d": 5, "k": "x/kraken/2026-11-20", "n": [1]}));
        assert_eq!(fill(json!("{partition.end}")).unwrap(), json!("2026-11-21T00:00:00Z"));
    }

    #[test]
    fn the_run_id_waits_until_there_is_a_run() {
        let mut filled = fill(json!({"key": "{item}/{run.id}", "list": ["{run.id}", 7]})).unwrap();
        assert_eq!(filled, json!({"key": "kraken/{run.id}", "list": ["{run.id}", 7]}));
        spec::plan::fill_run_id(&mut filled, "01K9ZC3W");
        assert_eq!(filled, json!({"key": "kraken/01K9ZC3W", "list": ["01K9ZC3W", 7]}));
    }

    #[test]
    fn what_is_not_there_is_refused_with_the_nearest_name() {
        assert_eq!(
            fill(json!("{params.venue}")).unwrap_err(),
            "there is no template `{params.venue}`; did you mean `params.venues`?"
        );
        assert!(fill(json!("a {partition")).unwrap_err().contains("without a `}`"));
        assert!(fill(json!("a {params.venues}")).unwrap_err().contains("stand alone"));
    }
}
