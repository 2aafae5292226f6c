//! The daemon's own parts in simulated time, without its threads and sockets: the engine, a line for each connection, the
//! questions over HTTP. What the threads do around them stands here a second time, as tasks.

use super::wire::{self, Client, Got};
use domain::{Event, Instrument, InstrumentId, Venue};
use emulator::Dialer;
use engine::{Effect, Engine};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use traiderd::backoff::Backoff;
use traiderd::inbox::{Body, Gone, Item};
use traiderd::market::books::{Books, Question, Words};
use traiderd::market::line::{Line, Setup, Sink};
use traiderd::market::stream::{Stream, VenueClock};
use venues::adapter::{Adapter, Endpoints, Request, adapter};
use venues::limit::{Leave, Priority, Window};
use venues::trades::Trades;
use venues::wire::SymbolTable;

/// When simulated time begins; the emulator's whole markets begin then too.
const START_NS: u64 = 1_700_000_000_000_000_000;
/// How long a question or an opening may take, as in the daemon.
const PATIENCE: Duration = Duration::from_secs(5);

/// The engine and what it asks for.
pub struct Core {
    pub engine: Engine,
    effects: Vec<Effect>,
    wanted: VecDeque<InstrumentId>,
}

impl Sink for Core {
    fn put(&mut self, item: Item) -> Result<(), Gone> {
        let Body::Event(event) = item.body else { return Ok(()) };
        self.engine.step(item.wall_ns, &event, &mut self.effects);
        for effect in self.effects.drain(..) {
            if let Effect::RequestSnapshot { instrument } = effect {
                self.wanted.push_back(instrument);
            }
        }
        Ok(())
    }
}

/// One venue as the daemon sees it.
pub struct Desk {
    pub adapter: &'static dyn Adapter,
    pub core: RefCell<Core>,
    pub books: RefCell<Books>,
    pub clock: Arc<VenueClock>,
    pub instrument: Instrument,
    pub streams: RefCell<Vec<Arc<Stream>>>,
    /// Questions that got no answer, or one that is none.
    pub unanswered: Cell<u64>,
    says: RefCell<Vec<Rc<RefCell<VecDeque<String>>>>>,
    connects: RefCell<Window>,
    requests: RefCell<Window>,
    dialer: Dialer,
    start: Instant,
}

impl Desk {
    /// Learns the rules of `symbols` and starts everything on the current set of local tasks.
    pub async fn open(name: &str, symbols: &[&str], dialer: Dialer, engine: Engine, seed: u64) -> Rc<Desk> {
        let adapter = Venue::parse(name).and_then(adapter).unwrap();
        let mut rules = Vec::new();
        for request in adapter.rules_requests(symbols) {
            rules.push(wire::ask(&dialer, &request.path, None).await.unwrap().body);
        }
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let rules = adapter.read_rules(&rules, symbols).unwrap();
        // Strategies run on it, so that what must not reach them could.
        let numbered = |(n, rule): (u16, Instrument)| Instrument { id: InstrumentId(n), trade: true, ..rule };
        let table = Arc::new(SymbolTable::new((0..).zip(rules).map(numbered)));
        let clock = Arc::new(VenueClock::default());
        let discipline = adapter.discipline();
        let desk = Rc::new(Desk {
            adapter,
            core: RefCell::new(Core { engine, effects: Vec::new(), wanted: VecDeque::new() }),
            books: RefCell::new(Books::new(adapter, Arc::clone(&table), Arc::clone(&clock), true)),
            clock,
            instrument: table.instruments()[0].clone(),
            streams: RefCell::default(),
            unanswered: Cell::new(0),
            says: RefCell::default(),
            connects: RefCell::new(Window::new(discipline.connects)),
            requests: RefCell::new(Window::new(discipline.requests)),
            dialer,
            start: Instant::now(),
        });
        for instrument in table.instruments() {
            desk.tell(Event::Instrument(instrument.clone()));
        }
        desk.connect(&table, seed);
        tokio::task::spawn_local(desk.clone().keep());
        tokio::task::spawn_local(desk.clone().pass());
        desk
    }

    /// Now, ns.
    pub fn now_ns(&self) -> u64 {
        START_NS + u64::try_from(self.start.elapsed().as_nanos()).unwrap()
    }

    fn tell(&self, event: Event) {
        self.core.borrow_mut().tell(self.now_ns(), event).unwrap();
    }

    fn connect(self: &Rc<Desk>, table: &Arc<SymbolTable>, seed: u64) {
        let connections = self.adapter.connections(&Endpoints::at("http://127.0.0.1"), table.instruments());
        for (n, connection) in connections.into_iter().enumerate() {
            let stream = Arc::new(Stream::of_books(&connection.books, Arc::default()));
            self.books.borrow_mut().add(connection.books.clone(), Arc::clone(&stream));
            self.streams.borrow_mut().push(Arc::clone(&stream));
            let say = Rc::<RefCell<VecDeque<String>>>::default();
            self.says.borrow_mut().push(say.clone());
            let setup = Setup {
                adapter: self.adapter,
                table: Arc::clone(table),
                connection,
                name: n.to_string(),
                stream,
                clock: Arc::clone(&self.clock),
                watches: true,
            };
            tokio::task::spawn_local(self.clone().follow(setup, say, seed + n as u64));
        }
    }

    /// Time goes on ten times a second.
    async fn pass(self: Rc<Desk>) {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.tell(Event::Timer);
        }
    }

    /// The task of one connection.
    async fn follow(self: Rc<Desk>, setup: Setup, say: Rc<RefCell<VecDeque<String>>>, seed: u64) {
        let (url, mut backoff) = (setup.connection.url.clone(), Backoff::of_seed(seed));
        let mut trades = Trades::new(self.adapter.trade_ids());
        loop {
            let since_ns = self.now_ns();
            let most = self.adapter.discipline().connects.most;
            let leave = self.connects.borrow_mut().take(since_ns, 1, most);
            if let Leave::Wait(wait) = leave {
                tokio::time::sleep(wait).await;
                continue;
            }
            traiderd::telemetry::count(&setup.stream.attempts);
            let opened = tokio::time::timeout(PATIENCE, Client::open(&self.dialer, &url)).await;
            self.connects.borrow_mut().ended(since_ns, self.now_ns(), 1);
            if let Ok(Ok(client)) = opened {
                say.borrow_mut().clear();
                let up_ns = self.now_ns();
                let mut line = Line::open(setup.clone(), trades.clone(), up_ns);
                let _cause = self.read(client, &mut line, &say).await;
                trades = line.lose(self.now_ns(), &mut *self.core.borrow_mut()).unwrap();
                if self.now_ns() - up_ns > 30_000_000_000 {
                    backoff = Backoff::of_seed(seed);
                }
            }
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    /// Reads until the connection is of no more use.
    async fn read(&self, mut client: Client, line: &mut Line, say: &RefCell<VecDeque<String>>) -> Result<(), String> {
        loop {
            loop {
                let now_ns = self.now_ns();
                match client.next() {
                    Got::Text(text) => {
                        line.read(&text, now_ns);
                        let cause = line.hand_on(now_ns, &mut *self.core.borrow_mut()).unwrap();
                        cause.map_or(Ok(()), |cause| Err(cause.to_owned()))?;
                    }
                    Got::Control => line.alive(now_ns),
                    Got::Nothing => break,
                    Got::Ended(cause) => return Err(cause),
                }
            }
            let now_ns = self.now_ns();
            let cause = line.pass(now_ns, &mut *self.core.borrow_mut()).unwrap();
            cause.map_or(Ok(()), Err)?;
            say.borrow_mut().drain(..).for_each(|text| line.say(text));
            while let Some(text) = line.next_words(now_ns) {
                client.say(text)?;
            }
            client.write().await?;
            // As the daemon's read timeout.
            if let Ok(arrived) = tokio::time::timeout(Duration::from_millis(100), client.arrive()).await {
                arrived?;
            }
        }
    }

    /// The task that asks over HTTP.
    async fn keep(self: Rc<Desk>) {
        loop {
            let wanted: Vec<InstrumentId> = self.core.borrow_mut().wanted.drain(..).collect();
            for id in wanted {
                let words = self.books.borrow_mut().want(id);
                words.into_iter().for_each(|Words { connection, text }| {
                    self.says.borrow()[connection].borrow_mut().push_back(text);
                });
            }
            let due = self.books.borrow_mut().next(self.now_ns());
            match due {
                Some(question) => self.ask(question).await,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn ask(&self, question: Question) {
        let Some(request) = self.books.borrow().request(question) else { return };
        let asked_ns = self.now_ns();
        let answer = self.question(&request, question.priority(), asked_ns).await;
        let answer = answer.as_deref().map_err(String::clone);
        let (mut books, mut core) = (self.books.borrow_mut(), self.core.borrow_mut());
        books.answered(question, (asked_ns, self.now_ns()), answer, &mut *core).unwrap();
    }

    /// Asks within the budget and stays away when told to, as [`venues::ask::Asker`] does.
    async fn question(&self, request: &Request, priority: Priority, asked_ns: u64) -> Result<String, String> {
        let share = priority.share(self.adapter.discipline().requests.most);
        if let Leave::Wait(wait) = self.requests.borrow_mut().take(asked_ns, request.weight, share) {
            return Err(format!("the budget allows no question for {wait:?}"));
        }
        let answer = tokio::time::timeout(PATIENCE, wire::ask(&self.dialer, &request.path, None)).await;
        let mut requests = self.requests.borrow_mut();
        requests.ended(asked_ns, self.now_ns(), request.weight);
        let answer = answer.map_err(|_| "no answer in time".to_owned()).and_then(|answer| answer);
        let answer = answer.inspect_err(|_| self.unanswered.set(self.unanswered.get() + 1))?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        self.unanswered.set(self.unanswered.get() + 1);
        let usual_s = match answer.status {
            429 => Some(10),
            418 | 403 => Some(120),
            _ => None,
        };
        if let Some(usual_s) = usual_s {
            requests.ban(self.now_ns(), Duration::from_secs(answer.retry_after_s.unwrap_or(usual_s)));
        }
        Err(answer.status.to_string())
    }

    /// True when every stream is open and nothing of it is silent.
    pub fn streams_are_well(&self) -> bool {
        let is_well = |s: &Arc<Stream>| s.up.load(Ordering::Relaxed) && !s.stalled.load(Ordering::Relaxed);
        self.streams.borrow().iter().all(is_well)
    }

    /// Asks the emulator itself.
    pub async fn emulator(&self, path: &str, post: Option<&str>) -> serde_json::Value {
        let answer = wire::ask(&self.dialer, path, post).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}
