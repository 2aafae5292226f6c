//! `traider-worker`: runs the queues, or answers one verb. One JSON object per answer on stdout; everything else goes to
//! stderr.

use clap::{Parser, Subcommand};
use nix::errno::Errno;
use nix::sys::signal;
use nix::unistd::Pid;
use serde_json::{Value, json};
use settings::Home;
use settings::config::Config;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use store::error::chain;
use store::{CancelToken, Store, StoreError};
use tokio::signal::unix::{SignalKind, signal as on_signal};
use worker::messenger::Channels;
use worker::{Options, Tuning, builtin, exec, place};

#[derive(Parser)]
#[command(name = "traider-worker", version, about = "Runs traider's jobs and workflow steps")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take steps off the queues until told to stop
    Run {
        /// Home folder
        #[arg(long, env = "TRAIDER_HOME")]
        home: Option<PathBuf>,
        /// Stop when this process is gone
        #[arg(long)]
        parent_pid: Option<i32>,
        /// Stop when no run is active
        #[arg(long)]
        once: bool,
        /// One more configuration file, on top of the built-in one and <home>/config/traider.toml
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Answer one verb: parity, backtest, why, order, inspect-capture, facts, lake-ls
    Exec {
        /// The verb
        verb: String,
        /// Home folder
        #[arg(long, env = "TRAIDER_HOME")]
        home: Option<PathBuf>,
        /// The verb's input, a JSON object
        #[arg(long, default_value = "{}")]
        json: String,
    },
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TRAIDER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,apalis_core=off,sqlx=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match Cli::parse().command {
        Command::Run { home, parent_pid, once, config } => {
            let home = Home::locate(home.as_deref());
            match settings::config::load(&home, config.as_deref(), &BTreeMap::new()) {
                Ok(loaded) => run(home, parent_pid, once, &loaded.config),
                Err(error) => {
                    eprintln!("error: {error}");
                    ExitCode::from(3)
                }
            }
        }
        Command::Exec { verb, home, json } => {
            let home = Home::locate(home.as_deref());
            let answer = match serde_json::from_str::<Value>(&json) {
                Ok(args) => exec::exec(&home, &verb, &args),
                Err(error) => exec::failed(&format!("--json is not JSON: {error}"), 2),
            };
            println!("{}", answer.value);
            ExitCode::from(answer.exit_code)
        }
    }
}

fn run(home: Home, parent_pid: Option<i32>, once: bool, config: &Config) -> ExitCode {
    let alerts = Channels::of(&config.alerts, &home.root().join("alerts.jsonl"));
    let tuning = match Tuning::from_env() {
        Ok(tuning) => tuning,
        Err(what) => {
            eprintln!("error: {what}");
            return ExitCode::from(2);
        }
    };
    place::stand_back();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(serve(home, tuning, parent_pid, once, alerts));
    // A handler that did not stop within its grace must not hold up the end of the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

async fn serve(
    home: Home,
    tuning: Tuning,
    parent_pid: Option<i32>,
    once: bool,
    alerts: Channels,
) -> Result<(), StoreError> {
    home.prepare().map_err(|e| StoreError::Cluster { path: home.root().to_path_buf(), what: e.to_string() })?;
    let stop = CancelToken::default();
    tokio::spawn(stop_on_signal(stop.clone()));
    if let Some(parent) = parent_pid {
        tokio::spawn(stop_without_parent(parent, stop.clone()));
    }
    let (store, cluster) = Store::open_migrated(&home).await?;
    let said = json!({
        "event": "ready",
        "process": "traider-worker",
        "pid": std::process::id(),
        "home": home.root(),
        "lease_s": tuning.lease.as_secs_f64(),
    });
    let options = Options { tuning, once, stop, alerts: Some(alerts) };
    let ended = worker::run(store.clone(), home, builtin::handlers(), options, || println!("{said}")).await;
    store::release(store, cluster).await?;
    ended
}

async fn stop_on_signal(stop: CancelToken) {
    let (Ok(mut term), Ok(mut int)) = (on_signal(SignalKind::terminate()), on_signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be caught; only kill -9 will stop this worker");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
}

async fn stop_without_parent(parent: i32, stop: CancelToken) {
    while signal::kill(Pid::from_raw(parent), None) != Err(Errno::ESRCH) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tracing::info!(parent, "the parent process is gone; stopping");
    stop.cancel();
}
