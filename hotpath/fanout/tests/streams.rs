//! A journal made by hand, followed as it grows, into a real Redis; read back with Redis' own client.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic like the tests themselves")]

use domain::codec::Wire;
use domain::event::{BookDelta, BookSnapshot, Channel, Level, Link, Session, Trade};
use domain::instrument::{BookRule, Contract};
use domain::journal::{self, Header, Kind};
use domain::{Asset, Event, Increment, Instrument, InstrumentId, Lots, RunId, Side, TickLots, Ticks, Venue};
use fanout::follow::{FollowError, Follower, Input};
use fanout::market::{Depth, Entry, Markets};
use fanout::publish::Publisher;
use fanout::redis::{Client, Reply};
use settings::{Home, Mode, RunManifest};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use venues::journal_dir::segment_path;

const MS: u64 = 1_000_000;
/// 2026-11-20 00:00:00 UTC.
const START: u64 = 1_795_132_800_000 * MS;
const RUN_MS: u64 = 1_795_132_799_000;

fn level(price: i64, qty: u64) -> Level {
    Level { price: Ticks::new(price), qty: Lots::new(qty) }
}

fn delta(first_id: u64, last_id: u64, bids: Vec<Level>, asks: Vec<Level>) -> Event {
    Event::BookDelta(BookDelta {
        instrument: InstrumentId(0),
        ts_venue_ns: 7,
        first_id,
        last_id,
        bids,
        asks,
        checksum: None,
    })
}

fn snapshot() -> Event {
    Event::BookSnapshot(BookSnapshot {
        instrument: InstrumentId(0),
        ts_venue_ns: 0,
        last_id: 10,
        bids: vec![level(6_425_012, 500), level(6_425_011, 1000)],
        asks: vec![level(6_425_013, 1), level(6_425_020, 2500), level(6_425_030, 1)],
        checksum: None,
    })
}

fn trade(trade_id: u64, price: i64, qty: u64, aggressor: Side) -> Event {
    let (price, qty) = (Ticks::new(price), Lots::new(qty));
    Event::Trade(Trade { instrument: InstrumentId(0), ts_venue_ns: 8, trade_id, price, qty, aggressor })
}

/// The events of a run with their receive times, ms after the start. The journal's record 0 is the header, so the first
/// is record 1.
fn events() -> Vec<(u64, Event)> {
    let run: RunId = "r".parse().unwrap();
    let instrument = Instrument {
        id: InstrumentId(0),
        version: 1,
        venue: Venue::BINANCE,
        symbol: "BTCUSDT".parse().unwrap(),
        base: Asset::from("BTC").unwrap(),
        quote: Asset::from("USDT").unwrap(),
        tick: Increment::parse("0.01").unwrap(),
        lot: Increment::parse("0.001").unwrap(),
        qty_min: Lots::new(1),
        qty_max: Lots::new(1_000_000),
        value_min: TickLots::new(1),
        contract: Contract::Spot,
        trade: true,
        book: BookRule::ASKED,
    };
    let gap = Event::BookGap { instrument: InstrumentId(0), reason: domain::event::note("lost") };
    vec![
        (0, Event::Session(Session { run, home: 1, epoch: 1, seed: 7 })),
        (0, Event::Instrument(instrument)),
        (0, Event::Link(Link { venue: Venue::BINANCE, channel: Channel::Market, up: true })),
        (10, delta(9, 11, vec![level(6_425_012, 750)], vec![])),
        (20, trade(100, 6_425_013, 250, Side::Buy)), // record 5; the book is not live yet
        (30, snapshot()),                            // 6: live
        (50, delta(12, 12, vec![], vec![level(6_425_013, 0)])), // 7: within the period
        (60, trade(101, 6_425_012, 1, Side::Sell)),  // 8
        (130, Event::Timer),                         // 9: the period is over
        (140, gap),                                  // 10: lost, told at once
        (900, Event::Timer),                         // 11
    ]
}

/// Names and values of an entry.
type Fields = Vec<(&'static str, String)>;

/// What those events must lead to, by hand.
fn wanted() -> Vec<(&'static str, u64, Fields)> {
    let at = |ms: u64| (START + ms * MS).to_string();
    let book = |ms, state: &str, last_id: &str, bids: &str, asks: &str| {
        let texts = [state, last_id, bids, asks].map(str::to_owned);
        let names = ["state", "last_id", "bids", "asks"];
        [("ts_recv_ns", at(ms))].into_iter().chain(names.into_iter().zip(texts)).collect()
    };
    let trade = |ms, id: &str, price: &str, qty: &str, side: &str| {
        let texts = [id, price, qty, side].map(str::to_owned);
        let names = ["trade_id", "price", "qty", "aggressor"];
        [("ts_venue_ns", "8".to_owned()), ("ts_recv_ns", at(ms))]
            .into_iter()
            .chain(names.into_iter().zip(texts))
            .collect()
    };
    let (books, trades) = ("traider:book:binance:BTCUSDT", "traider:trades:binance:BTCUSDT");
    let bids = r#"[["64250.12","0.750"],["64250.11","1.000"]]"#;
    vec![
        (trades, 5, trade(20, "100", "64250.13", "0.250", "buy")),
        (books, 6, book(30, "live", "11", bids, r#"[["64250.13","0.001"],["64250.20","2.500"]]"#)),
        (trades, 8, trade(60, "101", "64250.12", "0.001", "sell")),
        (books, 9, book(130, "live", "12", bids, r#"[["64250.20","2.500"],["64250.30","0.001"]]"#)),
        (books, 10, book(140, "stale", "0", "[]", "[]")),
    ]
}

/// The journal's bytes, whole: one open segment.
fn journal_bytes() -> Vec<u8> {
    let mut out = Vec::new();
    journal::append(&mut out, 0, START, Kind::Header, |o| Header::new("r".parse().unwrap(), 1, [0; 32]).put(o));
    for (seq, (ms, event)) in (1..).zip(events()) {
        journal::append(&mut out, seq, START + ms * MS, Kind::Input, |o| event.put(o));
    }
    out
}

fn entries_of(inputs: &[Input]) -> Vec<Entry> {
    let mut markets = Markets::new(Depth { levels: 2, period_ns: 100 * MS });
    let mut entries = Vec::new();
    inputs.iter().for_each(|input| markets.step(input, &mut entries));
    entries
}

fn entries() -> Vec<Entry> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(segment_path(dir.path(), 1), journal_bytes()).unwrap();
    entries_of(&Follower::new(dir.path()).look().unwrap())
}

#[test]
fn only_live_books_are_handed_on_no_faster_than_wanted_and_their_loss_at_once() {
    let got: Vec<_> = entries().into_iter().map(|e| (e.key, e.seq, e.fields)).collect();
    let want: Vec<_> = wanted().into_iter().map(|(key, seq, fields)| (key.to_owned(), seq, fields)).collect();
    assert_eq!(got, want);
}

#[test]
fn a_journal_is_followed_whatever_part_of_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = (segment_path(dir.path(), 1), journal_bytes());
    let mut follower = Follower::new(dir.path());
    assert!(follower.look().unwrap().is_empty(), "nothing is there yet");
    let mut inputs = Vec::new();
    for end in (0..bytes.len()).step_by(3).chain([bytes.len()]) {
        std::fs::write(&path, &bytes[..end]).unwrap();
        inputs.extend(follower.look().unwrap());
    }
    let want: Vec<_> = (1..).zip(events()).map(|(seq, (ms, event))| (seq, START + ms * MS, event)).collect();
    assert_eq!(inputs.iter().map(|i| (i.seq, i.ts_recv_ns, i.event.clone())).collect::<Vec<_>>(), want);
    // The daemon dies in mid-record; the next one cuts that off, closes the segment and begins another.
    std::fs::write(&path, [&bytes[..], &[40, 0, 0]].concat()).unwrap();
    assert!(follower.look().unwrap().is_empty());
    let mut closed = bytes.clone();
    journal::append(&mut closed, 12, 0, Kind::Seal, |o| [7u8; 32].put(o));
    std::fs::write(&path, &closed).unwrap();
    let mut second = Vec::new();
    journal::append(&mut second, 13, START, Kind::Header, |o| Header::new("r".parse().unwrap(), 2, [7; 32]).put(o));
    journal::append(&mut second, 14, START, Kind::Input, |o| Event::Timer.put(o));
    std::fs::write(segment_path(dir.path(), 2), &second).unwrap();
    assert!(follower.look().unwrap().is_empty(), "the seal ends the first");
    assert_eq!(follower.look().unwrap().iter().map(|i| i.seq).collect::<Vec<_>>(), [14]);
    // Something else in its place is not followed.
    journal::append(&mut second, 99, START, Kind::Input, |o| Event::Timer.put(o));
    std::fs::write(segment_path(dir.path(), 2), &second).unwrap();
    assert!(matches!(follower.look(), Err(FollowError::Order { want: 15, got: 99, .. })));
}

/// A server without memory of its own, on a port that was free a moment ago.
struct Server {
    child: Child,
    address: String,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start(test: &str, at: Option<&str>) -> Option<Server> {
        let dir = tempfile::tempdir().unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let address = at.map_or_else(free, str::to_owned);
        let port = address.rsplit(':').next().unwrap();
        let started = Command::new("redis-server")
            .args(["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = started else {
            recorded::skipped(test, "no redis-server");
            return None;
        };
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("Ready to accept connections")), "redis-server ended");
        Some(Server { child, address, _dir: dir })
    }

    /// Asks with Redis' own client.
    fn cli(&self, words: &[&str]) -> serde_json::Value {
        let port = self.address.rsplit(':').next().unwrap();
        let told = Command::new("redis-cli").args(["-p", port, "--json"]).args(words).output().unwrap();
        serde_json::from_slice(&told.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&told.stdout)))
    }

    /// Everything in a stream.
    fn stream(&self, key: &str) -> Vec<(String, Vec<String>)> {
        serde_json::from_value(self.cli(&["XRANGE", key, "-", "+"])).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[track_caller]
fn assert_all_there(server: &Server) {
    for key in ["traider:book:binance:BTCUSDT", "traider:trades:binance:BTCUSDT"] {
        let of_key = wanted().into_iter().filter(|(of, _, _)| *of == key);
        let flat = |fields: Fields| fields.into_iter().flat_map(|(n, v)| [n.to_owned(), v]).collect();
        let want: Vec<(String, Vec<String>)> =
            of_key.map(|(_, seq, fields)| (format!("{RUN_MS}-{seq}"), flat(fields))).collect();
        assert_eq!(server.stream(key), want, "{key}");
    }
}

#[test]
fn entries_are_in_redis_once_whoever_sends_them_again() {
    const TEST: &str = "entries_are_in_redis_once_whoever_sends_them_again";
    let Some(server) = Server::start(TEST, None) else { return };
    let (entries, new) = (entries(), || Publisher::new(&server.address, 1000));
    let mut publisher = new();
    assert_eq!(publisher.send(RUN_MS, &entries[..2]).unwrap(), 2);
    assert_eq!(publisher.send(RUN_MS, &entries).unwrap(), 3, "the rest");
    assert_eq!(publisher.send(RUN_MS, &entries).unwrap(), 0);
    assert_eq!(new().send(RUN_MS, &entries).unwrap(), 0, "after a restart");
    assert_all_there(&server);
    assert_eq!(new().send(RUN_MS - 1, &entries).unwrap(), 0, "an older run comes too late");
    assert_eq!(new().send(RUN_MS + 1, &entries).unwrap(), 5, "a newer run has records of its own");
    // Two at once: whoever is second is refused by the server, and that is no failure.
    let (mut one, mut two) = (new(), new());
    assert_eq!(one.send(RUN_MS + 1, &entries).unwrap() + two.send(RUN_MS + 1, &entries).unwrap(), 0);
    assert_eq!(one.send(RUN_MS + 2, &entries).unwrap(), 5);
    assert_eq!(two.send(RUN_MS + 2, &entries).unwrap(), 0, "it did not know");
    // Something else under that name is left alone.
    server.cli(&["DEL", "traider:book:binance:BTCUSDT"]);
    server.cli(&["SET", "traider:book:binance:BTCUSDT", "mine"]);
    assert!(new().send(RUN_MS + 3, &entries).is_err());
    assert_eq!(server.cli(&["GET", "traider:book:binance:BTCUSDT"]), "mine");
}

#[test]
fn a_server_that_went_away_gets_what_it_missed() {
    const TEST: &str = "a_server_that_went_away_gets_what_it_missed";
    let Some(server) = Server::start(TEST, None) else { return };
    let (address, entries) = (server.address.clone(), entries());
    let mut publisher = Publisher::new(&address, 1000);
    assert_eq!(publisher.send(RUN_MS, &entries[..2]).unwrap(), 2);
    drop(server);
    assert!(publisher.send(RUN_MS, &entries).is_err());
    let server = Server::start(TEST, Some(&address)).unwrap();
    assert_eq!(publisher.send(RUN_MS, &entries).unwrap(), 5, "it came back empty");
    assert_all_there(&server);
}

fn home(dir: &Path, address: &str) -> Home {
    let home = Home::locate(Some(dir));
    home.prepare().unwrap();
    let settings = format!("[redis]\nenabled = true\naddress = \"{address}\"\nbook_levels = 2\n");
    std::fs::create_dir_all(home.config()).unwrap();
    std::fs::write(home.config().join("traider.toml"), settings).unwrap();
    let config = settings::config::load(&home, None, &Default::default()).unwrap().engine_config().unwrap();
    let manifest = RunManifest {
        run_id: "r".to_owned(),
        mode: Mode::Demo,
        created_ns: RUN_MS * MS,
        build: String::new(),
        seed: 7,
        source: String::new(),
        config_hash: String::new(),
        config,
        sealed: false,
        records: 0,
        effects_hash: String::new(),
    };
    std::fs::create_dir_all(home.journal_of("r")).unwrap();
    manifest.write(&home.journal_of("r")).unwrap();
    home
}

#[test]
fn the_program_hands_on_what_is_written_while_it_runs() {
    const TEST: &str = "the_program_hands_on_what_is_written_while_it_runs";
    let Some(server) = Server::start(TEST, None) else { return };
    let dir = tempfile::tempdir().unwrap();
    let home = home(dir.path(), &server.address);
    let bytes = journal_bytes();
    let mut file = std::fs::File::create(segment_path(&home.journal_of("r"), 1)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_traider-fanout")).arg("--home").arg(dir.path()).spawn().unwrap();
    let mut client = Client::connect(&server.address).unwrap();
    // Waits on the server, at most 4 s at a time, until the stream holds something above `after`.
    let mut wait = |key: &str, after: &str| {
        let command = ["XREAD", "BLOCK", "4000", "STREAMS", key, after].map(str::to_owned).to_vec();
        let found = (0..10).any(|_| client.ask(std::slice::from_ref(&command)).unwrap() != [Reply::Many(vec![])]);
        assert!(found, "{key} after {after}");
    };
    let half = bytes.len() * 2 / 3;
    file.write_all(&bytes[..half]).unwrap();
    wait("traider:trades:binance:BTCUSDT", "0");
    file.write_all(&bytes[half..]).unwrap();
    wait("traider:book:binance:BTCUSDT", &format!("{RUN_MS}-9"));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().try_into().unwrap()), nix::sys::signal::SIGTERM)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_all_there(&server);
}
