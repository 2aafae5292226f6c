//! Tests of [`super`] against a venue that follows a script, also the wrong ways.

use super::*;
use crate::inbox::{Waker, ring};
use domain::order::{OrderKind, TimeInForce};
use domain::{
    Asset, ExecEvent, Increment, Instrument, InstrumentId, Lots, OrderRequest, Side, StrategyId, TickLots, Ticks,
};
use rtrb::Consumer;
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use tungstenite::{Message, WebSocket};
use venues::binance::sign::Keys;
use venues::wire::SymbolTable;

fn btcusdt() -> Instrument {
    Instrument {
        id: InstrumentId(0),
        version: 1,
        venue: Venue::BINANCE,
        symbol: "BTCUSDT".parse().unwrap(),
        base: Asset::from("BTC").unwrap(),
        quote: Asset::from("USDT").unwrap(),
        tick: Increment::parse("0.01").unwrap(),
        lot: Increment::parse("0.00001").unwrap(),
        qty_min: Lots::new(1),
        qty_max: Lots::new(900_000_000),
        value_min: TickLots::ZERO,
        contract: domain::instrument::Contract::Spot,
        trade: true,
        book: domain::instrument::BookRule::ASKED,
    }
}
pub(in crate::gateway) fn order(sequence: u32) -> OrderRequest {
    OrderRequest {
        id: ClientOrderId { home: 1, epoch: 1, sequence },
        instrument: InstrumentId(0),
        instrument_version: 1,
        strategy: StrategyId(0),
        side: Side::Buy,
        kind: OrderKind::Limit,
        tif: TimeInForce::Ioc,
        price: Ticks::new(100),
        qty: Lots::new(5),
    }
}

/// One connection of the scripted venue.
struct Server(WebSocket<TcpStream>);

impl Server {
    /// The next request: number, method, parameters.
    fn request(&mut self) -> (Value, String, Value) {
        let text = loop {
            if let Message::Text(text) = self.0.read().unwrap() {
                break text;
            }
        };
        let request: Value = serde_json::from_str(&text).unwrap();
        (request["id"].clone(), request["method"].as_str().unwrap().to_owned(), request["params"].clone())
    }
    fn say(&mut self, what: Value) {
        self.0.send(Message::text(what.to_string())).unwrap();
    }
    fn answer(&mut self, method: &str, result: Value) -> Value {
        let (id, got, params) = self.request();
        assert_eq!(got, method);
        self.say(json!({"id": id, "status": 200, "result": result}));
        params
    }
    /// Lets the daemon in.
    fn welcome(&mut self) {
        let params = self.answer("userDataStream.subscribe.signature", json!({"subscriptionId": 0}));
        assert_eq!(params["apiKey"], "key");
        self.answer("account.status", json!({"balances": [{"asset": "USDT", "free": "7", "locked": "0"}]}));
    }
}

/// A gateway whose venue follows `script`, one call per connection.
struct Rig {
    gateway: Gateway,
    rx: Consumer<Item>,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
    link: JoinHandle<()>,
    venue: JoinHandle<()>,
}

impl Rig {
    fn new(connections: usize, script: impl Fn(usize, Server) + Send + 'static) -> Rig {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/ws-api/v3", listener.local_addr().unwrap());
        let venue = std::thread::spawn(move || {
            for n in 0..connections {
                let (stream, _) = listener.accept().unwrap();
                script(n, Server(tungstenite::accept(stream).unwrap()));
            }
        });
        let gateway = Gateway::new(Arc::new(SymbolTable::new([btcusdt()])), Keys::hmac("key", "secret"), None);
        let (waker, stop) = (Waker::of_this_thread(), Arc::new(AtomicBool::new(false)));
        let (tx, rx) = ring(64, &waker, &Arc::new(AtomicU64::new(0)));
        let link = OrderLink::new(&gateway, url, tx, Arc::new(Telemetry::default()), Arc::clone(&stop));
        let link = std::thread::spawn(move || link.run());
        Rig { gateway, rx, waker, stop, link, venue }
    }
    fn next(&mut self) -> Event {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match self.rx.pop() {
                Ok(Item { body: Body::Event(event), .. }) => return event,
                Ok(item) => panic!("{item:?}"),
                Err(_) => assert!(Instant::now() < end, "nothing came"),
            }
            self.waker.wait(end, || !self.rx.is_empty());
        }
    }
    fn expect_link(&mut self, up: bool) {
        assert_eq!(self.next(), Event::Link(Link { venue: Venue::BINANCE, channel: Channel::Orders, up }));
    }
    fn expect_up(&mut self) {
        self.expect_link(true);
        assert!(matches!(self.next(), Event::Balance(b) if b.asset.as_str() == "USDT"));
    }
    /// The next event, which must be news of an order: its sequence number and what happened.
    fn news(&mut self) -> (u32, ExecEvent) {
        match self.next() {
            Event::Exec(report) => (report.id.sequence, report.event),
            other => panic!("{other:?}"),
        }
    }
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.rx);
        self.link.join().unwrap();
        self.venue.join().unwrap();
    }
}

fn report(id: &str, kind: &str, trade: i64) -> Value {
    json!({"subscriptionId": 0, "event": {"e": "executionReport", "E": 1, "s": "BTCUSDT", "c": id, "C": "", "x": kind,
        "r": "NONE", "i": 77, "l": "0.00005", "z": "0.00005", "L": "1.00", "n": "0.1", "N": "USDT", "T": 1, "t": trade, "m": false}})
}

#[test]
fn a_lost_connection_leaves_what_was_on_its_way_unknown_and_is_made_again() {
    let mut rig = Rig::new(2, |n, mut server| {
        server.welcome();
        if n == 0 {
            // Two orders arrive, and the connection dies before either is answered.
            assert_eq!(server.request().1, "order.place");
            assert_eq!(server.request().1, "order.place");
            return;
        }
        let (id, method, params) = server.request();
        assert_eq!((method.as_str(), &params["origClientOrderId"]), ("order.status", &json!("trd-00000001-1-1")));
        server.say(json!({"id": id, "status": 400, "error": {"code": -2013, "msg": "Order does not exist."}}));
        // Stay until the daemon leaves.
        while server.0.read().is_ok() {}
    });
    rig.expect_up();
    assert_eq!(rig.gateway.place(&order(1)), None);
    assert_eq!(rig.gateway.place(&order(2)), None);
    rig.expect_link(false);
    for sequence in [1, 2] {
        let (of, event) = rig.news();
        assert!(of == sequence && matches!(event, ExecEvent::OutcomeUnknown { .. }), "{of} {event:?}");
    }
    rig.expect_up();
    assert_eq!(rig.gateway.query(order(1).id, InstrumentId(0)), None);
    assert_eq!(rig.news(), (1, ExecEvent::NotFound));
    rig.end();
}

#[test]
fn a_fill_that_overtakes_the_answer_is_delivered_in_the_order_it_came() {
    let mut rig = Rig::new(1, |_, mut server| {
        server.welcome();
        let (id, _, params) = server.request();
        let ours = params["newClientOrderId"].as_str().unwrap().to_owned();
        server.say(report(&ours, "TRADE", 9));
        server.say(json!({"id": id, "status": 200, "result": {"symbol": "BTCUSDT", "orderId": 77}}));
        // An order of somebody else on the same account, an answer nobody asked for, and noise.
        server.say(report("web_1", "TRADE", 10));
        server.say(json!({"id": 4711, "status": 200, "result": {}}));
        server.say(json!({"id": 4712, "status": "odd"}));
        // The venue's number is known now, so a question begins with the fills.
        let fills = json!([{"id": 9, "price": "1.00", "qty": "0.00005", "commission": "0.1", "commissionAsset": "USDT",
            "time": 1, "isMaker": false}]);
        assert_eq!(server.answer("myTrades", fills)["orderId"], 77);
        server.answer("order.status", json!({"orderId": 77, "status": "FILLED", "executedQty": "0.00005"}));
        while server.0.read().is_ok() {}
    });
    rig.expect_up();
    assert_eq!(rig.gateway.place(&order(1)), None);
    let (_, first) = rig.news();
    assert!(matches!(&first, ExecEvent::Filled(f) if f.id.as_str() == "9" && f.qty == Lots::new(5)), "{first:?}");
    assert_eq!(rig.news(), (1, ExecEvent::Accepted { venue_order_id: "77".parse().unwrap() }));
    assert_eq!(rig.gateway.query(order(1).id, InstrumentId(0)), None);
    // The same fill, told on another path, has the same id: the engine counts it once.
    assert_eq!(rig.news(), (1, first));
    assert!(matches!(rig.news().1, ExecEvent::Found { .. }));
    rig.end();
}

#[test]
fn news_that_cannot_be_read_makes_every_open_order_a_question() {
    let mut rig = Rig::new(1, |_, mut server| {
        server.welcome();
        let mut odd = report("trd-00000001-1-1", "TRADE", 9);
        odd["event"]["l"] = json!("five");
        server.say(odd);
        server.0.send(Message::text("{not json")).unwrap();
        server.say(report("trd-00000001-1-1", "NEW", -1));
        while server.0.read().is_ok() {}
    });
    rig.expect_up();
    for _ in 0..2 {
        rig.expect_link(false);
        rig.expect_link(true);
    }
    assert!(matches!(rig.news(), (1, ExecEvent::Accepted { .. })), "the connection itself goes on");
    rig.end();
}

#[test]
fn the_last_resort_cancels_exactly_what_may_be_open() {
    let mut rig = Rig::new(1, |_, mut server| {
        server.welcome();
        // Four orders: one is filled in two parts, one expires, one is filled in part, one is never heard of again.
        for _ in 0..4 {
            assert_eq!(server.request().1, "order.place");
        }
        let part = |id: &str, qty: &str, trade: i64| {
            let mut report = report(id, "TRADE", trade);
            report["event"]["l"] = json!(qty);
            report
        };
        server.say(part("trd-00000001-1-1", "0.00002", 1));
        server.say(part("trd-00000001-1-1", "0.00003", 2));
        server.say(report("trd-00000001-1-2", "EXPIRED", -1));
        server.say(part("trd-00000001-1-3", "0.00004", 3));
        for left in ["trd-00000001-1-3", "trd-00000001-1-4"] {
            let (_, method, params) = server.request();
            assert_eq!((method.as_str(), &params["origClientOrderId"]), ("order.cancel", &json!(left)));
        }
        while server.0.read().is_ok() {}
    });
    rig.expect_up();
    (1..=4).for_each(|n| assert_eq!(rig.gateway.place(&order(n)), None));
    let told: Vec<u32> = (0..4).map(|_| rig.news().0).collect();
    assert_eq!(told, [1, 1, 2, 3]);
    assert_eq!(rig.gateway.cancel_all(), 2);
    rig.end();
}

#[test]
fn without_a_connection_nothing_is_sent_and_the_engine_learns_it_at_once() {
    let gateway = Gateway::new(Arc::new(SymbolTable::new([btcusdt()])), Keys::hmac("key", "secret"), None);
    let news = |event: Option<Event>| match event {
        Some(Event::Exec(report)) => report.event.name(),
        other => panic!("{other:?}"),
    };
    assert_eq!(news(gateway.place(&order(1))), "rejected");
    assert_eq!(news(gateway.cancel(order(1).id, InstrumentId(0))), "cancel_rejected");
    assert_eq!(news(gateway.query(order(1).id, InstrumentId(0))), "outcome_unknown");
}
