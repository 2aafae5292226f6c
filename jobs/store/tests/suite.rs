//! The control plane against a real Postgres. One test, so that there is one server: it starts, every case runs in
//! turn on its own workflow, and the server stops.

use async_trait::async_trait;
use serde_json::json;
use spec::plan::Backoff;
use spec::{Queue, Retry, RunPlan, StepPlan, When};
use sqlx::PgConnection;
use std::time::Duration;
use store::control::{self, Beat, Claimed, Failed, Trigger, WorkerId};
use store::testing::TestHome;
use store::view::{self, RunDetail};
use store::{AssetVersion, Cluster, StepError, StepOutcome, StepPointer, Store, StoreError, TxWrite};

const LEASE: Duration = Duration::from_secs(30);

#[test]
fn store_suite() {
    let home = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        let case = Case { store: store.clone(), instance: ulid::Ulid::generate() };
        migrating_again_changes_nothing(&case).await;
        a_second_starter_attaches_and_leaves_the_server_alone(&home).await;
        a_run_goes_through_its_steps_in_order(&case).await;
        delivering_a_task_twice_is_harmless(&case).await;
        a_failed_write_leaves_nothing_behind(&case).await;
        an_expired_lease_gets_a_second_attempt_and_the_first_one_is_refused(&case).await;
        a_lease_of_a_dead_process_is_taken_at_once(&case).await;
        a_poison_step_runs_exactly_max_times(&case).await;
        transient_errors_wait_and_permanent_ones_do_not_retry(&case).await;
        a_rate_limit_is_never_undercut(&case).await;
        a_step_handed_back_does_not_lose_an_attempt(&case).await;
        cancel_stops_what_waits_and_tells_what_runs(&case).await;
        a_failure_skips_what_needs_it_and_runs_what_waits_for_it(&case).await;
        retry_runs_only_what_is_not_done_under_the_same_id(&case).await;
        starting_the_same_partition_twice_gives_one_run(&case).await;
        a_lost_task_is_pushed_again(&case).await;
        a_job_by_itself_is_a_run_and_equal_jobs_are_one(&case).await;
        a_changed_history_is_noticed(&case).await;
        logs_keep_their_order(&case).await;
        store.close().await;
    });
    restarting_the_server_keeps_what_was_committed(&home, &runtime);
    drop(runtime);
    let socket = home.cluster().socket();
    drop(home);
    assert!(!socket.join(".s.PGSQL.5432").exists(), "the server left its socket behind");
}

struct Case {
    store: Store,
    instance: ulid::Ulid,
}

impl Case {
    fn worker(&self) -> WorkerId {
        WorkerId::here("io", self.instance)
    }
    async fn start(&self, plan: &RunPlan) -> String {
        control::start_run(&self.store, plan, Trigger::Manual).await.unwrap().run
    }
    /// The pointers that wait in the queue for this run, due or not, oldest first; they stay there.
    async fn pointers(&self, run: &str) -> Vec<StepPointer> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar("SELECT job FROM apalis.jobs ORDER BY id")
            .fetch_all(&self.store.pool)
            .await
            .unwrap();
        let all = rows.iter().map(|bytes| serde_json::from_slice::<StepPointer>(bytes).unwrap());
        all.filter(|p| p.run == run).collect()
    }
    async fn claim(&self, pointer: &StepPointer) -> Option<Claimed> {
        control::claim(&self.store, pointer, &self.worker(), LEASE).await.unwrap()
    }
    /// Claims the newest task of the step.
    async fn claim_step(&self, run: &str, step: &str) -> Claimed {
        let pointer = self.pointers(run).await.into_iter().rfind(|p| p.step == step).unwrap();
        self.claim(&pointer).await.unwrap_or_else(|| panic!("{step} cannot be claimed"))
    }
    async fn done(&self, run: &str, step: &str) {
        let claimed = self.claim_step(run, step).await;
        control::complete(&self.store, &claimed, StepOutcome::default()).await.unwrap();
    }
    async fn show(&self, run: &str) -> RunDetail {
        view::show_run(&self.store, run).await.unwrap()
    }
    async fn states(&self, run: &str) -> String {
        let shown = self.show(run).await;
        shown.steps_detail.iter().map(|s| s.state.as_str()).collect::<Vec<_>>().join(" ")
    }
    async fn sweep(&self) -> control::Swept {
        control::sweep(&self.store, self.instance, Duration::ZERO, LEASE).await.unwrap()
    }
    /// Lets the lease run out without waiting for it.
    async fn let_lease_run_out(&self, claimed: &Claimed) {
        sqlx::query("UPDATE traider.step SET lease_until = now() - interval '1 s' WHERE run = $1 AND name = $2")
            .bind(&claimed.run)
            .bind(&claimed.step)
            .execute(&self.store.pool)
            .await
            .unwrap();
    }
}

fn step(name: &str, needs: &[&str]) -> StepPlan {
    StepPlan {
        name: name.to_owned(),
        job: "test-job".to_owned(),
        queue: Queue::Io,
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        when: When::Success,
        params: json!({}),
        retry: Retry { max: 2, backoff: Backoff::Fixed, base_ms: 0, cap_ms: 0, jitter: false },
        timeout_s: 60,
        grace_s: 1,
    }
}

fn plan(workflow: &str, steps: Vec<StepPlan>) -> RunPlan {
    RunPlan {
        workflow: workflow.to_owned(),
        sha256: format!("{workflow}-1"),
        definition: json!({"name": workflow}),
        partition: "2026-11-20".to_owned(),
        params: json!({}),
        steps,
    }
}

struct Row(&'static str, i64);

#[async_trait]
impl TxWrite for Row {
    async fn apply(self: Box<Self>, tx: &mut PgConnection) -> Result<(), StoreError> {
        sqlx::query("CREATE TABLE IF NOT EXISTS public.written (name text, n bigint CHECK (n > 0))").execute(&mut *tx).await?;
        sqlx::query("INSERT INTO public.written VALUES ($1, $2)").bind(self.0).bind(self.1).execute(tx).await?;
        Ok(())
    }
}

async fn written(case: &Case, name: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM public.written WHERE name = $1")
        .bind(name)
        .fetch_one(&case.store.pool)
        .await
        .unwrap()
}

fn version(asset: &str, sha256: &str) -> AssetVersion {
    AssetVersion {
        asset: asset.to_owned(),
        partition: "2026-11-20".to_owned(),
        sha256: sha256.to_owned(),
        uri: format!("file:///lake/{sha256}"),
        rows: 3,
        bytes: 99,
        min_ts_ns: Some(1),
        max_ts_ns: Some(2),
        schema_hash: "s".to_owned(),
    }
}

async fn migrating_again_changes_nothing(case: &Case) {
    let count = "SELECT count(*) FROM traider.migration";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&case.store.pool).await.unwrap();
    case.store.migrate().await.unwrap();
    let after: i64 = sqlx::query_scalar(count).fetch_one(&case.store.pool).await.unwrap();
    assert_eq!((before, before >= 1), (after, true));
}

async fn a_second_starter_attaches_and_leaves_the_server_alone(home: &TestHome) {
    let home = home.home.clone();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let home = home.clone();
            std::thread::spawn(move || Cluster::ensure(&home).unwrap().started_by_us)
        })
        .collect();
    assert!(threads.into_iter().all(|t| !t.join().unwrap()));
    assert!(Cluster::attach(&home).unwrap().is_some());
}

async fn a_run_goes_through_its_steps_in_order(case: &Case) {
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

async fn delivering_a_task_twice_is_harmless(case: &Case) {
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

async fn a_failed_write_leaves_nothing_behind(case: &Case) {
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

async fn an_expired_lease_gets_a_second_attempt_and_the_first_one_is_refused(case: &Case) {
    let run = case.start(&plan("expired", vec![step("a", &[])])).await;
    let first = case.claim_step(&run, "a").await;
    assert_eq!(case.sweep().await.revived, 0, "a lease that is held is left alone");
    case.let_lease_run_out(&first).await;
    assert_eq!(case.sweep().await.revived, 1);
    let second = case.claim_step(&run, "a").await;
    assert_eq!((second.attempt, second.epoch), (2, 2));
    assert_eq!(control::heartbeat(&case.store, &first, LEASE).await.unwrap(), Beat::Lost);
    assert_eq!(control::heartbeat(&case.store, &second, LEASE).await.unwrap(), Beat::Held);
    let outcome = |n| StepOutcome { writes: vec![Box::new(Row("expired", n))], ..StepOutcome::default() };
    let refused = control::complete(&case.store, &first, outcome(1)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Stale { epoch: 1, .. }), "{refused}");
    let refused = control::fail(&case.store, &first, &StepError::Permanent("late".to_owned())).await.unwrap_err();
    assert!(matches!(refused, StoreError::Stale { .. }), "{refused}");
    control::complete(&case.store, &second, outcome(2)).await.unwrap();
    assert_eq!(written(case, "expired").await, 1);
    let attempts = case.show(&run).await.attempts;
    assert_eq!(attempts.iter().map(|a| a.state.as_str()).collect::<Vec<_>>(), ["lost", "done"]);
}

async fn a_lease_of_a_dead_process_is_taken_at_once(case: &Case) {
    let run = case.start(&plan("dead-process", vec![step("a", &[])])).await;
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    child.wait().unwrap();
    let host = control::lease::this_host();
    let gone = WorkerId { name: format!("io.{host}-{pid}-{}", ulid::Ulid::generate()), host, pid };
    let pointer = case.pointers(&run).await.remove(0);
    control::claim(&case.store, &pointer, &gone, LEASE).await.unwrap().unwrap();
    assert_eq!(case.sweep().await.revived, 1, "although its lease has 30 s to go");
    case.done(&run, "a").await;
    assert_eq!(case.show(&run).await.run.state, "done");
}

async fn a_poison_step_runs_exactly_max_times(case: &Case) {
    let run = case.start(&plan("poison", vec![step("a", &[])])).await;
    for attempt in 1..=2 {
        let claimed = case.claim_step(&run, "a").await;
        assert_eq!(claimed.attempt, attempt);
        case.let_lease_run_out(&claimed).await;
        case.sweep().await;
    }
    assert_eq!(case.states(&run).await, "dead");
    let shown = case.show(&run).await;
    assert_eq!((shown.run.state.as_str(), shown.attempts.len()), ("failed", 2));
    let alerts: i64 = sqlx::query_scalar("SELECT count(*) FROM traider.outbox WHERE payload ->> 'run' = $1")
        .bind(&run)
        .fetch_one(&case.store.pool)
        .await
        .unwrap();
    assert_eq!(alerts, 1);
}

async fn transient_errors_wait_and_permanent_ones_do_not_retry(case: &Case) {
    let mut slow = step("a", &[]);
    slow.retry = Retry { max: 3, backoff: Backoff::Exponential, base_ms: 40_000, cap_ms: 60_000, jitter: false };
    let run = case.start(&plan("classes", vec![slow, step("b", &[])])).await;
    for wait_s in [40, 60] {
        let claimed = case.claim_step(&run, "a").await;
        let now = chrono::Utc::now().timestamp();
        let failed = control::fail(&case.store, &claimed, &StepError::Transient("no route".to_owned())).await.unwrap();
        let Failed::RetryAt(at) = failed else { panic!("{failed:?}") };
        assert!((now + wait_s..=now + wait_s + 2).contains(&at), "{} s", at - now);
    }
    let (due, pending): (bool, String) = sqlx::query_as(
        "SELECT j.run_at <= now(), j.status FROM apalis.jobs j JOIN traider.step s ON s.task_id = j.id WHERE s.run = $1 AND name = 'a'",
    )
    .bind(&run)
    .fetch_one(&case.store.pool)
    .await
    .unwrap();
    assert_eq!((due, pending.as_str()), (false, "Pending"));
    let last = case.claim_step(&run, "a").await;
    let over = control::fail(&case.store, &last, &StepError::Transient("no route".to_owned())).await.unwrap();
    assert_eq!(over, Failed::Over, "three attempts were allowed");
    let b = case.claim_step(&run, "b").await;
    let over = control::fail(&case.store, &b, &StepError::Permanent("bad key".to_owned())).await.unwrap();
    assert_eq!(over, Failed::Over);
    assert_eq!(case.states(&run).await, "dead failed");
    let error = case.show(&run).await.run.error.unwrap();
    assert_eq!(error, "a: no route; b: bad key");
}

async fn a_rate_limit_is_never_undercut(case: &Case) {
    let run = case.start(&plan("limited", vec![step("a", &[])])).await;
    let claimed = case.claim_step(&run, "a").await;
    let now = chrono::Utc::now().timestamp();
    let error = StepError::RateLimited { retry_after: Duration::from_millis(90_500) };
    let Failed::RetryAt(at) = control::fail(&case.store, &claimed, &error).await.unwrap() else { panic!() };
    assert!((now + 90..=now + 93).contains(&at), "{}", at - now);
}

async fn a_step_handed_back_does_not_lose_an_attempt(case: &Case) {
    let run = case.start(&plan("handed-back", vec![step("a", &[])])).await;
    for _ in 0..4 {
        let claimed = case.claim_step(&run, "a").await;
        control::hand_back(&case.store, &claimed, "the worker stops").await.unwrap();
    }
    assert_eq!(case.states(&run).await, "ready");
    case.done(&run, "a").await;
    assert_eq!(case.show(&run).await.attempts.len(), 5);
}

async fn cancel_stops_what_waits_and_tells_what_runs(case: &Case) {
    let run = case.start(&plan("cancelled", vec![step("a", &[]), step("b", &[]), step("c", &["a"])])).await;
    let a = case.claim_step(&run, "a").await;
    assert!(control::cancel(&case.store, &run).await.unwrap());
    assert_eq!(case.states(&run).await, "running cancelled cancelled");
    assert_eq!(control::heartbeat(&case.store, &a, LEASE).await.unwrap(), Beat::Cancel);
    let b = case.pointers(&run).await.into_iter().find(|p| p.step == "b").unwrap();
    assert!(case.claim(&b).await.is_none());
    assert_eq!(case.show(&run).await.run.state, "running");
    control::fail(&case.store, &a, &StepError::Cancelled).await.unwrap();
    assert_eq!(case.states(&run).await, "cancelled cancelled cancelled");
    assert_eq!(case.show(&run).await.run.state, "cancelled");
    assert!(!control::cancel(&case.store, &run).await.unwrap(), "it had ended");
}

async fn a_failure_skips_what_needs_it_and_runs_what_waits_for_it(case: &Case) {
    let mut clean_up = step("clean-up", &["a"]);
    clean_up.when = When::Failure;
    let mut report = step("report", &["c"]);
    report.when = When::Always;
    let steps = vec![step("a", &[]), step("b", &["a"]), step("c", &["b"]), clean_up, report];
    let run = case.start(&plan("failure", steps)).await;
    let a = case.claim_step(&run, "a").await;
    control::fail(&case.store, &a, &StepError::Permanent("broken".to_owned())).await.unwrap();
    assert_eq!(case.states(&run).await, "failed skipped skipped ready ready");
    case.done(&run, "clean-up").await;
    case.done(&run, "report").await;
    assert_eq!(case.show(&run).await.run.state, "failed", "a report that ran does not hide a failure");
}

async fn retry_runs_only_what_is_not_done_under_the_same_id(case: &Case) {
    let run = case.start(&plan("retried", vec![step("a", &[]), step("b", &["a"]), step("c", &["b"])])).await;
    let busy = control::retry(&case.store, &run, true).await.unwrap_err();
    assert_eq!(busy.exit_code(), 7, "{busy}");
    case.done(&run, "a").await;
    let b = case.claim_step(&run, "b").await;
    control::fail(&case.store, &b, &StepError::Permanent("broken".to_owned())).await.unwrap();
    assert_eq!(case.states(&run).await, "done failed skipped");
    assert_eq!(control::retry(&case.store, &run, true).await.unwrap(), 2);
    assert_eq!(case.states(&run).await, "done ready waiting");
    assert!(case.claim(&case.pointers(&run).await[1]).await.is_none(), "the first attempt's task is void");
    case.done(&run, "b").await;
    case.done(&run, "c").await;
    let shown = case.show(&run).await;
    assert_eq!((shown.run.state.as_str(), shown.attempts.len()), ("done", 4));
    let nothing = control::retry(&case.store, &run, true).await.unwrap_err();
    assert!(nothing.to_string().contains("nothing to retry"), "{nothing}");
    assert_eq!(control::retry(&case.store, &run, false).await.unwrap(), 3);
    assert_eq!(case.states(&run).await, "ready waiting waiting");
}

async fn starting_the_same_partition_twice_gives_one_run(case: &Case) {
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

async fn a_lost_task_is_pushed_again(case: &Case) {
    let run = case.start(&plan("lost-task", vec![step("a", &[])])).await;
    let old = case.pointers(&run).await.remove(0);
    sqlx::query("DELETE FROM apalis.jobs WHERE id = (SELECT task_id FROM traider.step WHERE run = $1)")
        .bind(&run)
        .execute(&case.store.pool)
        .await
        .unwrap();
    assert!(case.sweep().await.pushed >= 1);
    let new = case.pointers(&run).await;
    assert_eq!(new, vec![old.clone()], "the same step, attempt and epoch");
    assert!(case.claim(&new[0]).await.is_some());
    assert!(case.claim(&old).await.is_none());
}

async fn a_job_by_itself_is_a_run_and_equal_jobs_are_one(case: &Case) {
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

async fn a_changed_history_is_noticed(case: &Case) {
    let run = case.start(&plan("history", vec![step("a", &[])])).await;
    case.done(&run, "a").await;
    let kinds: Vec<String> = view::events(&case.store, &run).await.unwrap().into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["run_queued", "step_ready", "step_running", "step_done", "run_done"]);
    assert!(view::history_holds(&case.store, &run).await.unwrap());
    sqlx::query("UPDATE traider.run_event SET detail = 'nothing to see' WHERE run = $1 AND kind = 'step_running'")
        .bind(&run)
        .execute(&case.store.pool)
        .await
        .unwrap();
    assert!(!view::history_holds(&case.store, &run).await.unwrap());
}

async fn logs_keep_their_order(case: &Case) {
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

fn restarting_the_server_keeps_what_was_committed(home: &TestHome, runtime: &tokio::runtime::Runtime) {
    home.cluster().stop().unwrap();
    assert!(Cluster::attach(&home.home).unwrap().is_none());
    let again = Cluster::ensure(&home.home).unwrap();
    assert!(again.started_by_us);
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        assert!(view::list_runs(&store, &view::RunFilter::default()).await.unwrap().len() > 10);
        store.close().await;
    });
}
