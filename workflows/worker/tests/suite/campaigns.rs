//! Long campaigns with a seed each: workers and servers die at moments drawn from it, over and over, while there is work.
//! A small sample of each here; `TRAIDER_SOAK=1` (that is `make soak`) runs them in full.

use crate::Bench;
use crate::children::{Load, Moments, Recovery, TIRELESS, Worker, a_moment, gone, plan, soak, tries, until};
use crate::handlers::{Inside, Row};
use crate::step;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use spec::plan::{Concurrency, When};
use spec::{RunPlan, StepPlan};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use store::Cluster;
use store::control::{self, Trigger};
use store::embedded::Durability;
use store::testing::TestHome;
use store::view;

/// Runs a worker finds, each with a step left at least: more than are waited for, and those that were being committed.
const ENOUGH: usize = 24;

#[test]
fn campaign_suite() {
    // What was committed must be there after a crash of the server.
    let home = TestHome::start_with(Durability::Full).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        Row::table(&store).await;
        Inside::table(&store).await;
        let bench = Bench { store, home: home.home.clone() };
        a_worker_killed_anywhere_loses_and_doubles_nothing(&bench, 7041).await;
        a_worker_told_to_stop_anywhere_hands_everything_back(&bench, 7042).await;
        a_shared_limit_holds_over_two_workers_that_are_killed(&bench, 7043).await;
        for seed in 0..if soak() { 20 } else { 1 } {
            random_graphs_end_as_reckoned_whoever_dies(&bench, 7100 + seed).await;
        }
        a_server_that_crashes_under_load_loses_and_doubles_nothing(&bench, &home, 7044).await;
        bench.store.close().await;
    });
}

/// Lets a worker get to a point drawn at random: before it has begun, or some steps later and a few looks more.
async fn some_moment(bench: &Bench, worker: &Worker, moments: &mut Moments, recovery: &mut Recovery) {
    let (steps, looks) = match moments.below(4) {
        0 => (0, moments.below(150)),
        _ => (1 + moments.below(15), moments.below(10)),
    };
    until("steps done", async || {
        let done = worker.done(&bench.store).await;
        if done > 0 {
            recovery.completed();
        }
        done >= i64::try_from(steps).unwrap()
    })
    .await;
    for _ in 0..looks {
        a_moment().await;
    }
}

/// `kill -9` of the worker, and a new one in its place as a supervisor would start it.
async fn a_worker_killed_anywhere_loses_and_doubles_nothing(bench: &Bench, seed: u64) {
    let kills = if soak() { 200 } else { 12 };
    let (mut moments, mut recovery) = (Moments::of(seed), Recovery::default());
    let mut load = Load::of("killed", "test-write", TIRELESS);
    for _ in 0..kills {
        load.top_up(bench, ENOUGH).await;
        let worker = Worker::start(bench);
        some_moment(bench, &worker, &mut moments, &mut recovery).await;
        worker.kill();
        recovery.blow();
    }
    load.top_up(bench, ENOUGH).await;
    let last = Worker::start(bench);
    until("the last worker's first step", async || last.done(&bench.store).await > 0).await;
    recovery.completed();
    load.finished(&bench.store).await;
    let lost = load.check(bench).await;
    println!(
        "seed {seed}: {kills} kills of the worker, {} runs, {lost} attempts lost, at most {:.2} s to the next completed step",
        load.runs.len(),
        recovery.longest.as_secs_f64()
    );
    assert!(lost > 0, "kills hit steps in hand");
    assert!(recovery.longest < Duration::from_secs(45));
}

/// SIGTERM, as Ctrl-C and supervisors have it: no step is left in hand, and the one attempt each has is not used up.
async fn a_worker_told_to_stop_anywhere_hands_everything_back(bench: &Bench, seed: u64) {
    let stops = if soak() { 60 } else { 5 };
    let mut moments = Moments::of(seed);
    let mut load = Load::of("stopped", "test-slow", 1);
    for _ in 0..stops {
        load.top_up(bench, ENOUGH).await;
        let worker = Worker::start(bench);
        some_moment(bench, &worker, &mut moments, &mut Recovery::default()).await;
        worker.signal(Signal::SIGTERM);
        worker.wait().await;
        let held: i64 = sqlx::query_scalar("SELECT count(*) FROM traider.step WHERE state = 'running'")
            .fetch_one(&bench.store.pool)
            .await
            .unwrap();
        assert_eq!(held, 0, "seed {seed}: steps in the hands of nobody");
    }
    let last = Worker::start(bench);
    load.finished(&bench.store).await;
    let lost = load.check(bench).await;
    drop(last);
    println!("seed {seed}: {stops} stops of the worker, {} runs, {lost} attempts lost", load.runs.len());
    assert_eq!(lost, 0);
}

/// Postgres dies as by `pg_ctl stop -m immediate`: no farewell, no checkpoint.
fn crash(cluster: &Cluster) {
    let text = std::fs::read_to_string(cluster.path().join("data/postmaster.pid")).unwrap();
    let server: i32 = text.lines().next().unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(server), Signal::SIGQUIT).unwrap();
    while !gone(server) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn a_server_that_crashes_under_load_loses_and_doubles_nothing(bench: &Bench, home: &TestHome, seed: u64) {
    let crashes = if soak() { 20 } else { 2 };
    let (mut moments, mut longest) = (Moments::of(seed), Duration::ZERO);
    let mut load = Load::of("crashed", "test-slow", TIRELESS);
    let mut worker = Worker::start_with(bench, &[("TRAIDER_TEST_LEASE", "5")]);
    for round in 0..crashes {
        load.top_up(bench, 30).await;
        let before = worker.done(&bench.store).await;
        let enough = before + 1 + i64::try_from(moments.below(20)).unwrap();
        until("work before the crash", async || worker.done(&bench.store).await >= enough).await;
        let at = home.home.clone();
        // Every other time it stays away for a while.
        let away = Duration::from_secs(if round % 2 == 0 { 0 } else { 5 });
        let cluster = home.cluster();
        tokio::task::block_in_place(|| {
            crash(cluster);
            std::thread::sleep(away);
            // Its value is dropped at once: the home's own keeps the server up.
            drop(Cluster::ensure(&at).unwrap());
            cluster.stop_when_gone(std::process::id()).unwrap();
        });
        let up = Instant::now();
        let after = worker.done(&bench.store).await;
        until("work after the crash", async || worker.done(&bench.store).await > after.max(before)).await;
        longest = longest.max(up.elapsed());
        assert!(worker.ended().is_none(), "seed {seed}: the worker ended with the server");
    }
    load.finished(&bench.store).await;
    let lost = load.check(bench).await;
    println!(
        "seed {seed}: {crashes} crashes of the server, {} runs, {lost} attempts lost, one worker process, at most {:.2} s \
         from the server's start to the next completed step",
        load.runs.len(),
        longest.as_secs_f64()
    );
    assert!(longest < Duration::from_secs(30));
}

async fn a_shared_limit_holds_over_two_workers_that_are_killed(bench: &Bench, seed: u64) {
    let kills = if soak() { 30 } else { 4 };
    let mut moments = Moments::of(seed);
    let limit = Concurrency { key: "story:venue".to_owned(), max: 2 };
    let sharing = |name: &str, needs: &[&str]| StepPlan {
        concurrency: Some(limit.clone()),
        ..tries(TIRELESS, step(name, "test-inside", needs))
    };
    let plans: Vec<RunPlan> = (0..20 + 10 * kills)
        .map(|n| plan(&format!("sharing-{n}"), vec![sharing("a", &[]), sharing("b", &["a"])]))
        .collect();
    let started = control::start_runs(&bench.store, &plans, Trigger::Manual).await.unwrap();
    let runs: Vec<String> = started.into_iter().map(|started| started.run).collect();
    let mut workers = vec![Worker::start(bench), Worker::start(bench)];
    for _ in 0..kills {
        let victim = workers.remove(usize::try_from(moments.below(2)).unwrap());
        some_moment(bench, &victim, &mut moments, &mut Recovery::default()).await;
        let pid = victim.pid();
        // It was inside for at least as long.
        let alive = Inside::now(&bench.store).await;
        victim.kill();
        Inside::died(&bench.store, pid, alive).await;
        workers.push(Worker::start(bench));
    }
    for run in &runs {
        assert_eq!(bench.ended(run).await.run.state, "done", "seed {seed}");
        assert_eq!(Row::count(&bench.store, run).await, 2, "seed {seed}");
    }
    let (entered, most) = Inside::most(&bench.store).await;
    println!("seed {seed}: {kills} kills of two workers, a limit of 2, {entered} steps inside, {most} at once at most");
    assert_eq!(most, 2, "seed {seed}: the limit is reached and not passed");
}

/// A step of a random graph and what its handler does.
struct Node {
    plan: StepPlan,
    end: &'static str,
}

fn graph(moments: &mut Moments) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for n in 0..1 + moments.below(8) {
        let needs: Vec<String> =
            nodes.iter().filter(|_| moments.below(3) == 0).map(|node| node.plan.name.clone()).collect();
        let end = ["done", "done", "done", "transient", "transient", "permanent", "panic"];
        let end = end[usize::try_from(moments.below(7)).unwrap()];
        let when = [When::Success, When::Success, When::Failure, When::Always];
        let when = when[usize::try_from(moments.below(4)).unwrap()];
        // A first step has no outcome to wait for.
        let when = if needs.is_empty() { When::Success } else { when };
        let quorum = u32::try_from(moments.below(4)).unwrap();
        let min_ok = (!needs.is_empty() && (1..3).contains(&quorum)).then_some(quorum);
        let base = tries(TIRELESS, step(&format!("s{n}"), "test-script", &[]));
        nodes.push(Node { plan: StepPlan { needs, when, min_ok, params: json!({"end": end}), ..base }, end });
    }
    nodes
}

/// In the order of the plan, each step's end from the ends of its needs.
fn reckoned(graph: &[Node]) -> BTreeMap<String, String> {
    let mut ends: BTreeMap<String, String> = BTreeMap::new();
    for Node { plan, end } in graph {
        let ok = plan.needs.iter().filter(|need| ends[*need] == "done").count();
        let all = plan.needs.len();
        let runs = match plan.when {
            When::Always => true,
            When::Failure => ok < all,
            When::Success => ok >= plan.min_ok.map_or(all, |enough| enough as usize),
        };
        let state = match *end {
            _ if !runs => "skipped",
            "permanent" | "panic" => "failed",
            _ => "done",
        };
        ends.insert(plan.name.clone(), state.to_owned());
    }
    ends
}

async fn random_graphs_end_as_reckoned_whoever_dies(bench: &Bench, seed: u64) {
    let mut moments = Moments::of(seed);
    let graphs: Vec<Vec<Node>> = (0..25).map(|_| graph(&mut moments)).collect();
    let plans: Vec<RunPlan> = graphs
        .iter()
        .enumerate()
        .map(|(n, graph)| plan(&format!("graph-{seed}-{n}"), graph.iter().map(|node| node.plan.clone()).collect()))
        .collect();
    let started = control::start_runs(&bench.store, &plans, Trigger::Manual).await.unwrap();
    let mut workers = vec![Worker::start(bench), Worker::start(bench)];
    for _ in 0..4 {
        let victim = workers.remove(usize::try_from(moments.below(2)).unwrap());
        for _ in 0..moments.below(150) {
            a_moment().await;
        }
        victim.kill();
        workers.push(Worker::start(bench));
    }
    for (graph, started) in graphs.iter().zip(&started) {
        let shown = bench.ended(&started.run).await;
        let want = reckoned(graph);
        let got: BTreeMap<String, String> =
            shown.steps_detail.iter().map(|step| (step.name.clone(), step.state.clone())).collect();
        assert_eq!(got, want, "seed {seed}");
        let failed = want.values().any(|state| state == "failed");
        assert_eq!(shown.run.state, if failed { "failed" } else { "done" }, "seed {seed}");
        let done: BTreeSet<&String> = want.iter().filter(|(_, state)| *state == "done").map(|(name, _)| name).collect();
        let rows = Row::steps(&bench.store, &started.run).await;
        assert_eq!(rows.iter().collect::<BTreeSet<_>>(), done, "seed {seed}");
        assert_eq!(rows.len(), done.len(), "seed {seed}: each row once");
        assert!(view::history_holds(&bench.store, &started.run).await.unwrap(), "seed {seed}");
    }
    let steps: usize = graphs.iter().map(Vec::len).sum();
    println!("seed {seed}: {} random graphs, {steps} steps, two workers, 4 kills: every end as reckoned", graphs.len());
}
