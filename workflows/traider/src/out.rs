//! What a command says: data on stdout (one JSON object with `--json`), everything else on stderr.

use crate::cli::Global;
use crate::fail::{Fail, code};
use comfy_table::{Cell, CellAlignment, Color, Table, presets};
use serde_json::Value;
use std::fmt::Arguments;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// As `println!`, but a reader that went away (`| head`) or a full disk is no panic: see [`lost`].
macro_rules! say {
    () => { $crate::out::line(format_args!("")) };
    ($($words:tt)*) => { $crate::out::line(format_args!($($words)*)) };
}

const ALL_SAID: u8 = 0;
const READER_GONE: u8 = 1;
const NOT_WRITTEN: u8 = 2;
static STDOUT: AtomicU8 = AtomicU8::new(ALL_SAID);
static STYLED: AtomicBool = AtomicBool::new(false);

/// Writes a line to stdout; nothing any more after the first failure.
pub fn line(words: Arguments<'_>) {
    if STDOUT.load(Ordering::Relaxed) != ALL_SAID {
        return;
    }
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{words}").and_then(|()| stdout.flush()) {
        let gone = error.kind() == ErrorKind::BrokenPipe;
        STDOUT.store(if gone { READER_GONE } else { NOT_WRITTEN }, Ordering::Relaxed);
        if !gone {
            whisper(format_args!("error: the output could not be written: {error}"));
        }
    }
}

/// Writes a line to stderr; one that is closed has no reader to disappoint.
fn whisper(words: Arguments<'_>) {
    writeln!(std::io::stderr(), "{words}").ok();
}

/// True when output was lost that somebody may be waiting for: a failed write, not a reader that has seen enough.
pub fn lost() -> bool {
    STDOUT.load(Ordering::Relaxed) == NOT_WRITTEN
}

/// True when nobody reads stdout any more, so that a verb that goes on and on may end.
pub fn gone() -> bool {
    STDOUT.load(Ordering::Relaxed) != ALL_SAID
}

/// The command's voice.
#[derive(Debug)]
pub struct Out {
    json: bool,
    quiet: bool,
    colour: bool,
}

impl Out {
    /// A voice for these flags, the environment and the terminal.
    pub fn new(global: &Global) -> Self {
        let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| v != "0");
        let forbidden = global.no_color
            || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        STYLED.store(forced || (!forbidden && std::io::stdout().is_terminal()), Ordering::Relaxed);
        Self {
            json: global.json,
            quiet: global.quiet,
            colour: forced || (!forbidden && std::io::stderr().is_terminal()),
        }
    }

    /// True when one JSON object is wanted.
    pub const fn json(&self) -> bool {
        self.json
    }

    /// Prints the result: as JSON, or as `human` prints it.
    pub fn value(&self, value: &Value, human: impl FnOnce(&Value)) {
        if self.json {
            say!("{value:#}");
        } else {
            human(value);
        }
    }

    /// Progress and remarks, on stderr.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            whisper(format_args!("{text}"));
        }
    }

    /// The failure, on stderr.
    pub fn error(&self, fail: &Fail) {
        if self.json {
            let error = serde_json::json!({"error": {"exit_code": fail.code, "message": fail.message}});
            whisper(format_args!("{error}"));
        } else if fail.code == code::INTERRUPTED {
            // The user asked for it: no error to them.
            whisper(format_args!("{}", fail.message));
        } else if self.colour {
            whisper(format_args!("\x1b[1;31merror:\x1b[0m {}", fail.message));
        } else {
            whisper(format_args!("error: {}", fail.message));
        }
    }
}

/// True when stdout takes colours and progress bars: a terminal, unless somebody said otherwise.
pub fn styled() -> bool {
    STYLED.load(Ordering::Relaxed)
}

/// A plain table; columns named in `right` are right-aligned. Cells are `row[column]`.
pub fn table(columns: &[(&str, &str)], right: &[&str], rows: &[Value]) {
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    grid(&titles, right, rows.iter().map(|row| columns.iter().map(|(_, key)| text(&row[*key])).collect()).collect());
}

/// A plain table of these rows, two blanks between columns; those named in `right` are right-aligned. On a terminal the
/// column STATE has colours.
pub fn grid(titles: &[&str], right: &[&str], rows: Vec<Vec<String>>) {
    for line in lines(titles, right, rows) {
        say!("{line}");
    }
}

/// The lines of a [`grid`].
pub fn lines(titles: &[&str], right: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    if rows.is_empty() {
        return vec!["(none)".to_owned()];
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if styled() {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(titles.iter().map(Cell::new));
    for row in rows {
        table.add_row(titles.iter().zip(row).map(|(title, text)| {
            let colour = (*title == "STATE").then(|| colour_of(&text)).flatten();
            let cell = Cell::new(text);
            let cell = if right.contains(title) { cell.set_alignment(CellAlignment::Right) } else { cell };
            if let Some(colour) = colour { cell.fg(colour) } else { cell }
        }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn colour_of(state: &str) -> Option<Color> {
    match state.to_ascii_lowercase().as_str() {
        "done" | "ok" => Some(Color::Green),
        "failed" | "dead" => Some(Color::Red),
        "running" => Some(Color::Cyan),
        "paused" | "cancelled" | "skipped" => Some(Color::Yellow),
        _ => None,
    }
}

/// A state in its colour, on a terminal.
pub fn state(words: &str) -> String {
    let number = match colour_of(words) {
        Some(Color::Green) => 32,
        Some(Color::Red) => 31,
        Some(Color::Cyan) => 36,
        Some(Color::Yellow) => 33,
        _ => return words.to_owned(),
    };
    if styled() { format!("\x1b[{number}m{words}\x1b[0m") } else { words.to_owned() }
}

/// A JSON value as a person reads it.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

/// An object in one line: its plain members, and of nested ones how many there are; the rest is for `--json`.
pub fn brief(value: &Value) -> String {
    let Some(map) = value.as_object() else { return text(value) };
    let member = |(key, value): (&String, &Value)| match value {
        Value::Array(list) => format!("{key} {}", list.len()),
        Value::Object(members) => format!("{key} {}", members.len()),
        plain => format!("{key} {}", text(plain)),
    };
    map.iter().map(member).collect::<Vec<_>>().join(", ")
}

/// Nanoseconds since 1970 as RFC 3339 UTC with milliseconds.
pub fn time(ns: &Value) -> String {
    ns.as_i64()
        .and_then(|ns| jiff::Timestamp::from_nanosecond(i128::from(ns)).ok())
        .map_or_else(|| "-".to_owned(), |t| format!("{t:.3}"))
}
