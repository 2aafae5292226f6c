//! A control plane in the middle of its work: days that went well, one that failed, one that runs, a dead letter, schedules,
//! a backfill, assets made from one another. All through the control plane's own doors; only times are moved.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};
use spec::plan::{Backoff, When};
use spec::{Queue, Retry, RunPlan, StepPlan};
use std::collections::BTreeSet;
use std::time::Duration;
use store::backfill::{Direction, NewBackfill, Reprocess};
use store::context::LogLine;
use store::control::{self, Claimed, Trigger, WorkerId};
use store::schedule::{Catchup, Overlap, Planner, ScheduleRow};
use store::{AssetVersion, Progress, StepError, StepOutcome, StepPointer, Store, backfill, logs, queue, schedule};

pub const LEASE: Duration = Duration::from_secs(600);

/// What is where.
pub struct Seeded {
    pub failed: String,
    pub running: String,
    pub dead: String,
    pub backfill: String,
    /// Newest day that is done.
    pub day: String,
}

pub async fn seed(store: &Store) -> Seeded {
    let today = Utc::now().duration_trunc(TimeDelta::days(1)).unwrap();
    let day = |ago: i64| (today - TimeDelta::days(ago)).format("%Y-%m-%d").to_string();
    for ago in (3..14).rev() {
        let run = start(store, &daily(&day(ago))).await;
        finish_day(store, &run, &day(ago)).await;
        move_back(store, &run, 24 * (ago - 1)).await;
    }
    let failed = start(store, &daily(&day(2))).await;
    done(store, &failed, "ingest", outcome("trades/binance", &day(2), None)).await;
    done(store, &failed, "validate[binance]", StepOutcome::default()).await;
    let step = claim(store, &failed, "validate[kraken]").await;
    let why = "3 of 1440 minutes are missing, the first at 07:12; the venue has no data for them either";
    control::fail(store, &step, &StepError::Permanent(why.to_owned())).await.unwrap();
    done(store, &failed, "ledger", StepOutcome::default()).await;
    done(store, &failed, "tell", StepOutcome::default()).await;
    move_back(store, &failed, 24).await;

    let running = start(store, &daily(&day(1))).await;
    done(store, &running, "ingest", outcome("trades/binance", &day(1), None)).await;
    done(store, &running, "validate[binance]", StepOutcome::default()).await;
    under_way(store, &running).await;

    let dead = start(store, &chain("nightly", &day(1), &["replay", "compare"])).await;
    for _ in 0..2 {
        let step = claim(store, &dead, "replay").await;
        sqlx::query("UPDATE traider.step SET lease_until = now() - interval '1 s' WHERE run = $1 AND name = $2")
            .bind(&step.run)
            .bind(&step.step)
            .execute(&store.pool)
            .await
            .unwrap();
        control::sweep(store, Duration::ZERO).await.unwrap();
    }
    schedules(store).await;
    let backfill = a_backfill(store, today).await;
    Seeded { failed, running, dead, backfill, day: day(3) }
}

fn step(name: &str, job: &str, queue: Queue, needs: &[&str]) -> StepPlan {
    StepPlan {
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        retry: Retry { max: 2, backoff: Backoff::Fixed, base_ms: 0, cap_ms: 0, jitter: false },
        ..StepPlan::of(name, job, queue, json!({}))
    }
}

fn plan(workflow: &str, partition: &str, steps: Vec<StepPlan>) -> RunPlan {
    let about = match workflow {
        "daily" => "journals to lake, validation, features, ledger, report",
        "nightly" => "replays every run and compares hashes",
        _ => "",
    };
    RunPlan {
        workflow: workflow.to_owned(),
        sha256: format!("{workflow}-1"),
        definition: json!({"name": workflow, "description": about}),
        partition: partition.to_owned(),
        params: json!({}),
        steps,
        alert: Vec::new(),
    }
}

pub fn daily(day: &str) -> RunPlan {
    let steps = vec![
        step("ingest", "ingest-journal", Queue::Io, &[]),
        step("validate[binance]", "validate-partition", Queue::Cpu, &["ingest"]),
        step("validate[kraken]", "validate-partition", Queue::Cpu, &["ingest"]),
        step("features", "build-features", Queue::Cpu, &["validate[binance]", "validate[kraken]"]),
        step("ledger", "project-ledger", Queue::Critical, &["ingest"]),
        step("report", "daily-report", Queue::Report, &["features", "ledger"]),
        StepPlan {
            when: When::Failure,
            ..step("tell", "send-message", Queue::Io, &["validate[binance]", "validate[kraken]"])
        },
    ];
    plan("daily", day, steps)
}

/// Steps that need one another in turn.
pub fn chain(workflow: &str, partition: &str, names: &[&str]) -> RunPlan {
    let steps = names.iter().enumerate().map(|(n, name)| step(name, "test-job", Queue::Io, &names[n.max(1) - 1..n]));
    plan(workflow, partition, steps.collect())
}

pub async fn start(store: &Store, plan: &RunPlan) -> String {
    control::start_run(store, plan, Trigger::Manual).await.unwrap().run
}

/// Claims the newest task of a step.
pub async fn claim(store: &Store, run: &str, step: &str) -> Claimed {
    let rows: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT job FROM apalis.jobs ORDER BY id").fetch_all(&store.pool).await.unwrap();
    let mut pointers = rows.iter().map(|bytes| serde_json::from_slice::<StepPointer>(bytes).unwrap());
    let pointer = pointers.rfind(|p| p.run == run && p.step == step).unwrap_or_else(|| panic!("no task {step}"));
    let claimed = control::claim(store, &pointer, &WorkerId::here("io-1"), LEASE).await.unwrap();
    claimed.unwrap_or_else(|| panic!("{step} cannot be claimed"))
}

pub async fn done(store: &Store, run: &str, step: &str, outcome: StepOutcome) {
    let claimed = claim(store, run, step).await;
    control::complete(store, &claimed, outcome).await.unwrap();
}

fn sha(asset: &str, day: &str) -> String {
    format!("{:0<64}", format!("{asset}{day}").bytes().rev().map(|b| format!("{b:x}")).collect::<String>())
}

fn outcome(asset: &str, day: &str, from: Option<&str>) -> StepOutcome {
    let made = AssetVersion {
        asset: asset.to_owned(),
        partition: day.to_owned(),
        sha256: sha(asset, day),
        uri: format!("file:///lake/{asset}/day={day}/part-0.parquet"),
        rows: 1_204_113,
        bytes: 48_201_337,
        min_ts_ns: None,
        max_ts_ns: None,
        schema_hash: "s".to_owned(),
    };
    let read = match from {
        Some(from) => (from.to_owned(), sha(from, day)),
        // A journal: no step made it.
        None => ("journal/01JTEST".to_owned(), sha("journal", day)),
    };
    let summary = json!({"rows": made.rows, "partitions_kept": 0});
    StepOutcome { inputs: vec![read], outputs: vec![made], summary, writes: Vec::new() }
}

async fn finish_day(store: &Store, run: &str, day: &str) {
    done(store, run, "ingest", outcome("trades/binance", day, None)).await;
    for venue in ["validate[binance]", "validate[kraken]"] {
        done(store, run, venue, StepOutcome { summary: json!({"minutes": 1440, "gaps": 0}), ..StepOutcome::default() })
            .await;
    }
    done(store, run, "features", outcome("features/btcusdt", day, Some("trades/binance"))).await;
    done(store, run, "ledger", StepOutcome::default()).await;
    done(store, run, "report", outcome("reports/daily", day, Some("features/btcusdt"))).await;
}

/// A step that says how far it is, and a log.
async fn under_way(store: &Store, run: &str) {
    for table in ["traider.attempt", "traider.step"] {
        let sql = format!(
            "UPDATE {table} SET started_at = now() - interval '130 s', ended_at = now() - interval '97 s' WHERE run = $1 AND state = 'done'"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(run).execute(&store.pool).await.unwrap();
    }
    let step = claim(store, run, "validate[kraken]").await;
    let progress = Progress { done: 610, total: 1440, unit: "minutes".to_owned() };
    control::heartbeat(store, &step, LEASE, Some(&progress)).await.unwrap();
    sqlx::query("UPDATE traider.step SET started_at = now() - interval '95 s' WHERE run = $1 AND state = 'running'")
        .bind(run)
        .execute(&store.pool)
        .await
        .unwrap();
    sqlx::query("UPDATE traider.run SET started_at = now() - interval '130 s', queued_at = now() - interval '131 s' WHERE id = $1")
        .bind(run)
        .execute(&store.pool)
        .await
        .unwrap();
    let name = WorkerId::here("io-1").name;
    queue::alive(store, &[(name, Queue::Io), (WorkerId::here("cpu-1").name, Queue::Cpu)]).await.unwrap();
    let line = |n: i64| {
        let (level, message) = match n {
            17 => ("warn", "07:12 has no trades; asking the venue once more".to_owned()),
            31 => ("error", "the venue answered 503; trying again in 2 s".to_owned()),
            _ => ("info", format!("minute {:02}:{:02} holds: {} trades", n / 6, n % 6 * 10, 700 + n * 7)),
        };
        LogLine { ts: Utc::now() - TimeDelta::seconds(60 - n), level, message }
    };
    let lines: Vec<LogLine> = (0..60).map(line).collect();
    logs::append(store, run, "validate[kraken]", 1, &lines).await.unwrap();
}

/// As if the run had been `hours` ago, with steps that took their time.
async fn move_back(store: &Store, run: &str, hours: i64) {
    const MOVES: [&str; 3] = [
        "UPDATE traider.step SET started_at = now() - make_interval(hours => $2) + ordinal * interval '41 s',
            ended_at = now() - make_interval(hours => $2) + ordinal * interval '41 s' + interval '63 s'
         WHERE run = $1 AND started_at IS NOT NULL",
        "UPDATE traider.attempt AS a SET started_at = s.started_at, ended_at = s.ended_at
         FROM traider.step AS s WHERE a.run = $1 AND s.run = a.run AND s.name = a.step",
        "UPDATE traider.run SET queued_at = now() - make_interval(hours => $2) - interval '2 s',
            started_at = now() - make_interval(hours => $2),
            ended_at = (SELECT max(ended_at) FROM traider.step WHERE run = $1 AND ended_at < now() - interval '10 s') WHERE id = $1",
    ];
    for sql in MOVES {
        let moved = sqlx::query(sql).bind(run);
        let moved = if sql.contains("$2") { moved.bind(i32::try_from(hours).unwrap()) } else { moved };
        moved.execute(&store.pool).await.unwrap();
    }
}

/// Hours for `hourly`, days for all else.
struct Clock;

impl Clock {
    fn period(schedule: &ScheduleRow) -> TimeDelta {
        if schedule.name == "hourly" { TimeDelta::hours(1) } else { TimeDelta::days(1) }
    }
}

impl Planner for Clock {
    fn slots(
        &self,
        schedule: &ScheduleRow,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DateTime<Utc>>, String> {
        let period = Clock::period(schedule);
        let first = after.duration_trunc(period).unwrap() + period;
        let slots = (0i32..).map(|n| first + period * n).take_while(|slot| *slot <= until);
        Ok(slots.take(limit).collect())
    }
    fn jitter(&self, _: &ScheduleRow, _: DateTime<Utc>) -> Duration {
        Duration::ZERO
    }
    fn partition(&self, _: &str, at: DateTime<Utc>) -> Result<String, String> {
        Ok((at - TimeDelta::hours(1)).format("%Y-%m-%dT%H").to_string())
    }
    fn plan(&self, workflow: &str, partition: &str, _: Option<DateTime<Utc>>) -> Result<RunPlan, String> {
        Ok(chain(workflow, partition, &["ingest"]))
    }
}

async fn schedules(store: &Store) {
    let row = |name: &str, cron: &str, catchup, overlap| ScheduleRow {
        name: name.to_owned(),
        workflow: name.to_owned(),
        cron: cron.to_owned(),
        tz: "UTC".to_owned(),
        catchup,
        overlap,
        catchup_window_s: Some(3 * 86_400),
        jitter_s: 0,
        start_at: None,
        depends_on_past: false,
    };
    let rows = [
        row("backup", "40 3 * * *", Catchup::Latest, Overlap::Skip),
        row("hourly", "5 * * * *", Catchup::Latest, Overlap::Allow),
        row("ledger-check", "30 2 * * *", Catchup::Latest, Overlap::Skip),
        row("retention", "10 3 * * *", Catchup::None, Overlap::BufferOne),
    ];
    let before = Utc::now() - TimeDelta::hours(30);
    let problems = schedule::sync(store, &rows, &BTreeSet::new(), before, &Clock).await.unwrap();
    assert_eq!(problems, Vec::<String>::new());
    for hours in [29, 20, 10, 5, 1, 0] {
        let now = Utc::now() - TimeDelta::hours(hours);
        for run in schedule::tick(store, now, &Clock).await.unwrap().started {
            done(store, &run, "ingest", StepOutcome::default()).await;
        }
    }
    schedule::pause(store, "retention", "the archive disk is being replaced", Utc::now()).await.unwrap();
}

/// A backfill of which nothing has begun.
pub async fn backfill_of(store: &Store, workflow: &str, parts: u8) -> String {
    let new = NewBackfill {
        workflow: workflow.to_owned(),
        keys: (0..parts).map(|n| format!("part-{n}")).collect(),
        params: json!({}),
        direction: Direction::Oldest,
        reprocess: Reprocess::All,
        max_active: 1,
    };
    backfill::start(store, &new, Utc::now(), |key| Ok(chain(workflow, key, &["a"]))).await.unwrap()
}

async fn a_backfill(store: &Store, today: DateTime<Utc>) -> String {
    let keys = (40..64).rev().map(|ago| (today - TimeDelta::days(ago)).format("%Y-%m-%d").to_string());
    let new = NewBackfill {
        workflow: "daily".to_owned(),
        keys: keys.collect(),
        params: json!({}),
        direction: Direction::Oldest,
        reprocess: Reprocess::Missing,
        max_active: 2,
    };
    let id = backfill::start(store, &new, Utc::now(), |key| Ok(daily(key))).await.unwrap();
    for _ in 0..4 {
        let pinned = |pinned: &backfill::Pinned<'_>| Ok(daily(pinned.partition));
        for run in backfill::tick(store, Utc::now(), &pinned).await.unwrap().started {
            let partition: Value = json!(store::view::show_run(store, &run).await.unwrap().run.partition);
            finish_day(store, &run, partition.as_str().unwrap()).await;
        }
    }
    let pinned = |pinned: &backfill::Pinned<'_>| Ok(daily(pinned.partition));
    assert_eq!(backfill::tick(store, Utc::now(), &pinned).await.unwrap().started.len(), 2);
    id
}
