//! Puts the commit into the build, so that a journal can say which build wrote it.

use std::process::Command;

fn main() {
    let commit = std::env::var("TRAIDER_COMMIT").ok().or_else(|| {
        let out = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
    });
    println!("cargo:rustc-env=TRAIDER_COMMIT={}", commit.unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo:rerun-if-env-changed=TRAIDER_COMMIT");
    // Only a release names its commit exactly: rebuilding everything at each commit would cost minutes a day.
    if std::env::var("PROFILE").is_ok_and(|p| p == "release") {
        println!("cargo:rerun-if-changed=../../.git/HEAD");
        println!("cargo:rerun-if-changed=../../.git/refs/heads");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
