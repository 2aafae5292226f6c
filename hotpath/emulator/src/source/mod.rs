//! Where the market comes from: a recorded capture or the synthetic market. Both give the same items in the order
//! of their receive times; the emitter decides when each goes out. Recordings of other venues are no market: `replay`
//! serves them as they are.

pub mod capture;
pub mod decode;
pub mod synthetic;

use axum::extract::ws::Utf8Bytes;
use domain::event::BookSnapshot;
use domain::{Event, Instrument};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::mpsc;

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// The synthetic market of this seed.
    Synthetic {
        /// The seed.
        seed: u64,
    },
    /// A capture in the form `<receive ns> <message>` per line, gzipped.
    Capture {
        /// The file.
        path: PathBuf,
    },
    /// A recording or tape of any venue, served as it is.
    Recording {
        /// The file: `.jsonl.zst`, or `.gz` as a capture.
        path: PathBuf,
    },
}

impl FromStr for SourceSpec {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("synthetic", seed)) => seed
                .parse()
                .map(|seed| SourceSpec::Synthetic { seed })
                .map_err(|_| format!("`{seed}` is not a seed; use a whole number, as in synthetic:7")),
            Some(("capture", path)) if !path.is_empty() => Ok(SourceSpec::Capture { path: path.into() }),
            Some(("recording", path)) if !path.is_empty() => Ok(SourceSpec::Recording { path: path.into() }),
            _ => Err(format!("`{text}` is not a source; use synthetic:SEED, capture:FILE or recording:FILE")),
        }
    }
}

impl std::fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SourceSpec::Synthetic { seed } => write!(f, "synthetic:{seed}"),
            SourceSpec::Capture { path } => write!(f, "capture:{}", path.display()),
            SourceSpec::Recording { path } => write!(f, "recording:{}", path.display()),
        }
    }
}

/// One symbol of a source.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its rules.
    pub instrument: Instrument,
    /// The book at the start.
    pub snapshot: BookSnapshot,
    /// The snapshot as it was recorded, byte for byte.
    pub recorded: Option<Utf8Bytes>,
}

/// One thing to emit.
#[derive(Clone, Debug)]
pub struct Item {
    /// Receive time, ns since 1970.
    pub ts_ns: u64,
    /// What.
    pub kind: ItemKind,
}

/// What an item is.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "all but one item of a source are the large variant")]
pub enum ItemKind {
    /// Something happens.
    Message(Message),
    /// The place where the recorder fetched its snapshot; the index of the symbol.
    Snapshot(usize),
}

/// Something that happens on the market.
#[derive(Clone, Debug)]
pub struct Message {
    /// What.
    pub event: Event,
    /// As it was recorded.
    pub wire: Option<Wire>,
}

/// An event in words that are the same for every connection.
#[derive(Clone, Debug)]
pub struct Wire {
    /// `btcusdt@trade`.
    pub stream: Arc<str>,
    /// The combined-stream envelope, as recorded or as the venue would write it.
    pub text: Utf8Bytes,
    /// Where in `text` the value of `data` stands.
    pub data: Range<usize>,
}

/// An opened source: checked, nothing emitted yet.
#[derive(Debug)]
pub struct Opened {
    /// The symbols, in the order of their instrument ids.
    pub symbols: Vec<Listed>,
    /// Receive time of the first item, ns.
    pub first_ns: u64,
    /// Items in order; ends with the source.
    pub items: mpsc::Receiver<Item>,
    /// True when time runs on its own, with or without anybody listening.
    pub free_running: bool,
}

/// Why a source cannot be used.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Not there or not readable.
    #[error("could not open the capture `{}`; check the path and the permissions", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Another kind of file.
    #[error("`{}` is not gzip (it starts with other bytes); captures are gzipped text", path.display())]
    NotGzip {
        /// The file.
        path: PathBuf,
    },
    /// Ends early.
    #[error(
        "the capture `{}` is truncated at line {line}: the gzip stream ends early; fetch or copy the file again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The line that is cut, from 1.
        line: u64,
    },
    /// Does not decompress.
    #[error("the capture `{}` is damaged at line {line}; fetch or copy the file again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A line that is not what it should be.
    #[error("line {line} of the capture `{}` cannot be used: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// No messages.
    #[error("the capture `{}` holds no stream message", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A symbol the source does not have.
    #[error("the source has no symbol `{symbol}`; it has {has}")]
    Symbol {
        /// What was asked for.
        symbol: String,
        /// What there is.
        has: String,
    },
}
