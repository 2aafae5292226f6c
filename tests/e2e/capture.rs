//! Captures and synthetic markets through the whole path: sockets, daemon, journal, orders, proofs.

use crate::{BTC, ETH, headless};
use domain::Decimal;
use serde_json::Value;
use std::fs;
use tests::TestHome;

fn number(v: &Value) -> Decimal {
    let text = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    Decimal::parse(&text).unwrap_or_else(|e| panic!("{v}: {e}"))
}

/// What holds of any run with orders, however it went.
fn check_books(home: &TestHome, summary: &Value) {
    let run = summary["run_id"].as_str().unwrap();
    let orders = home.json(&format!("orders list --run {run}"), 0);
    let orders = orders["orders"].as_array().unwrap();
    let count = |state: &str| orders.iter().filter(|o| o["state"] == state).count() as u64;
    assert_eq!(count("denied"), summary["orders"]["denied"].as_u64().unwrap());
    assert_eq!(count("unknown"), 0, "every order's fate is proven at the end");
    assert_eq!(orders.len() as u64 - count("denied"), summary["orders"]["sent"].as_u64().unwrap());

    let positions = home.json(&format!("positions --run {run}"), 0);
    let held = &positions["positions"][0];
    let symbol = held["symbol"].as_str().unwrap();
    assert_eq!(number(&held["position"]), number(&summary["position"][symbol]), "position = sum of fills");
    assert_eq!(number(&held["net"]), number(&summary["pnl"]["net"]), "P&L two ways");

    // The venue's own account tells the same.
    let venue = &summary["venue"];
    let base = symbol.strip_suffix("USDT").unwrap();
    assert_eq!(venue["fills"], summary["fills"], "each fill once, none lost");
    assert_eq!(number(&venue["balances"][base]), number(&summary["position"][symbol]), "holding at the venue");
}

fn check_capture(test: &str, file: &str, diffs: u64, tops: u64) {
    let Some(file) = recorded::find(test, file) else { return };
    let home = TestHome::new();
    let summary = home.json(&headless(&file), 0);
    let book = &summary["book"];
    assert_eq!(book["diffs_applied"], diffs);
    assert_eq!(book["sequence_breaks"], 0);
    assert_eq!(book["tops_compared"], tops);
    assert_eq!(book["tops_equal"], tops);
    for key in ["sent", "filled"] {
        assert!(summary["orders"][key].as_u64().unwrap() >= 1, "{key}: {}", summary["orders"]);
    }
    for key in ["p50", "p99", "p999"] {
        assert!(summary["latency_ns"]["step"][key].as_u64().unwrap() > 0, "{key}");
    }
    assert!(summary["frames"].as_u64().unwrap() > 30_000);
    check_books(&home, &summary);
    assert!(home.processes().is_empty(), "nothing is left running");
}

#[test]
fn the_recorded_btc_capture_gives_the_known_numbers_and_orders() {
    check_capture("the_recorded_btc_capture_gives_the_known_numbers_and_orders", BTC, 3448, 564);
}

#[test]
fn the_recorded_eth_capture_gives_the_known_numbers_and_orders() {
    check_capture("the_recorded_eth_capture_gives_the_known_numbers_and_orders", ETH, 3432, 577);
}

#[test]
fn the_synthetic_market_trades_proves_itself_and_explains_every_sent_order() {
    let home = TestHome::new();
    let summary = home.json("demo --headless --seconds 90 --speed max --seed 3", 0);
    assert_eq!(summary["book"]["sequence_breaks"], 0);
    assert_eq!(summary["book"]["tops_compared"], summary["book"]["tops_equal"]);
    assert!(summary["orders"]["filled"].as_u64().unwrap() >= 1, "{summary}");
    check_books(&home, &summary);

    let verdict = home.json("parity", 0);
    assert_eq!(verdict["equal"], true);
    assert_eq!(verdict["effects_hash"], summary["journal"]["effects_hash"]);

    let orders = home.json("orders list", 0);
    for order in orders["orders"].as_array().unwrap().iter().filter(|o| o["state"] != "denied") {
        check_why(&home, order["order_id"].as_str().unwrap());
    }
}

/// The chain of an order: each link is there, and each stands at or before the one it led to.
fn check_why(home: &TestHome, order: &str) {
    let chain = home.json(&format!("why {order}"), 0);
    assert_eq!(chain["order_id"], order);
    let seq = |link: &str| chain[link]["seq"].as_u64().unwrap_or_else(|| panic!("{link} has no seq: {chain:#}"));
    assert!(seq("book") <= seq("signal"), "the book came before the signal");
    assert!(seq("signal") <= seq("risk"), "the signal came before the verdict");
    assert!(seq("risk") <= seq("order"), "the verdict came before the order");
    assert!(!chain["signal"]["features"].as_array().unwrap().is_empty(), "feature values");
    assert!(!chain["risk"]["checks"].as_array().unwrap().is_empty(), "risk's numbers");
    assert!(chain["risk"]["refusal"].is_null(), "a sent order was approved");
    assert_eq!(chain["replay_equal"], true, "what is explained is what was decided");
}

#[test]
fn a_flipped_byte_in_the_journal_is_found_and_its_record_named() {
    let home = TestHome::new();
    let summary = home.json("demo --headless --seconds 20 --speed max", 0);
    let run = summary["run_id"].as_str().unwrap();
    let segment = home.path().join("journal").join(run).join("seg-000001.trj");
    let good = fs::read(&segment).unwrap();
    for at in [good.len() / 7, good.len() / 2, good.len() - 3] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&segment, &bad).unwrap();
        let verdict = home.json(&format!("parity {run}"), 8);
        assert_eq!(verdict["equal"], false);
        let damage = &verdict["damage"];
        assert_eq!(damage["segment"], 1, "{verdict}");
        assert!(damage["seq"].is_u64() && damage["offset"].as_u64().unwrap() <= at as u64, "{verdict}");
    }
    fs::write(&segment, &good).unwrap();
    assert_eq!(home.json(&format!("parity {run}"), 0)["equal"], true);
}

#[test]
fn two_backtests_in_two_homes_give_the_same_effects() {
    let Some(file) = recorded::find("two_backtests_in_two_homes_give_the_same_effects", BTC) else { return };
    let command = format!("backtest run --source capture:{} --strategy flow-imbalance", file.display());
    let (one, two) = (TestHome::new(), TestHome::new());
    let (a, b) = (one.json(&command, 0), two.json(&command, 0));
    assert_eq!(a["effects_hash"], b["effects_hash"]);
    assert_eq!(a["run_id"], b["run_id"]);
    assert_eq!(a["book"]["diffs_applied"], 3448);
    assert!(a["fills"].as_u64().unwrap() >= 1, "{a}");
    assert_eq!(one.json("parity", 0)["effects_hash"], a["effects_hash"]);
    // Once more in the same home: same bytes on disk.
    let manifest = one.path().join("journal").join(a["run_id"].as_str().unwrap()).join("seg-000001.trj");
    let before = fs::read(&manifest).unwrap();
    one.json(&command, 0);
    assert_eq!(fs::read(&manifest).unwrap(), before);
}
