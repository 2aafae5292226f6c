//! The raw tape: every frame as it came, with its receive time, compressed, in files that [`crate::recording`] reads back.
//!
//! What was written is on its way to the disk a second later at most: a process that is killed loses no more than its last
//! second of tape, and the torn end of its last file is read as far as it goes. Memory is bounded by the compressor's
//! window and the largest frame.
//!
//! A file is closed and the next one begun when it has grown to a size or an hour has passed, so that whole files can be
//! moved away while recording goes on.

use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use zstd::stream::write::Encoder;

/// Cheap enough to keep up with four busy venues on a fraction of a core.
const LEVEL: i32 = 1;
/// What was written is handed on after so long, ns.
const FLUSH_NS: u64 = 1_000_000_000;
/// Longest time in one file, ns.
const FILE_NS: u64 = 3600 * 1_000_000_000;

/// What goes on the tape; the names are those of [`crate::recording`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark<'a> {
    /// A connection was opened to this address.
    Connect(&'a str),
    /// We sent this.
    Send(&'a str),
    /// The venue sent this.
    Receive(&'a str),
    /// The connection ended, for this reason.
    Close(&'a str),
    /// A reply over HTTP: the question's address and the body.
    Http(&'a str, &'a str),
    /// So many frames could not be recorded, because the disk did not keep up.
    Lost(u64),
}

#[derive(Serialize)]
struct Line<'a> {
    t: &'static str,
    conn: &'a str,
    ts: &'a serde_json::value::RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    addr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<u64>,
}

/// Writes tapes of one run into a folder.
pub struct Tape {
    folder: PathBuf,
    name: String,
    file_bytes: u64,
    open: Option<Open>,
    line: Vec<u8>,
    files: u64,
}

struct Open {
    out: Encoder<'static, Counted>,
    since_ns: u64,
    flushed_ns: u64,
}

/// Counts what reaches the file.
struct Counted {
    file: BufWriter<File>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.bytes += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Tape {
    /// Tapes called `name` in `folder`, which is made when it is not there; a file is closed after about `file_bytes`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(folder: &Path, name: &str, file_bytes: u64) -> std::io::Result<Tape> {
        std::fs::create_dir_all(folder)?;
        Ok(Tape {
            folder: folder.to_owned(),
            name: name.to_owned(),
            file_bytes,
            open: None,
            line: Vec::with_capacity(1 << 16),
            files: 0,
        })
    }

    /// Writes one mark of connection `connection` at `ts_ns` (our clock, ns since 1970 UTC).
    ///
    /// # Errors
    /// What the operating system says; the tape goes on with a new file at the next call.
    pub fn write(&mut self, ts_ns: u64, connection: &str, mark: Mark<'_>) -> std::io::Result<()> {
        let ts = format!("{}.{:09}", ts_ns / 1_000_000_000, ts_ns % 1_000_000_000);
        let ts = serde_json::value::RawValue::from_string(ts).map_err(std::io::Error::other)?;
        let mut line = Line { t: "recv", conn: connection, ts: &ts, url: None, addr: None, data: None, frames: None };
        match mark {
            Mark::Connect(address) => (line.t, line.addr) = ("connect", Some(address)),
            Mark::Send(text) => (line.t, line.data) = ("send", Some(text)),
            Mark::Receive(text) => line.data = Some(text),
            Mark::Close(reason) => (line.t, line.data) = ("close", Some(reason)),
            Mark::Http(url, body) => (line.t, line.url, line.data) = ("http", Some(url), Some(body)),
            Mark::Lost(frames) => (line.t, line.frames) = ("lost", Some(frames)),
        }
        self.line.clear();
        serde_json::to_writer(&mut self.line, &line).map_err(std::io::Error::other)?;
        self.line.push(b'\n');
        let result = self.append(ts_ns);
        if result.is_err() {
            // What is wrong with this file may not be wrong with the next.
            self.open = None;
        }
        result
    }

    fn append(&mut self, ts_ns: u64) -> std::io::Result<()> {
        let full =
            |open: &Open| open.out.get_ref().bytes >= self.file_bytes || ts_ns.saturating_sub(open.since_ns) >= FILE_NS;
        if self.open.as_ref().is_some_and(full) {
            self.close()?;
        }
        if self.open.is_none() {
            self.open = Some(self.begin(ts_ns)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.out.write_all(&self.line)?;
        self.pass(ts_ns)
    }

    fn begin(&mut self, ts_ns: u64) -> std::io::Result<Open> {
        self.files += 1;
        let path = self.folder.join(format!("{}-{ts_ns}-{:04}.jsonl.zst", self.name, self.files));
        let file = Counted { file: BufWriter::new(File::create_new(path)?), bytes: 0 };
        Ok(Open { out: Encoder::new(file, LEVEL)?, since_ns: ts_ns, flushed_ns: ts_ns })
    }

    /// Time went on: hands on what was written a second ago.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn pass(&mut self, now_ns: u64) -> std::io::Result<()> {
        if let Some(open) = self.open.as_mut().filter(|open| now_ns.saturating_sub(open.flushed_ns) >= FLUSH_NS) {
            open.flushed_ns = now_ns;
            // First the compressor's, then ours.
            open.out.flush()?;
        }
        Ok(())
    }

    /// Ends the file; the next mark begins another.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn close(&mut self) -> std::io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        open.out.finish()?.flush()
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        // Whoever wants to know whether it worked calls `close` first.
        drop(self.close());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Entry, Recording, What};

    const S: u64 = 1_000_000_000;

    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
        all.sort();
        all
    }
    fn read(path: &Path) -> (Vec<Entry>, bool) {
        let mut recording = Recording::open_tape(path).unwrap();
        let mut all = Vec::new();
        while let Some(entry) = recording.next_entry().unwrap() {
            all.push(entry);
        }
        (all, recording.was_cut())
    }

    #[test]
    fn what_goes_on_a_tape_comes_back_byte_for_byte() {
        let dir = tempfile::tempdir().unwrap();
        let odd = "{\"a\":\"\\u00e9\\\"\"}\n\u{1F600}";
        let mut tape = Tape::new(dir.path(), "kraken", 1 << 30).unwrap();
        tape.write(17 * S + 1, "kraken.1", Mark::Connect("wss://x/v2")).unwrap();
        tape.write(17 * S + 2, "kraken.1", Mark::Send("hello")).unwrap();
        tape.write(17 * S + 3, "kraken.1", Mark::Receive(odd)).unwrap();
        tape.write(17 * S + 4, "kraken.http", Mark::Http("https://x/y", "{}")).unwrap();
        tape.write(17 * S + 5, "kraken.1", Mark::Lost(3)).unwrap();
        tape.write(17 * S + 6, "kraken.1", Mark::Close("bye")).unwrap();
        tape.close().unwrap();
        let (all, cut) = read(&files(dir.path())[0]);
        let what: Vec<(u64, What, &str)> =
            all.iter().map(|e| (e.ts_ns - 17 * S, e.what.clone(), e.text.as_str())).collect();
        let want = vec![
            (1, What::Connect, "wss://x/v2"),
            (2, What::Send, "hello"),
            (3, What::Receive, odd),
            (4, What::Http("https://x/y".to_owned()), "{}"),
            (5, What::Lost(3), ""),
            (6, What::Close, "bye"),
        ];
        assert_eq!((what, cut), (want, false));
    }

    /// As after `kill -9`: the file is what the operating system was given, and nothing is closed.
    #[test]
    fn a_tape_that_was_never_closed_is_whole_up_to_its_last_second() {
        let dir = tempfile::tempdir().unwrap();
        let mut tape = Tape::new(dir.path(), "x", 1 << 30).unwrap();
        for n in 0..5_000u64 {
            tape.write(
                n * S / 1000,
                "c",
                Mark::Receive(&format!("frame {n} {}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
            )
            .unwrap();
        }
        let path = files(dir.path())[0].clone();
        let (all, cut) = read(&path);
        assert!(cut && all.len() >= 4_000, "{} frames, cut: {cut}", all.len());
        assert!(all.iter().enumerate().all(|(n, e)| e.text.starts_with(&format!("frame {n} "))));
        tape.close().unwrap();
        assert_eq!((read(&path).0.len(), read(&path).1), (5_000, false));
    }

    #[test]
    fn files_are_closed_by_size_and_by_the_hour() {
        let dir = tempfile::tempdir().unwrap();
        let mut tape = Tape::new(dir.path(), "x", 1 << 16).unwrap();
        let mut seed = 1u64;
        for n in 0..600u64 {
            let noise: String = (0..64)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    format!("{seed:016x}")
                })
                .collect();
            tape.write(n * 20 * S, "c", Mark::Receive(&noise)).unwrap();
        }
        tape.close().unwrap();
        let files = files(dir.path());
        let by_hour = 600 * 20 / 3600;
        assert!(files.len() > by_hour + 1, "{} files", files.len());
        assert!(files.iter().all(|f| f.metadata().unwrap().len() < 3 << 16));
        assert_eq!(files.iter().map(|f| read(f).0.len()).sum::<usize>(), 600);
    }
}
