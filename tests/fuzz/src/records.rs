//! The journal: payloads of records, segments, and the folder of a run.
//!
//! A spoiled record fails its checksum, so nearly all inputs would end there. Segments are therefore also made of the input,
//! with lengths and checksums that are right.

use crate::files::Scratch;
use crate::{corpus, market::Market};
use domain::codec::{CodecError, Wire};
use domain::event::{Event, Session};
use domain::journal::{self, EffectsMark, Header, Kind};
use domain::order::{Fill, OrderRequest};
use domain::{Instrument, RunId};
use std::fmt::Debug;
use venues::adapter::Said;
use venues::journal_dir::{self, Entry};

/// What is decoded is encoded to the same bytes again: there is one way to write a value.
pub(crate) fn codec(bytes: &[u8]) {
    same::<Event>(bytes);
    same::<EffectsMark>(bytes);
    same::<Header>(bytes);
    same::<Instrument>(bytes);
    same::<OrderRequest>(bytes);
    same::<Fill>(bytes);
}

fn same<T: Wire + Debug>(bytes: &[u8]) {
    match T::from_bytes(bytes) {
        Ok(value) => {
            assert_eq!(value.to_bytes(), bytes, "{value:?} is written in another way than it was read");
            assert!(!format!("{value:?}").is_empty());
        }
        Err(CodecError::Short { at, .. } | CodecError::Tag { at, .. } | CodecError::Text { at }) => {
            assert!(at <= bytes.len(), "an error at {at} of {}", bytes.len());
        }
        Err(CodecError::Trailing(n)) => assert!((1..=bytes.len()).contains(&n)),
    }
}

pub(crate) fn journal(bytes: &[u8]) {
    segment(bytes);
    segment(&made(bytes));
}

fn segment(bytes: &[u8]) {
    let peeked: Vec<u64> = journal::peek(bytes).map(|record| record.seq).collect();
    let Ok(segment) = journal::read_segment(bytes, 1, 0, [0; 32]) else { return };
    let seqs: Vec<u64> = segment.records.iter().map(|record| record.seq).collect();
    assert!(seqs.iter().zip(0..).all(|(seq, n)| *seq == n), "{seqs:?} is no count");
    assert_eq!(peeked[..seqs.len()], seqs, "a look sees other records than a reading");
    let mut again = Vec::new();
    for r in &segment.records {
        journal::append(&mut again, r.seq, r.ts_recv_ns, r.kind, |out| out.extend_from_slice(r.payload));
    }
    assert_eq!(again, bytes[..bytes.len() - segment.torn], "records and the torn tail are not the segment");
    assert!(segment.seal.is_none() || segment.torn == 0, "a sealed segment has no torn tail");
}

/// A segment whose records hold what the lines of the input hold, the first byte of a line saying of which kind.
fn made(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let run = RunId::from("fuzz").unwrap_or_default();
    journal::append(&mut out, 0, 0, Kind::Header, |out| Header::new(run, 1, [0; 32]).put(out));
    for (seq, line) in (1..).zip(bytes.split(|byte| *byte == b'\n').take(64)) {
        let (kind, payload) = match line.split_first() {
            Some((b'e', payload)) => (Kind::Effects, payload),
            Some((b'h', payload)) => (Kind::Header, payload),
            Some((b's', payload)) => (Kind::Seal, payload),
            Some((_, payload)) => (Kind::Input, payload),
            None => (Kind::Input, line),
        };
        journal::append(&mut out, seq, seq * 1000, kind, |out| out.extend_from_slice(payload));
    }
    out
}

/// The same as the only segment of a run.
pub(crate) fn folder(bytes: &[u8]) {
    for segment in [bytes.to_vec(), made(bytes)] {
        Scratch::with("seg-000001.trj", &segment, |path| {
            let dir = path.parent().expect("a file is in a folder");
            journal_dir::has_records(dir).expect("it can be read");
            let sessions = journal_dir::sessions(dir).expect("it can be read");
            let mut reader = journal_dir::read_run(dir).expect("one segment, the first");
            let entries: Vec<Entry> = reader.by_ref().map_while(Result::ok).collect();
            let tail = reader.tail();
            assert!(tail.torn <= segment.len() && (entries.len() as u64) < tail.next_seq.max(1));
            let first = entries.iter().find(|entry| matches!(entry, Entry::Input { .. }));
            if let (Some(session), Some(Entry::Input { event: Event::Session(first), .. })) = (sessions.first(), first)
            {
                assert_eq!(session, first, "a look finds another session than a reading");
            }
        });
    }
}

/// Events of all kinds that the recorded frames of all venues tell, and a session.
fn events() -> Vec<Event> {
    let run = RunId::from("fuzz").unwrap_or_default();
    let mut all = vec![Event::Session(Session { run, home: 7, epoch: 1, seed: 3 }), Event::Timer];
    for venue in ["binance", "binance-usdm", "binance-coinm", "kraken", "coinbase", "bybit", "bybit-linear", "okx"] {
        let market = Market::of(venue);
        all.extend(market.instruments.iter().cloned().map(Event::Instrument));
        let (mut feed, mut said) = (market.feed(), Vec::new());
        for seed in corpus::feed(venue).iter().take(40) {
            for frame in String::from_utf8_lossy(seed).split('\n') {
                // Some seeds are wrong on purpose.
                feed.frame(frame, &mut said).ok();
            }
        }
        all.extend(said.into_iter().filter_map(|said| if let Said::Event(e) = said { Some(e) } else { None }).take(60));
    }
    all
}

pub(crate) fn codec_seeds() -> Vec<Vec<u8>> {
    let mark = EffectsMark { input: 3, count: 2, running: [7; 32] };
    let header = Header::new(RunId::from("fuzz").unwrap_or_default(), 1, [0; 32]);
    let mut all: Vec<Vec<u8>> = events().iter().map(Event::to_bytes).collect();
    all.extend([mark.to_bytes(), header.to_bytes(), Market::of("kraken").instruments[0].to_bytes()]);
    all
}

/// Whole segments, and lines of which [`made`] makes some.
pub(crate) fn journal_seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for some in events().chunks(12) {
        let mut segment = made(b"");
        let mut lines = Vec::new();
        for (seq, event) in (2..).zip(some) {
            journal::append(&mut segment, seq, seq, Kind::Input, |out| event.put(out));
            lines.extend([b"i", event.to_bytes().as_slice(), b"\n"].concat());
        }
        all.extend([segment, lines]);
    }
    all
}
