//! Runs that go well, and what is kept of them.

use crate::{Case, Row, plan, step, version, written};
use serde_json::json;
use store::control::{self, Trigger};
use store::{StepOutcome, StoreError, view};

pub async fn a_run_goes_through_its_steps_in_order(case: &Case) {
    let steps = vec![step("a", &[]), step("b", &["a"]), step("c", &["a"]), step("d", &["b", "c"])];
    let run = case.start(&plan("diamond", steps)).await;
    assert_eq!(case.states(&run).await, "ready waiting waiting waiting");
    let a = case.claim_step(&run, "a").await;
    assert_eq!((a.attempt, a.epoch, a.partition.as_str()), (1, 1, "2026-11-20"));
    let outcome = StepOutcome {
        outputs: vec![version("trades", "aa11")],
        summary: json!({"rows": 3}),
        writes: vec![Box::new(Row("diamond", 7))],
        ..StepOutcome::default()
    };
    control::complete(&case.store, &a, outcome).await.unwrap();
    assert_eq!(case.states(&run).await, "done ready ready waiting");
    case.done(&run, "b").await;
    assert_eq!(case.states(&run).await, "done done ready waiting");
    let c = case.claim_step(&run, "c").await;
    let inputs = vec![("trades".to_owned(), "aa11".to_owned())];
    control::complete(&case.store, &c, StepOutcome { inputs, ..StepOutcome::default() }).await.unwrap();
    case.done(&run, "d").await;
    let shown = case.show(&run[..12].to_lowercase()).await;
    assert_eq!((shown.run.state.as_str(), shown.run.steps, shown.run.steps_done), ("done", 4, 4));
    assert_eq!((shown.outputs.len(), shown.inputs.len(), shown.attempts.len()), (1, 1, 4));
    assert_eq!(shown.steps_detail[0].summary, Some(json!({"rows": 3})));
    assert_eq!(shown.steps_detail[3].needs, ["b", "c"]);
    assert_eq!(written(case, "diamond").await, 1);
    let newest = store::assets::newest(&case.store, "trades", "2026-11-20").await.unwrap();
    assert_eq!(newest, Some(version("trades", "aa11")));
    assert!(view::history_holds(&case.store, &run).await.unwrap());
}

pub async fn delivering_a_task_twice_is_harmless(case: &Case) {
    let run = case.start(&plan("twice", vec![step("a", &[])])).await;
    let pointer = case.pointers(&run).await.remove(0);
    let first = case.claim(&pointer).await.unwrap();
    assert!(case.claim(&pointer).await.is_none(), "while it runs");
    let outcome = StepOutcome { writes: vec![Box::new(Row("twice", 1))], ..StepOutcome::default() };
    control::complete(&case.store, &first, outcome).await.unwrap();
    assert!(case.claim(&pointer).await.is_none(), "after it is done");
    let again = StepOutcome { writes: vec![Box::new(Row("twice", 2))], ..StepOutcome::default() };
    let refused = control::complete(&case.store, &first, again).await.unwrap_err();
    assert!(matches!(refused, StoreError::Stale { .. }), "{refused}");
    assert_eq!(written(case, "twice").await, 1);
}

pub async fn a_failed_write_leaves_nothing_behind(case: &Case) {
    let run = case.start(&plan("broken-write", vec![step("a", &[]), step("b", &["a"])])).await;
    let claimed = case.claim_step(&run, "a").await;
    let outcome = StepOutcome {
        outputs: vec![version("never", "ff")],
        // The second row breaks the table's CHECK.
        writes: vec![Box::new(Row("broken-write", 1)), Box::new(Row("broken-write", -1))],
        ..StepOutcome::default()
    };
    let error = control::complete(&case.store, &claimed, outcome).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(written(case, "broken-write").await, 0);
    assert_eq!(store::assets::newest(&case.store, "never", "2026-11-20").await.unwrap(), None);
    assert_eq!(case.states(&run).await, "running waiting");
    control::complete(&case.store, &claimed, StepOutcome::default()).await.unwrap();
    assert_eq!(case.states(&run).await, "done ready");
}

pub async fn starting_the_same_partition_twice_gives_one_run(case: &Case) {
    let scheduled = plan("slots", vec![step("a", &[])]);
    let starts = (0..4).map(|_| {
        let (store, plan) = (case.store.clone(), scheduled.clone());
        tokio::spawn(async move { control::start_run(&store, &plan, Trigger::Schedule).await.unwrap() })
    });
    let mut started = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        started.push(start.await.unwrap());
    }
    assert_eq!(started.iter().filter(|s| s.created).count(), 1);
    assert!(started.iter().all(|s| s.run == started[0].run));
    case.done(&started[0].run, "a").await;
    let slot = control::start_run(&case.store, &scheduled, Trigger::Schedule).await.unwrap();
    assert!(!slot.created, "a slot is run once");
    let by_hand = control::start_run(&case.store, &scheduled, Trigger::Manual).await.unwrap();
    assert!(by_hand.created, "a person may run it again");
    assert_eq!(case.show(&by_hand.run).await.run.generation, 2);
    let cyclic = plan("cyclic", vec![step("a", &["b"]), step("b", &["a"])]);
    assert!(control::start_run(&case.store, &cyclic, Trigger::Manual).await.is_err());
}

pub async fn a_job_by_itself_is_a_run_and_equal_jobs_are_one(case: &Case) {
    let input = json!({"day": "2026-11-20"});
    let one = control::enqueue_job(&case.store, "report-daily", &input).await.unwrap();
    let two = control::enqueue_job(&case.store, "report-daily", &input).await.unwrap();
    assert_eq!((one.run.clone(), one.created, two.created), (two.run, true, false));
    let jobs = view::list_jobs(&case.store, 10).await.unwrap();
    assert_eq!(jobs.iter().map(|j| j.id.as_str()).collect::<Vec<_>>(), [one.run.as_str()]);
    assert_eq!(case.show(&one.run).await.steps_detail[0].queue, "report");
    let unknown = control::enqueue_job(&case.store, "report-dialy", &input).await.unwrap_err();
    assert!(unknown.to_string().contains("known kinds"), "{unknown}");
    let queues = view::queues(&case.store).await.unwrap();
    assert!(queues.iter().any(|q| q.queue == "report" && q.ready == 1), "{queues:?}");
}

pub async fn a_changed_history_is_noticed(case: &Case) {
    let run = case.start(&plan("history", vec![step("a", &[])])).await;
    case.done(&run, "a").await;
    let kinds: Vec<String> = view::events(&case.store, &run).await.unwrap().into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["run_queued", "step_ready", "step_done", "run_done"]);
    assert!(view::history_holds(&case.store, &run).await.unwrap());
    sqlx::query("UPDATE traider.run_event SET detail = 'nothing to see' WHERE run = $1 AND kind = 'step_done'")
        .bind(&run)
        .execute(&case.store.pool)
        .await
        .unwrap();
    assert!(!view::history_holds(&case.store, &run).await.unwrap());
}

pub async fn logs_keep_their_order(case: &Case) {
    let run = case.start(&plan("logs", vec![step("a", &[])])).await;
    let (log, mut lines) = store::StepLog::channel();
    log.info("one");
    log.warn("two \0 with a NUL");
    log.error("three");
    let mut all = Vec::new();
    while let Ok(line) = lines.try_recv() {
        all.push(line);
    }
    store::logs::append(&case.store, &run, "a", 1, &all).await.unwrap();
    let rows = store::logs::read(&case.store, &run, None, 0, 10).await.unwrap();
    let said: Vec<_> = rows.iter().map(|r| (r.level.as_str(), r.message.as_str())).collect();
    assert_eq!(said, [("info", "one"), ("warn", "two  with a NUL"), ("error", "three")]);
    assert_eq!(store::logs::read(&case.store, &run, None, rows[1].id, 10).await.unwrap().len(), 1);
}
