//! A halt outlasts its run: while entries are halted, `halt.json` in the home says so, and every session that begins
//! without knowing of it begins halted. Only `resume` removes it.

use crate::error::DaemonError;
use domain::RunId;
use domain::event::{Note, note};
use serde::{Deserialize, Serialize};
use settings::Home;
use settings::home::write_durably;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Why entries are halted.
    pub reason: Note,
    /// The run that halted, or took the halt over from another run at its beginning.
    pub run: String,
    /// Since when, engine time of the run that halted, ns; 0 when it is not known.
    pub ts_ns: u64,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entries are halted")?;
        if self.ts_ns > 0 {
            write!(f, " since {}", utc(self.ts_ns))?;
        }
        write!(f, " because: {}", self.reason)
    }
}

/// A time as `2024-08-08 13:37:00 UTC`; the day after Howard Hinnant's `civil_from_days`.
fn utc(ns: u64) -> String {
    let (days, second) = (ns / 86_400_000_000_000, ns / 1_000_000_000 % 86_400);
    // Years begin in March here, so that the leap day is the last one.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The file, as one run sees it.
#[derive(Debug)]
pub struct HaltFile {
    path: PathBuf,
    run: RunId,
    /// What it says: found when the session began, changed by the session since.
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
    pub fn agree(&mut self, halted: Option<Note>, ts_ns: u64) -> io::Result<()> {
        match (self.found.clone(), halted) {
            (None, Some(reason)) => self.set(true, reason, ts_ns),
            (Some(halt), None) if halt.run == self.run.as_str() => self.set(false, halt.reason, ts_ns),
            (None, None) | (Some(_), _) => Ok(()),
        }
    }

    /// Notes, on disk, that entries are halted or allowed again. A halt that is told again, to the next run, is as old
    /// as it was.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn set(&mut self, halted: bool, reason: Note, ts_ns: u64) -> io::Result<()> {
        if halted {
            let since_ns = self.found.as_ref().filter(|h| h.reason == reason).map_or(ts_ns, |h| h.ts_ns);
            let halt = Halt { reason, run: self.run.as_str().to_owned(), ts_ns: since_ns };
            write_durably(&self.path, &serde_json::to_vec(&halt)?)?;
            self.found = Some(halt);
            return Ok(());
        }
        self.found = None;
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            Ok(()) | Err(_) => fs::File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all(),
        }
    }

    /// What it says now; `None` when entries are allowed.
    pub const fn in_force(&self) -> Option<&Halt> {
        self.found.as_ref()
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
        let mut first = open(dir.path(), "first");
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
    fn a_halt_taken_over_is_as_old_as_it_was_and_a_new_one_is_new() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), "first").set(true, note("storm"), 7).unwrap();
        let mut second = open(dir.path(), "second");
        second.set(true, note("storm"), 9).unwrap();
        let want = Halt { reason: note("storm"), run: "second".to_owned(), ts_ns: 7 };
        assert_eq!((second.in_force(), open(dir.path(), "third").in_force()), (Some(&want), Some(&want)));
        second.set(false, note("calm"), 10).unwrap();
        assert_eq!(second.in_force(), None);
        second.set(true, note("storm"), 11).unwrap();
        assert_eq!(second.in_force().map(|h| h.ts_ns), Some(11));
    }

    #[test]
    fn a_halt_says_since_when_and_why() {
        let halt = |ts_s: u64| Halt { reason: note("storm"), run: String::new(), ts_ns: ts_s * 1_000_000_000 };
        assert_eq!(halt(1_709_210_096).to_string(), "entries are halted since 2024-02-29 12:34:56 UTC because: storm");
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(halt(951_868_800).to_string(), "entries are halted since 2000-03-01 00:00:00 UTC because: storm");
        assert_eq!(halt(0).to_string(), "entries are halted because: storm");
    }

    #[test]
    fn a_file_that_makes_no_sense_is_a_halt() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("halt.json"), "{").unwrap();
        assert_eq!(open(dir.path(), "run").to_tell(false), Some(note("halt.json cannot be understood")));
    }
}
