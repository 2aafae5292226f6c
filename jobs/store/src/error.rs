//! What can go wrong with the database, said so that the reader knows what to do next.

use std::path::PathBuf;
use thiserror::Error;

/// A failure of the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No usable Postgres programs on this machine.
    #[error(
        "Postgres 15 or newer was not found{looked}. Install it (Debian: apt-get install postgresql postgresql-contrib; \
         macOS: brew install postgresql@15), or set DATABASE_URL to a server that runs already"
    )]
    NoPostgres {
        /// What was found instead, or nothing.
        looked: String,
    },
    /// The private cluster cannot be made or started.
    #[error("the private database in `{}` cannot be used: {what}", path.display())]
    Cluster {
        /// Its folder.
        path: PathBuf,
        /// What failed and what to do.
        what: String,
    },
    /// The private cluster is there or not, but it does not run, and the caller did not want to start it.
    #[error("the private database in `{}` is not running; start it with: traider up", path.display())]
    NotRunning {
        /// Its folder.
        path: PathBuf,
    },
    /// Nobody answers, or the connection was lost.
    #[error("the database cannot be reached ({at})")]
    Unreachable {
        /// Where it was looked for.
        at: String,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// A statement failed.
    #[error("the database refused to {doing}")]
    Sql {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// The tables cannot be brought up to date.
    #[error("the database's tables cannot be brought up to date; is it used by another version or another program?")]
    Migrate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was asked for is not there.
    #[error("there is no {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// It is there, but not in a state that allows this.
    #[error("{what}")]
    Conflict {
        /// What stands in the way and what to do.
        what: String,
    },
    /// The step's lease was lost: somebody else may be doing it, so this result does not count.
    #[error("step `{step}` of run {run} is no longer ours (epoch {epoch}); its result is dropped")]
    Stale {
        /// The run.
        run: String,
        /// The step.
        step: String,
        /// The epoch that was refused.
        epoch: i64,
    },
    /// A step's own write broke a rule of its own.
    #[error("{0}")]
    Write(String),
}

impl StoreError {
    /// Wraps a database error with what was being done; a lost connection becomes [`StoreError::Unreachable`].
    pub fn sql(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> StoreError {
        let doing = doing.into();
        move |source| match source {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                StoreError::Unreachable { at: format!("while it was asked to {doing}"), source }
            }
            // Class 57: the server is going down or coming up. 25P03: it took us for stopped.
            sqlx::Error::Database(ref e) if e.code().is_some_and(|c| c.starts_with("57P") || c == "25P03") => {
                StoreError::Unreachable { at: format!("while it was asked to {doing}"), source }
            }
            source => StoreError::Sql { doing, source },
        }
    }

    /// The process exit code for this failure: 5 when the database cannot be reached, 7 when the state forbids it, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            StoreError::NoPostgres { .. }
            | StoreError::Cluster { .. }
            | StoreError::NotRunning { .. }
            | StoreError::Unreachable { .. } => 5,
            StoreError::Conflict { .. } | StoreError::Stale { .. } => 7,
            StoreError::Sql { .. } | StoreError::Migrate(_) | StoreError::NotFound { .. } | StoreError::Write(_) => 1,
        }
    }

    /// True when the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            StoreError::Unreachable { .. } => true,
            // Deadlocks and serialisation failures.
            StoreError::Sql { source: sqlx::Error::Database(e), .. } => e.code().is_some_and(|c| c.starts_with("40")),
            _ => false,
        }
    }
}

/// For errors of plain queries in code that has nothing better to say.
impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> StoreError {
        StoreError::sql("answer a query")(source)
    }
}

/// An error and its causes in one line. A cause that the text ends with already is not said twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}
