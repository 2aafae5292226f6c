//! Writes the journal of a backtest, in the daemon's framing, beside its final place; it moves there when it is whole.
//! A backtest can be run again, so nothing here waits for the disk.

use crate::DataError;
use domain::codec::Wire;
use domain::journal::{EffectsMark, Header, Kind, append};
use domain::{Event, RunId};
use settings::RunManifest;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use venues::journal_dir::segment_path;

/// A segment is closed at this size, bytes.
const SEGMENT_BYTES: usize = 64 << 20;
/// Records are handed to the operating system in pieces of this size, bytes.
const PIECE_BYTES: usize = 1 << 20;

/// One run's journal while it is written.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    target: PathBuf,
    run: RunId,
    segment: u32,
    file: File,
    hash: Sha256,
    buffer: Vec<u8>,
    written: usize,
    next_seq: u64,
    last_ts_ns: u64,
}

impl Writer {
    /// A journal that will stand in `target`.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn create(target: &Path, run: RunId) -> Result<Writer, DataError> {
        let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let dir = target.with_file_name(format!(".{name}.{}", std::process::id()));
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(DataError::io("remove", &dir))?;
        }
        fs::create_dir_all(&dir).map_err(DataError::io("create", &dir))?;
        let file = create(&segment_path(&dir, 1))?;
        let mut writer = Writer {
            dir,
            target: target.to_path_buf(),
            run,
            segment: 1,
            file,
            hash: Sha256::new(),
            buffer: Vec::with_capacity(PIECE_BYTES + (1 << 16)),
            written: 0,
            next_seq: 0,
            last_ts_ns: 0,
        };
        writer.record(Kind::Header, &Header::new(run, 1, [0; 32]));
        Ok(writer)
    }

    /// Appends an input; returns its sequence number.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn input(&mut self, ts_recv_ns: u64, event: &Event) -> Result<u64, DataError> {
        if self.written + self.buffer.len() >= SEGMENT_BYTES {
            self.roll()?;
        } else if self.buffer.len() >= PIECE_BYTES {
            self.hand_over()?;
        }
        self.last_ts_ns = ts_recv_ns;
        Ok(self.record(Kind::Input, event))
    }

    /// Appends what the input before led to.
    pub fn effects(&mut self, mark: &EffectsMark) {
        self.record(Kind::Effects, mark);
    }

    fn record(&mut self, kind: Kind, value: &impl Wire) -> u64 {
        let seq = self.next_seq;
        append(&mut self.buffer, seq, self.last_ts_ns, kind, |out| value.put(out));
        self.next_seq += 1;
        seq
    }

    fn hand_over(&mut self) -> Result<(), DataError> {
        self.hash.update(&self.buffer);
        self.written += self.buffer.len();
        self.file.write_all(&self.buffer).map_err(DataError::io("write", segment_path(&self.dir, self.segment)))?;
        self.buffer.clear();
        Ok(())
    }

    fn close(&mut self) -> Result<[u8; 32], DataError> {
        self.hand_over()?;
        let seal: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
        self.record(Kind::Seal, &seal);
        self.hand_over()?;
        Ok(seal)
    }

    fn roll(&mut self) -> Result<(), DataError> {
        let previous = self.close()?;
        self.segment += 1;
        self.file = create(&segment_path(&self.dir, self.segment))?;
        (self.hash, self.written) = (Sha256::new(), 0);
        self.record(Kind::Header, &Header::new(self.run, self.segment, previous));
        Ok(())
    }

    /// Seals the journal, completes and writes the manifest, and puts the folder in its place, where it replaces an
    /// earlier run of the same backtest. Returns the number of records.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn finish(mut self, mut manifest: RunManifest) -> Result<u64, DataError> {
        self.close()?;
        manifest.sealed = true;
        manifest.records = self.next_seq;
        manifest.write(&self.dir).map_err(DataError::io("write", self.dir.join("manifest.json")))?;
        if self.target.exists() {
            fs::remove_dir_all(&self.target).map_err(DataError::io("replace", &self.target))?;
        }
        fs::rename(&self.dir, &self.target).map_err(DataError::io("rename", &self.dir))?;
        Ok(self.next_seq)
    }
}

fn create(path: &Path) -> Result<File, DataError> {
    File::create(path).map_err(DataError::io("create", path))
}
