//! Keeping child processes: start them with a ready line, notice their end, stop them in order, leave none behind.
//!
//! Each child gets its own process group, so that Ctrl-C in the terminal reaches only this process, which then stops
//! the children one by one; and it is told our pid, so that it ends by itself should we be killed.

use crate::exec::sibling;
use crate::fail::{Fail, code};
use crate::out::Out;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long a worker may take to stop: its steps have their grace, then it hands them back.
pub const WORKER_STOPPING: Duration = Duration::from_secs(35);

/// True while a process with this pid exists.
pub fn alive(pid: i32) -> bool {
    pid > 0 && kill(Pid::from_raw(pid), None).is_ok()
}

/// Set once Ctrl-C or a stop signal came; holds which.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens for SIGINT, SIGTERM and SIGHUP from now on.
    pub fn listen() -> Result<Stop, Fail> {
        let stop = Stop { asked: Arc::default(), signal: Arc::default() };
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, Arc::clone(&stop.signal), number)
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop.asked)))
                .map_err(Fail::doing("cannot listen for Ctrl-C"))?;
        }
        Ok(stop)
    }
    /// True once a stop was asked for.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
    /// The failure to end with: interrupted by Ctrl-C.
    pub fn interrupted(&self) -> Fail {
        Fail::new(code::INTERRUPTED, "interrupted; everything was stopped")
    }
    /// True when it was Ctrl-C rather than an orderly stop.
    pub fn by_ctrl_c(&self) -> bool {
        self.signal.load(Ordering::SeqCst) == usize::try_from(signal_hook::consts::SIGINT).unwrap_or_default()
    }
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Receiver<String>,
    log: std::path::PathBuf,
}

impl Process {
    /// What it was started as.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts `command` as `name`; stderr goes to `<logs>/<name>.log` (the log before it stays as `.log.old`: it may say
    /// why that one died), stdout is read line by line.
    pub fn start(name: &str, mut command: Command, logs: &Path) -> Result<Process, Fail> {
        let log = logs.join(format!("{name}.log"));
        // There is none before the first start.
        std::fs::rename(&log, logs.join(format!("{name}.log.old"))).ok();
        let file = File::create(&log).map_err(Fail::doing(format!("cannot write the log `{}`", log.display())))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .spawn()
            .map_err(Fail::doing(format!("cannot start {name}")))?;
        let (send, stdout) = mpsc::channel();
        if let Some(pipe) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if send.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Process { name: name.to_owned(), child, stdout, log })
    }

    /// Waits for the first line of stdout, which must be a JSON object.
    pub fn ready(&mut self, limit: Duration, stop: &Stop) -> Result<Value, Fail> {
        let until = Instant::now() + limit;
        loop {
            if stop.asked() {
                return Err(stop.interrupted());
            }
            match self.stdout.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => {
                    return serde_json::from_str(&line)
                        .map_err(|_| Fail::plain(format!("{} said `{line}` instead of being ready", self.name)));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.died()),
                Err(RecvTimeoutError::Timeout) if Instant::now() > until => {
                    return Err(Fail::new(
                        code::UNREACHABLE,
                        format!("{} was not ready within {limit:?}; its log is `{}`", self.name, self.log.display()),
                    ));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Reads what it wrote to stdout since it was ready: alerts are passed on, a line each, everything else is dropped.
    pub fn pass_on(&self, out: &Out) {
        for line in self.stdout.try_iter() {
            if let Some(words) = serde_json::from_str(&line).ok().as_ref().and_then(alert_words) {
                out.note(&words);
            }
        }
    }

    /// Why it ended: its own last words and its exit code.
    pub fn died(&mut self) -> Fail {
        let status = self.child.wait();
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        let errors: Vec<&str> = lines.iter().copied().filter(|l| l.starts_with("error:")).collect();
        let words =
            if errors.is_empty() { lines[lines.len().saturating_sub(3)..].join("\n") } else { errors.join("\n") };
        let words = words.trim_start_matches("error: ");
        let exit = status.as_ref().ok().and_then(ExitStatus::code).and_then(|c| u8::try_from(c).ok());
        let ended = status.map_or_else(|e| e.to_string(), |s| s.to_string());
        let message = if words.is_empty() {
            format!("{} ended with {ended}; its log is `{}`", self.name, self.log.display())
        } else {
            words.to_owned()
        };
        Fail::new(exit.filter(|c| *c != 0).unwrap_or(code::FAILURE), message)
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to stop, waits up to `limit`, then kills it.
    pub fn stop(&mut self, limit: Duration) {
        if self.ended().is_some() {
            return;
        }
        let group = i32::try_from(self.child.id()).unwrap_or_default();
        // Both calls fail only when the process is gone already, which is what is wanted.
        kill(Pid::from_raw(group), Signal::SIGTERM).ok();
        let until = Instant::now() + limit;
        while self.ended().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.ended().is_none() {
            kill(Pid::from_raw(-group), Signal::SIGKILL).ok();
            self.child.wait().ok();
        }
    }
}

/// An alert of a worker as a person reads it; `None` when the line is something else.
fn alert_words(said: &Value) -> Option<String> {
    if said["event"] != "alert" {
        return None;
    }
    let part = |key: &str| said["alert"][key].as_str().filter(|text| !text.is_empty());
    let kind = part("kind")?;
    let mut about: Vec<&str> = ["workflow", "partition", "step"].into_iter().filter_map(part).collect();
    if about.is_empty() {
        about.extend(part("key"));
    }
    let over = if part("what") == Some("recovered") { "alert over" } else { "alert" };
    let detail = part("detail").and_then(|text| text.lines().next());
    let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
    let next =
        part("run").filter(|_| over == "alert").map_or_else(String::new, |run| format!("; see traider run show {run}"));
    Some(format!("{over}: {kind}: {}{detail}{next}", about.join(" ")))
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(5));
    }
}

/// A child that is started again when it dies: at once, then after longer and longer pauses.
#[derive(Debug)]
pub struct Kept {
    name: &'static str,
    /// Its command line, also of the next start.
    pub args: Vec<String>,
    logs: PathBuf,
    process: Option<Process>,
    pause: Duration,
    started: Instant,
    next: Option<Instant>,
}

/// Pause before the second restart in a row; doubled each time.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// One that lived this long may come back at once.
const LIVED_WELL: Duration = Duration::from_secs(60);

impl Kept {
    /// What is to be kept; nothing is started yet.
    pub fn new(name: &'static str, args: Vec<String>, logs: PathBuf) -> Kept {
        Kept { name, args, logs, process: None, pause: Duration::ZERO, started: Instant::now(), next: None }
    }

    /// Starts it.
    pub fn start(&mut self) -> Result<&mut Process, Fail> {
        let mut command = Command::new(sibling(self.name)?);
        command.args(&self.args);
        self.started = Instant::now();
        Ok(self.process.insert(Process::start(self.name, command, &self.logs)?))
    }

    /// Passes on its alerts, notices its death, and starts it again when its pause is over.
    pub fn tend(&mut self, out: &Out) {
        if let Some(process) = &self.process {
            process.pass_on(out);
        }
        let Some(status) = self.process.as_mut().and_then(Process::ended) else { return };
        let Some(next) = self.next else {
            if self.started.elapsed() > LIVED_WELL {
                self.pause = Duration::ZERO;
            }
            out.note(&format!("{} ended ({status}); trading goes on, it is started again", self.name));
            self.next = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).clamp(PAUSE_FIRST, PAUSE_MAX);
            return;
        };
        if Instant::now() < next {
            return;
        }
        self.next = None;
        if let Err(fail) = self.start() {
            out.note(&format!("{} cannot be started again: {}", self.name, fail.message));
            self.next = Some(Instant::now() + self.pause);
        }
    }

    /// Stops it, if it runs.
    pub fn stop(&mut self, limit: Duration) {
        if let Some(process) = &mut self.process {
            process.stop(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn alerts_are_told_in_a_line_and_nothing_else_is() {
        let said = json!({"event": "alert", "id": "k/1/raised", "at": "2026-11-20T00:21:00Z", "alert": {
            "what": "raised", "kind": "failed", "key": "k", "workflow": "daily", "partition": "2026-11-19",
            "run": "01K9", "step": null, "detail": "ingest: no journal\nmore", "channels": ["stdout"],
        }});
        let want = "alert: failed: daily 2026-11-19: ingest: no journal; see traider run show 01K9";
        assert_eq!(alert_words(&said).as_deref(), Some(want));
        let mut over = said;
        over["alert"]["what"] = json!("recovered");
        let want = "alert over: failed: daily 2026-11-19: ingest: no journal";
        assert_eq!(alert_words(&over).as_deref(), Some(want));
        assert_eq!(alert_words(&json!({"event": "ready"})), None);
    }
}
