//! Latency of the stages between a frame and a decision, each beside a bare `serde_json` parse of the same bytes in the
//! same run. `make bench` prints the table; nothing here asserts a time.
//!
//! Frames are those of the recorded BTC capture, or of the synthetic market where that is absent. Every operation is
//! timed by itself, rounds are interleaved, the median of rounds is shown. A clock call costs some 20 to 40 ns and is
//! printed as a stage of its own. Throughput is measured over whole captures; see [`throughput`].

#[path = "hotpath/throughput.rs"]
mod throughput;

use domain::codec::Wire;
use domain::config::{EngineConfig, StrategyConfig};
use domain::event::{Channel, Link, Session};
use domain::journal::{self, Kind};
use domain::{Event, Instrument, RunId, Venue};
use engine::Engine;
use engine::book::Book;
use engine::stats::BookStats;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use venues::binance::decode;
use venues::wire::SymbolTable;

const ROUNDS: usize = 7;

/// Nanoseconds of single operations, sorted when read.
#[derive(Default)]
struct Sample(Vec<u64>);

impl Sample {
    fn time<T>(&mut self, operation: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let value = black_box(operation());
        self.0.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        value
    }
    fn at(&mut self, quantile: f64) -> u64 {
        self.0.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the length")]
        let index = ((self.0.len() - 1) as f64 * quantile) as usize;
        self.0[index]
    }
}

struct Frames {
    what: String,
    texts: Vec<(u64, String)>,
    instrument: Instrument,
}

fn frames() -> Frames {
    let file = "l2/binance_raw/spot_btcusdt_20240808.gz";
    let instrument = instrument();
    match recorded::find("bench", file) {
        Some(path) => Frames { what: format!("recorded {file}"), texts: lines(&path), instrument },
        None => Frames { what: "synthetic market, seed 7".to_owned(), texts: synthetic(), instrument },
    }
}

fn instrument() -> Instrument {
    Instrument {
        id: domain::InstrumentId(0),
        version: 1,
        venue: Venue::BINANCE,
        symbol: "BTCUSDT".try_into().expect("short"),
        base: "BTC".try_into().expect("short"),
        quote: "USDT".try_into().expect("short"),
        tick: domain::Increment::parse("0.01").expect("a step"),
        lot: domain::Increment::parse("0.00001").expect("a step"),
        qty_min: domain::Lots::new(1),
        qty_max: domain::Lots::new(900_000_000),
        value_min: domain::TickLots::new(50_000_000),
        contract: domain::instrument::Contract::Spot,
        trade: true,
        book: domain::instrument::BookRule::ASKED,
    }
}

fn lines(path: &Path) -> Vec<(u64, String)> {
    let mut capture = venues::capture::Capture::open(path).expect("the capture opens");
    let mut texts = Vec::new();
    while let Some((ts, text)) = capture.next_line().expect("the capture is whole") {
        texts.push((ts, text.to_owned()));
    }
    texts
}

fn synthetic() -> Vec<(u64, String)> {
    emulator::source::synthetic::texts(7, 300)
}

fn config() -> EngineConfig {
    let text = |name: &str| std::fs::read_to_string(tests::root().join("config").join(name)).expect("a settings file");
    let default: toml::Table = toml::from_str(&text("default.toml")).expect("the built-in settings");
    let strategies = ["ema-cross", "flow-imbalance"].map(|name| StrategyConfig {
        name: name.to_owned(),
        rule: toml::from_str(&text(&format!("strategies/{name}.toml"))).expect("a strategy"),
    });
    let section = |name: &str| default["engine"][name].clone();
    EngineConfig {
        risk: section("risk").try_into().expect("limits"),
        fees: section("fees").try_into().expect("fees"),
        strategies: strategies.into(),
    }
}

fn main() {
    let frames = frames();
    let table = SymbolTable::new([frames.instrument.clone()]);
    let [mut clock, mut bare, mut decoding, mut append, mut write, mut apply, mut step] = <[Sample; 7]>::default();
    let (mut steps_total, mut frames_total, mut effects_hash) = (0, 0, String::new());
    let mut levels_total = 0;
    for _ in 0..ROUNDS {
        let mut events = Vec::new();
        for (ts, text) in &frames.texts {
            clock.time(|| ());
            bare.time(|| serde_json::from_str::<serde_json::Value>(text).is_ok());
            let message = decoding.time(|| decode::message(text, &table));
            match message {
                Ok(decode::Body::Event(event)) => events.push((*ts, event)),
                Ok(decode::Body::Snapshot) => {
                    let snapshot = decode::snapshot(text, &frames.instrument).expect("a snapshot");
                    events.push((*ts, Event::BookSnapshot(snapshot)));
                }
                other => panic!("{other:?}"),
            }
        }
        frames_total += frames.texts.len();
        bench_journal(&events, &mut append, &mut write);
        levels_total += bench_book(&events, &mut apply);
        steps_total += events.len();
        effects_hash = bench_step(&frames.instrument, &events, &mut step);
    }
    println!("frames: {} ({} x {ROUNDS} rounds)", frames.what, frames.texts.len());
    println!("engine effects hash of a round: {effects_hash}");
    println!("{:<34} {:>10} {:>9} {:>9} {:>9}", "stage", "n", "p50 ns", "p99 ns", "p99.9 ns");
    let rows = [
        ("clock call (in every row below)", &mut clock),
        ("bare serde_json parse of the frame", &mut bare),
        ("decode frame to event", &mut decoding),
        ("journal: encode + checksum", &mut append),
        ("journal: write() to page cache", &mut write),
        ("book: apply delta", &mut apply),
        ("step: event to effects", &mut step),
    ];
    for (name, sample) in rows {
        println!(
            "{name:<34} {:>10} {:>9} {:>9} {:>9}",
            sample.0.len(),
            sample.at(0.5),
            sample.at(0.99),
            sample.at(0.999)
        );
    }
    assert_eq!(steps_total, frames_total, "every frame is an event");
    let apply_ns: u64 = apply.0.iter().sum();
    println!("book: {} ns a level over {levels_total} levels of live deltas", apply_ns / levels_total.max(1));
    throughput::bench();
}

fn bench_journal(events: &[(u64, Event)], append: &mut Sample, write: &mut Sample) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut file = std::fs::File::create(dir.path().join("segment")).expect("a file");
    let mut buffer = Vec::with_capacity(1 << 16);
    for (seq, (ts, event)) in events.iter().enumerate() {
        append.time(|| {
            buffer.clear();
            journal::append(&mut buffer, seq as u64, *ts, Kind::Input, |out| event.put(out));
        });
        write.time(|| file.write_all(&buffer)).expect("the disk has room");
    }
}

/// How many levels were applied.
fn bench_book(events: &[(u64, Event)], apply: &mut Sample) -> u64 {
    let mut levels = 0;
    let (mut book, mut stats) = (Book::new(&instrument()), BookStats::default());
    let mut news = book.on_link(0, true);
    for (ts, event) in events {
        news = match event {
            Event::BookSnapshot(snapshot) => book.on_snapshot(*ts, snapshot, &mut stats),
            Event::BookDelta(delta) if book.is_live() => {
                levels += (delta.bids.len() + delta.asks.len()) as u64;
                apply.time(|| book.on_delta(*ts, delta, &mut stats))
            }
            Event::BookDelta(delta) => book.on_delta(*ts, delta, &mut stats),
            _ => continue,
        };
    }
    assert!(black_box(news).applied && book.is_live(), "the book stays live to the end");
    levels
}

fn bench_step(instrument: &Instrument, events: &[(u64, Event)], step: &mut Sample) -> String {
    let mut engine = Engine::new(&config()).expect("the built-in settings");
    let mut out = Vec::new();
    let first = events.first().map_or(0, |(ts, _)| *ts);
    let session = Session { run: RunId::from("bench").expect("short"), home: 0, epoch: 0, seed: 7 };
    let link = |channel| Event::Link(Link { venue: Venue::BINANCE, channel, up: true });
    let opening =
        [Event::Session(session), Event::Instrument(instrument.clone()), link(Channel::Market), link(Channel::Orders)];
    for event in &opening {
        engine.step(first, event, &mut out);
    }
    for (ts, event) in events {
        out.clear();
        step.time(|| engine.step(*ts, event, &mut out));
    }
    engine.effects_hash().iter().map(|b| format!("{b:02x}")).collect()
}
