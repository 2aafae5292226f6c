//! Watched venues: four of them beside the traded one, over real sockets, each with a clock of its own; then each dialect
//! with a drawn script of faults. What the daemon holds in the end is what the venue holds.

use super::{Config, Home, Mode, Options, RunManifest, SourceSpec, Speed, Venue, ask, config, hex, home, wait_until};
use domain::Decimal;
use serde_json::{Value, json};
use std::time::Duration;
use traiderd::market::Watched;
use traiderd::summary::Summary;
use traiderd::{daemon, recover};
use venues::binance::rest::Rest;

/// A venue to watch: its dialect, a symbol, and what its clock is ahead of ours.
type Watching = (&'static str, &'static str, i64);

const ALL: [Watching; 5] = [
    ("kraken", "BTC/USD", 0),
    ("coinbase", "BTC-USD", 1270),
    ("bybit", "BTCUSDT", -340),
    ("okx", "BTC-USDT", 25),
    ("bybit-linear", "BTCUSDT", -3000),
];

/// What a market of the emulator is behind the machine's clock at most, ms.
const MARKET_BEHIND_MS: f64 = 50.0;

fn start((dialect, symbol, clock_offset_ms): Watching, speed: f64, faults: Option<(u64, u32, u64)>) -> Venue {
    let plain = Config::new(SourceSpec::Synthetic { seed: 11 }, Speed::Times(speed));
    let (dialect, symbols) = (dialect.to_owned(), vec![symbol.to_owned()]);
    Venue::serve(Config { dialect, symbols, clock_offset_ms, drawn: faults, ..plain })
}

fn watched(watching: Watching, venue: &Venue) -> Watched {
    Watched::parse(&format!("{}={};{}", watching.0, venue.url(), watching.1)).unwrap()
}

fn http(venue: &Venue) -> Rest {
    Rest::new(&venue.url(), Duration::from_secs(5)).unwrap()
}

/// Stops the venue's market, so that its book stays as it is.
fn hold(venue: &Venue) {
    let address = venue.url();
    let mut stream = std::net::TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    std::io::Write::write_all(&mut stream, b"POST /emulator/hold HTTP/1.0\r\nContent-Length: 0\r\n\r\n").unwrap();
    std::io::Read::read_to_end(&mut stream, &mut Vec::new()).unwrap();
}

/// Best levels as pairs of exact decimals.
fn best(side: &Value) -> Vec<[Decimal; 2]> {
    let number = |v: &Value| Decimal::parse(v.as_str().unwrap()).unwrap().normalized();
    side.as_array().unwrap().iter().take(10).map(|l| [number(&l[0]), number(&l[1])]).collect()
}

fn book_of(view: &Value, (dialect, symbol, _): Watching) -> Value {
    let instruments = view["instruments"].as_array().cloned().unwrap_or_default();
    let found = instruments.iter().find(|i| i["venue"] == dialect && i["symbol"] == symbol);
    found.map_or(Value::Null, |i| i["book"].clone())
}

/// True when the daemon's book is live and its best levels are the venue's own.
fn equals_the_venues(home: &Home, watching: Watching, venue: &Venue) -> bool {
    let ours = book_of(&ask(home, &json!({"get": "view"})).unwrap_or(Value::Null), watching);
    if ours["state"] != "live" {
        return false;
    }
    let symbol = watching.1.replace('/', "%2F");
    let theirs: Value =
        serde_json::from_str(&http(venue).get(&format!("/emulator/book?symbol={symbol}")).unwrap()).unwrap();
    ["bids", "asks"].iter().all(|side| best(&ours[side]) == best(&theirs[side]))
}

/// Runs a daemon that trades on one venue and watches others, for as long as `look` takes.
fn run(home: &Home, traded: &Venue, others: Vec<Watched>, look: impl FnOnce()) -> Summary {
    let mut options = Options::new(home.clone(), config(), &traded.url(), &["BTCUSDT"], Mode::Demo);
    options.run_id = Some("watched".to_owned());
    options.watched = others;
    let daemon = std::thread::spawn(move || daemon::run(&options).unwrap());
    look();
    ask(home, &json!({"command": "stop"})).unwrap();
    daemon.join().unwrap()
}

#[test]
fn five_venues_with_clocks_of_their_own_are_watched_beside_the_traded_one() {
    let traded = Venue::start(SourceSpec::Synthetic { seed: 7 }, Speed::Times(1.0));
    let venues: Vec<Venue> = ALL.iter().map(|one| start(*one, 1.0, None)).collect();
    let (_dir, home) = home();
    let others = ALL.iter().zip(&venues).map(|(one, venue)| watched(*one, venue)).collect();
    let get = |what: &str| ask(&home, &json!({"get": what})).unwrap_or(Value::Null);
    let summary = run(&home, &traded, others, || {
        for one in ALL {
            wait_until(one.0, || book_of(&get("view"), one)["state"] == "live");
        }
        // Each clock is found. What it was asked to be ahead of is the emulated market, which itself began a little late.
        wait_until("the clocks", || {
            let streams = get("status")["streams"].clone();
            let streams = streams.as_array().cloned().unwrap_or_default();
            ALL.iter().all(|(dialect, _, ahead_ms)| {
                let known = |s: &Value| Some((s["clock_offset_ms"].as_f64()?, s["clock_error_ms"].as_f64()?));
                let told = streams.iter().filter(|s| s["venue"] == *dialect).find_map(known);
                told.is_some_and(|(offset, error)| (offset - *ahead_ms as f64).abs() <= error + MARKET_BEHIND_MS)
            })
        });
        for (one, venue) in ALL.iter().zip(&venues) {
            hold(venue);
            wait_until(one.0, || equals_the_venues(&home, *one, venue));
        }
        let status = get("status");
        for stream in status["streams"].as_array().unwrap() {
            assert_eq!(
                (&stream["state"], &stream["unreadable"], &stream["gaps"]),
                (&json!("up"), &json!(0), &json!(0)),
                "{stream}"
            );
        }
        let safety = &get("view")["safety"];
        assert_eq!(safety["can_trade"], true, "{safety}");
    });
    // Nothing was ordered anywhere but at the traded venue, and the journal gives the same effects again.
    assert_eq!(summary.frames_unreadable, 0);
    assert_eq!(summary.position.len(), 1, "{:?}", summary.position);
    let dir = home.journal_of("watched");
    let manifest = RunManifest::read(&dir).unwrap();
    let replayed = recover::replay(&dir, &manifest.config).unwrap();
    assert_eq!(hex(replayed.engine.effects_hash()), manifest.effects_hash);
    venues.into_iter().chain([traded]).for_each(Venue::stop);
}

/// Five venues and the traded one on tape while connections are reset; the tapes, read again, give the journal's bytes.
#[test]
fn a_journal_is_proved_by_its_tapes() {
    let traded = Venue::start(SourceSpec::Synthetic { seed: 7 }, Speed::Times(1.0));
    let reset = |one: Watching| {
        let plain = Config::new(SourceSpec::Synthetic { seed: 11 }, Speed::Times(1.0));
        let script = emulator::fault::script::read("at=2s reset\nat=3s gap").unwrap();
        let (dialect, symbols) = (one.0.to_owned(), vec![one.1.to_owned()]);
        Venue::serve(Config { dialect, symbols, script, ..plain })
    };
    let venues: Vec<Venue> = ALL.iter().map(|one| reset(*one)).collect();
    let (_dir, home) = home();
    let mut options = Options::new(home.clone(), config(), &traded.url(), &["BTCUSDT"], Mode::Demo);
    options.run_id = Some("taped".to_owned());
    options.watched = ALL.iter().zip(&venues).map(|(one, venue)| watched(*one, venue)).collect();
    options.tape = true;
    let daemon = std::thread::spawn(move || daemon::run(&options).unwrap());
    let status =
        |venue: &Venue| -> Value { serde_json::from_str(&http(venue).get("/emulator/status").unwrap()).unwrap() };
    for (one, venue) in ALL.iter().zip(&venues) {
        wait_until(one.0, || status(venue)["faults_happened"] == 2);
        wait_until(one.0, || {
            book_of(&ask(&home, &json!({"get": "view"})).unwrap_or(Value::Null), *one)["state"] == "live"
        });
    }
    ask(&home, &json!({"command": "stop"})).unwrap();
    daemon.join().unwrap();
    let proofs = venues::proof::compare(&home.tapes_of("taped"), &home.journal_of("taped")).unwrap();
    assert_eq!(proofs.len(), 1 + ALL.len());
    for proof in &proofs {
        assert!(proof.holds() && proof.equal > 20, "{proof:?}");
        assert_eq!((proof.not_on_tape, proof.lost, proof.cut), (0, 0, false), "{proof:?}");
    }
    // A byte of a frame that is another one is found.
    let tape = std::fs::read_dir(home.tapes_of("taped")).unwrap().map(|f| f.unwrap().path());
    let tape = tape.into_iter().find(|path| path.to_string_lossy().contains("okx")).unwrap();
    let text = String::from_utf8(zstd::decode_all(std::fs::File::open(&tape).unwrap()).unwrap()).unwrap();
    let at = text.match_indices("\\\"sz\\\":\\\"").map(|(at, found)| at + found.len()).nth(5).unwrap();
    let changed = format!("{}9{}", &text[..at], &text[at..]);
    std::fs::write(&tape, zstd::encode_all(changed.as_bytes(), 1).unwrap()).unwrap();
    let proofs = venues::proof::compare(&home.tapes_of("taped"), &home.journal_of("taped")).unwrap();
    let broken: Vec<&str> = proofs.iter().filter(|p| !p.holds()).map(|p| p.venue.as_str()).collect();
    assert_eq!(broken, ["okx"]);
    venues.into_iter().chain([traded]).for_each(Venue::stop);
}

/// A drawn script of faults at every watched venue at once, as many as a few seconds hold; `TRAIDER_SOAK` draws more scripts.
#[test]
fn whatever_goes_wrong_at_watched_venues_their_books_are_true_in_the_end() {
    let scripts = if std::env::var_os("TRAIDER_SOAK").is_some() { 20 } else { 1 };
    for seed in 1..=scripts {
        let traded = Venue::start(SourceSpec::Synthetic { seed: 7 }, Speed::Times(1.0));
        let faults = |n: u64| Some((seed * 100 + n, 6, 1_000_000_000));
        let venues: Vec<Venue> = (0..).zip(ALL).map(|(n, one)| start(one, 4.0, faults(n))).collect();
        let (_dir, home) = home();
        let others = ALL.iter().zip(&venues).map(|(one, venue)| watched(*one, venue)).collect();
        let status =
            |venue: &Venue| -> Value { serde_json::from_str(&http(venue).get("/emulator/status").unwrap()).unwrap() };
        let summary = run(&home, &traded, others, || {
            for (one, venue) in ALL.iter().zip(&venues) {
                let end = std::time::Instant::now() + Duration::from_secs(60);
                loop {
                    let told = status(venue);
                    // A whole book or an answer can only be spoilt when somebody asks, which a venue that says "stay away"
                    // makes rare.
                    const ASKED: [&str; 6] = ["slow-snapshot", "stale-snapshot", "429", "418", "5xx", "html"];
                    let happened = |f: &Value| f["times"] != 0 || ASKED.contains(&f["kind"].as_str().unwrap());
                    if told["faults"].as_array().unwrap().iter().all(happened) {
                        break;
                    }
                    let late = std::time::Instant::now() > end;
                    assert!(!late, "{}, seed {seed}: {} {}", one.0, told["faults"], told["traffic"]);
                    std::thread::yield_now();
                }
            }
            for (one, venue) in ALL.iter().zip(&venues) {
                hold(venue);
                let what = format!("the book of {} after {}, seed {seed}", one.0, status(venue)["faults"]);
                wait_until(&what, || equals_the_venues(&home, *one, venue));
            }
        });
        // The traded venue noticed nothing of all this.
        assert_eq!(summary.frames_unreadable, 0);
        // No storm: neither connections nor messages nor questions went past what the venue allows.
        let mut opened = Vec::new();
        for venue in &venues {
            let traffic = &status(venue)["traffic"];
            let over = ["connects", "messages", "requests"].map(|what| traffic[what]["over"].clone());
            assert!(over.iter().all(|over| over == false), "{traffic}");
            opened.push(traffic["connects"]["total"].as_u64().unwrap());
        }
        println!(
            "seed {seed}: 6 faults at each of {} venues, all books true in the end, connections opened {opened:?}",
            venues.len()
        );
        venues.into_iter().chain([traded]).for_each(Venue::stop);
    }
}
