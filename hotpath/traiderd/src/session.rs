//! One session of the daemon: makes the rings and threads, runs the engine loop on the calling thread, and takes
//! everything apart in the opposite order. Wires; decides nothing.

use crate::board::Board;
use crate::clock::{Clock, ClockKind, stamp_ns};
use crate::control::{Control, ControlSocket, Order};
use crate::core::{Core, Outlets};
use crate::daemon::{Options, Rules, Run, write_manifest};
use crate::engine_loop::{EngineLoop, Inputs, Opening};
use crate::error::DaemonError;
use crate::gateway::Gateway;
use crate::gateway::budget::Budgets;
use crate::gateway::link::OrderLink;
use crate::halt::HaltFile;
use crate::inbox::{Item, Tx, Waker, ring};
use crate::journal::Writer;
use crate::market::Assigned;
use crate::market::connection::{Reader, Role};
use crate::market::keeper::{Keeper, Opened, Opening as Connections, RING, Shared, Start};
use crate::market::tape::{Recorder, TapeTx};
use crate::narrator::Narrator;
use crate::summary::{Summary, Told, summary};
use crate::telemetry::Telemetry;
use crate::watch::Watch;
use domain::InstrumentId;
use domain::event::Session;
use rtrb::Consumer;
use settings::{Home, Mode, RunManifest};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use venues::adapter::Endpoints as Public;
use venues::binance::BINANCE;
use venues::binance::ws::Endpoints;
use venues::journal_dir;
use venues::limit::LimitError;
use venues::wire::SymbolTable;

/// How long the market waits for the order connection at the start.
const ORDERS_FIRST: Duration = Duration::from_secs(5);
/// Items of the market ring in replayed time, which must follow the engine closely, so that orders meet the market
/// they saw.
const REPLAY_RING: usize = 64;
const OTHER_RING: usize = 4096;
const OPERATOR_QUEUE: usize = 64;
/// How the names of threads begin that read the market.
const MARKET: &str = "market";
/// Books that may be wanted of one venue at a time; one question per instrument is all the engine has open.
const WANTED_QUEUE: usize = 256;
/// Rings of new connections that may wait for the engine.
const RINGS_QUEUE: usize = 64;

/// What a session is made of.
pub(crate) struct Parts {
    pub(crate) started: Instant,
    pub(crate) run: Run,
    pub(crate) endpoints: Endpoints,
    /// Where budgets are counted.
    pub(crate) budgets: PathBuf,
    pub(crate) rules: Rules,
    pub(crate) watched: Vec<Assigned>,
}

/// What all threads share.
struct Common {
    table: Arc<SymbolTable>,
    telemetry: Arc<Telemetry>,
    waker: Arc<Waker>,
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
    watch: Watch,
    tape: Option<TapeTx>,
}

impl Common {
    fn ring(&self, capacity: usize) -> (Tx, Consumer<Item>) {
        ring(capacity, &self.waker, &self.telemetry.stalls)
    }
    fn shared(&self) -> Shared {
        Shared {
            waker: Arc::clone(&self.waker),
            telemetry: Arc::clone(&self.telemetry),
            tape: self.tape.clone(),
            stop: Arc::clone(&self.stop),
        }
    }
    fn control(&self, started: Instant, run_id: &str, mode: Mode, orders: SyncSender<Order>) -> Control {
        Control {
            run_id: run_id.to_owned(),
            mode: mode.name(),
            started,
            board: Arc::clone(&self.board),
            telemetry: Arc::clone(&self.telemetry),
            orders,
            waker: Arc::clone(&self.waker),
            stop: Arc::clone(&self.stop),
        }
    }
}

impl Parts {
    /// Runs the session to its end.
    pub(crate) fn run(self, options: &Options) -> Result<Summary, DaemonError> {
        let Parts { started, run: Run { id, dir, manifest, recovered }, endpoints, budgets, rules, watched } = self;
        let (telemetry, stop) = (Arc::new(Telemetry::default()), Arc::new(AtomicBool::new(false)));
        let recorder = options
            .tape
            .then(|| Recorder::new(&options.home.tapes_of(&id), Arc::clone(&telemetry.taped), Arc::clone(&stop)));
        let (recorder, tape) = recorder.transpose()?.unzip();
        let common = Common {
            table: Arc::new(SymbolTable::new(rules.all)),
            telemetry,
            waker: Waker::of_this_thread(),
            board: Arc::new(Board::default()),
            stop,
            watch: Watch::default(),
            tape,
        };
        let counts = (options.clock == ClockKind::Wall).then(|| Budgets::open(&budgets)).transpose();
        let gateway = Gateway::new(Arc::clone(&common.table), options.keys.clone(), counts.map_err(uncounted)?);
        let (orders_tx, orders_rx) = common.ring(OTHER_RING);
        let (snapshots_tx, snapshots_rx) = common.ring(OTHER_RING);
        let (wanted_tx, wanted) = mpsc::sync_channel(WANTED_QUEUE);
        let (operator_tx, operator) = mpsc::sync_channel(OPERATOR_QUEUE);
        let (narrator, narrate) = Narrator::new();

        let public = Public { rest: endpoints.rest, streams: endpoints.streams };
        let shared = common.shared();
        let Opened { readers, rings: market_rx, kept } = traded(options, &public, &budgets, &common.table, &shared)?;
        let (telemetry, stop) = (Arc::clone(&common.telemetry), Arc::clone(&common.stop));
        let link = OrderLink::new(&gateway, endpoints.ws_api, orders_tx, telemetry, stop);
        let ids: Vec<InstrumentId> = common.table.instruments().iter().map(|i| i.id).collect();
        let keeper = Keeper {
            adapter: &BINANCE,
            rest: public.rest,
            budgets,
            tx: snapshots_tx,
            wanted,
            start: Start::Known(kept),
            shared,
        };
        let control = Arc::new(common.control(started, &manifest.run_id, options.mode, operator_tx));
        let socket = ControlSocket::open(&options.home.daemon_socket())?;

        let halts = HaltFile::open(&options.home, id)?;
        // The epoch is taken last: from here on orders can be sent.
        let (home, used) = (options.home.tag()?, newest_epoch(&options.home)?);
        let session = Session { run: id, home, epoch: options.home.next_epoch(used)?, seed: manifest.seed };
        write_manifest(&manifest, &dir)?;
        let writer = Writer::open(&dir, id, &recovered.tail, options.segment_bytes)?;
        let clock = Clock::new(options.clock, recovered.last_ts_ns, stamp_ns());
        let telemetry = Arc::clone(&common.telemetry);
        let last_resort = gateway.clone();
        let (keepers, mut watched) = keepers(watched, &common);
        watched.wanted.extend(ids.into_iter().map(|id| (id, wanted_tx.clone())));
        let outlets = Outlets { gateway, wanted: watched.wanted, telemetry, narrator, halts };
        let core = Core::new(recovered.engine, writer, clock, outlets);
        let inputs = Inputs {
            orders: orders_rx,
            snapshots: snapshots_rx,
            market: market_rx,
            watched: watched.rings,
            rings: watched.more,
            operator,
            stop: Arc::clone(&options.stop),
            orphaned,
            parent: options.parent,
            watch: common.watch.clone(),
        };
        let threads = Threads::start(&common, (readers, keeper), link, (keepers, recorder), narrate, move || {
            socket.run(control)
        })?;
        let (waker, board) = (Arc::clone(&common.waker), Arc::clone(&common.board));
        let opening = Opening { session, rules: rules.news };
        let engine_loop = EngineLoop::new(core, inputs, waker, board, opening);
        let ended = guarded(&last_resort, move || engine_loop.run());
        common.stop.store(true, Ordering::Relaxed);
        let ended = ended.and_then(|(core, reason)| close(core, &reason, manifest, &dir, &common));
        threads.join();
        ended
    }
}

/// The highest epoch of any session that the home's journals hold; 0 when there is none. Things that are no journals
/// may stand among them.
fn newest_epoch(home: &Home) -> Result<u32, DaemonError> {
    let root = home.journal();
    let failed = || DaemonError::io(format!("could not list `{}`", root.display()));
    let mut newest = 0;
    for entry in std::fs::read_dir(&root).map_err(failed())? {
        let dir = entry.map_err(failed())?.path();
        if dir.is_dir() {
            let unread = DaemonError::io(format!("could not read which epochs `{}` used", dir.display()));
            let sessions = journal_dir::sessions(&dir).map_err(|e| unread(std::io::Error::other(e)))?;
            newest = sessions.iter().map(|session| session.epoch).fold(newest, u32::max);
        }
    }
    Ok(newest)
}

/// Runs the engine loop. When it fails, by its journal or by a failed check, nothing more is decided, and what may be
/// open is cancelled.
fn guarded<T>(gateway: &Gateway, run: impl FnOnce() -> Result<T, DaemonError>) -> Result<T, DaemonError> {
    // Nothing of the loop is used after a panic.
    let ended = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref().copied());
        Err(DaemonError::Bug(text.unwrap_or("no reason given").to_owned()))
    });
    if let Err(error) = &ended {
        let cancels = gateway.cancel_all();
        tracing::error!(%error, cancels, "ending at once");
    }
    ended
}

fn uncounted(error: LimitError) -> DaemonError {
    DaemonError::io(format!("could not count in `{}`", error.path.display()))(error.source)
}

/// The connections of the venue that is traded.
fn traded(
    options: &Options,
    endpoints: &Public,
    budgets: &Path,
    table: &Arc<SymbolTable>,
    shared: &Shared,
) -> Result<Opened, DaemonError> {
    let in_real_time = options.clock == ClockKind::Wall;
    let role = Role::Traded { ends: matches!(options.mode, Mode::Capture | Mode::Demo) };
    let ring = if in_real_time { RING } else { REPLAY_RING };
    let connections = Connections { adapter: &BINANCE, endpoints, budgets, role, in_real_time, ring };
    connections.readers(table, shared).map_err(uncounted)
}

/// What the engine thread needs of watched venues.
struct WatchedEnds {
    rings: Vec<Consumer<Item>>,
    more: Receiver<Consumer<Item>>,
    wanted: BTreeMap<InstrumentId, SyncSender<InstrumentId>>,
}

fn keepers(watched: Vec<Assigned>, common: &Common) -> (Vec<Keeper>, WatchedEnds) {
    let (rings, more) = mpsc::sync_channel(RINGS_QUEUE);
    let mut ends = WatchedEnds { rings: Vec::new(), more, wanted: BTreeMap::new() };
    let mut keepers = Vec::new();
    for venue in watched {
        let (tx, rx) = common.ring(OTHER_RING);
        let (wanted_tx, wanted) = mpsc::sync_channel(WANTED_QUEUE);
        ends.rings.push(rx);
        ends.wanted.extend(venue.symbols.iter().map(|(_, id, _)| (*id, wanted_tx.clone())));
        keepers.push(Keeper {
            adapter: venue.adapter,
            rest: venue.endpoints.rest.clone(),
            budgets: venue.budgets.clone(),
            tx,
            wanted,
            start: Start::Learn(venue, rings.clone()),
            shared: common.shared(),
        });
    }
    (keepers, ends)
}

/// Ends the journal and completes the manifest.
fn close(
    core: Core,
    reason: &str,
    mut manifest: RunManifest,
    dir: &Path,
    common: &Common,
) -> Result<Summary, DaemonError> {
    let (view, halt) = (core.view(), core.halt().cloned());
    let sealed = core.seal()?;
    manifest.sealed = true;
    manifest.records = sealed.records;
    manifest.effects_hash.clone_from(&view.effects_hash);
    write_manifest(&manifest, dir)?;
    let told = Told { run_id: &manifest.run_id, mode: manifest.mode.name(), ended: reason, halt };
    Ok(summary(told, &view, &sealed, &common.telemetry))
}

fn orphaned(parent: Option<u32>) -> bool {
    let Some(pid) = parent.and_then(|p| i32::try_from(p).ok()) else { return false };
    // Signal 0 only asks whether the process exists.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) == Err(nix::errno::Errno::ESRCH)
}

/// The threads beside the engine's.
struct Threads {
    joined: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts them, the market last: orders that the first frames cause find their way out.
    fn start(
        shared: &Common,
        (readers, keeper): (Vec<Reader>, Keeper),
        link: OrderLink,
        (keepers, recorder): (Vec<Keeper>, Option<Recorder>),
        narrate: impl FnOnce() + Send + 'static,
        control: impl FnOnce() + Send + 'static,
    ) -> Result<Threads, DaemonError> {
        let (ready, halt) = (Arc::clone(&shared.telemetry), Arc::clone(&shared.stop));
        let market = move |reader: Reader| {
            let end = Instant::now() + ORDERS_FIRST;
            while !ready.orders_up.load(Ordering::Relaxed) && Instant::now() < end && !halt.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            reader.run();
        };
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let io = DaemonError::io(format!("could not start thread {name}"));
            // A source may have an end; all others are needed for as long as the engine runs.
            let run = shared.watch.over(name, name.starts_with(MARKET), run);
            std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(io)
        };
        let mut joined = vec![
            spawn("orders", Box::new(move || link.run()))?,
            spawn("control", Box::new(control))?,
            spawn("log", Box::new(narrate))?,
        ];
        // Not waited for at the end: a slow answer over HTTP must not hold the end up.
        drop(spawn("books", Box::new(move || keeper.run()))?);
        if let Some(recorder) = recorder {
            // It ends when all is written, and its end is no reason to stop trading.
            let io = DaemonError::io("could not start thread tape");
            joined.push(std::thread::Builder::new().name("tape".to_owned()).spawn(|| recorder.run()).map_err(io)?);
        }
        for reader in readers {
            let (name, market) = (format!("{MARKET} {}", reader.setup.name), market.clone());
            joined.push(spawn(&name, Box::new(move || market(reader)))?);
        }
        for keeper in keepers {
            // Not waited for either, and a watched venue's end is no reason to stop trading.
            let name = format!("watch {}", keeper.adapter.venue());
            let io = DaemonError::io(format!("could not start thread {name}"));
            drop(std::thread::Builder::new().name(name).spawn(move || keeper.run()).map_err(io)?);
        }
        Ok(Threads { joined })
    }

    fn join(self) {
        for thread in self.joined {
            let name = thread.thread().name().unwrap_or("?").to_owned();
            if thread.join().is_err() {
                tracing::error!(name, "a thread panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use venues::binance::sign::Keys;

    #[test]
    fn a_failed_check_becomes_an_error_that_says_which() {
        let gateway = Gateway::new(Arc::new(SymbolTable::default()), Keys::hmac("key", "secret"), None);
        let bug = guarded::<()>(&gateway, || panic!("the book is crossed: {}", 7)).unwrap_err();
        assert!(bug.to_string().contains("the book is crossed: 7"), "{bug}");
        assert_eq!(bug.exit_code(), 1);
        assert_eq!(guarded(&gateway, || Ok(3)).unwrap(), 3);
    }
}
