//! Publishing and reading a lake in a folder.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic like the tests themselves")]

use lake::{Lake, LakeError, LevelRow, Lineage, Partition, QuoteRow, Row, TableMeta, TradeRow};
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

fn trades(n: i64) -> Vec<TradeRow> {
    let row = |i| TradeRow {
        ts_venue_ns: 1_723_161_255_342_000_000 + i * 1_000_000,
        ts_recv_ns: 1_723_161_254_087_896_568 + i * 999,
        trade_id: 3_735_683_259 + i,
        price: 6_183_763 + i % 7,
        qty: 2000 + i,
        aggressor_buy: i % 3 == 0,
    };
    (0..n).map(row).collect()
}

fn partition() -> Partition {
    Partition::of_asset("trades/binance/BTCUSDT/2024-08-08").unwrap()
}

fn lineage() -> Lineage {
    Lineage { parents: vec!["run-1".to_owned()], code: "test".to_owned() }
}

async fn publish(lake: &Lake, rows: &[TradeRow]) -> lake::Published {
    lake.publish_rows(&partition(), rows, &TableMeta::of::<TradeRow>(2, 5), &lineage()).await.unwrap()
}

fn folder(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join(partition().folder())
}

fn names(dir: &tempfile::TempDir) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder(dir)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_was_published_is_read_back_and_described() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::local(dir.path()).unwrap();
    let rows = trades(1000);
    let published = publish(&lake, &rows).await;
    assert!(published.new);
    let m = &published.manifest;
    assert_eq!((m.version, m.rows, m.files.len()), (1, 1000, 1));
    assert_eq!(m.min_ts_ns, Some(1_723_161_255_342_000_000));
    assert_eq!(m.max_ts_ns, Some(1_723_161_255_342_000_000 + 999_000_000));
    assert_eq!((m.scales["price"], m.scales["qty"]), (2, 5));
    let (_, back) = lake.read_rows::<TradeRow>(&partition()).await.unwrap();
    assert_eq!(back, rows);
    let listed = lake.list().await.unwrap();
    assert_eq!(listed, [(partition(), published.manifest)]);
}

#[tokio::test]
async fn the_same_rows_give_the_same_bytes_in_any_lake() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rows = trades(5000);
    let one = publish(&Lake::local(a.path()).unwrap(), &rows).await;
    let two = publish(&Lake::local(b.path()).unwrap(), &rows).await;
    assert_eq!(one, two);
    for name in names(&a) {
        assert_eq!(fs::read(folder(&a).join(&name)).unwrap(), fs::read(folder(&b).join(&name)).unwrap(), "{name}");
    }
}

#[tokio::test]
async fn publishing_again_changes_nothing_and_other_content_is_a_new_version() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::local(dir.path()).unwrap();
    let first = publish(&lake, &trades(10)).await;
    let again = publish(&lake, &trades(10)).await;
    assert_eq!((again.new, &again.manifest), (false, &first.manifest));
    let old = fs::read(folder(&dir).join("part-000001.parquet")).unwrap();

    let second = publish(&lake, &trades(11)).await;
    assert_eq!((second.new, second.manifest.version), (true, 2));
    assert_eq!(second.manifest.files[0].name, "part-000002.parquet");
    assert_eq!(fs::read(folder(&dir).join("part-000001.parquet")).unwrap(), old, "an old version stays as it was");
    assert_eq!(lake.manifest(&partition()).await.unwrap(), Some(second.manifest.clone()));
    assert_eq!(lake.history(&partition()).await.unwrap(), [first.manifest, second.manifest]);
}

#[tokio::test]
async fn a_writer_killed_at_any_point_leaves_the_old_version_and_the_next_one_heals_it() {
    // The files of a whole publication, then every way in which a kill could have left only some of them.
    let whole = tempfile::tempdir().unwrap();
    let lake = Lake::local(whole.path()).unwrap();
    publish(&lake, &trades(10)).await;
    let old_pointer = fs::read(folder(&whole).join("manifest.json")).unwrap();
    let want = publish(&lake, &trades(11)).await;
    let left: [&[&str]; 3] = [&["part-000002.parquet", "manifest-000002.json"], &["manifest-000002.json"], &[]];
    for missing in left {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::local(dir.path()).unwrap();
        publish(&lake, &trades(10)).await;
        for name in ["part-000002.parquet", "manifest-000002.json"].iter().filter(|n| !missing.contains(n)) {
            fs::copy(folder(&whole).join(name), folder(&dir).join(name)).unwrap();
        }
        // Half a file under the store's temporary name.
        fs::write(folder(&dir).join("part-000002.parquet#1"), b"PAR1 torn").unwrap();
        fs::write(folder(&dir).join("manifest.json"), &old_pointer).unwrap();

        assert_eq!(lake.read_rows::<TradeRow>(&partition()).await.unwrap().1, trades(10));
        assert_eq!(lake.list().await.unwrap().len(), 1);
        let healed = publish(&lake, &trades(11)).await;
        assert_eq!(healed.manifest, want.manifest, "missing {missing:?}");
        assert_eq!(lake.read_rows::<TradeRow>(&partition()).await.unwrap().1, trades(11));
    }
}

#[tokio::test]
async fn a_file_of_a_dead_writer_with_other_content_is_stepped_over() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::local(dir.path()).unwrap();
    publish(&lake, &trades(10)).await;
    fs::write(folder(&dir).join("part-000002.parquet"), b"something else").unwrap();
    let published = publish(&lake, &trades(11)).await;
    assert_eq!(published.manifest.files[0].name, "part-000003.parquet");
    lake.verify(&partition()).await.unwrap();
}

#[tokio::test]
async fn verify_finds_every_flipped_byte() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::local(dir.path()).unwrap();
    publish(&lake, &trades(100)).await;
    assert_eq!(lake.verify(&partition()).await.unwrap().rows, 100);
    let file = folder(&dir).join("part-000001.parquet");
    let good = fs::read(&file).unwrap();
    for at in (0..good.len()).step_by(97) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        assert!(matches!(lake.verify(&partition()).await, Err(LakeError::Damaged { .. })), "byte {at}");
        assert!(lake.read(&partition()).await.is_err());
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(lake.verify(&partition()).await, Err(LakeError::Damaged { .. })));
}

#[tokio::test]
async fn missing_times_and_empty_messages_survive_the_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::local(dir.path()).unwrap();
    let level = |level, snapshot: bool| LevelRow {
        ts_venue_ns: (!snapshot).then_some(7_000),
        ts_recv_ns: 8_000,
        first_id: 1,
        last_id: 2,
        snapshot,
        level,
    };
    let rows = vec![level(Some((true, 5, 6)), true), level(None, false), level(Some((false, -5, 0)), false)];
    let p = Partition::of_asset("book_deltas/binance/BTCUSDT/1970-01-01").unwrap();
    lake.publish_rows(&p, &rows, &TableMeta::of::<LevelRow>(2, 5), &lineage()).await.unwrap();
    assert_eq!(lake.read_rows::<LevelRow>(&p).await.unwrap().1, rows);
    assert!(matches!(lake.read_rows::<QuoteRow>(&p).await, Err(LakeError::Column { .. })));
}

#[tokio::test]
async fn an_empty_partition_is_not_published_and_a_missing_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::local(dir.path()).unwrap();
    let empty = lake.publish_rows::<TradeRow>(&partition(), &[], &TableMeta::default(), &lineage()).await;
    assert!(matches!(empty, Err(LakeError::Empty(_))));
    let missing = lake.read(&partition()).await.unwrap_err().to_string();
    assert!(missing.contains("trades/binance/BTCUSDT/2024-08-08"), "{missing}");
    assert!(lake.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn artefacts_are_versioned_like_tables() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::local(dir.path()).unwrap();
    let p = partition().of_dataset("quality").unwrap();
    let value = serde_json::json!({"gaps": 0});
    assert!(lake.publish_json(&p, &value, &lineage()).await.unwrap().new);
    assert!(!lake.publish_json(&p, &value, &lineage()).await.unwrap().new);
    assert_eq!(lake.read_json(&p).await.unwrap().1, value);
    lake.verify(&p).await.unwrap();
}

#[test]
fn only_plain_column_types_are_used() {
    use arrow_schema::{DataType, TimeUnit};
    let allowed = |t: &DataType| {
        matches!(t, DataType::Int64 | DataType::Float64 | DataType::Boolean | DataType::Utf8 | DataType::Binary)
            || *t == DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    };
    for schema in [TradeRow::schema(), QuoteRow::schema(), LevelRow::schema(), lake::CandleRow::schema()] {
        assert!(schema.fields().iter().all(|f| allowed(f.data_type())), "{schema}");
    }
}

proptest! {
    #[test]
    fn every_row_survives_the_file(values in prop::collection::vec((any::<[i64; 5]>(), any::<bool>()), 1..300)) {
        let row = |([ts_venue_ns, ts_recv_ns, trade_id, price, qty], aggressor_buy): ([i64; 5], bool)| {
            TradeRow { ts_venue_ns, ts_recv_ns, trade_id, price, qty, aggressor_buy }
        };
        let rows: Vec<TradeRow> = values.into_iter().map(row).collect();
        let write = || {
            lake::parquet_io::encode("k", &TradeRow::schema(), &[TradeRow::batch(&rows)], &Default::default()).unwrap()
        };
        let bytes = write();
        prop_assert_eq!(&bytes, &write());
        let read = lake::parquet_io::decode("k", bytes).unwrap();
        let back: Vec<TradeRow> = read.batches.iter().flat_map(|b| TradeRow::rows(b).unwrap()).collect();
        prop_assert_eq!(back, rows);
    }
}
