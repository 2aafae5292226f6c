//! A home with a real Postgres for tests: in a temporary folder that the cluster's user may enter, without flushing,
//! gone when dropped. If the test is killed, a watcher stops the server.

use crate::embedded::{Cluster, Durability};
use crate::{Store, StoreError};
use settings::Home;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// A temporary home with its own cluster; the server stops and the folder goes when this is dropped.
pub struct TestHome {
    /// The home.
    pub home: Home,
    cluster: Cluster,
    _dir: TempDir,
}

impl TestHome {
    /// Starts the cluster; takes a few seconds. Blocks, so call it outside an async runtime or in `spawn_blocking`.
    ///
    /// # Errors
    /// When there is no Postgres, or no room in the temporary folder.
    pub fn start() -> Result<TestHome, StoreError> {
        TestHome::start_with(Durability::None)
    }

    /// [`TestHome::start`] with a say in durability, for measurements.
    ///
    /// # Errors
    /// See [`TestHome::start`].
    pub fn start_with(durability: Durability) -> Result<TestHome, StoreError> {
        let broken = |e: std::io::Error| StoreError::Write(format!("no temporary folder: {e}"));
        // `/tmp` itself, because the socket's path must be short.
        let dir = tempfile::Builder::new().prefix("traider-").tempdir_in("/tmp").map_err(broken)?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).map_err(broken)?;
        let home = Home::locate(Some(dir.path()));
        let cluster = Cluster::ensure_with(&home, durability)?;
        cluster.stop_when_gone(std::process::id())?;
        Ok(TestHome { home, cluster, _dir: dir })
    }

    /// A connection with the tables up to date.
    ///
    /// # Errors
    /// See [`Store::migrate`].
    pub async fn store(&self) -> Result<Store, StoreError> {
        let store = Store::connect_cluster(&self.cluster).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// The cluster, for tests that stop it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for TestHome {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.stop() {
            eprintln!("the test's database did not stop: {error}");
        }
    }
}
