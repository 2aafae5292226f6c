//! Facts of runs: what is told, and what is refused.

use super::made::{MIDNIGHT, SECOND, home, instrument, level, proven, trade};
use data::{DataError, facts, facts_from_journal};
use domain::event::{Quote, Session};
use domain::{Event, InstrumentId, RunId};
use settings::RunManifest;
use spec::facts::Mark;

/// A session and an instrument, then what is told.
fn opened(run: &str, told: Vec<(u64, Event)>) -> Vec<(u64, Event)> {
    let session = Event::Session(Session { run: RunId::from(run).unwrap(), home: 1, epoch: 1, seed: 0 });
    [vec![(MIDNIGHT, session), (MIDNIGHT, instrument(0, "0.01"))], told].concat()
}

#[test]
fn a_mark_is_the_last_price_with_the_time_it_was_seen() {
    let (_dir, home) = home();
    // Our clock is 2 s behind the venue's, and it is ours that counts.
    let at = |s: u64| MIDNIGHT + s * SECOND;
    let (bid, ask) = (level(99, 1), level(102, 1));
    let quote = Event::Quote(Quote { instrument: InstrumentId(0), ts_venue_ns: 0, update_id: 5, bid, ask });
    let seen = [(at(1), trade(0, at(3), 7, 90, 1)), (at(4), quote), (at(6), trade(0, at(8), 8, 101, 1))];
    let marks = |run: &str, count: usize| {
        proven(&home, run, &opened(run, seen[..count].to_vec()), None);
        facts_from_journal(&home.journal_of(run)).unwrap().marks
    };
    let want = |price: &str, s| vec![Mark { symbol: "BTCUSDT".into(), price: price.parse().unwrap(), ts_ns: at(s) }];
    assert_eq!(marks("none", 0), []);
    assert_eq!(marks("trade", 1), want("0.90", 1));
    assert_eq!(marks("quote", 2), want("1.005", 4));
    assert_eq!(marks("last", 3), want("1.01", 6));
}

#[test]
fn a_run_that_proves_nothing_is_refused_by_itself() {
    let (_dir, home) = home();
    for run in ["sound", "other-build", "damaged", "half-written", "no-manifest"] {
        proven(&home, run, &opened(run, vec![(MIDNIGHT + 1, trade(0, MIDNIGHT, 7, 90, 1))]), None);
    }
    // What a build that decides otherwise leaves behind: effects that this one does not have.
    let dir = home.journal_of("other-build");
    let sealed = RunManifest::read(&dir).unwrap();
    RunManifest { effects_hash: "11".repeat(32), ..sealed }.write(&dir).unwrap();
    let segment = home.journal_of("damaged").join("seg-000001.trj");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    std::fs::write(home.journal_of("half-written").join("manifest.json"), "{").unwrap();
    std::fs::remove_file(home.journal_of("no-manifest").join("manifest.json")).unwrap();

    let told = facts::of_all(&home, || false).unwrap();
    assert_eq!(told.facts.iter().map(|f| f.run_id.as_str()).collect::<Vec<_>>(), ["sound"]);
    let reason = |run: &str| &told.refused.iter().find(|r| r.run == run).unwrap().reason;
    assert_eq!(told.refused.len(), 3, "a folder without a manifest is no run: {:?}", told.refused);
    assert!(reason("other-build").contains("cannot be told with this build"), "{}", reason("other-build"));
    assert!(reason("damaged").contains("damaged"), "{}", reason("damaged"));
    assert!(reason("half-written").contains("manifest.json"), "{}", reason("half-written"));
    assert!(matches!(facts::of_all(&home, || true), Err(DataError::Cancelled)));
}

#[test]
fn a_journal_that_cannot_be_read_now_is_not_refused_but_tried_again() {
    let (_dir, home) = home();
    for run in ["sound", "unreadable"] {
        proven(&home, run, &opened(run, Vec::new()), None);
    }
    // A folder where a file should be: reading it is an error of the system, for whoever asks.
    let segment = home.journal_of("unreadable").join("seg-000001.trj");
    std::fs::remove_file(&segment).unwrap();
    std::fs::create_dir(&segment).unwrap();
    let error = facts::of_all(&home, || false).unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(matches!(store::StepError::from(error), store::StepError::Transient(_)));
}
