//! The daily workflow over a recorded day: through Postgres and apalis, twice, and through a killed worker.

use crate::{BTC, headless, pid_of};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tests::TestHome;

const DAY: &str = "2024-08-08";

/// Every file of lake and reports with its bytes.
fn artefacts(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![home.join("lake"), home.join("reports")];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                todo.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(home).unwrap().to_path_buf();
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

fn check_done(run: &Value) {
    assert_eq!(run["state"], "done", "{run:#}");
    let steps = run["steps"].as_array().unwrap();
    for name in ["ingest", "validate", "features", "ledger", "report"] {
        assert!(steps.iter().any(|s| s["name"] == name && s["state"] == "done"), "{name}: {run:#}");
    }
}

/// Runs the day twice: every step done, the same bytes.
fn check_twice(home: &TestHome, day: &str) {
    let start = format!("run start daily --partition {day} --wait");
    check_done(&home.json(&start, 0));
    let first = artefacts(home.path());
    assert!(first.keys().any(|p| p.ends_with(format!("reports/day={day}/report.html"))), "{:?}", first.keys());
    check_done(&home.json(&start, 0));
    let second = artefacts(home.path());
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        assert!(second[name] == *bytes, "{} changed on the second run", name.display());
    }
}

#[test]
fn a_recorded_day_becomes_lake_ledger_and_report_twice_the_same() {
    let Some(file) = recorded::find("a_recorded_day_becomes_lake_ledger_and_report_twice_the_same", BTC) else {
        return;
    };
    let home = TestHome::new();
    let summary = home.json(&headless(&file), 0);
    check_twice(&home, DAY);
    let rows = count_by_sql(&home);
    // Counted in the capture with grep and awk: 9757 trades, of which 9738 happened before midnight by the venue's
    // clock. The market stands still until the daemon listens, so none is missed.
    assert_eq!(rows, 9738);
    count_by_duckdb(home.path(), rows);
    let report = home.json(&format!("report show {DAY}"), 0);
    assert_eq!(report["execution"]["fills"], summary["fills"], "{report:#}");
    assert!(home.processes().is_empty(), "nothing is left running");
}

#[test]
fn a_day_of_the_synthetic_market_becomes_lake_ledger_and_report_twice_the_same() {
    let home = TestHome::new();
    let day = synthetic(&home).1;
    check_twice(&home, &day);
    let rows = count_by_sql(&home);
    assert!(rows > 0);
    count_by_duckdb(home.path(), rows);
}

/// A run on the synthetic market, which begins now, and the UTC day of its first order.
pub fn synthetic(home: &TestHome) -> (Value, String) {
    let summary = home.json("demo --headless --seconds 90 --speed max --seed 3", 0);
    let listed = home.json("orders list", 0);
    let orders = listed["orders"].as_array().unwrap();
    let first = orders.iter().map(|o| o["created_ns"].as_i64().unwrap()).min().unwrap();
    let day = jiff::Timestamp::from_nanosecond(first.into()).unwrap().strftime("%F").to_string();
    (summary, day)
}

fn count_by_sql(home: &TestHome) -> u64 {
    let result = home.json_args(&["lake", "sql", "select count(*) as n from trades"], 0);
    result["rows"][0][0].as_u64().unwrap()
}

/// DuckDB, another reader altogether, counts the same rows.
fn count_by_duckdb(home: &Path, rows: u64) {
    let Some(python) = std::env::var_os("TRAIDER_PYTHON").filter(|p| Path::new(p).is_file()) else {
        recorded::skipped("count_by_duckdb", "TRAIDER_PYTHON names no Python with duckdb");
        return;
    };
    let glob = home.join("lake/dataset=trades/**/*.parquet");
    let script =
        format!("import duckdb; print(duckdb.sql(\"select count(*) from '{}'\").fetchall()[0][0])", glob.display());
    let output = Command::new(python).args(["-c", &script]).output().unwrap();
    let counted = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!(counted, rows.to_string(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_worker_killed_in_mid_step_is_replaced_and_the_run_completes() {
    let home = TestHome::new();
    let (summary, day) = synthetic(&home);
    // The journal becomes a pipe that nothing comes out of: whoever opens it is in mid-ingest and stays there.
    let segment = home.path().join("journal").join(summary["run_id"].as_str().unwrap()).join("seg-000001.trj");
    let aside = home.path().join("aside.trj");
    fs::rename(&segment, &aside).unwrap();
    mkfifo(&segment, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut child = home
        .command(&format!("run start daily --partition {day} --wait --json"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = loop {
        let opened = File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&segment);
        match opened {
            Ok(pipe) => break pipe,
            // Nobody reads it yet.
            Err(e) if e.raw_os_error() == Some(Errno::ENXIO as i32) => {}
            Err(e) => panic!("the pipe cannot be opened: {e}"),
        }
        if let Some(status) = child.try_wait().unwrap() {
            let output = child.wait_with_output().unwrap();
            panic!("the run ended ({status}) before it read the journal: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::yield_now();
    };
    // The next attempt finds the journal itself; this one still waits at its pipe.
    fs::rename(&aside, &segment).unwrap();
    let pid = pid_of("traider-worker", home.path()).expect("a worker reads the journal");
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(pipe);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("the worker was killed"), "{stderr}");
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    check_done(&run);
    for step in run["steps"].as_array().unwrap() {
        let attempts = if step["name"] == "ingest" { 2 } else { 1 };
        assert_eq!(step["attempt"], attempts, "only the step that was cut off is tried again: {run:#}");
    }
    assert!(count_by_sql(&home) > 0);
}

#[test]
fn what_cannot_be_a_job_is_refused_before_a_database_is_started() {
    let home = TestHome::new();
    let wrong: [(&[&str], &str); 3] = [
        (&["job", "enqueue", "nosuchkind"], "report-daily"),
        (&["job", "enqueue", "report-daily", "--args", r#"{"day":"2024-08-08","dya":1}"#], "dya"),
        (&["job", "enqueue", "report-daily", "--args", "day"], "JSON"),
    ];
    for (arguments, word) in wrong {
        let output = home.command_args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(word), "{stderr}");
        assert!(!home.path().join("pg").exists(), "{arguments:?} started a database");
    }
}
