//! The JSON Schema, judged by a validator that is not ours.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic like the tests themselves")]

use flows::{Workflow, json_schema};
use serde_json::{Value, json};
use std::fs;

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&json_schema()).unwrap()
}

/// A file with every key there is.
fn full() -> Value {
    serde_json::from_str(include_str!("data/full.json")).unwrap()
}

/// Every object and list inside, with its path.
fn places(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, v)| {
            out.push(format!("{path}/{key}"));
            places(v, &format!("{path}/{key}"), out);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, v)| places(v, &format!("{path}/{n}"), out)),
        _ => {}
    }
}

#[test]
fn every_workflow_in_the_repository_conforms() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut seen = 0;
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|ext| ext == "toml") {
            let table: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
            let errors: Vec<String> =
                validator().iter_errors(&plain(&toml::Value::Table(table))).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 1);
}

/// As JSON; a date becomes its text, as editors for TOML see it.
fn plain(value: &toml::Value) -> Value {
    match value {
        toml::Value::Datetime(date) => json!(date.to_string()),
        toml::Value::Array(items) => items.iter().map(plain).collect(),
        toml::Value::Table(table) => table.iter().map(|(key, v)| (key.clone(), plain(v))).collect(),
        other => serde_json::to_value(other).unwrap(),
    }
}

#[test]
fn the_full_file_uses_every_key_of_the_schema_and_both_take_it() {
    fn unused(schema: &Value, value: &Value, path: &str, out: &mut Vec<String>) {
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            match &value[key] {
                Value::Null => out.push(format!("{path}/{key}")),
                Value::Array(items) if below["items"]["properties"].is_object() => {
                    // Some item of the list has it.
                    let merged = items.iter().flat_map(|item| item.as_object().into_iter().flatten());
                    let merged: Value = merged.map(|(k, v)| (k.clone(), v.clone())).collect();
                    unused(&below["items"], &merged, &format!("{path}/{key}"), out);
                }
                inner => unused(below, inner, &format!("{path}/{key}"), out),
            }
        }
    }
    let mut missing = Vec::new();
    unused(&json_schema(), &full(), "", &mut missing);
    assert_eq!(missing, Vec::<String>::new());
    assert!(validator().is_valid(&full()));
    let workflow = Workflow::parse_json("full.json", &full().to_string()).unwrap_or_else(|p| panic!("{p}"));
    // What the parser keeps of it is all that was in it: the machine form has every key that was written.
    for (at, _) in full().as_object().unwrap() {
        assert!(!workflow.definition()[at].is_null(), "{at}");
    }
    for (step, kept) in full()["step"].as_array().unwrap().iter().zip(workflow.definition()["step"].as_array().unwrap())
    {
        assert!(step.as_object().unwrap().keys().all(|key| !kept[key].is_null()), "{kept}");
    }
}

/// Whatever value of the full file is spoilt, parser and schema both refuse it, or both take it.
#[test]
fn parser_and_schema_agree_about_spoilt_values() {
    let validator = validator();
    let mut all = Vec::new();
    places(&full(), "", &mut all);
    let open = |path: &str| path.starts_with("/params/") || path.contains("/with/");
    let mut refused = 0;
    for path in all.iter().filter(|path| !open(path)) {
        for wrong in
            [json!("No such thing!"), json!(7.5), json!(-1), json!(true), json!({"x": 1}), json!([[]]), json!("")]
        {
            let mut spoilt = full();
            *spoilt.pointer_mut(path).unwrap() = wrong.clone();
            let ours = Workflow::parse_json("x.json", &spoilt.to_string());
            if !validator.is_valid(&spoilt) {
                assert!(ours.is_err(), "the schema alone refuses {path} = {wrong}");
                refused += 1;
            } else if let Err(problems) = ours {
                // What only the parser can know: names, zones, cron fields, templates, assets.
                let deep = [
                    "cron", "timezone", "name", "needs", "for_each", "key", "inputs", "outputs", "with", "params",
                    "start",
                ];
                let known = deep.iter().any(|key| path.split('/').any(|part| part == *key));
                assert!(known, "the parser alone refuses {path} = {wrong}: {problems}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn unknown_keys_are_refused_by_both_at_every_depth() {
    let validator = validator();
    let mut all = vec![String::new()];
    places(&full(), "", &mut all);
    for path in all.iter().filter(|path| !path.contains("/with") && !path.starts_with("/params")) {
        let mut spoilt = full();
        if let Some(table) = spoilt.pointer_mut(path).and_then(Value::as_object_mut) {
            table.insert("nonsense".to_owned(), json!(1));
            assert!(!validator.is_valid(&spoilt), "{path}");
            let told = Workflow::parse_json("x.json", &spoilt.to_string()).unwrap_err().to_string();
            assert!(told.contains("has no key `nonsense`"), "{path}: {told}");
        }
    }
}
