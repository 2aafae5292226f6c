//! Where tests find files: the checkout, and the recorded market data beside it; how a test says that it was skipped
//! because that is not there.
#![warn(missing_docs)]

use std::io::Write;
use std::path::PathBuf;

/// The checkout's root folder. Asked for when the test runs, never when it is compiled: compiled crates are kept in a
/// cache that outlives the checkout they were made in.
///
/// # Panics
/// When neither cargo nor the current folder leads to a checkout.
pub fn checkout() -> PathBuf {
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let start = told.or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    let root = start.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    root.unwrap_or_else(|| panic!("`{}` is not inside a checkout", start.display())).to_path_buf()
}

/// A file or folder of the recorded data: under `TRAIDER_SHARED_DATA`, else beside the checkout. Where it is not there
/// (the data is not part of this repository) the test is reported as skipped.
pub fn find(test: &str, file: &str) -> Option<PathBuf> {
    let beside = || checkout().join("../shared/data");
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
