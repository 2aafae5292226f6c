//! Workers and servers that die.

use crate::handlers::Row;
use crate::{Bench, states, step};
use std::process::{Child, Command, Stdio};
use store::Cluster;
use store::testing::TestHome;

pub async fn all(bench: &Bench, home: &TestHome) {
    a_killed_workers_step_is_taken_over_at_once_by_the_next_one(bench).await;
    steps_in_the_hands_of_a_killed_worker_are_all_done_once(bench).await;
    a_restart_of_the_database_loses_nothing(bench, home).await;
}

fn spawn(bench: &Bench) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child_worker", "--exact", "--nocapture"])
        .env("TRAIDER_TEST_WORKER", bench.home.root())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// SIGKILL: nothing of it runs any more.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn a_killed_workers_step_is_taken_over_at_once_by_the_next_one(bench: &Bench) {
    let victim = spawn(bench);
    let run = bench.start("killed", vec![step("a", "test-hang-once", &[]), step("b", "test-write", &["a"])]).await;
    let held = bench.step_running(&run, "a").await;
    let by = held.steps_detail[0].worker.clone().unwrap();
    assert!(by.contains(&format!("-{}-", victim.id())), "{by} is not the child");
    kill(victim);
    // Its lease has ten minutes to go.
    let worker = bench.worker();
    let shown = bench.ended(&run).await;
    worker.stop().await;
    assert_eq!((shown.run.state.as_str(), states(&shown)), ("done", vec!["lost", "done", "done"]));
    assert_eq!(Row::count(&bench.store, &run).await, 2);
}

/// Kills a worker at whatever point it is while it works through a heap of runs.
async fn steps_in_the_hands_of_a_killed_worker_are_all_done_once(bench: &Bench) {
    const KILLS: u32 = 3;
    let mut runs = Vec::new();
    for n in 0..20 {
        let mut steps =
            vec![step("a", "test-write", &[]), step("b", "test-write", &["a"]), step("c", "test-write", &["b"])];
        // One and the same step may be in hand at every kill; each costs it an attempt.
        for step in &mut steps {
            step.retry.max = KILLS + 1;
        }
        runs.push(bench.start(&format!("heap-{n}"), steps).await);
    }
    for victim in 0..KILLS as usize {
        let child = spawn(bench);
        let marker = &runs[victim * 5];
        bench.until(marker, "a first sign of work", |r| r.attempts.iter().any(|a| a.state == "done")).await;
        kill(child);
    }
    let worker = bench.worker();
    for run in &runs {
        let shown = bench.ended(run).await;
        assert_eq!(shown.run.state, "done", "{shown:#?}");
        assert_eq!(Row::count(&bench.store, run).await, 3, "each step's row is written once");
    }
    worker.stop().await;
}

async fn a_restart_of_the_database_loses_nothing(bench: &Bench, home: &TestHome) {
    let worker = bench.worker();
    let before =
        bench.start("restart-1", vec![step("a", "test-write", &[]), step("b", "test-hang-once", &["a"])]).await;
    bench.step_running(&before, "b").await;
    home.cluster().stop().unwrap();
    let at = home.home.clone();
    tokio::task::spawn_blocking(move || Cluster::ensure(&at).unwrap()).await.unwrap();
    let after = bench.start("restart-2", vec![step("a", "test-write", &[])]).await;
    assert_eq!(bench.ended(&after).await.run.state, "done");
    // The step that hung through it is still held, or was lost and is done by now.
    let hung = bench.show(&before).await;
    assert_eq!(hung.steps_detail[0].state, "done");
    if hung.run.state == "running" {
        store::control::cancel(&bench.store, &before).await.unwrap();
    }
    bench.ended(&before).await;
    worker.stop().await;
}
