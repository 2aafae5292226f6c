//! Tests of [`super`] and of [`crate::core`], read back from the journal they leave.

use super::*;
use crate::clock::Clock;
use crate::core::Outlets;
use crate::gateway::Gateway;
use crate::halt::HaltFile;
use crate::inbox::{Tx, ring};
use crate::journal::{Writer, read_run};
use crate::narrator::Narrator;
use crate::telemetry::Telemetry;
use domain::config::{EngineConfig, Fees, RiskLimits};
use domain::event::note;
use domain::{Decimal, RunId};
use engine::Engine;
use settings::Home;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{SyncSender, sync_channel};
use venues::binance::sign::Keys;
use venues::journal_dir::{Entry, Tail};
use venues::wire::SymbolTable;

const HOUR_NS: u64 = 3_600_000_000_000;

fn config() -> EngineConfig {
    let amount = |text| Decimal::parse(text).unwrap();
    EngineConfig {
        risk: RiskLimits {
            order_value_max: amount("1000"),
            position_value_max: amount("5000"),
            daily_loss_max: amount("200"),
            book_age_ms_max: 1500,
            price_collar_bps: 50,
            orders_per_second_max: 5,
            orders_per_minute_max: 60,
            open_orders_max: 10,
        },
        fees: Fees { maker_bps: 10, taker_bps: 10 },
        strategies: Vec::new(),
    }
}

/// A loop without threads beside it, in a home of its own.
struct Rig {
    engine_loop: EngineLoop,
    market: Tx,
    operator: SyncSender<Order>,
    watch: Watch,
    stop: Arc<AtomicBool>,
}

impl Rig {
    /// A session of run `name` whose clock goes on from `last_ns`.
    fn new(home: &Path, name: &str, last_ns: u64) -> Rig {
        let home = Home::locate(Some(home));
        home.prepare().unwrap();
        let run = RunId::from(name).unwrap();
        let dir = home.journal_of(name);
        std::fs::create_dir_all(&dir).unwrap();
        let (waker, stop, watch) = (Waker::of_this_thread(), Arc::new(AtomicBool::new(false)), Watch::default());
        let channel = || ring(16, &waker, &Arc::new(AtomicU64::new(0)));
        let ((market, market_rx), (_, orders), (_, snapshots)) = (channel(), channel(), channel());
        let (operator, operator_rx) = sync_channel(4);
        let outlets = Outlets {
            gateway: Gateway::new(Arc::new(SymbolTable::default()), Keys::hmac("key", "secret"), None),
            wanted: std::collections::BTreeMap::new(),
            telemetry: Arc::new(Telemetry::default()),
            narrator: Narrator::new().0,
            halts: HaltFile::open(&home, run).unwrap(),
        };
        let writer = Writer::open(&dir, run, &Tail::default(), 1 << 20).unwrap();
        let clock = Clock::new(ClockKind::Wall, last_ns, stamp_ns());
        let core = Core::new(Engine::new(&config()).unwrap(), writer, clock, outlets);
        let inputs = Inputs {
            orders,
            snapshots,
            market: vec![market_rx],
            watched: Vec::new(),
            rings: sync_channel(1).1,
            operator: operator_rx,
            stop: Arc::clone(&stop),
            orphaned: |_| false,
            parent: None,
            watch: watch.clone(),
        };
        let opening = Opening { session: Session { run, home: 7, epoch: 1, seed: 1 }, rules: Vec::new() };
        let engine_loop = EngineLoop::new(core, inputs, waker, Arc::new(Board::default()), opening);
        Rig { engine_loop, market, operator, watch, stop }
    }
    /// Runs to the end that a signal asks for; true when entries were halted then.
    fn run(self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        let (core, _) = self.engine_loop.run().unwrap();
        let halted = core.view().safety.halted;
        core.seal().unwrap();
        halted
    }
}

/// The inputs of a run with their stamps, first to last.
fn inputs(home: &Path, name: &str) -> Vec<(u64, Event)> {
    let input = |entry| match entry {
        Entry::Input { ts_recv_ns, event, .. } => Some((ts_recv_ns, event)),
        _ => None,
    };
    read_run(&home.join("journal").join(name)).unwrap().filter_map(|e| input(e.unwrap())).collect()
}

#[test]
fn a_halt_holds_in_the_next_run_until_it_is_resumed() {
    let home = tempfile::tempdir().unwrap();
    let told = |name: &str, command: Option<OperatorCommand>| {
        let rig = Rig::new(home.path(), name, 0);
        if let Some(command) = command {
            rig.operator.send(Order::Command(command)).unwrap();
        }
        rig.run()
    };
    assert!(told("first", Some(OperatorCommand::Halt { reason: note("storm") })));
    assert!(home.path().join("halt.json").exists());
    assert!(told("second", None));
    let second = inputs(home.path(), "second");
    assert!(matches!(&second[0].1, Event::Session(_)), "{second:?}");
    assert_eq!(second[1].1, Event::Operator(OperatorCommand::Halt { reason: note("storm") }));
    assert!(!told("third", Some(OperatorCommand::Resume { reason: note("calm") })));
    assert!(!home.path().join("halt.json").exists());
    assert!(!told("fourth", None));
}

#[test]
fn no_time_passes_between_the_end_of_one_session_and_the_begin_of_the_next() {
    let home = tempfile::tempdir().unwrap();
    let start = stamp_ns();
    Rig::new(home.path(), "run", start - HOUR_NS).run();
    let seen = inputs(home.path(), "run");
    assert!(matches!(&seen[0], (ts, Event::Session(_)) if *ts >= start), "{:?}", seen[0]);
}

#[test]
fn market_data_that_waited_makes_the_books_start_over_once() {
    let home = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(home.path(), "run", 0);
    let push = |market: &mut Tx, wall_ns| {
        market.push(Item { wall_ns, source_ns: None, body: Body::Event(Event::Timer) }).unwrap();
    };
    let now = stamp_ns();
    for age in [HOUR_NS, HOUR_NS / 2] {
        push(&mut rig.market, now - age);
    }
    // Never too old, however slow this test is.
    push(&mut rig.market, now + HOUR_NS);
    push(&mut rig.market, now - HOUR_NS);
    rig.run();
    let seen = inputs(home.path(), "run");
    let link = |e: &&Event| matches!(e, Event::Link(l) if l.channel == Channel::Market);
    let up: Vec<bool> = seen.iter().map(|(_, e)| e).filter(link).map(|e| matches!(e, Event::Link(l) if l.up)).collect();
    // Down at the begin, two times over, and down at the end.
    assert_eq!(up, [false, false, true, false, true, false]);
}

#[test]
fn a_thread_that_died_ends_the_session_with_an_error() {
    let home = tempfile::tempdir().unwrap();
    let rig = Rig::new(home.path(), "run", 0);
    rig.watch.over("orders", false, Box::new(|| {}))();
    let error = rig.engine_loop.run().unwrap_err();
    assert!(error.to_string().contains("thread `orders` has ended"), "{error}");
}
