//! `traider`: the command line. Starts, stops and asks; decides nothing. It links neither polars nor the engine, so it
//! is instant: verbs that need them are handed to `traider-worker` or `traider-research`.
//!
//! Start reading at [`cli`] (every verb), then [`supervise`] (what `demo` and `up` keep alive).

#[macro_use]
mod out;

mod assets;
mod backfills;
mod cli;
mod config;
mod daemon;
mod database;
mod demo;
mod doctor;
mod exec;
mod fail;
mod jobs;
mod lake;
mod queues;
mod runs;
mod schedules;
mod status;
mod supervise;
mod trading;
mod up;
mod words;
mod workflow;

use clap::Parser;
use cli::{Cli, Command};
use fail::{Fail, code};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words = cli::job_arguments(std::env::args_os().collect());
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, words.iter().any(|word| word == "--json")),
    };
    let out = out::Out::new(&cli.global);
    match run(&cli, &out) {
        Ok(0) if out::lost() => ExitCode::from(code::FAILURE),
        Ok(code) => ExitCode::from(code),
        Err(fail) => {
            out.error(&fail);
            ExitCode::from(fail.code)
        }
    }
}

/// A command line that is not one: clap's words, as an object where `--json` was asked for.
fn usage(error: &clap::Error, json: bool) -> ExitCode {
    if json && error.use_stderr() {
        let words = error.to_string();
        let global = cli::Global { json, ..cli::Global::default() };
        out::Out::new(&global).error(&Fail::new(code::USAGE, words.trim_start_matches("error: ").trim_end()));
        return ExitCode::from(code::USAGE);
    }
    // Help and version, or an error for a person; a closed stream is no reason to fail otherwise.
    error.print().ok();
    ExitCode::from(if error.use_stderr() { code::USAGE } else { 0 })
}

fn run(cli: &Cli, out: &out::Out) -> Result<u8, Fail> {
    let home = settings::Home::locate(cli.global.home.as_deref());
    let ctx = cli::Context { home, out, global: &cli.global };
    match &cli.command {
        Command::Demo(args) => demo::demo(&ctx, args),
        Command::Up(args) => up::up(&ctx, args),
        Command::Down => up::down(&ctx),
        Command::Status => status::status(&ctx),
        Command::Halt { reason } => daemon::command(&ctx, "halt", reason),
        Command::Resume { reason } => daemon::command(&ctx, "resume", reason),
        Command::Doctor => doctor::doctor(&ctx),
        Command::Run(verb) => runs::run(&ctx, verb),
        Command::Workflow(verb) => workflow::workflow(&ctx, verb),
        Command::Backfill(verb) => backfills::backfill(&ctx, verb),
        Command::Schedule(verb) => schedules::schedule(&ctx, verb),
        Command::Queue(verb) => queues::queue(&ctx, verb),
        Command::Job(verb) => jobs::job(&ctx, verb),
        Command::Dead(verb) => jobs::dead(&ctx, verb),
        Command::Worker(verb) => queues::worker(&ctx, verb),
        Command::Asset(verb) => assets::asset(&ctx, verb),
        Command::Alert(verb) => queues::alert(&ctx, verb),
        Command::Orders(verb) => trading::orders(&ctx, verb),
        Command::Positions(args) => trading::positions(&ctx, args),
        Command::Why { order, run } => trading::why(&ctx, order, run.as_deref()),
        Command::Parity { run } => trading::parity(&ctx, run.as_deref()),
        Command::Backtest(verb) => trading::backtest(&ctx, verb),
        Command::Data(verb) => lake::data(&ctx, verb),
        Command::Lake(verb) => lake::lake(&ctx, verb),
        Command::Report(verb) => lake::report(&ctx, verb),
        Command::Config(verb) => config::config(&ctx, verb),
        Command::Version => {
            out.value(&serde_json::json!({"traider": settings::BUILD}), |v| {
                say!("traider {}", v["traider"].as_str().unwrap_or_default());
            });
            Ok(0)
        }
    }
}
