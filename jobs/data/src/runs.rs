//! Finding runs in the home folder.

use crate::DataError;
use domain::Venue;
use settings::{Home, Mode, RunManifest};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// Suffix of the venue's name for made-up markets.
pub const DEMO: &str = "-demo";

/// The name under which a run's market stands in the lake and in the books. A made-up market has a name of its own, so
/// that it never mixes with a recorded one.
pub fn market_name(mode: Mode, venue: Venue) -> String {
    let suffix = match mode {
        Mode::Demo => DEMO,
        _ => "",
    };
    format!("{}{suffix}", venue.name())
}

/// One run with a journal.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its journal folder.
    pub dir: PathBuf,
    /// What it says about itself.
    pub manifest: RunManifest,
    written: SystemTime,
}

/// What stands in the journal folder.
#[derive(Debug, Default)]
pub struct Listed {
    /// The runs, the one written last first.
    pub runs: Vec<Run>,
    /// Folders whose manifest is there and cannot be read or understood, by name.
    pub unreadable: Vec<(String, DataError)>,
}

/// Every run of the home, the one written last first. Folders without a readable manifest are no runs.
///
/// # Errors
/// [`DataError::Io`] when the journal folder cannot be listed.
pub fn all(home: &Home) -> Result<Vec<Run>, DataError> {
    list(home).map(|listed| listed.runs)
}

/// Every run of the home, and the folders that would be runs if their manifests could be read.
///
/// # Errors
/// [`DataError::Io`] when the journal folder cannot be listed.
pub fn list(home: &Home) -> Result<Listed, DataError> {
    let root = home.journal();
    let entries = match fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Listed::default()),
        Err(e) => return Err(DataError::io("list", root)(e)),
    };
    let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
    for entry in entries {
        let dir = entry.map_err(DataError::io("list", root.clone()))?.path();
        let manifest = match RunManifest::read(&dir) {
            Ok(manifest) => manifest,
            // Not a run yet, or something else that lies about.
            Err(_) if !dir.join("manifest.json").exists() => continue,
            Err(e) => {
                let name = dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                unreadable.push((name, DataError::io("read", dir.join("manifest.json"))(e)));
                continue;
            }
        };
        let written = fs::metadata(dir.join("manifest.json")).and_then(|m| m.modified());
        runs.push(Run { dir, manifest, written: written.unwrap_or(SystemTime::UNIX_EPOCH) });
    }
    // A backtest says when its data were made, so the newest is told by the file, and ties by what is inside.
    let age = |run: &Run| (run.written, run.manifest.created_ns, run.manifest.run_id.clone());
    runs.sort_by_key(|run| std::cmp::Reverse(age(run)));
    unreadable.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Listed { runs, unreadable })
}

/// The run of that name, or the one written last for `latest`.
///
/// # Errors
/// [`DataError::NotFound`] with what there is.
pub fn find(home: &Home, name: &str) -> Result<Run, DataError> {
    let runs = all(home)?;
    let known: Vec<String> = runs.iter().take(5).map(|r| r.manifest.run_id.clone()).collect();
    let found = runs.into_iter().find(|r| name == "latest" || r.manifest.run_id == name);
    found.ok_or_else(|| {
        let root = home.journal();
        DataError::NotFound(if known.is_empty() {
            format!("there are no runs in {}; start one with: traider up", root.display())
        } else {
            format!("there is no run `{name}` in {}; the newest are {}", root.display(), known.join(", "))
        })
    })
}
