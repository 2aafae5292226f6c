//! What the buttons do, looked up in the database.

use crate::http::Page;
use crate::number;
use crate::seed::{Seeded, chain, claim, start};
use serde_json::json;
use std::time::Duration;
use store::{Store, control};

pub async fn schedules_and_queues_are_held_with_a_reason(store: &Store, page: &Page) {
    let held = "SELECT count(*) FROM traider.schedule WHERE name = 'backup' AND paused AND paused_why = $1";
    page.changed("/schedules/backup/pause", &json!({"why": "disk"})).await;
    assert_eq!(number(store, held, "disk").await, 1);
    assert_eq!(page.changed("/schedules/backup/pause", &json!({"why": "again"})).await["changed"], false);
    let shown = page.get("/api/board/schedules/backup").await.json();
    assert_eq!(shown["paused_why"], "disk", "a change is seen at once");
    page.changed("/schedules/backup/resume", &json!({})).await;
    assert_eq!(number(store, held, "disk").await, 0);
    assert_eq!(page.change("/schedules/nothing/resume", &json!({})).await.status, 404);

    let paused = "SELECT count(*) FROM traider.queue_pause WHERE queue = $1";
    page.changed("/queues/cpu/pause", &json!({"why": "too hot"})).await;
    assert_eq!(number(store, paused, "cpu").await, 1);
    page.changed("/queues/cpu/resume", &json!({})).await;
    assert_eq!(number(store, paused, "cpu").await, 0);
}

pub async fn backfills_are_steered(store: &Store, page: &Page, seeded: &Seeded) {
    let id = &seeded.backfill;
    let is = "SELECT count(*) FROM traider.backfill WHERE id = $1 AND state = 'paused'";
    page.changed(&format!("/backfills/{id}/pause"), &json!({})).await;
    assert_eq!(number(store, is, id).await, 1);
    page.changed(&format!("/backfills/{id}/resume"), &json!({})).await;
    assert_eq!(number(store, is, id).await, 0);
    let other = crate::seed::backfill_of(store, "other", 3).await;
    page.changed(&format!("/backfills/{other}/cancel"), &json!({})).await;
    let cancelled = "SELECT count(*) FROM traider.backfill_part WHERE backfill = $1 AND state = 'cancelled'";
    assert_eq!(number(store, cancelled, &other).await, 3);
    assert_eq!(page.change(&format!("/backfills/{other}/resume"), &json!({})).await.status, 409, "it has ended");
}

pub async fn runs_are_retried_and_cancelled(store: &Store, page: &Page, seeded: &Seeded) {
    let run = start(store, &chain("acts", "p", &["a", "b"])).await;
    let retry = format!("/runs/{run}/retry");
    let active = page.change(&retry, &json!({"which": "failed"})).await;
    assert_eq!((active.status, active.json()["error"]["do"].as_str()), (409, Some("cancel it first")));
    assert_eq!(page.changed(&format!("/runs/{run}/cancel"), &json!({})).await["cancelled"], true);
    let state = "SELECT count(*) FROM traider.run WHERE id = $1 AND state = 'cancelled'";
    assert_eq!(number(store, state, &run).await, 1);
    assert_eq!(page.changed(&format!("/runs/{run}/cancel"), &json!({})).await["cancelled"], false, "it has ended");
    assert_eq!(page.changed(&retry, &json!({"which": "failed"})).await["steps"], 2);
    let ready = "SELECT count(*) FROM traider.step WHERE run = $1 AND name = 'a' AND state = 'ready'";
    assert_eq!(number(store, ready, &run).await, 1);
    for name in ["a", "b"] {
        let step = claim(store, &run, name).await;
        control::complete(store, &step, store::StepOutcome::default()).await.unwrap();
    }
    assert_eq!(page.changed(&retry, &json!({"which": "from", "step": "b"})).await["steps"], 1);
    let unknown = page.change(&format!("/runs/{}/retry", seeded.failed), &json!({"which": "from", "step": "z"})).await;
    assert!(unknown.status == 404 && unknown.body.contains("it has: ingest"), "{}", unknown.body);
    assert_eq!(page.change(&retry, &json!({"which": "some"})).await.status, 400);
}

pub async fn dead_letters_are_given_up_or_run_again(store: &Store, page: &Page, seeded: &Seeded) {
    let dead = "SELECT count(*) FROM traider.step WHERE run = $1 AND state = 'dead'";
    let run = start(store, &chain("doomed", "p", &["a"])).await;
    for _ in 0..2 {
        claim(store, &run, "a").await;
        sqlx::query("UPDATE traider.step SET lease_until = now() - interval '1 s' WHERE run = $1")
            .bind(&run)
            .execute(&store.pool)
            .await
            .unwrap();
        control::sweep(store, Duration::ZERO).await.unwrap();
    }
    assert_eq!(number(store, dead, &run).await, 1);
    page.changed(&format!("/runs/{run}/discard"), &json!({"step": "a", "why": "a disk died"})).await;
    assert_eq!(number(store, dead, &run).await, 0);
    let told =
        "SELECT count(*) FROM traider.run_event WHERE run = $1 AND kind = 'step_discarded' AND detail = 'a disk died'";
    assert_eq!(number(store, told, &run).await, 1);
    assert_eq!(page.change(&format!("/runs/{run}/discard"), &json!({"step": "a", "why": "x"})).await.status, 404);
    let again = page.changed(&format!("/runs/{run}/retry"), &json!({"which": "from", "step": "a"})).await;
    assert_eq!(again["steps"], 1);
    assert_eq!(number(store, dead, &seeded.dead).await, 1, "others stay");
}
