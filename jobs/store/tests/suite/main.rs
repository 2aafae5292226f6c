//! The control plane against a real Postgres. One test, so that there is one server: it starts, every case runs in
//! turn on its own workflow, and the server stops.

#![expect(clippy::unwrap_used, reason = "tests")]

mod alerts;
mod failure;
mod lifecycle;
mod lineage;
mod server;
mod steering;

use async_trait::async_trait;
use serde_json::json;
use spec::plan::Backoff;
use spec::{Queue, Retry, RunPlan, StepPlan};
use sqlx::PgConnection;
use std::time::Duration;
use store::control::{self, Claimed, Trigger, WorkerId};
use store::testing::TestHome;
use store::view::{self, RunDetail};
use store::{AssetVersion, StepOutcome, StepPointer, Store, StoreError, TxWrite};

const LEASE: Duration = Duration::from_secs(30);

#[test]
fn store_suite() {
    let home = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        let case = Case { store: store.clone() };
        server::migrating_again_changes_nothing(&case).await;
        server::a_second_starter_attaches_and_leaves_the_server_alone(&home).await;
        lifecycle::a_run_goes_through_its_steps_in_order(&case).await;
        lifecycle::delivering_a_task_twice_is_harmless(&case).await;
        lifecycle::a_failed_write_leaves_nothing_behind(&case).await;
        failure::an_expired_lease_gets_a_second_attempt_and_the_first_one_is_refused(&case).await;
        failure::a_lease_of_a_dead_process_is_taken_at_once(&case).await;
        failure::a_poison_step_runs_exactly_max_times(&case).await;
        failure::transient_errors_wait_and_permanent_ones_do_not_retry(&case).await;
        failure::a_rate_limit_is_never_undercut(&case).await;
        failure::a_step_handed_back_does_not_lose_an_attempt(&case).await;
        failure::cancel_stops_what_waits_and_tells_what_runs(&case).await;
        failure::a_failure_skips_what_needs_it_and_runs_what_waits_for_it(&case).await;
        failure::retry_runs_only_what_is_not_done_under_the_same_id(&case).await;
        failure::a_run_of_which_every_step_is_skipped_is_over(&case).await;
        lifecycle::starting_the_same_partition_twice_gives_one_run(&case).await;
        failure::a_lost_task_is_pushed_again(&case).await;
        lifecycle::a_job_by_itself_is_a_run_and_equal_jobs_are_one(&case).await;
        lifecycle::a_changed_history_is_noticed(&case).await;
        lifecycle::logs_keep_their_order(&case).await;
        steering::a_quorum_is_enough_and_everybody_is_waited_for(&case).await;
        steering::a_shared_limit_holds_over_runs_and_who_waited_longest_is_woken(&case).await;
        steering::a_paused_queue_begins_nothing_and_loses_nothing(&case).await;
        steering::of_a_batch_only_what_is_still_held_is_done(&case).await;
        steering::claims_of_one_batch_take_each_step_once(&case).await;
        steering::one_step_and_what_needs_it_can_be_run_again(&case).await;
        steering::a_dead_step_can_be_given_up(&case).await;
        steering::many_runs_start_in_one_transaction_or_none(&case).await;
        alerts::a_failing_partition_is_told_once_and_its_recovery_once(&case).await;
        alerts::a_message_goes_to_each_channel_by_itself_until_it_is_there(&case).await;
        alerts::what_is_late_is_told_once_and_again_when_it_has_ended(&case).await;
        alerts::assets_that_miss_a_slot_are_stale_until_they_are_made(&case).await;
        alerts::a_schedule_that_is_paused_too_long_is_told(&case).await;
        lineage::lineage_is_told_in_both_directions(&case).await;
        lineage::lists_say_what_is_dead_held_and_paused(&case).await;
        steering::random_graphs_end_as_a_naive_reckoning_says(&case).await;
        store.close().await;
    });
    server::the_last_user_stops_the_server();
    server::a_home_with_the_shells_own_characters_in_its_name_works();
    server::restarting_the_server_keeps_what_was_committed(&home, &runtime);
    drop(runtime);
    let socket = home.cluster().socket();
    drop(home);
    assert!(!socket.join(".s.PGSQL.5432").exists(), "the server left its socket behind");
}

struct Case {
    store: Store,
}

impl Case {
    fn worker(&self) -> WorkerId {
        WorkerId::here("io-1")
    }
    async fn start(&self, plan: &RunPlan) -> String {
        control::start_run(&self.store, plan, Trigger::Manual).await.unwrap().run
    }
    /// The pointers that wait in the queue for this run, due or not, oldest first; they stay there.
    async fn pointers(&self, run: &str) -> Vec<StepPointer> {
        let rows: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT job FROM apalis.jobs ORDER BY id").fetch_all(&self.store.pool).await.unwrap();
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
        control::sweep(&self.store, Duration::ZERO).await.unwrap()
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
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        retry: Retry { max: 2, backoff: Backoff::Fixed, base_ms: 0, cap_ms: 0, jitter: false },
        timeout_s: 60,
        grace_s: 1,
        ..StepPlan::of(name, "test-job", Queue::Io, json!({}))
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
        alert: Vec::new(),
    }
}

struct Row(&'static str, i64);

#[async_trait]
impl TxWrite for Row {
    async fn apply(self: Box<Self>, tx: &mut PgConnection) -> Result<(), StoreError> {
        sqlx::query("CREATE TABLE IF NOT EXISTS public.written (name text, n bigint CHECK (n > 0))")
            .execute(&mut *tx)
            .await?;
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
