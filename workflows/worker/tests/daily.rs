//! The built-in day, with the real handlers, over the journal of a backtest on recorded data.

#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::{Map, Value, json};
use spec::RunPlan;
use std::collections::BTreeSet;
use std::path::Path;
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

async fn run(store: &Store, home: &TestHome, plan: &RunPlan) -> RunDetail {
    let started = control::start_run(store, plan, Trigger::Manual).await.unwrap();
    let options = Options { tuning: Tuning::default(), once: true, stop: CancelToken::default() };
    worker::run(store.clone(), home.home.clone(), builtin::handlers(), options, || {}).await.unwrap();
    view::show_run(store, &started.run).await.unwrap()
}

/// Step, asset and content of everything a run made.
fn versions(run: &RunDetail) -> BTreeSet<(&str, &str, &str)> {
    run.outputs.iter().map(|o| (o.step.as_str(), o.version.asset.as_str(), o.version.sha256.as_str())).collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The built-in limits and fees without a strategy: the day is about data here, not about orders.
fn config() -> Value {
    let text = std::fs::read_to_string(root().join("config/default.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    serde_json::to_value(&table["engine"]).unwrap()
}
