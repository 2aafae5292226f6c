//! The runs' log on its way out of the database: nothing is lost, wherever it is interrupted.

use chrono::{DateTime, Utc};
use data::archive::{self, archived_log};
use lake::{Lake, Partition};
use serde_json::{Value, json};
use store::context::LogLine;
use store::logs::{self, LogRow};
use store::testing::TestHome;
use store::{CancelToken, StepContext, StepLog, StepOutcome, Store};

struct Case {
    home: TestHome,
    store: Store,
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

impl Case {
    async fn say(&self, run: &str, ts: &str, message: &str) {
        let line = LogLine { ts: at(ts), level: "info", message: message.to_owned() };
        logs::append(&self.store, run, "ingest", 1, &[line]).await.unwrap();
    }
    async fn known(&self, run: &str) -> Vec<LogRow> {
        logs::read(&self.store, run, None, 0, 100).await.unwrap()
    }
    /// The step up to its commit.
    async fn clean(&self, day: &str) -> StepOutcome {
        archive::run(StepContext {
            store: self.store.clone(),
            home: self.home.home.clone(),
            run_id: "run".to_owned(),
            step: "clean-up".to_owned(),
            attempt: 1,
            epoch: 1,
            partition: day.to_owned(),
            params: json!({ "day": day }),
            log: StepLog::channel().0,
            cancel: CancelToken::default(),
        })
        .await
        .unwrap()
    }
    async fn commit(&self, outcome: StepOutcome) -> Value {
        let mut tx = self.store.pool.begin().await.unwrap();
        for write in outcome.writes {
            write.apply(&mut tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        outcome.summary
    }
    async fn tables(&self) -> Vec<String> {
        let days = store::retention::days(&self.store).await.unwrap();
        days.iter().map(ToString::to_string).collect()
    }
    async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.store.pool).await.unwrap()
    }
}

#[test]
fn old_days_of_the_log_leave_the_database_and_none_of_their_lines_is_lost() {
    let home = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        let case = Case { home, store };
        case.say("01A", "2026-11-01T23:59:59.999999Z", "late on the first").await;
        case.say("01A", "2026-11-02T00:00:00Z", "early on the second").await;
        case.say("01B", "2026-11-02T12:00:00Z", "of another run").await;
        case.say("01A", "2026-11-06T00:00:00Z", "fourteen days ago").await;
        case.say("01A", "2026-11-20T01:00:00Z", "today").await;
        let before = case.known("01A").await;
        assert_eq!(before.len(), 4);

        // Killed after the archive was written and before the commit: nothing has left the database.
        let lost = case.clean("2026-11-20").await;
        assert_eq!(lost.outputs.iter().map(|o| o.rows).collect::<Vec<_>>(), [1, 2], "two days, three lines");
        assert_eq!(case.known("01A").await, before);
        // Again, and this time to the end; the archive has the same bytes.
        let done = case.clean("2026-11-20").await;
        assert_eq!(done.outputs, lost.outputs);
        let summary = case.commit(done).await;
        assert_eq!((&summary["days_archived"], &summary["lines_archived"]), (&json!(2), &json!(3)));
        assert_eq!(case.known("01A").await, before[2..], "fourteen days stay");
        assert_eq!(archived_log(&case.home.home, "01A").await.unwrap(), before[..2]);
        assert_eq!(archived_log(&case.home.home, "01B").await.unwrap().len(), 1);
        assert!(archived_log(&case.home.home, "01").await.unwrap().is_empty());
        let today_on: Vec<String> = (20..=27).map(|day| format!("2026-11-{day}")).collect();
        assert_eq!(case.tables().await, [vec!["2026-11-06".to_owned()], today_on].concat());
        let elsewhere = "SELECT count(*) FROM traider.run_log_other";
        assert_eq!(case.count(elsewhere).await, 0, "every line is in the table of its day");

        // A line that comes into a day that is archived is added to it.
        case.say("01A", "2026-11-02T13:00:00Z", "very late").await;
        case.commit(case.clean("2026-11-20").await).await;
        let told: Vec<String> =
            archived_log(&case.home.home, "01A").await.unwrap().into_iter().map(|l| l.message).collect();
        assert_eq!(told, ["late on the first", "early on the second", "very late"]);

        // One that comes between reading and dropping keeps its day until the next time.
        case.say("01A", "2026-11-03T13:00:00Z", "on the third").await;
        let read = case.clean("2026-11-20").await;
        case.say("01A", "2026-11-03T14:00:00Z", "in between").await;
        case.commit(read).await;
        assert_eq!(case.known("01A").await.len(), 4, "the two that stay and the two of the third");
        case.commit(case.clean("2026-11-20").await).await;
        assert_eq!(case.known("01A").await, before[2..]);
        assert_eq!(archived_log(&case.home.home, "01A").await.unwrap().len(), 5);

        // Somebody else holds the table, as a dump does: it stays, and so does everything else of the step.
        case.say("01A", "2026-11-04T13:00:00Z", "on the fourth").await;
        let read = case.clean("2026-11-20").await;
        let mut dump = case.store.pool.begin().await.unwrap();
        sqlx::query("LOCK TABLE traider.run_log IN ACCESS SHARE MODE").execute(&mut *dump).await.unwrap();
        case.commit(read).await;
        dump.rollback().await.unwrap();
        assert!(case.tables().await.contains(&"2026-11-04".to_owned()));
        case.commit(case.clean("2026-11-20").await).await;
        assert!(!case.tables().await.contains(&"2026-11-04".to_owned()));

        let lake = Lake::local(&archive::folder(&case.home.home)).unwrap();
        let day = Partition::of_asset("run_log/traider/steps/2026-11-02").unwrap();
        assert_eq!(lake.verify(&day).await.unwrap().rows, 3);
        case.store.close().await;
    });
}

#[test]
fn old_messages_that_were_sent_and_old_tasks_that_ended_go() {
    let home = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        let case = Case { home, store };
        let messages = "INSERT INTO traider.outbox (key, topic, payload, sent_at) VALUES \
            ('old', 't', '{}', now() - interval '31 days'), ('young', 't', '{}', now() - interval '29 days'), \
            ('unsent', 't', '{}', NULL)";
        sqlx::query(messages).execute(&case.store.pool).await.unwrap();
        let tasks = "INSERT INTO apalis.jobs (job, id, job_type, status, attempts, max_attempts, run_at, done_at) VALUES \
            ('\\x00', 'old', 't', 'Done', 1, 1, now(), now() - interval '8 days'), \
            ('\\x00', 'young', 't', 'Done', 1, 1, now(), now() - interval '6 days'), \
            ('\\x00', 'waits', 't', 'Pending', 0, 1, now(), NULL)";
        sqlx::query(tasks).execute(&case.store.pool).await.unwrap();
        let outcome = case.clean("2026-11-20").await;
        assert_eq!((&outcome.summary["messages_deleted"], &outcome.summary["tasks_deleted"]), (&json!(1), &json!(1)));
        assert_eq!(case.count("SELECT count(*) FROM traider.outbox WHERE key IN ('young', 'unsent')").await, 2);
        assert_eq!(case.count("SELECT count(*) FROM apalis.jobs WHERE id IN ('young', 'waits')").await, 2);
        assert_eq!(case.count("SELECT count(*) FROM traider.outbox").await, 2);
        assert_eq!(case.count("SELECT count(*) FROM apalis.jobs").await, 2);
        case.store.close().await;
    });
}
