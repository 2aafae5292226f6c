//! The journal's framing, without any I/O: how a record looks in a segment file, and how a segment is read back and
//! judged. Writing files is the daemon's work, reading them that of whoever replays.
//!
//! A segment is a sequence of records. A record is
//!
//! ```text
//! len:u32  crc:u32  seq:u64  ts_recv_ns:u64  kind:u8  payload[len - 17]        (little-endian)
//! ```
//!
//! `len` counts the bytes from `seq` on; `crc` is CRC-32C over `len` and those bytes. `seq` counts up by one over all
//! records of a run, across segments, from 0. The first record of a segment is a [`Kind::Header`] carrying the chain
//! hash of the segment before, the last one of a closed segment a [`Kind::Seal`] carrying the SHA-256 over all bytes
//! before it (I-23). A torn tail (the last record cut short, nothing valid behind it, no seal expected) is cut away;
//! any other damage is an error that names the record.

use crate::RunId;
use crate::codec::{self, CodecError, Reader, Wire};
use crate::wire_struct;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Bytes before the payload.
pub const HEAD: usize = 4 + 4 + 8 + 8 + 1;
/// A record larger than this is refused: nothing we write comes near it.
pub const RECORD_MAX: usize = 16 << 20;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Start of a segment: a [`Header`].
    Header,
    /// An input of the engine: an [`crate::Event`].
    Input,
    /// What the input before it led to: an [`EffectsMark`].
    Effects,
    /// End of a segment: the chain hash.
    Seal,
}

impl Kind {
    const fn tag(self) -> u8 {
        match self {
            Kind::Header => 1,
            Kind::Input => 2,
            Kind::Effects => 3,
            Kind::Seal => 4,
        }
    }
    const fn of(tag: u8) -> Option<Kind> {
        match tag {
            1 => Some(Kind::Header),
            2 => Some(Kind::Input),
            3 => Some(Kind::Effects),
            4 => Some(Kind::Seal),
            _ => None,
        }
    }
}

/// First record of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Layout version, [`codec::VERSION`].
    pub version: u16,
    /// The run.
    pub run: RunId,
    /// Number of the segment in the run, from 1.
    pub segment: u32,
    /// Chain hash of the segment before; zeros for the first.
    pub previous: [u8; 32],
}
wire_struct!(Header { version, run, segment, previous });

impl Header {
    /// Header of the `segment`-th segment of `run`.
    pub const fn new(run: RunId, segment: u32, previous: [u8; 32]) -> Self {
        Self { version: codec::VERSION, run, segment, previous }
    }
}

/// What an input led to: written after each input with effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectsMark {
    /// Sequence number of the input.
    pub input: u64,
    /// How many effects it had.
    pub count: u32,
    /// SHA-256 over all effects of the run up to and with these, chained.
    pub running: [u8; 32],
}
wire_struct!(EffectsMark { input, count, running });

/// Appends one record to `out`.
///
/// # Panics
/// When the payload is larger than [`RECORD_MAX`], which only a bug can make.
pub fn append(out: &mut Vec<u8>, seq: u64, ts_recv_ns: u64, kind: Kind, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    seq.put(out);
    ts_recv_ns.put(out);
    out.push(kind.tag());
    payload(out);
    let body = out.len() - start - 8;
    assert!(body <= RECORD_MAX, "a journal record of {body} bytes");
    let len = u32::try_from(body).unwrap_or(u32::MAX).to_le_bytes();
    out[start..start + 4].copy_from_slice(&len);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&len), &out[start + 8..]).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&crc);
}

/// One record as it stands in a segment.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Byte offset in the segment.
    pub offset: usize,
    /// Sequence number in the run.
    pub seq: u64,
    /// Our clock when it was received, ns.
    pub ts_recv_ns: u64,
    /// What it holds.
    pub kind: Kind,
    /// The value's bytes.
    pub payload: &'a [u8],
}

/// Why a segment cannot be believed.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum JournalError {
    /// A record whose bytes changed since they were written.
    #[error("record {seq} at byte {offset} of segment {segment} is damaged: {what}")]
    Damaged {
        /// Segment number.
        segment: u32,
        /// The sequence number it must have.
        seq: u64,
        /// Where it starts.
        offset: usize,
        /// What is wrong.
        what: String,
    },
    /// The chain of hashes is broken.
    #[error("segment {segment} does not continue the one before it: {what}")]
    Chain {
        /// Segment number.
        segment: u32,
        /// What is wrong.
        what: String,
    },
}

/// A segment read back.
#[derive(Debug)]
pub struct Segment<'a> {
    /// Its header.
    pub header: Header,
    /// Its records in order, header and seal included.
    pub records: Vec<Record<'a>>,
    /// Bytes of a torn tail to cut; 0 when the end is clean.
    pub torn: usize,
    /// The chain hash, when the segment was closed.
    pub seal: Option<[u8; 32]>,
}

impl Segment<'_> {
    /// Sequence number the next record must have.
    pub fn next_seq(&self) -> u64 {
        self.records.last().map_or(0, |r| r.seq + 1)
    }
}

/// Reads a whole segment.
///
/// * `expect_seq`, `expect_segment`, `expect_previous` - what the segment before leads to; 0, 1 and zeros at the start.
///
/// # Errors
/// [`JournalError`] for anything but a torn tail.
pub fn read_segment(
    bytes: &[u8],
    expect_segment: u32,
    expect_seq: u64,
    expect_previous: [u8; 32],
) -> Result<Segment<'_>, JournalError> {
    let mut records: Vec<Record<'_>> = Vec::new();
    let (mut offset, mut seal) = (0, None);
    while offset < bytes.len() {
        let seq = expect_seq + records.len() as u64;
        let damaged = |what: String| JournalError::Damaged { segment: expect_segment, seq, offset, what };
        if seal.is_some() {
            return Err(damaged("bytes after the seal".to_owned()));
        }
        let (record, len) = match parse(bytes, offset) {
            Ok(ok) => ok,
            Err(fault) => {
                return if fault == Fault::Cut && !something_valid_behind(bytes, offset, seq) && !records.is_empty() {
                    finish(bytes, records, bytes.len() - offset, seal, expect_segment, expect_previous)
                } else {
                    Err(damaged(fault.to_string()))
                };
            }
        };
        if record.seq != seq {
            return Err(damaged(format!("it says it is record {}", record.seq)));
        }
        if record.kind == Kind::Seal {
            let stated = <[u8; 32]>::from_bytes(record.payload).map_err(|e| damaged(e.to_string()))?;
            let actual: [u8; 32] = Sha256::digest(&bytes[..offset]).into();
            if stated != actual {
                return Err(damaged("the segment's bytes do not match its seal".to_owned()));
            }
            seal = Some(stated);
        }
        records.push(record);
        offset += len;
    }
    finish(bytes, records, 0, seal, expect_segment, expect_previous)
}

fn finish<'a>(
    bytes: &'a [u8],
    records: Vec<Record<'a>>,
    torn: usize,
    seal: Option<[u8; 32]>,
    segment: u32,
    previous: [u8; 32],
) -> Result<Segment<'a>, JournalError> {
    let chain = |what: &str| JournalError::Chain { segment, what: what.to_owned() };
    let first = records
        .first()
        .filter(|r| r.kind == Kind::Header)
        .ok_or_else(|| chain(if bytes.is_empty() { "the file is empty" } else { "it does not start with a header" }))?;
    let header = Header::from_bytes(first.payload).map_err(|e| chain(&e.to_string()))?;
    if header.version != codec::VERSION {
        return Err(chain(&format!("it has layout version {}, this build reads {}", header.version, codec::VERSION)));
    }
    if header.segment != segment {
        return Err(chain(&format!("its header says segment {}", header.segment)));
    }
    if header.previous != previous {
        return Err(chain("the hash of the segment before is another one"));
    }
    Ok(Segment { header, records, torn, seal })
}

/// The records at the start of `bytes`, up to the first that is cut short or damaged: a look into a segment without
/// reading, and judging, all of it.
pub fn peek(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let (record, len) = parse(bytes, offset).ok()?;
        offset += len;
        Some(record)
    })
}

#[derive(Debug, Error, PartialEq, Eq)]
enum Fault {
    #[error("it is cut short")]
    Cut,
    #[error("its checksum does not match")]
    Checksum,
    #[error("it has an impossible length of {0}")]
    Length(usize),
    #[error("it is of unknown kind {0}")]
    Kind(u8),
}

fn parse(bytes: &[u8], offset: usize) -> Result<(Record<'_>, usize), Fault> {
    let cut = |_: CodecError| Fault::Cut;
    let mut r = Reader::new(&bytes[offset..]);
    let len_bytes = <[u8; 4]>::take(&mut r).map_err(cut)?;
    let len = u32::from_le_bytes(len_bytes) as usize;
    let crc = u32::take(&mut r).map_err(cut)?;
    if !(HEAD - 8..=RECORD_MAX).contains(&len) {
        return Err(Fault::Length(len));
    }
    let body = r.bytes(len).map_err(cut)?;
    if crc32c::crc32c_append(crc32c::crc32c(&len_bytes), body) != crc {
        return Err(Fault::Checksum);
    }
    let mut r = Reader::new(body);
    let (seq, ts_recv_ns) = (u64::take(&mut r).map_err(cut)?, u64::take(&mut r).map_err(cut)?);
    let tag = u8::take(&mut r).map_err(cut)?;
    let kind = Kind::of(tag).ok_or(Fault::Kind(tag))?;
    Ok((Record { offset, seq, ts_recv_ns, kind, payload: &body[HEAD - 8..] }, 8 + len))
}

/// A changed length can make a record in the middle look like a torn tail. If any whole, valid, later record stands
/// behind it, it is not a tail.
fn something_valid_behind(bytes: &[u8], offset: usize, seq: u64) -> bool {
    (offset + 1..bytes.len().saturating_sub(HEAD - 1)).any(|at| match parse(bytes, at) {
        Ok((record, _)) => record.seq > seq,
        Err(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    fn run() -> RunId {
        RunId::from("test").unwrap()
    }

    fn segment(records: u64, sealed: bool) -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, 0, 0, Kind::Header, |o| Header::new(run(), 1, [0; 32]).put(o));
        for seq in 1..=records {
            append(&mut out, seq, seq * 10, Kind::Input, |o| Event::Timer.put(o));
        }
        if sealed {
            let hash: [u8; 32] = Sha256::digest(&out).into();
            append(&mut out, records + 1, 0, Kind::Seal, |o| hash.put(o));
        }
        out
    }

    #[test]
    fn what_was_written_is_read_back() {
        let bytes = segment(3, true);
        let read = read_segment(&bytes, 1, 0, [0; 32]).unwrap();
        assert_eq!(read.records.iter().map(|r| r.seq).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(read.records[2].ts_recv_ns, 20);
        assert!(read.seal.is_some() && read.torn == 0);
    }

    #[test]
    fn a_look_into_a_segment_ends_where_its_records_do() {
        let (one, two) = (segment(1, false).len(), segment(2, false));
        let seen = |bytes: &[u8]| peek(bytes).map(|r| r.seq).collect::<Vec<_>>();
        assert_eq!(seen(&two), [0, 1, 2]);
        assert_eq!(seen(&two[..two.len() - 1]), [0, 1]);
        let mut damaged = two.clone();
        damaged[one] ^= 1;
        assert_eq!((seen(&damaged), seen(&[])), (vec![0, 1], vec![]));
    }

    #[test]
    fn a_torn_tail_is_cut_wherever_it_tears() {
        let whole = segment(3, false);
        let two = segment(2, false).len();
        for cut in two + 1..whole.len() {
            let read = read_segment(&whole[..cut], 1, 0, [0; 32]).unwrap();
            assert_eq!((read.records.len(), read.torn), (3, cut - two));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_sealed_segment_is_found() {
        let good = segment(4, true);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let read = read_segment(&bad, 1, 0, [0; 32]);
                assert!(read.is_err() || read.unwrap().seal.is_none(), "byte {at} bit {bit} went unseen");
            }
        }
    }

    #[test]
    fn damage_in_the_middle_names_the_record_and_is_never_taken_for_a_tear() {
        let good = segment(4, false);
        let (second, third) = (segment(1, false).len(), segment(2, false).len());
        for at in second..third {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            match read_segment(&bad, 1, 0, [0; 32]) {
                Err(JournalError::Damaged { seq: 2, offset, .. }) => assert_eq!(offset, second),
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_segment_must_continue_the_one_before() {
        let bytes = segment(1, true);
        assert!(matches!(read_segment(&bytes, 2, 0, [0; 32]), Err(JournalError::Chain { .. })));
        assert!(matches!(read_segment(&bytes, 1, 0, [1; 32]), Err(JournalError::Chain { .. })));
        assert!(matches!(read_segment(&bytes, 1, 5, [0; 32]), Err(JournalError::Damaged { .. })));
        assert!(matches!(read_segment(&[], 1, 0, [0; 32]), Err(JournalError::Chain { .. })));
    }
}
