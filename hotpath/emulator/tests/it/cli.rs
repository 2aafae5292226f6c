//! The program itself: exit codes, the ready line, the end.

use crate::support::*;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

fn emulator(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_traider-emulator"));
    command.args(args).stdin(Stdio::null());
    command
}

fn refused(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = emulator(args).output().unwrap();
    assert!(stdout.is_empty(), "nothing is ready");
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A running program and its ready line.
fn started(args: &[&str]) -> (Child, Value) {
    let mut child = emulator(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[test]
fn exit_codes_tell_usage_failure_and_a_taken_port_apart() {
    assert_eq!(refused(&["--source", "nonsense"]).0, Some(2));
    assert_eq!(refused(&["--source", "synthetic:1", "--speed", "fast"]).0, Some(2));
    assert_eq!(refused(&["--source", "synthetic:1", "--quote-balance", "-1"]).0, Some(2));
    let (code, text) = refused(&["--source", "capture:/no/such/file.gz"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("could not open the capture `/no/such/file.gz`"), "{text}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, text) = refused(&["--source", "synthetic:1", "--port", &port]);
    assert_eq!(code, Some(5));
    assert!(text.contains(&port), "{text}");
}

#[test]
fn the_ready_line_is_in_the_file_too_and_a_signal_ends_it_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("emulator.json");
    let (mut child, line) = started(&["--source", "synthetic:3", "--ready-file", ready.to_str().unwrap()]);
    let file: Value = serde_json::from_str(&std::fs::read_to_string(&ready).unwrap()).unwrap();
    assert_eq!(line, file);
    assert_eq!(line["symbols"], serde_json::json!(["BTCUSDT"]));
    let url = format!("ws://{}/stream?streams=btcusdt@trade", line["address"].as_str().unwrap());
    let mut client = Client::connect(&url);
    client.text();
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(client.rest().1, In::Close(1001, "the emulator stops".to_owned()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_ends_with_the_process_it_was_told_to_watch() {
    let mut watched = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = watched.id().to_string();
    let (mut child, _) = started(&["--source", "synthetic:3", "--parent-pid", &pid]);
    watched.kill().unwrap();
    watched.wait().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
