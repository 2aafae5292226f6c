//! Files: recordings and tapes, and the count of a budget.

use crate::corpus;
use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use venues::adapter::Budget;
use venues::limit::{Leave, Limiter, Priority, Window};
use venues::recording::{Entry, Recording, What};
use venues::tape::{Mark, Tape};

/// A folder of this thread that each run finds empty.
pub(crate) struct Scratch;

thread_local! {
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

impl Scratch {
    /// Calls `look` with a file of that name that holds these bytes.
    pub(crate) fn with(name: &str, bytes: &[u8], look: impl FnOnce(&Path)) {
        FOLDER.with_borrow_mut(|folder| {
            // In memory where the system has such a place: a run must not wait for a disk.
            let shm = Path::new("/dev/shm");
            let place = if shm.is_dir() { shm.to_path_buf() } else { std::env::temp_dir() };
            let folder = folder.get_or_insert_with(|| tempfile::tempdir_in(place).expect("a folder of our own"));
            for old in fs::read_dir(folder.path()).expect("our own folder").flatten() {
                fs::remove_file(old.path()).expect("our own file");
            }
            let path = folder.path().join(name);
            fs::write(&path, bytes).expect("our own file");
            look(&path);
        });
    }
}

/// A file as it stands, and as the inside of a whole one of each form.
pub(crate) fn recording(bytes: &[u8]) {
    // The first byte says which, so that each input costs one file.
    let Some((which, rest)) = bytes.split_first() else { return };
    let (name, file) = match which % 6 {
        0 => ("x.jsonl.zst", rest.to_vec()),
        1 => ("x.txt.zst", rest.to_vec()),
        2 => ("x.gz", rest.to_vec()),
        3 => ("x.jsonl.zst", zst(rest)),
        4 => ("x.txt.zst", zst(rest)),
        _ => ("x.gz", gz(rest)),
    };
    Scratch::with(name, &file, |path| {
        let whole = read(Recording::open(path).ok());
        let torn = read(Recording::open_tape(path).ok());
        let common = whole.len().min(torn.len());
        assert_eq!(whole[..common], torn[..common], "a tape is read otherwise than a recording");
        // A tape whose end was torn off loses that line and no other.
        assert!(torn.len() + 1 >= whole.len(), "{} of {} entries", torn.len(), whole.len());
    });
}

fn read(recording: Option<Recording>) -> Vec<Entry> {
    let Some(mut recording) = recording else { return Vec::new() };
    std::iter::from_fn(|| recording.next_entry().ok().flatten()).collect()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory takes it")
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).and_then(|()| out.finish()).expect("memory takes it")
}

/// Lines that go on a tape and come back from it.
pub(crate) fn tape(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').take(64).collect();
    Scratch::with("empty", b"", |path| {
        let dir = path.parent().expect("a file is in a folder");
        let mut tape = Tape::new(dir, "t", 1 << 30).expect("our own folder");
        for (n, line) in (1..).zip(&lines) {
            let mark = match n % 4 {
                0 => Mark::Http(line, line),
                1 => Mark::Receive(line),
                2 => Mark::Send(line),
                _ => Mark::Close(line),
            };
            tape.write(n, line, mark).expect("our own file");
        }
        tape.close().expect("our own file");
        let files = fs::read_dir(dir).expect("our own folder").flatten().map(|file| file.path());
        let file = files.filter(|path| path.extension().is_some_and(|e| e == "zst")).min().expect("a tape");
        let back = read(Recording::open(&file).ok());
        assert_eq!(back.len(), lines.len(), "so many lines came back");
        for ((n, line), entry) in (1..).zip(&lines).zip(back) {
            assert_eq!((entry.ts_ns, entry.text.as_str(), entry.connection.as_str()), (n, *line, *line));
            assert!(!matches!(entry.what, What::Http(url) if url != *line));
        }
    });
}

const BUDGET: Budget = Budget { most: 20, window: Duration::from_secs(60) };

/// The bytes as the file of a budget; a time of the caller's comes first.
pub(crate) fn limiter(bytes: &[u8]) {
    let Some((now, file)) = bytes.split_first_chunk::<8>() else { return };
    let now_ns = u64::from_le_bytes(*now);
    if let Some(mut window) = Window::from_bytes(file, BUDGET) {
        assert_eq!(window.to_bytes(), file, "a window is written as it was read");
        let before = window.used(now_ns);
        match window.take(now_ns, 3, BUDGET.most) {
            Leave::Granted => assert!(before <= BUDGET.most - 3 && window.used(now_ns) == before + 3),
            Leave::Wait(wait) => assert!(!wait.is_zero(), "waiting for no time is no waiting"),
        }
        window.told(now_ns, u32::MAX);
        assert!(matches!(window.take(now_ns, 1, BUDGET.most), Leave::Wait(_)), "all of it is used");
        window.ban(now_ns, Duration::from_secs(5));
        assert!(window.banned(now_ns).is_some() || now_ns > u64::MAX - 5_000_000_000);
    }
    // What is no file of this budget counts as all used, or as none: it never fails.
    Scratch::with("x.limit", file, |path| {
        let limiter =
            Limiter::open(path.parent().expect("a file is in a folder"), "x", BUDGET).expect("our own folder");
        let _leave = limiter.take(1, Priority::Cancel).expect("our own file");
        let left = limiter.left().expect("our own file");
        assert_eq!(left.most, BUDGET.most);
    });
}

pub(crate) fn limiter_seeds() -> Vec<Vec<u8>> {
    let second = |n: u64| n * 1_000_000_000;
    let mut all = Vec::new();
    for (now, file) in [(second(1_700_000_000), Window::full(BUDGET, second(1_700_000_000))), (0, Window::new(BUDGET))]
    {
        all.push([now.to_le_bytes().as_slice(), &file.to_bytes()].concat());
    }
    let mut used = Window::new(BUDGET);
    for n in 0..90 {
        // What is not granted changes nothing.
        let _leave = used.take(second(1_700_000_000 + n), 1, BUDGET.most);
    }
    all.push([second(1_700_000_100).to_le_bytes().as_slice(), &used.to_bytes()].concat());
    all
}

/// Files of each form: lines of recordings, and whole files of them.
pub(crate) fn recording_seeds() -> Vec<Vec<u8>> {
    const JSON: &str = concat!(
        r#"{"t":"header","exchange":"X","config":{}}"#,
        "\n",
        r#"{"t":"http","conn":"c.http","ts":1633998511.132921,"url":"https://x/y","data":"{\"a\":1}"}"#,
        "\n",
        r#"{"t":"connect","conn":"c.1","ts":1633998511.5,"addr":"wss://x"}"#,
        "\n",
        r#"{"t":"recv","conn":"c.1","ts":1633998512,"data":"[\"b\"]"}"#,
        "\n",
        r#"{"t":"lost","conn":"c.1","ts":1633998513,"frames":3}"#,
        "\n",
        r#"{"t":"close","conn":"c.1","ts":1633998514,"data":"bye"}"#,
        "\n"
    );
    const TEXT: &str = "wss://x <-> 16.5\nwss://x <- 17.020616: {\"type\":\"subscribe\"}\n17.061845: {\"a\": 1}\nhttps://x -> 18: {}\n";
    const LINES: &str = "1723161256000000000 {\"stream\":\"btcusdt@trade\"}\n1723161256000000001 {}\n";
    let with = |which: u8, bytes: &[u8]| [&[which], bytes].concat();
    let mut all = vec![
        with(0, &zst(JSON.as_bytes())),
        with(1, &zst(TEXT.as_bytes())),
        with(2, &gz(LINES.as_bytes())),
        with(3, JSON.as_bytes()),
        with(4, TEXT.as_bytes()),
        with(5, LINES.as_bytes()),
    ];
    let recorded = corpus::feed("binance").into_iter().filter(|seed| seed.len() < 2000).take(20);
    all.extend(recorded.map(|seed| with(5, &[b"17 ".as_slice(), &seed, b"\n"].concat())));
    all
}

pub(crate) fn tape_seeds() -> Vec<Vec<u8>> {
    let mut all = vec![b"{\"a\":\"\\u00e9\\\"\"}\n\xf0\x9f\x98\x80\n\nbye\r".to_vec()];
    all.extend(corpus::feed("kraken").into_iter().filter(|seed| seed.len() < 2000).take(40));
    all
}
