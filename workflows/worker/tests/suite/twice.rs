//! Every job of every built-in workflow, with the real handlers, over one recorded run: once; twice; and with every step
//! failing after its effects on the world and before its commit. The end must be the same each time.
//!
//! Same means: every file of the lake, the reports and the log's archive by its bytes, the ledger by its content hash,
//! what is left of the old log, and of the backup the content of the ledger's tables as it was restored. The dump's own
//! bytes hold its time and the control plane's rows, which differ between any two runs, so they are no part of it.

use serde_json::{Map, json};
use settings::{Home, Mode, RunManifest};
use spec::plan::Backoff;
use spec::{Retry, RunPlan};
use std::collections::BTreeMap;
use std::path::Path;
use store::context::LogLine;
use store::control::{self, Trigger};
use store::testing::TestHome;
use store::{CancelToken, StepError, Store, logs, view};
use worker::{Handlers, Options, Tuning, builtin, exec};

const TEST: &str = "every_built_in_workflow_ends_in_the_same_state_however_often_and_wherever_it_is_interrupted";
/// The last six minutes of the day were recorded.
const DAY: &str = "2024-08-08";
/// Workflow and partition, in the order of a day.
const WORKFLOWS: [(&str, &str); 6] = [
    ("hourly", "2024-08-08T23"),
    ("daily", DAY),
    ("nightly", DAY),
    ("ledger-check", DAY),
    ("retention", DAY),
    ("backup", DAY),
];
/// Asks the world outside, which cannot be asked twice for the same: `data::reference` has tests of its own.
const OUTSIDE: &str = "reference.toml";
const LEDGER: [&str; 8] = ["entries", "fills", "ledger_run", "lot_matches", "lots", "marks", "orders", "postings"];

#[test]
fn every_built_in_workflow_ends_in_the_same_state_however_often_and_wherever_it_is_interrupted() {
    let Some(capture) = recorded::find(TEST, "l2/binance_raw/spot_btcusdt_20240808.gz") else { return };
    let all = flows::catalogue::BUILT_IN.iter().map(|(file, _)| *file);
    let mut built_in: Vec<&str> = all.filter(|file| *file != OUTSIDE).collect();
    let mut tried: Vec<String> = WORKFLOWS.iter().map(|(name, _)| format!("{name}.toml")).collect();
    built_in.sort_unstable();
    tried.sort_unstable();
    assert_eq!(built_in, tried, "every built-in workflow is tried here");

    let made = tempfile::tempdir().unwrap();
    let made = Home::locate(Some(made.path()));
    let run = recorded_run(&made, &capture);
    let once = end_of(&made, &run, (1, 1), &builtin::handlers());
    assert!(once.keys().any(|k| k.starts_with("lake/dataset=features_1m")), "{:?}", once.keys());
    assert!(once.keys().any(|k| k.starts_with("logs-archive/")) && once.contains_key("backup/fills"));
    assert_same(&once, &end_of(&made, &run, (2, 1), &builtin::handlers()), "each workflow twice");
    assert_same(&once, &end_of(&made, &run, (1, 2), &killed_before_commit()), "each step failed before its commit");
}

#[track_caller]
fn assert_same(once: &BTreeMap<String, String>, other: &BTreeMap<String, String>, how: &str) {
    let of = |map: &BTreeMap<String, String>, key: &String| map.get(key).cloned().unwrap_or_default();
    let keys = once.keys().chain(other.keys());
    let differ: Vec<String> = keys
        .filter(|key| of(once, key) != of(other, key))
        .map(|key| format!("{key}: {} {}", of(once, key), of(other, key)))
        .collect();
    assert!(differ.is_empty(), "{how}: {differ:#?}");
}

/// The real handlers, but what the first attempt of a step hands back is lost after it did its work.
fn killed_before_commit() -> Handlers {
    let real = builtin::handlers();
    real.kinds().fold(Handlers::default(), |table, kind| {
        let inner = real.get(kind).unwrap().clone();
        table.with(kind, move |ctx| {
            let (first, work) = (ctx.attempt == 1, inner(ctx));
            async move {
                let done = work.await;
                match done {
                    Ok(_) if first => Err(StepError::Transient("lost before its commit".to_owned())),
                    done => done,
                }
            }
        })
    })
}

/// Every workflow so many times, each step with so many attempts, in a home of its own with the recorded run; the state at
/// the end.
fn end_of(made: &Home, run: &str, (times, attempts): (usize, usize), handlers: &Handlers) -> BTreeMap<String, String> {
    let home = TestHome::start().unwrap();
    home.home.prepare().unwrap();
    copy(&made.journal_of(run), &home.home.journal_of(run));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        old_log(&store).await;
        for (name, partition) in WORKFLOWS {
            let plan = plan(&home.home, name, partition);
            for _ in 0..times {
                let started = control::start_run(&store, &plan, Trigger::Manual).await.unwrap();
                let options =
                    Options { tuning: Tuning::default(), once: true, stop: CancelToken::default(), alerts: None };
                worker::run(store.clone(), home.home.clone(), handlers.clone(), options, || {}).await.unwrap();
                let shown = view::show_run(&store, &started.run).await.unwrap();
                assert_eq!(shown.run.state, "done", "{name}: {shown:#?}");
                assert_eq!(shown.attempts.len(), attempts * plan.steps.len(), "{name}: {shown:#?}");
            }
        }
        let state = state(&home.home, &store).await;
        store.close().await;
        state
    })
}

/// The workflow's plan, tried again at once.
fn plan(home: &Home, name: &str, partition: &str) -> RunPlan {
    let workflow = flows::find(&home.config().join("workflows"), name).unwrap();
    let mut plan = workflow.plan(partition, &Map::new()).unwrap();
    for step in &mut plan.steps {
        step.retry = Retry { max: 3, backoff: Backoff::Fixed, base_ms: 0, cap_ms: 0, jitter: false };
    }
    plan
}

async fn state(home: &Home, store: &Store) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for folder in ["lake", "reports", "logs-archive"] {
        files(&home.root().join(folder), folder, &mut state);
    }
    state.insert("ledger".to_owned(), ledger::project::content_hash(&store.pool).await.unwrap());
    let left = logs::read(store, "01OLD", None, 0, 100).await.unwrap();
    state.insert("log".to_owned(), left.iter().map(|l| l.message.as_str()).collect::<Vec<_>>().join("|"));
    let archived = data::archive::archived_log(home, "01OLD").await.unwrap();
    state.insert("log/archived".to_owned(), archived.iter().map(|l| l.message.as_str()).collect::<Vec<_>>().join("|"));
    let beside = std::fs::read(store::backup::folder(home).join(format!("pg-{DAY}.json"))).unwrap();
    let backup: store::backup::Backup = serde_json::from_slice(&beside).unwrap();
    for table in backup.tables.iter().filter(|t| t.schema == "traider" && LEDGER.contains(&t.name.as_str())) {
        state.insert(format!("backup/{}", table.name), format!("{} {}", table.rows, table.content));
    }
    let dumps = std::fs::read_dir(store::backup::folder(home)).unwrap().count();
    state.insert("backup".to_owned(), format!("{dumps} files"));
    state
}

fn files(folder: &Path, name: &str, state: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{name}/{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            files(&path, &name, state);
        } else {
            state.insert(name, lake::parquet_io::sha256(&std::fs::read(&path).unwrap()));
        }
    }
}

/// Lines of a run long ago, one of a day that stays.
async fn old_log(store: &Store) {
    let line =
        |ts: &str, message: &str| LogLine { ts: ts.parse().unwrap(), level: "info", message: message.to_owned() };
    let lines = [
        line("2024-07-01T10:00:00Z", "one"),
        line("2024-07-02T10:00:00Z", "two"),
        line("2024-08-07T10:00:00Z", "three"),
    ];
    logs::append(store, "01OLD", "a", 1, &lines).await.unwrap();
}

/// A run with orders and fills, as a daemon's would be; returns its name.
fn recorded_run(home: &Home, capture: &Path) -> String {
    home.prepare().unwrap();
    let text = std::fs::read_to_string(recorded::checkout().join("config/default.toml")).unwrap();
    let mut config = serde_json::to_value(&text.parse::<toml::Table>().unwrap()["engine"]).unwrap();
    config["strategies"] = json!([{ "name": "flow", "rule": {
        "kind": "flow-imbalance", "order_value": "500", "window_s": 5, "enter_bps": 5000, "exit_bps": -5000,
        "queue_imbalance_min_bps": 0, "hold_s_max": 30, "cooldown_s": 5, "slippage_max_bps": 5,
    }}]);
    let input = json!({ "source": format!("capture:{}", capture.display()), "config": config, "seed": 7 });
    let answer = exec::exec(home, "backtest", &input);
    assert!(answer.value["fills"].as_u64().is_some_and(|fills| fills > 0), "it is meant to trade: {}", answer.value);
    let run = answer.value["run_id"].as_str().map(str::to_owned).unwrap();
    let dir = home.journal_of(&run);
    let manifest = RunManifest::read(&dir).unwrap();
    // Backtests have no part in the report; the same journal as a daemon's run has.
    RunManifest { mode: Mode::Capture, ..manifest }.write(&dir).unwrap();
    run
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
