//! The first reading: which venue each connection belongs to, which symbols it speaks of, and their rules.

use crate::DataError;
use domain::instrument::{BookRule, Contract};
use domain::{Asset, Increment, Instrument, InstrumentId, Lots, TickLots, Venue};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use venues::adapter::{Adapter, adapters};
use venues::binance::rest::is_loopback;
use venues::recording::{Recording, What};

/// After so many frames the venue that read most of them has it. So many are also kept until the rules are read: whole
/// books come early, and some venues write them with more digits than their rules tell.
const FRAMES_TO_DECIDE: u64 = 500;

/// What recordings are about.
pub(super) struct Survey {
    /// Everything that is recorded, with ids in this order, and whether the rules were recorded too.
    pub(super) instruments: Vec<(Instrument, bool)>,
    streams: BTreeMap<(usize, String), Stream>,
}

/// A connection in one file.
#[derive(Default)]
struct Stream {
    address: Option<String>,
    frames: u64,
    first: Vec<String>,
    candidates: Option<Vec<Candidate>>,
}

/// A venue that may be the one, and what of it was seen.
struct Candidate {
    adapter: &'static dyn Adapter,
    alike: (usize, usize),
    frames: u64,
    symbols: BTreeSet<String>,
}

impl Survey {
    /// Reads all files, each up to its first damage.
    pub(super) fn of(paths: &[PathBuf]) -> Result<Survey, DataError> {
        let mut streams: BTreeMap<(usize, String), Stream> = BTreeMap::new();
        let mut replies = BTreeMap::new();
        for (n, path) in paths.iter().enumerate() {
            let mut recording = Recording::open(path)?;
            // Damage is told by the second reading.
            while let Ok(Some(entry)) = recording.next_entry() {
                match entry.what {
                    What::Http(url) => drop(replies.insert(url, entry.text)),
                    What::Connect => streams.entry((n, entry.connection)).or_default().connected(entry.text),
                    What::Receive => streams.entry((n, entry.connection)).or_default().frame(entry.text),
                    What::Header | What::Send | What::Close | What::Lost(_) => {}
                }
            }
        }
        let mut wanted: BTreeMap<Venue, Wanted<'_>> = BTreeMap::new();
        for (stream, best) in streams.values().filter_map(|stream| Some((stream, stream.best()?))) {
            let of = wanted.entry(best.adapter.venue()).or_insert_with(|| Wanted::of(best.adapter, &replies));
            of.symbols.extend(best.symbols.iter().map(String::as_str));
            of.frames.extend(stream.first.iter().map(String::as_str));
        }
        let mut instruments = Vec::new();
        for of in wanted.values() {
            of.rules(&mut instruments)?;
        }
        drop(wanted);
        streams.values_mut().for_each(|stream| stream.first = Vec::new());
        Ok(Survey { instruments, streams })
    }

    /// Whose connection it is, in this file; else why that is not known.
    pub(super) fn adapter(&self, file: usize, connection: &str) -> Result<&'static dyn Adapter, String> {
        let stream = self.streams.get(&(file, connection.to_owned()));
        if let Some(best) = stream.and_then(Stream::best) {
            return Ok(best.adapter);
        }
        Err(match stream.and_then(|s| s.address.as_ref()) {
            Some(address) => format!("nothing that came from {address} is of a venue and protocol we know"),
            None => "nothing in it is of a venue and protocol we know".to_owned(),
        })
    }

    /// Symbols that a connection spoke of in this file.
    pub(super) fn symbols(&self, file: usize, connection: &str) -> Option<&BTreeSet<String>> {
        self.streams.get(&(file, connection.to_owned()))?.best().map(|best| &best.symbols)
    }
}

impl Stream {
    fn connected(&mut self, address: String) {
        self.address.get_or_insert(address);
    }

    fn frame(&mut self, text: String) {
        let address = self.address.as_deref();
        let candidates = self.candidates.get_or_insert_with(|| candidates(address));
        for candidate in candidates.iter_mut() {
            let symbols = candidate.adapter.symbols_in(&text);
            candidate.frames += u64::from(!symbols.is_empty());
            candidate.symbols.extend(symbols);
        }
        self.frames += 1;
        if self.frames <= FRAMES_TO_DECIDE {
            self.first.push(text);
        }
        if self.frames == FRAMES_TO_DECIDE
            && let Some(best) = self.best().map(|best| best.adapter.venue())
            && let Some(candidates) = &mut self.candidates
        {
            candidates.retain(|c| c.adapter.venue() == best);
        }
    }

    /// The one that read most; then the one that is reached at an address most like the recorded one.
    fn best(&self) -> Option<&Candidate> {
        let known = self.candidates.iter().flatten().filter(|c| c.frames > 0);
        // The first of equals: `max_by_key` alone takes the last.
        known.rev().max_by_key(|c| (c.frames, c.alike))
    }
}

/// Venues reached at the address's domain; all where it tells nothing.
fn candidates(address: Option<&str>) -> Vec<Candidate> {
    let told = address.filter(|address| !is_loopback(address)).map(domain_of);
    adapters()
        .iter()
        .filter(|a| told.is_none_or(|told| domain_of(&a.endpoints().streams) == told))
        .map(|adapter| Candidate {
            adapter: *adapter,
            alike: alike(*adapter, address.unwrap_or_default()),
            frames: 0,
            symbols: BTreeSet::new(),
        })
        .collect()
}

/// How many bytes `address` has in common with one that the venue's data comes from, from its start, and from the start
/// of its path: two lines of one venue may differ only there.
fn alike(adapter: &dyn Adapter, address: &str) -> (usize, usize) {
    let same = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let path = |of: &str| of.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()));
    let any = assumed(adapter, "X").map(|i| adapter.connections(&adapter.endpoints(), &[i])).unwrap_or_default();
    let both =
        |url: &String| (same(url, address), same(&path(url).unwrap_or_default(), &path(address).unwrap_or_default()));
    any.iter().map(|c| both(&c.url)).max().unwrap_or_default()
}

/// True when the question at `url` was one to this venue, or to something on the recorder's machine that stood for it.
pub(super) fn answers_for(adapter: &dyn Adapter, url: &str) -> bool {
    is_loopback(url) || host(&adapter.endpoints().rest) == host(url)
}

/// The host's name in an address.
fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split(['/', '?', ':']).next().unwrap_or_default()
}

/// The last two parts of a host's name: a venue has many hosts and one of these.
fn domain_name(host: &str) -> &str {
    let dots = host.rmatch_indices('.').nth(1);
    dots.map_or(host, |(at, _)| &host[at + 1..])
}

fn domain_of(address: &str) -> &str {
    domain_name(host(address))
}

/// What of a venue was recorded.
struct Wanted<'a> {
    adapter: &'static dyn Adapter,
    symbols: BTreeSet<&'a str>,
    answers: Vec<&'a str>,
    /// The first of each connection.
    frames: Vec<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(adapter: &'static dyn Adapter, replies: &'a BTreeMap<String, String>) -> Wanted<'a> {
        let ours = replies.iter().filter(|(url, _)| answers_for(adapter, url));
        let answers = ours.map(|(_, body)| body.as_str()).collect();
        Wanted { adapter, symbols: BTreeSet::new(), answers, frames: Vec::new() }
    }

    /// Appends the instruments, with ids that go on from those before, and whether their rules were recorded.
    fn rules(&self, out: &mut Vec<(Instrument, bool)>) -> Result<(), DataError> {
        let symbols: Vec<&str> = self.symbols.iter().copied().collect();
        let mut all = self.told(&symbols).unwrap_or_default().into_iter();
        for symbol in symbols {
            let told = all.next().or_else(|| self.told(&[symbol])?.pop());
            let recorded = told.is_some();
            let instrument = told.map_or_else(|| assumed(self.adapter, symbol), Ok)?;
            let id = u16::try_from(out.len()).map_err(|_| DataError::Value("too many symbols".to_owned()))?;
            out.push((Instrument { id: InstrumentId(id), ..instrument }, recorded));
        }
        Ok(())
    }

    /// The rules out of what was recorded; `None` when some of them are missing.
    fn told(&self, symbols: &[&str]) -> Option<Vec<Instrument>> {
        let everything = [self.answers.as_slice(), &self.frames].concat();
        // What else was asked for may make all of it unreadable together.
        let one_by_one = self.answers.iter().map(std::slice::from_ref);
        let tries = [everything.as_slice(), &self.answers].into_iter().chain(one_by_one);
        tries.filter(|_| !self.answers.is_empty()).find_map(|texts| self.adapter.read_rules(texts, symbols).ok())
    }
}

/// An instrument whose rules were not recorded: steps finer than nearly any venue's.
fn assumed(adapter: &dyn Adapter, symbol: &str) -> Result<Instrument, DataError> {
    let step = Increment { units: 1, scale: 8 };
    let mut instrument = Instrument {
        id: InstrumentId(0),
        version: 1,
        venue: adapter.venue(),
        symbol: symbol.parse().map_err(|_| DataError::Value(format!("the symbol {symbol} is too long")))?,
        base: unknown()?,
        quote: unknown()?,
        tick: step,
        lot: step,
        qty_min: Lots::new(1),
        qty_max: Lots::new(u64::MAX),
        value_min: TickLots::ZERO,
        contract: Contract::Spot,
        trade: false,
        book: BookRule::ASKED,
    };
    if !adapter.renew(&instrument).is_empty() {
        instrument.book = BookRule::PUSHED;
    }
    Ok(instrument)
}

/// Nobody asks for the assets of what is only looked at.
fn unknown() -> Result<Asset, DataError> {
    Asset::from("X").map_err(|e| DataError::Value(e.to_string()))
}
