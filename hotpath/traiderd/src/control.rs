//! The control socket: one JSON request per line, one JSON answer per line, over a unix socket that only the owner of
//! the home can open. Requests: `{"get":"view"}`, `{"get":"status"}`, `{"command":"halt","reason":".."}`,
//! `{"command":"resume","reason":".."}`, `{"command":"cancel_all"}`, `{"command":"stop"}`.

use crate::board::Board;
use crate::clock::stamp_ns;
use crate::error::DaemonError;
use crate::inbox::Waker;
use crate::telemetry::{Telemetry, get};
use domain::event::{OperatorCommand, note};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// Longest request.
const LINE_MAX: u64 = 64 << 10;
/// Connections served at once.
const CLIENTS_MAX: usize = 16;
/// How long an answer may wait for the engine.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often an idle connection looks whether the daemon stops.
const READ_TIMEOUT: Duration = Duration::from_millis(200);

/// What the operator wants of the engine thread.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// A command for the engine; journaled as an event.
    Command(OperatorCommand),
    /// A clean end.
    Stop,
}

/// What the threads of the control socket share.
#[derive(Debug)]
pub struct Control {
    /// The run, for status.
    pub run_id: String,
    /// The mode, for status.
    pub mode: &'static str,
    /// When the daemon started.
    pub started: Instant,
    /// Where the engine shows itself.
    pub board: Arc<Board>,
    /// The daemon's counters.
    pub telemetry: Arc<Telemetry>,
    /// Into the engine thread.
    pub orders: SyncSender<Order>,
    /// Wakes it.
    pub waker: Arc<Waker>,
    /// Set when the daemon stops.
    pub stop: Arc<AtomicBool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    get: Option<String>,
    command: Option<String>,
    #[serde(default)]
    reason: String,
}

/// The listening socket; removed when dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Opens the socket at `path`. The home's lock must be held: a socket file left by a dead daemon is removed.
    ///
    /// # Errors
    /// [`DaemonError::Io`].
    pub fn open(path: &Path) -> Result<ControlSocket, DaemonError> {
        let io = || DaemonError::io(format!("could not open the control socket `{}`", path.display()));
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io()(e)),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path).map_err(io())?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(io())?;
        listener.set_nonblocking(true).map_err(io())?;
        Ok(ControlSocket { listener, path: path.to_owned() })
    }

    /// Serves until the daemon stops.
    pub fn run(self, control: Arc<Control>) {
        let clients = Arc::new(AtomicUsize::new(0));
        while !control.stop.load(Ordering::Relaxed) {
            let mut fds = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            // An interrupted wait is as good as a short one.
            nix::poll::poll(&mut fds, PollTimeout::from(100u16)).unwrap_or(0);
            while let Ok((stream, _)) = self.listener.accept() {
                if clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS_MAX {
                    clients.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                let (control, count) = (Arc::clone(&control), Arc::clone(&clients));
                let serve = move || {
                    if let Err(error) = control.serve(&stream) {
                        tracing::debug!(%error, "control connection ended");
                    }
                    count.fetch_sub(1, Ordering::Relaxed);
                };
                if std::thread::Builder::new().name("control".to_owned()).spawn(serve).is_err() {
                    clients.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket was gone already");
        }
    }
}

impl Control {
    fn serve(&self, stream: &UnixStream) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (mut reader, mut writer) = (BufReader::new(stream), stream);
        let mut line = Vec::new();
        loop {
            match reader.by_ref().take(LINE_MAX - line.len() as u64).read_until(b'\n', &mut line) {
                Ok(0) => return Ok(()),
                Ok(_) if line.ends_with(b"\n") => {
                    let mut answer = self.answer(&line).to_string();
                    answer.push('\n');
                    writer.write_all(answer.as_bytes())?;
                    line.clear();
                }
                Ok(_) => {}
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(e) => return Err(e),
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    fn answer(&self, line: &[u8]) -> Value {
        let request: Request = match serde_json::from_slice(line) {
            Ok(request) => request,
            Err(e) => return json!({"error": format!("not a request: {e}")}),
        };
        match (request.get.as_deref(), request.command.as_deref()) {
            (Some("view"), None) => self.view(),
            (Some("status"), None) => self.status(),
            (None, Some("halt")) => self.tell(Order::Command(OperatorCommand::Halt { reason: note(&request.reason) })),
            (None, Some("resume")) => {
                self.tell(Order::Command(OperatorCommand::Resume { reason: note(&request.reason) }))
            }
            (None, Some("cancel_all")) => self.tell(Order::Command(OperatorCommand::CancelAll)),
            (None, Some("stop")) => self.tell(Order::Stop),
            _ => json!({"error": "unknown request; get: view, status; command: halt, resume, cancel_all, stop"}),
        }
    }

    fn tell(&self, order: Order) -> Value {
        match self.orders.try_send(order) {
            Ok(()) => {
                self.waker.wake();
                json!({"ok": true})
            }
            Err(_) => json!({"error": "the engine takes no commands now; try again"}),
        }
    }

    fn latest(&self) -> Option<Arc<engine::View>> {
        self.waker.wake();
        self.board.view(PATIENCE)
    }

    fn view(&self) -> Value {
        match self.latest().map(|view| serde_json::to_value(&*view)) {
            Some(Ok(view)) => view,
            Some(Err(e)) => json!({"error": e.to_string()}),
            None => json!({"error": "the engine has nothing to show yet"}),
        }
    }

    fn status(&self) -> Value {
        let t = &self.telemetry;
        let view = self.latest();
        json!({
            "run_id": self.run_id,
            "mode": self.mode,
            "pid": std::process::id(),
            "now_ns": stamp_ns(),
            "uptime_ms": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "links": {
                "market": t.streams.market_up(),
                "orders": t.orders_up.load(Ordering::Relaxed),
            },
            "streams": t.streams.view(),
            "taped": {"marks": get(&t.taped.marks), "lost": get(&t.taped.lost)},
            "frames": t.streams.traded(|s| &s.frames),
            "frames_unreadable": t.streams.traded(|s| &s.unreadable),
            "frames_other": t.streams.traded(|s| &s.other),
            "replies_unreadable": get(&t.replies_unreadable),
            "external_orders": get(&t.external_orders),
            "stalls": get(&t.stalls),
            "latency_ns": t.latencies(),
            "engine_ns": view.as_ref().map(|v| v.now_ns),
            "epoch": view.as_ref().and_then(|v| v.epoch),
            "safety": view.as_ref().map(|v| &v.safety),
            "stats": view.as_ref().map(|v| &v.stats),
        })
    }
}
