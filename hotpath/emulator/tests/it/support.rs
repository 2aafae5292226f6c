//! A server, clients and small captures for the tests.

use emulator::{Config, Running, SourceSpec, Speed};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// Longest wait for one message; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server with its own runtime.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    running: Option<Running>,
    addr: String,
}

impl Server {
    pub fn start(config: Config) -> Server {
        Self::try_start(config).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn try_start(config: Config) -> Result<Server, emulator::ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let running = runtime.block_on(emulator::serve(config))?;
        let addr = running.addr.to_string();
        Ok(Server { runtime, running: Some(running), addr })
    }

    pub fn port(&self) -> u16 {
        self.running.as_ref().unwrap().addr.port()
    }

    pub fn reply(&self, path: &str) -> ureq::http::Response<ureq::Body> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        agent.get(format!("http://{}{path}", self.addr)).call().unwrap()
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let mut reply = self.reply(path);
        (reply.status().as_u16(), reply.body_mut().read_to_string().unwrap())
    }

    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub fn post(&self, path: &str) {
        ureq::post(format!("http://{}{path}", self.addr)).send_empty().unwrap();
    }

    pub fn connect(&self, path: &str) -> Client {
        Client::connect(&format!("ws://{}{path}", self.addr))
    }

    pub fn api(&self) -> Api {
        Api { client: self.connect("/ws-api/v3"), count: 0, events: VecDeque::new() }
    }

    /// Reads the status until `done` says yes.
    pub fn until(&self, done: impl Fn(&Value) -> bool) -> Value {
        let start = std::time::Instant::now();
        loop {
            let status = self.json("/emulator/status");
            if done(&status) {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "never came: {status}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

pub struct Client(WebSocket<MaybeTlsStream<TcpStream>>);

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub enum In {
    Text(String),
    Close(u16, String),
}

impl Client {
    pub fn connect(url: &str) -> Client {
        let (socket, _) = tungstenite::connect(url).unwrap();
        if let MaybeTlsStream::Plain(tcp) = socket.get_ref() {
            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
            tcp.set_nodelay(true).unwrap();
        }
        Client(socket)
    }

    pub fn send(&mut self, text: &Value) {
        self.0.send(Message::text(text.to_string())).unwrap();
    }

    /// The next text or the close; pings are answered on the way.
    pub fn next(&mut self) -> In {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return In::Text(text.to_string()),
                Message::Close(frame) => {
                    let frame = frame.unwrap();
                    return In::Close(frame.code.into(), frame.reason.to_string());
                }
                _ => {}
            }
        }
    }

    /// The next text or close; `None` when the connection broke.
    pub fn try_next(&mut self) -> Option<In> {
        loop {
            match self.0.read().ok()? {
                Message::Text(text) => return Some(In::Text(text.to_string())),
                Message::Close(frame) => return frame.map(|f| In::Close(f.code.into(), f.reason.to_string())),
                _ => {}
            }
        }
    }

    pub fn text(&mut self) -> String {
        match self.next() {
            In::Text(text) => text,
            In::Close(code, reason) => panic!("closed with {code} {reason}"),
        }
    }

    pub fn value(&mut self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// Every text up to the close, and the close.
    pub fn rest(&mut self) -> (Vec<String>, In) {
        let mut texts = Vec::new();
        loop {
            match self.next() {
                In::Text(text) => texts.push(text),
                close @ In::Close(..) => return (texts, close),
            }
        }
    }
}

/// A client of the WebSocket API.
pub struct Api {
    client: Client,
    count: u64,
    events: VecDeque<Value>,
}

impl Api {
    /// Logs on and subscribes to user data.
    pub fn log_on(mut self) -> Api {
        self.ok("session.logon", json!({"apiKey": "demo", "signature": "x", "timestamp": 1}));
        let answer = self.ok("userDataStream.subscribe", json!({}));
        assert_eq!(answer, json!({"subscriptionId": 0}));
        self
    }

    /// The whole reply; events that come before it are kept.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.count += 1;
        let id = format!("test-{}", self.count);
        self.client.send(&json!({"id": id, "method": method, "params": params}));
        loop {
            let message = self.client.value();
            if message["id"] == json!(id) {
                assert!(message["ts_recv_ns"].is_u64(), "{message}");
                return message;
            }
            self.events.push_back(message);
        }
    }

    pub fn ok(&mut self, method: &str, params: Value) -> Value {
        let mut reply = self.call(method, params);
        assert_eq!(reply["status"], 200, "{method}: {reply}");
        reply["result"].take()
    }

    /// Status, code and text of an error.
    pub fn error(&mut self, method: &str, params: Value) -> (u64, i64, String) {
        let reply = self.call(method, params);
        let error = &reply["error"];
        (
            reply["status"].as_u64().unwrap(),
            error["code"].as_i64().unwrap_or_else(|| panic!("{method} succeeded: {reply}")),
            error["msg"].as_str().unwrap().to_owned(),
        )
    }

    /// The next user-data event.
    pub fn event(&mut self) -> Value {
        let mut message = self.events.pop_front().unwrap_or_else(|| self.client.value());
        assert_eq!(message["subscriptionId"], 0, "{message}");
        assert!(message["ts_recv_ns"].is_u64(), "{message}");
        message["event"].take()
    }

    /// The next event of this type.
    pub fn event_of(&mut self, kind: &str) -> Value {
        loop {
            let event = self.event();
            if event["e"] == kind {
                return event;
            }
        }
    }
}

/// A capture file of these lines.
pub fn capture(dir: &Path, lines: &[String]) -> PathBuf {
    let path = dir.join("capture.gz");
    let mut gz = GzEncoder::new(std::fs::File::create(&path).unwrap(), Compression::default());
    for line in lines {
        writeln!(gz, "{line}").unwrap();
    }
    gz.finish().unwrap();
    path
}

pub const START_NS: u64 = 1_700_000_000_000_000_000;

pub fn line(ms: u64, message: &Value) -> String {
    format!("{} {message}", START_NS + ms * 1_000_000)
}

pub fn diff(first: u64, last: u64, bids: &Value, asks: &Value) -> Value {
    let data = json!({"e": "depthUpdate", "E": 1_700_000_000_000u64, "s": "BTCUSDT", "U": first, "u": last,
        "b": bids, "a": asks});
    json!({"stream": "btcusdt@depth@100ms", "data": data})
}

pub fn trade(ms: u64, id: u64, price: &str, qty: &str, buyer_is_maker: bool) -> Value {
    let t = 1_700_000_000_000u64 + ms;
    let data = json!({"e": "trade", "E": t, "s": "BTCUSDT", "t": id, "p": price, "q": qty, "T": t,
        "m": buyer_is_maker, "M": true});
    json!({"stream": "btcusdt@trade", "data": data})
}

/// A market by hand: bids 100.00 x 1 and 99.00 x 5, asks 101.00 x 2 and 102.00 x 3, then `rest`.
pub fn small(rest: &[String]) -> Vec<String> {
    let snapshot = json!({"lastUpdateId": 10, "bids": [["100.00000000", "1.00000000"], ["99.00000000", "5.00000000"]],
        "asks": [["101.00000000", "2.00000000"], ["102.00000000", "3.00000000"]]});
    let mut lines = vec![
        line(0, &diff(8, 9, &json!([]), &json!([]))),
        line(1, &trade(1, 501, "100.50000000", "0.10000000", false)),
        line(2, &snapshot),
        line(3, &diff(10, 12, &json!([["98.00000000", "4.00000000"]]), &json!([["101.50000000", "1.00000000"]]))),
    ];
    lines.extend_from_slice(rest);
    lines
}

/// A server over a capture of these lines.
pub fn serve(lines: &[String], change: impl FnOnce(&mut Config)) -> (Server, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = capture(dir.path(), lines);
    let mut config = Config::new(SourceSpec::Capture { path }, Speed::Max);
    change(&mut config);
    (Server::start(config), dir)
}
