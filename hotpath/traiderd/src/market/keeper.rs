//! The thread of one venue: learns the rules unless they are known, opens the connections, and then asks over HTTP what
//! [`Books`] says is due.

use super::Assigned;
use super::books::{Books, Question, Words};
use super::connection::{Reader, Role};
use super::line::{Setup, Sink};
use super::stream::{Listed, Stream, VenueClock};
use super::tape::TapeTx;
use crate::backoff::Backoff;
use crate::clock::stamp_ns;
use crate::inbox::{Gone, Item, Tx, Waker, ring};
use crate::telemetry::Telemetry;
use domain::{Event, Instrument, InstrumentId};
use rtrb::Consumer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::Duration;
use venues::adapter::{Adapter, Endpoints, Request};
use venues::ask::{AskError, Asker};
use venues::limit::{LimitError, Limiter, Priority, address_scope};
use venues::wire::SymbolTable;

/// How long one question may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Items of one connection's ring.
pub const RING: usize = 8192;

/// What the threads of all venues share.
#[derive(Clone)]
pub struct Shared {
    /// Wakes the engine.
    pub waker: Arc<Waker>,
    /// Counters, and the list of streams.
    pub telemetry: Arc<Telemetry>,
    /// Where everything is recorded, if it is.
    pub tape: Option<TapeTx>,
    /// Set when the daemon stops.
    pub stop: Arc<AtomicBool>,
}

/// What the thread needs.
pub struct Keeper {
    /// Its wire.
    pub adapter: &'static dyn Adapter,
    /// Where it is reached over HTTP.
    pub rest: String,
    /// Where budgets are counted.
    pub budgets: std::path::PathBuf,
    /// Where rules and books over HTTP go.
    pub tx: Tx,
    /// Books that the engine wants anew.
    pub wanted: Receiver<InstrumentId>,
    /// What it knows of its connections, or how it comes to know.
    pub start: Start,
    /// What it shares.
    pub shared: Shared,
}

/// What a keeper begins with.
pub enum Start {
    /// Rules are asked for, then connections opened, whose rings go to the engine.
    Learn(Assigned, SyncSender<Consumer<Item>>),
    /// The session has done both.
    Known(Kept),
}

/// The connections of a venue, as their keeper knows them.
pub struct Kept {
    books: Books,
    say: Vec<Sender<String>>,
}

/// The connections of a venue before their threads run.
pub struct Opened {
    /// One for each.
    pub readers: Vec<Reader>,
    /// The engine's ends of their rings, in the same order.
    pub rings: Vec<Consumer<Item>>,
    /// What their keeper knows.
    pub kept: Kept,
}

/// How the connections of a venue are opened.
pub struct Opening<'a> {
    /// Its wire.
    pub adapter: &'static dyn Adapter,
    /// Where it is reached.
    pub endpoints: &'a Endpoints,
    /// Where budgets are counted.
    pub budgets: &'a std::path::Path,
    /// What they are to the session.
    pub role: Role,
    /// True unless time is the source's own.
    pub in_real_time: bool,
    /// Items of one ring.
    pub ring: usize,
}

impl Opening<'_> {
    /// Makes everything but the threads.
    ///
    /// # Errors
    /// [`LimitError`] when connections cannot be counted, so that none may be opened.
    pub fn readers(&self, table: &Arc<SymbolTable>, shared: &Shared) -> Result<Opened, LimitError> {
        let venue = self.adapter.venue();
        let clock = Arc::new(VenueClock::default());
        let books = Books::new(self.adapter, Arc::clone(table), Arc::clone(&clock), self.in_real_time);
        let mut kept = Kept { books, say: Vec::new() };
        let (mut readers, mut rings) = (Vec::new(), Vec::new());
        let discipline = self.adapter.discipline();
        let requests = Arc::new(Limiter::open(self.budgets, &address_scope(venue), discipline.requests)?);
        let decode = match self.role {
            Role::Watched => Arc::default(),
            Role::Traded { .. } => Arc::clone(&shared.telemetry.decode),
        };
        let connections = self.adapter.connections(self.endpoints, table.instruments());
        for (n, connection) in connections.into_iter().enumerate() {
            let name = format!("{venue}.{}", n + 1);
            let connects = Limiter::open(self.budgets, &format!("{venue}-connects"), discipline.connects)?;
            let (tx, rx) = ring(self.ring, &shared.waker, &shared.telemetry.stalls);
            let (say, to_say) = mpsc::channel();
            let stream = Arc::new(Stream::of_books(&connection.books, Arc::clone(&decode)));
            shared.telemetry.streams.add(Listed {
                venue: venue.to_string(),
                name: name.clone(),
                traded: self.role != Role::Watched,
                stream: Arc::clone(&stream),
                clock: Arc::clone(&clock),
                requests: Arc::clone(&requests),
            });
            kept.books.add(connection.books.clone(), Arc::clone(&stream));
            kept.say.push(say);
            let setup = Setup {
                adapter: self.adapter,
                table: Arc::clone(table),
                connection,
                name,
                stream,
                clock: Arc::clone(&clock),
                watches: self.in_real_time,
            };
            let (stop, tape) = (Arc::clone(&shared.stop), shared.tape.as_ref().map(|tape| tape.of(&setup.name)));
            readers.push(Reader { setup, tx, say: to_say, connects, role: self.role, tape, stop });
            rings.push(rx);
        }
        Ok(Opened { readers, rings, kept })
    }
}

impl Keeper {
    /// Runs until the daemon stops.
    pub fn run(mut self) {
        let name = self.adapter.venue();
        let (scope, budget) = (address_scope(name), self.adapter.discipline().requests);
        let asker = match Asker::new(&self.rest, ASK_TIMEOUT, &self.budgets, &scope, budget) {
            Ok(asker) => asker,
            Err(error) => return tracing::error!(%name, %error, "this venue is not watched"),
        };
        // `Gone` means that the engine ended first; then there is nothing left to do.
        let _gone: Result<(), Gone> = self.keep(&asker);
    }

    fn keep(&mut self, asker: &Asker) -> Result<(), Gone> {
        let start = std::mem::replace(&mut self.start, Start::Known(Kept::none(self.adapter)));
        let mut kept = match start {
            Start::Known(kept) => kept,
            Start::Learn(venue, rings) => match self.learn(&venue, asker) {
                Some(rules) => self.open(&venue, rules, &rings)?,
                None => return Ok(()),
            },
        };
        while !self.shared.stop.load(Ordering::Relaxed) {
            match self.wanted.recv_timeout(Duration::from_millis(100)) {
                Ok(id) => kept.books.want(id).into_iter().for_each(|words| kept.say(words)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            while let Some(question) = kept.books.next(stamp_ns()) {
                self.ask(&mut kept.books, question, asker)?;
                if self.shared.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, books: &mut Books, question: Question, asker: &Asker) -> Result<(), Gone> {
        let Some(request) = books.request(question) else { return Ok(()) };
        // Both ends by the clock that message times are compared with.
        let asked_ns = stamp_ns();
        let answer = self.get(asker, &request, question.priority()).map_err(|e| e.to_string());
        let answer = answer.as_deref().map_err(String::clone);
        books.answered(question, (asked_ns, stamp_ns()), answer, &mut self.tx)
    }

    /// An answer over HTTP, recorded.
    fn get(&self, asker: &Asker, request: &Request, priority: Priority) -> Result<String, AskError> {
        let answer = asker.ask(request, priority)?;
        if let Some(tape) = &self.shared.tape {
            tape.of(&format!("{}.http", self.adapter.venue())).http(&request.path, &answer);
        }
        Ok(answer)
    }

    /// Asks for the rules until the venue tells them; `None` when the daemon stops first.
    fn learn(&self, venue: &Assigned, asker: &Asker) -> Option<Vec<Instrument>> {
        let symbols: Vec<&str> = venue.symbols.iter().map(|(symbol, _, _)| symbol.as_str()).collect();
        let requests = self.adapter.rules_requests(&symbols);
        let mut backoff = Backoff::default();
        while !self.shared.stop.load(Ordering::Relaxed) {
            let answers: Result<Vec<String>, AskError> =
                requests.iter().map(|request| self.get(asker, request, Priority::Ask)).collect();
            let told = answers.map_err(|e| e.to_string()).and_then(|answers| {
                let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
                self.adapter.read_rules(&answers, &symbols).map_err(|e| e.to_string())
            });
            match told {
                Ok(rules) => return Some(venue.with_ids(rules)),
                Err(error) => tracing::warn!(venue = %self.adapter.venue(), error, "no trading rules yet"),
            }
            backoff.wait(&self.shared.stop);
        }
        None
    }

    /// Announces what is new of the rules and starts a thread for each connection.
    fn open(
        &mut self,
        venue: &Assigned,
        rules: Vec<Instrument>,
        engine: &SyncSender<Consumer<Item>>,
    ) -> Result<Kept, Gone> {
        for instrument in &rules {
            let known = venue.symbols.iter().find(|(_, id, _)| *id == instrument.id);
            if known.is_none_or(|(_, _, old)| old.as_ref() != Some(instrument)) {
                self.tx.tell(stamp_ns(), Event::Instrument(instrument.clone()))?;
            }
        }
        let opening = Opening {
            adapter: self.adapter,
            endpoints: &venue.endpoints,
            budgets: &self.budgets,
            role: Role::Watched,
            in_real_time: true,
            ring: RING,
        };
        let Opened { readers, rings, kept } = match opening.readers(&Arc::new(SymbolTable::new(rules)), &self.shared) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(venue = %self.adapter.venue(), %error, "not connecting");
                return Ok(Kept::none(self.adapter));
            }
        };
        for (reader, rx) in readers.into_iter().zip(rings) {
            if engine.send(rx).is_err() {
                return Err(Gone);
            }
            let name = reader.setup.name.clone();
            // Not waited for at the end: it looks at the stop flag every 100 ms.
            if let Err(error) = std::thread::Builder::new().name(name.clone()).spawn(move || reader.run()) {
                tracing::error!(name, %error, "could not start the thread");
            }
        }
        Ok(kept)
    }
}

impl Kept {
    fn none(adapter: &'static dyn Adapter) -> Kept {
        let books = Books::new(adapter, Arc::default(), Arc::default(), false);
        Kept { books, say: Vec::new() }
    }

    fn say(&self, words: Words) {
        if let Some(say) = self.say.get(words.connection) {
            // A thread that is gone hears nothing, and nothing is lost by that.
            drop(say.send(words.text));
        }
    }
}
