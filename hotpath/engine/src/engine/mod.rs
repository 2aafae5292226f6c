//! The whole decision core as one state machine: [`Engine::step`] takes one event and appends what has to be done.
//!
//! What happens, in this order: a new session, time that has passed (bars, retries, unanswered orders, a new day), then the event
//! itself, then the hash over the effects. The submodules hold one theme each: `market` (books, bars, quotes), `act`
//! (signal to order), `exec` (news of orders), `control` (sessions, links, operator, halts), `view`.

mod act;
mod control;
mod exec;
mod market;
pub mod view;

use crate::audit::Running;
use crate::book::Book;
use crate::effect::Effect;
use crate::features::Common;
use crate::orders::Orders;
use crate::portfolio::Portfolio;
use crate::signals::{RuleError, Strategy};
use crate::stats::Stats;
use control::Control;
use domain::config::{EngineConfig, LimitError};
use domain::{Event, Instrument, InstrumentId, StrategyId};
use std::collections::BTreeMap;
use thiserror::Error;
use view::History;

/// How often time itself is looked at, ns of event time: retries, bar ends and waits are this exact.
const TICK_NS: u64 = 250_000_000;
/// How often the day's loss is looked at, ns.
const LOSS_CHECK_NS: u64 = 1_000_000_000;
/// Most instruments of one run.
pub const INSTRUMENTS_MAX: usize = 1024;

/// Why an engine cannot be built from its configuration.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// A limit that makes no sense.
    #[error("risk limit {0}")]
    Limit(LimitError),
    /// Two strategies of one name.
    #[error("two strategies are called `{0}`: give one of the files another name")]
    SameName(String),
    /// More strategies than ids.
    #[error("{0} strategies are configured, at most 255 can run")]
    TooMany(usize),
    /// A strategy's parameters make no sense.
    #[error("strategy `{name}`: {source}")]
    Rule {
        /// Its name.
        name: String,
        /// What is wrong.
        source: RuleError,
    },
}

/// Everything about one instrument but its account.
#[derive(Clone, Debug)]
struct Market {
    book: Book,
    common: Common,
    /// The strategies that trade it.
    tracks: Vec<(StrategyId, Strategy)>,
    history: History,
    /// Tick or lot changed while we held fills in the old ones: nothing of it can be used any more.
    frozen: bool,
}

/// The decision core.
#[derive(Clone, Debug)]
pub struct Engine {
    config: EngineConfig,
    /// Largest receive time seen: engine time never goes back.
    now_ns: u64,
    tick_ns: u64,
    loss_check_ns: u64,
    markets: Vec<Option<Market>>,
    portfolio: Portfolio,
    orders: Orders,
    control: Control,
    signals: u64,
    stats: Stats,
    running: Running,
    decisions: view::Decisions,
    balances: BTreeMap<domain::Asset, domain::event::Balance>,
}

impl Engine {
    /// An engine before its first event.
    ///
    /// # Errors
    /// [`ConfigError`] when limits or strategies make no sense.
    pub fn new(config: &EngineConfig) -> Result<Engine, ConfigError> {
        check(config)?;
        Ok(Engine {
            config: config.clone(),
            now_ns: 0,
            tick_ns: 0,
            loss_check_ns: 0,
            markets: Vec::new(),
            portfolio: Portfolio::new(config.strategies.len()),
            orders: Orders::default(),
            control: Control::default(),
            signals: 0,
            stats: Stats::default(),
            running: Running::default(),
            decisions: view::Decisions::default(),
            balances: BTreeMap::new(),
        })
    }

    /// Applies one journaled event and appends what has to be done to `out`. The same events in the same order give
    /// the same effects, live and in a backtest.
    ///
    /// `ts_recv_ns` is our clock when the event was received; a clock that steps back stands still here.
    pub fn step(&mut self, ts_recv_ns: u64, event: &Event, out: &mut Vec<Effect>) {
        let before = out.len();
        self.stats.events += 1;
        self.now_ns = self.now_ns.max(ts_recv_ns);
        // A session first takes away what is not to be believed any more; before that, time may wake nobody.
        if let Event::Session(session) = event {
            self.on_session(session, out);
        }
        if self.now_ns >= self.tick_ns {
            self.on_time(out);
        }
        match event {
            Event::Instrument(instrument) => self.on_instrument(instrument, out),
            Event::BookSnapshot(snapshot) => self.on_snapshot(snapshot, out),
            Event::BookDelta(delta) => self.on_delta(delta, out),
            Event::BookGap { instrument, .. } => self.on_book_gap(*instrument, out),
            Event::SnapshotFailed { instrument, .. } => self.on_snapshot_failed(*instrument, out),
            Event::Quote(quote) => self.on_quote(quote),
            Event::Trade(trade) => self.on_trade(trade, out),
            Event::Link(link) => self.on_link(*link, out),
            Event::Exec(report) => self.on_exec(report, out),
            Event::Balance(balance) => {
                self.balances.insert(balance.asset, *balance);
            }
            Event::Operator(command) => self.on_operator(*command, out),
            // Journaled for what reads them later; nothing is decided by them yet.
            Event::Bar(_) | Event::Mark(_) | Event::Funding(_) | Event::OpenInterest(_) | Event::Liquidation(_) => {}
            Event::Status(status) => self.on_status(status, out),
            Event::Session(_) | Event::Timer => {}
        }
        assert!(out.len() >= before, "effects are only added");
        self.running.update(&out[before..]);
    }

    /// Running SHA-256 over all effects so far; see [`Running`].
    pub const fn effects_hash(&self) -> [u8; 32] {
        self.running.hash()
    }

    /// Number of effects so far.
    pub const fn effects_count(&self) -> u64 {
        self.running.count()
    }

    /// The book of an instrument, whatever its state; `None` before its rules are known.
    pub fn book(&self, id: InstrumentId) -> Option<&Book> {
        self.markets.get(usize::from(id.0))?.as_ref().map(|market| &market.book)
    }

    /// What has been counted so far.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Time has passed: what was waiting for it happens now.
    fn on_time(&mut self, out: &mut Vec<Effect>) {
        self.tick_ns = self.now_ns.saturating_add(TICK_NS);
        for at in 0..self.markets.len() {
            self.market_on_time(at, out);
        }
        self.orders_on_time(out);
        if self.now_ns >= self.loss_check_ns {
            self.loss_check_ns = self.now_ns.saturating_add(LOSS_CHECK_NS);
            self.portfolio.roll_day(self.now_ns);
            self.check_loss(out);
        }
    }

    fn on_instrument(&mut self, instrument: &Instrument, out: &mut Vec<Effect>) {
        let at = usize::from(instrument.id.0);
        let digits = instrument.tick.scale + instrument.lot.scale;
        if at >= INSTRUMENTS_MAX || digits > 24 {
            self.stats.unknown_instruments += 1;
            return;
        }
        if self.markets.len() <= at {
            self.markets.resize_with(at + 1, || None);
        }
        let steps = |i: &Instrument| (i.tick, i.lot, i.symbol);
        let before = self.portfolio.account(instrument.id).map(|a| (steps(a.instrument()), a.is_untouched()));
        match before {
            // The same steps: only rules changed, and everything goes on.
            Some((old, _)) if old == steps(instrument) => self.portfolio.open(instrument.clone()),
            // Whole numbers of old ticks and lots mean something else now.
            Some((_, untouched)) if !untouched || self.has_open_orders(instrument.id) => self.freeze(instrument, out),
            Some(_) | None => {
                self.portfolio.open(instrument.clone());
                self.markets[at] = Some(self.new_market(instrument));
            }
        }
    }

    fn new_market(&self, instrument: &Instrument) -> Market {
        let wants =
            |symbols: &[String]| symbols.is_empty() || symbols.iter().any(|s| s.as_str() == &*instrument.symbol);
        let tracks = (0u8..)
            .zip(&self.config.strategies)
            .filter(|(_, s)| instrument.trade && wants(s.rule.symbols()))
            .map(|(id, s)| (StrategyId(id), Strategy::new(&s.rule).expect("rules were checked in `new`")))
            .collect();
        Market {
            book: Book::new(instrument),
            common: Common::default(),
            tracks,
            history: History::default(),
            frozen: false,
        }
    }

    fn has_open_orders(&self, id: InstrumentId) -> bool {
        self.orders.open().any(|o| o.request.instrument == id)
    }

    fn freeze(&mut self, instrument: &Instrument, out: &mut Vec<Effect>) {
        let now_ns = self.now_ns;
        if let Some(market) = self.market(instrument.id) {
            market.frozen = true;
            let _news = market.book.on_link(now_ns, false);
        }
        self.halt(&format!("tick or lot of {} changed under a position: start a new run", instrument.symbol), out);
    }

    fn market(&mut self, id: InstrumentId) -> Option<&mut Market> {
        self.markets.get_mut(usize::from(id.0))?.as_mut()
    }
}

fn check(config: &EngineConfig) -> Result<(), ConfigError> {
    config.risk.check().map_err(ConfigError::Limit)?;
    if config.strategies.len() > usize::from(u8::MAX) {
        return Err(ConfigError::TooMany(config.strategies.len()));
    }
    for (at, strategy) in config.strategies.iter().enumerate() {
        if config.strategies[..at].iter().any(|s| s.name == strategy.name) {
            return Err(ConfigError::SameName(strategy.name.clone()));
        }
        Strategy::new(&strategy.rule).map_err(|source| ConfigError::Rule { name: strategy.name.clone(), source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
