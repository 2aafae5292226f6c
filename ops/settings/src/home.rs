//! The home folder: everything one installation keeps. Many can live side by side.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;

/// A home folder that cannot be used.
#[derive(Debug, Error)]
#[error("the home folder `{}` cannot be used: {what}; choose another with --home or TRAIDER_HOME", path.display())]
pub struct HomeError {
    /// Which file or folder.
    pub path: PathBuf,
    /// What failed.
    pub what: String,
    /// The cause.
    #[source]
    pub source: io::Error,
}

/// One installation's folder; see `docs/architecture.md`, "The home folder", for what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The folder that `--home`, else `TRAIDER_HOME`, else XDG names. Nothing is touched yet.
    pub fn locate(flag: Option<&Path>) -> Home {
        let env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let root = flag
            .map(Path::to_path_buf)
            .or_else(|| env("TRAIDER_HOME"))
            .or_else(|| env("XDG_DATA_HOME").map(|d| d.join("traider")))
            .or_else(|| env("HOME").map(|h| h.join(".local/share/traider")))
            .unwrap_or_else(|| PathBuf::from(".traider"));
        Home { root: std::path::absolute(&root).unwrap_or(root) }
    }

    /// Makes the folder and its parts, and proves that it can be written.
    ///
    /// # Errors
    /// [`HomeError`] naming the folder and what to do.
    pub fn prepare(&self) -> Result<(), HomeError> {
        for dir in [self.root.clone(), self.run(), self.journal(), self.lake(), self.reports(), self.logs()] {
            fs::create_dir_all(&dir).map_err(|source| HomeError {
                path: dir.clone(),
                what: "it cannot be created".to_owned(),
                source,
            })?;
        }
        let probe = self.run().join(format!(".probe-{}", unique()));
        fs::write(&probe, b"x").and_then(|()| fs::remove_file(&probe)).map_err(|source| HomeError {
            path: self.run(),
            what: "it cannot be written".to_owned(),
            source,
        })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// The private Postgres cluster.
    pub fn pg(&self) -> PathBuf {
        self.root.join("pg")
    }
    /// Pid files, sockets, addresses of what runs now.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }
    /// Journals, one folder per run.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }
    /// The journal folder of one run.
    pub fn journal_of(&self, run: &str) -> PathBuf {
        self.journal().join(run)
    }
    /// The folder of a run's raw tapes.
    pub fn tapes_of(&self, run: &str) -> PathBuf {
        self.root.join("tapes").join(run)
    }
    /// The lake.
    pub fn lake(&self) -> PathBuf {
        self.root.join("lake")
    }
    /// Reports.
    pub fn reports(&self) -> PathBuf {
        self.root.join("reports")
    }
    /// Log files of background processes.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }
    /// The user's own configuration files.
    pub fn config(&self) -> PathBuf {
        self.root.join("config")
    }
    /// The daemon's control socket. Unix socket paths are short; a deep home gets one under `/tmp`.
    pub fn daemon_socket(&self) -> PathBuf {
        self.short(self.run().join("traiderd.sock"), "d.sock")
    }
    /// Folder of the database's socket; short for the same reason.
    pub fn pg_socket(&self) -> PathBuf {
        self.short(self.pg().join("socket"), "pg")
    }

    fn short(&self, path: PathBuf, name: &str) -> PathBuf {
        // sun_path holds 104 bytes on macOS, 108 on Linux; Postgres appends `/.s.PGSQL.5432.lock`.
        if path.as_os_str().len() <= 80 {
            return path;
        }
        let tag = crc(self.root.as_os_str().as_encoded_bytes());
        PathBuf::from(format!("/tmp/traider-{tag:08x}-{name}"))
    }

    /// The installation's tag, part of every order id; drawn once, kept in `home.id`.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds something else.
    pub fn tag(&self) -> Result<u32, HomeError> {
        let path = self.root.join("home.id");
        let fail = |what: &str, source| HomeError { path: path.clone(), what: what.to_owned(), source };
        if !path.exists() {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let seed = format!("{}-{}-{}", self.root.display(), now.as_nanos(), unique());
            let tag = crc(seed.as_bytes());
            // Two first callers may draw at the same moment: the first link counts, both read what it holds.
            match create_durably(&path, format!("{tag:08x}\n").as_bytes()) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(fail("cannot write", e)),
                Ok(()) | Err(_) => {}
            }
        }
        let text = fs::read_to_string(&path).map_err(|e| fail("cannot read", e))?;
        u32::from_str_radix(text.trim(), 16)
            .map_err(|e| fail("home.id does not hold 8 hex digits", io::Error::other(e)))
    }

    /// Takes the next leader epoch: one more than ever taken here, on disk before it is used, so that no order id is
    /// ever made twice (I-02).
    ///
    /// * `used` - the highest epoch that the home's journals hold, 0 if none: the file may be gone, or an old copy.
    ///
    /// # Errors
    /// When the file cannot be read or written, holds something else, or no epoch is left.
    pub fn next_epoch(&self, used: u32) -> Result<u32, HomeError> {
        let path = self.root.join("epoch");
        let fail = |what: &str, source| HomeError { path: path.clone(), what: what.to_owned(), source };
        let last = match fs::read_to_string(&path) {
            Ok(text) => {
                text.trim().parse::<u32>().map_err(|e| fail("epoch does not hold a number", io::Error::other(e)))?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(fail("cannot read", e)),
        };
        let none_left = || fail("no epoch is left", io::Error::other("epochs end at 2^32"));
        let next = last.max(used).checked_add(1).ok_or_else(none_left)?;
        write_durably(&path, format!("{next}\n").as_bytes()).map_err(|e| fail("cannot write", e))?;
        Ok(next)
    }
}

fn crc(bytes: &[u8]) -> u32 {
    use sha2::{Digest, Sha256};
    let d = Sha256::digest(bytes);
    u32::from_be_bytes([d[0], d[1], d[2], d[3]])
}

/// Part of a file name that no other thread or process uses at this moment: process and count.
fn unique() -> String {
    static USED: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), USED.fetch_add(1, Ordering::Relaxed))
}

/// Writes a small file so that it is either wholly there, on disk, or not at all.
///
/// # Errors
/// Whatever the file system says.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, bytes)?;
    fs::rename(&temporary, path)?;
    sync_folder(path)
}

/// As [`write_durably`], but never over a file that is there: that is `AlreadyExists`.
fn create_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, bytes)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    linked?;
    sync_folder(path)
}

/// A new file in the same folder, whole and on disk.
fn beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}", unique()));
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(temporary)
}

pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_only_go_up_and_the_tag_stays() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path()));
        home.prepare().unwrap();
        assert_eq!([home.next_epoch(0).unwrap(), home.next_epoch(0).unwrap()], [1, 2]);
        assert_eq!(home.tag().unwrap(), home.tag().unwrap());
    }

    #[test]
    fn an_epoch_file_that_is_gone_or_old_never_leads_back_to_used_epochs() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path()));
        home.prepare().unwrap();
        assert_eq!(home.next_epoch(7).unwrap(), 8, "no file");
        fs::write(dir.path().join("epoch"), "3\n").unwrap();
        assert_eq!(home.next_epoch(8).unwrap(), 9, "an old file");
        assert_eq!(home.next_epoch(2).unwrap(), 10, "the file knows better");
        assert!(home.next_epoch(u32::MAX).is_err());
        assert_eq!(home.next_epoch(0).unwrap(), 11);
    }

    #[test]
    fn threads_may_prepare_and_write_the_same_home_at_the_same_moment() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path()));
        let file = dir.path().join("file");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        home.prepare().unwrap();
                        write_durably(&file, b"whole").unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read(&file).unwrap(), b"whole");
        assert_eq!(fs::read_dir(home.run()).unwrap().count(), 0, "probes are gone");
    }

    #[test]
    fn first_callers_at_the_same_moment_agree_on_the_tag() {
        for _ in 0..50 {
            let dir = tempfile::tempdir().unwrap();
            let home = Home::locate(Some(dir.path()));
            let start = std::sync::Barrier::new(8);
            let draw = || {
                start.wait();
                home.tag().unwrap()
            };
            let tags: Vec<u32> = std::thread::scope(|scope| {
                let drawn: Vec<_> = (0..8).map(|_| scope.spawn(draw)).collect();
                drawn.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(tags.windows(2).all(|pair| pair[0] == pair[1]), "{tags:?}");
        }
    }

    #[test]
    fn socket_paths_stay_short_however_deep_the_home_is() {
        let deep = PathBuf::from("/very").join("deep".repeat(40));
        let home = Home::locate(Some(&deep));
        assert!(home.daemon_socket().as_os_str().len() < 60);
        assert!(home.pg_socket().as_os_str().len() < 60);
    }
}
