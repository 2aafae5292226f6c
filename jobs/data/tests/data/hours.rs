//! Hours of a day: a prefix of the journals, never in the place of more.

use super::made::{MIDNIGHT, SECOND, home, instrument, proven, trade};
use data::{ingest, verify};
use domain::event::{Channel, Link, Session};
use domain::journal::Kind;
use domain::{Event, RunId, Venue};
use lake::{Lake, Partition, TradeRow};
use settings::{Home, RunManifest};
use spec::jobs::{IngestHour, IngestJournal};

const HOUR: u64 = 3600 * SECOND;

fn events() -> Vec<(u64, Event)> {
    let at = |hour: u64, second: u64, id| {
        let ts = MIDNIGHT + hour * HOUR + second * SECOND;
        (ts, trade(0, ts, id, 100, 1))
    };
    let first = (MIDNIGHT, instrument(0, "0.01"));
    vec![first, at(0, 5, 1), at(0, 3599, 2), at(1, 0, 3), at(1, 10, 4), at(2, 0, 5)]
}

async fn hour(home: &Home, hour: &str) -> ingest::Ingested {
    let job = IngestHour { hour: hour.to_owned(), venue: None, symbols: Vec::new() };
    ingest::hour(home, &job, || false).await.unwrap()
}

async fn trades(home: &Home) -> (u32, Vec<i64>) {
    let at = Partition::of_asset("trades/binance/BTCUSDT/2024-08-09").unwrap();
    let (manifest, rows) = Lake::local(&home.lake()).unwrap().read_rows::<TradeRow>(&at).await.unwrap();
    (manifest.version, rows.iter().map(|r| r.trade_id).collect())
}

#[tokio::test]
async fn an_hour_holds_what_was_received_before_its_end_and_again_the_same_bytes() {
    let (_dir, home) = home();
    proven(&home, "r", &events(), None);
    let first = hour(&home, "2024-08-09T00").await;
    assert_eq!(trades(&home).await, (1, vec![1, 2]), "the trade at 01:00:00 is the next hour's");
    let again = hour(&home, "2024-08-09T00").await;
    assert_eq!((&again.outputs, &again.inputs), (&first.outputs, &first.inputs));
    assert_eq!(again.summary["partitions_new"], 0);
    hour(&home, "2024-08-09T01").await;
    assert_eq!(trades(&home).await, (2, vec![1, 2, 3, 4]));
}

#[tokio::test]
async fn an_hour_made_late_takes_nothing_away() {
    let (_dir, home) = home();
    proven(&home, "r", &events(), None);
    hour(&home, "2024-08-09T01").await;
    let late = hour(&home, "2024-08-09T00").await;
    assert_eq!((late.outputs.len(), &late.summary["partitions_kept"]), (0, &serde_json::json!(2)));
    assert_eq!(trades(&home).await, (1, vec![1, 2, 3, 4]));
    let day = IngestJournal { day: "2024-08-09".to_owned(), venue: None, symbols: Vec::new() };
    ingest::ingest(&home, &day, || false).await.unwrap();
    assert_eq!(trades(&home).await, (2, vec![1, 2, 3, 4, 5]));
    // Even the last hour of the day, which has all of these: the day itself has the last word.
    assert!(hour(&home, "2024-08-09T23").await.outputs.is_empty());
    assert_eq!(trades(&home).await, (2, vec![1, 2, 3, 4, 5]));
}

/// The daemon is writing while the hour is read: a record half on disk, and later the rest of it and more.
#[tokio::test]
async fn a_growing_journal_gives_its_whole_records_and_later_the_same_hour() {
    let (_dir, home) = home();
    proven(&home, "r", &events(), None);
    let dir = home.journal_of("r");
    let manifest = RunManifest::read(&dir).unwrap();
    RunManifest { sealed: false, records: 0, effects_hash: String::new(), ..manifest }.write(&dir).unwrap();
    let segment = dir.join("seg-000001.trj");
    let whole = std::fs::read(&segment).unwrap();
    let records = domain::journal::read_segment(&whole, 1, 0, [0; 32]).unwrap().records;
    let third_trade = records.iter().filter(|r| r.kind == Kind::Input).nth(3).unwrap().offset;
    // Trades 1 and 2 are whole, of trade 3 (01:00:00) half is there.
    std::fs::write(&segment, &whole[..third_trade + 20]).unwrap();
    let growing = hour(&home, "2024-08-09T00").await;
    assert_eq!(trades(&home).await, (1, vec![1, 2]));
    assert_eq!(growing.summary["damaged"], serde_json::json!([]), "a torn end is no damage");
    std::fs::write(&segment, &whole).unwrap();
    let grown = hour(&home, "2024-08-09T00").await;
    assert_eq!((&grown.outputs, &grown.inputs), (&growing.outputs, &growing.inputs));
}

fn session(ts: u64) -> Vec<(u64, Event)> {
    let run = RunId::from("m").unwrap();
    let link = Event::Link(Link { venue: Venue::BINANCE, channel: Channel::Market, up: true });
    vec![
        (ts, Event::Session(Session { run, home: 1, epoch: 1, seed: 0 })),
        (ts + 1, instrument(0, "0.01")),
        (ts + 2, link),
    ]
}

#[test]
fn every_run_of_the_day_is_replayed_and_a_changed_hash_is_named_by_run_and_record() {
    let (_dir, home) = home();
    proven(&home, "m", &session(MIDNIGHT + HOUR), None);
    proven(&home, "other-day", &session(MIDNIGHT - HOUR), None);
    let done = verify::verify(&home, "2024-08-09", &|| false).unwrap();
    assert_eq!((done.inputs.len(), done.inputs[0].0.as_str()), (1, "journal/m"));
    assert_eq!((done.marks, done.broken), (1, Vec::new()), "the connection makes the engine ask for a book");
    assert!(verify::verify(&home, "2024-08-10", &|| false).unwrap().inputs.is_empty());

    // The mark of the connection, which is input 2 and record 3, is missing in a run that ended well.
    std::fs::remove_dir_all(home.journal_of("m")).unwrap();
    proven(&home, "m", &session(MIDNIGHT + HOUR), Some(2));
    let broken = verify::verify(&home, "2024-08-09", &|| false).unwrap().broken;
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].starts_with("run m differs at record 3: the journal says no effects"), "{broken:?}");

    // Cut before the day began: what is missing may have been of the day.
    let segment = home.journal_of("other-day").join("seg-000001.trj");
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() - 60]).unwrap();
    let broken = verify::verify(&home, "2024-08-09", &|| false).unwrap().broken;
    assert!(
        broken.len() == 2
            && broken.iter().any(|b| b.starts_with("run other-day: journal") && b.contains("sealed with")),
        "{broken:?}"
    );
}
