//! A view in parts. Most of a view (bars, decisions, old fills) stays the same from one frame to the next; a page gets
//! it whole once, then only the parts that changed.
//!
//! Parts are the top-level fields of the view and, for each instrument, its own fields as `instruments/<n>/<field>`.

use serde_json::Value;
use std::collections::BTreeMap;

/// Name of a part to its JSON text.
pub type Sections = BTreeMap<String, String>;

/// Cuts a view into parts.
pub fn split(view: &Value) -> Sections {
    let mut sections = Sections::new();
    for (key, value) in view.as_object().into_iter().flatten() {
        match (key.as_str(), value.as_array()) {
            ("instruments", Some(list)) => {
                for (n, instrument) in list.iter().enumerate() {
                    for (field, value) in instrument.as_object().into_iter().flatten() {
                        sections.insert(format!("instruments/{n}/{field}"), value.to_string());
                    }
                }
            }
            _ => {
                sections.insert(key.clone(), value.to_string());
            }
        }
    }
    sections
}

/// One JSON object with the parts that differ from what was sent last; a part that is gone is null. Remembers them as
/// sent.
pub fn delta(sent: &mut Sections, now: &Sections) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (key, text) in now {
        if sent.get(key) != Some(text) {
            parts.push(format!("{}:{text}", Value::from(key.as_str())));
        }
    }
    for key in sent.keys().filter(|key| !now.contains_key(*key)) {
        parts.push(format!("{}:null", Value::from(key.as_str())));
    }
    sent.clone_from(now);
    format!("{{{}}}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_page_gets_everything_once_and_then_only_changes() {
        let first = json!({"now_ns": 1, "safety": {"halted": false}, "instruments": [{"symbol": "BTCUSDT", "bars_1m": [1, 2]}]});
        let second = json!({"now_ns": 2, "safety": {"halted": false}, "instruments": []});
        let mut sent = Sections::new();
        let all = parsed(&delta(&mut sent, &split(&first)));
        assert_eq!(all["instruments/0/bars_1m"], json!([1, 2]));
        assert_eq!(all.as_object().unwrap().len(), 4);
        assert_eq!(delta(&mut sent, &split(&first)), "{}");
        let change = parsed(&delta(&mut sent, &split(&second)));
        let gone = json!({"now_ns": 2, "instruments/0/symbol": null, "instruments/0/bars_1m": null});
        assert_eq!(change, gone);
    }
}
