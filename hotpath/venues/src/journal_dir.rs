//! Reads the journal folder of one run: its segment files in order, as one sequence of inputs and marks. One segment
//! at a time is in memory. Writing is the daemon's work; what a record looks like is [`domain::journal`]'s.
//!
//! Only the last segment may be open (a running or killed daemon); its torn tail is left out and reported in
//! [`Tail`]. Anything else that is not as written is an error that names file and record.

use domain::codec::{CodecError, Wire};
use domain::event::Session;
use domain::journal::{self, EffectsMark, JournalError, Kind};
use domain::{Event, RunId};
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A journal that cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A file or the folder cannot be read.
    #[error("could not read journal `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A segment is not as it was written.
    #[error("journal file `{}` is damaged: {source}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        #[source]
        source: JournalError,
    },
    /// A record passes its checksum and yet holds something this build does not know.
    #[error("record {seq} in `{}` is not readable by this build: {source}", path.display())]
    Record {
        /// Which file.
        path: PathBuf,
        /// Which record.
        seq: u64,
        /// Why.
        #[source]
        source: CodecError,
    },
    /// A segment is missing, left open in the middle, or of another run.
    #[error("journal `{}`: {what}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// One entry of a journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An input of the engine.
    Input {
        /// Sequence number of the record.
        seq: u64,
        /// Our clock, ns.
        ts_recv_ns: u64,
        /// The input.
        event: Event,
    },
    /// What an input led to.
    Effects(EffectsMark),
}

/// Where a journal ends: all that is needed to go on writing it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Last segment with a readable header; 0 when there is none.
    pub segment: u32,
    /// Sequence number of the next record.
    pub next_seq: u64,
    /// Chain hash of the last segment, when it is sealed.
    pub seal: Option<[u8; 32]>,
    /// Bytes at the end of the last segment that belong to no whole record.
    pub torn: usize,
    /// A segment file torn before its header was whole; it holds nothing.
    pub headless: Option<PathBuf>,
}

/// A header and a session together are far smaller.
const HEAD_BYTES: u64 = 1024;

/// File name of a segment.
pub fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("seg-{segment:06}.trj"))
}

/// Reads a run's entries in order; see the module.
#[derive(Debug)]
pub struct RunReader {
    dir: PathBuf,
    segments: u32,
    run: Option<RunId>,
    previous: [u8; 32],
    tail: Tail,
    bytes: Vec<u8>,
    records: std::vec::IntoIter<(u64, u64, Kind, Range<usize>)>,
    failed: bool,
}

/// Opens the journal folder of a run.
///
/// # Errors
/// [`ReadError`] when the folder cannot be listed or a segment is missing; damage inside shows while reading.
pub fn read_run(dir: &Path) -> Result<RunReader, ReadError> {
    let numbers = segments(dir)?;
    if let Some((want, _)) = (1u32..).zip(&numbers).find(|(want, got)| want != *got) {
        return Err(ReadError::Folder { path: dir.to_owned(), what: format!("segment {want} is missing") });
    }
    Ok(RunReader {
        dir: dir.to_owned(),
        segments: u32::try_from(numbers.len()).unwrap_or(u32::MAX),
        run: None,
        previous: [0; 32],
        tail: Tail::default(),
        bytes: Vec::new(),
        records: Vec::new().into_iter(),
        failed: false,
    })
}

/// Numbers of the segments in a folder, in order.
fn segments(dir: &Path) -> Result<Vec<u32>, ReadError> {
    let io = |source| ReadError::Io { path: dir.to_owned(), source };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix("seg-")?.strip_suffix(".trj")?.parse::<u32>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The first bytes of a segment, enough for its header and the record behind it, if that begins a session.
fn head(dir: &Path, segment: u32) -> Result<Vec<u8>, ReadError> {
    let path = segment_path(dir, segment);
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut bytes));
    read.map_err(|source| ReadError::Io { path, source })?;
    Ok(bytes)
}

/// True when anything was journaled in `dir`. A folder without a single record is no run: a daemon died, or was
/// refused, before its run began.
///
/// # Errors
/// [`ReadError::Io`] when the folder or its first segment cannot be read.
pub fn has_records(dir: &Path) -> Result<bool, ReadError> {
    match segments(dir)?.as_slice() {
        [] => Ok(false),
        // Damaged records are records, too: only what was never wholly written does not count.
        [1] => head(dir, 1).map(|bytes| !header_is_cut(&bytes)),
        _ => Ok(true),
    }
}

/// The sessions of the run in `dir`, in order, from the first records of its segments: each session begins a new one.
/// What cannot be read as a session is none; damage shows when the run is read.
///
/// # Errors
/// [`ReadError::Io`] when the folder or a segment cannot be read.
pub fn sessions(dir: &Path) -> Result<Vec<Session>, ReadError> {
    let mut found = Vec::new();
    for number in segments(dir)?.into_iter().filter(|number| segment_path(dir, *number).is_file()) {
        let bytes = head(dir, number)?;
        let first = journal::peek(&bytes).find(|record| record.kind == Kind::Input);
        if let Some(Ok(Event::Session(session))) = first.map(|record| Event::from_bytes(record.payload)) {
            found.push(session);
        }
    }
    Ok(found)
}

impl RunReader {
    /// Where the journal ends; meaningful once all entries were read.
    pub const fn tail(&self) -> &Tail {
        &self.tail
    }
    /// The run named in the headers; `None` before the first entry.
    pub const fn run(&self) -> Option<&RunId> {
        self.run.as_ref()
    }

    /// Loads the next segment; `false` when there is none.
    fn load(&mut self) -> Result<bool, ReadError> {
        let number = self.tail.segment + 1;
        if number > self.segments || self.tail.headless.is_some() {
            return Ok(false);
        }
        let path = segment_path(&self.dir, number);
        let folder = |what: String| ReadError::Folder { path: path.clone(), what };
        if number > 1 && self.tail.seal.is_none() {
            return Err(folder("the segment before it was never closed".to_owned()));
        }
        self.bytes = fs::read(&path).map_err(|source| ReadError::Io { path: path.clone(), source })?;
        if number == self.segments && header_is_cut(&self.bytes) {
            self.tail.headless = Some(path);
            return Ok(false);
        }
        let segment = journal::read_segment(&self.bytes, number, self.tail.next_seq, self.previous)
            .map_err(|source| ReadError::Damaged { path: path.clone(), source })?;
        match &self.run {
            Some(run) if *run != segment.header.run => {
                return Err(folder(format!("it belongs to run {}, not {run}", segment.header.run)));
            }
            _ => self.run = Some(segment.header.run),
        }
        let tail = Tail {
            segment: number,
            next_seq: segment.next_seq(),
            seal: segment.seal,
            torn: segment.torn,
            headless: None,
        };
        let place = |r: &journal::Record<'_>| {
            let start = r.offset + journal::HEAD;
            (r.seq, r.ts_recv_ns, r.kind, start..start + r.payload.len())
        };
        self.records = segment.records.iter().map(place).collect::<Vec<_>>().into_iter();
        self.previous = tail.seal.unwrap_or_default();
        self.tail = tail;
        Ok(true)
    }

    fn read_next(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            let Some((seq, ts_recv_ns, kind, place)) = self.records.next() else {
                if self.load()? {
                    continue;
                }
                return Ok(None);
            };
            let payload = &self.bytes[place];
            let bad = |source| ReadError::Record { path: segment_path(&self.dir, self.tail.segment), seq, source };
            match kind {
                Kind::Header | Kind::Seal => {}
                Kind::Input => {
                    let event = Event::from_bytes(payload).map_err(bad)?;
                    return Ok(Some(Entry::Input { seq, ts_recv_ns, event }));
                }
                Kind::Effects => return EffectsMark::from_bytes(payload).map(|m| Some(Entry::Effects(m))).map_err(bad),
            }
        }
    }
}

impl Iterator for RunReader {
    type Item = Result<Entry, ReadError>;

    /// The next entry; after an error there is no other.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.read_next();
        self.failed = next.is_err();
        next.transpose()
    }
}

/// True when a file holds less than the first record announces: the daemon died while it opened the segment.
fn header_is_cut(bytes: &[u8]) -> bool {
    match bytes.first_chunk::<4>() {
        None => true,
        // A header is below this; a larger announcement is damage, not a tear.
        Some(len) => {
            let len = u32::from_le_bytes(*len) as usize;
            len <= 128 && bytes.len() < 8 + len
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::journal::Header;
    use sha2_free::seal_of;

    /// The seal is a SHA-256; ring has one and is linked anyway.
    mod sha2_free {
        pub(super) fn seal_of(bytes: &[u8]) -> [u8; 32] {
            ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().try_into().unwrap()
        }
    }

    /// Writes a run of `per_segment` timers in each of `segments`; the last one stays open.
    fn write(dir: &Path, segments: u32, per_segment: u64) -> u64 {
        let (mut seq, mut previous) = (0, [0; 32]);
        for number in 1..=segments {
            let mut out = Vec::new();
            let header = Header::new("r".parse().unwrap(), number, previous);
            let mut record = |kind, payload: &dyn Wire2| {
                journal::append(&mut out, seq, seq * 10, kind, |o| payload.put_to(o));
                seq += 1;
            };
            record(Kind::Header, &header);
            for n in 0..per_segment {
                record(Kind::Input, &Event::Timer);
                if n == 0 {
                    record(Kind::Effects, &EffectsMark { input: 1, count: 2, running: [7; 32] });
                }
            }
            if number < segments {
                previous = seal_of(&out);
                journal::append(&mut out, seq, 0, Kind::Seal, |o| previous.put(o));
                seq += 1;
            }
            fs::write(segment_path(dir, number), out).unwrap();
        }
        seq
    }
    /// `Wire` as an object.
    trait Wire2 {
        fn put_to(&self, out: &mut Vec<u8>);
    }
    impl<T: Wire> Wire2 for T {
        fn put_to(&self, out: &mut Vec<u8>) {
            self.put(out);
        }
    }
    fn read(dir: &Path) -> Result<(usize, Tail), ReadError> {
        let mut reader = read_run(dir)?;
        let entries = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
        Ok((entries.len(), reader.tail().clone()))
    }

    #[test]
    fn a_run_is_one_sequence_over_all_its_segments() {
        let dir = tempfile::tempdir().unwrap();
        let next_seq = write(dir.path(), 3, 4);
        let entries: Vec<Entry> = read_run(dir.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(entries.len(), 3 * 5);
        assert_eq!(entries[0], Entry::Input { seq: 1, ts_recv_ns: 10, event: Event::Timer });
        assert!(matches!(entries[1], Entry::Effects(EffectsMark { count: 2, .. })));
        let (_, tail) = read(dir.path()).unwrap();
        assert_eq!(tail, Tail { segment: 3, next_seq, ..Tail::default() });
    }

    #[test]
    fn sessions_are_found_at_the_beginning_of_segments_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let run: RunId = "r".parse().unwrap();
        let session = |epoch| Session { run, home: 7, epoch, seed: 1 };
        let firsts = [Event::Session(session(3)), Event::Timer, Event::Session(session(5))];
        for (number, first) in (1..).zip(&firsts) {
            let mut out = Vec::new();
            journal::append(&mut out, 0, 0, Kind::Header, |o| Header::new(run, number, [0; 32]).put(o));
            journal::append(&mut out, 1, 0, Kind::Input, |o| first.put(o));
            // Larger than what is looked at.
            out.resize(4000, 0);
            fs::write(segment_path(dir.path(), number), out).unwrap();
        }
        assert_eq!(sessions(dir.path()).unwrap(), [session(3), session(5)]);
        fs::write(segment_path(dir.path(), 3), b"not a segment").unwrap();
        assert_eq!(sessions(dir.path()).unwrap(), [session(3)]);
    }

    #[test]
    fn a_folder_without_one_whole_record_is_no_run() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!has_records(dir.path()).unwrap());
        write(dir.path(), 1, 0);
        let first = segment_path(dir.path(), 1);
        let whole = fs::read(&first).unwrap();
        assert!(has_records(dir.path()).unwrap());
        fs::write(&first, &whole[..whole.len() - 1]).unwrap();
        assert!(!has_records(dir.path()).unwrap());
        let mut damaged = whole;
        damaged[20] ^= 1;
        fs::write(&first, damaged).unwrap();
        assert!(has_records(dir.path()).unwrap(), "damage is not nothing");
    }

    #[test]
    fn the_open_end_may_be_torn_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 2, 3);
        let last = segment_path(dir.path(), 2);
        let whole = fs::read(&last).unwrap();
        for cut in 0..whole.len() {
            fs::write(&last, &whole[..cut]).unwrap();
            let (entries, tail) = read(dir.path()).unwrap();
            assert!((4..=8).contains(&entries), "{entries} entries at {cut}");
            assert_eq!(tail.headless.is_some(), tail.segment == 1, "at {cut}");
        }
    }

    #[test]
    fn damage_missing_files_and_open_middles_are_named() {
        let fails = |change: &dyn Fn(&Path)| {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), 3, 3);
            change(dir.path());
            read(dir.path()).unwrap_err().to_string()
        };
        let missing = fails(&|d| fs::remove_file(segment_path(d, 2)).unwrap());
        assert!(missing.contains("segment 2 is missing"), "{missing}");
        let flipped = fails(&|d| {
            let path = segment_path(d, 1);
            let mut bytes = fs::read(&path).unwrap();
            bytes[120] ^= 1;
            fs::write(path, bytes).unwrap();
        });
        assert!(flipped.contains("is damaged"), "{flipped}");
        let open = fails(&|d| {
            fs::copy(segment_path(d, 3), segment_path(d, 2)).unwrap();
        });
        assert!(open.contains("seg-000002"), "{open}");
        assert!(matches!(read_run(Path::new("/nowhere")), Err(ReadError::Io { .. })));
    }
}
