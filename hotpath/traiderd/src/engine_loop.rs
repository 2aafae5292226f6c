//! The engine thread's loop: takes what the rings bring, in one order, feeds it, and sleeps when there is nothing.
//! News of orders goes first, then snapshots, then the market.

use crate::board::Board;
use crate::clock::{ClockKind, TICK_NS, stamp_ns};
use crate::control::Order;
use crate::core::Core;
use crate::error::DaemonError;
use crate::inbox::{Body, Item, Waker};
use crate::watch::Watch;
use domain::event::{Channel, Link, OperatorCommand, Session};
use domain::{Event, Instrument, Venue};
use rtrb::Consumer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Most items of one ring before the others get their turn.
const BATCH: usize = 256;
/// Wall time between two looks at everything that is not a ring.
const UPKEEP: Duration = Duration::from_millis(100);
/// How long the end waits for open orders to close, and from when it cancels them.
const END_OF_SOURCE: Patience = Patience { cancel_after: Duration::from_secs(1), most: Duration::from_secs(3) };
const END_BY_SIGNAL: Patience = Patience { cancel_after: Duration::ZERO, most: Duration::from_secs(2) };

/// How long replayed time stands still for an answer of the venue, in wall time.
const HOLD_MAX: Duration = Duration::from_secs(1);
/// Pause between two looks while it does.
const HOLD_PAUSE: Duration = Duration::from_millis(1);

/// A market item that waited longer than this for the engine is not news any more, wall time, ns.
const BACKLOG_NS_MAX: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug)]
struct Patience {
    cancel_after: Duration,
    most: Duration,
}

/// What a session needs to begin.
#[derive(Debug)]
pub struct Opening {
    /// Who we are.
    pub session: Session,
    /// Rules to announce: new or changed ones.
    pub rules: Vec<Instrument>,
}

/// What feeds the loop.
#[derive(Debug)]
pub struct Inputs {
    /// News of orders.
    pub orders: Consumer<Item>,
    /// Snapshots.
    pub snapshots: Consumer<Item>,
    /// Market data, a ring for each connection; dropped when the end begins, which ends the threads behind them.
    pub market: Vec<Consumer<Item>>,
    /// Watched venues: rings are added as their connections are opened, and dropped when the end begins.
    pub watched: Vec<Consumer<Item>>,
    /// Where new ones come from.
    pub rings: Receiver<Consumer<Item>>,
    /// The operator.
    pub operator: Receiver<Order>,
    /// Set from outside for a clean end.
    pub stop: Arc<AtomicBool>,
    /// True when whoever started us is gone.
    pub orphaned: fn(Option<u32>) -> bool,
    /// Who that is.
    pub parent: Option<u32>,
    /// Tells when a thread the session needs has ended.
    pub watch: Watch,
}

/// The loop.
#[derive(Debug)]
pub struct EngineLoop {
    core: Core,
    inputs: Inputs,
    waker: Arc<Waker>,
    board: Arc<Board>,
    /// Taken when the session begins.
    opening: Option<Opening>,
    /// What came before the session could begin.
    held: Vec<Item>,
    ending: Option<Ending>,
    upkeep: Instant,
    /// Since when the market is held back for an answer.
    holding: Option<Instant>,
    /// The market waits in its ring for too long, and the books were told.
    behind: bool,
}

#[derive(Debug)]
struct Ending {
    reason: String,
    patience: Patience,
    since: Instant,
    cancelled: bool,
}

impl EngineLoop {
    /// A loop around `core`.
    pub fn new(core: Core, inputs: Inputs, waker: Arc<Waker>, board: Arc<Board>, opening: Opening) -> EngineLoop {
        let opening = Some(opening);
        let upkeep = Instant::now();
        EngineLoop {
            core,
            inputs,
            waker,
            board,
            opening,
            held: Vec::new(),
            ending: None,
            upkeep,
            holding: None,
            behind: false,
        }
    }

    /// Runs until the end and gives the core back with the reason.
    ///
    /// # Errors
    /// [`DaemonError`] when the journal fails or a thread has died; nothing more may be decided then.
    pub fn run(mut self) -> Result<(Core, String), DaemonError> {
        let reason = self.turn_until_end()?;
        Ok((self.core, reason))
    }

    fn turn_until_end(&mut self) -> Result<String, DaemonError> {
        // Without a source's time to wait for, or with the time of an earlier session, the session begins at once.
        if self.core.clock_kind() == ClockKind::Wall || self.core.now_ns() > 0 {
            let now_ns = match self.core.clock_kind() {
                ClockKind::Wall => stamp_ns(),
                ClockKind::Source => self.core.now_ns(),
            };
            self.begin(now_ns)?;
            self.core.flush()?;
        }
        loop {
            let busy = self.drain()?;
            self.core.flush()?;
            let now = Instant::now();
            if now >= self.upkeep {
                self.upkeep = now + UPKEEP;
                self.keep_up(now)?;
            }
            if let Some(reason) = self.try_end(now)? {
                self.core.flush()?;
                return Ok(reason);
            }
            if !busy {
                let (rings, held) = (&self.inputs, self.holding.is_some());
                let until = if held { self.upkeep.min(now + HOLD_PAUSE) } else { self.upkeep };
                self.waker.wait(until, || rings.has_more(!held));
            }
        }
    }

    /// Takes a batch of everything; true when there was something.
    fn drain(&mut self) -> Result<bool, DaemonError> {
        let mut busy = false;
        for _ in 0..BATCH {
            let item = match self.inputs.orders.pop().or_else(|_| self.inputs.snapshots.pop()) {
                Ok(item) => item,
                Err(_) if self.holds_market() => break,
                Err(_) => match self.inputs.market.iter_mut().find_map(|m| m.pop().ok()) {
                    Some(item) => {
                        self.watch_backlog(stamp_ns(), &item)?;
                        item
                    }
                    None => break,
                },
            };
            busy = true;
            self.take(item)?;
        }
        busy |= self.drain_watched()?;
        while let Ok(order) = self.inputs.operator.try_recv() {
            busy = true;
            match order {
                Order::Command(command) => self.operate(command)?,
                Order::Stop => self.end("stopped by the operator", END_BY_SIGNAL)?,
            }
        }
        Ok(busy)
    }

    /// Takes a batch of each watched ring, the oldest ring first: rules come on a venue's first ring, and what they are for
    /// on later ones.
    fn drain_watched(&mut self) -> Result<bool, DaemonError> {
        let mut busy = false;
        self.inputs.watched.extend(self.inputs.rings.try_iter());
        for at in 0..self.inputs.watched.len() {
            for _ in 0..BATCH {
                let Ok(item) = self.inputs.watched[at].pop() else { break };
                busy = true;
                self.take(item)?;
            }
        }
        Ok(busy)
    }

    /// Replayed time can run hundreds of times faster than the way to the venue and back; without this, seconds of
    /// market would pass before an answer that took milliseconds.
    fn holds_market(&mut self) -> bool {
        if self.core.clock_kind() == ClockKind::Wall || !self.core.awaits_answer() {
            self.holding = None;
            return false;
        }
        self.holding.get_or_insert_with(Instant::now).elapsed() < HOLD_MAX
    }

    fn take(&mut self, item: Item) -> Result<(), DaemonError> {
        if self.opening.is_some() {
            // A replayed source has not told its time yet: hold on to what comes before it does.
            let Some(source_ns) = item.source_ns else {
                if let Body::SourceEnded(reason) = &item.body {
                    return self.end(reason, END_OF_SOURCE);
                }
                self.held.push(item);
                return Ok(());
            };
            self.begin(source_ns)?;
            for held in std::mem::take(&mut self.held) {
                self.take(held)?;
            }
        }
        match &item.body {
            Body::Event(event) => Ok(self.core.feed(item.wall_ns, item.source_ns, event)?),
            Body::SourceEnded(reason) => self.end(reason, END_OF_SOURCE),
        }
    }

    /// Ages of books count from when the engine sees a change, so what waited in the ring looks fresh. When it waited
    /// for too long, the books start over, once, and nothing new is risked before they have caught up.
    fn watch_backlog(&mut self, now_ns: u64, item: &Item) -> Result<(), DaemonError> {
        if self.core.clock_kind() == ClockKind::Source || matches!(item.body, Body::Event(Event::Link(_))) {
            return Ok(());
        }
        let waited = now_ns.saturating_sub(item.wall_ns) > BACKLOG_NS_MAX;
        if waited && !self.behind {
            tracing::warn!("market data waits for more than 1 s; the books start over");
            for up in [false, true] {
                let link = Link { venue: Venue::BINANCE, channel: Channel::Market, up };
                self.core.feed(item.wall_ns, None, &Event::Link(link))?;
            }
        }
        self.behind = waited;
        Ok(())
    }

    fn begin(&mut self, now_ns: u64) -> Result<(), DaemonError> {
        match self.opening.take() {
            Some(Opening { session, rules }) => Ok(self.core.begin(now_ns, session, rules)?),
            None => Ok(()),
        }
    }

    fn operate(&mut self, command: OperatorCommand) -> Result<(), DaemonError> {
        // Before the first session there is nothing to halt or cancel, but the order must not be lost either.
        if self.opening.is_some() {
            self.held.push(Item { wall_ns: stamp_ns(), source_ns: None, body: Body::Event(Event::Operator(command)) });
            return Ok(());
        }
        Ok(self.core.feed(stamp_ns(), None, &Event::Operator(command))?)
    }

    fn keep_up(&mut self, now: Instant) -> Result<(), DaemonError> {
        if let Some(name) = self.inputs.watch.fallen() {
            return Err(DaemonError::Bug(format!("thread `{name}` has ended")));
        }
        if self.inputs.stop.load(Ordering::Relaxed) {
            self.end("stopped by a signal", END_BY_SIGNAL)?;
        }
        if (self.inputs.orphaned)(self.inputs.parent) {
            self.end("the process that started it is gone", END_BY_SIGNAL)?;
        }
        if self.opening.is_none() {
            match self.core.clock_kind() {
                ClockKind::Wall => self.core.pass(stamp_ns())?,
                // The source's time stands still when it has ended, and waits and retries would with it.
                ClockKind::Source if self.ending.is_some() => self.core.pass(self.core.now_ns() + TICK_NS)?,
                ClockKind::Source => {}
            }
        }
        if let Some(ending) = &mut self.ending
            && !ending.cancelled
            && now.duration_since(ending.since) >= ending.patience.cancel_after
        {
            ending.cancelled = true;
            if self.opening.is_none() {
                self.operate(OperatorCommand::CancelAll)?;
            }
        }
        if self.board.is_wanted() {
            self.board.publish(self.core.view());
        }
        Ok(())
    }

    /// Begins the end: the market is let go, which makes the books stale, so that nothing new is risked.
    fn end(&mut self, reason: &str, patience: Patience) -> Result<(), DaemonError> {
        if self.ending.is_some() {
            return Ok(());
        }
        tracing::info!(reason, "ending");
        self.inputs.market.clear();
        self.inputs.watched.clear();
        if self.opening.is_none() {
            let down = Link { venue: Venue::BINANCE, channel: Channel::Market, up: false };
            self.core.feed(stamp_ns(), None, &Event::Link(down))?;
        }
        self.ending = Some(Ending { reason: reason.to_owned(), patience, since: Instant::now(), cancelled: false });
        // The next turn looks at it.
        self.upkeep = Instant::now();
        Ok(())
    }

    /// The reason when the end has come: no order is open, or patience has run out.
    fn try_end(&mut self, now: Instant) -> Result<Option<String>, DaemonError> {
        let Some(ending) = &self.ending else { return Ok(None) };
        let open = if self.opening.is_none() { self.core.view().orders.len() } else { 0 };
        if open > 0 && now.duration_since(ending.since) < ending.patience.most {
            return Ok(None);
        }
        if open > 0 {
            tracing::warn!(open, "orders are still open; the next session asks about them");
        }
        Ok(Some(ending.reason.clone()))
    }
}

impl Inputs {
    fn has_more(&self, with_market: bool) -> bool {
        let market = || self.market.iter().any(|ring| !ring.is_empty());
        let watched = || self.watched.iter().any(|ring| !ring.is_empty());
        !self.orders.is_empty() || !self.snapshots.is_empty() || (with_market && market()) || watched()
    }
}

#[cfg(test)]
#[path = "engine_loop_tests.rs"]
mod tests;
