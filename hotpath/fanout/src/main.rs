//! `traider-fanout`: follows the newest run of a home until it is told to stop, or its parent is gone.

use anyhow::Context;
use clap::Parser;
use fanout::follow::Follower;
use fanout::market::{Depth, Entry, Markets};
use fanout::publish::Publisher;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use settings::config::Redis;
use settings::{Home, Mode, RunManifest};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Hands what a run sees of its markets on to Redis Streams.
#[derive(Parser)]
#[command(name = "traider-fanout", version)]
struct Arguments {
    /// Home folder [default: TRAIDER_HOME, else the user's data folder]
    #[arg(long)]
    home: Option<PathBuf>,
    /// Settings on top of the home's own
    #[arg(long)]
    config: Option<PathBuf>,
    /// End when this process is gone
    #[arg(long)]
    parent_pid: Option<i32>,
}

/// Exit code for settings that cannot be used.
const CONFIG: u8 = 3;
/// How often the journal is looked at when nothing came.
const PAUSE: Duration = Duration::from_millis(20);
/// How often a newer run is looked for when nothing came.
const NEWER: Duration = Duration::from_secs(1);
/// Pause before the server is tried again, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let home = Home::locate(arguments.home.as_deref());
    let settings = match settings::config::load(&home, arguments.config.as_deref(), &BTreeMap::new()) {
        Ok(loaded) if loaded.config.redis.enabled => loaded.config.redis,
        Ok(_) => {
            eprintln!("error: redis.enabled is false; see `Redis Streams` in docs/operations.md");
            return ExitCode::from(CONFIG);
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(CONFIG);
        }
    };
    match run(&home, &settings, arguments.parent_pid) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(home: &Home, settings: &Redis, parent: Option<i32>) -> anyhow::Result<()> {
    let told = Arc::new(AtomicBool::new(false));
    for os_signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(os_signal, Arc::clone(&told)).context("cannot listen for signals")?;
    }
    let stop = || told.load(Ordering::Relaxed) || parent.is_some_and(|pid| kill(Pid::from_raw(pid), None).is_err());
    let mut publisher = Publisher::new(&settings.address, settings.stream_max);
    let mut followed: Option<RunManifest> = None;
    while !stop() {
        match newest(home) {
            Some(run) if followed.as_ref().is_none_or(|old| old.run_id != run.run_id) => {
                tracing::info!(run = run.run_id, "following");
                follow(home, settings, &run, &mut publisher, &stop)?;
                followed = Some(run);
            }
            _ => std::thread::sleep(PAUSE),
        }
    }
    Ok(())
}

/// The newest run with a market of its own time; backtests have none.
fn newest(home: &Home) -> Option<RunManifest> {
    let folders = std::fs::read_dir(home.journal()).ok()?.flatten();
    let runs = folders.filter_map(|entry| RunManifest::read(&entry.path()).ok());
    runs.filter(|run| run.mode != Mode::Backtest).max_by_key(|run| (run.created_ns, run.run_id.clone()))
}

/// Follows one run until there is a newer one.
fn follow(
    home: &Home,
    settings: &Redis,
    run: &RunManifest,
    publisher: &mut Publisher,
    stop: &impl Fn() -> bool,
) -> anyhow::Result<()> {
    let mut journal = Follower::new(&home.journal_of(&run.run_id));
    let period_ns = u64::from(settings.book_ms) * 1_000_000;
    let mut markets = Markets::new(Depth { levels: usize::from(settings.book_levels), period_ns });
    let (mut entries, mut looked) = (Vec::new(), Instant::now());
    while !stop() {
        let inputs = journal.look()?;
        for input in &inputs {
            markets.step(input, &mut entries);
        }
        send(publisher, run.created_ns / 1_000_000, &entries, stop);
        entries.clear();
        if inputs.is_empty() {
            if looked.elapsed() > NEWER {
                looked = Instant::now();
                if newest(home).is_some_and(|newer| newer.run_id != run.run_id) {
                    return Ok(());
                }
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Sends until it is sent: meanwhile the journal keeps what comes.
fn send(publisher: &mut Publisher, run_ms: u64, entries: &[Entry], stop: &impl Fn() -> bool) {
    let mut pause = AGAIN.0;
    while !entries.is_empty() && !stop() {
        match publisher.send(run_ms, entries) {
            Ok(_) => return,
            Err(error) => tracing::warn!(%error, "Redis does not take it; tried again"),
        }
        let until = Instant::now() + pause;
        while Instant::now() < until && !stop() {
            std::thread::sleep(PAUSE);
        }
        pause = (pause * 2).min(AGAIN.1);
    }
}
