//! The canonical layout of a workflow file: keys in the order of [`crate::keys`], one blank line between tables,
//! nothing aligned, one line per value unless it is a list that is too long or has comments inside. Comments stay with
//! what they stand above or beside; those inside a `{ }` move above its key. The meaning is never touched.

use crate::keys::{self, Kind, ROOT};
use crate::problem::{Collector, Problems};
use std::iter::once;
use toml_edit::{Array, Decor, DocumentMut, InlineTable, Item, Key, RawString, Table, Value};

/// Longest line before a list is broken into lines, in characters.
const WIDTH: usize = 120;

/// The file in its canonical layout. Only its syntax must be right; keys it does not know come last, as written.
///
/// # Errors
/// Broken syntax, with line and column.
pub fn format(text: &str) -> Result<String, Problems> {
    let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let mut problems = Collector::new("workflow", text);
        problems.add(error.span().unwrap_or(0..0), error.message());
        problems.told()
    })?;
    let (head, document) = split_head(document);
    let mut out = head;
    section(&mut out, &[], false, document.as_table(), Some(&ROOT));
    let end = raw(Some(document.trailing()));
    if end.starts_with('\n') && !comments(end).is_empty() {
        out.push(String::new());
    }
    out.extend(comments(end));
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    Ok(out.iter().flat_map(|line| [line.as_str(), "\n"]).collect())
}

/// Takes off the comment that opens the file and has a blank line after it: it is about the whole file and stays on
/// top, whichever key comes first.
fn split_head(mut document: DocumentMut) -> (Vec<String>, DocumentMut) {
    let Some(name) = document.iter().next().map(|(name, _)| name.to_owned()) else { return (Vec::new(), document) };
    let mut head = Vec::new();
    if let Some((mut key, Item::Value(_))) = document.get_key_value_mut(&name) {
        let lines = comments(raw(key.leaf_decor().prefix()));
        if let Some(blank) = lines.iter().rposition(String::is_empty) {
            let rest: String = lines[blank + 1..].iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            head = lines[..=blank].to_vec();
            key.leaf_decor_mut().set_prefix(rest);
        }
    }
    (head, document)
}

/// Writes a table: its header, its keys, then the tables below it.
fn section(out: &mut Vec<String>, path: &[String], many: bool, table: &Table, keys: Option<&keys::Table>) {
    let (tables, values): (Vec<_>, Vec<_>) = sorted(table, keys).into_iter().partition(|entry| {
        let top = path.is_empty();
        match entry.1 {
            Item::Table(below) => top || !below.is_dotted() || !only_values(below),
            Item::ArrayOfTables(_) => true,
            // At the top, `schedule = { … }` and `step = [{ … }]` are tables of their own.
            Item::Value(Value::InlineTable(_)) => top,
            Item::Value(Value::Array(items)) => top && !items.is_empty() && items.iter().all(Value::is_inline_table),
            _ => false,
        }
    });
    let implied = (table.is_implicit() || table.is_dotted()) && values.is_empty() && !tables.is_empty();
    if !path.is_empty() && !implied {
        let name = path.join(".");
        let header = if many { format!("[[{name}]]") } else { format!("[{name}]") };
        if !out.is_empty() {
            out.push(String::new());
        }
        out.extend(comments(raw(table.decor().prefix())));
        out.push(beside(header, raw(table.decor().suffix())));
    }
    for (key, item) in values {
        let below = keys_of(keys, key);
        match item {
            Item::Value(value) => entry(out, key, value, below),
            Item::Table(dotted) => {
                // Closing it drops the comments inside.
                dotted_comments(dotted, out);
                entry(out, key, &Value::InlineTable(dotted.clone().into_inline_table()), below);
            }
            Item::ArrayOfTables(_) | Item::None => {}
        }
    }
    for (key, item) in tables {
        let path: Vec<String> = path.iter().cloned().chain(once(bare(key))).collect();
        let below = keys_of(keys, key);
        match item {
            Item::Table(table) => section(out, &path, false, table, below),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|table| section(out, &path, true, table, below)),
            Item::Value(Value::InlineTable(inline)) => {
                let table = opened(inline, &[&prefix_of(key)], raw(inline.decor().suffix()));
                section(out, &path, false, &table, below);
            }
            Item::Value(Value::Array(items)) => {
                for (n, inline) in items.iter().filter_map(Value::as_inline_table).enumerate() {
                    let (first, last) = (n == 0, n + 1 == items.len());
                    let before = if first { prefix_of(key) } else { String::new() };
                    let after = if last { raw(Some(items.trailing())) } else { "" };
                    let list = if last { raw(items.decor().suffix()) } else { "" };
                    let own = raw(inline.decor().suffix());
                    // A header has room for one comment beside it.
                    let (above, beside) = if list.contains('#') { (own, list) } else { ("", own) };
                    let table = opened(inline, &[&before, raw(inline.decor().prefix()), after, above], beside);
                    section(out, &path, true, &table, below);
                }
            }
            Item::Value(_) | Item::None => {}
        }
    }
}

/// The keys of a table in the order they are written; unknown ones last, as they were.
fn sorted<'t>(table: &'t Table, keys: Option<&keys::Table>) -> Vec<(&'t Key, &'t Item)> {
    let place = |name: &str| keys.and_then(|keys| keys.keys.iter().position(|k| k.name == name)).unwrap_or(usize::MAX);
    let mut entries: Vec<_> = table.iter().filter_map(|(name, _)| table.get_key_value(name)).collect();
    entries.sort_by_key(|(key, _)| place(key.get()));
    entries
}

fn keys_of(keys: Option<&keys::Table>, key: &Key) -> Option<&'static keys::Table> {
    match keys?.key(key.get())?.kind {
        Kind::Table(below) | Kind::Tables(below) => Some(below),
        _ => None,
    }
}

/// True when nothing below it has a header of its own.
fn only_values(table: &Table) -> bool {
    table.iter().all(|(_, item)| match item {
        Item::Value(_) => true,
        Item::Table(below) => below.is_dotted() && only_values(below),
        Item::ArrayOfTables(_) | Item::None => false,
    })
}

/// An inline table as one with a header, with these texts' comments and its own above the header.
fn opened(inline: &InlineTable, above: &[&str], beside: &str) -> Table {
    let mut table = inline.clone().into_table();
    table.set_implicit(false);
    table.set_dotted(false);
    let mut lines: Vec<String> = above.iter().flat_map(|text| comments(text)).collect();
    // Opening it drops the comments inside.
    inner_comments(&Value::InlineTable(inline.clone()), &mut lines);
    lines.retain(|line| !line.is_empty());
    let lines: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    *table.decor_mut() = Decor::new(lines, beside);
    table
}

/// Writes `key = value` with its comments.
fn entry(out: &mut Vec<String>, key: &Key, value: &Value, keys: Option<&keys::Table>) {
    out.extend(comments(&prefix_of(key)));
    let name = bare(key);
    let line = format!("{name} = {}", one_line(value, keys));
    match value {
        Value::Array(items) if !items.is_empty() || has_comments(value) => {
            if has_comments(value) || line.chars().count() > WIDTH {
                out.push(format!("{name} = ["));
                list(out, items);
                out.push(beside("]".to_owned(), raw(value.decor().suffix())));
                return;
            }
        }
        _ => inner_comments(value, out),
    }
    out.push(beside(line, raw(value.decor().suffix())));
}

/// Writes the items of a list, one per line. A comment after an item's comma is that item's, though TOML reads it as
/// the start of the next.
fn list(out: &mut Vec<String>, items: &Array) {
    let mut own_line = true;
    let between = |out: &mut Vec<String>, text: &str, own_line: bool| {
        let (same, rest) = text.split_once('\n').unwrap_or((text, ""));
        match comments(same).pop() {
            Some(comment) if own_line => out.push(format!("  {comment}")),
            Some(comment) => {
                if let Some(line) = out.last_mut() {
                    *line = format!("{line}  {comment}");
                }
            }
            None => {}
        }
        out.extend(comments(rest).into_iter().filter(|c| !c.is_empty()).map(|comment| format!("  {comment}")));
    };
    for item in items.iter() {
        between(out, raw(item.decor().prefix()), own_line);
        own_line = false;
        let mut inside = Vec::new();
        inner_comments(item, &mut inside);
        out.extend(inside.into_iter().map(|comment| format!("  {comment}")));
        out.push(format!("  {},", one_line(item, None)));
        between(out, raw(item.decor().suffix()), false);
    }
    between(out, raw(Some(items.trailing())), own_line);
}

/// The value on one line, without any comment. Numbers and texts stay as they were written.
fn one_line(value: &Value, keys: Option<&keys::Table>) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| one_line(item, keys)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::InlineTable(table) if table.is_empty() => "{}".to_owned(),
        Value::InlineTable(inline) => {
            let table = inline.clone().into_table();
            let fields = sorted(&table, keys).into_iter().filter_map(|(key, item)| {
                Some(format!("{} = {}", bare(key), one_line(item.as_value()?, keys_of(keys, key))))
            });
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        scalar => {
            let mut scalar = scalar.clone();
            *scalar.decor_mut() = Decor::new("", "");
            scalar.to_string()
        }
    }
}

/// Adds the comments inside a list or table, at any depth; not those around it.
fn inner_comments(value: &Value, out: &mut Vec<String>) {
    let mut add = |text: &str| out.extend(comments(text).into_iter().filter(|c| !c.is_empty()));
    let around = |value: &Value| format!("{}\n{}", raw(value.decor().prefix()), raw(value.decor().suffix()));
    match value {
        Value::Array(items) => {
            for item in items.iter() {
                let mut inside = Vec::new();
                inner_comments(item, &mut inside);
                add(&format!("{}\n{}", around(item), inside.join("\n")));
            }
            add(raw(Some(items.trailing())));
        }
        Value::InlineTable(inline) => {
            for (name, field) in inline.iter() {
                let mut inside = Vec::new();
                inner_comments(field, &mut inside);
                let before = inline.key(name).map(prefix_of).unwrap_or_default();
                add(&format!("{before}\n{}\n{}", around(field), inside.join("\n")));
            }
            add(raw(Some(inline.trailing())));
        }
        _ => {}
    }
}

/// Adds the comments of `a.b = value` lines.
fn dotted_comments(table: &Table, out: &mut Vec<String>) {
    for (key, item) in table.iter().filter_map(|(name, _)| table.get_key_value(name)) {
        out.extend(comments(&prefix_of(key)).into_iter().filter(|c| !c.is_empty()));
        match item {
            Item::Value(value) => {
                inner_comments(value, out);
                out.extend(comments(raw(value.decor().suffix())));
            }
            Item::Table(below) => dotted_comments(below, out),
            Item::ArrayOfTables(_) | Item::None => {}
        }
    }
}

fn has_comments(value: &Value) -> bool {
    let mut found = Vec::new();
    inner_comments(value, &mut found);
    !found.is_empty()
}

/// The comment lines in what stands between two things. A blank line after a comment stays, as one.
fn comments(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut parts = text.split('\n').map(str::trim).peekable();
    while let Some(line) = parts.next() {
        // What follows the last line break is not a line.
        let blank = line.is_empty() && parts.peek().is_some();
        if line.starts_with('#') || (blank && lines.last().is_some_and(|last| !last.is_empty())) {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The line with the comment that stood beside it.
fn beside(line: String, suffix: &str) -> String {
    match comments(suffix).first() {
        Some(comment) => format!("{line}  {comment}"),
        None => line,
    }
}

/// What stands before a key; for `a.b`, before either part.
fn prefix_of(key: &Key) -> String {
    let decors = [key.leaf_decor().prefix(), key.leaf_decor().suffix(), key.dotted_decor().prefix()];
    decors.into_iter().map(raw).collect()
}

fn raw(text: Option<&RawString>) -> &str {
    text.and_then(RawString::as_str).unwrap_or_default()
}

/// The key without quotes where it can be.
fn bare(key: &Key) -> String {
    key.default_repr().as_raw().as_str().unwrap_or(key.get()).to_owned()
}
