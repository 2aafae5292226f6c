//! SQL over a small lake.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic like the tests themselves")]

use frames::{FramesError, sql};
use lake::{CandleRow, FeatureTable, Lake, Lineage, Partition, TableMeta, TradeRow};
use serde_json::json;
use std::fs;

fn trade(id: i64, price: i64, qty: i64, aggressor_buy: bool) -> TradeRow {
    let ts = 1_723_161_300_000_000_000 + id * 1_000_000_000;
    TradeRow { ts_venue_ns: ts, ts_recv_ns: ts, trade_id: id, price, qty, aggressor_buy }
}

async fn publish(lake: &Lake, asset: &str, rows: &[TradeRow], scales: (u8, u8)) {
    let meta = TableMeta::of::<TradeRow>(scales.0, scales.1);
    lake.publish_rows(&Partition::of_asset(asset).unwrap(), rows, &meta, &Lineage::default()).await.unwrap();
}

/// Two instruments with different scales, two days of one of them, one of them published twice.
async fn small_lake(dir: &tempfile::TempDir) -> Lake {
    let lake = Lake::local(dir.path()).unwrap();
    publish(&lake, "trades/binance/BTCUSDT/2024-08-08", &[trade(9, 1, 1, true)], (2, 5)).await;
    let day = [trade(1, 6_183_763, 2000, false), trade(2, 6_183_764, 1000, true)];
    publish(&lake, "trades/binance/BTCUSDT/2024-08-08", &day, (2, 5)).await;
    publish(&lake, "trades/binance/BTCUSDT/2024-08-09", &[trade(3, 6_183_800, 500, true)], (2, 5)).await;
    publish(&lake, "trades/binance/1000SATSUSDT/2024-08-08", &[trade(1, 2345, 7, true)], (7, 0)).await;
    lake
}

#[tokio::test]
async fn tables_hold_what_the_newest_manifests_name_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    small_lake(&dir).await;
    let folder = dir.path().join("dataset=trades/venue=binance/instrument=BTCUSDT/day=2024-08-08");
    fs::write(folder.join("part-000003.parquet#1"), b"half a file").unwrap();
    let r = sql(
        dir.path(),
        "SELECT instrument, day, count(*) AS n FROM trades GROUP BY instrument, day ORDER BY instrument, day",
    )
    .await
    .unwrap();
    assert_eq!(r.columns, ["instrument", "day", "n"]);
    assert_eq!(
        r.rows,
        [
            [json!("1000SATSUSDT"), json!("2024-08-08"), json!(1)],
            [json!("BTCUSDT"), json!("2024-08-08"), json!(2)],
            [json!("BTCUSDT"), json!("2024-08-09"), json!(1)],
        ]
    );
    assert_eq!(r.row_count, 3);
}

#[tokio::test]
async fn a_bare_count_adds_up_over_instruments_and_days() {
    let dir = tempfile::tempdir().unwrap();
    small_lake(&dir).await;
    let r = sql(dir.path(), "SELECT count(*) AS n FROM trades").await.unwrap();
    assert_eq!(r.rows, [[json!(4)]]);
}

#[tokio::test]
async fn money_is_exact_and_there_is_a_float_beside_it_in_units_of_its_own_scale() {
    let dir = tempfile::tempdir().unwrap();
    small_lake(&dir).await;
    let q = "SELECT price, price_f64, qty_f64, ts_venue, aggressor FROM trades \
             WHERE venue = 'binance' AND day = '2024-08-08' ORDER BY price_f64";
    let r = sql(dir.path(), q).await.unwrap();
    let row = |a: i64, b: f64, c: f64, t: &str, s: &str| vec![json!(a), json!(b), json!(c), json!(t), json!(s)];
    assert_eq!(
        r.rows,
        [
            row(2345, 0.0002345, 7.0, "2024-08-08T23:55:01Z", "buy"),
            row(6_183_763, 61837.63, 0.02, "2024-08-08T23:55:01Z", "sell"),
            row(6_183_764, 61837.64, 0.01, "2024-08-08T23:55:02Z", "buy"),
        ]
    );
}

#[tokio::test]
async fn the_everyday_parts_of_sql_work() {
    let dir = tempfile::tempdir().unwrap();
    let lake = small_lake(&dir).await;
    let candle = |minute: i64, close: i64| CandleRow {
        ts_open_ns: 1_723_161_300_000_000_000 + minute * 60_000_000_000,
        open: close,
        high: close,
        low: close,
        close,
        volume: 10,
        trades: 1,
        first_trade_id: minute,
        last_trade_id: minute,
        complete: true,
    };
    let p = Partition::of_asset("candles_1m/binance/BTCUSDT/2024-08-08").unwrap();
    let rows = [candle(0, 100), candle(1, 110), candle(2, 121)];
    lake.publish_rows(&p, &rows, &TableMeta::of::<CandleRow>(2, 5), &Lineage::default()).await.unwrap();
    for (query, want) in [
        (
            "SELECT sum(volume) AS v, max(high) AS h, min(low) AS l FROM candles_1m WHERE complete",
            vec![vec![json!(30), json!(121), json!(100)]],
        ),
        (
            "SELECT close - lag(close) OVER (ORDER BY ts_open) AS d FROM candles_1m ORDER BY ts_open",
            vec![vec![json!(null)], vec![json!(10)], vec![json!(11)]],
        ),
        (
            "SELECT ts_open FROM candles_1m WHERE ts_open >= TIMESTAMP '2024-08-08 23:57:00'",
            vec![vec![json!("2024-08-08T23:57:00Z")]],
        ),
        (
            "WITH t AS (SELECT aggressor, sum(qty) AS q FROM trades WHERE instrument = 'BTCUSDT' GROUP BY aggressor) SELECT * FROM t ORDER BY aggressor",
            vec![vec![json!("buy"), json!(1500)], vec![json!("sell"), json!(2000)]],
        ),
        (
            "SELECT count(*) AS n FROM trades t JOIN candles_1m c ON t.instrument = c.instrument AND t.day = c.day",
            vec![vec![json!(6)]],
        ),
        (
            "SELECT extract(hour FROM ts_open) AS h, round(avg(close_f64), 2) AS a FROM candles_1m GROUP BY h HAVING count(*) > 1",
            vec![vec![json!(23), json!(1.1)]],
        ),
    ] {
        match sql(dir.path(), query).await {
            Ok(r) => assert_eq!(r.rows, want, "{query}"),
            Err(e) => panic!("{query}: {e}"),
        }
    }
}

#[tokio::test]
async fn feature_tables_of_different_builds_are_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::local(dir.path()).unwrap();
    for (day, name, value) in [("2024-08-08", "ema_9", Some(1.5)), ("2024-08-09", "rsi_14", None)] {
        let p = Partition::of_asset(&format!("features_1m/binance/BTCUSDT/{day}")).unwrap();
        let table = FeatureTable { ts_open_ns: vec![0], columns: vec![(name.to_owned(), vec![value])] };
        let batch = table.batch().unwrap();
        let (meta, lineage) = (TableMeta::default(), Lineage::default());
        lake.publish(&p, batch.schema(), &[batch], Some((0, 0)), &meta, &lineage).await.unwrap();
    }
    let r = sql(dir.path(), "SELECT day, ema_9, rsi_14 FROM features_1m ORDER BY day").await.unwrap();
    assert_eq!(
        r.rows,
        [[json!("2024-08-08"), json!(1.5), json!(null)], [json!("2024-08-09"), json!(null), json!(null)]]
    );
}

#[tokio::test]
async fn mistakes_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let empty = sql(dir.path(), "SELECT * FROM trades").await.unwrap_err();
    assert!(empty.to_string().contains("run the ingest workflow"), "{empty}");
    small_lake(&dir).await;
    let unknown = sql(dir.path(), "SELECT * FROM trade").await.unwrap_err();
    assert!(
        matches!(&unknown, FramesError::UnknownTable { name, known } if name == "trade" && known == "trades"),
        "{unknown}"
    );
    for bad in ["SELEC 1", "SELECT nothing FROM trades", "SELECT price + FROM trades"] {
        let e = sql(dir.path(), bad).await.unwrap_err();
        assert!(e.is_usage() && !e.to_string().is_empty(), "{bad}: {e}");
    }
}

#[tokio::test]
async fn only_questions_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    small_lake(&dir).await;
    for no_query in [
        "drop table trades",
        " -- SELECT\n DROP TABLE trades",
        "/* select */ truncate table trades",
        "delete from trades",
        "create table t as select * from trades",
        "insert into trades values (1)",
        "update trades set price = 1",
        "copy trades to 'x.csv'",
        "explain drop table trades",
        "SELEC 1",
        "",
    ] {
        let e = sql(dir.path(), no_query).await.unwrap_err();
        assert!(e.is_usage() && e.to_string().contains("is not a query"), "{no_query}: {e}");
    }
    for query in
        ["(select 1 AS a)", "-- why\nselect 1 AS a", "WITH t AS (SELECT 1 AS a) SELECT a FROM t", "show tables"]
    {
        let answer = sql(dir.path(), query).await;
        assert_eq!(answer.as_ref().map(|r| r.row_count).ok(), Some(1), "{query}: {answer:?}");
    }
    // Two statements in one are none.
    assert!(sql(dir.path(), "select 1; drop table trades").await.unwrap_err().is_usage());
}
