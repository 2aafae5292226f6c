//! What people get wrong and machines break: one clear message, the right exit code, nothing half-written, nothing left.

use crate::{BTC, headless};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Output, Stdio};
use tests::TestHome;

#[track_caller]
fn check(home: &TestHome, output: &Output, exit: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "`{word}` is not in: {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(home.processes().is_empty(), "processes left behind: {:?}", home.processes());
}

#[test]
fn a_missing_capture_is_named() {
    let home = TestHome::new();
    let output = home.run("demo --headless --source capture:/nowhere/at-all.gz --speed max");
    check(&home, &output, 1, &["/nowhere/at-all.gz"]);
    let output = home.run("backtest run --source capture:/nowhere/at-all.gz");
    check(&home, &output, 1, &["/nowhere/at-all.gz"]);
}

#[test]
fn a_truncated_capture_is_refused_before_anything_runs() {
    let Some(file) = recorded::find("a_truncated_capture_is_refused_before_anything_runs", BTC) else { return };
    let home = TestHome::new();
    let cut = home.path().join("cut.gz");
    let whole = fs::read(file).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    check(&home, &home.run(&headless(&cut)), 1, &["cut.gz", "truncated"]);
    let runs = fs::read_dir(home.path().join("journal")).map_or(0, |d| d.count());
    assert_eq!(runs, 0, "no journal was begun");
    fs::write(&cut, b"this is not gzip").unwrap();
    check(&home, &home.run(&headless(&cut)), 1, &["cut.gz", "gzip"]);
}

#[test]
fn wrong_words_on_the_command_line_say_what_is_right() {
    let home = TestHome::new();
    check(&home, &home.run("demo --headless --source tape:x"), 2, &["tape:x", "capture:FILE"]);
    check(&home, &home.run("demo --headless --speed fast"), 2, &["fast", "max"]);
    check(&home, &home.run("why 17"), 2, &["17", "trd-"]);
    check(&home, &home.run("orderz"), 2, &["orders"]);
}

#[test]
fn an_unknown_setting_names_the_nearest_one() {
    let home = TestHome::new();
    fs::create_dir_all(home.path().join("config")).unwrap();
    fs::write(home.path().join("config/traider.toml"), "[engine.risk]\ndaily_los_max = \"1\"\n").unwrap();
    check(&home, &home.run("config check"), 3, &["daily_los_max", "did you mean `daily_loss_max`?"]);
    check(&home, &home.run("demo --headless"), 3, &["daily_los_max"]);
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let home = TestHome::new();
    // A file where the folder should be fails for root, too.
    fs::write(home.path().join("run"), b"").unwrap();
    check(&home, &home.run("demo --headless"), 1, &["home folder", "--home"]);
}

#[test]
fn without_postgres_the_demo_says_what_to_install_and_starts_nothing() {
    let home = TestHome::new();
    let output =
        home.command("demo --port 0").env("TRAIDER_PG_BIN", "/nowhere").env("PATH", "/nowhere").output().unwrap();
    check(&home, &output, 5, &["Postgres", "DATABASE_URL"]);
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = TestHome::new();
    let output = home.run(&format!("demo --port {port}"));
    check(&home, &output, 5, &[&port]);
}

#[test]
fn a_second_start_in_the_same_home_is_refused() {
    let home = TestHome::new();
    let mut first = start(&home, "demo --headless --seconds 600 --speed 1");
    wait_for_journal(&home);
    let second = home.run("demo --headless");
    assert_eq!(second.status.code(), Some(7), "{}", String::from_utf8_lossy(&second.stderr));
    assert!(String::from_utf8_lossy(&second.stderr).contains("already runs"));
    interrupt(&first);
    assert_eq!(first.wait().unwrap().code(), Some(130));
}

#[test]
fn ctrl_c_stops_everything_and_leaves_a_whole_journal() {
    let home = TestHome::new();
    let mut child = start(&home, "demo --headless --seconds 600 --speed 1");
    wait_for_journal(&home);
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(home.processes().is_empty(), "processes left behind");
    assert_eq!(home.json("parity", 0)["equal"], true);
}

#[test]
fn ctrl_c_at_any_stage_of_the_start_leaves_nothing_running() {
    // The start says what it has reached, line by line; each line is a moment to interrupt it.
    for lines in 1..=4 {
        let home = TestHome::new();
        let mut child = home.command("demo --port 0").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let heard: Vec<String> = said.by_ref().take(lines).map_while(Result::ok).collect();
        assert_eq!(heard.len(), lines, "{heard:?}");
        interrupt(&child);
        let rest: Vec<String> = said.map_while(Result::ok).collect();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{heard:?} {rest:?}");
        assert!(home.processes().is_empty(), "after {heard:?}: {:?}", home.processes());
    }
}

#[test]
fn up_and_down_leave_nothing_behind() {
    let home = TestHome::new();
    let up = home.json("up --port 0", 0);
    assert!(up["dashboard"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{up}");
    assert_eq!(home.run("up --port 0").status.code(), Some(7));
    let status = home.run("status --json");
    let state: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_ne!(state["state"], "down", "{state}");
    home.json("halt --reason test", 0);
    home.json("down", 0);
    assert_eq!(home.run("status").status.code(), Some(12));
    assert!(home.processes().is_empty(), "processes left behind: {:?}", home.processes());
}

fn start(home: &TestHome, arguments: &str) -> std::process::Child {
    home.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn interrupt(child: &std::process::Child) {
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
}

/// Until the daemon of this home has written its first records.
fn wait_for_journal(home: &TestHome) {
    let begun = || {
        let runs = fs::read_dir(home.path().join("journal")).into_iter().flatten().flatten();
        runs.filter_map(|r| fs::metadata(r.path().join("seg-000001.trj")).ok()).any(|m| m.len() > 10_000)
    };
    while !begun() {
        std::thread::yield_now();
    }
}
