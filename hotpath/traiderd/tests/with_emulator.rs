//! The daemon against the emulator over real sockets: a whole recorded capture, a kill in the middle, the operator.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in helpers as well")]

#[path = "with_emulator/simulated/mod.rs"]
mod simulated;
#[path = "with_emulator/watched.rs"]
mod watched;

use domain::codec::Wire;
use domain::config::{EngineConfig, Fees, RiskLimits, StrategyConfig, StrategyRule};
use domain::{ClientOrderId, Decimal, Event};
use emulator::{Config, Running, SourceSpec, Speed};
use engine::{Effect, Engine};
use serde_json::{Value, json};
use settings::{Home, Mode, RunManifest};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use traiderd::clock::ClockKind;
use traiderd::daemon::{self, Options};
use traiderd::error::DaemonError;
use traiderd::journal::read_run;
use traiderd::recover;
use traiderd::summary::Summary;
use venues::journal_dir::{self, Entry, segment_path};

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

/// One strategy that trades often on minutes of data.
fn config() -> EngineConfig {
    let rule = StrategyRule::FlowImbalance {
        symbols: Vec::new(),
        order_value: decimal("500"),
        window_s: 5,
        enter_bps: 10_000,
        exit_bps: -5000,
        queue_imbalance_min_bps: 1000,
        hold_s_max: 20,
        cooldown_s: 2,
        slippage_max_bps: 5,
    };
    EngineConfig {
        risk: RiskLimits {
            order_value_max: decimal("1000"),
            position_value_max: decimal("5000"),
            daily_loss_max: decimal("200"),
            book_age_ms_max: 1500,
            price_collar_bps: 50,
            orders_per_second_max: 5,
            orders_per_minute_max: 60,
            open_orders_max: 10,
        },
        fees: Fees { maker_bps: 10, taker_bps: 10 },
        strategies: vec![StrategyConfig { name: "flow".to_owned(), rule }],
    }
}

fn capture(test: &str, file: &str) -> Option<SourceSpec> {
    recorded::find(test, &format!("l2/binance_raw/{file}")).map(|path| SourceSpec::Capture { path })
}

/// An emulator of its own for one test.
struct Venue {
    runtime: tokio::runtime::Runtime,
    running: Running,
}

impl Venue {
    fn start(source: SourceSpec, speed: Speed) -> Venue {
        Venue::serve(Config::new(source, speed))
    }
    fn serve(config: Config) -> Venue {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let running = runtime.block_on(emulator::serve(config)).unwrap();
        Venue { runtime, running }
    }
    fn url(&self) -> String {
        format!("http://{}", self.running.addr)
    }
    fn status(&self) -> Value {
        let rest = venues::binance::rest::Rest::new(&self.url(), Duration::from_secs(5)).unwrap();
        serde_json::from_str(&rest.get("/emulator/status").unwrap()).unwrap()
    }
    fn stop(self) {
        self.runtime.block_on(self.running.stop());
    }
}

fn home() -> (TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::locate(Some(dir.path()));
    (dir, home)
}

/// Replays a run's journal and gives every order id it sent, checking that none came twice.
fn orders_sent(dir: &Path) -> (Engine, BTreeSet<ClientOrderId>) {
    let mut engine = Engine::new(&RunManifest::read(dir).unwrap().config).unwrap();
    let (mut ids, mut effects) = (BTreeSet::new(), Vec::new());
    for entry in read_run(dir).unwrap() {
        let Entry::Input { ts_recv_ns, event, .. } = entry.unwrap() else { continue };
        effects.clear();
        engine.step(ts_recv_ns, &event, &mut effects);
        for effect in &effects {
            if let Effect::Send(approved) = effect {
                assert!(ids.insert(approved.request().id), "{} was sent twice", approved.request().id);
            }
        }
    }
    (engine, ids)
}

fn check_capture(test: &str, file: &str, symbol: &str, [applied, breaks, compared, equal]: [u64; 4]) {
    let Some(source) = capture(test, file) else { return };
    let venue = Venue::start(source, Speed::Max);
    let (_dir, home) = home();
    let mut options = Options::new(home.clone(), config(), &venue.url(), &[symbol], Mode::Capture);
    options.clock = ClockKind::Source;
    options.run_id = Some("capture".to_owned());
    options.segment_bytes = 1 << 20;
    let summary: Summary = daemon::run(&options).unwrap();

    let book = summary.book;
    assert_eq!(
        [book.diffs_applied, book.sequence_breaks, book.tops_compared, book.tops_equal],
        [applied, breaks, compared, equal]
    );
    assert_eq!((summary.frames_unreadable, summary.open_orders, summary.orders.unknown), (0, 0, 0), "{summary:?}");
    assert!(summary.orders.sent > 0 && summary.orders.filled > 0 && summary.fills > 0, "{summary:?}");
    assert_eq!(venue.status()["orders"], summary.orders.sent);
    venue.stop();

    // The journal alone gives the same effects, and the manifest says so.
    let dir = home.journal_of("capture");
    let manifest = RunManifest::read(&dir).unwrap();
    assert!(manifest.sealed);
    let replayed = recover::replay(&dir, &manifest.config).unwrap();
    assert_eq!(hex(replayed.engine.effects_hash()), manifest.effects_hash);
    assert_eq!((replayed.missing, replayed.tail.next_seq), (None, manifest.records));
    assert!(replayed.tail.segment > 1, "several segments at this size");
    assert_eq!(orders_sent(&dir).1.len() as u64, summary.orders.sent);
    // A run that has ended is not continued.
    assert!(matches!(daemon::run(&options), Err(DaemonError::Usage(_)) | Err(DaemonError::Unreachable { .. })));
}

fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_recorded_btc_capture_gives_an_exact_book_and_filled_orders() {
    // What other programs find in this file; see its README.
    check_capture(
        "the_recorded_btc_capture_gives_an_exact_book_and_filled_orders",
        "spot_btcusdt_20240808.gz",
        "BTCUSDT",
        [3448, 0, 564, 564],
    );
}

#[test]
fn the_recorded_eth_capture_gives_an_exact_book_and_filled_orders() {
    check_capture(
        "the_recorded_eth_capture_gives_an_exact_book_and_filled_orders",
        "spot_ethusdt_20240808.gz",
        "ETHUSDT",
        [3432, 0, 577, 577],
    );
}

/// The daemon as a process of its own, so that it can be killed.
fn spawn(home: &Home, url: &str, config: &Path, run: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_traiderd"))
        .args(["--mode", "capture", "--clock", "source", "--symbols", "BTCUSDT", "--run-id", run, "--venue-url", url])
        .arg("--home")
        .arg(home.root())
        .arg("--engine-config")
        .arg(config)
        .env("TRAIDER_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "waited for {what} in vain");
        std::thread::yield_now();
    }
}

#[test]
fn after_a_kill_and_a_torn_journal_the_run_goes_on_without_doubling_an_order() {
    let Some(source) = capture(
        "after_a_kill_and_a_torn_journal_the_run_goes_on_without_doubling_an_order",
        "spot_btcusdt_20240808.gz",
    ) else {
        return;
    };
    let venue = Venue::start(source, Speed::Max);
    let (dir, home) = home();
    let config_path = dir.path().join("engine.json");
    std::fs::write(&config_path, serde_json::to_vec(&config()).unwrap()).unwrap();
    let journal = home.journal_of("killed");
    for (segment, cut) in [(1u32, 0u64), (2, 37)] {
        let path = segment_path(&journal, segment);
        let mut child = spawn(&home, &venue.url(), &config_path, "killed");
        wait_until("a journal of 500 kB", || path.metadata().is_ok_and(|m| m.len() > 500_000));
        // SIGKILL: nothing in the daemon gets a chance to say goodbye.
        child.kill().unwrap();
        child.wait().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - cut).unwrap();
    }
    let last = spawn(&home, &venue.url(), &config_path, "killed").wait_with_output().unwrap();
    assert!(last.status.success(), "{last:?}");
    let summary: Value = serde_json::from_slice(&last.stdout).unwrap();
    assert_eq!(summary["book"]["sequence_breaks"], 0);

    let manifest = RunManifest::read(&journal).unwrap();
    let replayed = recover::replay(&journal, &manifest.config).unwrap();
    assert_eq!(hex(replayed.engine.effects_hash()), manifest.effects_hash);
    let (_, ids) = orders_sent(&journal);
    assert!(ids.iter().all(|id| (1..=3).contains(&id.epoch)), "{ids:?}");
    // Whatever reached the venue was in the journal first, except what the torn bytes held.
    let at_venue = venue.status()["orders"].as_u64().unwrap();
    assert!(at_venue <= ids.len() as u64 + 1, "{at_venue} orders at the venue, {} in the journal", ids.len());
    venue.stop();
}

#[test]
fn a_journal_that_disagrees_with_its_own_effects_is_refused() {
    let Some(source) = capture("a_journal_that_disagrees_with_its_own_effects_is_refused", "spot_btcusdt_20240808.gz")
    else {
        return;
    };
    let venue = Venue::start(source, Speed::Max);
    let (_dir, home) = home();
    let mut options = Options::new(home.clone(), config(), &venue.url(), &["BTCUSDT"], Mode::Capture);
    options.clock = ClockKind::Source;
    options.run_id = Some("changed".to_owned());
    daemon::run(&options).unwrap();
    // As if another build had written it: same inputs, limits that allow other orders.
    let dir = home.journal_of("changed");
    let mut manifest = RunManifest::read(&dir).unwrap();
    manifest.sealed = false;
    manifest.config.risk.order_value_max = decimal("100");
    options.config = manifest.config.clone();
    manifest.config_hash = settings::manifest::config_hash(&manifest.config);
    manifest.write(&dir).unwrap();
    let error = daemon::run(&options).unwrap_err();
    assert!(matches!(error, DaemonError::Replay { .. }), "{error}");
    assert_eq!(error.exit_code(), 8);
    venue.stop();
}

/// Asks the control socket one thing.
fn ask(home: &Home, request: &Value) -> Option<Value> {
    let mut stream = UnixStream::connect(home.daemon_socket()).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    writeln!(stream, "{request}").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

#[test]
fn the_operator_sees_halts_and_stops_a_live_run() {
    let venue = Venue::start(SourceSpec::Synthetic { seed: 7 }, Speed::Times(1.0));
    let (_dir, home) = home();
    let mut options = Options::new(home.clone(), config(), &venue.url(), &["BTCUSDT"], Mode::Demo);
    options.run_id = Some("live".to_owned());
    let daemon = std::thread::spawn(move || daemon::run(&options).unwrap());

    let get = |what: &str| ask(&home, &json!({"get": what})).unwrap_or(Value::Null);
    wait_until("a live book", || get("view")["instruments"][0]["book"]["state"] == "live");
    let status = get("status");
    assert_eq!((&status["run_id"], &status["links"]["orders"]), (&json!("live"), &json!(true)));
    assert!(status["frames"].as_u64().unwrap() > 0 && status["latency_ns"]["step"]["count"].as_u64().unwrap() > 0);

    assert_eq!(ask(&home, &json!({"command": "halt", "reason": "test"})), Some(json!({"ok": true})));
    wait_until("the halt", || get("view")["safety"]["halted"] == true);
    assert_eq!(ask(&home, &json!({"command": "resume", "reason": "test"})), Some(json!({"ok": true})));
    wait_until("the resume", || get("view")["safety"]["halted"] == false);
    assert!(ask(&home, &json!({"command": "sell everything"})).unwrap()["error"].is_string());
    assert!(ask(&home, &json!("nonsense")).unwrap()["error"].is_string());

    assert_eq!(ask(&home, &json!({"command": "stop"})), Some(json!({"ok": true})));
    let summary = daemon.join().unwrap();
    assert_eq!((summary.ended.as_str(), summary.open_orders), ("stopped by the operator", 0));
    assert!(!home.daemon_socket().exists(), "the socket is gone after the end");
    // What the operator said is part of the run.
    let journal = read_run(&home.journal_of("live")).unwrap();
    let commands = journal.filter(|e| matches!(e, Ok(Entry::Input { event: Event::Operator(_), .. }))).count();
    assert!(commands >= 2, "{commands} commands in the journal");
    venue.stop();
}

#[test]
fn a_symbol_the_venue_does_not_have_is_named_with_those_it_has_and_leaves_no_run_behind() {
    let venue = Venue::start(SourceSpec::Synthetic { seed: 3 }, Speed::Times(1.0));
    let (_dir, home) = home();
    let options = Options::new(home.clone(), config(), &venue.url(), &["BTCUSDT", "FOO"], Mode::Demo);
    let error = daemon::run(&options).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_code(), 2);
    assert!(text.contains("does not trade `FOO`; it has") && text.contains("BTCUSDT"), "{text}");
    assert!(text.contains("--symbols") && !text.contains("http"), "{text}");
    assert_eq!(std::fs::read_dir(home.journal()).unwrap().count(), 0);
    venue.stop();
}

#[test]
fn a_run_that_died_before_its_first_record_is_forgotten_when_it_cannot_begin_again() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_dir, home) = home();
    let mut options =
        Options::new(home.clone(), config(), &format!("http://127.0.0.1:{port}"), &["BTCUSDT"], Mode::Demo);
    (options.reach_tries, options.run_id) = (1, Some("dead".to_owned()));
    let dir = home.journal_of("dead");
    std::fs::create_dir_all(&dir).unwrap();
    manifest_of("dead", &options).write(&dir).unwrap();
    assert!(daemon::run(&options).is_err());
    assert!(!dir.exists());
}

/// What a run of `options` says of itself when it begins.
fn manifest_of(run: &str, options: &Options) -> RunManifest {
    RunManifest {
        run_id: run.to_owned(),
        mode: options.mode,
        created_ns: 1,
        build: "test".to_owned(),
        seed: options.seed,
        source: options.source.clone(),
        config: options.config.clone(),
        config_hash: settings::manifest::config_hash(&options.config),
        sealed: false,
        records: 0,
        effects_hash: String::new(),
    }
}

/// Runs a session that ends at once, because whoever started it is gone.
fn short_run(home: &Home, venue: &Venue, run: &str) -> Summary {
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let mut options = Options::new(home.clone(), config(), &venue.url(), &["BTCUSDT"], Mode::Demo);
    (options.run_id, options.parent) = (Some(run.to_owned()), Some(gone.id()));
    daemon::run(&options).unwrap()
}

#[test]
fn an_epoch_is_never_used_twice_even_when_its_file_is_gone() {
    let venue = Venue::start(SourceSpec::Synthetic { seed: 3 }, Speed::Times(1.0));
    let (dir, home) = home();
    let epoch_of = |run: &str| {
        short_run(&home, &venue, run);
        journal_dir::sessions(&home.journal_of(run)).unwrap().iter().map(|s| s.epoch).collect::<Vec<_>>()
    };
    assert_eq!([epoch_of("a"), epoch_of("b")], [[1], [2]]);
    std::fs::remove_file(dir.path().join("epoch")).unwrap();
    std::fs::remove_file(home.journal_of("b").join("manifest.json")).unwrap();
    std::fs::write(home.journal().join("notes.txt"), "not a run").unwrap();
    assert_eq!(epoch_of("c"), [3]);
    std::fs::write(dir.path().join("epoch"), "1\n").unwrap();
    assert_eq!(epoch_of("d"), [4]);
    venue.stop();
}

#[test]
fn the_summary_says_that_entries_were_halted_by_an_earlier_run() {
    let venue = Venue::start(SourceSpec::Synthetic { seed: 3 }, Speed::Times(1.0));
    let (dir, home) = home();
    assert_eq!(short_run(&home, &venue, "free").halt, None);
    let halt = r#"{"reason":"storm","run":"earlier","ts_ns":7}"#;
    std::fs::write(dir.path().join("halt.json"), halt).unwrap();
    let summary = serde_json::to_value(short_run(&home, &venue, "halted")).unwrap();
    assert_eq!(summary["halt"], json!({"reason": "storm", "run": "halted", "ts_ns": 7}));
    venue.stop();
}

#[test]
fn a_venue_that_is_not_there_is_exit_code_5() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_dir, home) = home();
    let url = format!("http://127.0.0.1:{port}");
    let mut options = Options::new(home.clone(), config(), &url, &["BTCUSDT"], Mode::Demo);
    options.reach_tries = 2;
    let error = daemon::run(&options).unwrap_err();
    assert!(matches!(error, DaemonError::Unreachable { tries: 2, .. }), "{error}");
    assert_eq!(error.exit_code(), 5);
    assert_eq!(std::fs::read_dir(home.journal()).unwrap().count(), 0, "a run that never began leaves nothing");
}

#[test]
fn a_run_begins_with_its_session_and_ends_when_its_starter_is_gone() {
    let venue = Venue::start(SourceSpec::Synthetic { seed: 3 }, Speed::Times(1.0));
    let (_dir, home) = home();
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let mut options = Options::new(home.clone(), config(), &venue.url(), &["BTCUSDT"], Mode::Demo);
    options.run_id = Some("short".to_owned());
    options.parent = Some(gone.id());
    let summary = daemon::run(&options).unwrap();
    assert_eq!(summary.ended, "the process that started it is gone");
    let entries: Vec<Entry> = read_run(&home.journal_of("short")).unwrap().map(Result::unwrap).collect();
    let Entry::Input { event, .. } = &entries[0] else { panic!("{:?}", entries[0]) };
    assert!(matches!(event, Event::Session(s) if s.epoch == 1 && s.run.as_str() == "short"));
    assert_eq!(Event::from_bytes(&event.to_bytes()).as_ref(), Ok(event));
    venue.stop();
}

#[test]
fn a_termination_signal_is_a_clean_end() {
    let venue = Venue::start(SourceSpec::Synthetic { seed: 3 }, Speed::Times(1.0));
    let (dir, home) = home();
    let config_path = dir.path().join("engine.json");
    std::fs::write(&config_path, serde_json::to_vec(&config()).unwrap()).unwrap();
    let child = spawn(&home, &venue.url(), &config_path, "signalled");
    wait_until("the control socket", || ask(&home, &json!({"get": "status"})).is_some());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["ended"], "stopped by a signal");
    assert!(RunManifest::read(&home.journal_of("signalled")).unwrap().sealed);
    venue.stop();
}

#[test]
fn a_journal_that_cannot_be_written_ends_the_daemon_with_a_reason() {
    let venue = Venue::start(SourceSpec::Synthetic { seed: 3 }, Speed::Times(20.0));
    let (_dir, home) = home();
    let mut options = Options::new(home.clone(), config(), &venue.url(), &["BTCUSDT"], Mode::Demo);
    options.segment_bytes = 20_000;
    options.run_id = Some("full".to_owned());
    // Something stands where the second segment has to go.
    std::fs::create_dir_all(segment_path(&home.journal_of("full"), 2)).unwrap();
    let error = daemon::run(&options).unwrap_err();
    assert!(matches!(error, DaemonError::Write(_)), "{error}");
    assert_eq!(error.exit_code(), 1);
    assert_eq!(venue.status()["open_orders"], 0);
    assert!(!RunManifest::read(&home.journal_of("full")).unwrap().sealed);
    venue.stop();
}
