//! Fault scripts in simulated time.

mod desk;
mod wire;

use desk::Desk;
use domain::event::Allowed;
use domain::instrument::Contract;
use domain::{Decimal, Event, InstrumentId, Side};
use emulator::fault::FaultKind;
use emulator::{Config, SourceSpec, Speed};
use engine::Engine;
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use venues::adapter::Said;
use venues::wire::SymbolTable;

/// What was noticed so far, by name.
type Noticed = BTreeMap<&'static str, u64>;

fn noticed(desk: &Desk) -> Noticed {
    let book = desk.core.borrow().engine.stats().book;
    let streams = desk.streams.borrow();
    let sum = |counter: fn(&traiderd::market::stream::Stream) -> &std::sync::atomic::AtomicU64| {
        streams.iter().map(|s| counter(s).load(Ordering::Relaxed)).sum::<u64>()
    };
    [
        ("break", book.sequence_breaks),
        ("old", book.diffs_ignored),
        ("checksum", book.checksums - book.checksums_equal),
        ("crossed", book.crossed),
        ("unusable", book.snapshots_unusable),
        ("failed", book.snapshots_failed),
        ("told", sum(|s| &s.gaps)),
        ("unreadable", sum(|s| &s.unreadable)),
        ("other", sum(|s| &s.other)),
        ("complaint", sum(|s| &s.complaints)),
        ("silence", sum(|s| &s.silences)),
        ("connect", sum(|s| &s.attempts)),
        ("resync", sum(|s| &s.resyncs)),
        ("stand-in", sum(|s| &s.stand_ins)),
        ("late", sum(|s| &s.late)),
        ("unanswered", desk.unanswered.get()),
        ("clock step", desk.clock.told().1),
    ]
    .into()
}

fn clock_offset_ns(desk: &Desk) -> i64 {
    desk.clock.told().0.map_or(0, |offset| offset.ns)
}

fn since(before: &Noticed, after: &Noticed) -> Noticed {
    after.iter().map(|(name, n)| (*name, n - before[name])).filter(|(_, n)| *n > 0).collect()
}

/// Our book's levels of a side, as many as there are, best first.
fn ours(desk: &Desk, side: Side) -> Vec<[Decimal; 2]> {
    let core = desk.core.borrow();
    let book = core.engine.book(desk.instrument.id).unwrap();
    let levels = if side == Side::Buy { book.bids() } else { book.asks() };
    let i = &desk.instrument;
    levels.iter().map(|l| [i.price(l.price).normalized(), i.qty(l.qty).normalized()]).collect()
}

fn theirs(side: &Value) -> Vec<[Decimal; 2]> {
    let number = |v: &Value| Decimal::parse(v.as_str().unwrap()).unwrap().normalized();
    side.as_array().unwrap().iter().map(|l| [number(&l[0]), number(&l[1])]).collect()
}

/// True when our book is live and, as deep as it goes, the venue's own.
async fn is_true(desk: &Desk, symbol: &str) -> bool {
    let told = desk.emulator(&format!("/emulator/book?symbol={}", symbol.replace('/', "%2F")), None).await;
    if !desk.core.borrow().engine.book(InstrumentId(0)).unwrap().is_live() {
        return false;
    }
    [(Side::Buy, "bids"), (Side::Sell, "asks")].into_iter().all(|(side, name)| {
        let (ours, theirs) = (ours(desk, side), theirs(&told[name]));
        !ours.is_empty() && ours.len() <= theirs.len() && ours == theirs[..ours.len()]
    })
}

/// Looks until the book is true; false when it did not come true.
async fn comes_true(desk: &Desk, symbol: &str, patience_s: u64) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(patience_s) {
        // No time passes while it looks, and whatever was said is heard by then.
        if desk.streams_are_well() && is_true(desk, symbol).await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(103)).await;
    }
    false
}

fn in_simulated_time<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, run)
}

async fn open(name: &str, symbol: &str, seed: u64) -> (Rc<Desk>, emulator::Running) {
    let plain = Config::new(SourceSpec::Synthetic { seed }, Speed::Times(1.0));
    let (dialect, symbols) = (name.to_owned(), vec![symbol.to_owned()]);
    let (running, dialer) = emulator::serve_in_memory(Config { dialect, symbols, ..plain }).unwrap();
    let engine = Engine::new(&super::config()).unwrap();
    (Desk::open(name, &[symbol], dialer, engine, seed).await, running)
}

/// What must be noticed of a fault: one of these signs. By the venue's own means: ids without a gap, a number on every
/// message of a connection, or a checksum.
fn signs(venue: &str, kind: FaultKind) -> &'static [&'static str] {
    let numbered = venue == "coinbase";
    match kind {
        FaultKind::Gap if numbered => &["told"],
        FaultKind::Gap if venue == "kraken" => &["checksum", "crossed"],
        FaultKind::Gap => &["break"],
        FaultKind::Duplicate | FaultKind::Replay if numbered => &["other"],
        FaultKind::Duplicate | FaultKind::Replay if venue == "kraken" => &["checksum", "crossed"],
        FaultKind::Duplicate | FaultKind::Replay => &["old"],
        FaultKind::Reorder if numbered => &["told"],
        FaultKind::Reorder if venue == "kraken" => &["checksum", "crossed"],
        FaultKind::Reorder => &["break"],
        FaultKind::StaleSnapshot | FaultKind::SlowSnapshot if venue.starts_with("binance") => &["unusable", "failed"],
        FaultKind::StaleSnapshot | FaultKind::SlowSnapshot if venue == "kraken" => &["checksum", "crossed"],
        FaultKind::StaleSnapshot | FaultKind::SlowSnapshot if numbered => &["told", "crossed"],
        FaultKind::StaleSnapshot | FaultKind::SlowSnapshot => &["break"],
        FaultKind::Crossed => &["crossed", "checksum"],
        FaultKind::Checksum => &["checksum"],
        FaultKind::Silence if numbered => &["told"],
        FaultKind::Silence | FaultKind::HalfOpen => &["silence", "connect"],
        FaultKind::Reset | FaultKind::Close | FaultKind::Utf8 => &["connect"],
        FaultKind::TooMany | FaultKind::Banned | FaultKind::ServerError | FaultKind::Html => &["unanswered"],
        FaultKind::Truncated => &["unreadable"],
        FaultKind::UnknownEnum => &["other"],
        FaultKind::ClockSkew | FaultKind::ClockStep => &["clock step"],
        // Nothing is wrong with a long message, nor with a venue that reads late.
        FaultKind::Huge | FaultKind::SlowConsumer => &[],
    }
}

/// Faults that may do nothing: what was said twice or in the other order means the same where levels are absolute and no
/// message has a number; a whole book that comes late over HTTP still fits.
fn may_do_nothing(venue: &str, kind: FaultKind) -> bool {
    match kind {
        FaultKind::Duplicate | FaultKind::Replay | FaultKind::Reorder => venue == "kraken",
        FaultKind::SlowSnapshot => venue.starts_with("binance"),
        FaultKind::Huge | FaultKind::SlowConsumer => true,
        _ => false,
    }
}

/// Faults that this venue cannot have.
fn is_of(venue: &str, kind: FaultKind) -> bool {
    match kind {
        FaultKind::Checksum => matches!(venue, "kraken" | "okx"),
        // Its levels have no ids and its books no checksum: an old book with a new number looks like a new one.
        FaultKind::StaleSnapshot => venue != "coinbase",
        _ => true,
    }
}

/// What came of a campaign, by kind: injected, noticed, without effect.
type Tally = BTreeMap<&'static str, [u64; 3]>;

/// One script: faults one after the other, each looked at until the book is true again.
async fn script(name: &str, symbol: &str, seed: u64, faults: usize, tally: &mut Tally) {
    let (desk, _running) = open(name, symbol, seed).await;
    assert!(comes_true(&desk, symbol, 20).await, "{name}, seed {seed}: the book never came true");
    let calm = noticed(&desk);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(since(&calm, &noticed(&desk)), Noticed::new(), "{name}, seed {seed}: something is noticed in a calm");
    let mut rng = sim::rng::Rng::new(seed);
    let mut pick = |n: usize| usize::try_from(rng.below(n as u64)).unwrap();
    let kinds: Vec<FaultKind> = FaultKind::ALL.iter().copied().filter(|kind| is_of(name, *kind)).collect();
    for _ in 0..faults {
        let kind = kinds[pick(kinds.len())];
        tokio::time::sleep(Duration::from_millis(500 + 10 * pick(300) as u64)).await;
        let (before, offset_ns) = (noticed(&desk), clock_offset_ns(&desk));
        let what = inject(&desk, symbol, kind, &mut pick).await;
        let is_well = comes_true(&desk, symbol, 200).await;
        let mut moved = clock_offset_ns(&desk).abs_diff(offset_ns) > 100_000_000;
        if matches!(kind, FaultKind::ClockSkew | FaultKind::ClockStep) {
            // While a venue bans questions, messages alone can leave its clock open; the next answer settles it.
            for _ in 0..130 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                moved |= clock_offset_ns(&desk).abs_diff(offset_ns) > 100_000_000;
            }
        }
        let mut seen = since(&before, &noticed(&desk));
        // Without an answer in the last minutes a clock that steps ahead looks like messages that are faster now.
        if moved {
            seen.insert("clock step", 1);
        }
        assert!(is_well, "{name}, seed {seed}: the book is not true after {what}: {seen:?}");
        let is_noticed = signs(name, kind).iter().any(|sign| seen.contains_key(sign));
        assert!(is_noticed || may_do_nothing(name, kind), "{name}, seed {seed}: {what} was not noticed: {seen:?}");
        let row = tally.entry(kind.name()).or_default();
        row[0] += 1;
        row[if is_noticed { 1 } else { 2 }] += 1;
    }
    let traffic = &desk.emulator("/emulator/status", None).await["traffic"];
    let over = ["connects", "messages", "requests"].map(|what| traffic[what]["over"].clone());
    assert!(over.iter().all(|over| over == false), "{name}, seed {seed}: {traffic}");
}

/// Lets it happen and waits until it is over; what it was.
async fn inject(desk: &Desk, symbol: &str, kind: FaultKind, pick: &mut impl FnMut(usize) -> usize) -> String {
    let lasts_s = match kind {
        FaultKind::Silence => 7 + pick(10),
        _ => 2 + pick(3),
    };
    let mut what = format!("{} for={lasts_s}s", kind.name());
    if kind.has_symbol() {
        what.push_str(&format!(" symbol={symbol}"));
    }
    if matches!(kind, FaultKind::TooMany | FaultKind::Banned) && pick(2) == 0 {
        what.push_str(&format!(" retry-after={}", 1 + pick(5)));
    }
    if matches!(kind, FaultKind::ClockSkew | FaultKind::ClockStep) {
        what.push_str(&format!(" ms={}", 300 + pick(3000)));
    }
    let mut script = what.clone();
    if matches!(kind, FaultKind::StaleSnapshot | FaultKind::SlowSnapshot) {
        // A whole book is only asked for when something is lost.
        script.push_str(&format!("\ngap symbol={symbol}"));
    }
    desk.emulator("/emulator/faults", Some(&script)).await;
    let began = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let status = desk.emulator("/emulator/status", None).await;
        let mut faults = status["faults"].as_array().unwrap().iter();
        if faults.all(|fault| fault["times"].as_u64().unwrap() > 0) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(150), "{script} never happened: {}", status["faults"]);
    }
    tokio::time::sleep(Duration::from_secs(lasts_s as u64 + 2)).await;
    what
}

/// A connection that carries nothing any more, without a word: books over HTTP take over within two seconds, and give way to
/// the stream when it is back.
#[test]
fn books_over_http_take_over_within_two_seconds() {
    for (name, symbol) in ALL {
        in_simulated_time(async {
            let (desk, _running) = open(name, symbol, 3).await;
            assert!(comes_true(&desk, symbol, 20).await, "{name}");
            tokio::time::sleep(Duration::from_secs(10)).await;
            let stand_ins = || noticed(&desk)["stand-in"];
            assert_eq!(stand_ins(), 0, "{name}: nothing is away");
            desk.emulator("/emulator/faults", Some("half-open")).await;
            let began = Instant::now();
            while stand_ins() == 0 && began.elapsed() < Duration::from_secs(10) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let took = began.elapsed();
            println!("{name}: books over HTTP after {took:?}");
            // The fault waits for the next message, 100 ms away at most.
            assert!(took < Duration::from_millis(2100), "{name}: {took:?}");
            assert!(desk.core.borrow().engine.book(desk.instrument.id).unwrap().is_live(), "{name}");
            assert!(comes_true(&desk, symbol, 120).await, "{name}: the stream never came back");
            let before = stand_ins();
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(stand_ins(), before, "{name}: it has stepped back");
        });
    }
}

/// Every dialect with a symbol.
const ALL: [(&str, &str); 8] = [
    ("binance", "BTCUSDT"),
    ("binance-usdm", "BTCUSDT"),
    ("binance-coinm", "BTCUSD_PERP"),
    ("kraken", "BTC/USD"),
    ("coinbase", "BTC-USD"),
    ("bybit", "BTCUSDT"),
    ("bybit-linear", "BTCUSDT"),
    ("okx", "BTC-USDT"),
];

/// Seeded scripts of faults at one venue, in simulated time; `TRAIDER_SOAK` runs a thousand.
fn campaign(name: &str, symbol: &str) {
    let scripts = match std::env::var("TRAIDER_SOAK") {
        Ok(n) => n.parse().ok().filter(|n| *n > 1).unwrap_or(1000),
        Err(_) => 2,
    };
    let mut tally = Tally::new();
    for seed in 1..=scripts {
        in_simulated_time(script(name, symbol, seed, 4, &mut tally));
    }
    let sum = tally.values().fold([0; 3], |sum, row| [0, 1, 2].map(|n| sum[n] + row[n]));
    println!("{name}: {scripts} scripts, [injected, noticed, without effect] {sum:?} {tally:?}");
    assert_eq!(sum[0], sum[1] + sum[2]);
}

#[test]
fn binance_survives_every_script() {
    campaign("binance", "BTCUSDT");
}

#[test]
fn binance_usdm_survives_every_script() {
    campaign("binance-usdm", "BTCUSDT");
}

#[test]
fn binance_coinm_survives_every_script() {
    campaign("binance-coinm", "BTCUSD_PERP");
}

/// Some minutes of a calm market, in which bars end, valuations come, and positions are closed by force; then the
/// questions that are asked now and again.
#[test]
fn whatever_binances_futures_say_is_read() {
    let coin_m = Contract::Inverse(Decimal::new(100, 0));
    let usd_m = Contract::Linear(Decimal::new(1, 0));
    for (name, symbol, contract) in [("binance-usdm", "BTCUSDT", usd_m), ("binance-coinm", "BTCUSD_PERP", coin_m)] {
        in_simulated_time(async {
            let (desk, _running) = open(name, symbol, 11).await;
            assert_eq!(desk.instrument.contract, contract, "{name}");
            assert!(comes_true(&desk, symbol, 20).await, "{name}: the book never came true");
            tokio::time::sleep(Duration::from_secs(180)).await;
            assert!(comes_true(&desk, symbol, 1).await, "{name}: the book is not true any more");
            let seen = noticed(&desk);
            let odd = ["break", "crossed", "unreadable", "other", "complaint", "told", "silence"].map(|s| seen[s]);
            assert_eq!(odd, [0; 7], "{name}: {seen:?}");
            let (adapter, i) = (desk.adapter, &desk.instrument);
            let table = SymbolTable::new([i.clone()]);
            let mut said = Vec::new();
            for poll in adapter.polls(std::slice::from_ref(i)) {
                let answer = desk.emulator(&poll.request.path, None).await.to_string();
                adapter.read_poll(&poll, &answer, &table, &mut said).unwrap();
            }
            let [Said::Event(Event::Status(status)), Said::Event(Event::OpenInterest(held))] = said.as_slice() else {
                panic!("{name}: {said:?}")
            };
            assert!(status.allowed == Allowed::All && !held.size.is_zero(), "{name}: {said:?}");
            let now_ns = desk.now_ns();
            let request = adapter.bars_request(i, 60, now_ns - 240_000_000_000, now_ns).unwrap();
            let answer = desk.emulator(&request.path, None).await.to_string();
            let bars = adapter.read_bars(&answer, i, 60).unwrap();
            assert!(bars.len() >= 3 && bars.iter().all(|bar| !bar.volume.is_zero()), "{name}: {bars:?}");
        });
    }
}

#[test]
fn kraken_survives_every_script() {
    campaign("kraken", "BTC/USD");
}

#[test]
fn coinbase_survives_every_script() {
    campaign("coinbase", "BTC-USD");
}

#[test]
fn bybit_survives_every_script() {
    campaign("bybit", "BTCUSDT");
}

#[test]
fn bybit_linear_survives_every_script() {
    campaign("bybit-linear", "BTCUSDT");
}

#[test]
fn okx_survives_every_script() {
    campaign("okx", "BTC-USDT");
}
