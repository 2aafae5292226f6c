//! Alerts: opened once, seen again, over once; messages leave through the outbox, each channel by itself.

use crate::{Case, plan, step, version};
use chrono::{DateTime, TimeDelta, Utc};
use spec::{RunPlan, StepPlan};
use std::time::Duration;
use store::control::{self, Trigger};
use store::{AssetVersion, StepError, StepOutcome, alert, outbox};

const DAY: Duration = Duration::from_secs(86_400);

/// The messages about a key, in order: what they say.
async fn messages(case: &Case, key: &str) -> Vec<String> {
    sqlx::query_scalar("SELECT payload ->> 'what' FROM traider.outbox WHERE payload ->> 'key' = $1 ORDER BY id")
        .bind(key)
        .fetch_all(&case.store.pool)
        .await
        .unwrap()
}

async fn ends(case: &Case, plan: &RunPlan, good: bool) -> String {
    let run = case.start(plan).await;
    let claimed = case.claim_step(&run, "a").await;
    match good {
        true => control::complete(&case.store, &claimed, StepOutcome::default()).await.unwrap(),
        false => {
            control::fail(&case.store, &claimed, &StepError::Permanent("no".to_owned())).await.unwrap();
        }
    }
    run
}

pub async fn a_failing_partition_is_told_once_and_its_recovery_once(case: &Case) {
    let (plan, key) = (plan("alarm", vec![step("a", &[])]), "failed/alarm/2026-11-20");
    ends(case, &plan, false).await;
    ends(case, &plan, false).await;
    assert_eq!(messages(case, key).await, ["raised"]);
    let open = alert::list(&case.store, false, 100).await.unwrap();
    let seen: Vec<(i32, &str)> = open.iter().filter(|a| a.key == key).map(|a| (a.seen, a.detail.as_str())).collect();
    assert_eq!(seen, [(2, "a: no")]);
    ends(case, &plan, true).await;
    ends(case, &plan, true).await;
    assert_eq!(messages(case, key).await, ["raised", "recovered"]);
    ends(case, &plan, false).await;
    assert_eq!(messages(case, key).await, ["raised", "recovered", "raised"], "it opens anew");
}

pub async fn a_message_goes_to_each_channel_by_itself_until_it_is_there(case: &Case) {
    let mine = |m: &outbox::Message| m.key.starts_with("failed/channels/");
    ends(case, &plan("channels", vec![step("a", &[])]), false).await;
    let taken = outbox::take(&case.store).await.unwrap();
    let message = taken.iter().find(|m| mine(m)).unwrap();
    assert!(!outbox::take(&case.store).await.unwrap().iter().any(mine), "what is taken is nobody else's for a while");
    let channels = ["file", "webhook"].map(str::to_owned);
    outbox::fan_out(&case.store, message, &channels).await.unwrap();
    outbox::fan_out(&case.store, message, &channels).await.unwrap();
    let taken = outbox::take(&case.store).await.unwrap();
    let mine: Vec<&outbox::Message> = taken.iter().filter(|m| mine(m)).collect();
    assert_eq!(mine.iter().map(|m| m.channel.as_str()).collect::<Vec<_>>(), ["file", "webhook"]);
    outbox::sent(&case.store, mine[0], None).await.unwrap();
    outbox::failed(&case.store, mine[1], "nobody answers").await.unwrap();
    let left: Vec<(String, bool, Option<String>)> = sqlx::query_as(
        "SELECT channel, next_at > now(), last_error FROM traider.outbox WHERE sent_at IS NULL AND key = ANY ($1)",
    )
    .bind(mine.iter().map(|m| m.key.clone()).collect::<Vec<_>>())
    .fetch_all(&case.store.pool)
    .await
    .unwrap();
    assert_eq!(left, [("webhook".to_owned(), true, Some("nobody answers".to_owned()))]);
}

pub async fn what_is_late_is_told_once_and_again_when_it_has_ended(case: &Case) {
    let due: DateTime<Utc> = "2026-11-20T02:00:00Z".parse().unwrap();
    let late = StepPlan { deadline_s: Some(due.timestamp()), ..step("a", &[]) };
    let run = case.start(&plan("late", vec![late])).await;
    let key = "late/late/2026-11-20/a";
    let watch = |at: DateTime<Utc>| alert::watch(&case.store, at, DAY);
    watch(due).await.unwrap();
    assert_eq!(messages(case, key).await, Vec::<String>::new(), "on the minute is not late");
    watch(due + TimeDelta::seconds(1)).await.unwrap();
    watch(due + TimeDelta::seconds(2)).await.unwrap();
    assert_eq!(messages(case, key).await, ["raised"]);
    case.done(&run, "a").await;
    watch(due + TimeDelta::seconds(3)).await.unwrap();
    watch(due + TimeDelta::seconds(4)).await.unwrap();
    assert_eq!(messages(case, key).await, ["raised", "recovered"]);
}

pub async fn assets_that_miss_a_slot_are_stale_until_they_are_made(case: &Case) {
    let made = async |day: &str| {
        let plan = RunPlan { partition: day.to_owned(), ..plan("fresh", vec![step("a", &[])]) };
        let run = control::start_run(&case.store, &plan, Trigger::Manual).await.unwrap().run;
        let claimed = case.claim_step(&run, "a").await;
        let output = AssetVersion { partition: day.to_owned(), ..version("fresh/asset", &format!("sha-{day}")) };
        let outcome = StepOutcome { outputs: vec![output], ..StepOutcome::default() };
        control::complete(&case.store, &claimed, outcome).await.unwrap();
    };
    sqlx::query("INSERT INTO traider.schedule (name, workflow, cron) VALUES ('fresh', 'fresh', '0 0 * * *')")
        .execute(&case.store.pool)
        .await
        .unwrap();
    let now = Utc::now();
    for (ago, day) in [(3, "2026-11-18"), (2, "2026-11-19"), (1, "2026-11-20")] {
        sqlx::query(
            "INSERT INTO traider.slot (schedule, slot, state, partition, not_before) VALUES ('fresh', $1, 'started', $2, $1)",
        )
        .bind(now - TimeDelta::days(ago))
        .bind(day)
        .execute(&case.store.pool)
        .await
        .unwrap();
    }
    let key = "stale/fresh/asset";
    made("2026-11-18").await;
    alert::watch(&case.store, now, DAY).await.unwrap();
    alert::watch(&case.store, now, DAY).await.unwrap();
    assert_eq!(messages(case, key).await, ["raised"], "the slot of the 19th is two slots old");
    made("2026-11-19").await;
    alert::watch(&case.store, now, DAY).await.unwrap();
    assert_eq!(messages(case, key).await, ["raised", "recovered"], "the newest slot has its time still");
}

pub async fn a_schedule_that_is_paused_too_long_is_told(case: &Case) {
    let now = Utc::now();
    sqlx::query(
        "INSERT INTO traider.schedule (name, workflow, cron, paused, paused_at, paused_why) \
         VALUES ('held', 'held', '0 0 * * *', true, $1, 'while we look')",
    )
    .bind(now - TimeDelta::hours(23))
    .execute(&case.store.pool)
    .await
    .unwrap();
    alert::watch(&case.store, now, DAY).await.unwrap();
    assert_eq!(messages(case, "paused/held").await, Vec::<String>::new());
    alert::watch(&case.store, now + TimeDelta::hours(2), DAY).await.unwrap();
    alert::watch(&case.store, now + TimeDelta::hours(3), DAY).await.unwrap();
    assert_eq!(messages(case, "paused/held").await, ["raised"]);
    store::schedule::resume(&case.store, "held", now).await.unwrap();
    alert::watch(&case.store, now + TimeDelta::hours(4), DAY).await.unwrap();
    assert_eq!(messages(case, "paused/held").await, ["raised", "recovered"]);
}
