//! What came from what, and the lists people look at.

use crate::{Case, plan, step, version};
use store::control;
use store::{AssetVersion, Progress, StepError, StepOutcome, assets, queue, view};

pub async fn lineage_is_told_in_both_directions(case: &Case) {
    let run =
        case.start(&plan("lineage", vec![step("raw", &[]), step("clean", &["raw"]), step("sum", &["clean"])])).await;
    let day = |asset: &str, sha: &str| AssetVersion { partition: "2026-11-20".to_owned(), ..version(asset, sha) };
    let chain = [("raw", None, "l-raw"), ("clean", Some("l-raw"), "l-clean"), ("sum", Some("l-clean"), "l-sum")];
    for (name, from, to) in chain {
        let claimed = case.claim_step(&run, name).await;
        let inputs = match from {
            Some(from) => vec![(from.to_owned(), format!("sha-{from}"))],
            // A journal: nobody made it.
            None => vec![("journal/x".to_owned(), "sha-x".to_owned())],
        };
        let outputs = vec![day(to, &format!("sha-{to}"))];
        control::complete(&case.store, &claimed, StepOutcome { inputs, outputs, ..StepOutcome::default() })
            .await
            .unwrap();
    }
    let names = |rows: Vec<assets::LineageRow>| rows.into_iter().map(|r| (r.depth, r.asset)).collect::<Vec<_>>();
    let up = names(assets::upstream(&case.store, "l-sum", "2026-11-20").await.unwrap());
    let want = [(0, "l-sum"), (1, "l-clean"), (2, "l-raw"), (3, "journal/x")];
    assert_eq!(up, want.map(|(depth, name)| (depth, name.to_owned())));
    let down = assets::downstream(&case.store, "l-raw", "2026-11-20").await.unwrap();
    assert!(down[1..].iter().all(|row| row.run.as_deref() == Some(run.as_str())), "{down:?}");
    assert_eq!(names(down), [(0, "l-raw"), (1, "l-clean"), (2, "l-sum")].map(|(d, name)| (d, name.to_owned())));
    assert_eq!(assets::versions(&case.store, "l-clean", "2026-11-20").await.unwrap().len(), 1);
}

pub async fn lists_say_what_is_dead_held_and_paused(case: &Case) {
    let run = case.start(&plan("lists", vec![step("a", &[]), step("b", &[])])).await;
    let a = case.claim_step(&run, "a").await;
    let progress = Progress { done: 3, total: 12, unit: "hours".to_owned() };
    control::heartbeat(&case.store, &a, crate::LEASE, Some(&progress)).await.unwrap();
    control::heartbeat(&case.store, &a, crate::LEASE, None).await.unwrap();
    let shown = case.show(&run).await.steps_detail[0].progress.clone().unwrap();
    assert_eq!(
        serde_json::from_value::<Progress>(shown).unwrap(),
        progress,
        "a beat without a word keeps the last one"
    );
    control::fail(&case.store, &a, &StepError::Permanent("no".to_owned())).await.unwrap();
    for _ in 0..2 {
        let b = case.claim_step(&run, "b").await;
        case.let_lease_run_out(&b).await;
        case.sweep().await;
    }
    let dead = view::dead(&case.store, 50).await.unwrap();
    let mine: Vec<&str> = dead.iter().filter(|d| d.run == run).map(|d| d.step.as_str()).collect();
    assert_eq!(mine, ["b"]);
    let grid = view::grid(&case.store, "lists", 10).await.unwrap();
    assert_eq!((grid.len(), grid[0].run.as_str(), grid[0].state.as_str()), (1, run.as_str(), "failed"));
    assert_eq!(grid[0].steps[1]["state"], "dead");
    queue::pause(&case.store, spec::Queue::Cpu, "maintenance").await.unwrap();
    let queues = view::queues(&case.store).await.unwrap();
    let names: Vec<&str> = queues.iter().map(|q| q.queue.as_str()).collect();
    assert_eq!(names, ["critical", "io", "cpu", "report"]);
    assert_eq!(queues[2].paused_why.as_deref(), Some("maintenance"));
    queue::resume(&case.store, spec::Queue::Cpu).await.unwrap();
}
