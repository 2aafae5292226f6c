//! `traider-research sql [--home H | --lake DIR] QUERY [--json]`. Exit codes: 0 answered, 1 the lake or the machine
//! failed, 2 the query or the command line is wrong.

use anyhow::Context;
use clap::{Parser, Subcommand};
use frames::QueryResult;
use settings::Home;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Research on the lake.
#[derive(Parser)]
#[command(name = "traider-research", version, about)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run one SQL query over the lake.
    Sql {
        /// The query; tables are named like the datasets: trades, quotes, book_deltas, candles_1m, features_1m.
        query: String,
        /// Home folder [default: $TRAIDER_HOME, else ~/.local/share/traider].
        #[arg(long)]
        home: Option<PathBuf>,
        /// Lake folder [default: lake/ in the home folder].
        #[arg(long)]
        lake: Option<PathBuf>,
        /// Print {"columns", "rows", "row_count"} instead of tab-separated lines.
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Verb::Sql { query, home, lake, json } = Args::parse().verb;
    let root = lake.unwrap_or_else(|| Home::locate(home.as_deref()).lake());
    match frames::sql(&root, &query).await {
        Ok(result) => match print(&result, json) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, json, 1),
        },
        Err(error) => {
            let code = if error.is_usage() { 2 } else { 1 };
            fail(&anyhow::Error::new(error).context(hint(&root)), json, code)
        }
    }
}

fn hint(root: &std::path::Path) -> String {
    format!("no answer from the lake in {}", root.display())
}

fn print(result: &QueryResult, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, result).context("could not write the answer")?;
        return writeln!(out).context("could not write the answer");
    }
    let line = |values: Vec<String>| values.join("\t");
    writeln!(out, "{}", line(result.columns.clone())).context("could not write the answer")?;
    for row in &result.rows {
        let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        writeln!(out, "{}", line(row.iter().map(text).collect())).context("could not write the answer")?;
    }
    Ok(())
}

fn fail(error: &anyhow::Error, json: bool, code: u8) -> ExitCode {
    if json {
        println!("{}", serde_json::json!({ "error": { "message": format!("{error:#}"), "exit_code": code } }));
    }
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
