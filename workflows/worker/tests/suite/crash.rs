//! Workers and servers that die.

use crate::children::Worker;
use crate::handlers::Row;
use crate::{Bench, states, step};
use store::Cluster;
use store::testing::TestHome;

pub async fn all(bench: &Bench, home: &TestHome) {
    a_killed_workers_step_is_taken_over_at_once_by_the_next_one(bench).await;
    a_restart_of_the_database_loses_nothing(bench, home).await;
}

async fn a_killed_workers_step_is_taken_over_at_once_by_the_next_one(bench: &Bench) {
    // Its lease has ten minutes to go when it dies: who notices that must do so by its pid.
    let victim = Worker::start_with(bench, &[("TRAIDER_TEST_LEASE", "600")]);
    let run = bench.start("killed", vec![step("a", "test-hang-once", &[]), step("b", "test-write", &["a"])]).await;
    let held = bench.step_running(&run, "a").await;
    let by = held.steps_detail[0].worker.clone().unwrap();
    assert!(by.contains(&format!("-{}-", victim.pid())), "{by} is not the child");
    victim.kill();
    let worker = bench.worker();
    let shown = bench.ended(&run).await;
    worker.stop().await;
    assert_eq!((shown.run.state.as_str(), states(&shown)), ("done", vec!["lost", "done", "done"]));
    assert_eq!(Row::count(&bench.store, &run).await, 2);
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
