//! Quorums, shared limits, paused queues, batches, and what people do to single steps.

use crate::{Case, LEASE, plan, step};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use spec::{Concurrency, Queue, RunPlan, StepPlan, When};
use std::collections::{BTreeMap, BTreeSet};
use store::control::{self, Claimed, Retried, Trigger};
use store::{StepError, queue, view};

pub async fn a_quorum_is_enough_and_everybody_is_waited_for(case: &Case) {
    let quorum = |min_ok| StepPlan { min_ok: Some(min_ok), ..step("join", &["x", "y", "z"]) };
    for (name, min_ok, want) in [("quorum-2", 2, "ready"), ("quorum-3", 3, "skipped")] {
        let run = case.start(&plan(name, vec![step("x", &[]), step("y", &[]), step("z", &[]), quorum(min_ok)])).await;
        case.done(&run, "x").await;
        case.done(&run, "y").await;
        assert_eq!(case.states(&run).await, "done done ready waiting", "two are enough, but the third has not ended");
        broken(case, &run, "z").await;
        assert_eq!(case.states(&run).await, format!("done done failed {want}"));
    }
}

async fn broken(case: &Case, run: &str, step: &str) {
    let claimed = case.claim_step(run, step).await;
    control::fail(&case.store, &claimed, &StepError::Permanent("broken".to_owned())).await.unwrap();
}

fn sharing(name: &str, key: &str, max: u32) -> StepPlan {
    StepPlan { concurrency: Some(Concurrency { key: key.to_owned(), max }), ..step(name, &[]) }
}

pub async fn a_shared_limit_holds_over_runs_and_who_waited_longest_is_woken(case: &Case) {
    let mut runs = Vec::new();
    for n in 0..4 {
        runs.push(case.start(&plan(&format!("shared-{n}"), vec![sharing("call", "exchange:x", 2)])).await);
    }
    let first = case.claim_step(&runs[0], "call").await;
    case.claim_step(&runs[1], "call").await;
    for run in &runs[2..] {
        assert!(case.claim(&case.pointers(run).await[0]).await.is_none(), "the limit is used up");
        assert_eq!(case.states(run).await, "ready");
    }
    assert_eq!(case.sweep().await.pushed, 0, "who is held has nothing to be pushed for");
    control::complete_many(&case.store, &[(first, Value::Null)]).await.unwrap();
    let tasks = |run: String| async move { case.pointers(&run).await.len() };
    assert_eq!((tasks(runs[2].clone()).await, tasks(runs[3].clone()).await), (2, 1), "one use is free, one is woken");
    let third = case.claim_step(&runs[2], "call").await;
    // Its worker dies: the use is free again, and the next in line gets it or it itself.
    case.let_lease_run_out(&third).await;
    case.sweep().await;
    assert_eq!(tasks(runs[3].clone()).await, 2);
    case.claim_step(&runs[3], "call").await;
    assert!(case.claim(&case.pointers(&runs[2]).await[2]).await.is_none(), "the two uses are taken");
    for run in [&runs[1], &runs[3]] {
        // Cancelled while held: nobody waits for it any more.
        assert!(control::cancel(&case.store, run).await.unwrap());
    }
    assert!(control::cancel(&case.store, &runs[2]).await.unwrap());
    assert_eq!(case.states(&runs[2]).await, "cancelled");
}

pub async fn a_paused_queue_begins_nothing_and_loses_nothing(case: &Case) {
    let step = || StepPlan { queue: Queue::Report, ..step("a", &[]) };
    let run = case.start(&plan("paused", vec![step()])).await;
    assert!(queue::pause(&case.store, Queue::Report, "closing the books").await.unwrap());
    assert!(!queue::pause(&case.store, Queue::Report, "again").await.unwrap());
    assert!(case.claim(&case.pointers(&run).await[0]).await.is_none());
    // apalis has delivered it: for apalis it is done with.
    sqlx::query("UPDATE apalis.jobs SET status = 'Done' WHERE job_type = 'traider-report'")
        .execute(&case.store.pool)
        .await
        .unwrap();
    assert_eq!(case.sweep().await.pushed, 0, "the sweep leaves a paused queue alone");
    assert!(queue::resume(&case.store, Queue::Report).await.unwrap());
    case.done(&run, "a").await;
    assert_eq!(case.show(&run).await.run.state, "done");
}

pub async fn of_a_batch_only_what_is_still_held_is_done(case: &Case) {
    let run = case.start(&plan("batch", vec![step("a", &[]), step("b", &[]), step("c", &["a", "b"])])).await;
    let (a, b) = (case.claim_step(&run, "a").await, case.claim_step(&run, "b").await);
    let lost = Claimed { epoch: 7, ..b.clone() };
    let done = control::complete_many(&case.store, &[(a.clone(), json!({"n": 1})), (lost, Value::Null)]).await.unwrap();
    assert_eq!((done, case.states(&run).await), (vec![true, false], "done running waiting".to_owned()));
    // Both needs in one batch, one of them told twice.
    let done = control::complete_many(&case.store, &[(b.clone(), Value::Null), (a, Value::Null)]).await.unwrap();
    assert_eq!((done, case.states(&run).await), (vec![true, false], "done done ready".to_owned()));
    assert!(view::history_holds(&case.store, &run).await.unwrap());
}

pub async fn one_step_and_what_needs_it_can_be_run_again(case: &Case) {
    let steps = || vec![step("a", &[]), step("b", &["a"]), step("c", &["a"]), step("d", &["b"])];
    let run = case.start(&plan("from", steps())).await;
    for name in ["a", "b", "c", "d"] {
        case.done(&run, name).await;
    }
    assert_eq!(control::retry(&case.store, &run, Retried::From("b")).await.unwrap(), 2);
    assert_eq!(case.states(&run).await, "done ready done waiting");
    case.done(&run, "b").await;
    case.done(&run, "d").await;
    assert_eq!(case.show(&run).await.run.state, "done");
    let unknown = control::retry(&case.store, &run, Retried::From("e")).await.unwrap_err();
    assert!(unknown.to_string().contains("it has: a, b, c, d"), "{unknown}");
}

pub async fn a_dead_step_can_be_given_up(case: &Case) {
    let run = case.start(&plan("given-up", vec![step("a", &[])])).await;
    for _ in 0..2 {
        let claimed = case.claim_step(&run, "a").await;
        case.let_lease_run_out(&claimed).await;
        case.sweep().await;
    }
    assert_eq!(case.states(&run).await, "dead");
    control::discard(&case.store, &run, "a", "known").await.unwrap();
    assert_eq!(case.states(&run).await, "failed");
    assert!(control::discard(&case.store, &run, "a", "known").await.is_err());
    assert!(view::history_holds(&case.store, &run).await.unwrap());
}

pub async fn many_runs_start_in_one_transaction_or_none(case: &Case) {
    let of = |partition: &str, steps: Vec<StepPlan>| RunPlan { partition: partition.to_owned(), ..plan("many", steps) };
    let good = |partition| of(partition, vec![StepPlan { params: json!({"to": "x/{run.id}"}), ..step("a", &[]) }]);
    let cyclic = of("3", vec![step("a", &["a"])]);
    let refused = control::start_runs(&case.store, &[good("1"), cyclic], Trigger::Backfill).await;
    assert!(refused.is_err());
    let started =
        control::start_runs(&case.store, &[good("1"), good("2"), good("1")], Trigger::Backfill).await.unwrap();
    let created: Vec<bool> = started.iter().map(|s| s.created).collect();
    assert_eq!((created, started[0].run == started[2].run), (vec![true, true, false], true));
    let claimed = case.claim_step(&started[1].run, "a").await;
    assert_eq!(claimed.params, json!({"to": format!("x/{}", started[1].run)}));
}

/// Random graphs, random outcomes, in random batches: every step ends as a second, much simpler reckoning says.
pub async fn random_graphs_end_as_a_naive_reckoning_says(case: &Case) {
    let mut runner = TestRunner::deterministic();
    for n in 0..40 {
        let graph = graph().new_tree(&mut runner).unwrap().current();
        let run = case.start(&plan(&format!("random-{n}"), graph.iter().map(|g| g.plan.clone()).collect())).await;
        let want = naive(&graph);
        loop {
            let shown = case.show(&run).await;
            let ready: Vec<&str> =
                shown.steps_detail.iter().filter(|s| s.state == "ready").map(|s| s.name.as_str()).collect();
            if ready.is_empty() {
                break;
            }
            let mut good = Vec::new();
            for name in ready {
                let claimed = case.claim_step(&run, name).await;
                if graph.iter().any(|g| g.plan.name == name && g.fails) {
                    control::fail(&case.store, &claimed, &StepError::Permanent("no".to_owned())).await.unwrap();
                } else {
                    good.push((claimed, Value::Null));
                }
            }
            control::complete_many(&case.store, &good).await.unwrap();
        }
        let shown = case.show(&run).await;
        let got: BTreeMap<String, String> =
            shown.steps_detail.iter().map(|s| (s.name.clone(), s.state.clone())).collect();
        assert_eq!(got, want, "{graph:#?}");
        let failed = want.values().any(|state| state == "failed");
        assert_eq!(shown.run.state, if failed { "failed" } else { "done" });
        assert!(view::history_holds(&case.store, &run).await.unwrap());
    }
}

#[derive(Clone, Debug)]
struct Node {
    plan: StepPlan,
    fails: bool,
}

fn graph() -> impl Strategy<Value = Vec<Node>> {
    let node = (any::<[bool; 8]>(), 0..3u8, any::<bool>(), proptest::option::of(1..3u32));
    proptest::collection::vec(node, 1..8).prop_map(|nodes| {
        let name = |n: usize| format!("s{n}");
        let build = |(n, (edges, when, fails, quorum)): (usize, ([bool; 8], u8, bool, Option<u32>))| {
            let needs: BTreeSet<String> = (0..n).filter(|m| edges[*m]).map(name).collect();
            let when = [When::Success, When::Failure, When::Always][usize::from(when)];
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            // A first step has no outcome to wait for.
            let when = if needs.is_empty() { When::Success } else { when };
            let min_ok = quorum.filter(|_| !needs.is_empty());
            Node { plan: StepPlan { when, min_ok, ..step(&name(n), &needs) }, fails }
        };
        nodes.into_iter().enumerate().map(build).collect()
    })
}

/// In the order of the plan, each step's end from the ends of its needs.
fn naive(graph: &[Node]) -> BTreeMap<String, String> {
    let mut ends: BTreeMap<String, String> = BTreeMap::new();
    for Node { plan, fails } in graph {
        let ok = plan.needs.iter().filter(|need| ends[*need] == "done").count();
        let all = plan.needs.len();
        let runs = match plan.when {
            When::Always => true,
            When::Failure => ok < all,
            When::Success => match plan.min_ok {
                Some(enough) => ok >= enough as usize,
                None => ok == all,
            },
        };
        let end = match (runs, fails) {
            (false, _) => "skipped",
            (true, true) => "failed",
            (true, false) => "done",
        };
        ends.insert(plan.name.clone(), end.to_owned());
    }
    ends
}

pub async fn claims_of_one_batch_take_each_step_once(case: &Case) {
    let run = case.start(&plan("claims", vec![step("a", &[]), step("b", &[])])).await;
    let pointers = case.pointers(&run).await;
    let asked = [&pointers[0], &pointers[1], &pointers[0]].map(|p| (p.clone(), case.worker()));
    let got = control::claim_many(&case.store, &asked, LEASE).await.unwrap();
    let taken: BTreeSet<String> = got.iter().flatten().map(|c| c.step.clone()).collect();
    assert_eq!((got.iter().flatten().count(), taken.len()), (2, 2));
}
