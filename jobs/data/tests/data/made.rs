//! Journals made by hand: what recorded ones happen not to show.

use super::config;
use data::backtest::journal::Writer;
use data::{DataError, features, ingest, replay, validate};
use domain::config::EngineConfig;
use domain::event::{BookDelta, Channel, Level, Link, Quote, Session, Trade};
use domain::journal::EffectsMark;
use domain::{Asset, Event, Increment, Instrument, InstrumentId, Lots, RunId, Side, TickLots, Ticks, Venue};
use engine::Engine;
use lake::{Lake, LevelRow, Partition, QuoteRow, TradeRow};
use settings::{Home, Mode, RunManifest};
use spec::jobs::{BuildFeatures, IngestJournal, ValidateDay};
use std::sync::atomic::{AtomicU32, Ordering};

/// 2024-08-09 00:00:00 UTC.
pub const MIDNIGHT: u64 = 1_723_161_600_000_000_000;
pub const SECOND: u64 = 1_000_000_000;

pub fn instrument(id: u16, tick: &str) -> Event {
    Event::Instrument(Instrument {
        id: InstrumentId(id),
        version: 1,
        venue: Venue::BINANCE,
        symbol: "BTCUSDT".parse().unwrap(),
        base: Asset::from("BTC").unwrap(),
        quote: Asset::from("USDT").unwrap(),
        tick: Increment::parse(tick).unwrap(),
        lot: Increment::parse("0.001").unwrap(),
        qty_min: Lots::new(1),
        qty_max: Lots::new(1_000_000),
        value_min: TickLots::new(1),
        contract: domain::instrument::Contract::Spot,
        trade: true,
        book: domain::instrument::BookRule::ASKED,
    })
}

pub fn trade(instrument: u16, ts_venue_ns: u64, trade_id: u64, price: i64, qty: u64) -> Event {
    Event::Trade(Trade {
        instrument: InstrumentId(instrument),
        ts_venue_ns,
        trade_id,
        price: Ticks::new(price),
        qty: Lots::new(qty),
        aggressor: Side::Buy,
    })
}

pub fn level(price: i64, qty: u64) -> Level {
    Level { price: Ticks::new(price), qty: Lots::new(qty) }
}

fn engine_config() -> EngineConfig {
    serde_json::from_value(config()).unwrap()
}

fn manifest(run: &str, mode: Mode, created_ns: u64) -> RunManifest {
    let config = engine_config();
    RunManifest {
        run_id: run.to_owned(),
        mode,
        created_ns,
        build: String::new(),
        seed: 0,
        source: String::new(),
        config_hash: settings::manifest::config_hash(&config),
        config,
        sealed: false,
        records: 0,
        effects_hash: String::new(),
    }
}

/// A journal of these inputs, without marks.
fn journal(home: &Home, run: &str, mode: Mode, created_ns: u64, events: &[(u64, Event)]) {
    let mut writer = Writer::create(&home.journal_of(run), RunId::from(run).unwrap()).unwrap();
    for (ts, event) in events {
        writer.input(*ts, event).unwrap();
    }
    writer.finish(manifest(run, mode, created_ns)).unwrap();
}

pub fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::locate(Some(dir.path()));
    home.prepare().unwrap();
    (dir, home)
}

async fn ingested(home: &Home, day: &str) -> ingest::Ingested {
    let job = IngestJournal { day: day.to_owned(), venue: Some("binance".to_owned()), symbols: Vec::new() };
    ingest::ingest(home, &job, || false).await.unwrap()
}

async fn trades(home: &Home, asset: &str) -> (lake::Manifest, Vec<TradeRow>) {
    Lake::local(&home.lake()).unwrap().read_rows(&Partition::of_asset(asset).unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_older_run_is_believed_and_a_run_numbers_instruments_its_own_way() {
    let (_dir, home) = home();
    let t = MIDNIGHT + 60 * SECOND;
    let older = [(t, instrument(3, "0.01")), (t, trade(3, t, 7, 100, 1)), (t, trade(3, t, 8, 100, 2))];
    let newer = [
        (t, instrument(0, "0.01")),
        (t + 5, trade(0, t, 7, 100, 1)),
        (t, trade(0, t, 8, 101, 2)),
        (t, trade(0, t, 9, 100, 3)),
    ];
    journal(&home, "b-older", Mode::Capture, 1, &older);
    journal(&home, "a-newer", Mode::Capture, 2, &newer);
    let done = ingested(&home, "2024-08-09").await;
    assert_eq!(done.summary["conflicts"], 1, "trade 8 has two prices");
    let (manifest, rows) = trades(&home, "trades/binance/BTCUSDT/2024-08-09").await;
    assert_eq!(
        rows.iter().map(|r| (r.trade_id, r.price, r.qty)).collect::<Vec<_>>(),
        [(7, 100, 1), (8, 100, 2), (9, 100, 3)]
    );
    assert_eq!(manifest.parents, ["a-newer", "b-older"]);
}

#[tokio::test]
async fn made_up_markets_never_mix_with_recorded_ones() {
    let (_dir, home) = home();
    let t = MIDNIGHT + 60 * SECOND;
    journal(&home, "demo", Mode::Demo, 1, &[(t, instrument(0, "0.01")), (t, trade(0, t, 7, 1, 1))]);
    journal(&home, "real", Mode::Capture, 2, &[(t, instrument(0, "0.01")), (t, trade(0, t, 7, 2, 2))]);
    let done = ingested(&home, "2024-08-09").await;
    assert_eq!(done.summary["conflicts"], 0);
    assert_eq!(trades(&home, "trades/binance-demo/BTCUSDT/2024-08-09").await.1[0].price, 1);
    assert_eq!(trades(&home, "trades/binance/BTCUSDT/2024-08-09").await.1[0].price, 2);
    // Neither has yesterday's data of the other name.
    assert!(ingested(&home, "2024-08-08").await.outputs.is_empty());
}

#[tokio::test]
async fn a_step_asked_to_stop_does_so_before_the_next_partition() {
    let (_dir, home) = home();
    let t = MIDNIGHT + 60 * SECOND;
    journal(&home, "demo", Mode::Demo, 1, &[(t, instrument(0, "0.01")), (t, trade(0, t, 7, 1, 1))]);
    journal(&home, "real", Mode::Capture, 2, &[(t, instrument(0, "0.01")), (t, trade(0, t, 7, 2, 2))]);
    ingested(&home, "2024-08-09").await;
    let lake = Lake::local(&home.lake()).unwrap();
    let made = async |dataset: &str| -> Vec<String> {
        let listed = lake.list().await.unwrap();
        listed.iter().filter(|(p, _)| p.dataset() == dataset).map(|(p, _)| p.venue().to_owned()).collect()
    };
    // Asked before each of the two venues; the answer is yes from the second time on.
    let asked = AtomicU32::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) > 0;

    let (day, venue, symbols) = ("2024-08-09".to_owned(), None, Vec::new());
    let job = BuildFeatures { day: day.clone(), venue: venue.clone(), symbols: symbols.clone() };
    let ended = features::build(&home, &job, stop).await;
    assert!(matches!(ended, Err(DataError::Cancelled)));
    assert_eq!(made("features_1m").await, ["binance"]);

    asked.store(0, Ordering::Relaxed);
    let ended = validate::validate(&home, &ValidateDay { day, venue, symbols }, stop).await;
    assert!(matches!(ended, Err(DataError::Cancelled)));
    assert_eq!(made("quality").await, ["binance"]);
}

#[tokio::test]
async fn trades_belong_to_the_venues_day_and_quotes_to_ours() {
    let (_dir, home) = home();
    // Our clock is 2 s behind the venue's.
    let (ours, theirs) = (MIDNIGHT - SECOND, MIDNIGHT + SECOND);
    let quote = Event::Quote(Quote {
        instrument: InstrumentId(0),
        ts_venue_ns: 0,
        update_id: 5,
        bid: level(99, 1),
        ask: level(101, 1),
    });
    let delta = Event::BookDelta(BookDelta {
        instrument: InstrumentId(0),
        ts_venue_ns: theirs,
        first_id: 4,
        last_id: 5,
        bids: Vec::new(),
        asks: Vec::new(),
        checksum: None,
    });
    let events = [(ours, instrument(0, "0.01")), (ours, trade(0, theirs, 7, 100, 1)), (ours, quote), (ours, delta)];
    journal(&home, "r", Mode::Capture, 1, &events);
    let assets = |done: &ingest::Ingested| done.outputs.iter().map(|o| o.asset.clone()).collect::<Vec<_>>();
    assert_eq!(assets(&ingested(&home, "2024-08-08").await), ["quotes/binance/BTCUSDT"]);
    let next = ["trades/binance/BTCUSDT", "candles_1m/binance/BTCUSDT", "book_deltas/binance/BTCUSDT"];
    assert_eq!(assets(&ingested(&home, "2024-08-09").await), next);

    let lake = Lake::local(&home.lake()).unwrap();
    let at = |asset: &str| Partition::of_asset(asset).unwrap();
    let (_, quotes) = lake.read_rows::<QuoteRow>(&at("quotes/binance/BTCUSDT/2024-08-08")).await.unwrap();
    assert_eq!(quotes[0].ts_venue_ns, None, "the venue states no time, so there is none");
    let (_, levels) = lake.read_rows::<LevelRow>(&at("book_deltas/binance/BTCUSDT/2024-08-09")).await.unwrap();
    assert_eq!((levels.len(), levels[0].level), (1, None), "a message without levels still counts");
}

#[tokio::test]
async fn a_finer_tick_during_the_day_keeps_every_price_exact() {
    let (_dir, home) = home();
    let t = MIDNIGHT;
    let events =
        [(t, instrument(0, "0.5")), (t, trade(0, t, 1, 3, 1)), (t, instrument(0, "0.01")), (t, trade(0, t, 2, 151, 1))];
    journal(&home, "r", Mode::Capture, 1, &events);
    ingested(&home, "2024-08-09").await;
    let (manifest, rows) = trades(&home, "trades/binance/BTCUSDT/2024-08-09").await;
    // 3 ticks of 0.5 and 151 ticks of 0.01, both in hundredths.
    assert_eq!((manifest.scales["price"], rows[0].price, rows[1].price), (2, 150, 151));
    assert_eq!(manifest.facts["tick"], "0.5 0.01");
}

/// A session, an instrument and a market connection, with marks, and without the mark of the input `unmarked`.
fn marked(home: &Home, restart: bool, unmarked: Option<usize>) {
    let run = RunId::from("m").unwrap();
    let session = |epoch| Event::Session(Session { run, home: 1, epoch, seed: 0 });
    let link = Event::Link(Link { venue: Venue::BINANCE, channel: Channel::Market, up: true });
    let mut events = vec![session(1), instrument(0, "0.01"), link.clone()];
    if restart {
        events.extend([session(2), instrument(0, "0.01"), link]);
    }
    let events: Vec<_> = events.into_iter().enumerate().map(|(n, e)| (MIDNIGHT + n as u64 * SECOND, e)).collect();
    proven(home, "m", &events, unmarked);
}

/// The journal of a run as the daemon writes it, but without the mark of the input `unmarked`.
pub fn proven(home: &Home, name: &str, events: &[(u64, Event)], unmarked: Option<usize>) {
    let mut engine = Engine::new(&engine_config()).unwrap();
    let mut writer = Writer::create(&home.journal_of(name), RunId::from(name).unwrap()).unwrap();
    for (n, (ts, event)) in events.iter().enumerate() {
        let ts = *ts;
        let input = writer.input(ts, event).unwrap();
        let mut effects = Vec::new();
        engine.step(ts, event, &mut effects);
        if !effects.is_empty() && unmarked != Some(n) {
            let count = u32::try_from(effects.len()).unwrap();
            writer.effects(&EffectsMark { input, count, running: engine.effects_hash() });
        }
    }
    let manifest = RunManifest { effects_hash: hex(engine.effects_hash()), ..manifest(name, Mode::Capture, 1) };
    writer.finish(manifest).unwrap();
}

fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

fn unseal(home: &Home) {
    let dir = home.journal_of("m");
    let manifest = RunManifest::read(&dir).unwrap();
    RunManifest { sealed: false, records: 0, effects_hash: String::new(), ..manifest }.write(&dir).unwrap();
}

#[test]
fn a_mark_may_be_missing_only_where_the_daemon_died() {
    let difference = |restart, unmarked, sealed: bool| {
        let (_dir, home) = home();
        marked(&home, restart, unmarked);
        if !sealed {
            unseal(&home);
        }
        replay::replay(&home.journal_of("m"), |_, _| {}).unwrap().first_difference.map(|d| d.seq)
    };
    // The connection (input 2, record 3) makes the engine ask for a book.
    assert_eq!(difference(false, None, true), None);
    assert_eq!(difference(false, Some(2), false), None, "killed before the last mark");
    assert_eq!(difference(false, Some(2), true), Some(Some(3)), "a sealed run has all its marks");
    assert_eq!(difference(true, Some(2), true), None, "killed before the mark, and started again");
}

#[test]
fn totals_of_a_sealed_run_are_compared_too() {
    let (_dir, home) = home();
    marked(&home, false, None);
    let dir = home.journal_of("m");
    let good = RunManifest::read(&dir).unwrap();
    assert_eq!(replay::parity(&dir).unwrap().1, 0);
    for forged in [
        RunManifest { records: good.records + 1, ..good.clone() },
        RunManifest { effects_hash: "00".repeat(32), ..good.clone() },
    ] {
        forged.write(&dir).unwrap();
        let (verdict, code) = replay::parity(&dir).unwrap();
        assert_eq!((code, &verdict["first_difference"]["seq"]), (8, &serde_json::json!(null)), "{verdict}");
    }
}
