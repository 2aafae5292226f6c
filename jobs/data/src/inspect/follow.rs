//! The second reading: every frame through its venue's reader, every book change into its book.

use super::survey::{Survey, answers_for};
use super::track::{Track, whose};
use crate::DataError;
use domain::{InstrumentId, Venue};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use venues::adapter::{Adapter, Feed, Said, adapters};
use venues::capture::CaptureError;
use venues::recording::{Entry, Recording, What};
use venues::wire::SymbolTable;

/// What one file shows.
#[derive(Default)]
pub(super) struct File {
    name: String,
    lines: u64,
    /// What came over sockets.
    pub(super) messages: u64,
    span_ns: Option<(u64, u64)>,
    out_of_order: u64,
    snapshot_lines: Vec<u64>,
    /// Messages that say nothing of use.
    pub(super) other: u64,
    /// Messages that are not what the venue documents.
    pub(super) unreadable: u64,
    first_unreadable: Option<String>,
    truncated: bool,
    /// What is wrong with the file; nothing after it was read.
    pub(super) damage: Option<String>,
    /// Why a connection was not looked into.
    pub(super) refused: Option<String>,
}

impl File {
    pub(super) fn facts(&self) -> Value {
        json!({
            "file": self.name,
            "lines": self.lines,
            "messages": self.messages,
            "first_recv_ns": self.span_ns.map(|s| s.0),
            "last_recv_ns": self.span_ns.map(|s| s.1),
            "out_of_order": self.out_of_order,
            "snapshot_lines": self.snapshot_lines,
            "other": self.other,
            "unreadable": self.unreadable,
            "first_unreadable": self.first_unreadable,
            "truncated": self.damage.as_ref().filter(|_| self.truncated),
            "damage": self.damage,
            "refused": self.refused,
        })
    }
}

/// Readers and books, which go on from file to file.
pub(super) struct Follower<'a> {
    survey: &'a Survey,
    tables: BTreeMap<Venue, Arc<SymbolTable>>,
    feeds: BTreeMap<(Venue, String), Box<dyn Feed>>,
    /// Whose data came over which connection.
    carried: BTreeMap<String, BTreeSet<InstrumentId>>,
    tracks: Vec<Track>,
    said: Vec<Said>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(survey: &'a Survey) -> Follower<'a> {
        let mut tables: BTreeMap<Venue, Vec<_>> = BTreeMap::new();
        for (instrument, _) in &survey.instruments {
            tables.entry(instrument.venue).or_default().push(instrument.clone());
        }
        Follower {
            survey,
            tables: tables.into_iter().map(|(venue, all)| (venue, Arc::new(SymbolTable::new(all)))).collect(),
            feeds: BTreeMap::new(),
            carried: BTreeMap::new(),
            tracks: survey.instruments.iter().map(|(i, recorded)| Track::new(i, *recorded)).collect(),
            said: Vec::new(),
        }
    }

    /// Reads the file, which is the `n`th, to its end or its first damage.
    pub(super) fn file(&mut self, n: usize, path: &Path) -> Result<File, DataError> {
        let mut recording = Recording::open(path)?;
        let mut file = File { name: path.display().to_string(), ..File::default() };
        let mut last_ns = 0;
        while file.damage.is_none() {
            match recording.next_entry() {
                Ok(Some(entry)) => {
                    file.lines += 1;
                    if entry.ts_ns > 0 {
                        let (first, last) = file.span_ns.unwrap_or((entry.ts_ns, entry.ts_ns));
                        file.span_ns = Some((first.min(entry.ts_ns), last.max(entry.ts_ns)));
                        file.out_of_order += u64::from(entry.ts_ns < last_ns);
                        last_ns = entry.ts_ns;
                    }
                    self.entry(n, &entry, &mut file);
                }
                Ok(None) => break,
                Err(e) => {
                    file.truncated = matches!(e, CaptureError::Truncated { .. });
                    file.damage = Some(e.to_string());
                }
            }
        }
        Ok(file)
    }

    /// The books at the end.
    pub(super) fn end(mut self) -> Vec<Track> {
        self.tracks.iter_mut().for_each(Track::end);
        self.tracks
    }

    fn entry(&mut self, n: usize, entry: &Entry, file: &mut File) {
        match &entry.what {
            What::Header | What::Send => {}
            What::Http(url) => self.reply(url, entry, file),
            // A recorder that missed something, or hung up, knows its books no better than one that connects anew.
            What::Connect | What::Close | What::Lost(_) => {
                self.feeds.retain(|(_, connection), _| *connection != entry.connection);
                for id in self.carried.remove(&entry.connection).unwrap_or_default() {
                    self.tracks[usize::from(id.0)].reconnected(entry.ts_ns);
                }
            }
            What::Receive => {
                file.messages += 1;
                match self.survey.adapter(n, &entry.connection) {
                    Ok(adapter) => self.frame(n, adapter, entry, file),
                    Err(why) => drop(file.refused.get_or_insert(why)),
                }
            }
        }
    }

    /// An answer over HTTP: of use here when it is a whole book.
    fn reply(&mut self, url: &str, entry: &Entry, file: &mut File) {
        let path = |of: &str| of.split('?').next().unwrap_or_default().to_owned();
        for adapter in adapters().iter().filter(|a| answers_for(**a, url)) {
            let symbols = adapter.symbols_in(url);
            let asked = |t: &&mut Track| {
                let i = t.instrument();
                i.venue == adapter.venue()
                    && symbols.iter().any(|s| *s == i.symbol.as_str())
                    && path(url).ends_with(&path(&adapter.book_request(i).path))
            };
            if let Some(track) = self.tracks.iter_mut().find(asked)
                && let Ok(whole) = adapter.read_book(&entry.text, track.instrument())
            {
                file.snapshot_lines.push(file.lines);
                track.whole(entry.ts_ns, whole);
            }
        }
    }

    fn frame(&mut self, n: usize, adapter: &'static dyn Adapter, entry: &Entry, file: &mut File) {
        let venue = adapter.venue();
        let Some(table) = self.tables.get(&venue) else { return };
        let feed = self.feeds.entry((venue, entry.connection.clone()));
        let feed = feed.or_insert_with(|| adapter.feed(Arc::clone(table)));
        let mut said = std::mem::take(&mut self.said);
        if let Err(e) = feed.frame(&entry.text, &mut said) {
            let text = format!("line {}: {e}", file.lines);
            if serde_json::from_str::<serde::de::IgnoredAny>(&entry.text).is_err() {
                file.damage = Some(text);
            } else {
                file.unreadable += 1;
                file.first_unreadable.get_or_insert(text);
            }
        }
        let mut about = BTreeSet::new();
        for what in said.drain(..) {
            match what {
                Said::Event(event) => {
                    if let Some(id) = whose(&event) {
                        self.tracks[usize::from(id.0)].event(entry.ts_ns, &event);
                        about.insert(id);
                    }
                }
                Said::RecordedBook(symbol) => {
                    file.snapshot_lines.push(file.lines);
                    about.extend(self.recorded_book(n, adapter, entry, symbol.as_deref()));
                }
                Said::Other(_) => file.other += 1,
                Said::Reply(_) | Said::Alive | Said::Shutdown => {}
            }
        }
        for id in &about {
            self.tracks[usize::from(id.0)].heard();
        }
        self.carried.entry(entry.connection.clone()).or_default().append(&mut about);
        self.said = said;
    }

    /// A whole book among the frames. Where it names no symbol it belongs to the connection's only one, or to the book
    /// whose changes stand nearest to it.
    fn recorded_book(
        &mut self,
        n: usize,
        adapter: &'static dyn Adapter,
        entry: &Entry,
        symbol: Option<&str>,
    ) -> Option<InstrumentId> {
        let here = self.survey.symbols(n, &entry.connection)?;
        let named = |i: &str| symbol.map_or_else(|| here.contains(i), |symbol| symbol == i);
        let of = |t: &&mut Track| t.venue() == adapter.venue() && named(&t.instrument().symbol);
        let many = self.tracks.iter_mut().filter(|t| of(t));
        let read = many.filter_map(|t| Some((adapter.read_book(&entry.text, t.instrument()).ok()?, t)));
        let far = |whole: &domain::event::BookSnapshot, track: &Track| {
            track.last_id().map_or(u64::MAX, |last| last.abs_diff(whole.last_id))
        };
        let (whole, track) = read.min_by_key(|(whole, track)| far(whole, track))?;
        if symbol.is_none() && here.len() > 1 && track.last_id().is_none() {
            return None;
        }
        track.whole(entry.ts_ns, whole);
        Some(track.instrument().id)
    }
}
