//! What a backtest leaves behind: the same bytes every time, a journal that proves itself, and reasons.

use super::{BTC, ETH, config, home_with, recorded_or_skip, spec};
use data::backtest::backtest;
use data::{DataError, exec, facts_from_journal};
use domain::Decimal;
use serde_json::{Value, json};
use settings::Home;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

#[test]
fn a_backtest_twice_is_the_same_to_the_byte() {
    let capture = recorded_or_skip!("a_backtest_twice_is_the_same_to_the_byte", BTC);
    let (_a, home, first) = home_with(&capture);
    let (_b, other, second) = home_with(&capture);
    assert_eq!(first, second);
    let run = first["run_id"].as_str().unwrap();
    let bytes = files(&home.journal_of(run));
    assert_eq!(bytes, files(&other.journal_of(run)));
    // Over itself as well.
    assert_eq!(backtest(&home, spec(&capture)).unwrap(), first);
    assert_eq!(files(&home.journal_of(run)), bytes);
    assert_eq!(fs::read_dir(home.journal()).unwrap().count(), 1, "nothing else is left behind");
}

/// Counts published with the captures, found by an independent program.
#[test]
fn the_book_of_a_backtest_is_the_venues() {
    for (file, applied, tops) in [(BTC, 3448, 564), (ETH, 3432, 577)] {
        let capture = recorded_or_skip!("the_book_of_a_backtest_is_the_venues", file);
        let (_dir, _home, summary) = home_with(&capture);
        let book = &summary["book"];
        let number = |name: &str| book[name].as_u64().unwrap();
        assert_eq!(number("diffs_applied"), applied, "{file}: {book}");
        assert_eq!(number("sequence_breaks"), 0);
        assert_eq!(number("crossed"), 0);
        assert_eq!((number("tops_compared"), number("tops_equal")), (tops, tops), "{file}: {book}");
    }
}

#[test]
fn money_adds_up_over_all_fills() {
    let capture = recorded_or_skip!("money_adds_up_over_all_fills", BTC);
    let (_dir, home, summary) = home_with(&capture);
    let run = summary["run_id"].as_str().unwrap();
    let facts = facts_from_journal(&home.journal_of(run)).unwrap();
    assert!(!facts.fills.is_empty(), "the strategy is meant to trade: {summary}");
    assert_eq!(json!(facts.fills.len()), summary["fills"]);
    let decimal = |v: &Value| v.as_str().unwrap().parse::<Decimal>().unwrap();
    let mut holding = BTreeMap::from([("BTC", Decimal::ZERO), ("USDT", Decimal::new(100_000, 0))]);
    for fill in &facts.fills {
        let value = fill.price.checked_mul(fill.qty).unwrap();
        let (base, quote) = match fill.side {
            domain::Side::Buy => (fill.qty, Decimal::ZERO.checked_sub(value).unwrap()),
            domain::Side::Sell => (Decimal::ZERO.checked_sub(fill.qty).unwrap(), value),
        };
        let quote = quote.checked_sub(fill.fee_amount).unwrap();
        for (asset, change) in [("BTC", base), ("USDT", quote)] {
            let new = holding[asset].checked_add(change).unwrap();
            holding.insert(asset, new);
        }
    }
    for (asset, amount) in holding {
        let balance = &summary["balances"][asset];
        let said = decimal(&balance["free"]).checked_add(decimal(&balance["locked"])).unwrap();
        assert_eq!(said, amount, "{asset}");
    }
    // Every fill belongs to an order that was told, and what was filled is the sum of its fills.
    for order in &facts.orders {
        let of_order = facts.fills.iter().filter(|f| f.order_id == order.order_id);
        let sum = of_order.fold(Decimal::ZERO, |sum, f| sum.checked_add(f.qty).unwrap());
        assert_eq!(sum, order.filled, "{}", order.order_id);
    }
    let sent = facts.orders.iter().filter(|o| o.state != "denied").count();
    assert_eq!(json!(sent), summary["orders"]["sent"]);
}

#[test]
fn a_replay_equals_its_journal_and_damage_is_named() {
    let capture = recorded_or_skip!("a_replay_equals_its_journal_and_damage_is_named", BTC);
    let (_dir, home, summary) = home_with(&capture);
    let run = summary["run_id"].as_str().unwrap();
    let good = exec(&home, "parity", &json!({ "run": run })).unwrap();
    assert_eq!((good.exit_code, &good.value["equal"]), (0, &json!(true)), "{}", good.value);
    assert_eq!(good.value["effects_hash"], summary["effects_hash"]);
    assert_eq!(good.value["records"], summary["records"]);
    assert_eq!(exec(&home, "parity", &json!({})).unwrap(), good, "the latest is the only one");

    // Another configuration in the manifest: other decisions.
    let manifest = home.journal_of(run).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"enter_bps\": 5000", "\"enter_bps\": 7000")).unwrap();
    let other = exec(&home, "parity", &json!({ "run": run })).unwrap();
    assert_eq!((other.exit_code, &other.value["equal"]), (8, &json!(false)));
    assert!(other.value["first_difference"]["seq"].as_u64().is_some_and(|seq| seq > 0), "{}", other.value);
    assert!(matches!(facts_from_journal(&home.journal_of(run)), Err(DataError::Value(_))));
    fs::write(&manifest, text).unwrap();

    // One flipped bit in the middle.
    let segment = home.journal_of(run).join("seg-000001.trj");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&segment, bytes).unwrap();
    let bad = exec(&home, "parity", &json!({ "run": run })).unwrap();
    assert_eq!((bad.exit_code, &bad.value["equal"]), (8, &json!(false)));
    let damage = &bad.value["damage"];
    assert_eq!(damage["segment"], 1);
    assert!(damage["seq"].as_u64().is_some_and(|seq| seq > 0), "{damage}");
    let offset = usize::try_from(damage["offset"].as_u64().unwrap()).unwrap();
    assert!(offset <= middle && middle - offset < 64 << 10, "{damage} for byte {middle}");
}

#[test]
fn why_leads_from_an_order_to_the_recorded_message() {
    let capture = recorded_or_skip!("why_leads_from_an_order_to_the_recorded_message", BTC);
    let (_dir, home, summary) = home_with(&capture);
    let run = summary["run_id"].as_str().unwrap();
    let facts = facts_from_journal(&home.journal_of(run)).unwrap();
    let order = facts.orders.iter().find(|o| o.state == "filled").unwrap();
    let told = exec(&home, "why", &json!({ "order": order.order_id })).unwrap().value;
    assert_eq!(told["run_id"], run);
    assert_eq!(told["order"]["state"], "filled");
    assert_eq!(told["order"]["price"], json!(order.price));
    assert_eq!(told["order"]["filled"], json!(order.filled));
    assert_eq!(told["order"]["seq"], json!(order.created_seq));
    assert_eq!(told["risk"]["approved"], true);
    assert!(told["risk"]["checks"].as_array().is_some_and(|c| !c.is_empty()));
    assert_eq!(told["signal"]["signal"], json!(order.signal));
    assert!(told["signal"]["features"].as_array().is_some_and(|f| !f.is_empty()));
    let (book, raw) = (&told["book"], &told["raw"]);
    assert_eq!(book["seq"], raw["seq"]);
    let id = told["signal"]["book_id"].as_u64().unwrap();
    let range = book["first_id"].as_u64().unwrap()..=book["update_id"].as_u64().unwrap();
    assert!(range.contains(&id), "{id} in {range:?}");
    assert!(book["seq"].as_u64() <= told["signal"]["seq"].as_u64());

    let shown = exec(&home, "order", &json!({ "order": order.order_id })).unwrap().value;
    assert_eq!((&shown["run_id"], &shown["mode"]), (&json!(run), &json!("backtest")));
    assert_eq!(shown["order"], json!(order));
    let fills: Vec<_> = facts.fills.iter().filter(|f| f.order_id == order.order_id).collect();
    assert_eq!(shown["fills"], json!(fills));

    let stranger = exec(&home, "why", &json!({ "order": "trd-00000000-9-9" })).unwrap_err();
    assert!(stranger.to_string().contains("no order"), "{stranger}");
    assert_eq!(exec(&home, "why", &json!({ "order": "x" })).unwrap_err().exit_code(), 2);
}

#[test]
fn a_refused_order_is_told_with_the_limit_it_met() {
    let capture = recorded_or_skip!("a_refused_order_is_told_with_the_limit_it_met", BTC);
    let dir = tempfile::tempdir().unwrap();
    let home = Home::locate(Some(dir.path()));
    home.prepare().unwrap();
    let mut strict = spec(&capture);
    strict.config.risk.daily_loss_max = Decimal::new(1, 2);
    let summary = backtest(&home, strict).unwrap();
    let facts = facts_from_journal(&home.journal_of(summary["run_id"].as_str().unwrap())).unwrap();
    let denied: Vec<_> = facts.orders.iter().filter(|o| o.state == "denied").collect();
    assert_eq!(summary["orders"]["denied"], json!(denied.len()));
    let order = denied.iter().find(|o| o.reason == "daily_loss").unwrap();
    assert!(order.filled.is_zero());
    let told = exec(&home, "why", &json!({ "order": order.order_id })).unwrap().value;
    assert_eq!((&told["order"]["state"], &told["risk"]["approved"]), (&json!("denied"), &json!(false)));
    let checks = told["risk"]["checks"].as_array().unwrap();
    assert!(checks.iter().any(|c| c["ok"] == false), "{checks:?}");
}

#[test]
fn wrong_questions_are_answered_with_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::locate(Some(dir.path()));
    let fails = |verb: &str, args: Value| {
        let e = exec(&home, verb, &args).unwrap_err();
        (e.exit_code(), e.to_string())
    };
    assert!(fails("dance", json!({})).1.contains("parity, backtest, why, inspect"));
    assert!(fails("parity", json!({})).1.contains("traider up"));
    assert_eq!(fails("parity", json!({ "rnu": 1 })).0, 2);
    let (code, text) = fails("backtest", json!({ "source": "tape:x", "config": config() }));
    assert!(code == 2 && text.contains("capture:FILE"), "{text}");
    let unknown = json!({ "source": "capture:x", "config": config(), "strategy": "flwo" });
    let (code, text) = fails("backtest", unknown);
    assert!(code == 2 && text.contains("configured: flow"), "{text}");
}

/// A gzip file of `text`, stored as it is.
pub fn gz(path: &Path, text: &str) {
    let shift = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    let crc = text.bytes().fold(u32::MAX, |crc, b| (0..8).fold(crc ^ u32::from(b), |crc, _| shift(crc)));
    let length = u16::try_from(text.len()).unwrap();
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    bytes.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
    bytes.extend(text.as_bytes());
    bytes.extend([(!crc).to_le_bytes(), u32::from(length).to_le_bytes()].concat());
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_capture_that_cannot_be_used_ends_every_verb_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::locate(Some(dir.path()));
    let file = dir.path().join("c.gz");
    let line = concat!(
        r#"17 {"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"1.00","q":"1.0","#,
        r#""T":1,"m":true,"M":true}}"#
    );
    let cases = [("", "no data"), ("garbage\n", "line 1"), (&format!("{line}\n18 {{\n"), "line 2")];
    for (text, what) in cases {
        gz(&file, text);
        let found = exec(&home, "inspect", &json!({ "files": [file] })).unwrap();
        assert_eq!(found.exit_code, 1, "{what}: {}", found.value);
        assert_eq!(found.value["files"][0]["damage"].is_null(), text.is_empty(), "{what}: {}", found.value);
        assert_eq!(backtest(&home, spec(&file)).unwrap_err().exit_code(), 1, "{what}");
    }
    gz(&file, &format!("{line}\n"));
    assert_eq!(exec(&home, "inspect", &json!({ "files": [file] })).unwrap().exit_code, 0);
}
