//! What an operator meets: helpers that die, a daemon that does not answer, halts that outlast it, readers that leave.

use crate::pid_of;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::Read;
use std::process::Stdio;
use tests::TestHome;

fn up(home: &TestHome) -> serde_json::Value {
    home.json("up --port 0", 0)
}

#[test]
fn page_and_worker_come_back_when_killed_and_trading_goes_on() {
    let home = TestHome::new();
    up(&home);
    let daemon = pid_of("traiderd", home.path()).unwrap();
    for name in ["traider-worker", "traider-dashboard"] {
        let old = pid_of(name, home.path()).unwrap();
        kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
        while pid_of(name, home.path()).is_none_or(|pid| pid == old) {
            std::thread::yield_now();
        }
        assert_eq!(pid_of("traiderd", home.path()), Some(daemon), "the daemon was not touched");
    }
    // The worker that came back does the work.
    home.json("run start daily --partition 2024-08-08 --wait", 0);
    assert_eq!(home.json("down", 0)["was_running"], true);
    assert!(home.processes().is_empty(), "{:?}", home.processes());
}

#[test]
fn a_swept_run_folder_lets_no_second_supervisor_in() {
    let home = TestHome::new();
    up(&home);
    fs::remove_dir_all(home.path().join("run")).unwrap();
    let second = home.run("up --port 0");
    assert_eq!(second.status.code(), Some(7), "{}", String::from_utf8_lossy(&second.stderr));
    let status = home.json("status", 5);
    assert_eq!(status["state"], "unknown", "what cannot be asked is not taken for gone: {status}");
    assert_eq!(home.json("down", 0)["was_running"], true);
    assert!(home.processes().is_empty(), "{:?}", home.processes());
}

#[test]
fn a_daemon_that_does_not_answer_is_not_called_down() {
    let home = TestHome::new();
    up(&home);
    let daemon = Pid::from_raw(pid_of("traiderd", home.path()).unwrap());
    kill(daemon, Signal::SIGSTOP).unwrap();
    assert_eq!(home.json("status", 5)["state"], "unknown");
    let halt = home.run("halt --reason silence");
    let words = String::from_utf8_lossy(&halt.stderr).into_owned();
    assert_eq!(halt.status.code(), Some(5), "{words}");
    assert!(words.contains("not known"), "{words}");
    kill(daemon, Signal::SIGCONT).unwrap();
    home.json("down", 0);
}

#[test]
fn a_halt_is_kept_shown_and_lifted_without_a_daemon() {
    let home = TestHome::new();
    assert_eq!(home.run("resume --reason nothing").status.code(), Some(7), "nothing is halted");
    assert_eq!(home.run("halt --reason=").status.code(), Some(2), "a reason is needed");
    home.json("halt --reason maintenance", 0);
    assert_eq!(home.json("status", 12)["halt"]["reason"], "maintenance");
    let halted = home.json("demo --headless --seconds 60 --speed max --seed 3", 0);
    assert_eq!(halted["orders"]["sent"], 0, "{halted}");
    home.json("resume --reason done", 0);
    assert!(home.json("status", 12)["halt"].is_null());
    let trading = home.json("demo --headless --seconds 60 --speed max --seed 3", 0);
    assert!(trading["orders"]["sent"].as_u64() > Some(0), "{trading}");
}

#[test]
fn a_reader_that_leaves_and_a_full_device_are_no_panic() {
    let home = TestHome::new();
    let mut child = home.command("config show --json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut words = String::new();
    child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert!(child.wait().unwrap().success(), "{words}");
    assert_eq!(words, "");
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else { return recorded::skipped("a full device", "no /dev/full here") };
    let output = home.command("config show --json").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("could not be written") && !words.contains("panicked"), "{words}");
}
