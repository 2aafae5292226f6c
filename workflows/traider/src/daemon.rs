//! Talking to the daemon over its control socket: one JSON line in, one out. A halt outlasts the daemon: while none
//! runs, it is noted and lifted in the home's `halt.json`, which the next daemon reads.

use crate::cli::Context;
use crate::fail::{Fail, code};
use crate::up;
use domain::event::note;
use serde_json::{Value, json};
use settings::{Halt, Home};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(2);

/// Why the daemon gave no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// None runs here.
    Down,
    /// One may run; whether it heard us is not known.
    Silent(String),
}

impl NoAnswer {
    fn of(error: &std::io::Error, home: &Home) -> NoAnswer {
        let socket = home.daemon_socket();
        match error.kind() {
            // No socket, or one that a killed daemon left; but somebody may have removed a living one's.
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => NoAnswer::Down,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                NoAnswer::Silent(format!("the daemon does not answer within {} s", PATIENCE.as_secs()))
            }
            ErrorKind::PermissionDenied => NoAnswer::Silent(format!(
                "the daemon may only be asked by the user who started it (no permission for `{}`)",
                socket.display()
            )),
            _ => NoAnswer::Silent(format!("the daemon does not answer ({error} at `{}`)", socket.display())),
        }
    }
}

/// Asks the daemon one thing.
pub fn ask(home: &Home, request: &Value) -> Result<Value, NoAnswer> {
    let told = |e: std::io::Error| NoAnswer::of(&e, home);
    let mut stream = UnixStream::connect(home.daemon_socket()).map_err(told)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(told)?;
    stream.write_all(format!("{request}\n").as_bytes()).map_err(told)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(told)?;
    serde_json::from_str(&line)
        .map_err(|_| NoAnswer::Silent("the daemon answered with something else than JSON".to_owned()))
}

/// The halt that the home keeps, if there is one.
pub fn kept_halt(home: &Home) -> Result<Option<Halt>, Fail> {
    Halt::read(home).map_err(Fail::doing(format!("cannot read `{}`", Halt::path(home).display())))
}

/// `traider halt`, `traider resume`: an operator's command with its reason.
pub fn command(ctx: &Context<'_>, name: &str, reason: &str) -> Result<u8, Fail> {
    if reason.trim().is_empty() {
        return Err(Fail::new(code::USAGE, format!("`{name}` needs a reason in words: --reason \"...\"")));
    }
    let answer = match ask(&ctx.home, &json!({"command": name, "reason": reason})) {
        Ok(answer) => answer,
        Err(NoAnswer::Silent(why)) => {
            let message = format!("{why}; whether `{name}` was heard is not known: `traider status` shows the state");
            return Err(Fail::new(code::UNREACHABLE, message));
        }
        Err(NoAnswer::Down) if up::running(&ctx.home).is_some() => {
            let message = "traider runs here, but its daemon cannot be reached; `traider down` stops everything";
            return Err(Fail::new(code::UNREACHABLE, message));
        }
        Err(NoAnswer::Down) => in_the_file(ctx, name, reason)?,
    };
    if let Some(error) = answer["error"].as_str() {
        return Err(Fail::plain(error));
    }
    ctx.out.value(&answer, |answer| match answer["note"].as_str() {
        Some(note) => say!("{name}: done; {note}"),
        None => say!("{name}: done; `traider status` shows the state"),
    });
    Ok(0)
}

/// No daemon runs: the next one shall know.
fn in_the_file(ctx: &Context<'_>, name: &str, reason: &str) -> Result<Value, Fail> {
    let fail = || Fail::doing(format!("cannot change `{}`", Halt::path(&ctx.home).display()));
    let kept = kept_halt(&ctx.home)?;
    if name == "halt" {
        ctx.home.prepare()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let halt = Halt { reason: note(reason), run: String::new(), ts_ns: u64::try_from(now).unwrap_or(u64::MAX) };
        if kept.is_none() {
            halt.write(&ctx.home).map_err(fail())?;
        }
        return Ok(json!({"halted": true, "note": "no daemon runs; the next one begins halted"}));
    }
    let Some(halt) = kept else {
        return Err(Fail::new(code::CONFLICT, "nothing is halted here, and no daemon runs; `traider up` starts one"));
    };
    Halt::lift(&ctx.home).map_err(fail())?;
    let note = format!("lifted: {}; no daemon runs, the next one may trade", halt.reason);
    Ok(json!({"halted": false, "lifted": halt, "note": note}))
}
