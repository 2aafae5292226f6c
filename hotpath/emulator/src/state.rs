//! Everything the emulator knows, behind one lock: the simulated venue, candles, the clock, who is connected. It
//! lives as long as the process, whoever comes and goes.

use crate::client::MarketClient;
use crate::clock::{Clock, Speed};
use crate::dialect::binance::ids::ClientIds;
use crate::dialect::binance::text::Weight;
use crate::dialect::binance::wsapi::report;
use crate::dialect::{Dialect, View};
use crate::fault::{Fault, Faults};
use crate::klines::Klines;
use crate::source::{Listed, Message};
use crate::traffic::Traffic;
use crate::truth::Truth;
use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use domain::event::Allowed;
use domain::{Event, InstrumentId};
use sim::{SimOutput, SimVenue};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// What goes to a client's writer.
#[derive(Clone, Debug)]
pub enum Out {
    /// A text frame.
    Text(Utf8Bytes),
    /// A ping with this payload.
    Ping(Bytes),
    /// Bytes that no WebSocket library would send.
    Raw(Vec<u8>),
    /// The same, then the connection is reset.
    Reset(Vec<u8>),
    /// The end.
    Close(u16, &'static str),
}

/// A connection to the WebSocket API.
#[derive(Debug)]
pub struct ApiClient {
    /// To its writer; bounded.
    pub tx: mpsc::Sender<Out>,
    /// Logged on.
    pub logged_on: bool,
    /// Number of its user data subscription.
    pub subscription: Option<u64>,
    /// Subscriptions it has had.
    pub subscriptions_count: u64,
}

/// One symbol.
#[derive(Debug)]
pub struct Symbol {
    /// Rules, start book, recorded snapshot.
    pub listed: Listed,
    /// Candles so far.
    pub klines: Klines,
    /// The book as it is.
    pub truth: Truth,
    /// The book as it was at the start.
    pub start: Truth,
    /// What may be done there.
    pub allowed: Allowed,
    /// A client has fetched the snapshot.
    pub snapshot_served: bool,
    /// The source went past the place of its snapshot: from here the current book is served.
    pub snapshot_passed: bool,
}

/// The state.
#[derive(Debug)]
pub struct World {
    /// Our orders and balances.
    pub venue: SimVenue,
    /// By instrument id.
    pub symbols: Vec<Symbol>,
    /// Market time.
    pub clock: Clock,
    /// Messages emitted.
    pub frames: u64,
    /// The source has ended.
    pub finished: bool,
    /// The market may start.
    pub started: bool,
    /// Account and order requests need a key.
    pub require_key: bool,
    /// Market-data connections.
    pub market: BTreeMap<u64, MarketClient>,
    /// WebSocket API connections.
    pub api: BTreeMap<u64, ApiClient>,
    /// Client ids in text.
    pub ids: ClientIds,
    /// Requests counted.
    pub weight: Weight,
    /// Execution ids given out.
    pub executions: u64,
    /// The venue's words.
    pub dialect: &'static dyn Dialect,
    /// What goes wrong.
    pub faults: Faults,
    /// What clients ask of us.
    pub traffic: Traffic,
    /// Until when the venue reads nothing, market time, ns.
    pub deaf_until_ns: Option<u64>,
    /// What the venue's clock is ahead of the market's, ns, faults left out.
    pub clock_offset_ns: i64,
    clients_count: u64,
    stamp: bool,
}

/// The state and what wakes the emitter.
#[derive(Debug)]
pub struct Shared {
    world: Mutex<World>,
    /// Wakes the emitter: a client came, went, subscribed, answered; a snapshot was fetched.
    pub wake: Notify,
    /// True when the server is to stop.
    pub stop: Arc<watch::Sender<bool>>,
    /// For `status`.
    pub source: String,
}

impl Shared {
    /// A server's state.
    pub fn new(world: World, source: String) -> Self {
        Self { world: Mutex::new(world), wake: Notify::new(), stop: Arc::new(watch::Sender::new(false)), source }
    }
    /// The state. A panic elsewhere does not take it down: every change is whole before the lock is let go.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Symbol {
    fn new(listed: Listed) -> Symbol {
        let truth = Truth::of(&listed.snapshot);
        let start = truth.clone();
        Symbol {
            listed,
            klines: Klines::default(),
            truth,
            start,
            allowed: Allowed::All,
            snapshot_served: false,
            snapshot_passed: false,
        }
    }
}

impl World {
    /// The state before the first item. The venue sees the start books at once.
    pub fn new(
        dialect: &'static dyn Dialect,
        mut venue: SimVenue,
        symbols: Vec<Listed>,
        clock: Clock,
        stamp: bool,
        script: Vec<Fault>,
    ) -> Self {
        let mut none = Vec::new();
        for listed in &symbols {
            let book = Event::BookSnapshot(listed.snapshot.clone());
            venue.on_market(0, &Event::Instrument(listed.instrument.clone()), &mut none);
            venue.on_market(0, &book, &mut none);
        }
        let mut clock = clock;
        let faults = Faults::new(clock.now_ns(Instant::now()), script);
        Self {
            venue,
            symbols: symbols.into_iter().map(Symbol::new).collect(),
            clock,
            frames: 0,
            finished: false,
            started: true,
            require_key: false,
            market: BTreeMap::new(),
            api: BTreeMap::new(),
            ids: ClientIds::default(),
            weight: Weight::default(),
            executions: 0,
            dialect,
            faults,
            traffic: Traffic::new(dialect.limits()),
            deaf_until_ns: None,
            clock_offset_ns: 0,
            clients_count: 0,
            stamp,
        }
    }

    /// Market time now, ns.
    pub fn now_ns(&mut self) -> u64 {
        self.clock.now_ns(Instant::now())
    }

    /// The venue's clock, ns: market time, shifted by what it is off.
    pub fn venue_ns(&mut self) -> u64 {
        let now_ns = self.now_ns();
        now_ns.saturating_add_signed(self.shift_ns(now_ns))
    }

    fn shift_ns(&mut self, now_ns: u64) -> i64 {
        self.clock_offset_ns + self.faults.clock_ns(now_ns)
    }

    /// The symbol of this name.
    pub fn symbol(&self, name: &str) -> Option<&Symbol> {
        self.symbols.iter().find(|s| s.listed.instrument.symbol.as_str() == name)
    }
    /// The symbol of this instrument.
    pub fn symbol_of(&self, id: InstrumentId) -> &Symbol {
        &self.symbols[usize::from(id.0)]
    }

    /// Adds `weight` to the minute's use and returns it.
    pub fn weigh(&mut self, weight: u64) -> u64 {
        let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        self.weight.add(second, weight)
    }

    /// A number for a new connection.
    pub fn next_client(&mut self) -> u64 {
        self.clients_count += 1;
        self.clients_count
    }

    /// Adds a market-data connection and says hello.
    pub fn join_market(&mut self, mut client: MarketClient) -> u64 {
        let id = self.next_client();
        let now_ns = self.now_ns();
        let frames = client.session.hello(&self.view(now_ns));
        let room = frames.into_iter().all(|f| client.tx.try_send(Out::Text(f.text)).is_ok());
        if room {
            self.market.insert(id, client);
        }
        id
    }

    /// A market-data connection is gone.
    pub fn leave_market(&mut self, client: u64) {
        self.market.remove(&client);
        self.traffic.left(client);
    }

    /// What sessions see at market time `ts_ns`.
    pub fn view(&mut self, ts_ns: u64) -> View<'_> {
        let shift_ns = self.shift_ns(ts_ns);
        let stamp_ns = self.stamp.then_some(ts_ns);
        View { symbols: &self.symbols, now_ns: ts_ns.saturating_add_signed(shift_ns), shift_ns, stamp_ns, stale: None }
    }

    /// True when somebody wants market data.
    pub fn has_listeners(&self) -> bool {
        self.market.values().any(|c| c.session.listens())
    }

    /// True when somebody who wants this symbol's book has not asked for its recorded snapshot yet.
    pub fn awaits_snapshot(&mut self, symbol: usize) -> bool {
        let Some(s) = self.symbols.get(symbol) else { return false };
        if s.listed.recorded.is_none() || s.snapshot_served {
            return false;
        }
        let now_ns = self.now_ns();
        let market = std::mem::take(&mut self.market);
        let view = self.view(now_ns);
        let wanted = market.values().any(|c| c.session.wants_book(&view, symbol));
        self.market = market;
        wanted
    }

    /// True when a client has not answered enough pings to be sent more at maximal speed.
    pub fn is_blocked(&self) -> bool {
        self.clock.speed() == Speed::Max && self.market.values().any(MarketClient::is_behind)
    }

    /// A client answered flow ping number `ping`.
    pub fn on_pong(&mut self, client: u64, ping: u64) {
        if let Some(c) = self.market.get_mut(&client) {
            c.on_pong(ping);
        }
    }

    /// Emits one message: to the venue, the candles, every client that wants it.
    pub fn emit(&mut self, ts_ns: u64, message: &Message) {
        self.clock.reached(ts_ns);
        let mut outputs = Vec::new();
        self.venue.on_market(ts_ns, &message.event, &mut outputs);
        match &message.event {
            Event::Trade(trade) => {
                if let Some(symbol) = self.symbols.get_mut(usize::from(trade.instrument.0)) {
                    symbol.klines.on_trade(trade);
                }
            }
            Event::BookDelta(delta) => {
                if let Some(symbol) = self.symbols.get_mut(usize::from(delta.instrument.0)) {
                    symbol.truth.apply(ts_ns, delta);
                }
            }
            _ => {}
        }
        self.frames += 1;
        self.send_market(ts_ns, message);
        self.disturb(ts_ns);
        self.publish(&outputs, None);
    }

    /// Sends news of orders and balances to everybody who subscribed to user data.
    /// `cancel_id` is the client id of the cancel that caused them, if one did.
    pub fn publish(&mut self, outputs: &[SimOutput], cancel_id: Option<&str>) {
        if outputs.is_empty() {
            return;
        }
        let now_ns = self.now_ns();
        let events = report::events(self, outputs, cancel_id, now_ns);
        self.api.retain(|id, client| {
            let Some(subscription) = client.subscription else { return true };
            let kept = events.iter().all(|event| {
                let text = format!(r#"{{"subscriptionId":{subscription},"event":{event},"ts_recv_ns":{now_ns}}}"#);
                client.tx.try_send(Out::Text(text.into())).is_ok()
            });
            if !kept {
                tracing::warn!(client = id, "user data reader too slow: disconnecting it");
            }
            kept
        });
    }

    /// The source has ended: says goodbye to every market-data client.
    pub fn finish(&mut self, reason: &'static str) {
        self.clock.pause(Instant::now());
        self.finished = true;
        for (_, client) in std::mem::take(&mut self.market) {
            if client.tx.try_send(Out::Close(1000, reason)).is_err() {
                tracing::warn!("a client was too slow to be told of the end");
            }
        }
    }
}
