//! A halt outlasts its run: while entries are halted, `halt.json` in the home says so, and every session that begins
//! without knowing of it begins halted. Only `resume` removes it.

use crate::error::DaemonError;
use domain::RunId;
use domain::event::{Note, note};
use serde::{Deserialize, Serialize};
use settings::Home;
use settings::home::write_durably;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Why entries are halted.
    pub reason: Note,
    /// The run that halted.
    pub run: String,
    /// When, engine time, ns.
    pub ts_ns: u64,
}

/// The file, as one run sees it.
#[derive(Debug)]
pub struct HaltFile {
    path: PathBuf,
    run: RunId,
    /// Found when the session began.
    found: Option<Halt>,
}

/// Where a home keeps its halt.
pub fn path(home: &Home) -> PathBuf {
    home.root().join("halt.json")
}

impl HaltFile {
    /// Reads the home's halt for a session of `run`. A file that makes no sense is a halt as well: somebody wrote it.
    ///
    /// # Errors
    /// [`DaemonError::Io`] when it cannot be read.
    pub fn open(home: &Home, run: RunId) -> Result<HaltFile, DaemonError> {
        let path = path(home);
        let odd = || Halt { reason: note("halt.json cannot be understood"), run: String::new(), ts_ns: 0 };
        let found = match fs::read(&path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| odd())),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(DaemonError::io(format!("could not read `{}`", path.display()))(e)),
        };
        Ok(HaltFile { path, run, found })
    }

    /// What a session has to be told at its beginning: the reason to halt, if the home is halted and the run does not
    /// know. The run's own journal knows better than what it left in the file.
    pub fn to_tell(&self, halted: bool) -> Option<Note> {
        self.found.as_ref().filter(|halt| !halted && halt.run != self.run.as_str()).map(|halt| halt.reason)
    }

    /// Brings the file to what a run brought back says of itself: the process may have died between journal and file.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn agree(&self, halted: Option<Note>, ts_ns: u64) -> io::Result<()> {
        match (&self.found, halted) {
            (None, Some(reason)) => self.set(true, reason, ts_ns),
            (Some(halt), None) if halt.run == self.run.as_str() => self.set(false, halt.reason, ts_ns),
            (None, None) | (Some(_), _) => Ok(()),
        }
    }

    /// Notes, on disk, that entries are halted or allowed again.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn set(&self, halted: bool, reason: Note, ts_ns: u64) -> io::Result<()> {
        if halted {
            let halt = Halt { reason, run: self.run.as_str().to_owned(), ts_ns };
            return write_durably(&self.path, &serde_json::to_vec(&halt)?);
        }
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            Ok(()) | Err(_) => fs::File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, run: &str) -> HaltFile {
        HaltFile::open(&Home::locate(Some(dir)), RunId::from(run).unwrap()).unwrap()
    }

    #[test]
    fn a_halt_is_told_to_other_runs_until_it_is_lifted() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), "first");
        assert_eq!(first.to_tell(false), None);
        first.set(true, note("storm"), 7).unwrap();
        assert_eq!(open(dir.path(), "second").to_tell(false), Some(note("storm")));
        assert_eq!(open(dir.path(), "second").to_tell(true), None, "it is halted already");
        assert_eq!(open(dir.path(), "first").to_tell(false), None, "its own journal says that it was resumed");
        open(dir.path(), "second").set(false, note("calm"), 8).unwrap();
        open(dir.path(), "second").set(false, note("calm"), 8).unwrap();
        assert_eq!(open(dir.path(), "third").to_tell(false), None);
    }

    #[test]
    fn a_run_brought_back_sets_its_own_file_right_and_leaves_that_of_another() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), "a").agree(Some(note("loss")), 1).unwrap();
        assert_eq!(open(dir.path(), "b").to_tell(false), Some(note("loss")), "halted in the journal, not on disk");
        open(dir.path(), "b").agree(None, 2).unwrap();
        assert!(path(&Home::locate(Some(dir.path()))).exists());
        open(dir.path(), "a").agree(None, 3).unwrap();
        assert!(!path(&Home::locate(Some(dir.path()))).exists(), "resumed in the journal, not on disk");
    }

    #[test]
    fn a_file_that_makes_no_sense_is_a_halt() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("halt.json"), "{").unwrap();
        assert_eq!(open(dir.path(), "run").to_tell(false), Some(note("halt.json cannot be understood")));
    }
}
