//! A private Postgres cluster for one home: made on first use, reached over a Unix socket only, stopped by its last
//! user. Every process that uses it holds a shared lock on `pg/users`; the kernel gives up the lock of a killed one.
//!
//! Where it lives. An ordinary user's cluster is `home/pg/data`, run by that user. Postgres refuses to run as root, so
//! root hands it to the owner of an existing cluster, else to the user `postgres`; if that user cannot enter the home
//! (say, it is below `/root`) the cluster lives in `/var/lib/traider-pg-<home tag>` and `home/pg/location` says so.
//!
//! Left out on purpose: downloading Postgres, upgrading a cluster to another major version, replication.

mod programs;
mod running;
mod site;

pub use programs::VERSION_MIN;

use crate::StoreError;
use programs::Programs;
use settings::Home;
use site::Site;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Role and database of the private cluster.
const NAME: &str = "traider";
/// How long another process may take to start or stop the same cluster.
const LOCK_WAIT: Duration = Duration::from_secs(90);

/// How careful the cluster is with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Every commit is on disk before it is answered.
    Full,
    /// Nothing is flushed: only for tests, which throw the cluster away.
    None,
}

impl Durability {
    /// Full, unless `TRAIDER_PG_FAST=1`.
    pub fn from_env() -> Durability {
        if std::env::var("TRAIDER_PG_FAST").is_ok_and(|v| v == "1") { Durability::None } else { Durability::Full }
    }
}

/// The running cluster of one home. While the value lives the server is in use; the last user to drop its value, or to
/// [`Cluster::leave`], stops the server.
#[derive(Debug)]
pub struct Cluster {
    /// True when this call started it.
    pub started_by_us: bool,
    /// Our share of `pg/users`; `None` for a mere onlooker ([`Cluster::attach`]).
    share: Option<File>,
    site: Site,
    programs: Programs,
    watcher: Mutex<Option<Child>>,
}

impl Cluster {
    /// Attaches to the home's cluster, starting it, and making it, when needed. Two processes that call this at the
    /// same moment get the same cluster. Blocks for up to a few seconds.
    ///
    /// # Errors
    /// No Postgres 15 or newer, a cluster of another major version, a folder that cannot be used, or a server that
    /// does not start; each says what to do.
    pub fn ensure(home: &Home) -> Result<Cluster, StoreError> {
        Cluster::ensure_with(home, Durability::from_env())
    }

    /// [`Cluster::ensure`] with a say in durability; it takes effect when the cluster is started here.
    ///
    /// # Errors
    /// See [`Cluster::ensure`].
    pub fn ensure_with(home: &Home, durability: Durability) -> Result<Cluster, StoreError> {
        let site = Site::of(home)?;
        let _lock = lock(&site)?;
        let programs = Programs::find(made_by(&site)?)?;
        if !site.data().join("PG_VERSION").exists() {
            running::make(&site, &programs, durability)?;
        }
        let started_by_us = !running::is_up(&site, &programs)?;
        if started_by_us {
            running::start(&site, &programs, durability)?;
        }
        // Nobody can hold the other kind of lock now: that is taken only under the lock we hold.
        let share = users(&site)?;
        share.lock_shared().map_err(|e| site.error(format!("cannot lock pg/users: {e}")))?;
        Ok(Cluster { started_by_us, share: Some(share), site, programs, watcher: Mutex::default() })
    }

    /// Looks at the home's cluster if it is running; never starts one, and does not keep it running.
    ///
    /// # Errors
    /// See [`Cluster::ensure`].
    pub fn attach(home: &Home) -> Result<Option<Cluster>, StoreError> {
        let site = Site::of(home)?;
        let _lock = lock(&site)?;
        if !site.data().join("PG_VERSION").exists() {
            return Ok(None);
        }
        let programs = Programs::find(made_by(&site)?)?;
        let up = running::is_up(&site, &programs)?;
        let onlooker = || Cluster { started_by_us: false, share: None, site, programs, watcher: Mutex::default() };
        Ok(up.then(onlooker))
    }

    /// Ends our use of the cluster. The last user stops the server and waits until it is down.
    ///
    /// # Errors
    /// When it does not stop within a minute.
    pub fn leave(mut self) -> Result<(), StoreError> {
        self.leave_now()
    }

    fn leave_now(&mut self) -> Result<(), StoreError> {
        self.end_watch();
        let Some(share) = self.share.take() else { return Ok(()) };
        let _lock = lock(&self.site)?;
        drop(share);
        match users(&self.site)?.try_lock() {
            Ok(()) => running::stop(&self.site, &self.programs),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(e)) => Err(self.site.error(format!("cannot lock pg/users: {e}"))),
        }
    }

    /// Stops the server, whoever started it: open transactions are rolled back, what was committed is on disk.
    /// Waits until it is down; stopping a stopped cluster is fine.
    ///
    /// # Errors
    /// When it does not stop within a minute.
    pub fn stop(&self) -> Result<(), StoreError> {
        let _lock = lock(&self.site)?;
        self.end_watch();
        running::stop(&self.site, &self.programs)
    }

    /// How to connect to it.
    pub fn connect_options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.site.socket())
            .port(5432)
            .username(NAME)
            .database(NAME)
            .ssl_mode(PgSslMode::Disable)
    }

    /// The cluster's folder: `data`, `socket` and `log` are in it, the socket elsewhere if its path would be too long.
    pub fn path(&self) -> &Path {
        self.site.base()
    }

    /// The folder of its socket.
    pub fn socket(&self) -> PathBuf {
        self.site.socket().to_path_buf()
    }

    /// Stops the server should the process `pid` be killed. The watch ends with this value. For tests, which leave no
    /// next user behind who would stop it.
    ///
    /// # Errors
    /// When the watcher cannot be started.
    pub fn stop_when_gone(&self, pid: u32) -> Result<(), StoreError> {
        let watcher = running::watch(&self.site, pid)?;
        self.end_watch();
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(watcher);
        Ok(())
    }

    fn end_watch(&self) {
        if let Some(mut shell) = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It may have ended by itself; both calls then fail, which is what is wanted.
            shell.kill().ok();
            shell.wait().ok();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.leave_now() {
            tracing::warn!(%error, "the private database was not stopped");
        }
    }
}

/// The file whose shared lock every user holds.
fn users(site: &Site) -> Result<File, StoreError> {
    let path = site.base().join("users");
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    opened.map_err(|e| site.error(format!("cannot open {}: {e}", path.display())))
}

/// Folder of the Postgres programs that would be used for `home`. Starts nothing.
///
/// # Errors
/// [`StoreError::NoPostgres`] with what to install.
pub fn find_programs(home: &Home) -> Result<PathBuf, StoreError> {
    let site = Site::of(home)?;
    Programs::find(made_by(&site)?).map(|found| found.bin().to_path_buf())
}

/// Major version of the programs that made the cluster, if there is one.
fn made_by(site: &Site) -> Result<Option<u32>, StoreError> {
    let path = site.data().join("PG_VERSION");
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(|e| site.error(format!("cannot read {}: {e}", path.display())))?;
    let version = text.trim().parse().map_err(|_| site.error("PG_VERSION does not hold a version"))?;
    Ok(Some(version))
}

/// The lock that makes starters and stoppers take turns; released when dropped.
fn lock(site: &Site) -> Result<File, StoreError> {
    let path = site.base().join("lock");
    let fail = |e: &dyn std::fmt::Display| site.error(format!("cannot lock {}: {e}", path.display()));
    let file = File::create(&path).map_err(|e| fail(&e))?;
    let asked = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if asked.elapsed() < LOCK_WAIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(e) => return Err(fail(&e)),
        }
    }
}
