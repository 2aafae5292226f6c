//! A disk that fills up while the daemon writes: trading stops at once and says why, and what was written still proves
//! itself. The disk is a small memory file system in a name space of the test's own, so that no root is needed.

use serde_json::Value;
use std::process::{Command, Stdio};
use tests::{TestHome, bin_dir};

const SCRIPT: &str = r#"
set -u
home=$1; traider=$2; kib=$3
mount -t tmpfs -o size="${kib}k" tmpfs "$home" || exit 99
"$traider" demo --headless --seconds 240 --speed 20 --home "$home" --json >/dev/null || echo "{\"ended\": $?}"
"$traider" parity --home "$home" --json || exit 98
mount -o remount,size=64m tmpfs "$home" || exit 99
"$traider" demo --headless --seconds 20 --speed 20 --home "$home" --json || exit 97
"$traider" parity --home "$home" --json || exit 96
"#;

#[test]
fn a_full_disk_stops_trading_and_what_was_written_stays_proven() {
    let unshare = ["--user", "--map-root-user", "--mount", "--"];
    let probe = Command::new("unshare").args(unshare).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    if !probe.is_ok_and(|p| p.status.success()) {
        recorded::skipped("a_full_disk_stops_trading_and_what_was_written_stays_proven", "no mount name spaces here");
        return;
    }
    for kib in [200, 1000] {
        let home = TestHome::new();
        let output = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", SCRIPT, "sh"])
            .arg(home.path())
            .arg(bin_dir().join("traider"))
            .arg(kib.to_string())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{kib} KiB: {stdout}\n{stderr}");
        let said: Vec<Value> =
            serde_json::Deserializer::from_str(&stdout).into_iter().collect::<Result<_, _>>().unwrap();
        let [ended, cut, next, whole] = &said[..] else { panic!("{kib} KiB: {stdout}\n{stderr}") };
        assert_eq!(ended["ended"], 1, "{kib} KiB: {stderr}");
        for words in ["the journal cannot be written", "free disk space", "No space left on device"] {
            assert!(stderr.contains(words), "{kib} KiB: `{words}` is not in: {stderr}");
        }
        assert!(!stderr.contains("panicked"), "{kib} KiB: {stderr}");
        assert_eq!((&cut["equal"], &cut["sealed"]), (&true.into(), &false.into()), "{kib} KiB: {cut}");
        assert!(cut["inputs"].as_u64() > Some(100), "{kib} KiB: it had begun: {cut}");
        // With room again the same home works as before.
        assert_eq!((&whole["equal"], &whole["run_id"]), (&true.into(), &next["run_id"]), "{kib} KiB: {whole}");
        assert!(home.processes().is_empty(), "processes left behind: {:?}", home.processes());
    }
}
