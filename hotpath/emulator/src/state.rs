//! Everything the emulator knows, behind one lock: the simulated venue, candles, the clock, who is connected. It
//! lives as long as the process, whoever comes and goes.

use crate::clock::{Clock, Speed};
use crate::ids::ClientIds;
use crate::klines::Klines;
use crate::source::{Listed, Message};
use crate::text::Weight;
use crate::wsapi::report;
use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use domain::{Event, InstrumentId};
use sim::{SimOutput, SimVenue};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, mpsc, watch};

/// At maximal speed a ping follows every so many frames.
pub const FRAMES_PER_PING: u64 = 4;
/// So many unanswered pings stop the market.
pub const PINGS_UNANSWERED_MAX: u64 = 2;

/// What goes to a client's writer.
#[derive(Clone, Debug)]
pub enum Out {
    /// A text frame.
    Text(Utf8Bytes),
    /// A ping with this payload.
    Ping(Bytes),
    /// The end.
    Close(u16, &'static str),
}

/// A market-data connection.
#[derive(Debug)]
pub struct MarketClient {
    /// To its writer; bounded.
    pub tx: mpsc::Sender<Out>,
    /// What it wants.
    pub streams: BTreeSet<String>,
    /// With the `{"stream","data"}` envelope.
    pub combined: bool,
    sent: u64,
    pings: u64,
    pongs: u64,
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
    pub stop: watch::Sender<bool>,
    /// For `status`.
    pub source: String,
}

impl Shared {
    /// A server's state.
    pub fn new(world: World, source: String) -> Self {
        Self { world: Mutex::new(world), wake: Notify::new(), stop: watch::Sender::new(false), source }
    }
    /// The state. A panic elsewhere does not take it down: every change is whole before the lock is let go.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// The state before the first item. The venue sees the start books at once.
    pub fn new(mut venue: SimVenue, symbols: Vec<Listed>, clock: Clock, stamp: bool) -> Self {
        let mut none = Vec::new();
        for listed in &symbols {
            let book = Event::BookSnapshot(listed.snapshot.clone());
            venue.on_market(0, &Event::Instrument(listed.instrument.clone()), &mut none);
            venue.on_market(0, &book, &mut none);
        }
        let symbols = symbols
            .into_iter()
            .map(|listed| Symbol { listed, klines: Klines::default(), snapshot_served: false, snapshot_passed: false })
            .collect();
        Self {
            venue,
            symbols,
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
            clients_count: 0,
            stamp,
        }
    }

    /// Market time now, ns.
    pub fn now_ns(&mut self) -> u64 {
        self.clock.now_ns(Instant::now())
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

    /// Adds a market-data connection.
    pub fn join_market(&mut self, tx: mpsc::Sender<Out>, streams: BTreeSet<String>, combined: bool) -> u64 {
        let id = self.next_client();
        self.market.insert(id, MarketClient { tx, streams, combined, sent: 0, pings: 0, pongs: 0 });
        id
    }

    /// True when somebody wants market data.
    pub fn has_listeners(&self) -> bool {
        self.market.values().any(|c| !c.streams.is_empty())
    }

    /// True when somebody who wants this symbol's book has not asked for its snapshot yet.
    pub fn awaits_snapshot(&self, symbol: usize) -> bool {
        let Some(s) = self.symbols.get(symbol) else { return false };
        let prefix = format!("{}@depth", s.listed.instrument.symbol.to_lowercase());
        let wants = |c: &MarketClient| c.streams.iter().any(|stream| stream.starts_with(&prefix));
        s.listed.recorded.is_some() && !s.snapshot_served && self.market.values().any(wants)
    }

    /// True when a client has not answered enough pings to be sent more at maximal speed.
    pub fn is_blocked(&self) -> bool {
        self.clock.speed() == Speed::Max
            && self.market.values().any(|c| !c.streams.is_empty() && c.pings - c.pongs >= PINGS_UNANSWERED_MAX)
    }

    /// A client answered flow ping number `ping`.
    pub fn on_pong(&mut self, client: u64, ping: u64) {
        if let Some(c) = self.market.get_mut(&client) {
            // A client may answer only the newest of several pings.
            c.pongs = c.pongs.max(ping.min(c.pings));
        }
    }

    /// Emits one message: to the venue, the candles, every client that wants it.
    pub fn emit(&mut self, ts_ns: u64, message: &Message) {
        self.clock.reached(ts_ns);
        let mut outputs = Vec::new();
        self.venue.on_market(ts_ns, &message.event, &mut outputs);
        if let Event::Trade(trade) = &message.event
            && let Some(symbol) = self.symbols.get_mut(usize::from(trade.instrument.0))
        {
            symbol.klines.on_trade(trade);
        }
        self.frames += 1;
        self.send_market(ts_ns, message);
        self.publish(&outputs, None);
    }

    fn send_market(&mut self, ts_ns: u64, message: &Message) {
        let mut envelope: Option<Utf8Bytes> = None;
        let mut bare: Option<Utf8Bytes> = None;
        let (stamp, paced) = (self.stamp, self.clock.speed() == Speed::Max);
        self.market.retain(|id, client| {
            if !client.streams.contains(&*message.stream) {
                return true;
            }
            let text = if client.combined {
                envelope.get_or_insert_with(|| if stamp { stamped(&message.text, ts_ns) } else { message.text.clone() })
            } else {
                bare.get_or_insert_with(|| Utf8Bytes::from(&message.text.as_str()[message.data.clone()]))
            };
            let mut kept = client.tx.try_send(Out::Text(text.clone())).is_ok();
            client.sent += 1;
            if paced && client.sent.is_multiple_of(FRAMES_PER_PING) {
                client.pings += 1;
                let payload = Bytes::from(format!("flow:{}", client.pings));
                kept &= client.tx.try_send(Out::Ping(payload)).is_ok();
            }
            if !kept {
                tracing::warn!(client = id, "too slow: its queue is full, disconnecting it as the venue would");
            }
            // Dropping the sender makes the writer close the connection.
            kept
        });
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

/// The envelope with our receive time as one more member at its end.
fn stamped(text: &Utf8Bytes, ts_ns: u64) -> Utf8Bytes {
    let body = text.as_str().trim_end();
    match body.strip_suffix('}') {
        Some(open) => format!(r#"{open},"ts_recv_ns":{ts_ns}}}"#).into(),
        None => text.clone(),
    }
}
