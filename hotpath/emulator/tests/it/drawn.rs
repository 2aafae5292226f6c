//! Scripts out of a seed, against a client that knows one thing: when ids are not in order, or the book is crossed, or the
//! connection ends, it starts over. In the end every fault has happened and the book is the true one.

use crate::book::{Book, bybit_apply, oracle, venue};
use crate::support::*;
use emulator::fault::{FaultKind, script};
use serde_json::{Value, json};

/// All that a client notices without a clock of its own.
const KINDS: [FaultKind; 11] = [
    FaultKind::Gap,
    FaultKind::Duplicate,
    FaultKind::Reorder,
    FaultKind::Replay,
    FaultKind::Crossed,
    FaultKind::Truncated,
    FaultKind::Silence,
    FaultKind::Reset,
    FaultKind::Close,
    FaultKind::Utf8,
    FaultKind::UnknownEnum,
];

fn subscribed(server: &Server) -> Client {
    let mut client = server.connect("/v5/public/linear");
    client.send(&json!({"op": "subscribe", "args": ["orderbook.1000.BTCUSDT"]}));
    client
}

/// How often the client started over.
fn run(seed: u64) -> u64 {
    let faults = script::draw(seed, 30, 4_000_000_000, &KINDS, &["BTCUSDT".to_owned()]);
    let server = venue("bybit-linear", "BTCUSDT", 220, |c| c.script = faults);
    let mut client = subscribed(&server);
    server.post("/emulator/start");
    let (mut book, mut newest, mut restarts) = (Book::default(), None::<u64>, 0);
    let mut start_over = |client: &mut Client, newest: &mut Option<u64>| {
        *client = subscribed(&server);
        *newest = None;
        restarts += 1;
    };
    loop {
        let text = match client.try_next() {
            Some(In::Text(text)) => text,
            Some(In::Close(1000, _)) => break,
            Some(In::Close(..)) | None => {
                start_over(&mut client, &mut newest);
                continue;
            }
        };
        // What cannot be read is a change that is missing, and the next id will tell.
        let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
        let Some(id) = message["data"]["u"].as_u64() else { continue };
        if message["type"] == "delta" && newest.is_none_or(|newest| id != newest + 1) {
            start_over(&mut client, &mut newest);
            continue;
        }
        bybit_apply(&message, &mut book);
        newest = Some(id);
        if book.is_crossed() {
            start_over(&mut client, &mut newest);
        }
    }
    let status = server.json("/emulator/status");
    let waiting: Vec<&Value> = status["faults"].as_array().unwrap().iter().filter(|f| f["times"] == 0).collect();
    assert!(waiting.is_empty(), "seed {seed}: {waiting:?}");
    let (truth, id) = oracle(&server, "BTCUSDT");
    assert_eq!((newest, book.best(1000)), (Some(id), truth.best(1000)), "seed {seed}");
    restarts
}

#[test]
fn every_fault_of_a_drawn_script_happens_and_the_book_is_true_in_the_end() {
    let restarts: Vec<u64> = (1..=8).map(run).collect();
    assert!(restarts.iter().all(|n| (5..=40).contains(n)), "once a fault at most, and not for none: {restarts:?}");
}
