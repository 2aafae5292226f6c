//! One story each of what goes wrong around a worker: names that come back, deliveries that come twice, files that change,
//! processes that are stopped, programs that do not end.

use crate::children::{Worker, gone, until};
use crate::handlers::{Flag, Row, SPUN};
use crate::{Bench, poison, states, step};
use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use serde_json::{Map, json};
use spec::{Concurrency, Queue, StepPlan};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::control::{self, Claimed, Trigger, WorkerId};
use store::testing::TestHome;
use store::{StepOutcome, Store, StoreError, queue};
use worker::Tuning;

/// A lease so long that nobody waits for it.
const LONG: Duration = Duration::from_secs(600);

#[test]
fn story_suite() {
    let home = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        Row::table(&store).await;
        let bench = Bench { store, home: home.home.clone() };
        a_worker_with_our_pid_from_an_earlier_life_is_not_us(&bench).await;
        two_workers_of_one_name_do_not_write_for_each_other(&bench).await;
        tasks_that_come_twice_or_make_no_sense_are_harmless(&bench).await;
        a_limit_that_cannot_be_looked_at_costs_no_other_step_its_claim(&bench).await;
        two_schedulers_make_one_run_of_each_slot(&bench).await;
        a_run_keeps_the_workflow_it_began_with(&bench).await;
        a_worker_that_was_stopped_past_its_lease_is_refused_and_goes_on(&bench).await;
        a_worker_that_is_stopped_inside_its_transaction_holds_nobody_up(&bench).await;
        a_busy_core_does_not_stop_the_heart(&bench).await;
        a_program_that_does_not_end_is_ended_with_all_its_children(&bench).await;
        poison::a_job_that_kills_its_worker_is_given_up_and_told_once(&bench).await;
        bench.store.close().await;
    });
}

/// Takes the only task there is.
async fn take(bench: &Bench, worker: &WorkerId, lease: Duration) -> Claimed {
    let mut taken = control::take(&bench.store, Queue::Io, worker, 8, lease).await.unwrap();
    assert_eq!((taken.tasks, taken.claimed.len()), (1, 1));
    taken.claimed.remove(0)
}

/// What its worker would report.
fn report(claimed: &Claimed) -> StepOutcome {
    StepOutcome { writes: vec![Box::new(Row::of(&claimed.run, &claimed.step))], ..StepOutcome::default() }
}

async fn a_worker_with_our_pid_from_an_earlier_life_is_not_us(bench: &Bench) {
    let run = bench.start("reborn", vec![step("a", "test-write", &[]), step("b", "test-write", &["a"])]).await;
    let us = WorkerId::here("io-1");
    let (host, pid, instance) = WorkerId::parse(&us.name).unwrap();
    let name = us.name.replace(instance, &ulid::Ulid::generate().to_string());
    assert_eq!((host, pid), (us.host.as_str(), us.pid));
    let before = WorkerId { name, ..us };
    queue::alive(&bench.store, &[(before.name.clone(), Queue::Io)]).await.unwrap();
    let held = take(bench, &before, LONG).await;
    let worker = bench.worker();
    let shown = bench.ended(&run).await;
    worker.stop().await;
    assert_eq!((shown.run.state.as_str(), states(&shown)), ("done", vec!["lost", "done", "done"]));
    let late = control::complete(&bench.store, &held, report(&held)).await;
    assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
    assert_eq!(Row::steps(&bench.store, &run).await, ["a", "b"]);
}

/// As if a name were not unique after all: what counts is the epoch, not the name.
async fn two_workers_of_one_name_do_not_write_for_each_other(bench: &Bench) {
    let run = bench.start("twins", vec![step("a", "test-write", &[])]).await;
    let twin = WorkerId::here("io-twin");
    for _ in 0..2 {
        queue::alive(&bench.store, &[(twin.name.clone(), Queue::Io)]).await.unwrap();
    }
    let registered: i64 = sqlx::query_scalar("SELECT count(*) FROM apalis.workers WHERE id = $1")
        .bind(&twin.name)
        .fetch_one(&bench.store.pool)
        .await
        .unwrap();
    assert_eq!(registered, 1);
    let first = take(bench, &twin, Duration::ZERO).await;
    // Its name is that of a process that lives, so only the lease tells; that has run out.
    assert_eq!(control::sweep(&bench.store, LONG).await.unwrap().revived, 1);
    let second = take(bench, &twin, LONG).await;
    assert!(second.epoch > first.epoch);
    assert_eq!(control::heartbeat(&bench.store, &first, LONG, None).await.unwrap(), control::Beat::Lost);
    let late = control::complete(&bench.store, &first, report(&first)).await;
    assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
    let failed = control::fail(&bench.store, &first, &store::StepError::Permanent("late".to_owned())).await;
    assert!(matches!(failed, Err(StoreError::Stale { .. })), "{failed:?}");
    control::complete(&bench.store, &second, report(&second)).await.unwrap();
    assert_eq!(states(&bench.ended(&run).await), ["lost", "done"]);
    assert_eq!(Row::count(&bench.store, &run).await, 1);
}

/// Puts a row into apalis' table, before all others.
async fn inject(bench: &Bench, queue: Queue, id: &str, job: &[u8]) {
    sqlx::query(
        "INSERT INTO apalis.jobs (job, id, job_type, status, attempts, max_attempts, run_at, priority)
         VALUES ($1, $2, $3, 'Pending', 0, 1, now(), 1000)",
    )
    .bind(job)
    .bind(id)
    .bind(queue::apalis_name(queue))
    .execute(&bench.store.pool)
    .await
    .unwrap();
}

async fn tasks_that_come_twice_or_make_no_sense_are_harmless(bench: &Bench) {
    let steps = vec![step("a", "test-write", &[]), step("b", "test-write", &["a"]), step("c", "test-write", &["a"])];
    let mut runs = Vec::new();
    for n in 0..5 {
        runs.push(bench.start(&format!("twice-{n}"), steps.clone()).await);
    }
    let id = || ulid::Ulid::generate().to_string();
    let there: Vec<Vec<u8>> = sqlx::query_scalar("SELECT job FROM apalis.jobs WHERE status = 'Pending'")
        .fetch_all(&bench.store.pool)
        .await
        .unwrap();
    assert_eq!(there.len(), 5);
    let pointer = |run: &str, step: &str, attempt: i64, epoch: i64, shared: bool| {
        json!({"run": run, "step": step, "attempt": attempt, "epoch": epoch, "shared": shared}).to_string().into_bytes()
    };
    for job in there.iter().chain(&there).chain(&there) {
        inject(bench, Queue::Io, &id(), job).await;
        // On the wrong queue it is as good as on its own.
        inject(bench, Queue::Report, &id(), job).await;
    }
    let run = &runs[0];
    let mut odd = vec![
        pointer(run, "a", 1, 7, false),
        pointer(run, "a", 7, 0, true),
        pointer(run, "b", 1, 0, false),
        pointer(run, "a", 1, 0, true),
        pointer(run, "nowhere", 1, 0, false),
        pointer("nobody", "a", 1, 0, true),
        pointer(run, "a", i64::MAX, i64::MIN, false),
        pointer("\0", "a", 1, 0, false),
        pointer(run, "a\0", 1, 0, true),
        b"garbage \xff\xfe".to_vec(),
        b"{}".to_vec(),
        b"[[[[".to_vec(),
        b"\0".to_vec(),
        Vec::new(),
    ];
    // More than a worker takes at once.
    odd.extend((0..30).map(|n| format!("garbage {n}").into_bytes()));
    for (n, job) in odd.iter().enumerate() {
        inject(bench, Queue::Io, &id(), job).await;
        inject(bench, Queue::Cpu, &format!("no ulid {n}"), job).await;
    }
    let worker = bench.worker();
    for run in &runs {
        let shown = bench.ended(run).await;
        assert_eq!((shown.run.state.as_str(), states(&shown)), ("done", vec!["done"; 3]));
        assert_eq!(Row::steps(&bench.store, run).await, ["a", "b", "c"]);
    }
    // Once more what is over, and then something new on each queue.
    for job in &there {
        inject(bench, Queue::Io, &id(), job).await;
    }
    let mut after: Vec<StepPlan> = ["a", "b", "c", "d"].map(|name| step(name, "test-write", &[])).to_vec();
    for (step, queue) in after.iter_mut().zip(Queue::ALL) {
        step.queue = queue;
    }
    let last = bench.start("after-garbage", after).await;
    assert_eq!(bench.ended(&last).await.run.state, "done");
    worker.stop().await;
    // What can be read and still is no pointer, taken together with what is one.
    let beside = bench.start("beside-garbage", steps).await;
    let wrong = [&b"{\"shared\": true}"[..], b"[\"shared\"]", b"\"shared\"", b"{\"shared\": 1, \"run\": 7}", b"null"];
    for job in wrong.into_iter().chain([&pointer(&beside, "a", i64::MAX, i64::MIN, true)[..]]) {
        inject(bench, Queue::Io, &id(), job).await;
    }
    let worker = bench.worker();
    assert_eq!(states(&bench.ended(&beside).await), ["done"; 3]);
    until("nothing left in the queues", async || {
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM apalis.jobs").fetch_one(&bench.store.pool).await.unwrap();
        left == 0
    })
    .await;
    worker.stop().await;
    for run in &runs {
        assert_eq!(Row::count(&bench.store, run).await, 3);
    }
}

async fn a_limit_that_cannot_be_looked_at_costs_no_other_step_its_claim(bench: &Bench) {
    let limit = Concurrency { key: "story:locked".to_owned(), max: 1 };
    let sharing = StepPlan { concurrency: Some(limit), ..step("shared", "test-write", &[]) };
    let run = bench.start("locked", vec![step("plain", "test-write", &[]), sharing]).await;
    let mut tx = bench.store.pool.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('traider.share:story:locked', 0))")
        .execute(&mut *tx)
        .await
        .unwrap();
    // Another connection, which does not wait for ever.
    let impatient = async |sql: &'static str| {
        sqlx::query(sql).execute(&bench.store.pool).await.unwrap();
        Store::attach(&bench.home).await.unwrap()
    };
    let store = impatient("ALTER ROLE traider SET lock_timeout = '100ms'").await;
    let worker = WorkerId::here("io-impatient");
    let taken = control::take(&store, Queue::Io, &worker, 8, LONG).await.unwrap();
    assert_eq!((taken.tasks, taken.claimed.len()), (2, 1));
    assert_eq!(taken.claimed[0].step, "plain");
    control::complete(&store, &taken.claimed[0], report(&taken.claimed[0])).await.unwrap();
    store.close().await;
    tx.rollback().await.unwrap();
    impatient("ALTER ROLE traider RESET lock_timeout").await.close().await;
    // The other one's task is gone, which a sweep notices.
    let worker = bench.worker();
    assert_eq!(states(&bench.ended(&run).await), ["done", "done"]);
    worker.stop().await;
    assert_eq!(Row::steps(&bench.store, &run).await, ["plain", "shared"]);
}

/// Writes a workflow file of the home.
fn write_workflow(bench: &Bench, name: &str, lines: &str) {
    let folder = bench.home.config().join("workflows");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("schema = 1\nname = \"{name}\"\n{lines}");
    std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
}

fn job(step: &str, job: &str, needs: &str) -> String {
    format!("[[step]]\nname = \"{step}\"\njob = \"{job}\"\nneeds = [{needs}]\nwith = {{ day = \"{{partition}}\" }}\n")
}

async fn two_schedulers_make_one_run_of_each_slot(bench: &Bench) {
    let midnight = |day: DateTime<Utc>| day.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc();
    let first = midnight(Utc::now()) - TimeDelta::days(4);
    let lines = format!(
        "[schedule]\ncron = \"0 0 * * *\"\nstart = {}\ncatchup = \"all\"\noverlap = \"allow\"\n\
         [partition]\nkind = \"day\"\n{}",
        first.date_naive(),
        job("a", "ingest-journal", "")
    );
    write_workflow(bench, "slotted", &lines);
    let workers = [Worker::start(bench), Worker::start(bench)];
    let slots = || async {
        let runs: Vec<(DateTime<Utc>, String)> =
            sqlx::query_as("SELECT slot, state FROM traider.run WHERE workflow = 'slotted' ORDER BY slot")
                .fetch_all(&bench.store.pool)
                .await
                .unwrap();
        runs
    };
    until("all slots that are due", async || slots().await.len() >= 5).await;
    until("their runs to be done", async || slots().await.iter().all(|(_, state)| state == "done")).await;
    for worker in workers {
        worker.signal(Signal::SIGTERM);
        worker.wait().await;
    }
    let made = slots().await;
    let want: Vec<DateTime<Utc>> =
        (0..).map(|n| first + TimeDelta::days(n)).take_while(|slot| *slot <= Utc::now()).collect();
    assert_eq!(made.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), want);
    std::fs::remove_file(bench.home.config().join("workflows/slotted.toml")).unwrap();
}

async fn a_run_keeps_the_workflow_it_began_with(bench: &Bench) {
    let folder = bench.home.config().join("workflows");
    let start = async |partition: &str| {
        let workflow = flows::find(&folder, "changing").unwrap();
        let plan = workflow.plan(partition, &Map::new()).unwrap();
        control::start_run(&bench.store, &plan, Trigger::Manual).await.unwrap().run
    };
    let partition = "[partition]\nkind = \"day\"\n";
    let (a, b) = (job("a", "validate-day", ""), job("b", "ingest-journal", "\"a\""));
    write_workflow(bench, "changing", &format!("{partition}{a}{b}"));
    let victim = Worker::start(bench);
    let old = start("2026-11-18").await;
    bench.step_running(&old, "a").await;
    // Another second step, another job, and a third one; and the worker that knew the old file is gone.
    let (b, c) = (job("other", "validate-day", "\"a\""), job("c", "ingest-journal", "\"other\""));
    write_workflow(bench, "changing", &format!("{partition}{a}{b}{c}"));
    victim.kill();
    let worker = Worker::start(bench);
    let new = start("2026-11-19").await;
    for run in [&old, &new] {
        Flag::raise(&bench.store, &format!("go-{run}")).await.unwrap();
    }
    for (run, version, steps) in [(&old, 1, vec!["a", "b"]), (&new, 2, vec!["a", "c", "other"])] {
        let shown = bench.ended(run).await;
        assert_eq!((shown.run.state.as_str(), shown.run.version), ("done", version));
        assert_eq!(Row::steps(&bench.store, run).await, steps);
        assert_eq!(shown.steps_detail.len(), steps.len());
    }
    worker.kill();
    std::fs::remove_file(folder.join("changing.toml")).unwrap();
}

async fn a_worker_that_was_stopped_past_its_lease_is_refused_and_goes_on(bench: &Bench) {
    let short = [("TRAIDER_TEST_LEASE", "1.5")];
    let sleeper = Worker::start_with(bench, &short);
    // Deaf for longer than this test takes: it reports whatever it is told.
    let late = StepPlan { grace_s: 600, ..step("a", "test-gate-once", &[]) };
    let run = bench.start("slept", vec![late, step("b", "test-write", &["a"])]).await;
    bench.step_running(&run, "a").await;
    sleeper.signal(Signal::SIGSTOP);
    let other = Worker::start_with(bench, &short);
    let shown = bench.ended(&run).await;
    assert_eq!((shown.run.state.as_str(), states(&shown)), ("done", vec!["lost", "done", "done"]));
    assert_eq!(other.done(&bench.store).await, 2);
    other.kill();
    Flag::raise(&bench.store, &format!("go-{run}")).await.unwrap();
    sleeper.signal(Signal::SIGCONT);
    let through = format!("through-{run}");
    until("its handler to end", async || Flag::count(&bench.store, &through).await.unwrap() == 1).await;
    let next = bench.start("slept-next", vec![step("a", "test-write", &[])]).await;
    assert_eq!(states(&bench.ended(&next).await), ["done"]);
    assert_eq!(sleeper.done(&bench.store).await, 1, "it goes on, and its late report did not count");
    // It ends only when the late report is over.
    sleeper.signal(Signal::SIGTERM);
    assert!(sleeper.wait().await.success());
    assert_eq!(Row::steps(&bench.store, &run).await, ["a", "b"]);
    assert_eq!(states(&bench.show(&run).await), ["lost", "done", "done"]);
}

/// It holds its run's row then, and would for ever.
async fn a_worker_that_is_stopped_inside_its_transaction_holds_nobody_up(bench: &Bench) {
    let short = [("TRAIDER_TEST_LEASE", "1.5")];
    let sleeper = Worker::start_with(bench, &short);
    let run = bench.start("frozen", vec![step("a", "test-stop-in-commit", &[]), step("b", "test-write", &["a"])]).await;
    bench.step_running(&run, "a").await;
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", sleeper.pid())).unwrap();
    until("the worker to stop itself", async || state().contains(") T ")).await;
    let other = Worker::start_with(bench, &short);
    let shown = bench.ended(&run).await;
    assert_eq!((shown.run.state.as_str(), states(&shown)), ("done", vec!["lost", "done", "done"]));
    other.kill();
    sleeper.signal(Signal::SIGCONT);
    let next = bench.start("frozen-next", vec![step("a", "test-write", &[])]).await;
    assert_eq!(states(&bench.ended(&next).await), ["done"]);
    sleeper.signal(Signal::SIGTERM);
    assert!(sleeper.wait().await.success());
    assert_eq!(Row::steps(&bench.store, &run).await, ["a", "b"]);
    assert_eq!(states(&bench.show(&run).await), ["lost", "done", "done"]);
}

async fn a_busy_core_does_not_stop_the_heart(bench: &Bench) {
    let worker = bench.worker_with(Tuning { lease: Duration::from_secs(1), io: 8 }, false);
    let busy = StepPlan { queue: Queue::Cpu, ..step("a", "test-spin", &[]) };
    let run = bench.start("busy", vec![busy]).await;
    bench.step_running(&run, "a").await;
    let mut beats = BTreeSet::new();
    until("heartbeats", async || {
        beats.insert(bench.show(&run).await.steps_detail[0].heartbeat_at);
        beats.len() > 3
    })
    .await;
    let beside = bench.start("beside", vec![step("a", "test-write", &[])]).await;
    assert_eq!(bench.ended(&beside).await.run.state, "done");
    assert_eq!(bench.show(&run).await.steps_detail[0].state, "running");
    SPUN.store(true, Ordering::Relaxed);
    assert_eq!(states(&bench.ended(&run).await), ["done"]);
    worker.stop().await;
}

async fn a_program_that_does_not_end_is_ended_with_all_its_children(bench: &Bench) {
    let worker = bench.worker();
    // Told and deaf; not even told, so that the step is dropped; told and polite, but with a child that is not.
    for (manner, listens) in [("deaf", true), ("deaf", false), ("polite", true)] {
        let stubborn =
            StepPlan { params: json!({"manner": manner, "listens": listens}), ..step("a", "test-stubborn", &[]) };
        let run = bench.start(&format!("stubborn-{manner}-{listens}"), vec![stubborn]).await;
        let file = bench.home.root().join(format!("{run}.pids"));
        until("the program", async || file.exists()).await;
        let pids = std::fs::read_to_string(&file).unwrap();
        let pids: Vec<i32> = pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        assert!(pids.len() >= 2 && !pids.iter().any(|pid| gone(*pid)), "{pids:?}");
        assert!(control::cancel(&bench.store, &run).await.unwrap());
        let shown = bench.ended(&run).await;
        assert_eq!((shown.run.state.as_str(), states(&shown)), ("cancelled", vec!["cancelled"]), "{manner}");
        until("the end of the group", async || pids.iter().all(|pid| gone(*pid))).await;
    }
    worker.stop().await;
}
