//! A halt outlasts its run: while entries are halted, `halt.json` in the home says so, and every session that begins
//! without knowing of it begins halted. Only `resume` removes it.

use crate::error::DaemonError;
use domain::RunId;
use domain::event::Note;
use settings::{Halt, Home};
use std::io;
use std::path::PathBuf;

/// The file, as one run sees it.
#[derive(Debug)]
pub struct HaltFile {
    home: Home,
    run: RunId,
    /// What it says: found when the session began, changed by the session since.
    found: Option<Halt>,
}

impl HaltFile {
    /// Reads the home's halt for a session of `run`.
    ///
    /// # Errors
    /// [`DaemonError::Io`] when it cannot be read.
    pub fn open(home: &Home, run: RunId) -> Result<HaltFile, DaemonError> {
        let fail = || DaemonError::io(format!("could not read `{}`", Halt::path(home).display()));
        let found = Halt::read(home).map_err(fail())?;
        Ok(HaltFile { home: home.clone(), run, found })
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
            halt.write(&self.home)?;
            self.found = Some(halt);
            return Ok(());
        }
        self.found = None;
        Halt::lift(&self.home)
    }

    /// What it says now; `None` when entries are allowed.
    pub const fn in_force(&self) -> Option<&Halt> {
        self.found.as_ref()
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        Halt::path(&self.home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::event::note;
    use std::path::Path;

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
        assert!(Halt::path(&Home::locate(Some(dir.path()))).exists());
        open(dir.path(), "a").agree(None, 3).unwrap();
        assert!(!Halt::path(&Home::locate(Some(dir.path()))).exists(), "resumed in the journal, not on disk");
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
    fn a_file_that_makes_no_sense_is_a_halt() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("halt.json"), "{").unwrap();
        assert_eq!(open(dir.path(), "run").to_tell(false), Some(note("halt.json cannot be understood")));
    }
}
