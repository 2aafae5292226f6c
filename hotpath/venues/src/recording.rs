//! Reads recorded files of every form we know, as what happened on the recorder's side, in order:
//!
//! - `.gz`: one message a line, `<receive time ns> <space> <message>`; see [`crate::capture`];
//! - `.jsonl.zst`: one JSON object a line, `t` says what it is: `header`, `http`, `connect`, `send`, `recv`, and in our own
//!   tapes (see [`crate::tape`]) `close` and `lost`;
//! - `.txt.zst`: `<seconds>: <message>` received, `<address> <- <seconds>: <message>` sent,
//!   `<address> <-> <seconds>` connected.
//!
//! Memory is bounded by the longest line.

use crate::capture::{Capture, CaptureError};
use crate::wire::seconds_ns;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// No recorded message comes near this; a longer line means the file is something else.
const LINE_MAX: u64 = 256 << 20;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The recorder's clock, ns since 1970 UTC; 0 if not stated.
    pub ts_ns: u64,
    /// On which connection; empty if the file knows only one.
    pub connection: String,
    /// What.
    pub what: What,
    /// The message, the reply's body, or the address.
    pub text: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The recorder says of itself what it is and what it was to record; the text is the line as it stands.
    Header,
    /// A reply over HTTP to the question at this address.
    Http(String),
    /// A connection was opened to the address in the text.
    Connect,
    /// The recorder sent this.
    Send,
    /// The venue sent this.
    Receive,
    /// The connection ended.
    Close,
    /// So many frames are missing here, says the recorder.
    Lost(u64),
}

enum Form {
    Gzip(Box<Capture>),
    Json(BufReader<zstd::stream::read::Decoder<'static, BufReader<File>>>),
    Text(BufReader<zstd::stream::read::Decoder<'static, BufReader<File>>>),
}

/// An open recording; an iterator in spirit, see [`Recording::next_entry`].
pub struct Recording {
    path: PathBuf,
    form: Form,
    bytes: Vec<u8>,
    line: u64,
    /// The file may end in the middle.
    torn: bool,
    cut: bool,
}

#[derive(Deserialize)]
struct Line<'a> {
    t: Cow<'a, str>,
    #[serde(default)]
    conn: String,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    url: Option<String>,
    addr: Option<String>,
    data: Option<String>,
    frames: Option<u64>,
}

impl Recording {
    /// Opens a recorded file; its name says which form it has.
    ///
    /// # Errors
    /// [`CaptureError`] when it cannot be opened or is not of the form its name says.
    pub fn open(path: &Path) -> Result<Recording, CaptureError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let form = if name.ends_with(".zst") {
            let open = |source| CaptureError::Open { path: path.to_owned(), source };
            let mut file = BufReader::new(File::open(path).map_err(open)?);
            if !file.fill_buf().map_err(open)?.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
                return Err(CaptureError::NotZstd { path: path.to_owned() });
            }
            let lines = BufReader::with_capacity(1 << 16, zstd::Decoder::with_buffer(file).map_err(open)?);
            if name.ends_with(".jsonl.zst") { Form::Json(lines) } else { Form::Text(lines) }
        } else {
            Form::Gzip(Box::new(Capture::open(path)?))
        };
        Ok(Recording { path: path.to_owned(), form, bytes: Vec::new(), line: 0, torn: false, cut: false })
    }

    /// Opens a tape, whose writer may have been killed: where it breaks off, it ends.
    ///
    /// # Errors
    /// As [`Recording::open`].
    pub fn open_tape(path: &Path) -> Result<Recording, CaptureError> {
        Ok(Recording { torn: true, ..Recording::open(path)? })
    }

    /// True when a tape broke off; its last second is missing.
    pub const fn was_cut(&self) -> bool {
        self.cut
    }

    /// What happened next; `None` at the end.
    ///
    /// # Errors
    /// [`CaptureError::Truncated`] and [`CaptureError::Line`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, CaptureError> {
        if let Form::Gzip(capture) = &mut self.form {
            let entry = |(ts_ns, text): (u64, &str)| Entry {
                ts_ns,
                connection: String::new(),
                what: What::Receive,
                text: text.to_owned(),
            };
            return Ok(capture.next_line()?.map(entry));
        }
        while let Some(json) = self.read_line()? {
            let text = std::str::from_utf8(&self.bytes).ok();
            let Some(text) = text.map(str::trim_end).filter(|text| !text.is_empty()) else {
                if self.bytes.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Err(self.bad_line());
            };
            let entry = if json { json_entry(text) } else { text_entry(text) };
            return entry.map(Some).ok_or_else(|| self.bad_line());
        }
        Ok(None)
    }

    /// Reads a line of a zstd file and says whether it is JSON; `None` at the end.
    fn read_line(&mut self) -> Result<Option<bool>, CaptureError> {
        self.bytes.clear();
        let (reader, json) = match &mut self.form {
            Form::Json(reader) => (reader, true),
            Form::Text(reader) => (reader, false),
            Form::Gzip(_) => return Ok(None),
        };
        let read = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut self.bytes);
        if self.torn && !matches!(read, Ok(0)) && self.bytes.last() != Some(&b'\n') {
            self.cut = true;
            return Ok(None);
        }
        let truncated = |source| CaptureError::Truncated { path: self.path.clone(), line: self.line, source };
        if read.map_err(truncated)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        Ok(Some(json))
    }

    fn bad_line(&self) -> CaptureError {
        CaptureError::Line { path: self.path.clone(), line: self.line }
    }
}

fn json_entry(text: &str) -> Option<Entry> {
    let line: Line<'_> = serde_json::from_str(text).ok()?;
    let ts_ns = line.ts.map_or(Some(0), |ts| seconds_ns(ts.get()))?;
    let (what, text) = match &*line.t {
        "header" => (What::Header, text.to_owned()),
        "http" => (What::Http(line.url?), line.data?),
        "connect" => (What::Connect, line.addr?),
        "send" => (What::Send, line.data?),
        "recv" => (What::Receive, line.data?),
        "close" => (What::Close, line.data?),
        "lost" => (What::Lost(line.frames?), String::new()),
        _ => return None,
    };
    Some(Entry { ts_ns, connection: line.conn, what, text })
}

fn text_entry(text: &str) -> Option<Entry> {
    let entry = |ts: &str, what, text: &str| {
        Some(Entry { ts_ns: seconds_ns(ts)?, connection: String::new(), what, text: text.to_owned() })
    };
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let (ts, message) = text.split_once(": ")?;
        return entry(ts, What::Receive, message);
    }
    if let Some((address, rest)) = text.split_once(" <- ") {
        let (ts, message) = rest.split_once(": ")?;
        // An HTTP question is told like a sent message whose address is no socket.
        let what = if address.starts_with("ws") { What::Send } else { What::Http(address.to_owned()) };
        return entry(ts, what, message);
    }
    if let Some((address, ts)) = text.split_once(" <-> ") {
        return entry(ts, What::Connect, address);
    }
    let (address, rest) = text.split_once(" -> ")?;
    let (ts, body) = rest.split_once(": ")?;
    entry(ts, What::Http(address.to_owned()), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(name: &str, bytes: &[u8]) -> Result<Vec<Entry>, CaptureError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut recording = Recording::open(&path)?;
        let mut out = Vec::new();
        while let Some(entry) = recording.next_entry()? {
            out.push(entry);
        }
        Ok(out)
    }
    fn zst(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    #[test]
    fn json_lines_tell_what_happened_and_when() {
        let text = concat!(
            r#"{"t":"header","exchange":"X","config":{}}"#,
            "\n",
            r#"{"t":"http","conn":"c.http","ts":1633998511.132921,"url":"https://x/y","data":"{\"a\":1}"}"#,
            "\n",
            r#"{"t":"connect","conn":"c.1","ts":1633998511.5,"addr":"wss://x"}"#,
            "\n",
            r#"{"t":"recv","conn":"c.1","ts":1633998512,"data":"[\"b\"]"}"#,
            "\n"
        );
        let got = all("x.jsonl.zst", &zst(text)).unwrap();
        assert_eq!(got.len(), 4);
        assert_eq!((&got[1].what, got[1].text.as_str()), (&What::Http("https://x/y".to_owned()), "{\"a\":1}"));
        assert_eq!(got[1].ts_ns, 1_633_998_511_132_921_000);
        assert_eq!((got[2].ts_ns, &got[2].what), (1_633_998_511_500_000_000, &What::Connect));
        let received = Entry {
            ts_ns: 1_633_998_512_000_000_000,
            connection: "c.1".into(),
            what: What::Receive,
            text: "[\"b\"]".into(),
        };
        assert_eq!(got[3], received);
    }

    #[test]
    fn text_lines_tell_sent_from_received() {
        let text = "wss://x <-> 16.5\nwss://x <- 17.020616: {\"type\":\"subscribe\"}\n17.061845: {\"a\": 1}\n";
        let got = all("x.txt.zst", &zst(text)).unwrap();
        assert_eq!(got.iter().map(|e| e.what.clone()).collect::<Vec<_>>(), [What::Connect, What::Send, What::Receive]);
        assert_eq!((got[2].ts_ns, got[2].text.as_str()), (17_061_845_000, "{\"a\": 1}"));
    }

    #[test]
    fn each_kind_of_damage_is_told_apart() {
        assert!(matches!(all("x.jsonl.zst", b"{}"), Err(CaptureError::NotZstd { .. })));
        assert!(matches!(all("x.jsonl.zst", &zst("{}\n")), Err(CaptureError::Line { line: 1, .. })));
        assert!(matches!(
            all("x.jsonl.zst", &zst("{\"t\":\"recv\",\"ts\":1,")),
            Err(CaptureError::Line { line: 1, .. })
        ));
        let whole = zst(&"{\"t\":\"recv\",\"ts\":1,\"data\":\"some\"}\n".repeat(50_000));
        assert!(matches!(all("x.jsonl.zst", &whole[..whole.len() - 20]), Err(CaptureError::Truncated { .. })));
        assert!(matches!(all("x.gz", b"nothing"), Err(CaptureError::NotGzip { .. })));
    }
}
