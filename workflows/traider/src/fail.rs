//! How a command fails: what happened, why, what to do, and an exit code that scripts can rely on.

use std::fmt::Display;

/// Exit codes of every command; see `docs/operations.md`.
pub mod code {
    /// It did not work.
    pub const FAILURE: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 3;
    /// Something we depend on cannot be reached.
    pub const UNREACHABLE: u8 = 5;
    /// The state does not allow it (already running, not running).
    pub const CONFLICT: u8 = 7;
    /// A proof failed (parity, audit, journal).
    pub const VERIFICATION: u8 = 8;
    /// Interrupted by Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

/// A failed command.
#[derive(Debug)]
pub struct Fail {
    /// Exit code.
    pub code: u8,
    /// What happened and why, then what to do.
    pub message: String,
}

impl Fail {
    /// A failure with its exit code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
    /// An ordinary failure (exit code 1).
    pub fn plain(message: impl Into<String>) -> Self {
        Self::new(code::FAILURE, message)
    }
    /// Turns a foreign error into a failure that says what we were doing.
    pub fn doing<E: Display>(what: impl Display) -> impl FnOnce(E) -> Fail {
        move |e| Fail::plain(format!("{what}: {e}"))
    }
}

impl From<settings::home::HomeError> for Fail {
    fn from(e: settings::home::HomeError) -> Self {
        Fail::plain(format!("{e} ({})", e.source))
    }
}
impl From<settings::ConfigError> for Fail {
    fn from(e: settings::ConfigError) -> Self {
        Fail::new(code::CONFIG, e.to_string())
    }
}
