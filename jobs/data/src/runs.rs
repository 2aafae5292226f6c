//! Finding runs in the home folder.

use crate::DataError;
use domain::Venue;
use settings::{Home, Mode, RunManifest};
use std::fs;
use std::path::{Path, PathBuf};
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
    /// The runs, the one written last first, backtests behind all others.
    pub runs: Vec<Run>,
    /// Folders whose manifest is there and cannot be read or understood, by name.
    pub unreadable: Vec<(String, DataError)>,
}

/// Every run of the home, the one written last first, backtests behind all others: what was traded comes before what was
/// tried. Folders without a readable manifest or without a journal are no runs.
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
                unreadable.push((name, no_manifest(dir.join("manifest.json"), e)));
                continue;
            }
        };
        // A run that ended before its journal began tells nothing. One that was sealed had a journal: its loss is damage.
        if !manifest.sealed && !has_segment(&dir)? {
            continue;
        }
        let written = fs::metadata(dir.join("manifest.json")).and_then(|m| m.modified());
        runs.push(Run { dir, manifest, written: written.unwrap_or(SystemTime::UNIX_EPOCH) });
    }
    // A backtest says when its data were made, so the newest is told by the file, and ties by what is inside.
    let age = |run: &Run| (run.written, run.manifest.created_ns, run.manifest.run_id.clone());
    runs.sort_by_key(|run: &Run| (run.manifest.mode == Mode::Backtest, std::cmp::Reverse(age(run))));
    unreadable.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Listed { runs, unreadable })
}

/// The system could not read it, or it was read and is no manifest.
fn no_manifest(path: PathBuf, error: std::io::Error) -> DataError {
    match error.raw_os_error() {
        Some(_) => DataError::io("read", path)(error),
        None => DataError::Manifest { path, what: error.to_string() },
    }
}

fn has_segment(dir: &Path) -> Result<bool, DataError> {
    for entry in fs::read_dir(dir).map_err(DataError::io("list", dir))? {
        let name = entry.map_err(DataError::io("list", dir))?.file_name();
        if name.to_str().is_some_and(|n| n.starts_with("seg-") && n.ends_with(".trj")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The run of that name. For `latest` the one written last that is no backtest; a backtest only where there is nothing
/// else.
///
/// # Errors
/// [`DataError::NotFound`] with what there is; what is wrong with the manifest when the run of that name has a bad one.
pub fn find(home: &Home, name: &str) -> Result<Run, DataError> {
    let Listed { runs, unreadable } = list(home)?;
    if let Some((_, error)) = unreadable.into_iter().find(|(run, _)| run == name) {
        return Err(error);
    }
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
