//! Talking to the daemon over its control socket: one JSON line in, one out.

use crate::cli::Context;
use crate::fail::{Fail, code};
use serde_json::{Value, json};
use settings::Home;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Asks the daemon; `Err` when none runs here or it does not answer in 2 s.
pub fn ask(home: &Home, request: &Value) -> Result<Value, Fail> {
    let path = home.daemon_socket();
    let down = |e: std::io::Error| {
        Fail::new(
            code::UNREACHABLE,
            format!("the daemon does not run here ({e} at `{}`); `traider up` starts it", path.display()),
        )
    };
    let mut stream = UnixStream::connect(&path).map_err(down)?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).map_err(down)?;
    stream.set_write_timeout(Some(Duration::from_secs(2))).map_err(down)?;
    stream.write_all(format!("{request}\n").as_bytes()).map_err(down)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(down)?;
    serde_json::from_str(&line)
        .map_err(|_| Fail::plain("the daemon answered with something else than JSON; is it of the same build?"))
}

/// Sends an operator command with its reason.
pub fn command(ctx: &Context<'_>, name: &str, reason: &str) -> Result<u8, Fail> {
    let answer = ask(&ctx.home, &json!({"command": name, "reason": reason}))?;
    if let Some(error) = answer["error"].as_str() {
        return Err(Fail::plain(error));
    }
    ctx.out.value(&answer, |_| println!("{name}: done; `traider status` shows the state"));
    Ok(0)
}
