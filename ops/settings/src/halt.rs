//! A halt outlasts its run and its daemon: while entries are halted, `halt.json` in the home says so. Daemon and command
//! line read and write it here.

use crate::Home;
use crate::home::{sync_folder, write_durably};
use domain::event::{Note, note};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Why entries are halted.
    pub reason: Note,
    /// The run that halted, or took the halt over from another run at its beginning; empty when no daemon ran.
    pub run: String,
    /// Since when, engine time of the run that halted, ns; 0 when it is not known.
    pub ts_ns: u64,
}

impl Halt {
    /// Where a home keeps its halt.
    pub fn path(home: &Home) -> PathBuf {
        home.root().join("halt.json")
    }

    /// The home's halt, if there is one. A file that makes no sense is a halt as well: somebody wrote it.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn read(home: &Home) -> io::Result<Option<Halt>> {
        let odd = || Halt { reason: note("halt.json cannot be understood"), run: String::new(), ts_ns: 0 };
        match fs::read(Halt::path(home)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| odd()))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Notes it, on disk.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn write(&self, home: &Home) -> io::Result<()> {
        write_durably(&Halt::path(home), &serde_json::to_vec(self)?)
    }

    /// Removes what the home keeps, on disk; nothing there is as good.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn lift(home: &Home) -> io::Result<()> {
        let path = Halt::path(home);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            Ok(()) | Err(_) => sync_folder(&path),
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entries are halted")?;
        let since = jiff::Timestamp::from_nanosecond(self.ts_ns.into()).ok().filter(|_| self.ts_ns > 0);
        if let Some(since) = since {
            write!(f, " since {}", since.strftime("%F %T UTC"))?;
        }
        write!(f, " because: {}", self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_says_since_when_and_why() {
        let halt = |ts_s: u64| Halt { reason: note("storm"), run: String::new(), ts_ns: ts_s * 1_000_000_000 };
        assert_eq!(halt(1_709_210_096).to_string(), "entries are halted since 2024-02-29 12:34:56 UTC because: storm");
        assert_eq!(halt(1).to_string(), "entries are halted since 1970-01-01 00:00:01 UTC because: storm");
        assert_eq!(halt(951_868_800).to_string(), "entries are halted since 2000-03-01 00:00:00 UTC because: storm");
        assert_eq!(halt(0).to_string(), "entries are halted because: storm");
    }
}
