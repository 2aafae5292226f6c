//! Backfills: in order, a few at a time, each part once.

use crate::timed::{Desk, at};
use serde_json::json;
use spec::RunPlan;
use std::sync::Arc;
use store::backfill::{self, Direction, Found, NewBackfill, Reprocess};
use store::control::{self, Trigger};
use store::schedule::Planner;
use store::{Store, StoreError};
use tokio::task::JoinSet;
use worker::scheduler::planned;

const NOW: &str = "2026-07-01T00:00:00Z";

pub async fn all(store: &Store) {
    a_plan_says_what_would_happen_and_writes_nothing(store).await;
    parts_run_in_order_and_no_more_than_allowed(store).await;
    what_has_run_is_run_again_by_rule(store).await;
    processes_at_the_same_time_start_each_part_once(store).await;
    a_backfill_can_be_held_and_cancelled(store).await;
    a_backfill_runs_the_version_it_began_with(store).await;
}

async fn desk(store: &Store, name: &str) -> Desk {
    Desk::of(store, &[(name, "[partition]\nkind = \"day\"")], NOW).await
}

fn days(workflow: &str, count: u32, reprocess: Reprocess) -> NewBackfill {
    NewBackfill {
        workflow: workflow.to_owned(),
        keys: (1..=count).map(|day| format!("2026-06-{day:02}")).collect(),
        params: json!({}),
        direction: Direction::Oldest,
        reprocess,
        max_active: 2,
    }
}

fn plan_of(desk: &Desk, workflow: &str, key: &str) -> Result<RunPlan, String> {
    desk.definitions.plan(workflow, key, None)
}

async fn start(desk: &Desk, new: &NewBackfill) -> String {
    backfill::start(&desk.store, new, at(NOW), |key| plan_of(desk, &new.workflow, key)).await.unwrap()
}

async fn run(desk: &Desk, workflow: &str, key: &str) -> String {
    let plan = plan_of(desk, workflow, key).unwrap();
    control::start_run(&desk.store, &plan, Trigger::Manual).await.unwrap().run
}

/// Ticks once; the partitions of the runs that began.
async fn tick(desk: &Desk) -> Vec<(String, String)> {
    let ticked = backfill::tick(&desk.store, at(NOW), &planned).await.unwrap();
    assert_eq!(ticked.problems, Vec::<String>::new());
    let mut started = Vec::new();
    for run in ticked.started {
        started.push((desk.column("partition_key", &run).await, run));
    }
    started
}

fn keys(started: &[(String, String)]) -> Vec<&str> {
    started.iter().map(|(key, _)| key.as_str()).collect()
}

/// The first of five days is done, the second failed, the third under way, the others were never run.
async fn mixed(desk: &Desk, workflow: &str) -> [String; 3] {
    let runs = [
        run(desk, workflow, "2026-06-01").await,
        run(desk, workflow, "2026-06-02").await,
        run(desk, workflow, "2026-06-03").await,
    ];
    desk.end(&runs[0], "done", 60.0).await;
    desk.end(&runs[1], "failed", 7.0).await;
    runs
}

async fn a_plan_says_what_would_happen_and_writes_nothing(store: &Store) {
    let desk = desk(store, "planned").await;
    mixed(&desk, "planned").await;
    for (reprocess, kept) in [
        (Reprocess::Missing, [true, true, false, false, false]),
        (Reprocess::Failed, [true, false, false, false, false]),
        (Reprocess::All, [false, false, false, false, false]),
    ] {
        let plan = backfill::plan(store, &days("planned", 5, reprocess)).await.unwrap();
        let found: Vec<Found> = plan.parts.iter().map(|part| part.found).collect();
        assert_eq!(found, [Found::Done, Found::Failed, Found::Active, Found::Missing, Found::Missing]);
        assert_eq!(plan.parts.iter().map(|part| part.kept).collect::<Vec<_>>(), kept);
        // Two at a time, a minute each.
        let rounds = kept.iter().filter(|kept| !**kept).count().div_ceil(2);
        assert_eq!((plan.typical_s, plan.estimate_s), (Some(60.0), Some(60.0 * rounds as f64)));
    }
    let newest = NewBackfill { direction: Direction::Newest, ..days("planned", 5, Reprocess::Missing) };
    assert_eq!(backfill::plan(store, &newest).await.unwrap().parts[0].partition, "2026-06-05");
    assert_eq!(backfill::list(store, 10).await.unwrap(), []);
    for (wrong, why) in [
        (NewBackfill { keys: Vec::new(), ..newest.clone() }, "at least one partition"),
        (NewBackfill { keys: vec!["2026-06-01".into(); 2], ..newest.clone() }, "each partition once"),
        (NewBackfill { max_active: 0, ..newest.clone() }, "room for at least one run"),
        (NewBackfill { keys: vec!["June".into()], ..newest }, "`June`"),
    ] {
        let refused = backfill::start(store, &wrong, at(NOW), |key| plan_of(&desk, "planned", key)).await;
        assert!(matches!(&refused, Err(StoreError::Conflict { what }) if what.contains(why)), "{refused:?}");
    }
}

async fn parts_run_in_order_and_no_more_than_allowed(store: &Store) {
    for (name, direction, want) in [
        ("oldest", Direction::Oldest, ["2026-06-01", "2026-06-02", "2026-06-03", "2026-06-04", "2026-06-05"]),
        ("newest", Direction::Newest, ["2026-06-05", "2026-06-04", "2026-06-03", "2026-06-02", "2026-06-01"]),
    ] {
        let desk = desk(store, name).await;
        let id = start(&desk, &NewBackfill { direction, ..days(name, 5, Reprocess::Missing) }).await;
        let first = tick(&desk).await;
        assert_eq!((keys(&first), keys(&tick(&desk).await)), (want[..2].to_vec(), vec![]));
        // Behind whatever a schedule or a person asks for.
        let by_hand = run(&desk, name, "2026-05-01").await;
        let priority = async |run: &str| desk.column("priority", run).await;
        assert_eq!((priority(&first[0].1).await, priority(&by_hand).await), ("50".into(), "150".into()));
        desk.end(&first[1].1, "failed", 5.0).await;
        let second = tick(&desk).await;
        assert_eq!(keys(&second), want[2..3]);
        desk.end(&first[0].1, "done", 30.0).await;
        desk.end(&second[0].1, "done", 30.0).await;
        let shown = backfill::show(store, &id[..20]).await.unwrap().backfill;
        assert_eq!((shown.pending, shown.active, shown.done, shown.failed), (2, 0, 2, 1));
        // Two left, two at a time, half a minute each.
        assert_eq!((shown.state.as_str(), shown.eta_s), ("running", Some(30.0)));
        let last = tick(&desk).await;
        assert_eq!(keys(&last), want[3..]);
        for (_, run) in last {
            desk.end(&run, "done", 30.0).await;
        }
        assert_eq!(backfill::tick(store, at(NOW), &planned).await.unwrap().ended, std::slice::from_ref(&id));
        let shown = backfill::show(store, &id).await.unwrap().backfill;
        assert_eq!((shown.state.as_str(), shown.ended_at, shown.eta_s), ("done", Some(at(NOW)), None));
    }
}

async fn what_has_run_is_run_again_by_rule(store: &Store) {
    for (name, reprocess, first) in [
        ("again-missing", Reprocess::Missing, vec!["2026-06-04", "2026-06-05"]),
        ("again-failed", Reprocess::Failed, vec!["2026-06-02", "2026-06-04", "2026-06-05"]),
        ("again-all", Reprocess::All, vec!["2026-06-01", "2026-06-02", "2026-06-04", "2026-06-05"]),
    ] {
        let desk = desk(store, name).await;
        let runs = mixed(&desk, name).await;
        let id = start(&desk, &NewBackfill { max_active: 9, ..days(name, 5, reprocess) }).await;
        let started = tick(&desk).await;
        assert_eq!(keys(&started), first, "{name}");
        for (key, run) in &started {
            let before = ["2026-06-01", "2026-06-02"].contains(&key.as_str());
            assert_eq!(desk.column("generation", run).await, if before { "2" } else { "1" }, "{name} {key}");
            desk.end(run, "done", 1.0).await;
        }
        // The third day was under way: joined, or with `all` waited for and made anew.
        assert_eq!(backfill::show(store, &id).await.unwrap().backfill.state, "running");
        desk.end(&runs[2], "done", 1.0).await;
        let rest = tick(&desk).await;
        assert_eq!(keys(&rest), if reprocess == Reprocess::All { vec!["2026-06-03"] } else { vec![] });
        for (_, run) in &rest {
            assert_eq!(desk.column("generation", run).await, "2");
            desk.end(run, "done", 1.0).await;
        }
        tick(&desk).await;
        let shown = backfill::show(store, &id).await.unwrap().backfill;
        let kept = match reprocess {
            Reprocess::Missing => 2,
            Reprocess::Failed => 1,
            Reprocess::All => 0,
        };
        assert_eq!((shown.state.as_str(), shown.kept, shown.done), ("done", kept, 5 - kept), "{name}");
    }
}

async fn processes_at_the_same_time_start_each_part_once(store: &Store) {
    let desk = Arc::new(desk(store, "crowded").await);
    let id = start(&desk, &NewBackfill { max_active: 7, ..days("crowded", 28, Reprocess::All) }).await;
    let mut all = Vec::new();
    while all.len() < 28 {
        let mut crowd = JoinSet::new();
        for _ in 0..4 {
            let desk = Arc::clone(&desk);
            crowd.spawn(async move { tick(&desk).await });
        }
        let started: Vec<(String, String)> = crowd.join_all().await.into_iter().flatten().collect();
        assert_eq!(started.len(), 7);
        for (key, run) in started {
            desk.end(&run, "done", 1.0).await;
            all.push(key);
        }
    }
    assert_eq!(all, days("crowded", 28, Reprocess::All).keys);
    tick(&desk).await;
    assert_eq!(backfill::show(store, &id).await.unwrap().backfill.done, 28);
}

async fn a_backfill_can_be_held_and_cancelled(store: &Store) {
    let desk = desk(store, "steered").await;
    let foreign = run(&desk, "steered", "2026-06-01").await;
    let id = start(&desk, &days("steered", 5, Reprocess::Missing)).await;
    let first = tick(&desk).await;
    assert_eq!(keys(&first), ["2026-06-02"], "the first day is under way by hand and takes one of the two places");
    backfill::pause(store, &id, at(NOW)).await.unwrap();
    desk.end(&first[0].1, "done", 1.0).await;
    assert_eq!(keys(&tick(&desk).await), Vec::<&str>::new());
    backfill::resume(store, &id, at(NOW)).await.unwrap();
    let second = tick(&desk).await;
    assert_eq!(keys(&second), ["2026-06-03"]);
    assert_eq!(backfill::cancel(store, &id, at(NOW)).await.unwrap(), [second[0].1.clone()]);
    assert_eq!(desk.column("state", &second[0].1).await, "cancelled");
    assert_eq!(desk.column("state", &foreign).await, "queued", "not ours to cancel");
    assert_eq!(keys(&tick(&desk).await), Vec::<&str>::new());
    let shown = backfill::show(store, &id).await.unwrap().backfill;
    assert_eq!((shown.state.as_str(), shown.done, shown.active, shown.cancelled), ("cancelled", 1, 1, 3));
    assert_eq!(backfill::cancel(store, &id, at(NOW)).await.unwrap(), Vec::<String>::new());
    let refused = backfill::resume(store, &id, at(NOW)).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
}

async fn a_backfill_runs_the_version_it_began_with(store: &Store) {
    let mut desk = desk(store, "pinned").await;
    let id = start(&desk, &NewBackfill { max_active: 1, ..days("pinned", 2, Reprocess::Missing) }).await;
    let first = tick(&desk).await;
    desk.end(&first[0].1, "done", 1.0).await;
    desk.write("pinned", "description = \"changed\"\n[partition]\nkind = \"day\"");
    desk.sync(NOW).await;
    let by_hand = run(&desk, "pinned", "2026-05-01").await;
    let second = tick(&desk).await;
    let version = async |run: &str| desk.column("version", run).await;
    assert_eq!((version(&first[0].1).await, version(&by_hand).await), ("1".into(), "2".into()));
    assert_eq!(version(&second[0].1).await, "1");
    assert_eq!(desk.column("backfill", &second[0].1).await, id);
}
