//! Asking the daemon: one JSON line in, one out, over the unix socket in the home folder. One task asks for all pages,
//! and only while a page is open, so that looking costs the daemon the same whoever looks.

use crate::PERIOD;
use crate::sections::{Sections, split};
use serde_json::{Value, json};
use settings::{Home, RunManifest};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
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
        frame(&self.home, &self.socket, &mut None).await
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn poll(home: Home, socket: PathBuf, frames: watch::Sender<Arc<Sections>>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    loop {
        ticks.tick().await;
        if frames.receiver_count() > 0 {
            frames.send_replace(Arc::new(frame(&home, &socket, &mut known).await));
        }
    }
}

/// What a page is shown: the daemon's view, or why there is none.
async fn frame(home: &Home, socket: &Path, known: &mut Option<(String, Value)>) -> Sections {
    match ask(socket, &json!({"get": "view"})).await {
        Ok(answer) => {
            // The view stands alone or beside other things the daemon says of itself.
            let (view, rest) = match answer.get("view") {
                Some(view) => (view.clone(), answer.clone()),
                None => (answer, Value::Null),
            };
            let mut sections = split(&view);
            let run = view["run"].as_str().unwrap_or_default();
            let mut link = json!({"daemon": "up", "run": run_facts(home, run, known)});
            for (key, value) in rest.as_object().into_iter().flatten().filter(|(key, _)| *key != "view") {
                link[key] = value.clone();
            }
            sections.insert("link".to_owned(), link.to_string());
            sections
        }
        Err(why) => down(&why),
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
                let facts = json!({"id": run, "mode": m.mode.name(), "source": m.source, "build": m.build, "seed": m.seed});
                *known = Some((run.to_owned(), facts.clone()));
                facts
            }
            Err(_) => json!({"id": run}),
        },
    }
}

/// Asks the daemon one thing.
///
/// # Errors
/// In words for the page: nobody listens, no answer in a second, or an answer that is no JSON.
pub async fn ask(socket: &Path, request: &Value) -> Result<Value, String> {
    let talk = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{request}\n").as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut line).await?;
        Ok::<String, std::io::Error>(line)
    };
    let line = match timeout(PATIENCE, talk).await {
        Ok(Ok(line)) => line,
        Ok(Err(e)) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => {
            return Err("it is not running; start it with: traider demo (or traider up)".to_owned());
        }
        Ok(Err(e)) => return Err(format!("its control socket fails: {e}")),
        Err(_) => return Err("it does not answer within a second".to_owned()),
    };
    let answer: Value = serde_json::from_str(&line).map_err(|_| "its answer is not understood; other build?".to_owned())?;
    match answer["error"].as_str() {
        Some(error) => Err(format!("it says: {error}")),
        None => Ok(answer),
    }
}
