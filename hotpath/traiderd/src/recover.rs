//! Start = recover (I-30): reads the journal of a run that did not end cleanly, applies all its inputs to a fresh
//! engine without letting anything out, and compares the effects with the marks beside them. What does not agree is
//! not continued.

use crate::error::DaemonError;
use domain::config::EngineConfig;
use domain::journal::EffectsMark;
use domain::{Event, Instrument};
use engine::{Effect, Engine};
use std::path::Path;
use venues::journal_dir::{Entry, RunReader, Tail, read_run};

/// A run brought back.
#[derive(Debug)]
pub struct Recovered {
    /// The engine after the last input.
    pub engine: Engine,
    /// Where the journal ends.
    pub tail: Tail,
    /// Receive time of the last input, ns; 0 if there is none.
    pub last_ts_ns: u64,
    /// Inputs applied.
    pub inputs: u64,
    /// Rules last in force, per symbol.
    pub instruments: Vec<Instrument>,
    /// Mark of the last input, when it has effects and the daemon died before it noted them. They were never let out.
    pub missing: Option<(u64, EffectsMark)>,
}

/// Replays the journal in `dir`.
///
/// # Errors
/// [`DaemonError::Journal`] for damage, [`DaemonError::Replay`] when the effects differ, [`DaemonError::Config`].
pub fn replay(dir: &Path, config: &EngineConfig) -> Result<Recovered, DaemonError> {
    let engine = Engine::new(config).map_err(|e| DaemonError::Config(e.to_string()))?;
    let mut replay =
        Replay { engine, expected: None, effects: Vec::new(), last_ts_ns: 0, inputs: 0, instruments: Vec::new() };
    let mut reader: RunReader = read_run(dir)?;
    for entry in reader.by_ref() {
        match entry? {
            Entry::Input { seq, ts_recv_ns, event } => replay.input(seq, ts_recv_ns, &event)?,
            Entry::Effects(mark) => replay.mark(&mark)?,
        }
    }
    Ok(Recovered {
        engine: replay.engine,
        tail: reader.tail().clone(),
        last_ts_ns: replay.last_ts_ns,
        inputs: replay.inputs,
        instruments: replay.instruments,
        missing: replay.expected.map(|mark| (replay.last_ts_ns, mark)),
    })
}

struct Replay {
    engine: Engine,
    /// Mark that must come next.
    expected: Option<EffectsMark>,
    effects: Vec<Effect>,
    last_ts_ns: u64,
    inputs: u64,
    instruments: Vec<Instrument>,
}

impl Replay {
    fn input(&mut self, seq: u64, ts_recv_ns: u64, event: &Event) -> Result<(), DaemonError> {
        if let Some(mark) = self.expected {
            return Err(differs(mark.input, format!("{} effects here, none in the journal", mark.count)));
        }
        if let Event::Instrument(instrument) = event {
            self.instruments.retain(|i| i.symbol != instrument.symbol);
            self.instruments.push(instrument.clone());
        }
        self.effects.clear();
        self.engine.step(ts_recv_ns, event, &mut self.effects);
        self.expected = mark(&self.engine, seq, &self.effects);
        self.last_ts_ns = ts_recv_ns;
        self.inputs += 1;
        Ok(())
    }

    fn mark(&mut self, stated: &EffectsMark) -> Result<(), DaemonError> {
        match self.expected.take() {
            Some(ours) if ours == *stated => Ok(()),
            Some(ours) if ours.count != stated.count => {
                Err(differs(stated.input, format!("{} effects here, {} in the journal", ours.count, stated.count)))
            }
            Some(_) => Err(differs(stated.input, "as many effects, but others".to_owned())),
            None => Err(differs(stated.input, format!("no effects here, {} in the journal", stated.count))),
        }
    }
}

fn differs(input: u64, what: String) -> DaemonError {
    DaemonError::Replay { input, what }
}

/// The mark to write for an input with `effects`; `None` when there are none.
pub fn mark(engine: &Engine, input: u64, effects: &[Effect]) -> Option<EffectsMark> {
    let count = u32::try_from(effects.len()).expect("one step never has 2^32 effects");
    (count > 0).then(|| EffectsMark { input, count, running: engine.effects_hash() })
}
