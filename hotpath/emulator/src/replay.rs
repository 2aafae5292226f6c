//! Recordings and tapes served as they are, whatever venue they are of: the bodies of recorded replies under the
//! addresses they answered, and on each connection what the venue said on the recorded one, in order and at its pace.
//! What clients say is counted and not answered.
//!
//! `.jsonl.zst`: one JSON object a line, `t` is `http`, `connect`, `recv` or something that needs no serving. `.gz`: one
//! message a line, `<receive time ns> <message>`, all of one connection.

use crate::clock::Speed;
use crate::source::SourceError;
use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::Decimal;
use flate2::read::MultiGzDecoder;
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What one connection brought.
#[derive(Debug, Default)]
struct Connection {
    name: String,
    path: String,
    /// Receive time, ns, and text.
    frames: Vec<(u64, String)>,
}

/// A recording in memory.
#[derive(Debug, Default)]
pub struct Recording {
    /// By path and query: the bodies, in order.
    bodies: BTreeMap<String, Vec<String>>,
    connections: Vec<Connection>,
}

#[derive(Deserialize)]
struct Line<'a> {
    t: &'a str,
    #[serde(default)]
    conn: String,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    #[serde(default)]
    url: String,
    #[serde(default)]
    addr: String,
    #[serde(default)]
    data: String,
}

/// Seconds in text as ns.
fn ns(seconds: Option<&RawValue>) -> Option<u64> {
    let text = seconds?.get();
    // More than nine digits after the point would be less than a nanosecond.
    let end = text.find('.').map_or(text.len(), |point| text.len().min(point + 10));
    u64::try_from(Decimal::parse(&text[..end]).ok()?.at_scale(9)?).ok()
}

/// Path and query of an address.
fn address(url: &str) -> (String, String) {
    let uri: Uri = url.parse().unwrap_or_default();
    let whole = uri.path_and_query().map_or_else(|| "/".to_owned(), |p| p.as_str().to_owned());
    (uri.path().to_owned(), whole)
}

impl Recording {
    /// Reads the whole file.
    ///
    /// # Errors
    /// [`SourceError`] when it cannot be read or a line is something else.
    pub fn read(path: &Path) -> Result<Recording, SourceError> {
        let open = |source| SourceError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(open)?;
        let is_tape = path.extension().is_some_and(|e| e == "gz");
        let reader: Box<dyn Read> = if is_tape {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(zstd::Decoder::new(file).map_err(open)?)
        };
        let mut recording = Recording::default();
        for (n, line) in (1..).zip(BufReader::new(reader).lines()) {
            let line = line.map_err(|source| SourceError::Damaged { path: path.to_owned(), line: n, source })?;
            let taken = if is_tape { recording.take_tape(&line) } else { recording.take(&line) };
            taken.map_err(|what| SourceError::Line { path: path.to_owned(), line: n, what })?;
        }
        if recording.connections.iter().all(|c| c.frames.is_empty()) {
            return Err(SourceError::Empty { path: path.to_owned() });
        }
        Ok(recording)
    }

    fn take_tape(&mut self, line: &str) -> Result<(), String> {
        let (ts, text) = line.split_once(' ').ok_or("there is no blank between receive time and message")?;
        let ts_ns = ts.parse().map_err(|_| format!("`{ts}` is not a receive time in ns"))?;
        self.connection("").frames.push((ts_ns, text.to_owned()));
        Ok(())
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        let line: Line<'_> = serde_json::from_str(line).map_err(|e| e.to_string())?;
        match line.t {
            "http" => self.bodies.entry(address(&line.url).1).or_default().push(line.data),
            "connect" => {
                let path = address(&line.addr).0;
                self.connection(&line.conn).path = path;
            }
            "recv" => {
                let ts_ns = ns(line.ts).ok_or("its `ts` is no time")?;
                self.connection(&line.conn).frames.push((ts_ns, line.data));
            }
            _ => {}
        }
        Ok(())
    }

    fn connection(&mut self, name: &str) -> &mut Connection {
        let at = self.connections.iter().position(|c| c.name == name).unwrap_or_else(|| {
            self.connections.push(Connection { name: name.to_owned(), ..Connection::default() });
            self.connections.len() - 1
        });
        &mut self.connections[at]
    }

    /// Which connection a newcomer at `path` gets: the first of this path, or of any, that nobody had; then again the
    /// first of this path.
    fn choose(&self, path: &str, had: &[usize]) -> usize {
        let free = |at: &usize| !had.contains(at);
        let same = |at: &usize| self.connections[*at].path == path;
        let all = || 0..self.connections.len();
        all().find(|at| free(at) && same(at)).or_else(|| all().find(free)).or_else(|| all().find(same)).unwrap_or(0)
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// Connections handed out, in order.
    had: Vec<usize>,
    frames: u64,
    heard: u64,
    questions: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Stage {
    recording: Recording,
    speed: Speed,
    source: String,
    counts: Mutex<Counts>,
    stop: Arc<watch::Sender<bool>>,
}

impl Stage {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything the recording can be asked for.
pub fn router(recording: Recording, speed: Speed, source: String, stop: Arc<watch::Sender<bool>>) -> Router {
    let stage = Arc::new(Stage { recording, speed, source, counts: Mutex::default(), stop });
    Router::new().route("/emulator/status", get(status)).fallback(serve).with_state(stage)
}

async fn status(State(stage): State<Arc<Stage>>) -> Response {
    let counts = stage.counts();
    let body = json!({"source": stage.source, "connections": counts.had.len(), "frames": counts.frames,
        "heard": counts.heard, "recorded_connections": stage.recording.connections.len()});
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn serve(State(stage): State<Arc<Stage>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let (mut parts, _) = request.into_parts();
    if parts.headers.contains_key(header::UPGRADE) {
        let at = {
            let mut counts = stage.counts();
            let at = stage.recording.choose(&path, &counts.had);
            counts.had.push(at);
            at
        };
        return match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade.on_upgrade(move |socket| play(socket, stage, at)),
            Err(refused) => refused.into_response(),
        };
    }
    let whole = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let bodies = &stage.recording.bodies;
    let same_path = || bodies.iter().find(|(known, _)| known.split('?').next() == Some(&path));
    let Some((known, bodies)) = bodies.get_key_value(whole).or_else(same_path) else {
        return (StatusCode::NOT_FOUND, "nobody asked this when it was recorded\n").into_response();
    };
    let mut counts = stage.counts();
    let asked = counts.questions.entry(known.clone()).or_default();
    let body = bodies[(*asked).min(bodies.len() - 1)].clone();
    *asked += 1;
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Says what was recorded; a client that goes away ends it.
async fn play(socket: WebSocket, stage: Arc<Stage>, at: usize) {
    let (mut sink, mut stream) = socket.split();
    let mut stop = stage.stop.subscribe();
    let listener = stage.clone();
    let mut reader = tokio::spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            if matches!(message, Message::Text(_)) {
                listener.counts().heard += 1;
            }
        }
    });
    let said = async {
        let frames = &stage.recording.connections[at].frames;
        let (began, first_ns) = (Instant::now(), frames.first().map_or(0, |(ts_ns, _)| *ts_ns));
        for (ts_ns, text) in frames {
            if let Speed::Times(times) = stage.speed {
                let due = Duration::from_nanos(ts_ns.saturating_sub(first_ns)).div_f64(times);
                tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
            }
            let text = match text.strip_prefix('{') {
                Some(rest) if !stage.speed.is_real_time() => format!("{{\"ts_recv_ns\":{ts_ns},{rest}"),
                _ => text.clone(),
            };
            if sink.send(Message::Text(text.into())).await.is_err() {
                return;
            }
            stage.counts().frames += 1;
        }
        let close = CloseFrame { code: 1000, reason: "end of recording".into() };
        if sink.send(Message::Close(Some(close))).await.is_err() {
            tracing::debug!("a client was gone before our close");
        }
    };
    tokio::select! {
        () = said => {}
        _ = &mut reader => return,
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // The client's answer to the close, not for ever.
    if tokio::time::timeout(Duration::from_secs(2), reader).await.is_err() {
        tracing::debug!("a client did not answer our close");
    }
}
