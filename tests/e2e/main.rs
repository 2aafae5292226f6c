//! The whole system as a user meets it: the built programs, real sockets, a real Postgres, real signals.
//!
//! Long campaigns run a small sample here; `TRAIDER_SOAK=1` (that is `make soak`) runs them in full.
#![expect(clippy::unwrap_used, reason = "a helper that panics fails the test that called it")]

mod bad_input;
mod capture;
mod daily;
mod disk_full;
mod kills;
mod operator;
mod workflows;

use std::path::Path;

/// True when the long campaigns run in full.
fn soak() -> bool {
    std::env::var_os("TRAIDER_SOAK").is_some()
}

/// The command line of a headless run over `file` at full speed.
fn headless(file: &Path) -> String {
    format!("demo --headless --source capture:{} --speed max", file.display())
}

const BTC: &str = "l2/binance_raw/spot_btcusdt_20240808.gz";
const ETH: &str = "l2/binance_raw/spot_ethusdt_20240808.gz";

/// Pid of `program` of this home, if one runs.
fn pid_of(program: &str, home: &Path) -> Option<i32> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut words = line.split('\0');
        let first = Path::new(words.next()?);
        (first.file_name().is_some_and(|name| name == program) && words.any(|w| Path::new(w) == home)).then_some(pid)
    })
}
