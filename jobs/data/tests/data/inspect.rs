//! What `inspect` tells of recordings: the facts published with the recorded ones, and small ones made by hand.

use super::runs::gz;
use super::{BTC, ETH, recorded_or_skip};
use data::exec;
use serde_json::{Value, json};
use settings::Home;
use std::path::{Path, PathBuf};
use venues::recording::{Recording, What};

/// Exit code and what was found.
pub(super) fn inspect(files: &[PathBuf]) -> (u8, Value) {
    let dir = tempfile::tempdir().unwrap();
    let reply = exec(&Home::locate(Some(dir.path())), "inspect", &json!({ "files": files })).unwrap();
    (reply.exit_code, reply.value)
}
pub(super) fn counts<const N: usize>(of: &Value, keys: [&str; N]) -> [u64; N] {
    keys.map(|key| of[key].as_u64().unwrap_or_else(|| panic!("{key} in {of}")))
}
const TRADES: [&str; 3] = ["trade_gaps", "trades_missing", "trades_repeated"];
const PROOFS: [&str; 5] = ["diffs_applied", "sequence_breaks", "tops_compared", "tops_equal", "crossed"];

#[test]
fn the_published_facts_of_the_recorded_books_come_out() {
    let files = [
        (BTC, "BTCUSDT", 41249, [3448, 0, 564, 564, 0], 8),
        (ETH, "ETHUSDT", 33618, [3432, 0, 577, 577, 0], 6),
        ("l2/binance_raw/usdm_btcusdt_20240808.gz", "BTCUSDT", 93954, [6545, 0, 629, 629, 0], 55),
        ("l2/binance_raw/cm_btcusd_perp_20240808.gz", "BTCUSD_PERP", 48270, [26822, 0, 1124, 1124, 0], 37),
    ];
    for (file, symbol, lines, want, snapshot) in files {
        let path = recorded_or_skip!("the_published_facts_of_the_recorded_books_come_out", file);
        let (exit, found) = inspect(&[path]);
        assert_eq!((exit, counts(&found, PROOFS)), (0, want), "{found}");
        assert_eq!(counts(&found, TRADES), [0; 3], "no trade is missing or comes twice: {found}");
        assert_eq!((&found["messages"], &found["files"][0]["lines"]), (&json!(lines), &json!(lines)));
        assert_eq!((&found["unreadable"], &found["other"], &found["gaps"]), (&json!(0), &json!(0), &json!(0)));
        assert_eq!(found["files"][0]["snapshot_lines"], json!([snapshot]));
        let one = &found["instruments"][0];
        assert_eq!((&one["symbol"], &one["book"], counts(one, PROOFS)), (&json!(symbol), &json!("live"), want));
        // Receive time less event time is -1275 to -1215 ms: the recorder's clock was behind, no message was early.
        let offset = found["clock_offset_ms"].as_i64().unwrap();
        assert!((1215..=1300).contains(&offset), "{file}: {offset}");
        assert_eq!(one["clock_offset_ms"], found["clock_offset_ms"]);
        assert!(one["latency_ms"]["p50"].as_i64().unwrap() >= 0, "{one}");
    }
}

#[test]
fn recordings_of_the_same_minutes_do_not_disturb_each_other() {
    let test = "recordings_of_the_same_minutes_do_not_disturb_each_other";
    let Some(files) = [BTC, ETH].iter().map(|file| recorded::find(test, file)).collect::<Option<Vec<_>>>() else {
        return;
    };
    let (exit, both) = inspect(&files);
    assert_eq!((exit, counts(&both, PROOFS)), (0, [3448 + 3432, 0, 564 + 577, 564 + 577, 0]), "{both}");
    for (n, file) in files.into_iter().enumerate() {
        let (_, alone) = inspect(&[file]);
        assert_eq!(both["instruments"][n], alone["instruments"][0]);
    }
}

#[test]
fn recordings_with_their_rules_are_read_by_them() {
    for (file, venue) in [("ws/BINANCE.jsonl.zst", "binance"), ("ws/BINANCE_FUTURES.jsonl.zst", "binance-usdm")] {
        let path = recorded_or_skip!("recordings_with_their_rules_are_read_by_them", file);
        let mut recording = Recording::open(&path).unwrap();
        let (mut came, mut diffs) = (0u64, 0u64);
        while let Some(entry) = recording.next_entry().unwrap() {
            came += u64::from(entry.what == What::Receive);
            diffs += u64::from(entry.what == What::Receive && entry.text.contains("\"depthUpdate\""));
        }
        let (exit, found) = inspect(&[path]);
        let instruments = found["instruments"].as_array().unwrap();
        assert_eq!((exit, instruments.len(), &found["messages"]), (0, 4, &json!(came)), "{found}");
        for i in instruments {
            assert_eq!((&i["venue"], &i["rules"], &i["book"]), (&json!(venue), &json!("recorded"), &json!("live")));
        }
        let seen: u64 = instruments.iter().map(|i| i["diffs"].as_u64().unwrap()).sum();
        assert_eq!(seen, diffs);
        let [breaks, compared, equal] = counts(&found, ["sequence_breaks", "tops_compared", "tops_equal"]);
        assert_eq!((breaks, compared), (0, equal), "{found}");
        assert!(compared > 0, "{found}");
    }
}

#[test]
fn a_file_cut_short_is_read_to_where_it_ends() {
    let path = recorded_or_skip!("a_file_cut_short_is_read_to_where_it_ends", BTC);
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("cut.gz");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let (exit, found) = inspect(&[cut]);
    let file = &found["files"][0];
    assert!(file["truncated"].is_string() && file["lines"].as_u64() < Some(41249), "{file}");
    assert_eq!((exit, &file["damage"]), (1, &file["truncated"]));
}

/// Writes the messages as `.jsonl.zst`.
fn jsonl(path: &Path, messages: &[(u64, String)]) {
    let line = |(ts_ns, text): &(u64, String)| {
        let (seconds, nanos) = (ts_ns / 1_000_000_000, ts_ns % 1_000_000_000);
        format!(r#"{{"t":"recv","conn":"","ts":{seconds}.{nanos:09},"data":{}}}"#, json!(text)) + "\n"
    };
    let text: String = messages.iter().map(line).collect();
    std::fs::write(path, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
}

#[test]
fn a_recording_in_two_files_and_another_form_tells_the_same() {
    let path = recorded_or_skip!("a_recording_in_two_files_and_another_form_tells_the_same", BTC);
    let mut recording = Recording::open(&path).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = recording.next_entry().unwrap() {
        all.push((entry.ts_ns, entry.text));
    }
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["1.jsonl.zst", "2.jsonl.zst"].map(|name| dir.path().join(name));
    jsonl(&first, &all[..20_000]);
    jsonl(&second, &all[20_000..]);
    let (exit, found) = inspect(&[first, second.clone()]);
    assert_eq!((exit, counts(&found, PROOFS)), (0, [3448, 0, 564, 564, 0]), "{found}");
    let (exit, found) = inspect(&[second]);
    assert_eq!((exit, counts(&found, PROOFS)), (1, [0; 5]), "the second file alone has no whole book: {found}");
}

/// A change of BTCUSDT's book over these ids, received at `ms` and sent at the same time by the venue's clock.
fn diff(ms: u64, first: u64, last: u64, bid: &str) -> String {
    format!(
        r#"{ms}000000 {{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"BTCUSDT","U":{first},"u":{last},"b":[["{bid}","1.0"]],"a":[]}}}}"#
    )
}
fn whole(ms: u64, last: u64) -> String {
    format!(r#"{ms}000000 {{"lastUpdateId":{last},"bids":[["10.00","1.0"]],"asks":[["11.00","1.0"]]}}"#)
}
fn ticker(ms: u64, id: u64, bid: &str) -> String {
    format!(
        r#"{ms}000000 {{"stream":"btcusdt@bookTicker","data":{{"u":{id},"s":"BTCUSDT","b":"{bid}","B":"1.0","a":"11.00","A":"1.0"}}}}"#
    )
}
/// Inspects one `.gz` file a day.
fn days(days: &[&[String]]) -> (u8, Value) {
    let dir = tempfile::tempdir().unwrap();
    let write = |(n, lines): (usize, &&[String])| {
        let path = dir.path().join(format!("{n}.gz"));
        gz(&path, &(lines.join("\n") + "\n"));
        path
    };
    inspect(&days.iter().enumerate().map(write).collect::<Vec<_>>())
}

/// 2024-08-09 00:00 UTC, ms.
const MIDNIGHT: u64 = 1_723_161_600_000;

#[test]
fn books_go_on_over_midnight() {
    let before = [diff(MIDNIGHT - 300, 1, 4, "9.00"), whole(MIDNIGHT - 250, 4), diff(MIDNIGHT - 200, 5, 6, "9.50")];
    let after = [diff(MIDNIGHT + 100, 7, 9, "10.50"), ticker(MIDNIGHT + 110, 9, "10.50")];
    let (exit, found) = days(&[&before, &after]);
    assert_eq!((exit, counts(&found, PROOFS)), (0, [2, 0, 1, 1, 0]), "{found}");
    assert_eq!((&found["messages"], &found["clock_offset_ms"]), (&json!(5), &json!(0)));
    let lost = [diff(MIDNIGHT + 100, 8, 9, "10.50")];
    let (_, found) = days(&[&before, &lost]);
    assert_eq!(counts(&found, PROOFS), [1, 1, 0, 0, 0], "7 is in neither file");
}

#[test]
fn changes_without_a_whole_book_are_refused_and_no_book_is_made_of_them() {
    let lines = [diff(MIDNIGHT, 1, 4, "9.00"), diff(MIDNIGHT + 100, 5, 6, "9.50"), ticker(MIDNIGHT + 110, 6, "9.50")];
    let (exit, found) = days(&[&lines]);
    let i = &found["instruments"][0];
    assert_eq!((exit, counts(&found, PROOFS)), (1, [0; 5]));
    assert_eq!((&i["diffs"], &i["bids"], &i["asks"], &i["book"]), (&json!(2), &json!(0), &json!(0), &json!("syncing")));
    assert!(i["refused"].as_str().unwrap().contains("no whole book"), "{i}");

    let late = [diff(MIDNIGHT, 10, 14, "9.00"), whole(MIDNIGHT + 50, 8), diff(MIDNIGHT + 100, 15, 16, "9.50")];
    let (exit, found) = days(&[&late]);
    assert_eq!((exit, counts(&found, PROOFS)), (1, [0; 5]), "9 is in neither: {found}");
    assert!(found["instruments"][0]["refused"].as_str().unwrap().contains("fits"), "{found}");
}

#[test]
fn a_gap_is_counted_and_the_next_whole_book_heals_it() {
    let lines = [
        diff(MIDNIGHT, 1, 4, "9.00"),
        whole(MIDNIGHT + 50, 4),
        diff(MIDNIGHT + 100, 5, 6, "9.50"),
        // 7 is lost.
        diff(MIDNIGHT + 2000, 8, 9, "9.60"),
        whole(MIDNIGHT + 2050, 9),
        diff(MIDNIGHT + 2100, 10, 11, "9.70"),
        ticker(MIDNIGHT + 2110, 11, "10.00"),
    ];
    let (exit, found) = days(&[&lines]);
    assert_eq!((exit, counts(&found, PROOFS)), (0, [2, 1, 1, 1, 0]), "{found}");
    assert_eq!(found["instruments"][0]["book"], "live");
}

#[test]
fn trades_that_are_missing_or_come_twice_are_counted_over_files() {
    let trade = |ms: u64, id: u64| {
        format!(
            r#"{ms}000000 {{"stream":"btcusdt@trade","data":{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{id},"p":"10.00","q":"1.0","T":{ms},"m":true,"M":true}}}}"#
        )
    };
    let before = [trade(MIDNIGHT - 30, 7), trade(MIDNIGHT - 20, 8)];
    // 9 and 10 are in neither file, 8 in both, and 12 comes after 13.
    let after = [8, 11, 13, 12].map(|id| trade(MIDNIGHT + id, id));
    let (exit, found) = days(&[&before, &after]);
    assert_eq!((exit, counts(&found, TRADES)), (0, [2, 2, 1]), "{found}");
    assert_eq!((&found["instruments"][0]["trades"], &found["gaps"]), (&json!(6), &json!(0)));
}

#[test]
fn a_whole_book_that_was_recorded_first_is_kept_for_the_changes() {
    let (exit, found) =
        days(&[&[diff(MIDNIGHT - 9000, 1, 1, "9"), whole(MIDNIGHT, 5), diff(MIDNIGHT + 100, 2, 6, "9.50")]]);
    assert_eq!((exit, &found["instruments"][0]["book"]), (0, &json!("live")), "{found}");
}

#[test]
fn a_line_that_is_no_message_is_damage_and_an_odd_message_is_not() {
    let good = [diff(MIDNIGHT, 1, 4, "9.00"), whole(MIDNIGHT + 50, 4), diff(MIDNIGHT + 100, 5, 6, "9.50")];
    let with =
        |line: &str| days(&[&[good.to_vec(), vec![line.to_owned(), diff(MIDNIGHT + 200, 7, 8, "9.60")]].concat()]);
    let (exit, found) = with("<html>");
    assert_eq!((exit, counts(&found, PROOFS)), (1, [1, 0, 0, 0, 0]), "nothing after it is read");
    assert!(found["files"][0]["damage"].as_str().unwrap().contains("line 4"), "{found}");
    let odd = diff(MIDNIGHT + 150, 7, 7, "9.60").replace("\"U\"", "\"Z\"");
    let (exit, found) = with(&odd);
    assert_eq!((exit, counts(&found, PROOFS), &found["unreadable"]), (0, [2, 0, 0, 0, 0], &json!(1)), "{found}");
}
