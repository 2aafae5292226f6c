//! Memory of the daemon while four venues talk as fast as they can: emulators in processes of their own, real sockets, the
//! whole daemon with its journal. `make bench-memory` prints a row every ten seconds; nothing here asserts anything.
//!
//! `MEMORY_MESSAGES` (72 000 000 unless set: an hour at 20 000 a second) ends it, or `MEMORY_MINUTES` (60). `MEMORY_SPEED` is how
//! much faster than real time the markets run.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The venues, the traded one first, and the symbols of each.
const VENUES: [(&str, &str); 4] = [
    ("binance", "BTCUSDT,ETHUSDT,SOLUSDT"),
    ("kraken", "BTC/USD,ETH/USD"),
    ("coinbase", "BTC-USD,ETH-USD"),
    ("bybit", "BTCUSDT,ETHUSDT"),
];

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A process that ends with this one.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn emulator(programs: &Path, (dialect, symbols): (&str, &str), seed: u64, speed: u64) -> (Ended, String) {
    let mut child = Command::new(programs.join("traider-emulator"))
        .args(["--dialect", dialect, "--symbols", symbols, "--source", &format!("synthetic:{seed}")])
        .args(["--speed", &speed.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("traider-emulator is built beside this bench");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says where it listens");
    let ready: Value = serde_json::from_str(&line).expect("in JSON");
    (Ended(child), format!("http://{}", ready["address"].as_str().expect("with its address")))
}

fn ask(socket: &Path, what: &Value) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(format!("{what}\n").as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// Resident memory, KiB.
fn resident(pid: u32) -> Option<u64> {
    let said = Command::new("ps").args(["-o", "rss=", "-p", &pid.to_string()]).output().ok()?;
    String::from_utf8(said.stdout).ok()?.trim().parse().ok()
}

/// Removes closed segments, so that the disk holds what the daemon still writes.
fn sweep(journal: &Path) {
    let Ok(all) = std::fs::read_dir(journal) else { return };
    let mut segments: Vec<PathBuf> =
        all.filter_map(|f| Some(f.ok()?.path())).filter(|p| p.extension().is_some_and(|e| e == "trj")).collect();
    segments.sort();
    segments.pop();
    for segment in segments {
        std::fs::remove_file(segment).ok();
    }
}

fn main() {
    let programs =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from).join("release");
    if !programs.join("traiderd").exists() {
        println!("traiderd is not built in `{}`; `make build` does that", programs.display());
        return;
    }
    let (messages, minutes) = (setting("MEMORY_MESSAGES", 72_000_000), setting("MEMORY_MINUTES", 60));
    let speed = setting("MEMORY_SPEED", 100);
    let emulators: Vec<(Ended, String)> =
        (1..).zip(VENUES).map(|(seed, venue)| emulator(&programs, venue, seed, speed)).collect();
    let home = tempfile::tempdir().expect("a temporary folder");
    let config = home.path().join("engine.json");
    std::fs::write(&config, engine_config().to_string()).expect("the folder can be written");
    let mut daemon = Command::new(programs.join("traiderd"));
    daemon.args(["--mode", "demo", "--run-id", "memory", "--symbols", VENUES[0].1, "--venue-url", &emulators[0].1]);
    daemon.arg("--home").arg(home.path()).arg("--engine-config").arg(&config);
    for ((venue, symbols), (_, url)) in VENUES.iter().zip(&emulators).skip(1) {
        daemon.args(["--watch", &format!("{venue}={url};{symbols}")]);
    }
    let daemon = daemon.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("traiderd starts");
    let (pid, daemon) = (daemon.id(), Ended(daemon));
    let (socket, journal) = (home.path().join("run/traiderd.sock"), home.path().join("journal/memory"));
    println!("{:>8} {:>14} {:>10} {:>10}", "seconds", "messages", "a second", "RSS MiB");
    let (began, mut before) = (Instant::now(), (0, Instant::now()));
    while began.elapsed() < Duration::from_secs(minutes * 60) {
        std::thread::sleep(Duration::from_secs(10));
        sweep(&journal);
        let Some(status) = ask(&socket, &json!({"get": "status"})) else { continue };
        let streams = status["streams"].as_array().cloned().unwrap_or_default();
        let frames: u64 = streams.iter().filter_map(|s| s["frames"].as_u64()).sum();
        let rate = (frames - before.0) as f64 / before.1.elapsed().as_secs_f64();
        before = (frames, Instant::now());
        let resident = resident(pid).map_or_else(|| "?".to_owned(), |kib| format!("{:.1}", kib as f64 / 1024.0));
        println!("{:>8} {frames:>14} {rate:>10.0} {resident:>10}", began.elapsed().as_secs());
        if frames >= messages {
            break;
        }
    }
    drop(daemon);
}

/// Limits that let nothing through: what is measured is the market side.
fn engine_config() -> Value {
    json!({
        "risk": {"order_value_max": "1", "position_value_max": "1", "daily_loss_max": "1", "book_age_ms_max": 1500,
            "price_collar_bps": 50, "orders_per_second_max": 1, "orders_per_minute_max": 1, "open_orders_max": 1},
        "fees": {"maker_bps": 10, "taker_bps": 10},
        "strategies": [],
    })
}
