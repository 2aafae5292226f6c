//! Runs a journal again through a fresh engine of the same configuration and compares, mark by mark, what it does with
//! what the journal says was done. The first difference is kept; damage ends the replay.
//!
//! An input whose mark is missing is no difference where the daemon died: right before the next session, or at the
//! end of a journal that was never sealed.

use crate::{DataError, seal};
use domain::Event;
use domain::journal::EffectsMark;
use engine::{Effect, Engine};
use serde_json::{Value, json};
use settings::RunManifest;
use std::collections::BTreeMap;
use std::path::Path;
use venues::journal_dir::{Entry, read_run};

/// One input and what the engine made of it.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Journal record of the input.
    pub seq: u64,
    /// Our clock, ns.
    pub ts_recv_ns: u64,
    /// The input.
    pub event: &'a Event,
    /// What the engine did.
    pub effects: &'a [Effect],
}

/// Where a replay left the journal's path.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Journal record of the input; `None` when only the manifest's totals differ.
    pub seq: Option<u64>,
    /// What the journal says.
    pub expected: String,
    /// What the replay did.
    pub got: String,
    /// The replay's effects of that input, as JSON.
    pub effects: Vec<Value>,
}

/// A replay that read the whole journal.
#[derive(Debug)]
pub struct Replayed {
    /// The run's manifest.
    pub manifest: RunManifest,
    /// Records in the journal.
    pub records: u64,
    /// Inputs among them.
    pub inputs: u64,
    /// Marks compared.
    pub marks: u64,
    /// Sequence number of the last input.
    pub last_seq: u64,
    /// Bytes of a torn tail that were left out.
    pub torn: usize,
    /// What a sealed run's journal lacks at its end.
    pub missing: Option<DataError>,
    /// The engine after the last input.
    pub engine: Engine,
    /// The first difference, if any.
    pub first_difference: Option<Difference>,
}

/// How often the wish to stop is looked at, in journal entries.
const STOP_EVERY: u64 = 4096;

/// Replays the journal in `dir`; `visit` sees every step in order.
///
/// # Errors
/// [`DataError`] when the manifest or the journal cannot be read, is damaged, or the configuration is refused.
pub fn replay(dir: &Path, visit: impl FnMut(&Engine, Step<'_>)) -> Result<Replayed, DataError> {
    replay_part(dir, None, &|| false, visit)
}

/// [`replay`] that can be told to stop, and to end at an earlier record.
///
/// * `last` - no input after this record is replayed; totals are then not compared. `None` replays all.
/// * `stop` - asked now and then.
///
/// # Errors
/// As [`replay`]; [`DataError::Cancelled`] when told to stop.
pub fn replay_part(
    dir: &Path,
    last: Option<u64>,
    stop: &dyn Fn() -> bool,
    mut visit: impl FnMut(&Engine, Step<'_>),
) -> Result<Replayed, DataError> {
    let manifest = RunManifest::read(dir).map_err(DataError::io("read", dir.join("manifest.json")))?;
    let mut engine = Engine::new(&manifest.config)?;
    let mut reader = read_run(dir)?;
    let mut compare = Compare::default();
    let (mut inputs, mut last_seq, mut effects) = (0, 0, Vec::new());
    let (mut entries, mut cut) = (0u64, false);
    while let Some(entry) = reader.next().transpose()? {
        entries += 1;
        if entries.is_multiple_of(STOP_EVERY) && stop() {
            return Err(DataError::Cancelled);
        }
        match entry {
            Entry::Input { seq, .. } if last.is_some_and(|last| seq > last) => {
                cut = true;
                break;
            }
            Entry::Input { seq, ts_recv_ns, event } => {
                if matches!(event, Event::Session(_)) {
                    compare.open.clear();
                }
                effects.clear();
                engine.step(ts_recv_ns, &event, &mut effects);
                compare.did(seq, &effects, engine.effects_hash());
                (inputs, last_seq) = (inputs + 1, seq);
                visit(&engine, Step { seq, ts_recv_ns, event: &event, effects: &effects });
            }
            Entry::Effects(mark) => compare.mark(&mark),
        }
    }
    let tail = reader.tail();
    if !cut {
        compare.end(&manifest, tail.next_seq, &engine);
    }
    Ok(Replayed {
        records: tail.next_seq,
        torn: tail.torn,
        missing: seal::missing(dir, &manifest, tail).filter(|_| !cut),
        manifest,
        inputs,
        marks: compare.marks,
        last_seq,
        engine,
        first_difference: compare.first,
    })
}

/// Inputs whose mark may still come. Marks come in order and soon; more than this many missing is a difference.
const OPEN_MAX: usize = 4096;

/// What an input led to here, until its mark comes.
struct Done {
    count: u32,
    running: [u8; 32],
    effects: Vec<Effect>,
}

#[derive(Default)]
struct Compare {
    open: BTreeMap<u64, Done>,
    marks: u64,
    first: Option<Difference>,
}

impl Compare {
    fn did(&mut self, seq: u64, effects: &[Effect], running: [u8; 32]) {
        if self.first.is_some() || effects.is_empty() {
            return;
        }
        let count = u32::try_from(effects.len()).unwrap_or(u32::MAX);
        self.open.insert(seq, Done { count, running, effects: effects.to_vec() });
        if self.open.len() > OPEN_MAX {
            self.first_unmarked();
        }
    }

    fn mark(&mut self, mark: &EffectsMark) {
        self.marks += 1;
        if self.first.is_some() {
            return;
        }
        match self.open.get(&mark.input) {
            Some(_) if self.open.first_key_value().is_some_and(|(&first, _)| first < mark.input) => {
                self.first_unmarked();
            }
            Some(done) if (done.count, done.running) == (mark.count, mark.running) => {
                self.open.remove(&mark.input);
            }
            _ => self.differ(mark.input, told(mark.count, &mark.running)),
        }
    }

    /// The journal went on without the mark of an input that has effects here.
    fn first_unmarked(&mut self) {
        if let Some((&seq, _)) = self.open.first_key_value() {
            self.differ(seq, told(0, &[0; 32]));
        }
    }

    fn differ(&mut self, seq: u64, expected: String) {
        let (got, effects) = match self.open.remove(&seq) {
            Some(done) => {
                let shown = done.effects.iter().map(|e| serde_json::to_value(e).unwrap_or(Value::Null));
                (told(done.count, &done.running), shown.collect())
            }
            None => (told(0, &[0; 32]), Vec::new()),
        };
        self.first = Some(Difference { seq: Some(seq), expected, got, effects });
    }

    fn end(&mut self, manifest: &RunManifest, records: u64, engine: &Engine) {
        if self.first.is_some() || !manifest.sealed {
            return;
        }
        if !self.open.is_empty() {
            return self.first_unmarked();
        }
        let expected = format!("{} records, effects hash {}", manifest.records, manifest.effects_hash);
        let got = format!("{records} records, effects hash {}", hex::encode(engine.effects_hash()));
        if expected != got {
            self.first = Some(Difference { seq: None, expected, got, effects: Vec::new() });
        }
    }
}

fn told(count: u32, running: &[u8; 32]) -> String {
    if count == 0 {
        return "no effects".to_owned();
    }
    format!("{count} effects, running hash {}", hex::encode(running))
}

/// The verdict on one run as JSON, and the exit code: 0 equal, 8 different or damaged.
///
/// # Errors
/// [`DataError`] when there is no such run or it cannot be read at all.
pub fn parity(dir: &Path) -> Result<(Value, u8), DataError> {
    parity_until(dir, &|| false)
}

/// [`parity`] that can be told to stop.
///
/// # Errors
/// As [`parity`]; [`DataError::Cancelled`] when told to stop.
pub fn parity_until(dir: &Path, stop: &dyn Fn() -> bool) -> Result<(Value, u8), DataError> {
    match replay_part(dir, None, stop, |_, _| {}) {
        Ok(done) => Ok(verdict(&done)),
        Err(error) => match error.damage() {
            Some(what) => {
                let manifest = RunManifest::read(dir).map_err(DataError::io("read", dir.join("manifest.json")))?;
                let (run, mode, message) = (manifest.run_id, manifest.mode.name(), error.to_string());
                // Not `error`: the verdict is the answer that was asked for, no failure to answer.
                Ok((json!({ "run_id": run, "mode": mode, "equal": false, "damage": what, "message": message }), 8))
            }
            None => Err(error),
        },
    }
}

fn verdict(done: &Replayed) -> (Value, u8) {
    let equal = done.first_difference.is_none() && done.missing.is_none();
    let mut value = json!({
        "run_id": done.manifest.run_id,
        "mode": done.manifest.mode.name(),
        "equal": equal,
        "sealed": done.manifest.sealed,
        "records": done.records,
        "inputs": done.inputs,
        "marks": done.marks,
        "effects": done.engine.effects_count(),
        "effects_hash": hex::encode(done.engine.effects_hash()),
        "torn_bytes": done.torn,
        "first_difference": done.first_difference.as_ref().map(|d| json!({
            "seq": d.seq, "expected": d.expected, "got": d.got, "effects": d.effects,
        })),
    });
    if let Some(missing) = &done.missing {
        value["damage"] = json!(missing.damage());
        value["message"] = json!(missing.to_string());
    }
    (value, if equal { 0 } else { 8 })
}
