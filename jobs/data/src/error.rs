//! What can go wrong, with the exit code a command ends with.

use domain::journal::JournalError;
use lake::LakeError;
use serde_json::{Value, json};
use std::path::PathBuf;
use thiserror::Error;
use venues::capture::CaptureError;
use venues::journal_dir::ReadError;
use venues::proof::ProofError;

/// A failure of this crate.
#[derive(Debug, Error)]
pub enum DataError {
    /// Asked wrongly.
    #[error("{0}")]
    Usage(String),
    /// The engine refuses its configuration.
    #[error("the engine refuses the configuration")]
    Config(#[from] engine::ConfigError),
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// A file cannot be read or written.
    #[error("could not {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A journal cannot be read or is damaged.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// A sealed run's journal no longer holds what the run's manifest says it was sealed with. What is there reads well:
    /// only the manifest knows that there was more.
    #[error("journal `{}` is damaged at record {seq}: {what}", path.display())]
    Cut {
        /// The journal folder.
        path: PathBuf,
        /// Last segment that was read; 0 when there is none.
        segment: u32,
        /// First record that is not there.
        seq: u64,
        /// What is missing.
        what: String,
    },
    /// A run's manifest was read and is no manifest.
    #[error("the run's manifest `{}` is damaged: {what}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why it is none.
        what: String,
    },
    /// A capture cannot be read or is damaged.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A message of a capture cannot be understood.
    #[error("line {line} of the capture: {what}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A run's tapes prove nothing.
    #[error(transparent)]
    Tape(#[from] ProofError),
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A number of the data does not fit where it has to go.
    #[error("{0}")]
    Value(String),
    /// It was asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl DataError {
    /// The exit code of a command that ends with this.
    pub fn exit_code(&self) -> u8 {
        match self {
            DataError::Usage(_) => 2,
            DataError::Config(_) => 3,
            DataError::Journal(e) if damage(e).is_some() => 8,
            DataError::Cut { .. } | DataError::Manifest { .. } | DataError::Lake(LakeError::Damaged { .. }) => 8,
            DataError::Cancelled => 130,
            // Nobody ever proved an input file, so a bad one is no failed proof.
            DataError::NotFound(_)
            | DataError::Line { .. }
            | DataError::Io { .. }
            | DataError::Journal(_)
            | DataError::Capture(_)
            | DataError::Tape(_)
            | DataError::Lake(_)
            | DataError::Value(_) => 1,
        }
    }

    /// True when the same call may succeed later without anybody changing anything: reading or writing failed. What
    /// was read and is wrong stays wrong.
    pub fn is_transient(&self) -> bool {
        match self {
            DataError::Io { .. } => true,
            DataError::Journal(e) => damage(e).is_none(),
            DataError::Lake(e) => e.is_transient(),
            _ => false,
        }
    }

    /// Where and how a journal is damaged: `{segment, seq, offset, what}`; `None` when this is about something else.
    pub fn damage(&self) -> Option<Value> {
        match self {
            DataError::Journal(error) => damage(error),
            DataError::Cut { segment, seq, what, .. } => {
                Some(json!({ "segment": segment, "seq": seq, "offset": null, "what": what }))
            }
            _ => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> DataError {
        let path = path.into();
        move |source| DataError::Io { action, path, source }
    }
}

/// [`DataError::damage`] of a journal's own errors; `None` when it merely cannot be read.
pub fn damage(error: &ReadError) -> Option<Value> {
    let text = error.to_string();
    match error {
        ReadError::Damaged { source: JournalError::Damaged { segment, seq, offset, what }, .. } => {
            Some(json!({ "segment": segment, "seq": seq, "offset": offset, "what": what }))
        }
        ReadError::Damaged { source: JournalError::Chain { segment, what }, .. } => {
            Some(json!({ "segment": segment, "seq": null, "offset": null, "what": what }))
        }
        ReadError::Record { seq, .. } => Some(json!({ "segment": null, "seq": seq, "offset": null, "what": text })),
        ReadError::Folder { .. } => Some(json!({ "segment": null, "seq": null, "offset": null, "what": text })),
        ReadError::Io { .. } => None,
    }
}
