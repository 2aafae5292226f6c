//! The database for the length of a command.

use crate::cli::Context;
use crate::fail::{Fail, code};
use crate::supervise::Stop;
use flows::Workflow;
use flows::catalogue::CatalogueError;
use settings::Home;
use std::path::PathBuf;
use store::embedded::Cluster;
use store::{Store, StoreError};
use tokio::runtime::Runtime;

/// Turns a failure of the store into one of the command, with its causes.
pub fn store_fail(error: StoreError) -> Fail {
    Fail::new(error.exit_code(), store::error::chain(&error))
}

/// The database for the length of a command: found running, or started and stopped again.
pub struct Database {
    runtime: Runtime,
    pub store: Store,
    cluster: Option<Cluster>,
}

impl Database {
    /// Opens it, tables up to date.
    pub fn open(home: &Home) -> Result<Database, Fail> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fail::doing("cannot start the runtime"))?;
        let (store, cluster) = runtime.block_on(Store::open_migrated(home)).map_err(store_fail)?;
        Ok(Database { runtime, store, cluster })
    }

    /// Ends our use of it; its last user stops it.
    pub fn close(self) -> Result<(), Fail> {
        self.runtime.block_on(store::release(self.store, self.cluster)).map_err(store_fail)
    }

    /// Waits for the answer.
    pub fn ask<T>(&self, question: impl Future<Output = Result<T, StoreError>>) -> Result<T, Fail> {
        self.runtime.block_on(question).map_err(store_fail)
    }
}

/// Runs `verb` with the database open, and closes it however the verb ends. Ctrl-C does not kill us meanwhile, so that
/// a database started here is always stopped; a verb that takes long asks `Stop`.
pub fn with_database(ctx: &Context<'_>, verb: impl FnOnce(&Database, &Stop) -> Result<u8, Fail>) -> Result<u8, Fail> {
    ctx.home.prepare()?;
    let stop = Stop::listen()?;
    let opened = Database::open(&ctx.home);
    if stop.asked() {
        if let Ok(database) = opened {
            database.close()?;
        }
        return Err(stop.interrupted());
    }
    let database = opened?;
    let done = verb(&database, &stop);
    let closed = database.close();
    let done = done?;
    closed.map(|()| done)
}

/// Where the user's own workflows are.
pub fn workflows(ctx: &Context<'_>) -> PathBuf {
    ctx.home.config().join("workflows")
}

/// The workflow of that name, from the home's files or the built-in ones.
pub fn find_workflow(ctx: &Context<'_>, name: &str) -> Result<Workflow, Fail> {
    flows::find(&workflows(ctx), name).map_err(|e| catalogue_fail(&e))
}

/// A name that is not there is the command line's fault, a file that is wrong the configuration's.
pub fn catalogue_fail(error: &CatalogueError) -> Fail {
    let exit = if matches!(error, CatalogueError::Unknown { .. }) { code::USAGE } else { code::CONFIG };
    Fail::new(exit, store::error::chain(error))
}
