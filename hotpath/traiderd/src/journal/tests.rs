//! Tests of [`super`]: what is written can be read back, whatever happens to the file in between.

use super::*;
use domain::journal::JournalError;
use std::fs;
use venues::journal_dir::{Entry, ReadError};

fn run() -> RunId {
    RunId::from("run").unwrap()
}
fn mark(input: u64) -> EffectsMark {
    EffectsMark { input, count: 1, running: [9; 32] }
}
fn entries(dir: &Path) -> Vec<Entry> {
    read_run(dir).unwrap().collect::<Result<_, _>>().unwrap()
}
fn tail(dir: &Path) -> Result<Tail, ReadError> {
    let mut reader = read_run(dir)?;
    reader.by_ref().try_for_each(|e| e.map(drop))?;
    Ok(reader.tail().clone())
}

/// Writes `inputs` timers, every third with a mark, flushing each, in segments of `segment_bytes`.
fn write(dir: &Path, inputs: u64, segment_bytes: u64) -> Writer {
    let mut writer = Writer::open(dir, run(), &Tail::default(), segment_bytes).unwrap();
    for n in 0..inputs {
        let seq = writer.input(n, &Event::Timer);
        if n % 3 == 0 {
            writer.effects(n, &mark(seq));
        }
        writer.flush().unwrap();
    }
    writer
}

#[test]
fn segments_roll_are_sealed_and_read_back_as_one_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let writer = write(dir.path(), 100, 500);
    let segments = writer.segment();
    let sealed = writer.seal().unwrap();
    assert!(segments > 5, "{segments} segments");

    let read = entries(dir.path());
    assert_eq!(read.iter().filter(|e| matches!(e, Entry::Input { .. })).count(), 100);
    assert_eq!(read.iter().filter(|e| matches!(e, Entry::Effects(_))).count(), 34);
    let times: Vec<u64> = read
        .iter()
        .filter_map(|e| if let Entry::Input { ts_recv_ns, .. } = e { Some(*ts_recv_ns) } else { None })
        .collect();
    assert!(times.iter().copied().eq(0..100));
    let tail = tail(dir.path()).unwrap();
    // A header and a seal per segment besides the entries.
    assert_eq!(sealed.records, 134 + 2 * u64::from(segments));
    assert_eq!((tail.segment, tail.next_seq, tail.seal), (segments, sealed.records, Some(sealed.chain)));
}

#[test]
fn nothing_is_lost_when_the_writer_is_simply_dropped() {
    let dir = tempfile::tempdir().unwrap();
    drop(write(dir.path(), 10, SEGMENT_BYTES));
    assert_eq!(entries(dir.path()).len(), 14);
    assert_eq!(tail(dir.path()).unwrap().seal, None);
}

#[test]
fn a_journal_cut_anywhere_is_closed_and_continued() {
    let source = tempfile::tempdir().unwrap();
    drop(write(source.path(), 6, SEGMENT_BYTES));
    let whole = fs::read(segment_path(source.path(), 1)).unwrap();
    for cut in 0..=whole.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(segment_path(dir.path(), 1), &whole[..cut]).unwrap();
        let before = entries(dir.path());
        let torn = tail(dir.path()).unwrap();
        let closed = close_tail(dir.path(), &torn, None).unwrap();
        let mut writer = Writer::open(dir.path(), run(), &closed, SEGMENT_BYTES).unwrap();
        writer.input(77, &Event::Timer);
        writer.seal().unwrap();

        let after = entries(dir.path());
        assert_eq!(after[..before.len()], before, "cut at {cut}");
        assert!(matches!(after[before.len()..], [Entry::Input { ts_recv_ns: 77, .. }]), "cut at {cut}");
        assert!(tail(dir.path()).unwrap().seal.is_some());
    }
}

#[test]
fn a_missing_mark_is_added_when_the_journal_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), run(), &Tail::default(), SEGMENT_BYTES).unwrap();
    let seq = writer.input(5, &Event::Timer);
    writer.flush().unwrap();
    drop(writer);
    let open = tail(dir.path()).unwrap();
    close_tail(dir.path(), &open, Some((5, mark(seq)))).unwrap();
    assert_eq!(entries(dir.path())[1], Entry::Effects(mark(seq)));
}

#[test]
fn a_flipped_byte_in_a_sealed_segment_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 20, SEGMENT_BYTES).seal().unwrap();
    let path = segment_path(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    match tail(dir.path()) {
        Err(ReadError::Damaged { source: JournalError::Damaged { .. }, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_of_somebody_else_are_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    drop(write(dir.path(), 1, SEGMENT_BYTES));
    assert!(matches!(Writer::open(dir.path(), run(), &Tail::default(), SEGMENT_BYTES), Err(WriteError::Io { .. })));
}
