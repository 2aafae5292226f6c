//! Why the daemon did not start or had to end, each with its exit code and what to do about it.

use crate::journal::WriteError;
use settings::home::HomeError;
use std::path::PathBuf;
use thiserror::Error;
use venues::binance::rest::RestError;
use venues::journal_dir::ReadError;

/// Why the daemon did not start or had to end.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// It was called the wrong way.
    #[error("{0}")]
    Usage(String),
    /// The configuration makes no sense.
    #[error("the configuration cannot be used: {0}")]
    Config(String),
    /// The venue was never reached.
    #[error("the venue at {url} cannot be reached after {tries} tries; is it running, and is the address right?")]
    Unreachable {
        /// Its address.
        url: String,
        /// How often it was tried.
        tries: u32,
        /// The last cause.
        #[source]
        source: Box<RestError>,
    },
    /// Another daemon works in this home.
    #[error("another traiderd works in this home (lock `{}`, pid {pid}); stop it or choose another --home", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it.
        pid: String,
    },
    /// The journal of the run cannot be read.
    #[error("the run's journal cannot be continued; keep the folder as it is and start a new run")]
    Journal(#[from] ReadError),
    /// The journal, replayed, gives other effects than it says: another build or configuration wrote it.
    #[error(
        "replaying the run's journal gives other effects at input {input}: {what}; start a new run with this build"
    )]
    Replay {
        /// Sequence number of the input.
        input: u64,
        /// What differs.
        what: String,
    },
    /// The journal cannot be written any more: open orders were cancelled, nothing was sent after.
    #[error("stopped, because the journal cannot be written; free disk space or check the disk, then start again")]
    Write(#[from] WriteError),
    /// A check inside the daemon failed.
    #[error("stopped, because a check inside failed: {0}; open orders were cancelled, please report it")]
    Bug(String),
    /// The home folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Some other file or thread cannot be had.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl DaemonError {
    /// The process's exit code.
    pub const fn exit_code(&self) -> u8 {
        match self {
            DaemonError::Usage(_) => 2,
            DaemonError::Config(_) => 3,
            DaemonError::Unreachable { .. } => 5,
            DaemonError::Locked { .. } => 7,
            DaemonError::Journal(_) | DaemonError::Replay { .. } => 8,
            DaemonError::Write(_) | DaemonError::Bug(_) | DaemonError::Home(_) | DaemonError::Io { .. } => 1,
        }
    }
    /// Makes an [`DaemonError::Io`] out of a cause.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> DaemonError {
        let what = what.into();
        move |source| DaemonError::Io { what, source }
    }
}
