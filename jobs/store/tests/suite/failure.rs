//! Attempts that fail, workers that die, and what people do about it.

use crate::{Case, LEASE, Row, plan, step, written};
use spec::plan::Backoff;
use spec::{Retry, StepPlan, When};
use std::time::Duration;
use store::control::{self, Beat, Failed, Retried, WorkerId};
use store::view::RunDetail;
use store::{StepError, StepOutcome, StoreError};

pub async fn an_expired_lease_gets_a_second_attempt_and_the_first_one_is_refused(case: &Case) {
    let run = case.start(&plan("expired", vec![step("a", &[])])).await;
    let first = case.claim_step(&run, "a").await;
    assert_eq!(case.sweep().await.revived, 0, "a lease that is held is left alone");
    case.let_lease_run_out(&first).await;
    assert_eq!(case.sweep().await.revived, 1);
    let second = case.claim_step(&run, "a").await;
    assert_eq!((second.attempt, second.epoch), (2, 2));
    assert_eq!(control::heartbeat(&case.store, &first, LEASE, None).await.unwrap(), Beat::Lost);
    assert_eq!(control::heartbeat(&case.store, &second, LEASE, None).await.unwrap(), Beat::Held);
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

pub async fn a_lease_of_a_dead_process_is_taken_at_once(case: &Case) {
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

pub async fn a_poison_step_runs_exactly_max_times(case: &Case) {
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

pub async fn transient_errors_wait_and_permanent_ones_do_not_retry(case: &Case) {
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

pub async fn a_rate_limit_is_never_undercut(case: &Case) {
    let run = case.start(&plan("limited", vec![step("a", &[])])).await;
    let claimed = case.claim_step(&run, "a").await;
    let now = chrono::Utc::now().timestamp();
    let error = StepError::RateLimited { retry_after: Duration::from_millis(90_500) };
    let Failed::RetryAt(at) = control::fail(&case.store, &claimed, &error).await.unwrap() else { panic!() };
    assert!((now + 90..=now + 93).contains(&at), "{}", at - now);
}

pub async fn a_step_handed_back_does_not_lose_an_attempt(case: &Case) {
    let run = case.start(&plan("handed-back", vec![step("a", &[])])).await;
    for _ in 0..4 {
        let claimed = case.claim_step(&run, "a").await;
        control::hand_back(&case.store, &claimed, "the worker stops").await.unwrap();
    }
    assert_eq!(case.states(&run).await, "ready");
    case.done(&run, "a").await;
    assert_eq!(case.show(&run).await.attempts.len(), 5);
}

pub async fn a_lost_task_is_pushed_again(case: &Case) {
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

pub async fn cancel_stops_what_waits_and_tells_what_runs(case: &Case) {
    let run = case.start(&plan("cancelled", vec![step("a", &[]), step("b", &[]), step("c", &["a"])])).await;
    let a = case.claim_step(&run, "a").await;
    assert!(control::cancel(&case.store, &run).await.unwrap());
    assert_eq!(case.states(&run).await, "running cancelled cancelled");
    assert_eq!(control::heartbeat(&case.store, &a, LEASE, None).await.unwrap(), Beat::Cancel);
    let b = case.pointers(&run).await.into_iter().find(|p| p.step == "b").unwrap();
    assert!(case.claim(&b).await.is_none());
    assert_eq!(case.show(&run).await.run.state, "running");
    control::fail(&case.store, &a, &StepError::Cancelled).await.unwrap();
    assert_eq!(case.states(&run).await, "cancelled cancelled cancelled");
    assert_eq!(case.show(&run).await.run.state, "cancelled");
    assert!(!control::cancel(&case.store, &run).await.unwrap(), "it had ended");
}

pub async fn a_failure_skips_what_needs_it_and_runs_what_waits_for_it(case: &Case) {
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

pub async fn retry_runs_only_what_is_not_done_under_the_same_id(case: &Case) {
    let run = case.start(&plan("retried", vec![step("a", &[]), step("b", &["a"]), step("c", &["b"])])).await;
    let busy = control::retry(&case.store, &run, Retried::Failed).await.unwrap_err();
    assert_eq!(busy.exit_code(), 7, "{busy}");
    case.done(&run, "a").await;
    let b = case.claim_step(&run, "b").await;
    control::fail(&case.store, &b, &StepError::Permanent("broken".to_owned())).await.unwrap();
    assert_eq!(case.states(&run).await, "done failed skipped");
    assert_eq!(control::retry(&case.store, &run, Retried::Failed).await.unwrap(), 2);
    assert_eq!(case.states(&run).await, "done ready waiting");
    assert!(case.claim(&case.pointers(&run).await[1]).await.is_none(), "the first attempt's task is void");
    case.done(&run, "b").await;
    case.done(&run, "c").await;
    let shown = case.show(&run).await;
    assert_eq!((shown.run.state.as_str(), shown.attempts.len()), ("done", 4));
    let nothing = control::retry(&case.store, &run, Retried::Failed).await.unwrap_err();
    assert!(nothing.to_string().contains("nothing to retry"), "{nothing}");
    let told =
        |show: &RunDetail| show.attempts.iter().map(|a| (a.step.clone(), a.epoch, a.state.clone())).collect::<Vec<_>>();
    let before = told(&shown);
    assert_eq!(control::retry(&case.store, &run, Retried::All).await.unwrap(), 3);
    assert_eq!(case.states(&run).await, "ready waiting waiting");
    assert_eq!(told(&case.show(&run).await), before, "what was done stays told when it is to be done again");
    case.done(&run, "a").await;
    assert_eq!(case.show(&run).await.attempts.len(), 5);
}

pub async fn a_run_of_which_every_step_is_skipped_is_over(case: &Case) {
    let on_failure = |name, needs: &[&str]| StepPlan { when: When::Failure, ..step(name, needs) };
    let never = case.start(&plan("all-skipped", vec![on_failure("a", &[]), step("b", &["a"])])).await;
    assert_eq!(case.states(&never).await, "skipped skipped");
    assert_eq!(case.show(&never).await.run.state, "done");

    let run = case.start(&plan("skipped-again", vec![step("a", &[]), on_failure("clean-up", &["a"])])).await;
    case.done(&run, "a").await;
    assert_eq!((case.states(&run).await, case.show(&run).await.run.state), ("done skipped".into(), "done".into()));
    let nothing = control::retry(&case.store, &run, Retried::Failed).await.unwrap_err();
    assert!(nothing.to_string().contains("nothing to retry"), "{nothing}");
    assert_eq!((case.states(&run).await, case.show(&run).await.run.state), ("done skipped".into(), "done".into()));
}
