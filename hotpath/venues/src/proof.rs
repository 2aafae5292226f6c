//! Proves a journal by its tapes: every frame on the tapes of a run is read again by the adapters, and what they say has to be
//! what the journal holds, byte for byte and in the same order, for each instrument and kind of event.
//!
//! A tape ends up to a second before a daemon that was killed, and a connection may have said more than the engine took
//! before a session's end: both are counted and are no contradiction. What came over HTTP was not always handed on, so of
//! that only what the journal holds has to be on the tape.

use crate::adapter::{Adapter, Feed, Said, adapter};
use crate::capture::CaptureError;
use crate::journal_dir::{self, Entry as Journaled, ReadError};
use crate::recording::{Entry, Recording, What};
use crate::trades::{TradeNews, Trades};
use crate::wire::SymbolTable;
use domain::codec::Wire;
use domain::{Event, Instrument, InstrumentId, Venue};
use serde::Serialize;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// What the tapes of one venue prove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VenueProof {
    /// The venue.
    pub venue: String,
    /// Frames on its tapes.
    pub frames: u64,
    /// Events of frames that the journal holds too, byte for byte.
    pub equal: u64,
    /// Events of answers over HTTP that the journal holds and the tape too.
    pub asked: u64,
    /// Events on the tape that came too late for the journal.
    pub surplus: u64,
    /// Events of the journal that are not on the tape.
    pub not_on_tape: u64,
    /// Frames that the tape says it could not take.
    pub lost: u64,
    /// A tape breaks off: whoever wrote it was killed.
    pub cut: bool,
    /// The first event that is another one, in words.
    pub difference: Option<String>,
}

impl VenueProof {
    /// True when nothing contradicts: no other event, and nothing missing that a torn or full tape does not explain.
    pub const fn holds(&self) -> bool {
        let explained = self.cut || self.lost > 0;
        self.difference.is_none() && (self.not_on_tape == 0 || explained)
    }
}

/// Why nothing can be proved.
#[derive(Debug, Error)]
pub enum ProofError {
    /// There are no tapes.
    #[error("there is no tape in `{}`; record with `run.tape = true`", .0.display())]
    NoTape(PathBuf),
    /// The folder cannot be listed.
    #[error("could not list `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A tape cannot be read.
    #[error(transparent)]
    Tape(#[from] CaptureError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
}

/// One instrument's events of one kind.
type Key = (InstrumentId, &'static str);
/// Hashes of events, in order; for the journal with the number of the record.
type Told = BTreeMap<Key, Vec<(u64, u64)>>;

/// What a session of the run holds of one venue.
#[derive(Default)]
struct Session {
    begins_ns: u64,
    journal: Told,
    tape: Told,
    /// Events of answers over HTTP, with how often each is on the tape.
    asked: BTreeMap<(Key, u64), u64>,
}

/// Reads the tapes in `tapes` and the journal in `journal`, and compares them venue by venue.
///
/// # Errors
/// [`ProofError`].
pub fn compare(tapes: &Path, journal: &Path) -> Result<Vec<VenueProof>, ProofError> {
    let files = files(tapes)?;
    let (instruments, begins) = rules(journal)?;
    let mut proofs = Vec::new();
    for (venue, files) in files {
        let Some(adapter) = Venue::parse(&venue).and_then(adapter) else { continue };
        let rules: Vec<Instrument> = instruments.values().filter(|i| i.venue == adapter.venue()).cloned().collect();
        let session = |begins_ns: &u64| Session { begins_ns: *begins_ns, ..Session::default() };
        let mut sessions: Vec<Session> = begins.iter().map(session).collect();
        let mut proof = VenueProof { venue, ..VenueProof::default() };
        read_journal(journal, &rules, &mut sessions)?;
        let mut tape = Tape::new(adapter, rules);
        for file in &files {
            tape.read(file, &mut sessions, &mut proof)?;
        }
        sessions.into_iter().for_each(|session| session.judge(&mut proof));
        proofs.push(proof);
    }
    Ok(proofs)
}

/// The tapes of each venue, in the order they were written.
fn files(dir: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>, ProofError> {
    let failed = |source| ProofError::Folder { path: dir.to_owned(), source };
    let mut all: BTreeMap<String, Vec<(u64, PathBuf)>> = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // `binance-usdm-1700000000000000000-0001.jsonl.zst`
        let parts = name.strip_suffix(".jsonl.zst").and_then(|name| name.rsplit_once('-')?.0.rsplit_once('-'));
        if let Some((venue, since_ns)) = parts
            && let Ok(since_ns) = since_ns.parse()
        {
            all.entry(venue.to_owned()).or_default().push((since_ns, path));
        }
    }
    if all.is_empty() {
        return Err(ProofError::NoTape(dir.to_owned()));
    }
    let sorted = |mut files: Vec<(u64, PathBuf)>| {
        files.sort();
        files.into_iter().map(|(_, path)| path).collect()
    };
    Ok(all.into_iter().map(|(venue, files)| (venue, sorted(files))).collect())
}

/// The rules of a run as they were last, and when its sessions began, ns.
fn rules(journal: &Path) -> Result<(BTreeMap<InstrumentId, Instrument>, Vec<u64>), ProofError> {
    let (mut rules, mut begins) = (BTreeMap::new(), Vec::new());
    for entry in journal_dir::read_run(journal)? {
        let Journaled::Input { ts_recv_ns, event, .. } = entry? else { continue };
        match event {
            Event::Instrument(instrument) => drop(rules.insert(instrument.id, instrument)),
            Event::Session(_) => begins.push(ts_recv_ns),
            _ => {}
        }
    }
    Ok((rules, begins))
}

fn read_journal(journal: &Path, rules: &[Instrument], sessions: &mut [Session]) -> Result<(), ProofError> {
    let mut at: Option<usize> = None;
    for entry in journal_dir::read_run(journal)? {
        let Journaled::Input { seq, event, .. } = entry? else { continue };
        if matches!(event, Event::Session(_)) {
            at = Some(at.map_or(0, |at| at + 1));
        }
        if let (Some(key), Some(session)) = (key(&event, rules), at.and_then(|at| sessions.get_mut(at))) {
            session.journal.entry(key).or_default().push((seq, hash(&event)));
        }
    }
    Ok(())
}

/// Which instrument an event of a frame or answer is about, and of what kind it is. Gaps that time showed are not on the
/// tape.
fn key(event: &Event, rules: &[Instrument]) -> Option<Key> {
    let (id, kind) = match event {
        Event::BookDelta(e) => (e.instrument, "change"),
        Event::BookSnapshot(e) => (e.instrument, "book"),
        Event::Trade(e) => (e.instrument, "trade"),
        Event::Quote(e) => (e.instrument, "quote"),
        Event::Bar(e) => (e.instrument, "bar"),
        Event::Mark(e) => (e.instrument, "mark"),
        Event::Funding(e) => (e.instrument, "funding"),
        Event::OpenInterest(e) => (e.instrument, "open interest"),
        Event::Liquidation(e) => (e.instrument, "liquidation"),
        Event::Status(e) => (e.instrument?, "status"),
        _ => return None,
    };
    rules.iter().any(|i| i.id == id).then_some((id, kind))
}

fn hash(event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    event.to_bytes().hash(&mut hasher);
    hasher.finish()
}

/// Reads the tapes of one venue.
struct Tape {
    adapter: &'static dyn Adapter,
    table: Arc<SymbolTable>,
    rules: Vec<Instrument>,
    feeds: BTreeMap<String, Box<dyn Feed>>,
    trades: BTreeMap<String, Trades>,
    session: usize,
    said: Vec<Said>,
}

impl Tape {
    fn new(adapter: &'static dyn Adapter, rules: Vec<Instrument>) -> Tape {
        let table = Arc::new(SymbolTable::new(rules.iter().cloned()));
        let (feeds, trades) = (BTreeMap::new(), BTreeMap::new());
        Tape { adapter, table, rules, feeds, trades, session: 0, said: Vec::new() }
    }

    fn read(&mut self, file: &Path, sessions: &mut [Session], proof: &mut VenueProof) -> Result<(), ProofError> {
        let mut recording = Recording::open_tape(file)?;
        while let Some(entry) = recording.next_entry()? {
            while sessions.get(self.session + 1).is_some_and(|next| next.begins_ns <= entry.ts_ns) {
                // A daemon that begins anew knows no trade of before.
                self.session += 1;
                self.trades.clear();
            }
            let Some(session) = sessions.get_mut(self.session) else { break };
            self.entry(&entry, session, proof);
        }
        proof.cut |= recording.was_cut();
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, session: &mut Session, proof: &mut VenueProof) {
        match &entry.what {
            What::Connect => {
                self.feeds.insert(entry.connection.clone(), self.adapter.feed(Arc::clone(&self.table)));
            }
            What::Receive => {
                proof.frames += 1;
                self.frame(entry, session);
            }
            What::Http(path) => self.answer(path, &entry.text, session),
            What::Lost(frames) => proof.lost += frames,
            What::Header | What::Send | What::Close => {}
        }
    }

    fn frame(&mut self, entry: &Entry, session: &mut Session) {
        let Some(feed) = self.feeds.get_mut(&entry.connection) else { return };
        // What cannot be read was not journaled either; what was said before it counts.
        let _unreadable = feed.frame(&entry.text, &mut self.said);
        let new = || Trades::new(self.adapter.trade_ids());
        let trades = self.trades.entry(entry.connection.clone()).or_insert_with(new);
        for said in self.said.drain(..) {
            let Said::Event(event) = said else { continue };
            if matches!(&event, Event::Trade(trade) if trades.on(trade) == TradeNews::Repeated) {
                continue;
            }
            if let Some(key) = key(&event, &self.rules) {
                session.tape.entry(key).or_default().push((entry.ts_ns, hash(&event)));
            }
        }
    }

    /// What an answer over HTTP may have said, whatever the question was.
    fn answer(&mut self, path: &str, body: &str, session: &mut Session) {
        let mut events = Vec::new();
        for i in self.rules.iter().filter(|i| self.adapter.book_request(i).path == path) {
            if let Ok(book) = self.adapter.read_book(body, i) {
                // A book that stands in for a stream is of no place in it.
                let stands_in = domain::event::BookSnapshot { last_id: 0, checksum: None, ..book.clone() };
                events.extend([Event::BookSnapshot(book), Event::BookSnapshot(stands_in)]);
            }
        }
        for poll in self.adapter.polls(&self.rules).iter().filter(|poll| poll.request.path == path) {
            let mut said = Vec::new();
            // What was said before the answer went wrong stands.
            let _unreadable = self.adapter.read_poll(poll, body, &self.table, &mut said);
            events.extend(said.into_iter().filter_map(|said| if let Said::Event(e) = said { Some(e) } else { None }));
        }
        for event in events {
            if let Some(key) = key(&event, &self.rules) {
                *session.asked.entry((key, hash(&event))).or_default() += 1;
            }
        }
    }
}

impl Session {
    /// Compares what both hold.
    fn judge(mut self, proof: &mut VenueProof) {
        for (key, journal) in &self.journal {
            let tape = self.tape.remove(key).unwrap_or_default();
            let mut taped = tape.iter().peekable();
            for (seq, hash) in journal {
                if taped.peek().is_some_and(|(_, on_tape)| on_tape == hash) {
                    taped.next();
                    proof.equal += 1;
                } else if let Some(left) = self.asked.get_mut(&(*key, *hash)).filter(|left| **left > 0) {
                    *left -= 1;
                    proof.asked += 1;
                } else if taped.peek().is_none() {
                    proof.not_on_tape += 1;
                } else {
                    let (id, kind) = key;
                    let what =
                        format!("record {seq} of the journal, a {kind} of instrument {}, is not on the tape", id.0);
                    proof.difference.get_or_insert(what);
                    break;
                }
            }
            proof.surplus += taped.count() as u64;
        }
        proof.surplus += self.tape.values().map(|tape| tape.len() as u64).sum::<u64>();
    }
}
