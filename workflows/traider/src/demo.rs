//! `traider demo`: the offline market with everything around it, in one process tree.
//!
//! Order of start: emulator, daemon, page (so that something ticks first), then database and worker. Order of stop:
//! daemon (it cancels its orders), emulator, worker, page, database.

use crate::cli::{Context, DemoArgs};
use crate::database::{Database, store_fail};
use crate::fail::{Fail, code};
use crate::supervise::{Kept, Process, Stop, WORKER_STOPPING};
use crate::up::lock;
use crate::{config, daemon, exec};
use serde_json::{Value, json};
use settings::home::write_durably;
use settings::{Home, Mode};
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

pub const READY: Duration = Duration::from_secs(60);
pub const STOPPING: Duration = Duration::from_secs(10);
/// A daemon that keeps dying is not restarted for ever.
const RESTARTS_MAX: u32 = 50;

/// Runs the demo in the foreground.
pub fn demo(ctx: &Context<'_>, args: &DemoArgs) -> Result<u8, Fail> {
    let plan = Plan::make(ctx, args)?;
    if !args.headless {
        // Said before anything is started, so that nothing half-runs.
        database_possible(&ctx.home)?;
    }
    let _lock = lock(&ctx.home)?;
    let stop = Stop::listen()?;
    if let Some(halt) = daemon::kept_halt(&ctx.home)? {
        ctx.out.note(&format!("{halt}; `traider resume --reason ...` lifts it"));
    }
    let mut market = Market::start(ctx, &plan, &stop)?;
    if args.headless { headless(ctx, &mut market, &stop) } else { watched(ctx, &plan, market, &stop) }
}

/// What is to be run.
pub struct Plan {
    mode: Mode,
    pub source: String,
    pub speed: String,
    pub seconds: Option<u64>,
    pub config: settings::Config,
    engine: domain::config::EngineConfig,
    pub symbols_given: bool,
}

impl Plan {
    /// Checks what was asked for and reads the settings.
    pub fn make(ctx: &Context<'_>, args: &DemoArgs) -> Result<Plan, Fail> {
        let loaded = config::load(ctx, Some(args))?;
        let seed = loaded.config.run.seed;
        let (mode, source) = match args.source.split_once(':') {
            None if args.source == "synthetic" => (Mode::Demo, format!("synthetic:{seed}")),
            Some(("synthetic", s)) if s.parse::<u64>().is_ok() => (Mode::Demo, args.source.clone()),
            Some(("capture", file)) if !file.is_empty() => (Mode::Capture, args.source.clone()),
            _ => {
                return Err(Fail::new(
                    code::USAGE,
                    format!("`{}` is not a source; use synthetic, synthetic:SEED or capture:FILE", args.source),
                ));
            }
        };
        if args.speed != "max" && !args.speed.parse::<f64>().is_ok_and(|s| s > 0.0 && s.is_finite()) {
            return Err(Fail::new(code::USAGE, format!("`{}` is not a speed; use 1, 10, ... or max", args.speed)));
        }
        ctx.home.prepare()?;
        let seconds = args.seconds.or((args.headless && mode == Mode::Demo).then_some(60));
        Ok(Plan {
            mode,
            source,
            speed: args.speed.clone(),
            seconds,
            engine: loaded.engine_config()?,
            config: loaded.config,
            symbols_given: args.symbols.is_some(),
        })
    }

    /// Venues to watch: only beside a market that runs in real time, because a replayed one has a time of its own.
    pub fn watched(&self) -> &[String] {
        if self.clock() == "wall" { &self.config.run.watch } else { &[] }
    }

    /// Our own clock where the market runs in real time; the market's otherwise.
    fn clock(&self) -> &'static str {
        if self.mode == Mode::Demo && self.speed == "1" { "wall" } else { "source" }
    }
}

/// Emulators and daemon.
struct Market {
    emulator: Process,
    /// Emulators of venues that are only watched.
    watched: Vec<Process>,
    address: String,
    daemon: Process,
    daemon_args: Vec<String>,
    run_id: String,
    summary: PathBuf,
    restarts: u32,
}

impl Market {
    fn start(ctx: &Context<'_>, plan: &Plan, stop: &Stop) -> Result<Market, Fail> {
        let (home, logs) = (&ctx.home, ctx.home.logs());
        let mut emulator = Process::start("traider-emulator", emulator_command(plan)?, &logs)?;
        let ready = emulator.ready(READY, stop)?;
        let address = ready["address"].as_str().unwrap_or_default().to_owned();
        let url = format!("http://{address}");
        let symbols = match ready["symbols"].as_array() {
            Some(own) if !plan.symbols_given => own.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => plan.config.run.symbols.clone(),
        };

        let (watched, watch_args) = start_watched(ctx, plan, stop)?;
        let run_id = ulid::Ulid::generate().to_string();
        let engine = home.run().join("engine.json");
        let json =
            serde_json::to_vec_pretty(&plan.engine).map_err(Fail::doing("cannot write the engine's settings"))?;
        write_durably(&engine, &json).map_err(Fail::doing(format!("cannot write `{}`", engine.display())))?;
        let summary = home.run().join(format!("summary-{run_id}.json"));
        let daemon_args: Vec<String> = [
            ("--home", home.root().display().to_string()),
            ("--engine-config", engine.display().to_string()),
            ("--venue-url", url),
            ("--symbols", symbols.join(",")),
            ("--mode", plan.mode.name().to_owned()),
            ("--source", plan.source.clone()),
            ("--seed", plan.config.run.seed.to_string()),
            ("--clock", plan.clock().to_owned()),
            ("--parent-pid", std::process::id().to_string()),
            ("--summary", summary.display().to_string()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .chain(watch_args)
        .chain(plan.config.run.tape.then(|| "--tape".to_owned()))
        .collect();
        let mut command = Command::new(exec::sibling("traiderd")?);
        command.args(&daemon_args).args(["--run-id", &run_id]);
        let daemon = Process::start("traiderd", command, &logs)?;
        Ok(Market { emulator, watched, address, daemon, daemon_args, run_id, summary, restarts: 0 })
    }

    /// Looks after the daemon: a killed one is started again on the same journal. `Some` when the run is over.
    fn tend(&mut self, ctx: &Context<'_>) -> Result<Option<()>, Fail> {
        if self.emulator.ended().is_some() && self.daemon.ended().is_none() {
            return Err(self.emulator.died());
        }
        let fell = self.watched.iter_mut().position(|emulator| emulator.ended().is_some());
        if let Some(at) = fell {
            // The daemon goes on without it, and says so.
            let gone = self.watched.remove(at);
            ctx.out.note(&format!("{} has ended; that venue stays away", gone.name()));
        }
        let Some(status) = self.daemon.ended() else { return Ok(None) };
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(Some(())),
            (None, Some(signal)) if self.restarts < RESTARTS_MAX => {
                self.restarts += 1;
                ctx.out.note(&format!(
                    "the daemon was killed by signal {signal}; starting it again on run {}",
                    self.run_id
                ));
                let mut command = Command::new(exec::sibling("traiderd")?);
                command.args(&self.daemon_args).args(["--run", &self.run_id]);
                self.daemon = Process::start("traiderd", command, &ctx.home.logs())?;
                Ok(None)
            }
            _ => Err(self.daemon.died()),
        }
    }

    /// What the emulated venue itself says of orders, fills and balances.
    fn venue(&self) -> Result<Value, Fail> {
        let body = http_get(&self.address, "/emulator/status")
            .map_err(Fail::doing("the emulated venue does not say what it booked"))?;
        let status: Value = serde_json::from_slice(&body).map_err(Fail::doing("the emulated venue's status"))?;
        let mut balances = serde_json::Map::new();
        for row in crate::trading::array(&status["account"]["balances"]) {
            let part = |key: &str| domain::Decimal::parse(row[key].as_str().unwrap_or_default()).ok();
            let total = part("free").and_then(|free| free.checked_add(part("locked")?));
            balances.insert(crate::out::text(&row["asset"]), json!(total.map(domain::Decimal::normalized)));
        }
        Ok(json!({"orders": status["orders"], "fills": status["trades"], "balances": balances}))
    }

    fn stop(&mut self) {
        self.daemon.stop(STOPPING);
        self.emulator.stop(STOPPING);
        self.watched.iter_mut().for_each(|emulator| emulator.stop(STOPPING));
    }
}

/// One request, one answer, on loopback.
fn http_get(address: &str, path: &str) -> std::io::Result<Vec<u8>> {
    use std::io::{Error, Read, Write};
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(|| Error::other("no answer"))?;
    Ok(answer.split_off(head + 4))
}

/// Starts an emulator for each venue that is watched, and says how the daemon is told.
fn start_watched(ctx: &Context<'_>, plan: &Plan, stop: &Stop) -> Result<(Vec<Process>, Vec<String>), Fail> {
    let (mut all, mut args) = (Vec::new(), Vec::new());
    for (n, watched) in (1u64..).zip(plan.watched()) {
        let Some((venue, symbols)) = watched.split_once(':') else {
            let wrong = format!("`{watched}` in run.watch is no venue to watch; write it as kraken:BTC/USD");
            return Err(Fail::new(code::USAGE, wrong));
        };
        // A market of its own: venues that always agreed would prove nothing.
        let seed = plan.config.run.seed.wrapping_add(n);
        let mut command = Command::new(exec::sibling("traider-emulator")?);
        command.args(["--dialect", venue, "--symbols", symbols, "--source", &format!("synthetic:{seed}")]);
        command.args(["--parent-pid", &std::process::id().to_string()]);
        if let Some(seconds) = plan.seconds {
            command.args(["--seconds", &seconds.to_string()]);
        }
        let mut emulator = Process::start(&format!("traider-emulator-{venue}"), command, &ctx.home.logs())?;
        let ready = emulator.ready(READY, stop)?;
        let address = ready["address"].as_str().unwrap_or_default();
        args.extend(["--watch".to_owned(), format!("{venue}=http://{address};{symbols}")]);
        all.push(emulator);
    }
    Ok((all, args))
}

fn emulator_command(plan: &Plan) -> Result<Command, Fail> {
    let mut command = Command::new(exec::sibling("traider-emulator")?);
    command
        .args(["--source", &plan.source, "--speed", &plan.speed])
        .args(["--quote-balance", &plan.config.demo.quote_balance.to_string()])
        .args(["--base-balance", &plan.config.demo.base_balance.to_string()])
        .args(["--queue", &plan.config.demo.queue])
        .args(["--parent-pid", &std::process::id().to_string()]);
    if plan.clock() == "source" {
        command.arg("--source-clock");
    }
    if let Some(seconds) = plan.seconds {
        command.args(["--seconds", &seconds.to_string()]);
    }
    Ok(command)
}

fn headless(ctx: &Context<'_>, market: &mut Market, stop: &Stop) -> Result<u8, Fail> {
    ctx.out.note(&format!("run {}: paper only, no keys, no network, no real money", market.run_id));
    while market.tend(ctx)?.is_none() {
        if stop.asked() {
            market.stop();
            return Err(stop.interrupted());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let venue = market.venue();
    market.stop();
    let text = std::fs::read(&market.summary)
        .map_err(Fail::doing(format!("the daemon left no summary at `{}`", market.summary.display())))?;
    let mut summary: Value = serde_json::from_slice(&text).map_err(Fail::doing("the daemon's summary is damaged"))?;
    summary["restarts"] = json!(market.restarts);
    // The venue's own books, for comparison with ours.
    summary["venue"] = venue?;
    ctx.out.value(&summary, say_summary);
    Ok(0)
}

fn say_summary(v: &Value) {
    say!("run {}", crate::out::text(&v["run_id"]));
    for key in ["frames", "book", "orders", "fills", "position", "journal"] {
        say!("{key:>12}  {}", crate::out::brief(&v[key]));
    }
    for (group, unit) in [("pnl", ""), ("latency_ns", " ns")] {
        for (name, values) in v[group].as_object().into_iter().flatten() {
            say!("{:>12}  {}", format!("{name}{unit}"), crate::out::brief(values));
        }
    }
    if !v["halt"].is_null() {
        say!(
            "{:>12}  {}; no entries until `traider resume --reason ...`",
            "halted",
            crate::out::text(&v["halt"]["reason"])
        );
    }
    say!("next: traider orders list; traider why ORDER; traider parity");
}

/// The demo with page, database and worker, until Ctrl-C.
fn watched(ctx: &Context<'_>, plan: &Plan, mut market: Market, stop: &Stop) -> Result<u8, Fail> {
    let (home, pid) = (&ctx.home, std::process::id().to_string());
    let page_args = |port: u16| -> Vec<String> {
        let root = home.root().display().to_string();
        ["--home", &root, "--port", &port.to_string(), "--parent-pid", &pid].map(str::to_owned).to_vec()
    };
    let mut page = Kept::new("traider-dashboard", page_args(plan.config.dashboard.port), home.logs());
    let ready = page.start()?.ready(READY, stop)?;
    let url = ready["url"].as_str().unwrap_or_default().to_owned();
    // A page that comes back has to be where it was, also when the port was any free one.
    if let Some(port) = url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok()) {
        page.args = page_args(port);
    }
    let mut state = json!({
        "pid": std::process::id(), "run_id": market.run_id, "dashboard": url, "source": plan.source, "ended": false
    });
    let _gone = tell(home, &state)?;
    ctx.out.note("Paper only: no keys, no network, no real money.");
    ctx.out.note(&format!("data folder  {}", home.root().display()));
    // With the page's token, which a log file must not hold.
    let open = ready["open"].as_str().filter(|_| std::io::stderr().is_terminal()).unwrap_or(&url);
    ctx.out.note(&format!("dashboard    {open}"));

    let database = Database::open(home).map_err(|e| if stop.asked() { stop.interrupted() } else { e })?;
    let root = home.root().display().to_string();
    let mut worker_args = ["run", "--home", &root, "--parent-pid", &pid].map(str::to_owned).to_vec();
    if let Some(file) = &ctx.global.config {
        worker_args.extend(["--config".to_owned(), file.display().to_string()]);
    }
    // What is off unless somebody wants it; the worker's arguments but for the verb.
    let wanted = [("traider-webhook", plan.config.webhook.enabled), ("traider-fanout", plan.config.redis.enabled)];
    let wanted = wanted.into_iter().filter(|(_, wanted)| *wanted);
    let mut extras: Vec<Kept> =
        wanted.map(|(name, _)| Kept::new(name, worker_args[1..].to_vec(), home.logs())).collect();
    let mut worker = Kept::new("traider-worker", worker_args, home.logs());
    let ended = worker.start().and_then(|started| started.ready(READY, stop)).and_then(|_| {
        ctx.out.note("worker       ready; Ctrl-C stops everything");
        if ctx.out.json() {
            ctx.out.value(&state, |_| {});
        }
        let mut helpers = vec![&mut page, &mut worker];
        for extra in &mut extras {
            extra.start()?;
            helpers.push(extra);
        }
        keep(ctx, &mut market, &mut helpers, stop, &mut state)
    });
    // However it ended: the daemon first, because it cancels its orders, the database last.
    ctx.out.note("stopping: daemon (cancels its orders), market, worker, page, database");
    market.stop();
    extras.iter_mut().for_each(|extra| extra.stop(STOPPING));
    worker.stop(WORKER_STOPPING);
    page.stop(STOPPING);
    database.close()?;
    ended?;
    if stop.by_ctrl_c() { Err(stop.interrupted()) } else { Ok(0) }
}

fn state_path(home: &Home) -> PathBuf {
    home.run().join("up.json")
}

/// Says what runs, for as long as the answer is kept.
fn tell(home: &Home, state: &Value) -> Result<Remove, Fail> {
    let path = state_path(home);
    write_durably(&path, state.to_string().as_bytes()).map_err(Fail::doing("cannot write run/up.json"))?;
    Ok(Remove(path))
}

/// Looks after everything until a stop is asked for. Page and worker come back when they die; that they do not is no
/// reason to stop trading.
fn keep(
    ctx: &Context<'_>,
    market: &mut Market,
    helpers: &mut [&mut Kept],
    stop: &Stop,
    state: &mut Value,
) -> Result<(), Fail> {
    let mut over = false;
    while !stop.asked() {
        if !over && market.tend(ctx)?.is_some() {
            over = true;
            ctx.out.note("the market has ended; page and worker stay until Ctrl-C");
            state["ended"] = json!(true);
            write_durably(&state_path(&ctx.home), state.to_string().as_bytes())
                .map_err(Fail::doing("cannot write run/up.json"))?;
        }
        for helper in helpers.iter_mut() {
            helper.tend(ctx.out);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Fails when no database can be had here.
pub fn database_possible(home: &Home) -> Result<(), Fail> {
    if std::env::var_os("DATABASE_URL").is_none() {
        store::embedded::find_programs(home).map_err(store_fail)?;
    }
    Ok(())
}

struct Remove(PathBuf);
impl Drop for Remove {
    fn drop(&mut self) {
        // Already gone is as good.
        std::fs::remove_file(&self.0).ok();
    }
}
