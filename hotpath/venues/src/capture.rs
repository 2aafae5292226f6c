//! Reads recorded captures: gzip text, one message per line, `<receive time ns> <space> <message as it came>`.
//! Memory is bounded by the longest line.

use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// No recorded message comes near this; a longer line means the file is something else.
const LINE_MAX: u64 = 64 << 20;

/// A capture that cannot be read.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// It cannot be opened.
    #[error("could not open capture `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It is no gzip file.
    #[error("`{}` is not a gzip file; captures are gzip text", path.display())]
    NotGzip {
        /// The file.
        path: PathBuf,
    },
    /// It is no zstd file.
    #[error("`{}` is not a zstd file, as its name says", path.display())]
    NotZstd {
        /// The file.
        path: PathBuf,
    },
    /// It ends in the middle or its bytes changed.
    #[error("capture `{}` is cut short or damaged after line {line}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Last whole line.
        line: u64,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A line of another form.
    #[error("line {line} of capture `{}` is not of the form the file's name says: `<receive time ns> <message>` in `.gz`, a JSON object with `t` and `ts` in `.jsonl.zst`, `<seconds>: <message>` in `.txt.zst`", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which, from 1.
        line: u64,
    },
}

/// An open capture; see [`Capture::next_line`].
#[derive(Debug)]
pub struct Capture {
    path: PathBuf,
    reader: BufReader<MultiGzDecoder<BufReader<File>>>,
    bytes: Vec<u8>,
    line: u64,
}

impl Capture {
    /// Opens a capture.
    ///
    /// # Errors
    /// [`CaptureError::Open`] and [`CaptureError::NotGzip`].
    pub fn open(path: &Path) -> Result<Capture, CaptureError> {
        let open = |source| CaptureError::Open { path: path.to_owned(), source };
        let mut file = BufReader::new(File::open(path).map_err(open)?);
        if !file.fill_buf().map_err(open)?.starts_with(&[0x1f, 0x8b]) {
            return Err(CaptureError::NotGzip { path: path.to_owned() });
        }
        let reader = BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file));
        Ok(Capture { path: path.to_owned(), reader, bytes: Vec::new(), line: 0 })
    }

    /// The next message and when it was received (recorder's clock, ns); `None` at the end.
    ///
    /// # Errors
    /// [`CaptureError::Truncated`] and [`CaptureError::Line`].
    pub fn next_line(&mut self) -> Result<Option<(u64, &str)>, CaptureError> {
        self.bytes.clear();
        let read = self.reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut self.bytes);
        let truncated = |source| CaptureError::Truncated { path: self.path.clone(), line: self.line, source };
        if read.map_err(truncated)? == 0 {
            return Ok(None);
        }
        if self.bytes.pop() != Some(b'\n') {
            return Err(truncated(std::io::Error::new(ErrorKind::UnexpectedEof, "the last line has no end")));
        }
        self.line += 1;
        let line = std::str::from_utf8(&self.bytes).ok().and_then(|text| {
            let (ts, message) = text.split_once(' ')?;
            Some((ts.parse().ok()?, message))
        });
        line.map(Some).ok_or_else(|| CaptureError::Line { path: self.path.clone(), line: self.line })
    }

    /// How many lines were read so far.
    pub const fn lines(&self) -> u64 {
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }
    fn read(bytes: &[u8]) -> Result<Vec<(u64, String)>, CaptureError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let mut capture = Capture::open(file.path())?;
        let mut out = Vec::new();
        while let Some((ts, text)) = capture.next_line()? {
            out.push((ts, text.to_owned()));
        }
        Ok(out)
    }

    #[test]
    fn lines_come_back_with_their_time() {
        let want = vec![(17, "{\"a\": 1}".to_owned()), (18, "{}".to_owned())];
        assert_eq!(read(&gz("17 {\"a\": 1}\n18 {}\n")).unwrap(), want);
        assert!(read(&gz("")).unwrap().is_empty());
    }

    #[test]
    fn each_kind_of_damage_is_told_apart() {
        assert!(matches!(Capture::open(Path::new("/nowhere/x.gz")), Err(CaptureError::Open { .. })));
        assert!(matches!(read(b"17 {}\n"), Err(CaptureError::NotGzip { .. })));
        assert!(matches!(read(&gz("17 {}\nx {}\n")), Err(CaptureError::Line { line: 2, .. })));
        assert!(matches!(read(&gz("17 {}\n18 {")), Err(CaptureError::Truncated { line: 1, .. })));
        let whole = gz(&"17 {\"some\":\"text\"}\n".repeat(50));
        assert!(matches!(read(&whole[..whole.len() - 9]), Err(CaptureError::Truncated { .. })));
    }
}
