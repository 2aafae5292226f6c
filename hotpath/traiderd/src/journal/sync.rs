//! The thread behind the writer: makes written records durable in groups and computes the segment's chain hash, both
//! off the engine's path. One thread per segment; it reads the bytes back from the page cache.

use crate::journal::WriteError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// How long records gather before they are synced together; with the sync itself they are at most about 10 ms behind.
const GATHER: Duration = Duration::from_millis(3);

#[derive(Debug)]
struct State {
    /// Bytes handed to the operating system.
    written: AtomicU64,
    /// The thread waits to be woken.
    idle: AtomicBool,
    /// No more bytes will come.
    finished: AtomicBool,
    failure: OnceLock<String>,
}

/// Handle of the thread.
#[derive(Debug)]
pub struct Sync {
    state: Arc<State>,
    thread: Option<JoinHandle<[u8; 32]>>,
    waker: Thread,
}

impl Sync {
    /// Starts the thread for a segment just created.
    ///
    /// # Errors
    /// When the file handle or the thread cannot be had.
    pub fn start(path: &Path, file: &File) -> Result<Sync, WriteError> {
        let io = |source| WriteError::Io { path: path.to_owned(), source };
        let file = file.try_clone().map_err(io)?;
        let state = Arc::new(State {
            written: AtomicU64::new(0),
            idle: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            failure: OnceLock::new(),
        });
        let shared = Arc::clone(&state);
        let run = move || match follow(&shared, &file) {
            Ok(chain) => chain,
            Err(e) => {
                // Set once; the writer looks at it before every write.
                shared.failure.get_or_init(|| e.to_string());
                [0; 32]
            }
        };
        let thread = thread::Builder::new().name("journal-sync".to_owned()).spawn(run).map_err(io)?;
        let waker = thread.thread().clone();
        Ok(Sync { state, thread: Some(thread), waker })
    }

    /// Tells that the segment now has `bytes` bytes.
    pub fn written(&self, bytes: u64) {
        self.state.written.store(bytes, Ordering::SeqCst);
        if self.state.idle.swap(false, Ordering::SeqCst) {
            self.waker.unpark();
        }
    }

    /// Why syncing ended, if it failed.
    pub fn failure(&self) -> Option<String> {
        self.state.failure.get().cloned()
    }

    /// Waits until everything written is on disk and returns the SHA-256 over it.
    ///
    /// # Errors
    /// In words, when the disk failed.
    pub fn finish(&mut self) -> Result<[u8; 32], String> {
        self.state.finished.store(true, Ordering::SeqCst);
        self.waker.unpark();
        let Some(thread) = self.thread.take() else { return Err("the segment is closed already".to_owned()) };
        let chain = thread.join().map_err(|_| "the sync thread panicked".to_owned())?;
        self.failure().map_or(Ok(chain), Err)
    }
}

impl Drop for Sync {
    fn drop(&mut self) {
        self.state.finished.store(true, Ordering::SeqCst);
        self.waker.unpark();
    }
}

fn follow(state: &State, file: &File) -> std::io::Result<[u8; 32]> {
    let (mut hasher, mut hashed) = (Sha256::new(), 0u64);
    let mut chunk = vec![0; 1 << 16];
    loop {
        // Read in this order: bytes written before `finished` was set are seen.
        let finished = state.finished.load(Ordering::SeqCst);
        let written = state.written.load(Ordering::SeqCst);
        if written > hashed {
            file.sync_data()?;
            while hashed < written {
                let want = usize::try_from(written - hashed).unwrap_or(usize::MAX).min(chunk.len());
                file.read_exact_at(&mut chunk[..want], hashed)?;
                hasher.update(&chunk[..want]);
                hashed += want as u64;
            }
        } else if finished {
            return Ok(hasher.finalize().into());
        } else {
            state.idle.store(true, Ordering::SeqCst);
            // Whoever wrote before it could see us idle did not wake us.
            if state.written.load(Ordering::SeqCst) == written && !state.finished.load(Ordering::SeqCst) {
                thread::park();
            }
            state.idle.store(false, Ordering::SeqCst);
            if !state.finished.load(Ordering::SeqCst) {
                thread::sleep(GATHER);
            }
        }
    }
}

/// The chain hash of a whole segment in memory.
pub fn chain_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;

    #[test]
    fn a_disk_that_does_not_confirm_is_a_failure_for_good() {
        // A pipe takes bytes but cannot be synced.
        let (_reader, writer) = std::io::pipe().unwrap();
        let mut sync = Sync::start(Path::new("pipe"), &File::from(OwnedFd::from(writer))).unwrap();
        sync.written(1);
        assert!(sync.finish().is_err());
        assert!(sync.failure().is_some());
    }

    #[test]
    fn the_chain_is_the_hash_of_everything_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let mut sync = Sync::start(file.path(), file.as_file()).unwrap();
        let mut written = 0;
        for part in bytes.chunks(70_001) {
            std::io::Write::write_all(&mut file.as_file(), part).unwrap();
            written += part.len() as u64;
            sync.written(written);
        }
        assert_eq!(sync.finish().unwrap(), chain_of(&bytes));
    }
}
