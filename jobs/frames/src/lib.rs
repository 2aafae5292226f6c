//! SQL over the lake. The only crate that names polars: it is heavy, so everything that needs it stands behind this
//! door, and only the research binary opens it.
//!
//! Each dataset is a table of its own name (`trades`, `quotes`, `book_deltas`, `candles_1m`, `features_1m`, ...) over
//! exactly the files that the manifests name. Added columns: `venue`, `instrument`, `day` (text, `2024-08-08`), and for
//! every scaled integer of money a `<name>_f64` in units, for research; the exact integer stays beside it.
#![warn(missing_docs)]

mod cell;
mod tables;

use lake::{Lake, LakeError};
use polars::prelude::*;
use polars::sql::SQLContext;
use serde::Serialize;
use std::path::Path;
use thiserror::Error;

/// Why a query has no answer.
#[derive(Debug, Error)]
pub enum FramesError {
    /// The lake could not be listed.
    #[error("could not read the lake")]
    Lake(#[from] LakeError),
    /// The query names a table that is not there.
    #[error("there is no table `{name}`; the lake has {known}")]
    UnknownTable {
        /// What was asked for.
        name: String,
        /// What there is, as a list in words.
        known: String,
    },
    /// It is no question at all.
    #[error(
        "`{0}` is not a query; the lake is only read here: start with SELECT, WITH, FROM, VALUES, EXPLAIN or SHOW TABLES"
    )]
    NoQuery(String),
    /// The query is wrong: its syntax, a column, a type.
    #[error("the query was refused: {0}")]
    Query(String),
    /// The engine failed without saying why.
    #[error("the query stopped half-way: {0}")]
    Broken(String),
}

impl FramesError {
    /// True when the caller's query is at fault, not the lake.
    pub const fn is_usage(&self) -> bool {
        matches!(self, FramesError::UnknownTable { .. } | FramesError::NoQuery(_) | FramesError::Query(_))
    }
}

/// Answer to a query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryResult {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows, one JSON value per column; times as RFC 3339 text.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Number of rows.
    pub row_count: usize,
}

/// Runs one SQL query over the lake in `root`.
///
/// # Errors
/// [`FramesError`]; an unknown table is answered with the list of known ones.
pub async fn sql(root: &Path, query: &str) -> Result<QueryResult, FramesError> {
    question(query)?;
    let lake = Lake::local(root)?;
    let listed = lake.list().await?;
    let query = query.to_owned();
    // polars computes on its own threads and blocks the caller.
    let work = tokio::task::spawn_blocking(move || run(&tables::tables(&lake, &listed)?, &query));
    work.await.map_err(|e| FramesError::Broken(e.to_string()))?
}

/// Refuses what is not a question. The engine would drop or make tables of its own memory, answer nothing and call that
/// success, while no file of the lake has changed.
fn question(query: &str) -> Result<(), FramesError> {
    let mut words = words(query);
    let first = words.next().unwrap_or_default();
    let asked = match first.to_ascii_lowercase().as_str() {
        // What is explained must be a question too.
        "explain" => {
            words.find(|w| !["analyze", "verbose", "query", "plan"].contains(&w.to_ascii_lowercase().as_str()))
        }
        _ => Some(first),
    };
    match asked.unwrap_or_default().to_ascii_lowercase().as_str() {
        "select" | "with" | "from" | "values" | "show" => Ok(()),
        _ => Err(FramesError::NoQuery(query.split_whitespace().take(6).collect::<Vec<_>>().join(" "))),
    }
}

/// The words of a statement up to the first that is none, without comments and leading brackets.
fn words(query: &str) -> impl Iterator<Item = &str> {
    let mut rest = query;
    std::iter::from_fn(move || {
        rest = skip(rest);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

/// What follows after white space, comments, opening brackets and empty statements.
fn skip(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '(' || c == ';');
        text = if let Some(comment) = text.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = text.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            return text;
        };
    }
}

fn run(tables: &[(String, LazyFrame)], query: &str) -> Result<QueryResult, FramesError> {
    let mut context = SQLContext::new();
    for (name, frame) in tables {
        context.register(name, frame.clone());
    }
    let refused = |e: PolarsError| explain(&e, tables);
    let frame = context.execute(query).and_then(LazyFrame::collect).map_err(refused)?;
    let columns: Vec<String> = frame.get_column_names().iter().map(|n| n.to_string()).collect();
    let row_count = frame.height();
    let row = |i| {
        let values = frame.columns().iter().map(|c| c.get(i).map(|v| cell::json(&v)).map_err(refused));
        values.collect::<Result<Vec<_>, _>>()
    };
    let rows = (0..row_count).map(row).collect::<Result<Vec<_>, _>>()?;
    Ok(QueryResult { columns, rows, row_count })
}

fn explain(error: &PolarsError, tables: &[(String, LazyFrame)]) -> FramesError {
    let text = error.to_string();
    let missing = text.split("relation '").nth(1).and_then(|rest| rest.split_once("' was not found"));
    match missing {
        Some((name, _)) => FramesError::UnknownTable { name: name.to_owned(), known: in_words(tables) },
        None => FramesError::Query(text.lines().next().unwrap_or_default().to_owned()),
    }
}

fn in_words(tables: &[(String, LazyFrame)]) -> String {
    let names: Vec<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { "no tables yet: run the ingest workflow first".to_owned() } else { names.join(", ") }
}
