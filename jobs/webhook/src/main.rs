//! `traider-webhook`: takes alerts until it is told to stop, or its parent is gone.

use anyhow::Context;
use clap::Parser;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::json;
use settings::Home;
use settings::config::Webhook;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreError};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use webhook::gate::Secret;
use webhook::server::{Receiver, router};

/// Takes alerts that others send in, and keeps each as one vote.
#[derive(Parser)]
#[command(name = "traider-webhook", version)]
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

/// Exit codes: settings that cannot be used; something needed that cannot be had.
const CONFIG: u8 = 3;
const UNREACHABLE: u8 = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,sqlx=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let home = Home::locate(arguments.home.as_deref());
    let (settings, secret) = match ready(&home, arguments.config.as_deref()) {
        Ok(ready) => ready,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(CONFIG);
        }
    };
    match run(&home, settings, secret, arguments.parent_pid).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let io = error.downcast_ref::<std::io::Error>().is_some();
            let code = error.downcast_ref::<StoreError>().map(StoreError::exit_code);
            ExitCode::from(code.unwrap_or(if io { UNREACHABLE } else { 1 }))
        }
    }
}

/// The settings and the secret, looked at before anything is opened.
fn ready(home: &Home, file: Option<&Path>) -> anyhow::Result<(Webhook, Secret)> {
    let settings = settings::config::load(home, file, &BTreeMap::new())?.config.webhook;
    anyhow::ensure!(settings.enabled, "webhook.enabled is false; see `The webhook` in docs/operations.md");
    anyhow::ensure!(settings.per_minute_max > 0, "webhook.per_minute_max is 0; at least one alert must be allowed");
    let own = home.config().join("webhook.secret");
    let path = if settings.secret_file.is_empty() { own } else { PathBuf::from(&settings.secret_file) };
    Ok((settings, Secret::read(&path)?))
}

async fn run(home: &Home, settings: Webhook, secret: Secret, parent: Option<i32>) -> anyhow::Result<()> {
    home.prepare()?;
    let bind = settings.bind;
    let listener = TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind} (webhook.bind)"))?;
    if !bind.ip().is_loopback() {
        tracing::warn!(%bind, "alerts come in from the network without TLS, and the secret with them");
    }
    let (store, cluster) = Store::open_migrated(home).await?;
    let ready = json!({"address": listener.local_addr()?.to_string(), "pid": std::process::id()});
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}").and_then(|()| stdout.flush()).context("cannot say that the webhook is ready")?;
    let app = router(Arc::new(Receiver::new(store.clone(), secret, settings)));
    // What was not answered was not promised, so the server is dropped rather than drained.
    let served = tokio::select! {
        served = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()) => served.context("the server failed"),
        stopped = told_to_stop() => stopped,
        () = orphaned(parent) => Ok(()),
    };
    store::release(store, cluster).await?;
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
