//! Reads a journal that is still being written. Each look reads on from the last whole record; what stands behind that may
//! be half a record, or one that a dead daemon tore and its successor will cut away, so it is looked at again next time.
//!
//! It proves what it needs: every record's checksum and number, and that segments follow each other. The hash chain is left
//! to those who prove runs.

use domain::Event;
use domain::codec::{CodecError, Wire};
use domain::journal::{self, HEAD, Kind, RECORD_MAX};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use thiserror::Error;
use venues::journal_dir::segment_path;

/// Read at a time; more only when one record is larger.
const CHUNK: u64 = 1 << 20;

/// A journal that cannot be followed.
#[derive(Debug, Error)]
pub enum FollowError {
    /// A segment cannot be read.
    #[error("could not read journal `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The journal is not the one that was followed so far.
    #[error("journal `{}` goes on with record {got} where {want} belongs", path.display())]
    Order {
        /// Which segment.
        path: PathBuf,
        /// The number that belongs there.
        want: u64,
        /// The number that stands there.
        got: u64,
    },
    /// A record holds something this build does not know.
    #[error("record {seq} in `{}` is not readable by this build", path.display())]
    Record {
        /// Which segment.
        path: PathBuf,
        /// Which record.
        seq: u64,
        /// The cause.
        #[source]
        source: CodecError,
    },
}

/// One input as it stands in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Number of its record.
    pub seq: u64,
    /// Our clock, ns.
    pub ts_recv_ns: u64,
    /// The input.
    pub event: Event,
}

/// A place in a journal that is being written.
#[derive(Debug)]
pub struct Follower {
    dir: PathBuf,
    segment: u32,
    offset: u64,
    next_seq: u64,
}

impl Follower {
    /// From the beginning of the run in `dir`.
    pub fn new(dir: &Path) -> Follower {
        Follower { dir: dir.to_owned(), segment: 1, offset: 0, next_seq: 0 }
    }

    /// The inputs that came since, a bounded number of them; none when there is nothing new yet.
    ///
    /// # Errors
    /// [`FollowError`].
    pub fn look(&mut self) -> Result<Vec<Input>, FollowError> {
        let mut inputs = Vec::new();
        let mut bytes = self.read(CHUNK)?;
        if bytes.len() as u64 == CHUNK && journal::peek(&bytes).next().is_none() {
            bytes = self.read((RECORD_MAX + HEAD) as u64)?;
        }
        let path = segment_path(&self.dir, self.segment);
        for record in journal::peek(&bytes) {
            if record.seq != self.next_seq {
                return Err(FollowError::Order { path, want: self.next_seq, got: record.seq });
            }
            if record.kind == Kind::Input {
                let event = Event::from_bytes(record.payload);
                let bad = |source| FollowError::Record { path: path.clone(), seq: record.seq, source };
                inputs.push(Input { seq: record.seq, ts_recv_ns: record.ts_recv_ns, event: event.map_err(bad)? });
            }
            self.next_seq += 1;
            self.offset += (HEAD + record.payload.len()) as u64;
            if record.kind == Kind::Seal {
                (self.segment, self.offset) = (self.segment + 1, 0);
                break;
            }
        }
        Ok(inputs)
    }

    /// What stands behind the last whole record, at most `most` bytes; nothing where the segment is not there yet.
    fn read(&self, most: u64) -> Result<Vec<u8>, FollowError> {
        let path = segment_path(&self.dir, self.segment);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.take(most).read_to_end(&mut bytes)
        });
        match read {
            Ok(_) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(bytes),
            Err(source) => Err(FollowError::Io { path, source }),
        }
    }
}
