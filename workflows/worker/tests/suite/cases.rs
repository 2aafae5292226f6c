//! What one healthy worker does.

use crate::handlers::Row;
use crate::{Bench, TUNING, states, step};
use spec::Queue;
use std::time::Duration;
use store::{control, logs, view};
use worker::Tuning;

pub async fn all(bench: &Bench) {
    a_workflow_runs_to_its_end_over_all_queues(bench).await;
    a_worker_told_once_ends_when_nothing_is_left(bench).await;
    let worker = bench.worker();
    a_transient_error_is_tried_again(bench).await;
    a_panic_fails_the_step_and_not_the_worker(bench).await;
    an_unknown_job_fails_with_the_list_of_known_ones(bench).await;
    a_step_that_takes_too_long_is_stopped_and_tried_again(bench).await;
    a_step_that_does_not_listen_is_dropped_after_its_grace(bench).await;
    worker.stop().await;
    cancel_reaches_a_running_step_without_waiting_for_a_heartbeat(bench).await;
    a_worker_that_stops_hands_its_step_back(bench).await;
    many_runs_are_each_done_once(bench).await;
    a_worker_follows_the_schedules_of_its_home(bench).await;
}

async fn a_workflow_runs_to_its_end_over_all_queues(bench: &Bench) {
    let worker = bench.worker();
    let mut steps = vec![
        step("a", "test-write", &[]),
        step("b", "test-write", &["a"]),
        step("c", "test-write", &["a"]),
        step("d", "test-write", &["b", "c"]),
    ];
    for (step, queue) in steps.iter_mut().zip(Queue::ALL) {
        step.queue = queue;
    }
    let run = bench.start("diamond", steps).await;
    let shown = bench.ended(&run).await;
    assert_eq!((shown.run.state.as_str(), shown.outputs.len()), ("done", 4));
    assert_eq!(Row::count(&bench.store, &run).await, 4);
    let file = std::fs::read_to_string(bench.home.root().join(format!("{run}-d.txt"))).unwrap();
    assert_eq!(file, "d of 2026-11-20");
    let end = |name: &str| shown.steps_detail.iter().find(|s| s.name == name).unwrap().ended_at.unwrap();
    let begin = |name: &str| shown.steps_detail.iter().find(|s| s.name == name).unwrap().started_at.unwrap();
    assert!(end("a") <= begin("b") && end("b") <= begin("d") && end("c") <= begin("d"));
    let said: Vec<String> =
        logs::read(&bench.store, &run, Some("d"), 0, 10).await.unwrap().into_iter().map(|l| l.message).collect();
    assert_eq!(said, ["wrote d"]);
    let workers = view::workers(&bench.store, 60.0).await.unwrap();
    let mut queues: Vec<&str> = workers.iter().map(|w| w.queue.as_str()).collect();
    queues.sort_unstable();
    assert_eq!(queues, ["cpu", "critical", "io", "report"]);
    worker.stop().await;
}

async fn a_worker_told_once_ends_when_nothing_is_left(bench: &Bench) {
    let run = bench.start("once", vec![step("a", "test-write", &[])]).await;
    bench.worker_with(TUNING, true).task.await.unwrap();
    assert_eq!(bench.show(&run).await.run.state, "done");
}

async fn a_transient_error_is_tried_again(bench: &Bench) {
    let run = bench.start("fail-once", vec![step("a", "test-fail-once", &[])]).await;
    let shown = bench.ended(&run).await;
    assert_eq!((shown.run.state.as_str(), states(&shown)), ("done", vec!["failed", "done"]));
    assert_eq!(shown.attempts[0].error.as_deref(), Some("the first time"));
}

async fn a_panic_fails_the_step_and_not_the_worker(bench: &Bench) {
    let run = bench.start("panic", vec![step("a", "test-panic", &[]), step("b", "test-write", &[])]).await;
    let shown = bench.ended(&run).await;
    assert_eq!(shown.run.error.as_deref(), Some("a: the handler panicked: as the test asks"));
    assert_eq!(shown.steps_detail[1].state, "done");
}

async fn an_unknown_job_fails_with_the_list_of_known_ones(bench: &Bench) {
    let run = bench.start("unknown", vec![step("a", "test-wirte", &[])]).await;
    let error = bench.ended(&run).await.run.error.unwrap();
    assert!(error.contains("`test-wirte`") && error.contains("test-write"), "{error}");
}

async fn cancel_reaches_a_running_step_without_waiting_for_a_heartbeat(bench: &Bench) {
    // The next heartbeat would come after 100 s, long after this test has given up.
    let worker = bench.worker_with(Tuning { lease: Duration::from_secs(600), io: 8 }, false);
    let run = bench.start("cancel", vec![step("a", "test-hang-once", &[]), step("b", "test-write", &["a"])]).await;
    bench.step_running(&run, "a").await;
    assert!(control::cancel(&bench.store, &run).await.unwrap());
    let shown = bench.ended(&run).await;
    assert_eq!((shown.run.state.as_str(), states(&shown)), ("cancelled", vec!["cancelled"]));
    assert_eq!(Row::count(&bench.store, &run).await, 0);
    let said: Vec<String> =
        logs::read(&bench.store, &run, None, 0, 10).await.unwrap().into_iter().map(|l| l.message).collect();
    assert_eq!(said, ["hanging", "cancelled"]);
    worker.stop().await;
}

async fn a_step_that_takes_too_long_is_stopped_and_tried_again(bench: &Bench) {
    let mut slow = step("a", "test-hang-once", &[]);
    slow.timeout_s = 1;
    let run = bench.start("timeout", vec![slow]).await;
    let shown = bench.ended(&run).await;
    assert_eq!(states(&shown), ["failed", "done"]);
    assert_eq!(shown.attempts[0].error.as_deref(), Some("did not end within 1 s"));
}

async fn a_step_that_does_not_listen_is_dropped_after_its_grace(bench: &Bench) {
    let run = bench.start("deaf", vec![step("a", "test-deaf", &[])]).await;
    bench.step_running(&run, "a").await;
    assert!(control::cancel(&bench.store, &run).await.unwrap());
    assert_eq!(bench.ended(&run).await.run.state, "cancelled");
}

async fn a_worker_that_stops_hands_its_step_back(bench: &Bench) {
    let first = bench.worker();
    let run = bench.start("hand-back", vec![step("a", "test-hang-once", &[])]).await;
    bench.step_running(&run, "a").await;
    first.stop().await;
    let waiting = bench.show(&run).await;
    assert_eq!((waiting.steps_detail[0].state.as_str(), waiting.steps_detail[0].attempts_max), ("ready", 4));
    let second = bench.worker();
    let shown = bench.ended(&run).await;
    assert_eq!((shown.run.state.as_str(), states(&shown)), ("done", vec!["cancelled", "done"]));
    second.stop().await;
}

async fn many_runs_are_each_done_once(bench: &Bench) {
    let workers = [bench.worker(), bench.worker()];
    let mut runs = Vec::new();
    for n in 0..30 {
        let steps = vec![step("a", "test-write", &[]), step("b", "test-fail-once", &["a"])];
        runs.push(bench.start(&format!("many-{n}"), steps).await);
    }
    for run in &runs {
        let shown = bench.ended(run).await;
        assert_eq!((shown.run.state.as_str(), states(&shown)), ("done", vec!["done", "failed", "done"]));
        assert_eq!(Row::count(&bench.store, run).await, 2);
        assert!(view::history_holds(&bench.store, run).await.unwrap());
    }
    for worker in workers {
        worker.stop().await;
    }
}

async fn a_worker_follows_the_schedules_of_its_home(bench: &Bench) {
    // Its newest slot was this midnight: due at once, whatever the time.
    let text = "schema = 1\nname = \"followed\"\n[schedule]\ncron = \"0 0 * * *\"\nstart = 2026-01-01\n\
                [partition]\nkind = \"day\"\n[[step]]\nname = \"a\"\njob = \"build-features\"\nwith = { day = \"{partition}\" }\n";
    let folder = bench.home.config().join("workflows");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("followed.toml"), text).unwrap();
    let workers = [bench.worker(), bench.worker()];
    let filter = view::RunFilter { workflow: Some("followed".to_owned()), ..view::RunFilter::default() };
    let runs = loop {
        let runs = view::list_runs(&bench.store, &filter).await.unwrap();
        if !runs.is_empty() {
            break runs;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // No handler of this table knows the job; that it was started and carried out is what counts.
    let shown = bench.ended(&runs[0].id).await;
    assert_eq!((shown.run.trigger.as_str(), shown.run.state.as_str(), runs.len()), ("schedule", "failed", 1));
    for worker in workers {
        worker.stop().await;
    }
    std::fs::remove_file(folder.join("followed.toml")).unwrap();
}
