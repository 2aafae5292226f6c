//! `traider`: the command line. Starts, stops and asks; decides nothing. It links neither polars nor the engine, so it
//! is instant: verbs that need them are handed to `traider-worker` or `traider-research`.
//!
//! Start reading at [`cli`] (every verb), then [`supervise`] (what `demo` and `up` keep alive).

mod cli;
mod config;
mod daemon;
mod demo;
mod doctor;
mod exec;
mod fail;
mod lake;
mod out;
mod runs;
mod status;
mod supervise;
mod trading;

use clap::Parser;
use cli::{Cli, Command};
use fail::Fail;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = out::Out::new(&cli.global);
    let done = run(&cli, &out);
    match done {
        Ok(code) => ExitCode::from(code),
        Err(fail) => {
            out.error(&fail);
            ExitCode::from(fail.code)
        }
    }
}

fn run(cli: &Cli, out: &out::Out) -> Result<u8, Fail> {
    let home = settings::Home::locate(cli.global.home.as_deref());
    let ctx = cli::Context { home, out, global: &cli.global };
    match &cli.command {
        Command::Demo(args) => demo::demo(&ctx, args),
        Command::Up(args) => demo::up(&ctx, args),
        Command::Down => demo::down(&ctx),
        Command::Status => status::status(&ctx),
        Command::Halt { reason } => daemon::command(&ctx, "halt", reason),
        Command::Resume { reason } => daemon::command(&ctx, "resume", reason),
        Command::Doctor => doctor::doctor(&ctx),
        Command::Run(verb) => runs::run(&ctx, verb),
        Command::Job(verb) => runs::job(&ctx, verb),
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
                println!("traider {}", v["traider"].as_str().unwrap_or_default());
            });
            Ok(0)
        }
    }
}
