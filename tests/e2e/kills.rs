//! `kill -9` of the daemon at random moments: nothing is lost, nothing doubled, the books equal the venue's.

use crate::{pid_of, soak};
use domain::Decimal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use tests::TestHome;

/// Bytes in all journals of this home.
fn journal_bytes(home: &Path) -> u64 {
    let runs = fs::read_dir(home.join("journal")).into_iter().flatten().flatten();
    runs.flat_map(|run| fs::read_dir(run.path()).into_iter().flatten().flatten())
        .filter_map(|file| file.metadata().ok())
        .map(|m| m.len())
        .sum()
}

/// A small generator, so that a seed names the moments.
struct Moments(u64);
impl Moments {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn check_kills(seed: u64, kills: u32) {
    let home = TestHome::new();
    let mut child = home
        .command("demo --headless --seconds 240 --speed 20 --json")
        .args(["--seed", &seed.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut moments = Moments(seed * 2_654_435_761 + 1);
    let mut done = 0;
    // All kills fit into the run: its journal is about 4 MB long.
    let spread = u64::from(3_000_000 / kills);
    // The moment is a size of the journal, not a time: it falls anywhere between two bytes of the run.
    let mut next = 20_000 + moments.below(60_000);
    while done < kills && child.try_wait().unwrap().is_none() {
        if journal_bytes(home.path()) >= next
            && let Some(pid) = pid_of("traiderd", home.path())
        {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
            done += 1;
            next = journal_bytes(home.path()) + 5_000 + moments.below(spread);
        }
        std::thread::yield_now();
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "seed {seed}: {stderr}");
    assert_eq!(done, kills, "seed {seed}: the run ended before the last kill");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["restarts"], done, "seed {seed}: {stderr}");
    check_against_venue(&home, &summary, seed);
    // Without orders under way there would be nothing to lose.
    let sent = summary["orders"]["sent"].as_u64().unwrap();
    assert!(sent > u64::from(done) / 4, "seed {seed}: only {sent} orders in {done} kills");
    println!(
        "seed {seed}: {done} kills, {} orders, {} fills, journal of {} bytes",
        summary["orders"]["sent"],
        summary["fills"],
        journal_bytes(home.path())
    );
}

fn check_against_venue(home: &TestHome, summary: &Value, seed: u64) {
    let number = |v: &Value| Decimal::parse(v.as_str().unwrap_or_else(|| panic!("seed {seed}: {v}"))).unwrap();
    let venue = &summary["venue"];
    let run = summary["run_id"].as_str().unwrap();
    let listed = home.json(&format!("orders list --run {run}"), 0);
    let orders = listed["orders"].as_array().unwrap();
    assert!(orders.iter().all(|o| o["state"] != "unknown" && o["state"] != "in_flight"), "seed {seed}: all proven");
    let arrived = orders.iter().filter(|o| o["state"] != "denied" && o["state"] != "never_arrived").count();
    assert_eq!(venue["orders"], arrived, "seed {seed}: every order once at the venue");
    let mut ids: Vec<_> = orders.iter().map(|o| o["order_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), orders.len(), "seed {seed}: no id twice");
    assert_eq!(venue["fills"], summary["fills"], "seed {seed}: every fill once");
    assert_eq!(number(&venue["balances"]["BTC"]), number(&summary["position"]["BTCUSDT"]), "seed {seed}: holding");
    let positions = home.json(&format!("positions --run {run}"), 0);
    assert_eq!(
        number(&positions["positions"][0]["position"]),
        number(&venue["balances"]["BTC"]),
        "seed {seed}: sum of fills"
    );
    assert_eq!(home.json(&format!("parity {run}"), 0)["equal"], true, "seed {seed}: parity over all restarts");
}

#[test]
fn a_killed_daemon_loses_and_doubles_nothing() {
    let (seeds, kills) = if soak() { (4, 20) } else { (1, 4) };
    for seed in 1..=seeds {
        check_kills(seed, kills);
    }
}
