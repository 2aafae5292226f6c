//! The program itself: its ready line, its signals, its exit codes, and the server it starts.

#![expect(clippy::unwrap_used, reason = "tests")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use settings::Home;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use store::Cluster;
use store::testing::TestHome;

fn worker(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_traider-worker"));
    command.env_remove("DATABASE_URL").env("TRAIDER_PG_FAST", "1").env("TRAIDER_HOME", home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A home that the database's user may enter.
fn temporary() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("traider-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    dir
}

/// Waits for the ready line.
fn ready(child: &mut Child) -> Value {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a ready line: {line:?}"))
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

#[test]
fn it_says_when_it_is_ready_and_takes_its_server_down_when_asked_to_stop() {
    let dir = temporary();
    for name in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = worker(dir.path()).arg("run").spawn().unwrap();
        let said = ready(&mut child);
        assert_eq!((said["event"].as_str(), said["pid"].as_u64()), (Some("ready"), Some(u64::from(child.id()))));
        let home = Home::locate(Some(dir.path()));
        assert!(Cluster::attach(&home).unwrap().is_some(), "the server runs");
        signal(&child, name);
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        assert!(Cluster::attach(&home).unwrap().is_none(), "the server is stopped after {name}");
    }
}

#[test]
fn it_stops_with_its_parent_and_leaves_a_server_it_did_not_start() {
    let home = TestHome::start().unwrap();
    let mut parent = Command::new("sleep").arg("600").spawn().unwrap();
    let mut run = worker(home.home.root());
    let mut child = run.args(["run", "--parent-pid", &parent.id().to_string()]).spawn().unwrap();
    ready(&mut child);
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(Cluster::attach(&home.home).unwrap().is_some());
}

#[test]
fn a_database_url_is_used_instead_of_a_server_of_its_own() {
    let elsewhere = TestHome::start().unwrap();
    let dir = temporary();
    let database = format!("postgres:///postgres?host={}&user=traider", elsewhere.cluster().socket().display());
    let ended = worker(dir.path()).args(["run", "--once"]).env("DATABASE_URL", database).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(!dir.path().join("pg").exists());
}

#[test]
fn what_cannot_be_reached_ends_with_code_5_and_says_where() {
    let dir = temporary();
    let nowhere = format!("postgres:///postgres?host={}", dir.path().display());
    let ended = worker(dir.path()).arg("run").env("DATABASE_URL", nowhere).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(5), "{said}");
    assert!(said.contains("cannot be reached") && said.contains(&dir.path().display().to_string()), "{said}");
}

#[test]
fn exec_answers_with_one_object_and_the_code_of_the_failure() {
    let dir = temporary();
    let answer = |args: &[&str]| {
        let ended = worker(dir.path()).arg("exec").args(args).output().unwrap();
        let value: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(value["error"]["exit_code"].as_i64().map(|c| c as i32), ended.status.code());
        (ended.status.code(), value["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(answer(&["bogus"]).0, Some(2));
    assert_eq!(answer(&["parity", "--json", "{"]).0, Some(2));
    let (code, message) = answer(&["facts", "--json", "{\"run\": \"none\"}"]);
    assert!(code == Some(1) && message.contains("there are no runs"), "{code:?} {message}");
}
