//! `traider doctor`: is everything here that is needed, and what to do about what is not.

use crate::cli::Context;
use crate::fail::Fail;
use crate::trading::array;
use crate::{config, exec, out};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Runs the verb. Exit code 0 when nothing is wrong, 1 otherwise.
pub fn doctor(ctx: &Context<'_>) -> Result<u8, Fail> {
    let checks = [home(ctx), fsync(ctx), settings(ctx), postgres(ctx), binaries()];
    let ok = checks.iter().all(|c| c["ok"] == true);
    ctx.out.value(&json!({"ok": ok, "checks": checks}), |v| {
        for check in array(&v["checks"]) {
            let mark = if check["ok"] == true { "ok  " } else { "FAIL" };
            say!("{mark}  {:<10} {}", out::text(&check["check"]), out::text(&check["found"]));
            if let Some(todo) = check["do"].as_str() {
                say!("      -> {todo}");
            }
        }
    });
    Ok(u8::from(!ok))
}

fn check(name: &str, result: Result<String, (String, String)>) -> Value {
    match result {
        Ok(found) => json!({"check": name, "ok": true, "found": found}),
        Err((found, todo)) => json!({"check": name, "ok": false, "found": found, "do": todo}),
    }
}

fn home(ctx: &Context<'_>) -> Value {
    let result = match ctx.home.prepare() {
        Ok(()) => Ok(ctx.home.root().display().to_string()),
        Err(e) => Err((e.to_string(), "give another folder with --home or mend its permissions".to_owned())),
    };
    check("home", result)
}

fn fsync(ctx: &Context<'_>) -> Value {
    let path = ctx.home.run().join(".doctor");
    let measure = || -> std::io::Result<Duration> {
        use std::io::Write;
        let mut file = std::fs::File::create(&path)?;
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            file.write_all(&[0; 256])?;
            let start = Instant::now();
            file.sync_data()?;
            slowest = slowest.max(start.elapsed());
        }
        std::fs::remove_file(&path)?;
        Ok(slowest)
    };
    check(
        "disk",
        match measure() {
            Ok(slowest) if slowest < Duration::from_millis(100) => Ok(format!("20 syncs, slowest {slowest:.1?}")),
            Ok(slowest) => Err((
                format!("a sync took {slowest:.1?}"),
                "the journal wants a local disk; move the home folder with --home".to_owned(),
            )),
            Err(e) => Err((e.to_string(), "see the home folder above".to_owned())),
        },
    )
}

fn settings(ctx: &Context<'_>) -> Value {
    let result = config::load(ctx, None)
        .map(|l| format!("strategies {}", l.config.run.strategies.join(", ")))
        .map_err(|e| (e.message, "mend the file, then `traider config check`".to_owned()));
    check("settings", result)
}

fn postgres(ctx: &Context<'_>) -> Value {
    if std::env::var_os("DATABASE_URL").is_some() {
        return check("postgres", Ok("DATABASE_URL is set; that database is used".to_owned()));
    }
    let result = store::embedded::find_programs(&ctx.home)
        .map(|dir| format!("found in `{}`", dir.display()))
        .map_err(|e| (e.to_string(), "`make setup` installs it".to_owned()));
    check("postgres", result)
}

fn binaries() -> Value {
    let missing: Vec<&str> = ["traiderd", "traider-emulator", "traider-worker", "traider-dashboard"]
        .into_iter()
        .filter(|name| exec::sibling(name).is_err())
        .collect();
    let result = if missing.is_empty() {
        let research = if exec::sibling("traider-research").is_ok() { "" } else { " (traider-research not built yet)" };
        Ok(format!("all there{research}"))
    } else {
        Err((format!("missing: {}", missing.join(", ")), "`make build` builds them".to_owned()))
    };
    check("programs", result)
}
