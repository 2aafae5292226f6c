//! A venue on this machine: it speaks the dialect of a real one on one loopback port, over a synthetic market, a
//! recorded capture, or a recording served as it is. Binance Spot takes orders too, filled with `sim`; of the others
//! there is the public side. Orders, fills and balances live as long as the process. What a real venue does on a bad
//! day, a script of faults does here.
//!
//! Left out on purpose: signatures and clock checks (any key is good), rate-limit bans, stop orders, order lists.
//!
//! Start reading at [`serve`]; `emitter` decides when market messages go out, `feed` sends them through the faults to
//! everybody, `dialect` holds the venues.
#![warn(missing_docs)]

mod allow;
pub mod cli;
mod client;
mod clock;
mod connection;
mod control;
mod dialect;
mod emitter;
pub mod fault;
mod feed;
mod klines;
mod line;
mod replay;
pub mod source;
mod state;
mod traffic;
mod truth;
mod ws;

pub use clock::Speed;
pub use source::{SourceError, SourceSpec};

use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::fault::Fault;
use crate::line::{Gate, Peer};
use crate::source::{Opened, capture, synthetic};
use crate::state::{Shared, World};
use axum::Router;
use axum::middleware::from_fn_with_state;
use domain::config::Fees;
use domain::{Asset, Decimal};
use sim::{QueueModel, SimConfig, SimVenue};
use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What to serve and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which venue it is to be.
    pub dialect: String,
    /// The market.
    pub source: SourceSpec,
    /// How fast.
    pub speed: Speed,
    /// TCP port on the loopback interface; 0 takes any free one.
    pub port: u16,
    /// Symbols; empty means all of a capture, `BTCUSDT` of the synthetic market.
    pub symbols: Vec<String>,
    /// Holding of each quote asset at the start.
    pub quote_balance: Decimal,
    /// Holding of each base asset at the start.
    pub base_balance: Decimal,
    /// How resting orders move in their queues.
    pub queue: QueueModel,
    /// Fees, basis points.
    pub fees: Fees,
    /// Adds `ts_recv_ns` to stream envelopes even in real time.
    pub source_clock: bool,
    /// Waits for `POST /emulator/start` before the first message.
    pub hold: bool,
    /// Refuses account and order requests without key (-2015), as the venue does. Any key and signature will do.
    pub require_key: bool,
    /// Length of the synthetic market, market seconds; `None` is endless.
    pub seconds: Option<u64>,
    /// What the venue's clock is ahead of the market's, ms.
    pub clock_offset_ms: i64,
    /// What goes wrong.
    pub script: Vec<Fault>,
    /// More of it, drawn: seed, how many, market time between two on average, ns.
    pub drawn: Option<(u64, u32, u64)>,
}

impl Config {
    /// `source` at `speed` with everything else as the command line has it by default.
    pub fn new(source: SourceSpec, speed: Speed) -> Self {
        Self {
            dialect: "binance".to_owned(),
            source,
            speed,
            port: 0,
            symbols: Vec::new(),
            quote_balance: Decimal::new(100_000, 0),
            base_balance: Decimal::ZERO,
            queue: QueueModel::Pessimistic,
            fees: Fees { maker_bps: 10, taker_bps: 10 },
            source_clock: false,
            hold: false,
            require_key: false,
            seconds: None,
            clock_offset_ms: 0,
            script: Vec::new(),
            drawn: None,
        }
    }
}

/// Why the server does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A venue nobody speaks here.
    #[error("there is no dialect `{name}`; there are {has}")]
    Dialect {
        /// What was asked for.
        name: String,
        /// What there is.
        has: String,
    },
    /// A script that cannot be followed.
    #[error("the script of faults cannot be followed: {0}")]
    Script(String),
    /// The market cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The port cannot be had.
    #[error("could not listen on {addr}; is another process using the port? choose another, or 0 for any free one")]
    Bind {
        /// Where.
        addr: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// A server at work. Dropping it leaves the server running until the runtime ends.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The symbols it serves.
    pub symbols: Vec<String>,
    /// Which venue it is.
    pub dialect: &'static str,
    stop: Arc<watch::Sender<bool>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// Says goodbye to every client and stops; waits two seconds at most.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // Every connection holds a receiver until its client has answered the close.
        let all = async { tokio::join!(futures::future::join_all(self.tasks), self.stop.closed()) };
        if tokio::time::timeout(Duration::from_secs(2), all).await.is_err() {
            tracing::debug!("a client did not hang up in time");
        }
    }
}

/// Checks the source, listens, and serves in the background.
///
/// # Errors
/// [`ServeError`] before anything is served.
pub async fn serve(config: Config) -> Result<Running, ServeError> {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
    find_dialect(&config.dialect)?;
    let bind = |source| ServeError::Bind { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(bind)?;
    let addr = listener.local_addr().map_err(bind)?;
    serve_at(config, Gate::Tcp(listener), addr)
}

/// Dials a server that is reached without the operating system.
#[derive(Clone, Debug)]
pub struct Dialer {
    tx: mpsc::Sender<DuplexStream>,
}

impl Dialer {
    /// Bytes under way in one direction at most.
    const ROOM: usize = 1 << 20;

    /// The client's end of a new connection.
    pub async fn dial(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(Dialer::ROOM);
        // A server that has stopped hangs up.
        drop(self.tx.send(theirs).await);
        ours
    }
}

/// As [`serve`], but for this process only and without sockets. With tokio's time paused everything happens in simulated
/// time, as fast as it can be computed, and the same from run to run.
///
/// # Errors
/// [`ServeError`].
pub fn serve_in_memory(config: Config) -> Result<(Running, Dialer), ServeError> {
    let (tx, dialled) = mpsc::channel(16);
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok((serve_at(config, Gate::Memory(dialled), nowhere)?, Dialer { tx }))
}

fn serve_at(config: Config, gate: Gate, addr: SocketAddr) -> Result<Running, ServeError> {
    let dialect = find_dialect(&config.dialect)?;
    if let SourceSpec::Recording { path } = &config.source {
        let stop = Arc::new(watch::Sender::new(false));
        let recording = replay::Recording::read(path)?;
        let router = replay::router(recording, config.speed, config.source.to_string(), stop.clone());
        let tasks = vec![tokio::spawn(listen(gate, router, stop.subscribe()))];
        return Ok(Running { addr, symbols: Vec::new(), dialect: dialect.name(), stop, tasks });
    }
    let (opened, goodbye) = match &config.source {
        SourceSpec::Capture { path } => (capture::open(path)?, "end of capture"),
        SourceSpec::Synthetic { seed } => {
            let free_running = config.speed != Speed::Max;
            let opened = match &gate {
                Gate::Memory(_) => synthetic::within(dialect, *seed, &config.symbols, config.seconds)?,
                Gate::Tcp(_) => synthetic::open(dialect, *seed, &config.symbols, config.seconds, free_running)?,
            };
            (opened, "end of synthetic market")
        }
        SourceSpec::Recording { path } => return Err(SourceError::Empty { path: path.clone() }.into()),
    };
    check_symbols(&opened, &config.symbols)?;
    let venue = SimVenue::new(SimConfig {
        queue: config.queue,
        fees: config.fees.clone(),
        balances: start_balances(&opened, &config),
        ..SimConfig::default()
    });
    let Opened { symbols, first_ns, items, free_running } = opened;
    let names: Vec<String> = symbols.iter().map(|s| s.instrument.symbol.to_string()).collect();
    let script = script(dialect, &config, &names)?;
    let stamp = config.source_clock || !config.speed.is_real_time();
    let mut world = World::new(dialect, venue, symbols, Clock::new(config.speed, first_ns), stamp, script);
    (world.started, world.require_key) = (!config.hold, config.require_key);
    world.clock_offset_ns = config.clock_offset_ms.saturating_mul(1_000_000);
    let shared = Arc::new(Shared::new(world, config.source.to_string()));
    let router = router(dialect, shared.clone());
    let tasks = vec![
        tokio::spawn(emitter::run(shared.clone(), items, free_running, goodbye)),
        tokio::spawn(pulse(shared.clone())),
        tokio::spawn(listen(gate, router, shared.stop.subscribe())),
    ];
    Ok(Running { addr, symbols: names, dialect: dialect.name(), stop: shared.stop.clone(), tasks })
}

fn find_dialect(name: &str) -> Result<&'static dyn Dialect, ServeError> {
    dialect::dialect(name).ok_or_else(|| {
        let has = dialect::dialects().iter().map(|d| d.name()).collect::<Vec<_>>().join(", ");
        ServeError::Dialect { name: name.to_owned(), has }
    })
}

/// The faults of the configuration, those written and those drawn.
fn script(dialect: &dyn Dialect, config: &Config, symbols: &[String]) -> Result<Vec<Fault>, ServeError> {
    let mut script = config.script.clone();
    if let Some((seed, count, every_ns)) = config.drawn {
        let can = |kind: &fault::FaultKind| dialect.has_checksums() || *kind != fault::FaultKind::Checksum;
        let kinds: Vec<_> = fault::FaultKind::ALL.iter().copied().filter(can).collect();
        script.extend(fault::script::draw(seed, count, every_ns, &kinds, symbols));
    }
    fault::check(dialect, &script, symbols).map_err(ServeError::Script)?;
    Ok(script)
}

/// Heartbeats, once a second.
async fn pulse(shared: Arc<Shared>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    let mut stop = shared.stop.subscribe();
    loop {
        tokio::select! {
            _ = every.tick() => shared.world().tick(),
            _ = stop.changed() => return,
        }
    }
}

async fn listen(gate: Gate, router: Router, mut stop: watch::Receiver<bool>) {
    let stopped = async move {
        // An error means that the server is gone, which is a stop as well.
        drop(stop.wait_for(|stop| *stop).await);
    };
    let service = router.into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(gate, service).with_graceful_shutdown(stopped).into_future().await;
    if let Err(error) = served {
        tracing::error!("the listener failed: {error}");
    }
}

fn router(dialect: &dyn Dialect, shared: Arc<Shared>) -> Router {
    let venue = dialect.routes().route_layer(from_fn_with_state(shared.clone(), control::watch));
    venue.merge(control::routes()).fallback(control::unknown).with_state(shared)
}

fn check_symbols(opened: &Opened, wanted: &[String]) -> Result<(), SourceError> {
    let has: Vec<&str> = opened.symbols.iter().map(|s| s.instrument.symbol.as_str()).collect();
    match wanted.iter().find(|w| !has.contains(&w.as_str())) {
        Some(symbol) => Err(SourceError::Symbol { symbol: symbol.clone(), has: has.join(", ") }),
        None => Ok(()),
    }
}

/// One amount per asset; an asset that is base of one pair and quote of another is held as quote.
fn start_balances(opened: &Opened, config: &Config) -> Vec<(Asset, Decimal)> {
    let mut balances = BTreeMap::new();
    for listed in &opened.symbols {
        balances.insert(listed.instrument.base, config.base_balance);
    }
    for listed in &opened.symbols {
        balances.insert(listed.instrument.quote, config.quote_balance);
    }
    balances.into_iter().collect()
}
