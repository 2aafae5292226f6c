//! Backtest, replay, ingest, validation and features, on the recorded captures of 2024-08-08 23:54 to 24:00 UTC and on
//! journals made by hand.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic like the tests themselves")]

mod days;
mod hours;
mod inspect;
mod inspect_venues;
mod logs;
mod made;
mod runs;
mod told;

use data::backtest::{Latency, Spec, backtest};
use serde_json::{Value, json};
use settings::Home;

/// Ends the test, said aloud, when there is no recorded data.
macro_rules! recorded_or_skip {
    ($test:literal, $file:expr) => {
        match recorded::find($test, $file) {
            Some(path) => path,
            None => return,
        }
    };
}
use recorded_or_skip;

const BTC: &str = "l2/binance_raw/spot_btcusdt_20240808.gz";
const ETH: &str = "l2/binance_raw/spot_ethusdt_20240808.gz";

/// The shipped limits, and a strategy eager enough to trade within minutes.
fn config() -> Value {
    json!({
        "risk": {
            "order_value_max": "1000", "position_value_max": "5000", "daily_loss_max": "200", "book_age_ms_max": 1500,
            "price_collar_bps": 50, "orders_per_second_max": 5, "orders_per_minute_max": 60, "open_orders_max": 10,
        },
        "fees": { "maker_bps": 10, "taker_bps": 10 },
        "strategies": [{ "name": "flow", "rule": {
            "kind": "flow-imbalance", "order_value": "500", "window_s": 5, "enter_bps": 5000, "exit_bps": -5000,
            "queue_imbalance_min_bps": 0, "hold_s_max": 30, "cooldown_s": 5, "slippage_max_bps": 5,
        }}],
    })
}

fn spec(capture: &std::path::Path) -> Spec {
    Spec {
        source: format!("capture:{}", capture.display()),
        strategy: None,
        config: serde_json::from_value(config()).unwrap(),
        latency_ms: Latency { entry: 20, response: 20 },
        queue: "pessimistic".to_owned(),
        balances: None,
        seed: 7,
    }
}

/// A home in a folder of its own, with one backtest of `capture`.
fn home_with(capture: &std::path::Path) -> (tempfile::TempDir, Home, Value) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::locate(Some(dir.path()));
    home.prepare().unwrap();
    let summary = backtest(&home, spec(capture)).unwrap();
    (dir, home, summary)
}
