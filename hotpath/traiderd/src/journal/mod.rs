//! Writes the journal of a run: records into segment files, in the framing of [`domain::journal`].
//!
//! Two levels of safety. [`Writer::flush`] hands records to the operating system: they survive the death of the
//! process, and nothing leaves it before (I-01). A [`sync`] thread behind it makes them survive the loss of power, at
//! most some milliseconds later. A failed sync is final: the segment is abandoned and writing ends.

pub mod sync;

use crate::journal::sync::Sync;
use domain::codec::Wire;
use domain::journal::{self, EffectsMark, Header, Kind};
use domain::{Event, RunId};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use thiserror::Error;
use venues::journal_dir::{Tail, segment_path};

pub use venues::journal_dir::{RunReader, read_run};

/// A segment is closed and a new one begun at this size, bytes.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// The journal cannot be written any more.
#[derive(Debug, Error)]
pub enum WriteError {
    /// A file operation failed; a full disk shows here.
    #[error("could not write journal `{}`", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A halt, or its end, could not be noted where it outlasts the run.
    #[error("could not keep the halt in `{}`", path.display())]
    Halt {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The disk did not confirm what was written; it is not known what is on it.
    #[error("the disk did not confirm journal `{}`: {cause}", path.display())]
    Sync {
        /// Which file.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
}

/// Writes one run's journal; see the module.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    run: RunId,
    segment_bytes: u64,
    segment: u32,
    file: File,
    path: PathBuf,
    /// Records not yet handed to the operating system.
    buffer: Vec<u8>,
    /// Bytes of the segment handed over.
    written: u64,
    next_seq: u64,
    records: u64,
    last_ts_ns: u64,
    sync: Sync,
}

/// How a journal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Sequence number after the last record: how many records the whole run has.
    pub records: u64,
    /// Chain hash of the last segment.
    pub chain: [u8; 32],
}

impl Writer {
    /// Begins or continues the journal of `run` in `dir`, in a new segment behind `tail`. A tail that is not sealed
    /// must be closed first, see [`close_tail`].
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn open(dir: &Path, run: RunId, tail: &Tail, segment_bytes: u64) -> Result<Writer, WriteError> {
        let segment = tail.segment + 1;
        let path = segment_path(dir, segment);
        let file = create(&path)?;
        let sync = Sync::start(&path, &file)?;
        let mut writer = Writer {
            dir: dir.to_owned(),
            run,
            segment_bytes,
            segment,
            file,
            path,
            buffer: Vec::with_capacity(1 << 16),
            written: 0,
            next_seq: tail.next_seq,
            records: 0,
            last_ts_ns: 0,
            sync,
        };
        writer.header(tail.seal.unwrap_or_default());
        writer.flush()?;
        sync_dir(dir)?;
        Ok(writer)
    }

    fn record(&mut self, ts_recv_ns: u64, kind: Kind, value: &impl Wire) -> u64 {
        let seq = self.next_seq;
        journal::append(&mut self.buffer, seq, ts_recv_ns, kind, |out| value.put(out));
        self.next_seq += 1;
        self.records += 1;
        self.last_ts_ns = ts_recv_ns;
        seq
    }
    fn header(&mut self, previous: [u8; 32]) {
        let header = Header::new(self.run, self.segment, previous);
        self.record(self.last_ts_ns, Kind::Header, &header);
    }

    /// Appends an input of the engine and returns its sequence number. It is safe after the next [`Writer::flush`].
    pub fn input(&mut self, ts_recv_ns: u64, event: &Event) -> u64 {
        self.record(ts_recv_ns, Kind::Input, event)
    }
    /// Appends the mark of what an input led to.
    pub fn effects(&mut self, ts_recv_ns: u64, mark: &EffectsMark) {
        self.record(ts_recv_ns, Kind::Effects, mark);
    }

    /// Hands everything appended to the operating system, and begins a new segment when this one is full.
    ///
    /// # Errors
    /// [`WriteError`]; after [`WriteError::Sync`] the writer is of no more use.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.hand_over()?;
        if self.written >= self.segment_bytes { self.roll() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<(), WriteError> {
        if let Some(cause) = self.sync.failure() {
            return Err(WriteError::Sync { path: self.path.clone(), cause });
        }
        let io = |source| WriteError::Io { path: self.path.clone(), source };
        self.file.write_all(&self.buffer).map_err(io)?;
        self.written += self.buffer.len() as u64;
        self.sync.written(self.written);
        self.buffer.clear();
        Ok(())
    }

    fn roll(&mut self) -> Result<(), WriteError> {
        let chain = self.close()?;
        self.segment += 1;
        self.path = segment_path(&self.dir, self.segment);
        self.file = create(&self.path)?;
        self.written = 0;
        self.sync = Sync::start(&self.path, &self.file)?;
        self.header(chain);
        self.hand_over()?;
        sync_dir(&self.dir)
    }

    /// Seals the segment and waits until all of it is on disk.
    fn close(&mut self) -> Result<[u8; 32], WriteError> {
        let sync = |cause| WriteError::Sync { path: self.path.clone(), cause };
        let chain = self.sync.finish().map_err(sync)?;
        self.record(self.last_ts_ns, Kind::Seal, &chain);
        let io = |source| WriteError::Io { path: self.path.clone(), source };
        self.file.write_all(&self.buffer).map_err(io)?;
        self.buffer.clear();
        self.file.sync_data().map_err(|e| WriteError::Sync { path: self.path.clone(), cause: e.to_string() })?;
        Ok(chain)
    }

    /// Ends the journal: everything is handed over, sealed and on disk.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn seal(mut self) -> Result<Sealed, WriteError> {
        self.flush()?;
        let chain = self.close()?;
        Ok(Sealed { records: self.next_seq, chain })
    }

    /// True when records wait for [`Writer::flush`].
    pub const fn has_unflushed(&self) -> bool {
        !self.buffer.is_empty()
    }
    /// Sequence number the next record gets.
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }
    /// Records written by this writer.
    pub const fn records(&self) -> u64 {
        self.records
    }
    /// Number of the segment being written.
    pub const fn segment(&self) -> u32 {
        self.segment
    }
}

fn create(path: &Path) -> Result<File, WriteError> {
    // `create_new`: a file that is already there holds somebody's records.
    OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .open(path)
        .map_err(|source| WriteError::Io { path: path.to_owned(), source })
}

fn sync_dir(dir: &Path) -> Result<(), WriteError> {
    let sync = || File::open(dir)?.sync_all();
    sync().map_err(|e| WriteError::Sync { path: dir.to_owned(), cause: e.to_string() })
}

/// Closes the last segment of a journal whose daemon died: cuts the torn tail, adds the mark that is missing if the
/// daemon died between an input and its mark, and seals. Returns the tail to continue from.
///
/// * `tail` - as read; nothing happens when it is sealed or there is no segment.
/// * `missing` - mark of the last input with its receive time, when it has effects and no mark.
///
/// # Errors
/// [`WriteError`].
pub fn close_tail(dir: &Path, tail: &Tail, missing: Option<(u64, EffectsMark)>) -> Result<Tail, WriteError> {
    if let Some(path) = &tail.headless {
        std::fs::remove_file(path).map_err(|source| WriteError::Io { path: path.clone(), source })?;
        sync_dir(dir)?;
    }
    let mut next = Tail { torn: 0, headless: None, ..tail.clone() };
    if tail.segment == 0 || tail.seal.is_some() {
        return Ok(next);
    }
    let path = segment_path(dir, tail.segment);
    let io = |source| WriteError::Io { path: path.clone(), source };
    let mut bytes = std::fs::read(&path).map_err(io)?;
    let whole = bytes.len() - tail.torn;
    bytes.truncate(whole);
    let ts_ns = missing.as_ref().map_or(0, |(ts, _)| *ts);
    if let Some((_, mark)) = &missing {
        journal::append(&mut bytes, next.next_seq, ts_ns, Kind::Effects, |out| mark.put(out));
        next.next_seq += 1;
    }
    let chain = sync::chain_of(&bytes);
    journal::append(&mut bytes, next.next_seq, ts_ns, Kind::Seal, |out| chain.put(out));
    next.next_seq += 1;
    next.seal = Some(chain);

    let mut file = OpenOptions::new().write(true).open(&path).map_err(io)?;
    file.set_len(whole as u64).map_err(io)?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(io)?;
    file.write_all(&bytes[whole..]).map_err(io)?;
    file.sync_all().map_err(|e| WriteError::Sync { path: path.clone(), cause: e.to_string() })?;
    Ok(next)
}

#[cfg(test)]
mod tests;
