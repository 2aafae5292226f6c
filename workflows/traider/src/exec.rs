//! Handing a verb to the binary that has the weight for it.

use crate::cli::Context;
use crate::fail::{Fail, code};
use serde_json::Value;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The binary `name` beside this one (or in `TRAIDER_BIN_DIR`).
pub fn sibling(name: &str) -> Result<PathBuf, Fail> {
    let dir = match std::env::var_os("TRAIDER_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => std::env::current_exe()
            .ok()
            .and_then(|p| p.parent().map(PathBuf::from))
            .ok_or_else(|| Fail::plain("cannot tell where traider itself is; set TRAIDER_BIN_DIR"))?,
    };
    let path = dir.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Fail::new(
        code::UNREACHABLE,
        format!("the program `{name}` is not built yet (looked in `{}`); {}", dir.display(), hint(name)),
    ))
}

fn hint(name: &str) -> &'static str {
    match name {
        "traider-research" => "`make research` builds it; `make run` builds it in the background",
        _ => "`make build` builds it",
    }
}

/// Runs `verb` in the worker binary and returns the object it prints, with its exit code: an object may tell what was
/// found and still not be good (8 = a proof failed). An object with an `error` is a failure.
pub fn worker(ctx: &Context<'_>, verb: &str, args: &Value) -> Result<(u8, Value), Fail> {
    let mut command = Command::new(sibling("traider-worker")?);
    command.arg("exec").arg(verb).arg("--home").arg(ctx.home.root()).arg("--json").arg(args.to_string());
    run(command, &format!("traider-worker exec {verb}"))
}

/// Runs SQL in the research binary. While `make run` still builds it, waits instead of failing.
pub fn research_sql(ctx: &Context<'_>, query: &str) -> Result<(u8, Value), Fail> {
    wait_for_research(ctx)?;
    let mut command = Command::new(sibling("traider-research")?);
    command.arg("sql").arg("--home").arg(ctx.home.root()).arg("--json").arg(query);
    run(command, "traider-research sql")
}

fn wait_for_research(ctx: &Context<'_>) -> Result<(), Fail> {
    // `make run` leaves this marker, holding its builder's pid, while the research binary is being built.
    let Ok(path) = sibling("traider").map(|p| p.with_file_name(".traider-research.building")) else { return Ok(()) };
    let mut told = false;
    while sibling("traider-research").is_err() {
        let alive = std::fs::read_to_string(&path)
            .ok()
            .and_then(|t| t.trim().parse::<i32>().ok())
            .is_some_and(crate::supervise::alive);
        if !alive {
            return sibling("traider-research").map(|_| ());
        }
        if !told {
            ctx.out
                .note("the research binary is still being built in the background; waiting for it (Ctrl-C to give up)");
            told = true;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    Ok(())
}

fn run(mut command: Command, what: &str) -> Result<(u8, Value), Fail> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Fail::doing(format!("cannot start {what}")))?;
    // stderr is drained beside stdout, so that neither pipe can fill up and block the child.
    let mut stderr = child.stderr.take();
    let drain = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(pipe) = stderr.as_mut() {
            // What cannot be read cannot be shown; the exit code still tells the outcome.
            drop(pipe.read_to_string(&mut text));
        }
        text
    });
    let output = child.wait_with_output().map_err(Fail::doing(format!("{what} broke off")))?;
    let errors = drain.join().unwrap_or_default();
    let exit = output.status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(code::FAILURE);
    match serde_json::from_slice::<Value>(&output.stdout) {
        Ok(value) if value.get("error").is_none_or(Value::is_null) && output.status.code().is_some() => {
            Ok((exit, value))
        }
        parsed => {
            let stated = parsed.ok().and_then(|v| v["error"]["message"].as_str().map(str::to_owned));
            let said = stated.unwrap_or_else(|| errors.trim().trim_start_matches("error: ").to_owned());
            let said = if said.is_empty() { format!("{what} ended with {}", output.status) } else { said };
            Err(Fail::new(if exit == 0 { code::FAILURE } else { exit }, said))
        }
    }
}
