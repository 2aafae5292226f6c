//! Facts of runs: what is told, and what is refused.

use super::made::{MIDNIGHT, SECOND, home, instrument, level, proven, trade};
use data::{DataError, exec, facts, facts_from_journal, runs};
use domain::event::{Quote, Session};
use domain::{Event, InstrumentId, RunId};
use serde_json::json;
use settings::{Home, Mode, RunManifest};
use spec::facts::Mark;

const DAY_NS: i64 = 86_400_000_000_000;

/// Takes bytes off the end of a run's journal.
fn cut(home: &Home, run: &str, bytes: usize) {
    let segment = home.journal_of(run).join("seg-000001.trj");
    let whole = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &whole[..whole.len() - bytes]).unwrap();
}

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
    for run in ["sound", "other-build", "damaged", "cut", "half-written", "no-manifest"] {
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
    cut(&home, "cut", 12);
    std::fs::write(home.journal_of("half-written").join("manifest.json"), "{").unwrap();
    std::fs::remove_file(home.journal_of("no-manifest").join("manifest.json")).unwrap();

    let told = facts::of_all(&home, || false).unwrap();
    assert_eq!(told.facts.iter().map(|f| f.run_id.as_str()).collect::<Vec<_>>(), ["sound"]);
    let reason = |run: &str| &told.refused.iter().find(|r| r.run == run).unwrap().reason;
    assert_eq!(told.refused.len(), 4, "a folder without a manifest is no run: {:?}", told.refused);
    assert!(reason("other-build").contains("cannot be told with this build"), "{}", reason("other-build"));
    assert!(reason("damaged").contains("damaged"), "{}", reason("damaged"));
    assert!(
        reason("cut").contains("is damaged at record") && reason("cut").contains("sealed with"),
        "{}",
        reason("cut")
    );
    assert!(reason("half-written").contains("manifest.json"), "{}", reason("half-written"));
    assert!(matches!(facts::of_all(&home, || true), Err(DataError::Cancelled)));

    // Whose journal is whole concerns its own days; of the others nobody knows when they ended, or began.
    let concerns = |run: &str| {
        let refused = told.refused.iter().find(|r| r.run == run).unwrap();
        let midnight = i64::try_from(MIDNIGHT).unwrap();
        [-1, 0, 1].map(|day| refused.concerns(midnight + day * DAY_NS, midnight + (day + 1) * DAY_NS))
    };
    assert_eq!(concerns("other-build"), [false, true, false]);
    assert_eq!(concerns("cut"), [false, true, true]);
    assert_eq!(concerns("damaged"), [false, true, true]);
    assert_eq!(concerns("half-written"), [true, true, true]);
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

#[test]
fn a_sealed_run_that_was_cut_is_damaged_wherever_it_was_cut() {
    let (_dir, home) = home();
    proven(&home, "r", &opened("r", vec![(MIDNIGHT + 1, trade(0, MIDNIGHT, 7, 90, 1))]), None);
    let dir = home.journal_of("r");
    let segment = dir.join("seg-000001.trj");
    let whole = std::fs::read(&segment).unwrap();
    assert!(facts_from_journal(&dir).is_ok());
    for length in 0..whole.len() {
        std::fs::write(&segment, &whole[..length]).unwrap();
        let error = facts_from_journal(&dir).unwrap_err();
        assert_eq!(error.exit_code(), 8, "{length}: {error}");
        assert!(error.damage().is_some_and(|d| d["seq"].is_u64()), "{length}: {error}");
        let verdict = exec(&home, "parity", &json!({ "run": "r" })).unwrap();
        assert_eq!((verdict.exit_code, &verdict.value["equal"]), (8, &json!(false)), "{length}");
        assert!(verdict.value["damage"].is_object() && verdict.value.get("error").is_none(), "{}", verdict.value);
    }
    // Not even the file is left: the manifest knows that there was one.
    std::fs::remove_file(&segment).unwrap();
    assert_eq!(facts_from_journal(&runs::find(&home, "latest").unwrap().dir).unwrap_err().exit_code(), 8);
}

fn change(home: &Home, run: &str, change: impl FnOnce(&mut RunManifest)) {
    let dir = home.journal_of(run);
    let mut manifest = RunManifest::read(&dir).unwrap();
    change(&mut manifest);
    manifest.write(&dir).unwrap();
}

#[test]
fn the_latest_run_is_one_that_traded_and_backtests_are_named() {
    let (_dir, home) = home();
    proven(&home, "tried", &opened("tried", Vec::new()), None);
    change(&home, "tried", |m| m.mode = Mode::Backtest);
    let latest = || runs::find(&home, "latest").unwrap().manifest.run_id;
    assert_eq!(latest(), "tried", "there is nothing else");
    proven(&home, "traded", &opened("traded", Vec::new()), None);
    change(&home, "tried", |m| m.created_ns += 1);
    assert_eq!(latest(), "traded", "though the backtest was written later");
    assert_eq!(runs::find(&home, "tried").unwrap().manifest.mode, Mode::Backtest);
    let unknown = runs::find(&home, "trade").unwrap_err();
    assert!(unknown.exit_code() == 1 && unknown.to_string().contains("traded"), "{unknown}");

    // It was started and ended before its journal began.
    proven(&home, "nothing", &opened("nothing", Vec::new()), None);
    std::fs::remove_file(home.journal_of("nothing").join("seg-000001.trj")).unwrap();
    change(&home, "nothing", |m| (m.sealed, m.records) = (false, 0));
    assert_eq!(latest(), "traded");
    assert_eq!(runs::all(&home).unwrap().len(), 2);

    // A manifest that is none is told as what it is.
    std::fs::write(home.journal_of("traded").join("manifest.json"), "{").unwrap();
    assert_eq!(runs::find(&home, "traded").unwrap_err().exit_code(), 8);
}

#[test]
fn an_order_is_searched_in_all_runs_and_what_could_not_be_searched_is_named() {
    let (_dir, home) = home();
    for run in ["sound", "cut"] {
        proven(&home, run, &opened(run, Vec::new()), None);
    }
    cut(&home, "cut", 12);
    for verb in ["why", "order"] {
        let ask =
            |run: Option<&str>| exec(&home, verb, &json!({ "order": "trd-00000001-1-1", "run": run })).unwrap_err();
        let all = ask(None);
        assert!(all.exit_code() == 1 && all.to_string().contains("not readable: cut ("), "{verb}: {all}");
        assert_eq!(ask(Some("sound")).exit_code(), 1, "{verb}");
        assert_eq!(ask(Some("cut")).exit_code(), 8, "{verb}: what is not there may have been cut off");
    }
}
