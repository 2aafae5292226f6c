//! Schedules and backfills with a clock of the test's own. No worker runs: what a run comes to is written by the test.

use crate::{backfill, schedule};
use chrono::{DateTime, Utc};
use std::fs;
use std::path::PathBuf;
use store::Store;
use store::schedule::{ScheduleView, Ticked};
use store::testing::TestHome;
use tempfile::TempDir;
use worker::scheduler::Definitions;

/// A server of its own: a tick is about every schedule there is.
#[test]
fn timed_suite() {
    let home = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        schedule::all(&store).await;
        backfill::all(&store).await;
        store.close().await;
    });
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Some workflow files, the database, and no other schedules.
pub struct Desk {
    pub store: Store,
    pub definitions: Definitions,
    folder: TempDir,
}

impl Desk {
    /// * `files` - workflow names and their `[schedule]` and `[partition]` lines.
    pub async fn of(store: &Store, files: &[(&str, &str)], now: &str) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let definitions = Definitions::of(folder.path());
        let mut desk = Desk { store: store.clone(), definitions, folder };
        // The built-in workflows would be scheduled too.
        for (file, _) in flows::catalogue::BUILT_IN {
            desk.write(file.trim_end_matches(".toml"), "");
        }
        for (name, lines) in files {
            desk.write(name, lines);
        }
        desk.sync(now).await;
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.toml"))
    }

    pub fn write(&self, name: &str, lines: &str) {
        let text = format!(
            "schema = 1\nname = \"{name}\"\n{lines}\n[[step]]\nname = \"a\"\njob = \"ingest-journal\"\n\
             with = {{ day = \"2026-11-20\" }}\n"
        );
        fs::write(self.path(name), text).unwrap();
    }

    pub async fn sync(&mut self, now: &str) {
        self.definitions.refresh();
        assert_eq!(self.definitions.sync(&self.store, at(now)).await.unwrap(), Vec::<String>::new());
    }

    pub async fn tick(&self, now: &str) -> Ticked {
        let ticked = store::schedule::tick(&self.store, at(now), &self.definitions).await.unwrap();
        assert_eq!(ticked.problems, Vec::<String>::new());
        ticked
    }

    pub async fn view(&self, name: &str, now: &str) -> ScheduleView {
        store::schedule::show(&self.store, name, at(now)).await.unwrap().schedule
    }

    /// The slots of a schedule, oldest first: time of day and state.
    pub async fn states(&self, name: &str) -> Vec<(String, String)> {
        sqlx::query_as(
            "SELECT to_char(slot AT TIME ZONE 'UTC', 'HH24:MI'), state FROM traider.slot WHERE schedule = $1 ORDER BY slot",
        )
        .bind(name)
        .fetch_all(&self.store.pool)
        .await
        .unwrap()
    }

    #[track_caller]
    pub fn check(got: &[(String, String)], want: &[(&str, &str)]) {
        let got: Vec<(&str, &str)> = got.iter().map(|(slot, state)| (slot.as_str(), state.as_str())).collect();
        assert_eq!(got, want);
    }

    /// Slots of the schedule's runs, in the order the runs were made.
    pub async fn run_slots(&self, name: &str) -> Vec<DateTime<Utc>> {
        sqlx::query_scalar("SELECT slot FROM traider.run WHERE schedule = $1 ORDER BY generation, partition_key, id")
            .bind(name)
            .fetch_all(&self.store.pool)
            .await
            .unwrap()
    }

    /// Ends a run as if it had taken `seconds`.
    pub async fn end(&self, run: &str, state: &str, seconds: f64) {
        sqlx::query("UPDATE traider.step SET state = $2, ended_at = now() WHERE run = $1")
            .bind(run)
            .bind(state)
            .execute(&self.store.pool)
            .await
            .unwrap();
        sqlx::query(
            "UPDATE traider.run SET state = $2, ended_at = now(), started_at = now() - make_interval(secs => $3) WHERE id = $1",
        )
        .bind(run)
        .bind(state)
        .bind(seconds)
        .execute(&self.store.pool)
        .await
        .unwrap();
    }

    /// A step of the run is in somebody's hands.
    pub async fn begin(&self, run: &str) {
        sqlx::query("UPDATE traider.step SET state = 'running', started_at = now() WHERE run = $1")
            .bind(run)
            .execute(&self.store.pool)
            .await
            .unwrap();
    }

    pub async fn column(&self, what: &str, run: &str) -> String {
        let sql = format!("SELECT ({what})::text FROM traider.run WHERE id = $1");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(run).fetch_one(&self.store.pool).await.unwrap()
    }
}
