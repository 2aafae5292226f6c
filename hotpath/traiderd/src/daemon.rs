//! From nothing to a session: the home and its lock, the run (new or brought back), the venue's rules. The session
//! itself is `session`'s.

use crate::backoff::Backoff;
use crate::clock::{ClockKind, wall_ns};
use crate::error::DaemonError;
use crate::journal::{self, SEGMENT_BYTES};
use crate::lock::HomeLock;
use crate::market::{self, Assigned, Watched};
use crate::recover::{self, Recovered};
use crate::session::Parts;
use crate::summary::Summary;
use domain::config::EngineConfig;
use domain::{Instrument, InstrumentId, RunId};
use engine::Engine;
use settings::manifest::config_hash;
use settings::{Home, Mode, RunManifest};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use venues::binance::rest::{Rest, RestError};
use venues::binance::sign::Keys;
use venues::binance::ws::Endpoints;
use venues::journal_dir::{self, Tail, segment_path};

/// How long one question over HTTP may take.
const REST_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries before a venue that was never reached is given up; with the pauses between 6 to 12 s.
const REACH_TRIES: u32 = 7;

/// Most symbols a message lists; the real venue has thousands.
const SYMBOLS_SHOWN: usize = 10;

/// Everything that can be chosen.
#[derive(Clone, Debug)]
pub struct Options {
    /// The home folder.
    pub home: Home,
    /// Limits and strategies.
    pub config: EngineConfig,
    /// HTTP address of the venue; sockets are behind the same one.
    pub venue_url: String,
    /// Venue symbols.
    pub symbols: Vec<String>,
    /// Venues that are watched beside the one that is traded.
    pub watched: Vec<Watched>,
    /// Record every frame on raw tapes.
    pub tape: bool,
    /// Where events come from.
    pub mode: Mode,
    /// What feeds the run, as told.
    pub source: String,
    /// The run's only source of randomness.
    pub seed: u64,
    /// The run's id; derived when absent. A run that exists and has not ended is continued.
    pub run_id: Option<String>,
    /// What time follows.
    pub clock: ClockKind,
    /// API keys.
    pub keys: Keys,
    /// End when this process is gone.
    pub parent: Option<u32>,
    /// Set from outside for a clean end.
    pub stop: Arc<AtomicBool>,
    /// Size at which a journal segment is closed, bytes.
    pub segment_bytes: u64,
    /// Tries before a venue that was never reached is given up.
    pub reach_tries: u32,
}

impl Options {
    /// Options with the usual choices for what is not named.
    pub fn new(home: Home, config: EngineConfig, venue_url: &str, symbols: &[&str], mode: Mode) -> Options {
        Options {
            home,
            config,
            venue_url: venue_url.to_owned(),
            symbols: symbols.iter().map(|s| (*s).to_owned()).collect(),
            watched: Vec::new(),
            tape: false,
            mode,
            source: venue_url.to_owned(),
            seed: 1,
            run_id: None,
            clock: ClockKind::Wall,
            // The emulator takes any key; it wants to see one, as the venue does.
            keys: Keys::hmac("traider", "traider"),
            parent: None,
            stop: Arc::new(AtomicBool::new(false)),
            segment_bytes: SEGMENT_BYTES,
            reach_tries: REACH_TRIES,
        }
    }
}

/// Runs a session from start to clean end.
///
/// # Errors
/// [`DaemonError`], with the exit code that belongs to it.
pub fn run(options: &Options) -> Result<Summary, DaemonError> {
    let started = Instant::now();
    options.home.prepare()?;
    let lock = HomeLock::take(&options.home)?;
    let run = open_run(options)?;
    let dir = run.dir.clone();
    let result = begin(options, started, run);
    if result.is_err() {
        forget_unbegun(&dir);
    }
    drop(lock);
    result
}

fn begin(options: &Options, started: Instant, run: Run) -> Result<Summary, DaemonError> {
    let endpoints = Endpoints::at(&options.venue_url);
    let rest = Rest::new(&endpoints.rest, REST_TIMEOUT).map_err(|e| DaemonError::Usage(e.to_string()))?;
    if !options.watched.is_empty() && options.clock == ClockKind::Source {
        let why = "a replayed source has a time of its own; other venues can be watched only in real time";
        return Err(DaemonError::Usage(why.to_owned()));
    }
    let known = &run.recovered.instruments;
    let rules = instruments(options, &rest, known)?;
    let next_id = rules.all.iter().chain(known).map(|i| i.id.0 + 1).max().unwrap_or(0);
    let budgets = options.home.run().join("budgets");
    let watched: Vec<Assigned> = market::assign(&options.watched, known, next_id, &budgets)?;
    Parts { started, run, endpoints, budgets, rules, watched }.run(options)
}

/// Takes away the folder of a run that ended before its first record: it would count as the newest run and has nothing
/// to say. Only what such a run leaves is removed; a folder that cannot be judged or holds more stays.
fn forget_unbegun(dir: &Path) {
    if !matches!(journal_dir::has_records(dir), Ok(false)) {
        return;
    }
    for file in [dir.join("manifest.json"), segment_path(dir, 1)] {
        // Not there is what we want, and what cannot be removed keeps the folder.
        let _gone = std::fs::remove_file(file);
    }
    let _gone = std::fs::remove_dir(dir);
}

/// A run, new or brought back. A new one is not on disk before its session writes the manifest.
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) dir: PathBuf,
    pub(crate) manifest: RunManifest,
    pub(crate) recovered: Recovered,
}

fn open_run(options: &Options) -> Result<Run, DaemonError> {
    let now_ns = wall_ns();
    let text = options.run_id.clone().unwrap_or_else(|| format!("{}-{}", options.mode.name(), now_ns / 1_000_000));
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let id = RunId::from(&text)
        .ok()
        .filter(|id| !id.is_empty() && id.chars().all(legal))
        .ok_or_else(|| DaemonError::Usage(format!("`{text}` is no run id; use 1 to 40 letters, digits, - and _")))?;
    let dir = options.home.journal_of(&id);
    if dir.join("manifest.json").exists() {
        return continue_run(options, id, dir);
    }
    let engine = Engine::new(&options.config).map_err(|e| DaemonError::Config(e.to_string()))?;
    let manifest = RunManifest {
        run_id: text,
        mode: options.mode,
        created_ns: now_ns,
        build: build(),
        seed: options.seed,
        source: options.source.clone(),
        config: options.config.clone(),
        config_hash: config_hash(&options.config),
        sealed: false,
        records: 0,
        effects_hash: String::new(),
    };
    let recovered =
        Recovered { engine, tail: Tail::default(), last_ts_ns: 0, inputs: 0, instruments: Vec::new(), missing: None };
    Ok(Run { id, dir, manifest, recovered })
}

fn continue_run(options: &Options, id: RunId, dir: PathBuf) -> Result<Run, DaemonError> {
    let manifest = RunManifest::read(&dir)
        .map_err(DaemonError::io(format!("could not read the manifest in `{}`", dir.display())))?;
    if manifest.sealed {
        return Err(DaemonError::Usage(format!("run {id} has ended; choose another --run-id")));
    }
    if manifest.config_hash != config_hash(&options.config) {
        return Err(DaemonError::Config(format!(
            "run {id} was started with another one; start a new run to change it"
        )));
    }
    let mut recovered = recover::replay(&dir, &manifest.config)?;
    recovered.tail = journal::close_tail(&dir, &recovered.tail, recovered.missing)?;
    tracing::info!(run = %id, inputs = recovered.inputs, "the journal was replayed and agrees");
    Ok(Run { id, dir, manifest, recovered })
}

/// Writes the manifest and, for a new run, the folder around it.
pub(crate) fn write_manifest(manifest: &RunManifest, dir: &Path) -> Result<(), DaemonError> {
    std::fs::create_dir_all(dir).map_err(DaemonError::io(format!("could not create `{}`", dir.display())))?;
    manifest.write(dir).map_err(DaemonError::io(format!("could not write the manifest in `{}`", dir.display())))
}

fn build() -> String {
    format!("{}-{}", env!("CARGO_PKG_VERSION"), option_env!("TRAIDER_COMMIT").unwrap_or("dev"))
}

/// The rules of all symbols with the ids of this run: known symbols keep theirs, and a rule change is a new version.
pub(crate) struct Rules {
    pub(crate) all: Vec<Instrument>,
    /// New or changed: to be announced.
    pub(crate) news: Vec<Instrument>,
}

fn instruments(options: &Options, rest: &Rest, known: &[Instrument]) -> Result<Rules, DaemonError> {
    let symbols: Vec<&str> = options.symbols.iter().map(String::as_str).collect();
    if symbols.is_empty() {
        return Err(DaemonError::Usage("no symbols: name at least one with --symbols".to_owned()));
    }
    let answer = reach(options, || rest.instruments(&symbols))?;
    let fetched = answer.map_err(|refusal| refused(rest, &symbols, &refusal))?;
    let mut rules = Rules { all: Vec::new(), news: Vec::new() };
    let mut next_id = known.iter().map(|i| i.id.0 + 1).max().unwrap_or(0);
    for mut i in fetched {
        let old = known.iter().find(|k| (k.venue, k.symbol) == (i.venue, i.symbol));
        match old {
            Some(old) => (i.id, i.version) = (old.id, old.version),
            None => {
                i.id = InstrumentId(next_id);
                next_id += 1;
            }
        }
        if old.is_some_and(|old| *old != i) {
            i.version += 1;
        }
        if old != Some(&i) {
            rules.news.push(i.clone());
        }
        rules.all.push(i);
    }
    Ok(rules)
}

/// Why the venue refuses to tell the rules of `symbols`: mostly because it does not have one of them.
fn refused(rest: &Rest, symbols: &[&str], refusal: &RestError) -> DaemonError {
    let listed = rest.symbols().unwrap_or_default();
    let unknown: Vec<&str> = symbols.iter().copied().filter(|s| !listed.iter().any(|l| l == s)).collect();
    if listed.is_empty() || unknown.is_empty() {
        return DaemonError::Usage(format!("the venue refuses: {refusal}"));
    }
    DaemonError::Usage(format!(
        "the venue does not trade `{}`{}; it has {}; choose with --symbols or the setting `run.symbols`",
        unknown.join("`, `"),
        settings::config::nearest(&unknown[0].to_uppercase(), listed.iter().map(String::as_str)),
        some_of(&listed)
    ))
}

/// The first of a list that may be long.
fn some_of(names: &[String]) -> String {
    let shown = names[..names.len().min(SYMBOLS_SHOWN)].join(", ");
    match names.len().saturating_sub(SYMBOLS_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Asks until the venue answers. A venue that answers with a refusal is there, and wants something else of us.
///
/// # Errors
/// [`DaemonError::Unreachable`] when it never answers; its refusal is an answer.
fn reach<T>(options: &Options, ask: impl Fn() -> Result<T, RestError>) -> Result<Result<T, RestError>, DaemonError> {
    let mut backoff = Backoff::default();
    let mut tries = 1;
    loop {
        match ask() {
            Ok(answer) => return Ok(Ok(answer)),
            Err(refusal) if !refusal.is_transient() => return Ok(Err(refusal)),
            Err(source) if tries >= options.reach_tries || options.stop.load(Ordering::Relaxed) => {
                let (url, source) = (options.venue_url.clone(), Box::new(source));
                return Err(DaemonError::Unreachable { url, tries, source });
            }
            Err(error) => tracing::warn!(%error, "the venue does not answer yet"),
        }
        tries += 1;
        backoff.wait(&options.stop);
    }
}
