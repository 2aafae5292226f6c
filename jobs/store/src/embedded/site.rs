//! Where a home's cluster lives and as whom it runs.

use crate::StoreError;
use nix::unistd::{Gid, Uid, User};
use settings::Home;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
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
        site.private_folder(&site.socket)?;
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

    /// Makes the folder that only the cluster's user may enter, if it is not there. Whoever can enter it has the
    /// database, and in `/tmp` anybody can make it before us: what was found must be ours.
    fn private_folder(&self, path: &Path) -> Result<(), StoreError> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(self.error(format!("cannot make {}: {e}; is the disk full or read-only?", path.display())));
            }
            _ => {}
        }
        let found =
            fs::symlink_metadata(path).map_err(|e| self.error(format!("cannot look at {}: {e}", path.display())))?;
        let (owner, mode) = (found.uid(), found.permissions().mode() & 0o777);
        let ours = [Some(Uid::from_raw(0)), Some(Uid::effective()), self.user.map(|(uid, _)| uid)];
        let wrong = if !found.is_dir() {
            "is not a folder".to_owned()
        } else if !ours.contains(&Some(Uid::from_raw(owner))) {
            format!("belongs to uid {owner}")
        } else if mode & 0o077 != 0 {
            format!("is open to other users (mode {mode:o})")
        } else {
            return Ok(());
        };
        Err(self.error(format!(
            "{}, where the server's socket goes, {wrong}; see who made it, remove it, and try again",
            path.display()
        )))
    }

    /// Hands a file or folder, never what a link points at, to the cluster's user.
    pub(super) fn give(&self, path: &Path) -> Result<(), StoreError> {
        let Some((uid, gid)) = self.user else { return Ok(()) };
        lchown(path, Some(uid.as_raw()), Some(gid.as_raw()))
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
    use std::os::unix::fs::symlink;

    fn site(dir: &Path, user: Option<u32>) -> Site {
        let user = user.map(|id| (Uid::from_raw(id), Gid::from_raw(id)));
        Site { base: dir.to_path_buf(), socket: dir.join("socket"), user }
    }

    fn refused(site: &Site) -> String {
        site.private_folder(&site.socket).unwrap_err().to_string()
    }

    #[test]
    fn the_folder_of_the_socket_is_private_and_taken_only_when_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let site = site(dir.path(), None);
        site.private_folder(&site.socket).unwrap();
        assert_eq!(fs::metadata(&site.socket).unwrap().permissions().mode() & 0o777, 0o700);
        site.private_folder(&site.socket).unwrap();
        for mode in [0o755, 0o710, 0o701, 0o777] {
            fs::set_permissions(&site.socket, fs::Permissions::from_mode(mode)).unwrap();
            let error = refused(&site);
            assert!(error.contains(&format!("{mode:o}")) && error.contains("remove it"), "{error}");
        }
    }

    #[test]
    fn a_link_or_a_file_in_place_of_the_sockets_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let site = site(dir.path(), None);
        let elsewhere = dir.path().join("elsewhere");
        fs::DirBuilder::new().mode(0o700).create(&elsewhere).unwrap();
        symlink(&elsewhere, &site.socket).unwrap();
        let error = refused(&site);
        assert!(error.contains("is not a folder"), "{error}");
        fs::remove_file(&site.socket).unwrap();
        fs::write(&site.socket, "").unwrap();
        assert!(refused(&site).contains("is not a folder"));
    }

    #[test]
    fn a_deep_homes_socket_folder_planted_in_tmp_stops_the_start() {
        let dir = tempfile::Builder::new().prefix("traider-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let home = Home::locate(Some(&dir.path().join("deep".repeat(30))));
        let (socket, elsewhere) = (home.pg_socket(), dir.path().join("elsewhere"));
        assert!(socket.starts_with("/tmp") && !socket.starts_with(dir.path()));
        fs::DirBuilder::new().mode(0o700).create(&elsewhere).unwrap();
        symlink(&elsewhere, &socket).unwrap();
        let planted = Site::of(&home);
        let owner = fs::metadata(&elsewhere).unwrap().uid();
        fs::remove_file(&socket).unwrap();
        let error = planted.unwrap_err().to_string();
        assert!(error.contains("is not a folder"), "{error}");
        assert_eq!(owner, Uid::effective().as_raw(), "what the link points at was not given away");
        Site::of(&home).unwrap();
        fs::remove_dir(&socket).unwrap();
    }

    #[test]
    fn only_the_owners_that_can_be_are_trusted_and_links_are_not_followed() {
        if !Uid::effective().is_root() {
            recorded::skipped("only_the_owners_that_can_be_are_trusted_and_links_are_not_followed", "needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let to_other = site(dir.path(), Some(12_345));
        to_other.private_folder(&to_other.socket).unwrap();
        to_other.give(&to_other.socket).unwrap();
        to_other.private_folder(&to_other.socket).unwrap();
        let error = refused(&site(dir.path(), Some(12_346)));
        assert!(error.contains("belongs to uid 12345"), "{error}");

        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        to_other.give(&link).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().uid(), 0);
        assert_eq!(fs::symlink_metadata(&link).unwrap().uid(), 12_345);
    }

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
