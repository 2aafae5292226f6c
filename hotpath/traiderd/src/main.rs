//! `traiderd`: the trading daemon. Prints one JSON summary on standard output at a clean end; logs to standard error.

use anyhow::Context;
use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use traiderd::args::Args;
use traiderd::error::DaemonError;

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("TRAIDER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: traiderd: {error:#}");
            ExitCode::from(error.downcast_ref::<DaemonError>().map_or(1, DaemonError::exit_code))
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("could not listen to signals")?;
    }
    let summary = traiderd::daemon::run(&args.options(&stop)?)?;
    let json = serde_json::to_string(&summary).context("could not write the summary")?;
    if let Some(path) = &args.summary {
        let write = settings::home::write_durably(path, json.as_bytes());
        write.with_context(|| format!("could not write the summary to `{}`", path.display()))?;
    }
    println!("{json}");
    Ok(())
}
