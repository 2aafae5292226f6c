//! The command line of `traider-emulator`. One JSON line on stdout says that it serves and where; everything else
//! goes to stderr. Exit codes: 0 stopped or asked to, 1 failure, 2 usage, 5 port taken.

use crate::fault::{self, Fault};
use crate::{Config, Running, ServeError, SourceSpec, Speed, serve};
use clap::Parser;
use domain::Decimal;
use domain::config::Fees;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::json;
use sim::QueueModel;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

const PORT_TAKEN: u8 = 5;

/// A venue on this machine: the dialect of a real one over a recorded or synthetic market. One process is one venue;
/// several at once are several processes, each with its own port, seed, clock and faults, so that one can be killed alone.
#[derive(Debug, Parser)]
#[command(name = "traider-emulator", version)]
struct Args {
    /// Which venue it is to be: binance, binance-usdm, binance-coinm, kraken, coinbase, bybit, bybit-linear, okx
    #[arg(long, default_value = "binance")]
    dialect: String,
    /// The market: synthetic:SEED, capture:FILE (gzipped `<ns> <message>` lines of Binance Spot), or recording:FILE
    /// (.jsonl.zst or .gz of any venue, served as it is)
    #[arg(long)]
    source: SourceSpec,
    /// Market seconds per second: 1, any number, or max
    #[arg(long, default_value = "1")]
    speed: Speed,
    /// Port on the loopback interface; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// File to write the ready line to, once serving
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Symbols to serve, separated by commas; may be repeated
    #[arg(long, alias = "symbols", num_args = 1.., value_delimiter = ',')]
    symbol: Vec<String>,
    /// What the venue's clock is ahead of the market's, ms
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    clock_offset_ms: i64,
    /// Something to go wrong, as in "at=5s gap symbol=BTC/USD"; may be repeated
    #[arg(long)]
    fault: Vec<Fault>,
    /// File of such lines
    #[arg(long, value_name = "PATH")]
    fault_file: Option<PathBuf>,
    /// Draw so many faults
    #[arg(long, default_value_t = 0)]
    faults: u32,
    /// Seed to draw them from
    #[arg(long, default_value_t = 1)]
    fault_seed: u64,
    /// Market seconds between two drawn faults, on average
    #[arg(long, default_value_t = 10)]
    fault_every: u64,
    /// Quote asset held at the start
    #[arg(long, default_value = "100000", value_parser = amount)]
    quote_balance: Decimal,
    /// Base asset held at the start
    #[arg(long, default_value = "0", value_parser = amount)]
    base_balance: Decimal,
    /// Queue model of resting orders: pessimistic, power:3 or log
    #[arg(long, default_value = "pessimistic")]
    queue: QueueModel,
    /// Fee of resting orders, basis points
    #[arg(long, default_value_t = 10)]
    maker_bps: u32,
    /// Fee of taking orders, basis points
    #[arg(long, default_value_t = 10)]
    taker_bps: u32,
    /// Put the market's receive time into stream messages even in real time
    #[arg(long)]
    source_clock: bool,
    /// Send nothing before POST /emulator/start
    #[arg(long)]
    hold: bool,
    /// Refuse account and order requests without an API key (any key will do)
    #[arg(long)]
    require_key: bool,
    /// Length of a synthetic market, market seconds (default: endless)
    #[arg(long)]
    seconds: Option<u64>,
    /// Stop when this process is gone
    #[arg(long, value_name = "PID")]
    parent_pid: Option<i32>,
}

fn amount(text: &str) -> Result<Decimal, String> {
    match Decimal::parse(text) {
        Ok(d) if d.mantissa >= 0 && d.scale <= 8 && d.mantissa < 10i128.pow(26) => Ok(d),
        _ => Err("an amount is a number from 0 with at most 8 digits after the point".to_owned()),
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("TRAIDER_LOG");
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| "info".into()))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("could not start the async runtime")),
    };
    match runtime.block_on(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: traider-emulator: {error:#}");
    match error.downcast_ref::<ServeError>() {
        Some(ServeError::Bind { .. }) => ExitCode::from(PORT_TAKEN),
        _ => ExitCode::FAILURE,
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let script = script(&args)?;
    let drawn = (args.faults > 0).then_some((args.fault_seed, args.faults, args.fault_every * 1_000_000_000));
    let config = Config {
        dialect: args.dialect,
        source: args.source,
        speed: args.speed,
        port: args.port,
        symbols: args.symbol.iter().map(|s| s.to_uppercase()).collect(),
        quote_balance: args.quote_balance,
        base_balance: args.base_balance,
        queue: args.queue,
        fees: Fees { maker_bps: args.maker_bps, taker_bps: args.taker_bps },
        source_clock: args.source_clock,
        hold: args.hold,
        require_key: args.require_key,
        seconds: args.seconds,
        clock_offset_ms: args.clock_offset_ms,
        script,
        drawn,
    };
    let (source, speed) = (config.source.to_string(), config.speed.to_string());
    // Before serving, so that a signal right after the ready line is not lost.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let running = serve(config).await?;
    announce(&running, &source, &speed, args.ready_file.as_deref())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = gone(args.parent_pid) => tracing::info!("the parent process is gone, so this one stops"),
    }
    running.stop().await;
    Ok(())
}

/// The faults written on the command line and in the file.
fn script(args: &Args) -> anyhow::Result<Vec<Fault>> {
    let mut script = args.fault.clone();
    if let Some(path) = &args.fault_file {
        let text = std::fs::read_to_string(path)
            .map_err(|e| anyhow::anyhow!("could not read the script of faults `{}`: {e}", path.display()))?;
        script.extend(fault::script::read(&text).map_err(anyhow::Error::msg)?);
    }
    Ok(script)
}

fn announce(running: &Running, source: &str, speed: &str, file: Option<&Path>) -> anyhow::Result<()> {
    let addr = running.addr;
    let line = json!({
        "dialect": running.dialect,
        "address": addr.to_string(),
        "rest": format!("http://{addr}"),
        "stream": format!("ws://{addr}/stream"),
        "ws_api": format!("ws://{addr}/ws-api/v3"),
        "source": source,
        "speed": speed,
        "symbols": running.symbols,
        "pid": std::process::id(),
    });
    if let Some(path) = file {
        // Written beside it and renamed: whoever sees the file sees all of it.
        let partial = path.with_extension("partial");
        std::fs::write(&partial, format!("{line}\n"))
            .and_then(|()| std::fs::rename(&partial, path))
            .map_err(|e| anyhow::anyhow!("could not write the ready file `{}`: {e}", path.display()))?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// Ends when the process is gone; never without one.
async fn gone(pid: Option<i32>) {
    let Some(pid) = pid else { return std::future::pending().await };
    let mut every = tokio::time::interval(Duration::from_millis(500));
    loop {
        every.tick().await;
        if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
            return;
        }
    }
}
