//! Recorded market data for tests: where it is, and how a test says that it was skipped because it is not there.
#![warn(missing_docs)]

use std::io::Write;
use std::path::{Path, PathBuf};

/// A file or folder of the recorded data: under `TRAIDER_SHARED_DATA`, else beside the checkout. Where it is not there
/// (the data is not part of this repository) the test is reported as skipped.
pub fn find(test: &str, file: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("TRAIDER_SHARED_DATA").map_or_else(beside, PathBuf::from).join(file);
    if path.exists() {
        return Some(path.canonicalize().unwrap_or(path));
    }
    skipped(test, &format!("no recorded data ({file})"));
    None
}

/// Says that a test did not run, and why. Straight to stderr: what a passing test prints is not shown.
pub fn skipped(test: &str, why: &str) {
    // Nothing can be done about a closed stderr.
    writeln!(std::io::stderr(), "skipped: {test}: {why}").ok();
}
