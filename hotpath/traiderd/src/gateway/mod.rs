//! The way out: turns the engine's effects into requests on the order connection. The engine thread writes to the
//! socket itself, under a lock that the reading thread ([`link`]) holds only while it takes bytes in, so that no
//! hand-over stands between decision and wire.

pub mod budget;
pub mod link;
pub mod pending;

use crate::clock::wall_ns;
use budget::Budgets;
use domain::event::ExecReport;
use domain::order::VenueOrderStatus;
use domain::{ClientOrderId, Event, ExecEvent, InstrumentId, Lots, OrderRequest};
use pending::{Asked, Pending, Request};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use venues::binance::encode::{Auth, Encoder};
use venues::binance::sign::Keys;
use venues::transport::Socket;
use venues::wire::SymbolTable;

const NS_PER_MS: u64 = 1_000_000;
/// Venue numbers of orders kept for questions; older ones are asked for again.
const VENUE_IDS_KEPT: usize = 10_000;
/// Orders kept for the last resort; risk allows far fewer.
const OPEN_KEPT: usize = 1024;

/// What both threads share.
#[derive(Debug)]
struct Shared {
    conn: Mutex<Conn>,
    table: Arc<SymbolTable>,
    keys: Keys,
    encoder: Encoder,
}

/// The connection's state.
#[derive(Debug, Default)]
struct Conn {
    /// Present while the connection is up.
    socket: Option<Socket>,
    /// What the venue lets be done; `None` where time is the source's own, and may run faster than any venue counts.
    budgets: Option<Budgets>,
    /// Bytes wait to be written.
    unflushed: bool,
    numbers: u64,
    pending: Pending,
    venue_ids: BTreeMap<ClientOrderId, u64>,
    /// Orders sent that are not known to have ended, and what may still trade. Only for the last resort: the engine
    /// keeps the true account.
    open: BTreeMap<ClientOrderId, (InstrumentId, Lots)>,
}

/// The engine's handle of the order connection.
#[derive(Clone, Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
}

impl Gateway {
    /// A gateway without a connection yet; [`link::OrderLink`] makes one.
    pub fn new(table: Arc<SymbolTable>, keys: Keys, budgets: Option<Budgets>) -> Gateway {
        // A session that logged on needs no signature per request.
        let auth = if keys.can_log_on() { Auth::None } else { Auth::Signed(keys.clone()) };
        let conn = Mutex::new(Conn { budgets, ..Conn::default() });
        Gateway { shared: Arc::new(Shared { conn, table, keys, encoder: Encoder::new(auth) }) }
    }

    /// Sends an order. Whatever the engine must hear at once comes back.
    pub fn place(&self, order: &OrderRequest) -> Option<Event> {
        let asked = Asked::Place(Box::new(*order));
        self.send(Request { id: order.id, instrument: order.instrument, asked })
    }
    /// Sends a cancel.
    pub fn cancel(&self, id: ClientOrderId, instrument: InstrumentId) -> Option<Event> {
        self.send(Request { id, instrument, asked: Asked::Cancel })
    }
    /// Asks what became of an order.
    pub fn query(&self, id: ClientOrderId, instrument: InstrumentId) -> Option<Event> {
        let mut conn = self.shared.conn();
        let venue_id = conn.venue_ids.get(&id).copied();
        conn.request(&self.shared, Request::question(id, instrument, venue_id))
    }

    /// Cancels everything that may be open, past engine and journal: the last resort when one of them failed. Returns
    /// how many cancels were sent. An order that has ended meanwhile is no matter: the venue refuses its cancel.
    pub fn cancel_all(&self) -> usize {
        let mut conn = self.shared.conn();
        let open: Vec<_> = conn.open.iter().map(|(id, (instrument, _))| (*id, *instrument)).collect();
        let sent =
            |(id, instrument)| conn.request(&self.shared, Request { id, instrument, asked: Asked::Cancel }).is_none();
        open.into_iter().map(sent).filter(|sent| *sent).count()
    }
    /// True while an answer is awaited.
    pub fn awaits_answer(&self) -> bool {
        !self.shared.conn().pending.is_empty()
    }

    fn send(&self, request: Request) -> Option<Event> {
        self.shared.conn().request(&self.shared, request)
    }
}

impl Shared {
    fn conn(&self) -> MutexGuard<'_, Conn> {
        // A panic elsewhere ends the daemon; until then the state is as good as before.
        self.conn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Conn {
    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Sends a request; `Some` when it cannot be sent.
    fn request(&mut self, shared: &Shared, request: Request) -> Option<Event> {
        let number = self.next_number();
        let Some(socket) = &mut self.socket else { return request.not_sent("the order connection is down") };
        if self.pending.is_full() {
            return request.not_sent("too many requests are unanswered");
        }
        let Some(i) = shared.table.by_id(request.instrument) else {
            return request.not_sent("the instrument is not traded here");
        };
        if let Some(why) = self.budgets.as_mut().and_then(|budgets| budgets.refuses(&request.asked)) {
            return request.not_sent(why);
        }
        let (id, now_ms, encoder) = (request.id, wall_ns() / NS_PER_MS, &shared.encoder);
        let text = match &request.asked {
            Asked::Place(order) => encoder.place(number, order, i, now_ms),
            Asked::Cancel => encoder.cancel(number, id, i, now_ms),
            Asked::Number | Asked::Status { .. } => encoder.status(number, id, i, now_ms),
            Asked::Fills { venue_id, .. } => encoder.trades(number, *venue_id, i, now_ms),
            Asked::Account => encoder.account(number, now_ms),
        };
        if let Asked::Place(order) = &request.asked {
            self.open.insert(id, (order.instrument, order.qty));
            if self.open.len() > OPEN_KEPT {
                self.open.pop_first();
            }
        }
        // Noted first: if sending fails half-way, nobody knows what the venue got, and the reading thread, which
        // finds the connection broken, says so for everything noted.
        self.pending.insert(number, request, Instant::now());
        match socket.send(text) {
            Ok(done) => self.unflushed |= !done,
            Err(error) => tracing::warn!(%error, "could not send a request"),
        }
        None
    }

    /// Keeps what later requests need of an order's news.
    fn remember(&mut self, report: &ExecReport) {
        match &report.event {
            ExecEvent::Accepted { venue_order_id } => {
                if let Ok(number) = venue_order_id.parse() {
                    self.venue_ids.insert(report.id, number);
                }
                if self.venue_ids.len() > VENUE_IDS_KEPT {
                    self.venue_ids.pop_first();
                }
            }
            ExecEvent::Filled(fill) => {
                if let Some((_, leaves)) = self.open.get_mut(&report.id) {
                    *leaves = leaves.saturating_sub(fill.qty);
                    if leaves.is_zero() {
                        self.open.remove(&report.id);
                    }
                }
            }
            ExecEvent::Found { status: VenueOrderStatus::Open, .. } => {}
            ExecEvent::Rejected { .. } | ExecEvent::Cancelled | ExecEvent::Expired | ExecEvent::Found { .. } => {
                self.open.remove(&report.id);
            }
            ExecEvent::CancelRejected { .. } | ExecEvent::OutcomeUnknown { .. } | ExecEvent::NotFound => {}
        }
    }
}
