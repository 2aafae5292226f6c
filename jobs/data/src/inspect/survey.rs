//! The first reading: which venue each connection belongs to, which symbols it speaks of, and their rules.

use crate::DataError;
use domain::instrument::{BookRule, Contract};
use domain::{Asset, Increment, Instrument, InstrumentId, Lots, TickLots, Venue};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use venues::adapter::{Adapter, adapters};
use venues::binance::rest::is_loopback;
use venues::recording::{Recording, What};

/// After so many frames the venue that read most of them has it.
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
    candidates: Option<Vec<Candidate>>,
}

/// A venue that may be the one, and what of it was seen.
struct Candidate {
    adapter: &'static dyn Adapter,
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
                    What::Receive => streams.entry((n, entry.connection)).or_default().frame(&entry.text),
                    What::Header | What::Send | What::Close | What::Lost(_) => {}
                }
            }
        }
        let mut wanted: BTreeMap<Venue, (&'static dyn Adapter, BTreeSet<String>)> = BTreeMap::new();
        for best in streams.values().filter_map(Stream::best) {
            let (_, symbols) = wanted.entry(best.adapter.venue()).or_insert((best.adapter, BTreeSet::new()));
            symbols.extend(best.symbols.iter().cloned());
        }
        let mut instruments = Vec::new();
        for (adapter, symbols) in wanted.into_values() {
            let answers: Vec<&str> = replies
                .iter()
                .filter(|(url, _)| answers_for(adapter, url))
                .map(|(_, body): (&String, &String)| body.as_str())
                .collect();
            for symbol in symbols {
                instruments.push(rules(adapter, &answers, &symbol, instruments.len())?);
            }
        }
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

    fn frame(&mut self, text: &str) {
        let address = self.address.as_deref();
        let candidates = self.candidates.get_or_insert_with(|| candidates(address));
        for candidate in candidates.iter_mut() {
            let symbols = candidate.adapter.symbols_in(text);
            candidate.frames += u64::from(!symbols.is_empty());
            candidate.symbols.extend(symbols);
        }
        self.frames += 1;
        if self.frames == FRAMES_TO_DECIDE
            && let Some(best) = self.best().map(|best| best.adapter.venue())
            && let Some(candidates) = &mut self.candidates
        {
            candidates.retain(|c| c.adapter.venue() == best);
        }
    }

    /// The one that read most; then the one whose address is most like the recorded one.
    fn best(&self) -> Option<&Candidate> {
        let address = self.address.as_deref().unwrap_or_default();
        let alike = |c: &Candidate| {
            let own = c.adapter.endpoints().streams;
            own.bytes().zip(address.bytes()).take_while(|(a, b)| a == b).count()
        };
        let known = self.candidates.iter().flatten().filter(|c| c.frames > 0);
        // The first of equals: `max_by_key` alone takes the last.
        known.rev().max_by_key(|c| (c.frames, alike(c)))
    }
}

/// Venues reached at the address's domain; all where it tells nothing.
fn candidates(address: Option<&str>) -> Vec<Candidate> {
    let told = address.filter(|address| !is_loopback(address)).map(domain_of);
    adapters()
        .iter()
        .filter(|a| told.is_none_or(|told| domain_of(&a.endpoints().streams) == told))
        .map(|adapter| Candidate { adapter: *adapter, frames: 0, symbols: BTreeSet::new() })
        .collect()
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

/// The rules of a symbol out of recorded answers; where there are none, steps finer than any venue's.
fn rules(adapter: &dyn Adapter, answers: &[&str], symbol: &str, id: usize) -> Result<(Instrument, bool), DataError> {
    let id = u16::try_from(id).map(InstrumentId).map_err(|_| DataError::Value("too many symbols".to_owned()))?;
    let one_by_one = answers.iter().map(std::slice::from_ref);
    let mut tries = std::iter::once(answers).filter(|all| all.len() > 1).chain(one_by_one);
    let told = tries.find_map(|answers| adapter.read_rules(answers, &[symbol]).ok()?.pop());
    if let Some(instrument) = told {
        return Ok((Instrument { id, ..instrument }, true));
    }
    let step = Increment { units: 1, scale: 8 };
    let assumed = Instrument {
        id,
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
    Ok((assumed, false))
}

/// Nobody asks for the assets of what is only looked at.
fn unknown() -> Result<Asset, DataError> {
    Asset::from("X").map_err(|e| DataError::Value(e.to_string()))
}
