//! Asking the daemon: one JSON line in, one out, over the unix socket in the home folder. One task asks for all pages,
//! and only while a page is open, so that looking costs the daemon the same whoever looks.

use crate::PERIOD;
use crate::sections::{Sections, split};
use serde_json::{Value, json};
use settings::{Home, RunManifest};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often its own counters are asked.
const STATUS_PERIOD: Duration = Duration::from_secs(1);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Frames for every open page, newest only.
pub struct Feed {
    socket: PathBuf,
    home: Home,
    frames: watch::Sender<Arc<Sections>>,
    task: JoinHandle<()>,
}

impl Feed {
    /// Starts asking; the task ends with this value.
    pub fn start(home: Home) -> Feed {
        let (frames, _) = watch::channel(Arc::new(down("not asked yet")));
        let socket = home.daemon_socket();
        let task = tokio::spawn(poll(home.clone(), socket.clone(), frames.clone()));
        Feed { socket, home, frames, task }
    }

    /// A receiver that sees the newest frame and every change after it.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Sections>> {
        self.frames.subscribe()
    }

    /// One answer, now.
    pub async fn now(&self) -> Sections {
        Asker { home: self.home.clone(), link: Link::to(self.socket.clone()), run: None, status: None }.frame().await
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the poller keeps between frames.
struct Asker {
    home: Home,
    link: Link,
    /// The run whose manifest was read, and what it said.
    run: Option<(String, Value)>,
    /// The daemon's counters, asked less often.
    status: Option<(Instant, String)>,
}

async fn poll(home: Home, socket: PathBuf, frames: watch::Sender<Arc<Sections>>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asker = Asker { home, link: Link::to(socket), run: None, status: None };
    loop {
        ticks.tick().await;
        if frames.receiver_count() > 0 {
            frames.send_replace(Arc::new(asker.frame().await));
        }
    }
}

impl Asker {
    /// What a page is shown: the daemon's view, or why there is none.
    async fn frame(&mut self) -> Sections {
        match self.link.ask(&json!({"get": "view"})).await {
            Ok(view) => {
                let mut sections = split(&view);
                let run = run_facts(&self.home, view["run"].as_str().unwrap_or_default(), &mut self.run);
                sections.insert("link".to_owned(), json!({"daemon": "up", "run": run}).to_string());
                if let Some(status) = self.status().await {
                    sections.insert("status".to_owned(), status);
                }
                sections
            }
            Err(why) => down(&why),
        }
    }

    /// The daemon's own counters and latencies; what the view says as well is left out.
    async fn status(&mut self) -> Option<String> {
        if self.status.as_ref().is_none_or(|(at, _)| at.elapsed() >= STATUS_PERIOD) {
            let mut answer = self.link.ask(&json!({"get": "status"})).await.ok()?;
            for told in ["safety", "stats", "now_ns", "engine_ns"] {
                answer.as_object_mut().map(|o| o.remove(told));
            }
            self.status = Some((Instant::now(), answer.to_string()));
        }
        self.status.as_ref().map(|(_, text)| text.clone())
    }
}

fn down(why: &str) -> Sections {
    Sections::from([("link".to_owned(), json!({"daemon": "down", "why": why}).to_string())])
}

/// Mode and source of a run, from its manifest; read once per run.
fn run_facts(home: &Home, run: &str, known: &mut Option<(String, Value)>) -> Value {
    match known {
        Some((id, facts)) if id == run => facts.clone(),
        _ if run.is_empty() || run.contains(['/', '.']) => Value::Null,
        _ => match RunManifest::read(&home.journal_of(run)) {
            Ok(m) => {
                let facts =
                    json!({"id": run, "mode": m.mode.name(), "source": m.source, "build": m.build, "seed": m.seed});
                *known = Some((run.to_owned(), facts.clone()));
                facts
            }
            Err(_) => json!({"id": run}),
        },
    }
}

/// A connection to the daemon, kept while it works.
struct Link {
    socket: PathBuf,
    stream: Option<BufReader<UnixStream>>,
}

impl Link {
    fn to(socket: PathBuf) -> Link {
        Link { socket, stream: None }
    }

    /// Asks one thing. A kept connection may be that of a daemon long gone, so its failure is no answer yet.
    async fn ask(&mut self, request: &Value) -> Result<Value, String> {
        if let Some(mut stream) = self.stream.take()
            && let Ok(Ok(line)) = timeout(PATIENCE, talk(&mut stream, request)).await
        {
            self.stream = Some(stream);
            return understood(&line);
        }
        let fresh = async {
            let mut stream = BufReader::new(UnixStream::connect(&self.socket).await?);
            let line = talk(&mut stream, request).await?;
            Ok::<_, io::Error>((stream, line))
        };
        match timeout(PATIENCE, fresh).await {
            Ok(Ok((stream, line))) => {
                self.stream = Some(stream);
                understood(&line)
            }
            Ok(Err(e)) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Err("it is not running; start it with: traider demo (or traider up)".to_owned())
            }
            Ok(Err(e)) => Err(format!("its control socket fails: {e}")),
            Err(_) => Err("it does not answer within a second".to_owned()),
        }
    }
}

async fn talk(stream: &mut BufReader<UnixStream>, request: &Value) -> io::Result<String> {
    stream.get_mut().write_all(format!("{request}\n").as_bytes()).await?;
    let mut line = String::new();
    let read = (&mut *stream).take(ANSWER_BYTES_MAX).read_line(&mut line).await?;
    if read == 0 || !line.ends_with('\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up"));
    }
    Ok(line)
}

fn understood(line: &str) -> Result<Value, String> {
    let answer: Value =
        serde_json::from_str(line).map_err(|_| "its answer is not understood; other build?".to_owned())?;
    match answer["error"].as_str() {
        Some(error) => Err(format!("it says: {error}")),
        None => Ok(answer),
    }
}
