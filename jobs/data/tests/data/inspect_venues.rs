//! What `inspect` tells of the recordings of other venues than Binance: the published facts, and what a plain count of
//! the same lines says.

use super::inspect::{counts, inspect};
use super::recorded_or_skip;
use serde_json::{Value, json};
use std::path::Path;
use venues::recording::{Recording, What};

/// How many received messages there are, and how many of them contain one of the `marks`.
fn plain_count(path: &Path, marks: &[&str]) -> [u64; 2] {
    let mut recording = Recording::open(path).unwrap();
    let (mut came, mut marked) = (0, 0);
    while let Some(entry) = recording.next_entry().unwrap() {
        if entry.what == What::Receive {
            came += 1;
            marked += u64::from(marks.iter().any(|mark| entry.text.contains(mark)));
        }
    }
    [came, marked]
}

/// Exit code 0, nothing that could not be read, books that are live and were never crossed or lost.
#[track_caller]
fn all_is_well(exit: u8, found: &Value, venue: &str, rules: &str, books: usize) {
    assert_eq!((exit, counts(found, ["unreadable", "sequence_breaks", "crossed", "gaps"])), (0, [0; 4]), "{found}");
    let instruments = found["instruments"].as_array().unwrap();
    assert_eq!(instruments.len(), books, "{found}");
    for i in instruments {
        assert_eq!((&i["venue"], &i["rules"], &i["book"]), (&json!(venue), &json!(rules), &json!("live")), "{i}");
        assert_eq!(
            (&i["snapshots"], &i["diffs_applied"], &i["refused"]),
            (&json!(1), &i["diffs"], &Value::Null),
            "{i}"
        );
    }
}

/// Sum over the instruments.
fn sum(found: &Value, key: &str) -> u64 {
    found["instruments"].as_array().unwrap().iter().map(|i| i[key].as_u64().unwrap()).sum()
}

#[test]
fn every_checksum_of_the_recorded_kraken_books_is_equal() {
    let path = recorded_or_skip!("every_checksum_of_the_recorded_kraken_books_is_equal", "ws/KRAKEN_a.jsonl.zst");
    let [came, _] = plain_count(&path, &[]);
    let (exit, found) = inspect(&[path]);
    // Ten pairs were asked for, five told of their books.
    all_is_well(exit, &found, "kraken", "recorded", 5);
    assert_eq!(counts(&found, ["messages", "checksums_total", "checksums_ok"]), [came, 2595, 2595]);
    let deep = |key| found["instruments"].as_array().unwrap().iter().map(|i| i[key].as_u64().unwrap()).max();
    assert!(deep("bids") <= Some(1000) && deep("asks") <= Some(1000), "books are cut: {found}");
}

#[test]
fn every_checksum_of_the_recorded_okx_books_is_equal() {
    let path = recorded_or_skip!("every_checksum_of_the_recorded_okx_books_is_equal", "ws/OKX.jsonl.zst");
    let [came, wholes] = plain_count(&path, &[r#""action":"snapshot""#]);
    let (exit, found) = inspect(&[path]);
    all_is_well(exit, &found, "okx", "recorded", 3);
    assert_eq!(counts(&found, ["messages", "checksums_total", "checksums_ok"]), [came, 290, 290]);
    assert_eq!((sum(&found, "snapshots"), sum(&found, "diffs")), (wholes, 290 - wholes));
}

#[test]
fn the_recorded_coinbase_books_are_as_deep_as_published() {
    let path = recorded_or_skip!("the_recorded_coinbase_books_are_as_deep_as_published", "ws/COINBASE.jsonl.zst");
    let (exit, found) = inspect(&[path]);
    all_is_well(exit, &found, "coinbase", "recorded", 2);
    assert_eq!((&found["messages"], sum(&found, "snapshots") + sum(&found, "diffs")), (&json!(1030), 775));
    let btc = &found["instruments"][0];
    assert_eq!((&btc["symbol"], counts(btc, ["bids", "asks"])), (&json!("BTC-USD"), [18769, 27238]));
}

#[test]
fn the_recorded_bybit_books_are_of_linear_contracts_and_unbroken() {
    let test = "the_recorded_bybit_books_are_of_linear_contracts_and_unbroken";
    let Some(path) = recorded::find(test, "ws/BYBIT_linear.jsonl.zst") else { return };
    let [came, books] = plain_count(&path, &[r#""topic":"orderbook."#]);
    let (exit, found) = inspect(&[path]);
    all_is_well(exit, &found, "bybit-linear", "recorded", 4);
    assert_eq!((&found["messages"], books), (&json!(came), 1598));
    assert_eq!((sum(&found, "snapshots"), sum(&found, "diffs")), (4, 1594));
}

#[test]
fn a_recording_without_rules_is_read_by_assumed_ones() {
    let test = "a_recording_without_rules_is_read_by_assumed_ones";
    let Some(path) = recorded::find(test, "ws/COINBASE_EXCHANGE_2021_a.txt.zst") else { return };
    let [came, diffs] = plain_count(&path, &[r#""type":"l2update""#]);
    let [_, wholes] = plain_count(&path, &[r#""type":"snapshot""#]);
    let (exit, found) = inspect(&[path]);
    all_is_well(exit, &found, "coinbase", "assumed", usize::try_from(wholes).unwrap());
    assert_eq!((&found["messages"], sum(&found, "diffs")), (&json!(came), diffs));
}

#[test]
fn venues_that_nobody_knows_are_refused_by_their_address() {
    for (file, address) in [
        ("ws/BITFINEX.jsonl.zst", "wss://api.bitfinex.com/ws/2"),
        ("ws/BITSTAMP.jsonl.zst", "wss://ws.bitstamp.net/"),
        ("ws/DERIBIT.jsonl.zst", "wss://www.deribit.com/ws/api/v2"),
    ] {
        let path = recorded_or_skip!("venues_that_nobody_knows_are_refused_by_their_address", file);
        let (exit, found) = inspect(&[path]);
        assert_eq!((exit, &found["instruments"]), (1, &json!([])), "{found}");
        let refused = found["files"][0]["refused"].as_str().unwrap();
        assert!(refused.contains(address) && refused.contains("of a venue and protocol we know"), "{refused}");
    }
}
