//! `traider up` and `down`, and the lock that makes one supervisor per home.

use crate::cli::{Context, DemoArgs};
use crate::demo::{Plan, READY, STOPPING, database_possible};
use crate::exec;
use crate::fail::{Fail, code};
use crate::supervise::{Stop, WORKER_STOPPING, alive};
use serde_json::{Value, json};
use settings::Home;
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Beside the folders, not in `run/`: what is swept there must not let a second supervisor in.
fn lock_path(home: &Home) -> PathBuf {
    home.root().join("up.lock")
}

/// One supervisor per home. The lock file names its pid; the kernel gives up the lock however it ends.
pub fn lock(home: &Home) -> Result<File, Fail> {
    use std::io::Write;
    let path = lock_path(home);
    let fail = || Fail::doing(format!("cannot write `{}`", path.display()));
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let mut file = opened.map_err(fail())?;
    // Somebody who only looks holds the lock for a moment.
    let until = Instant::now() + Duration::from_secs(1);
    while file.try_lock().is_err() {
        if Instant::now() > until {
            return Err(Fail::new(
                code::CONFLICT,
                format!(
                    "traider already runs in `{}`; `traider down` stops it, or choose another folder with --home",
                    home.root().display()
                ),
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(fail())?;
    Ok(file)
}

/// What runs here, if anything does: its pid, and once its page is up also where that is.
pub fn running(home: &Home) -> Option<Value> {
    let path = lock_path(home);
    let file = File::open(&path).ok()?;
    if file.try_lock_shared().is_ok() {
        return None;
    }
    let pid: i64 = std::fs::read_to_string(&path).ok()?.trim().parse().ok()?;
    let known = std::fs::read(home.run().join("up.json")).ok();
    let state: Option<Value> = known.and_then(|text| serde_json::from_slice(&text).ok());
    Some(state.filter(|s| s["pid"] == pid).unwrap_or_else(|| json!({"pid": pid})))
}

/// `traider up`: the demo in the background.
pub fn up(ctx: &Context<'_>, args: &DemoArgs) -> Result<u8, Fail> {
    use std::os::unix::process::CommandExt;
    if args.headless {
        return Err(Fail::new(code::USAGE, "`up` has no --headless; use `traider demo --headless`"));
    }
    let plan = Plan::make(ctx, args)?;
    database_possible(&ctx.home)?;
    drop(lock(&ctx.home)?);
    let log = ctx.home.logs().join("up.log");
    let file = File::create(&log).map_err(Fail::doing(format!("cannot write `{}`", log.display())))?;
    let mut command = Command::new(exec::sibling("traider")?);
    command.arg("demo").arg("--home").arg(ctx.home.root()).args(["--source", &plan.source, "--speed", &plan.speed]);
    if let Some(file) = &ctx.global.config {
        command.arg("--config").arg(file);
    }
    if let Some(seconds) = plan.seconds {
        command.args(["--seconds", &seconds.to_string()]);
    }
    command.args(["--seed", &plan.config.run.seed.to_string()]);
    command.args(["--strategies", &plan.config.run.strategies.join(",")]);
    command.args(["--port", &plan.config.dashboard.port.to_string()]);
    for watched in plan.watched() {
        command.args(["--watch", watched]);
    }
    if plan.watched().is_empty() {
        command.args(["--watch", "none"]);
    }
    if plan.symbols_given {
        command.args(["--symbols", &plan.config.run.symbols.join(",")]);
    }
    let errors = file.try_clone().map_err(Fail::doing("cannot write the log"))?;
    command.stdin(std::process::Stdio::null()).stdout(file).stderr(errors).process_group(0);
    let mut child = command.spawn().map_err(Fail::doing("cannot start in the background"))?;
    let stop = Stop::listen()?;
    let until = Instant::now() + READY;
    loop {
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        if let Some(state) = running(&ctx.home).filter(|s| s["pid"] == child.id() && said().contains("worker ")) {
            ctx.out.value(&state, |v| {
                say!("up: run {}, page {}", crate::out::text(&v["run_id"]), crate::out::text(&v["dashboard"]));
            });
            return Ok(0);
        }
        if let Ok(Some(status)) = child.try_wait() {
            let exit = status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(code::FAILURE);
            return Err(Fail::new(exit, said().trim().trim_start_matches("error: ").to_owned()));
        }
        if stop.asked() || Instant::now() > until {
            let pid = i32::try_from(child.id()).unwrap_or_default();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).ok();
            child.wait().ok();
            return Err(if stop.asked() {
                stop.interrupted()
            } else {
                Fail::new(code::UNREACHABLE, format!("not up within {READY:?}; see `{}`", log.display()))
            });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `traider down`.
pub fn down(ctx: &Context<'_>) -> Result<u8, Fail> {
    let Some(state) = running(&ctx.home) else {
        ctx.out.value(&json!({"down": true, "was_running": false}), |_| say!("nothing runs here"));
        return Ok(0);
    };
    let pid = i32::try_from(state["pid"].as_i64().unwrap_or_default()).unwrap_or_default();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM)
        .map_err(Fail::doing("cannot stop it"))?;
    let until = Instant::now() + WORKER_STOPPING + 4 * STOPPING;
    while alive(pid) {
        if Instant::now() > until {
            return Err(Fail::plain(format!(
                "process {pid} does not stop; its log is `{}`",
                ctx.home.logs().display()
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    ctx.out.value(&json!({"down": true, "was_running": true}), |_| say!("stopped"));
    Ok(0)
}
