//! One input at a time: journal, step, journal the effects' mark, hand the effects out. Nothing leaves before the
//! input that caused it is with the operating system (I-01).

use crate::clock::{Clock, ClockKind};
use crate::gateway::Gateway;
use crate::halt::HaltFile;
use crate::journal::{Sealed, WriteError, Writer};
use crate::narrator::Narrator;
use crate::recover::mark;
use crate::telemetry::Telemetry;
use domain::event::{Channel, Link, Note, OperatorCommand, Session, note};
use domain::{Event, Instrument, InstrumentId, Venue};
use engine::{AuditRecord, Effect, Engine, View};
use settings::Halt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

/// The engine with its journal and its ways out. Lives on the engine thread.
#[derive(Debug)]
pub struct Core {
    engine: Engine,
    writer: Writer,
    clock: Clock,
    gateway: Gateway,
    wanted: BTreeMap<InstrumentId, SyncSender<InstrumentId>>,
    telemetry: Arc<Telemetry>,
    narrator: Narrator,
    halts: HaltFile,
    effects: Vec<Effect>,
    /// Effects that go out, in order.
    outward: Vec<Effect>,
    /// What handing out led to; fed before anything else.
    local: VecDeque<Event>,
}

/// Where a core's words and orders go.
#[derive(Debug)]
pub struct Outlets {
    /// Orders, cancels, questions.
    pub gateway: Gateway,
    /// Who brings the whole book of each instrument when it is wanted.
    pub wanted: BTreeMap<InstrumentId, SyncSender<InstrumentId>>,
    /// Counters.
    pub telemetry: Arc<Telemetry>,
    /// The log.
    pub narrator: Narrator,
    /// Where a halt outlasts the run.
    pub halts: HaltFile,
}

impl Core {
    /// A core in the state of `engine`, writing to `writer`.
    pub fn new(engine: Engine, writer: Writer, clock: Clock, out: Outlets) -> Core {
        let Outlets { gateway, wanted, telemetry, narrator, halts } = out;
        let (effects, outward) = (Vec::with_capacity(64), Vec::with_capacity(64));
        Core {
            engine,
            writer,
            clock,
            gateway,
            wanted,
            telemetry,
            narrator,
            halts,
            effects,
            outward,
            local: VecDeque::new(),
        }
    }

    /// Begins a session: who we are, whether the home is halted, the rules in force, and that no connection is up yet.
    /// No time passes before it: what an earlier session knew must wake nobody.
    ///
    /// # Errors
    /// [`WriteError`], as all that writes the journal.
    pub fn begin(&mut self, now_ns: u64, session: Session, rules: Vec<Instrument>) -> Result<(), WriteError> {
        let now_ns = self.clock.target(now_ns, Some(now_ns));
        self.clock.skip(now_ns);
        let safety = self.engine.view().safety;
        let reason = safety.reason.as_deref().unwrap_or("halted").trim_start_matches("entries are halted: ");
        let known: Option<Note> = safety.halted.then(|| note(reason));
        let agreed = self.halts.agree(known, now_ns);
        agreed.map_err(|e| self.halt_lost(e))?;
        if let Some(halt) = self.halts.in_force() {
            tracing::warn!("{halt}; `traider resume --reason ...` lifts it");
        }
        self.apply(now_ns, &Event::Session(session))?;
        if let Some(reason) = self.halts.to_tell(known.is_some()) {
            self.apply(now_ns, &Event::Operator(OperatorCommand::Halt { reason }))?;
        }
        for instrument in rules {
            self.apply(now_ns, &Event::Instrument(instrument))?;
        }
        for channel in [Channel::Orders, Channel::Market] {
            self.apply(now_ns, &Event::Link(Link { venue: Venue::BINANCE, channel, up: false }))?;
        }
        self.settle()
    }

    /// Feeds one event, and the time that passed before it.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn feed(&mut self, wall_ns: u64, source_ns: Option<u64>, event: &Event) -> Result<(), WriteError> {
        let target = self.clock.target(wall_ns, source_ns);
        self.advance(target)?;
        self.apply(target, event)?;
        self.settle()
    }

    /// Lets time pass until `now_ns`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn pass(&mut self, now_ns: u64) -> Result<(), WriteError> {
        self.advance(self.clock.target(now_ns, Some(now_ns)))?;
        self.settle()
    }

    fn advance(&mut self, target_ns: u64) -> Result<(), WriteError> {
        let mut clock = self.clock;
        let passed = clock.advance(target_ns, |ns| self.apply(ns, &Event::Timer));
        self.clock = clock;
        passed
    }

    /// Feeds what handing out led to. Each round only follows from the one before, and an order that could not be
    /// sent leads to no other at once, so this ends.
    fn settle(&mut self) -> Result<(), WriteError> {
        while let Some(event) = self.local.pop_front() {
            self.apply(self.clock.last_ns(), &event)?;
        }
        Ok(())
    }

    fn apply(&mut self, ts_ns: u64, event: &Event) -> Result<(), WriteError> {
        let seq = self.writer.input(ts_ns, event);
        self.effects.clear();
        let start = Instant::now();
        self.engine.step(ts_ns, event, &mut self.effects);
        self.telemetry.step.record(start.elapsed());
        if let Some(mark) = mark(&self.engine, seq, &self.effects) {
            self.writer.effects(ts_ns, &mark);
        }
        let mut halt = None;
        for effect in self.effects.drain(..) {
            if let Effect::Audit(AuditRecord::Halt { halted, reason }) = &effect {
                halt = Some((*halted, *reason));
            }
            match effect {
                Effect::Audit(record) => self.narrator.tell(record),
                Effect::Send(_) | Effect::Cancel { .. } | Effect::Query { .. } | Effect::RequestSnapshot { .. } => {
                    self.outward.push(effect);
                }
            }
        }
        if let Some((halted, reason)) = halt {
            self.flush()?;
            let kept = self.halts.set(halted, reason, ts_ns);
            kept.map_err(|e| self.halt_lost(e))?;
        }
        if self.outward.is_empty() { Ok(()) } else { self.hand_out() }
    }

    fn halt_lost(&self, source: std::io::Error) -> WriteError {
        WriteError::Halt { path: self.halts.path(), source }
    }

    fn hand_out(&mut self) -> Result<(), WriteError> {
        self.flush()?;
        for effect in self.outward.drain(..) {
            let news = match &effect {
                Effect::Send(approved) => self.gateway.place(approved.request()),
                Effect::Cancel { id, instrument } => self.gateway.cancel(*id, *instrument),
                Effect::Query { id, instrument } => self.gateway.query(*id, *instrument),
                Effect::RequestSnapshot { instrument } => {
                    let sent = self.wanted.get(instrument).is_some_and(|keeper| keeper.try_send(*instrument).is_ok());
                    (!sent).then(|| Event::SnapshotFailed {
                        instrument: *instrument,
                        reason: note("nobody takes the question for this book now"),
                    })
                }
                Effect::Audit(_) => None,
            };
            self.local.extend(news);
        }
        Ok(())
    }

    /// Hands everything journaled so far to the operating system.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if !self.writer.has_unflushed() {
            return Ok(());
        }
        let start = Instant::now();
        self.writer.flush()?;
        self.telemetry.append.record(start.elapsed());
        Ok(())
    }

    /// True while an answer of the venue is awaited.
    pub fn awaits_answer(&self) -> bool {
        self.gateway.awaits_answer()
    }
    /// What the clock follows.
    pub const fn clock_kind(&self) -> ClockKind {
        self.clock.kind()
    }
    /// Time of the last input, ns.
    pub const fn now_ns(&self) -> u64 {
        self.clock.last_ns()
    }
    /// A snapshot of the engine; allocates.
    pub fn view(&self) -> View {
        self.engine.view()
    }
    /// The halt in force, if entries are halted.
    pub const fn halt(&self) -> Option<&Halt> {
        self.halts.in_force()
    }
    /// Number of records written in this session.
    pub const fn records(&self) -> u64 {
        self.writer.records()
    }
    /// Ends the journal cleanly.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn seal(self) -> Result<Sealed, WriteError> {
        self.writer.seal()
    }
}
