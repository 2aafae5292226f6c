//! The built-in day, with the real handlers, over the journal of a backtest on recorded data.

#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::{Map, Value, json};
use spec::RunPlan;
use std::collections::BTreeSet;
use store::control::{self, Trigger};
use store::testing::TestHome;
use store::view::{self, RunDetail};
use store::{CancelToken, Store};
use worker::{Options, Tuning, builtin, exec};

/// The day of the recording.
const DAY: &str = "2024-08-08";

#[test]
fn the_built_in_day_runs_to_its_end_and_again_to_the_same_bytes() {
    let test = "the_built_in_day_runs_to_its_end_and_again_to_the_same_bytes";
    let Some(capture) = recorded::find(test, "l2/binance_raw/spot_ethusdt_20240808.gz") else { return };
    let home = TestHome::start().unwrap();
    home.home.prepare().unwrap();
    let source = format!("capture:{}", capture.display());
    let backtest = exec::exec(&home.home, "backtest", &json!({"source": source, "config": config()}));
    assert_eq!(backtest.exit_code, 0, "{}", backtest.value);
    let parity = exec::exec(&home.home, "parity", &json!({}));
    assert_eq!(parity.exit_code, 0, "{}", parity.value);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        let daily = flows::find(&home.home.config().join("workflows"), "daily").unwrap();
        let plan = daily.plan(DAY, &Map::new()).unwrap();
        let first = run(&store, &home, &plan).await;
        let states: Vec<_> = first.steps_detail.iter().map(|s| (s.name.as_str(), s.state.as_str())).collect();
        let order = ["ingest", "validate", "features", "ledger", "report"];
        assert_eq!(states, order.map(|step| (step, "done")), "{first:#?}");
        assert!(first.outputs.iter().any(|o| o.step == "ingest" && o.version.rows > 0), "{first:#?}");
        let second = run(&store, &home, &plan).await;
        assert_eq!((second.run.state.as_str(), second.run.generation), ("done", 2));
        assert_eq!(versions(&first), versions(&second), "running a day again makes the same bytes");
        store.close().await;
    });
}

#[test]
fn a_damaged_run_makes_the_report_ask_for_attention() {
    let test = "a_damaged_run_makes_the_report_ask_for_attention";
    let Some(capture) = recorded::find(test, "l2/binance_raw/spot_ethusdt_20240808.gz") else { return };
    let home = TestHome::start().unwrap();
    home.home.prepare().unwrap();
    let source = format!("capture:{}", capture.display());
    let runs = [1, 2].map(|seed| {
        let input = json!({"source": source, "config": config(), "seed": seed});
        let run = exec::exec(&home.home, "backtest", &input).value["run_id"].as_str().unwrap().to_owned();
        // Backtests have no part in the report; the same journal as a daemon's run has.
        let dir = home.home.journal_of(&run);
        let manifest = settings::RunManifest::read(&dir).unwrap();
        settings::RunManifest { mode: settings::Mode::Capture, ..manifest }.write(&dir).unwrap();
        run
    });
    let segment = home.home.journal_of(&runs[1]).join("seg-000001.trj");
    let whole = std::fs::read(&segment).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        let daily = flows::find(&home.home.config().join("workflows"), "daily").unwrap();
        for (bytes, what) in [(&whole[..], ""), (&whole[..whole.len() / 2], "sealed with"), (&flipped[..], "damaged")] {
            std::fs::write(&segment, bytes).unwrap();
            let first = run(&store, &home, &daily.plan(DAY, &Map::new()).unwrap()).await;
            let bytes = report(&home, DAY);
            let told: Value = serde_json::from_slice(&bytes).unwrap();
            let sound = what.is_empty();
            assert_eq!(told["state"], if sound { "OK" } else { "ATTENTION" }, "{told:#}");
            assert_eq!(told["compliance"]["books_proven"], sound);
            let reasons = told["reasons"].to_string();
            assert!(sound || reasons.contains(&runs[1]) && reasons.contains(what), "{reasons}");
            assert!(!reasons.contains(&runs[0]), "{reasons}");
            let second = run(&store, &home, &daily.plan(DAY, &Map::new()).unwrap()).await;
            assert_eq!((versions(&first), report(&home, DAY)), (versions(&second), bytes), "again: the same bytes");
        }
        // The runs are of another day, and of this one there is nothing.
        run(&store, &home, &daily.plan("1999-01-01", &Map::new()).unwrap()).await;
        let told: Value = serde_json::from_slice(&report(&home, "1999-01-01")).unwrap();
        assert_eq!(told["reasons"], json!(["nothing was recorded on this day"]));
        store.close().await;
    });
    for verb in ["facts", "parity"] {
        let answer = exec::exec(&home.home, verb, &json!({"run": runs[1]}));
        assert_eq!(answer.exit_code, 8, "{}", answer.value);
        assert_eq!(answer.value["error"]["message"].is_string(), verb == "facts", "{}", answer.value);
    }
}

fn report(home: &TestHome, day: &str) -> Vec<u8> {
    std::fs::read(home.home.reports().join(format!("day={day}/report.json"))).unwrap()
}

async fn run(store: &Store, home: &TestHome, plan: &RunPlan) -> RunDetail {
    let started = control::start_run(store, plan, Trigger::Manual).await.unwrap();
    let options = Options { tuning: Tuning::default(), once: true, stop: CancelToken::default(), alerts: None };
    worker::run(store.clone(), home.home.clone(), builtin::handlers(), options, || {}).await.unwrap();
    view::show_run(store, &started.run).await.unwrap()
}

/// Step, asset and content of everything a run made.
fn versions(run: &RunDetail) -> BTreeSet<(&str, &str, &str)> {
    run.outputs.iter().map(|o| (o.step.as_str(), o.version.asset.as_str(), o.version.sha256.as_str())).collect()
}

/// The built-in limits and fees without a strategy: the day is about data here, not about orders.
fn config() -> Value {
    let text = std::fs::read_to_string(recorded::checkout().join("config/default.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    serde_json::to_value(&table["engine"]).unwrap()
}
