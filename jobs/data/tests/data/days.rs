//! The daily steps on a recorded day.

use super::{BTC, ETH, home_with, recorded_or_skip, spec};
use arrow_array::{Array, Float64Array, TimestampMillisecondArray, TimestampNanosecondArray};
use arrow_ipc::reader::FileReader;
use data::backtest::{Latency, backtest};
use data::{features, ingest, validate};
use domain::Decimal;
use lake::{CandleRow, Lake, LevelRow, Partition, QuoteRow, TradeRow};
use settings::Home;
use spec::jobs::{BuildFeatures, IngestJournal, ValidateDay};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

const DAY: &str = "2024-08-08";

fn job() -> IngestJournal {
    IngestJournal { day: DAY.to_owned(), venue: None, symbols: Vec::new() }
}

async fn ingested(home: &Home) -> ingest::Ingested {
    ingest::ingest(home, &job(), || false).await.unwrap()
}

fn partition(dataset: &str, symbol: &str) -> Partition {
    Partition::of_asset(&format!("{dataset}/binance/{symbol}/{DAY}")).unwrap()
}

/// Open, high, low, close and volume of each minute, by its start in ns, exactly as the file prints them.
fn published(path: &Path) -> BTreeMap<i64, [Decimal; 5]> {
    let mut candles = BTreeMap::new();
    for batch in FileReader::try_new(File::open(path).unwrap(), None).unwrap() {
        let batch = batch.unwrap();
        let date = batch.column_by_name("date").unwrap();
        let time = |i: usize| match date.as_any().downcast_ref::<TimestampMillisecondArray>() {
            Some(ms) => ms.value(i) * 1_000_000,
            None => date.as_any().downcast_ref::<TimestampNanosecondArray>().unwrap().value(i),
        };
        let columns = ["open", "high", "low", "close", "volume"]
            .map(|name| batch.column_by_name(name).unwrap().as_any().downcast_ref::<Float64Array>().unwrap().clone());
        for i in 0..batch.num_rows() {
            // The shortest text that reads back as this float is the number the venue printed.
            candles.insert(time(i), columns.each_ref().map(|c| c.value(i).to_string().parse().unwrap()));
        }
    }
    candles
}

#[tokio::test]
async fn candles_of_the_recorded_trades_are_those_the_venue_published() {
    for (capture, symbol, feather) in [
        (BTC, "BTCUSDT", "candles/long/binance_BTC_USDT-1m_2024-08.feather"),
        (ETH, "ETHUSDT", "candles/long/binance_ETH_USDT-1m_2024-08.feather"),
    ] {
        let capture = recorded_or_skip!("candles_of_the_recorded_trades_are_those_the_venue_published", capture);
        let feather = recorded_or_skip!("candles_of_the_recorded_trades_are_those_the_venue_published", feather);
        let want = published(&feather);
        let (_dir, home, _) = home_with(&capture);
        ingested(&home).await;
        let lake = Lake::local(&home.lake()).unwrap();
        let (manifest, candles) = lake.read_rows::<CandleRow>(&partition("candles_1m", symbol)).await.unwrap();
        let exact = |column: &str, n: i64| Decimal::new(i128::from(n), manifest.scales[column]);
        let minutes: Vec<i64> = candles.iter().map(|c| c.ts_open_ns).collect();
        // 23:54 (cut off at the start) to 23:59.
        assert_eq!(minutes, (0..6).map(|m| 1_723_161_240_000_000_000 + m * 60_000_000_000).collect::<Vec<_>>());
        assert_eq!(candles.iter().map(|c| c.complete).collect::<Vec<_>>(), [false, true, true, true, true, true]);
        for c in candles.iter().filter(|c| c.complete) {
            let got = [
                exact("open", c.open),
                exact("high", c.high),
                exact("low", c.low),
                exact("close", c.close),
                exact("volume", c.volume),
            ];
            assert_eq!(got, want[&c.ts_open_ns], "{symbol} {}", c.ts_open_ns);
        }
    }
}

#[tokio::test]
async fn what_several_runs_recorded_is_kept_once() {
    let capture = recorded_or_skip!("what_several_runs_recorded_is_kept_once", BTC);
    let (_dir, home, _) = home_with(&capture);
    let first = ingested(&home).await;
    let again = ingested(&home).await;
    assert_eq!(first.outputs, again.outputs);
    assert_eq!(again.summary["partitions_new"], 0);

    // The same capture with another latency is another run of the same market.
    let mut slower = spec(&capture);
    slower.latency_ms = Latency { entry: 80, response: 80 };
    backtest(&home, slower).unwrap();
    let both = ingested(&home).await;
    assert_eq!(both.inputs.len(), 2);
    assert_eq!((&both.outputs, &both.summary["conflicts"]), (&first.outputs, &serde_json::json!(0)));

    // Counts of the capture itself, by `zgrep -c`, less the trades after midnight.
    let lake = Lake::local(&home.lake()).unwrap();
    let (_, trades) = lake.read_rows::<TradeRow>(&partition("trades", "BTCUSDT")).await.unwrap();
    assert!(trades.windows(2).all(|w| w[0].trade_id < w[1].trade_id));
    assert!(trades.iter().all(|t| partition("trades", "BTCUSDT").day().contains(t.ts_venue_ns)));
    let (_, quotes) = lake.read_rows::<QuoteRow>(&partition("quotes", "BTCUSDT")).await.unwrap();
    assert!(quotes.iter().all(|q| q.bid_price < q.ask_price));
    let (_, levels) = lake.read_rows::<LevelRow>(&partition("book_deltas", "BTCUSDT")).await.unwrap();
    assert_eq!(levels.iter().filter(|l| l.snapshot).count(), 2000, "one snapshot of 1000 levels a side");

    // What was traded after midnight by the venue's clock is the next day's.
    let next = IngestJournal { day: "2024-08-09".to_owned(), ..job() };
    let next = ingest::ingest(&home, &next, || false).await.unwrap();
    let rest = next.outputs.iter().find(|o| o.asset == "trades/binance/BTCUSDT").map_or(0, |o| o.rows);
    let all = data::capture::scan(&capture).unwrap().symbols["BTCUSDT"].trades;
    assert_eq!(trades.len() as u64 + u64::try_from(rest).unwrap(), all);
}

#[tokio::test]
async fn a_recorded_day_is_judged_sound_and_a_forged_one_is_not() {
    let capture = recorded_or_skip!("a_recorded_day_is_judged_sound_and_a_forged_one_is_not", BTC);
    let (_dir, home, _) = home_with(&capture);
    ingested(&home).await;
    let day = ValidateDay { day: DAY.to_owned(), venue: Some("binance".to_owned()), symbols: Vec::new() };
    let sound = validate::validate(&home, &day, || false).await.unwrap();
    assert!(sound.contradictions.is_empty(), "{:?}", sound.contradictions);
    let report = &sound.reports[0].1;
    assert_eq!(report["book"]["sequence_breaks"], 0);
    assert_eq!((&report["quotes"]["crossed"], &report["candles"]["differ"]), (&0.into(), &0.into()));
    assert_eq!(report["candles"]["incomplete"], 1);
    let median = report["clock_offset_ms"]["median"].as_i64().unwrap();
    assert!((-1275..=-1215).contains(&median), "{median}");
    assert_eq!(validate::validate(&home, &day, || false).await.unwrap().outputs, sound.outputs);

    // One trade changed, its candles left as they were.
    let lake = Lake::local(&home.lake()).unwrap();
    let at = partition("trades", "BTCUSDT");
    let (manifest, mut trades) = lake.read_rows::<TradeRow>(&at).await.unwrap();
    trades[500].qty += 1;
    let meta = lake::TableMeta { scales: manifest.scales, facts: manifest.facts };
    lake.publish_rows(&at, &trades, &meta, &lake::Lineage::default()).await.unwrap();
    let forged = validate::validate(&home, &day, || false).await.unwrap();
    assert!(forged.contradictions[0].contains("candles are not those of the trades"), "{:?}", forged.contradictions);
}

#[tokio::test]
async fn features_of_the_lake_are_what_the_formulas_say() {
    let capture = recorded_or_skip!("features_of_the_lake_are_what_the_formulas_say", BTC);
    let (_dir, home, _) = home_with(&capture);
    ingested(&home).await;
    let job = BuildFeatures { day: DAY.to_owned(), venue: None, symbols: vec!["BTCUSDT".to_owned()] };
    let built = features::build(&home, &job, || false).await.unwrap();
    assert_eq!((built.outputs.len(), built.outputs[0].rows), (1, 6));
    assert_eq!(features::build(&home, &job, || false).await.unwrap().outputs, built.outputs);
    let lake = Lake::local(&home.lake()).unwrap();
    let (_, batches) = lake.read(&partition("features_1m", "BTCUSDT")).await.unwrap();
    let column = |name: &str| batches[0].column_by_name(name).unwrap().as_any().downcast_ref::<Float64Array>().unwrap();
    assert_eq!(column("ema_9").null_count(), 6, "six bars do not warm an average of nine");

    // The session's price, the slow way: sum of price times size over sum of size, up to each minute's end.
    let (_, trades) = lake.read_rows::<TradeRow>(&partition("trades", "BTCUSDT")).await.unwrap();
    let (_, candles) = lake.read_rows::<CandleRow>(&partition("candles_1m", "BTCUSDT")).await.unwrap();
    for (i, candle) in candles.iter().enumerate() {
        let until = trades.iter().filter(|t| t.ts_venue_ns < candle.ts_open_ns + 60_000_000_000);
        let (value, volume) = until
            .fold((0i128, 0i128), |(v, q), t| (v + i128::from(t.price) * i128::from(t.qty), q + i128::from(t.qty)));
        let want = value as f64 / volume as f64 / 100.0;
        let got = column("vwap_session").value(i);
        assert!((got - want).abs() < 1e-9 * want, "{got} {want}");
    }
}

#[tokio::test]
async fn a_damaged_journal_gives_what_stands_before_the_damage() {
    let capture = recorded_or_skip!("a_damaged_journal_gives_what_stands_before_the_damage", BTC);
    let (_dir, home, summary) = home_with(&capture);
    let segment = home.journal_of(summary["run_id"].as_str().unwrap()).join("seg-000001.trj");
    let whole = std::fs::read(&segment).unwrap();
    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[middle] ^= 1;
    for bytes in [&flipped[..], &whole[..middle]] {
        std::fs::write(&segment, bytes).unwrap();
        let done = ingested(&home).await;
        let damaged = done.summary["damaged"].as_array().unwrap();
        assert_eq!(damaged.len(), 1, "{}", done.summary);
        assert_eq!(damaged[0]["run"], summary["run_id"]);
        assert!(damaged[0]["damage"]["seq"].as_u64().is_some_and(|seq| seq > 0), "{}", done.summary);
    }
}
