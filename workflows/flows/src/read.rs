//! Text to [`File`]: TOML as people write it, or JSON, the machine form of the same keys.

use crate::file::{File, Places};
use crate::keys::{self, ROOT};
use crate::problem::{Collector, Problems};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parses a TOML file; `name` is used in messages only.
///
/// # Errors
/// Broken syntax, else every key that is unknown, missing or of the wrong type, with its place.
pub fn toml(name: &str, text: &str) -> Result<File, Problems> {
    let mut problems = Collector::new(name, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    // One broken line often breaks the next ones; the first message is the one that helps.
    if let Some(error) = errors.first() {
        problems.add(error.span().unwrap_or(0..0), error.message());
    }
    problems.finish()?;
    decode(name, text, root)
}

/// Parses a JSON file; `name` is used in messages only.
///
/// # Errors
/// As [`toml`].
pub fn json(name: &str, text: &str) -> Result<File, Problems> {
    let mut problems = Collector::new(name, text);
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let above: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = above + error.column().saturating_sub(1);
        problems.add(at..at, format!("this is not JSON: {error}"));
    }
    if problems.is_empty() && !text.starts_with('{') {
        problems.add(0..0, "a workflow file in JSON is one object and begins with `{`");
    }
    problems.finish()?;
    // A value of TOML has nothing around it, not even the line break that ends a file.
    let inline = inline_toml(text.trim_end());
    let mut problems = Collector::new(name, text);
    match DeValue::parse(&inline) {
        Ok(mut value) => {
            drop_nulls(value.get_mut());
            if let DeValue::Table(table) = value.into_inner() {
                return decode(name, text, Spanned::new(0..text.len(), table));
            }
        }
        Err(error) => problems.add(error.span().unwrap_or(0..0), error.message()),
    }
    Err(problems.told())
}

fn decode(name: &str, text: &str, root: Spanned<DeTable<'_>>) -> Result<File, Problems> {
    let mut problems = Collector::new(name, text);
    // What the whole file lacks is told at its first character.
    keys::check(root.get_ref(), 0..0, &ROOT, &mut problems);
    problems.finish()?;
    let (top, places) = (places(root.get_ref()), with_places(root.get_ref()));
    let mut file = File::deserialize(toml::de::Deserializer::from(root)).map_err(|error| {
        let mut problems = Collector::new(name, text);
        problems.add(error.span().unwrap_or(0..0), error.message());
        problems.told()
    })?;
    file.places = top;
    for (step, places) in file.step.iter_mut().zip(places) {
        step.with_places = places;
    }
    Ok(file)
}

/// Where the values of the tables' keys stand, by `table.key`.
fn places(root: &DeTable<'_>) -> Places {
    let tables = root.iter().filter_map(|(name, value)| Some((name.get_ref(), value.get_ref().as_table()?)));
    let keys = tables.flat_map(|(name, table)| table.iter().map(move |(key, value)| (name, key, value)));
    keys.map(|(name, key, value)| (format!("{name}.{}", key.get_ref()), value.span())).collect()
}

/// For each step, where the keys of its `with` stand.
fn with_places(root: &DeTable<'_>) -> Vec<Places> {
    let steps = root.get("step").and_then(|steps| steps.get_ref().as_array());
    let places = |step: &Spanned<DeValue<'_>>| {
        let with = step.get_ref().as_table().and_then(|step| step.get("with")).and_then(|w| w.get_ref().as_table());
        let keys = with.into_iter().flat_map(|with| with.keys());
        keys.map(|key| (key.get_ref().to_string(), key.span())).collect()
    };
    steps.map(|steps| steps.iter().map(places).collect()).unwrap_or_default()
}

/// The JSON text as an inline table of TOML 1.1, byte for byte at the same place: `:` becomes `=`, and `null`, which
/// TOML lacks, becomes `nan`, which JSON lacks. So one parser gives the places of both.
fn inline_toml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (put, taken) = match c {
            ':' if !quoted => ("=", 1),
            'n' if !quoted && rest.starts_with("null") => ("nan ", 4),
            _ => (&rest[..c.len_utf8()], c.len_utf8()),
        };
        out.push_str(put);
        rest = &rest[taken..];
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
    }
    out
}

/// A key that is null is not there.
fn drop_nulls(value: &mut DeValue<'_>) {
    let null = |v: &DeValue<'_>| v.as_float().is_some_and(|f| f.as_str() == "nan");
    match value {
        DeValue::Table(table) => {
            *table = std::mem::take(table).into_iter().filter(|(_, v)| !null(v.get_ref())).collect();
            for (_, inner) in table.iter_mut() {
                drop_nulls(inner.get_mut());
            }
        }
        DeValue::Array(items) => {
            for inner in items.iter_mut() {
                drop_nulls(inner.get_mut());
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_all_told_with_place_and_nearest_name() {
        let text =
            "schema = 1\nname = \"x\"\nonwer = \"me\"\n\n[[step]]\nname = \"a\"\njob = \"j\"\n  retry = { maxx = 3 }\n";
        let problems = toml("x.toml", text).unwrap_err();
        let told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "x.toml:3:1: a workflow file has no key `onwer`; did you mean `owner`?",
                "x.toml:8:13: retry has no key `maxx`; did you mean `max`?",
            ]
        );
    }

    #[test]
    fn wrong_types_and_broken_syntax_are_told_with_their_place() {
        let told = |text: &str| toml("x.toml", text).unwrap_err().to_string();
        assert!(told("schema = 1\nname = \n").starts_with("x.toml:2:"), "{}", told("schema = 1\nname = \n"));
        let wrong = "schema = 1\nname = 7\nstep = []\n[defaults]\ntimeout = \"soon\"\nretry = { max = 0 }\n";
        assert_eq!(
            told(wrong),
            "x.toml:2:8: `name` is a text in quotes, not a whole number\n\
             x.toml:5:11: `soon` is not a length of time; write 500ms, 20s, 15m, 2h or 14d\n\
             x.toml:6:17: `max` is a whole number from 1"
        );
    }

    #[test]
    fn json_is_the_same_file_and_its_problems_have_the_same_places() {
        let good = "{\n  \"schema\": 1, \"name\": \"a:b \\\"null\\\\\",\n  \"owner\": null,\n  \"step\": []\n}\n";
        let file = json("x.json", good);
        let told = |text: &str| json("x.json", text).unwrap_err().to_string();
        assert_eq!(file.unwrap().name.get_ref(), "a:b \"null\\");
        assert_eq!(
            told(&good.replace("owner", "onwer").replace("null,", "7,")),
            "x.json:3:3: a workflow file has no key `onwer`; did you mean `owner`?"
        );
        assert_eq!(told(&good.replace("[]", "[7]")), "x.json:4:12: `step` is a list of tables; write [[step]]");
        assert!(
            told("{\n  \"schema\" 1\n}").starts_with("x.json:2:12: this is not JSON"),
            "{}",
            told("{\n  \"schema\" 1\n}")
        );
        assert_eq!(told("[]"), "x.json:1:1: a workflow file in JSON is one object and begins with `{`");
    }
}
