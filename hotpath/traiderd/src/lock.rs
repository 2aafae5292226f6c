//! One daemon per home: a file lock that the operating system lets go when the process ends, however it ends.

use crate::error::DaemonError;
use settings::Home;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};

/// Held as long as the daemon works in its home.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Takes the lock of a prepared home and writes our pid into it.
    ///
    /// # Errors
    /// [`DaemonError::Locked`] when another daemon holds it.
    pub fn take(home: &Home) -> Result<HomeLock, DaemonError> {
        let path = home.run().join("traiderd.lock");
        let io = || DaemonError::io(format!("could not lock `{}`", path.display()));
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(io())?;
                return Err(DaemonError::Locked { path, pid: pid.trim().to_owned() });
            }
            Err(TryLockError::Error(e)) => return Err(io()(e)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(io())?;
        Ok(HomeLock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_refused_and_told_who_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path()));
        home.prepare().unwrap();
        let held = HomeLock::take(&home).unwrap();
        match HomeLock::take(&home) {
            Err(e @ DaemonError::Locked { .. }) => {
                assert_eq!(e.exit_code(), 7);
                assert!(e.to_string().contains(&std::process::id().to_string()), "{e}");
            }
            other => panic!("{other:?}"),
        }
        drop(held);
        assert!(HomeLock::take(&home).is_ok());
    }
}
