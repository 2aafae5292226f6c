//! Where a home's cluster lives and as whom it runs.

use crate::StoreError;
use nix::unistd::{Gid, Uid, User};
use settings::Home;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A cluster's folder and its user.
#[derive(Clone, Debug)]
pub(super) struct Site {
    base: PathBuf,
    socket: PathBuf,
    /// Set when we are root and must step down.
    user: Option<(Uid, Gid)>,
}

impl Site {
    /// Decides and prepares the folders: see the module `embedded`.
    pub(super) fn of(home: &Home) -> Result<Site, StoreError> {
        let inside = Site { base: home.pg(), socket: home.pg_socket(), user: None };
        inside.folder(&inside.base, 0o755)?;
        let site = if Uid::effective().is_root() { stepped_down(home, inside)? } else { inside };
        site.folder(&site.socket, 0o700)?;
        site.give(&site.socket)?;
        Ok(site)
    }

    pub(super) fn base(&self) -> &Path {
        &self.base
    }
    pub(super) fn data(&self) -> PathBuf {
        self.base.join("data")
    }
    pub(super) fn log(&self) -> PathBuf {
        self.base.join("log")
    }
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// An error about this cluster.
    pub(super) fn error(&self, what: impl Into<String>) -> StoreError {
        StoreError::Cluster { path: self.base.clone(), what: what.into() }
    }

    /// A program that will run as the cluster's user, in a folder that user can enter, with a plain environment: a
    /// caller's PG* variables and locale must not change what the cluster becomes.
    pub(super) fn command(&self, program: &Path) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("LC_ALL", "C").current_dir("/");
        // A group of its own: Ctrl-C in the terminal is our caller's to answer, not the server's.
        command.process_group(0);
        if let Some((uid, gid)) = self.user {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        command
    }

    /// Makes a folder if it is not there.
    pub(super) fn folder(&self, path: &Path, mode: u32) -> Result<(), StoreError> {
        if path.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(path)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
            .map_err(|e| self.error(format!("cannot make {}: {e}; is the disk full or read-only?", path.display())))
    }

    /// Hands a file or folder to the cluster's user.
    pub(super) fn give(&self, path: &Path) -> Result<(), StoreError> {
        let Some((uid, gid)) = self.user else { return Ok(()) };
        nix::unistd::chown(path, Some(uid), Some(gid))
            .map_err(|e| self.error(format!("cannot hand {} to uid {uid}: {e}", path.display())))
    }
}

/// The same for root: as whom, and where that user can reach it.
fn stepped_down(home: &Home, inside: Site) -> Result<Site, StoreError> {
    if let Ok(made) = fs::metadata(inside.data())
        && made.uid() != 0
    {
        // The home's own user made it, or root did so before: it stays that user's.
        return Ok(Site { user: Some((Uid::from_raw(made.uid()), Gid::from_raw(made.gid()))), ..inside });
    }
    let user = User::from_name("postgres").ok().flatten().ok_or_else(|| {
        inside.error("Postgres refuses to run as root and there is no user `postgres`; run as another user")
    })?;
    let user = Some((user.uid, user.gid));
    let tag = home.tag().map_err(|e| inside.error(e.to_string()))?;
    let base = PathBuf::from(format!("/var/lib/traider-pg-{tag:08x}"));
    let reachable = enterable(&inside.base) && inside.socket.parent().is_some_and(enterable);
    if reachable && !base.join("data").exists() {
        return Ok(Site { user, ..inside });
    }
    let outside = Site { socket: base.join("socket"), base, user };
    outside.folder(&outside.base, 0o755)?;
    let owner = fs::metadata(&outside.base).map_err(|e| outside.error(e.to_string()))?.uid();
    if owner != 0 {
        return Err(outside.error(format!("it belongs to uid {owner}, not to root; remove it")));
    }
    let note = format!("{}\n", outside.base.display());
    fs::write(inside.base.join("location"), note).map_err(|e| inside.error(format!("cannot be written: {e}")))?;
    Ok(outside)
}

/// True when any user may pass through the folder and all folders above it.
fn enterable(path: &Path) -> bool {
    path.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|m| m.permissions().mode() & 0o001 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_below_a_private_one_cannot_be_entered() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert!(enterable(&inner));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!enterable(&inner));
    }
}
