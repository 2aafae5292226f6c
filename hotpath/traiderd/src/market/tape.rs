//! The recorder: every frame that came, every word that was said and every answer over HTTP goes on a raw tape, a folder
//! per run, a series of files per venue. It must never hold up what it records: what does not fit into its bounded queue
//! is left out, and the tape says how much.

use crate::clock::stamp_ns;
use crate::error::DaemonError;
use crate::telemetry::get;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;
use venues::tape::{Mark, Tape};
use venues::transport::Text;

/// Marks that may wait.
const QUEUE: usize = 1 << 16;
/// Bytes that may wait, so that a few huge frames are bounded too.
const BYTES_MAX: u64 = 64 << 20;
/// A file is closed after about so many bytes on disk.
const FILE_BYTES: u64 = 256 << 20;
/// How often the tape is told that time goes on while nothing comes.
const PASS: Duration = Duration::from_millis(200);

/// What happened.
enum What {
    Connect(String),
    Send(String),
    Receive(Text),
    Close(String),
    Http(String, String),
}

impl What {
    fn bytes(&self) -> u64 {
        let n = match self {
            What::Connect(text) | What::Send(text) | What::Close(text) => text.len(),
            What::Receive(text) => text.as_str().len(),
            What::Http(url, body) => url.len() + body.len(),
        };
        n as u64
    }
}

struct Marked {
    ts_ns: u64,
    connection: Arc<str>,
    what: What,
}

/// What the recorder tells of itself.
#[derive(Debug, Default)]
pub struct Taped {
    /// Marks written.
    pub marks: AtomicU64,
    /// Marks left out, because the disk did not keep up or failed.
    pub lost: AtomicU64,
    waiting_bytes: AtomicU64,
}

/// One connection's way to the recorder.
#[derive(Clone)]
pub struct TapeTx {
    connection: Arc<str>,
    tx: SyncSender<Marked>,
    taped: Arc<Taped>,
}

impl TapeTx {
    /// The way for the connection called `name`: `kraken.1`.
    pub fn of(&self, name: &str) -> TapeTx {
        TapeTx { connection: name.into(), ..self.clone() }
    }
    /// It was opened.
    pub fn connect(&self, url: &str) {
        self.put(stamp_ns(), What::Connect(url.to_owned()));
    }
    /// This was said.
    pub fn send(&self, text: &str) {
        self.put(stamp_ns(), What::Send(text.to_owned()));
    }
    /// This came at `ts_ns`.
    pub fn receive(&self, ts_ns: u64, text: &Text) {
        self.put(ts_ns, What::Receive(text.clone()));
    }
    /// It is gone.
    pub fn close(&self, cause: &str) {
        self.put(stamp_ns(), What::Close(cause.to_owned()));
    }
    /// An answer over HTTP.
    pub fn http(&self, url: &str, body: &str) {
        self.put(stamp_ns(), What::Http(url.to_owned(), body.to_owned()));
    }

    fn put(&self, ts_ns: u64, what: What) {
        let bytes = what.bytes();
        let waiting = self.taped.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let marked = Marked { ts_ns, connection: Arc::clone(&self.connection), what };
        if waiting > BYTES_MAX || self.tx.try_send(marked).is_err() {
            self.taped.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.taped.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread that writes.
pub struct Recorder {
    folder: PathBuf,
    rx: Receiver<Marked>,
    taped: Arc<Taped>,
    stop: Arc<AtomicBool>,
}

impl Recorder {
    /// A recorder into `folder`, which is made, and the way to it.
    ///
    /// # Errors
    /// [`DaemonError::Io`].
    pub fn new(folder: &Path, taped: Arc<Taped>, stop: Arc<AtomicBool>) -> Result<(Recorder, TapeTx), DaemonError> {
        let failed = DaemonError::io(format!("could not create the folder for tapes `{}`", folder.display()));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let (tx, rx) = mpsc::sync_channel(QUEUE);
        let way = TapeTx { connection: "".into(), tx, taped: Arc::clone(&taped) };
        Ok((Recorder { folder: folder.to_owned(), rx, taped, stop }, way))
    }

    /// Writes until the daemon stops and nothing waits any more.
    pub fn run(self) {
        let mut tapes: BTreeMap<String, Tape> = BTreeMap::new();
        let mut lost = 0;
        loop {
            match self.rx.recv_timeout(PASS) {
                Ok(marked) => self.write(&mut tapes, &marked, &mut lost),
                Err(RecvTimeoutError::Timeout) if !self.stop.load(Ordering::Relaxed) => {}
                Err(_) => break,
            }
            let now_ns = stamp_ns();
            for (name, tape) in &mut tapes {
                if let Err(error) = tape.pass(now_ns) {
                    tracing::warn!(name, %error, "could not write the tape");
                }
            }
        }
        for (name, tape) in &mut tapes {
            if let Err(error) = tape.close() {
                tracing::warn!(name, %error, "could not close the tape");
            }
        }
    }

    fn write(&self, tapes: &mut BTreeMap<String, Tape>, marked: &Marked, told_lost: &mut u64) {
        self.taped.waiting_bytes.fetch_sub(marked.what.bytes(), Ordering::Relaxed);
        let venue = marked.connection.split('.').next().unwrap_or_default();
        if !tapes.contains_key(venue) {
            match Tape::new(&self.folder, venue, FILE_BYTES) {
                Ok(tape) => drop(tapes.insert(venue.to_owned(), tape)),
                Err(error) => return self.fail(venue, &error),
            }
        }
        let Some(tape) = tapes.get_mut(venue) else { return };
        let lost = get(&self.taped.lost);
        let missing = lost.saturating_sub(*told_lost);
        let mark = match &marked.what {
            What::Connect(url) => Mark::Connect(url),
            What::Send(text) => Mark::Send(text),
            What::Receive(text) => Mark::Receive(text.as_str()),
            What::Close(cause) => Mark::Close(cause),
            What::Http(url, body) => Mark::Http(url, body),
        };
        let mut written = Ok(());
        if missing > 0 {
            written = tape.write(marked.ts_ns, &marked.connection, Mark::Lost(missing));
            *told_lost = lost;
        }
        match written.and_then(|()| tape.write(marked.ts_ns, &marked.connection, mark)) {
            Ok(()) => drop(self.taped.marks.fetch_add(1, Ordering::Relaxed)),
            Err(error) => self.fail(venue, &error),
        }
    }

    fn fail(&self, venue: &str, error: &std::io::Error) {
        let lost = self.taped.lost.fetch_add(1, Ordering::Relaxed);
        if lost.is_multiple_of(1000) {
            tracing::warn!(venue, %error, lost, "could not write the tape");
        }
    }
}
