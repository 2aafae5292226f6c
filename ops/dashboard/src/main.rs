//! `traider-dashboard`: serves the local page until it is told to stop, or its parent is gone.

use anyhow::Context;
use clap::Parser;
use dashboard::token::Token;
use dashboard::{App, loopback, web};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::json;
use settings::Home;
use settings::home::write_durably;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The local page: am I safe right now, what is traded and why, what do the workflows do.
#[derive(Parser)]
#[command(name = "traider-dashboard", version)]
struct Arguments {
    /// Home folder [default: TRAIDER_HOME, else the user's data folder]
    #[arg(long)]
    home: Option<PathBuf>,
    /// Port on the loopback interface; 0 = any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Loopback address to listen on; others are refused
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// Also write the ready line to this file
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// End when this process is gone
    #[arg(long)]
    parent_pid: Option<i32>,
}

/// Exit code for something needed that cannot be had: here, the address.
const UNREACHABLE: u8 = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let taken = error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::AddrInUse);
            eprintln!("error: {error:#}");
            ExitCode::from(if taken { UNREACHABLE } else { 1 })
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let home = Home::locate(arguments.home.as_deref());
    home.prepare()?;
    let address = loopback(arguments.address, arguments.port)?;
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is another page running? Choose another port: --port 0 takes any free one")
    })?;
    let address = listener.local_addr()?;
    let token = Token::make(&home).context("cannot make run/board.token")?;
    let url = format!("http://{address}/");
    let mut ready = json!({"address": address.to_string(), "url": &url, "pid": std::process::id()});
    let known = home.run().join("dashboard.json");
    write_durably(&known, ready.to_string().as_bytes()).context("cannot write run/dashboard.json")?;
    if let Some(file) = &arguments.ready_file {
        write_durably(file, ready.to_string().as_bytes())
            .with_context(|| format!("cannot write the ready file `{}`", file.display()))?;
    }
    // For the user who started it, and in no file that others may read.
    ready["open"] = json!(format!("{url}#token={}", token.reveal()));
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}").and_then(|()| stdout.flush()).context("cannot say that the page is ready")?;

    // An open page holds its stream for ever, so the server is dropped rather than drained; it has nothing to lose.
    let served = tokio::select! {
        served = axum::serve(listener, web::router(App::start(home.clone(), token))) => served.context("the page's server failed"),
        stopped = told_to_stop() => stopped,
        () = orphaned(arguments.parent_pid) => Ok(()),
    };
    for file in [known, Token::path(&home)] {
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::debug!(%error, "`{}` was already gone", file.display());
        }
    }
    served
}

async fn told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

async fn orphaned(parent: Option<i32>) {
    let Some(parent) = parent else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while kill(Pid::from_raw(parent), None).is_ok() {
        ticks.tick().await;
    }
}
