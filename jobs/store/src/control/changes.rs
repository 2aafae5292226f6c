//! What one transaction changes in the runs it has locked, be it one or hundreds: steps end, their needers count down,
//! become ready or are skipped, runs with nothing left to do end, and all of it is written into the runs' histories. A
//! batch costs as many statements as a single step.

use super::share;
use crate::queue::{self, Ready};
use crate::{StoreError, alert};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// A run's row, locked until the transaction ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct LockedRun {
    pub(super) active: bool,
    pub(super) cancel_requested: bool,
}

/// The changes of one transaction; nothing is lost only if [`Changes::write`] is called at its end.
pub(super) struct Changes {
    at: DateTime<Utc>,
    runs: BTreeMap<String, LockedRun>,
    events: Vec<Event>,
    /// Shared limits of which a use ended.
    freed: BTreeSet<String>,
    /// The ends of the runs' histories as far as they are known.
    last: BTreeMap<String, Vec<u8>>,
    /// The runs are new and have no histories.
    new: bool,
}

struct Event {
    run: String,
    step: String,
    kind: String,
    detail: String,
}

/// The end of a step.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) run: String,
    pub(super) step: String,
    /// The epoch of who holds it; `None` for a step that nobody holds.
    pub(super) fence: Option<i64>,
    /// `done`, `failed`, `dead`, `cancelled` or `skipped`.
    pub(super) state: &'static str,
    /// What the attempt was: `done`, `failed`, `lost` or `cancelled`.
    pub(super) attempt: &'static str,
    /// Kind and text.
    pub(super) error: Option<(String, String)>,
    pub(super) summary: Value,
}

impl End {
    /// The end of a step that never ran.
    pub(super) fn idle(run: &str, step: &str, state: &'static str) -> End {
        let (run, step) = (run.to_owned(), step.to_owned());
        End { run, step, fence: None, state, attempt: state, error: None, summary: Value::Null }
    }
}

/// A waiting step after needs of it ended.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Counted {
    pub(super) run: String,
    pub(super) name: String,
    pub(super) missing: i32,
    pub(super) needs_ok: i32,
    pub(super) needs_failed: i32,
    pub(super) when_needs: String,
    pub(super) min_ok: Option<i32>,
}

impl Counted {
    /// True when what became of its needs lets it run.
    fn wanted(&self) -> bool {
        match (self.when_needs.as_str(), self.min_ok) {
            ("success", Some(enough)) => self.needs_ok >= enough,
            ("success", None) => self.needs_failed == 0,
            ("failure", _) => self.needs_failed > 0,
            _ => true,
        }
    }
}

/// A row of `step/end.sql`: a step that ended, or one that counted it.
#[derive(sqlx::FromRow)]
struct EndRow {
    ended: bool,
    #[sqlx(flatten)]
    counted: Counted,
    shared: Option<String>,
    held_by: String,
    last_hash: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct LockRow {
    id: String,
    state: String,
    cancel_requested: bool,
    at: DateTime<Utc>,
}

impl Changes {
    /// Locks the runs, so that their transitions take turns. A run that is not there is not in the answer.
    pub(super) async fn lock(tx: &mut PgConnection, runs: &[String]) -> Result<Changes, StoreError> {
        let rows: Vec<LockRow> = sqlx::query_as(include_str!("../../../../sql/queries/run/lock.sql"))
            .bind(runs)
            .fetch_all(tx)
            .await
            .map_err(StoreError::sql("lock runs"))?;
        // The last row's lock came last.
        let at = rows.last().map_or_else(Utc::now, |row| row.at);
        let locked = |row: LockRow| {
            let active = matches!(row.state.as_str(), "queued" | "running");
            (row.id, LockedRun { active, cancel_requested: row.cancel_requested })
        };
        Ok(Changes {
            at,
            runs: rows.into_iter().map(locked).collect(),
            events: Vec::new(),
            freed: BTreeSet::new(),
            last: BTreeMap::new(),
            new: false,
        })
    }

    /// For runs that this transaction has just made: nobody else sees them.
    pub(super) fn of_new(runs: impl IntoIterator<Item = String>) -> Changes {
        let new = LockedRun { active: true, cancel_requested: false };
        let runs = runs.into_iter().map(|run| (run, new)).collect();
        Changes { at: Utc::now(), runs, events: Vec::new(), freed: BTreeSet::new(), last: BTreeMap::new(), new: true }
    }

    /// For one run that is locked already.
    pub(super) fn of_locked(run: &str, cancel_requested: bool) -> Changes {
        let runs = BTreeMap::from([(run.to_owned(), LockedRun { active: true, cancel_requested })]);
        Changes { at: Utc::now(), runs, events: Vec::new(), freed: BTreeSet::new(), last: BTreeMap::new(), new: false }
    }

    /// The locked run.
    pub(super) fn run(&self, run: &str) -> Result<LockedRun, StoreError> {
        self.runs.get(run).copied().ok_or_else(|| StoreError::NotFound { what: format!("run {run}") })
    }

    /// Notes a change for the run's history.
    pub(super) fn event(&mut self, run: &str, step: &str, kind: impl Into<String>, detail: impl Into<String>) {
        let (run, step) = (run.to_owned(), step.to_owned());
        self.events.push(Event { run, step, kind: kind.into(), detail: detail.into() });
    }

    /// Notes that a use of a shared limit ended.
    pub(super) fn free(&mut self, shared: Option<String>) {
        self.freed.extend(shared);
    }

    /// Ends steps and settles what follows from it. Returns the run and name of those that ended: the others were held
    /// under another epoch, or had ended before.
    pub(super) async fn end(
        &mut self,
        tx: &mut PgConnection,
        ends: Vec<End>,
    ) -> Result<BTreeSet<(String, String)>, StoreError> {
        let (ended, counted) = self.end_only(tx, ends).await?;
        self.decide(tx, counted).await?;
        Ok(ended)
    }

    /// Makes the counted steps that miss nothing ready, or skips them, and so on down the graph.
    pub(super) async fn decide(&mut self, tx: &mut PgConnection, mut open: Vec<Counted>) -> Result<(), StoreError> {
        while !open.is_empty() {
            let (mut ready, mut ends) = (Vec::new(), Vec::new());
            for step in open.drain(..).filter(|step| step.missing <= 0) {
                let cancelled = self.run(&step.run)?.cancel_requested;
                if cancelled || !step.wanted() {
                    ends.push(End::idle(&step.run, &step.name, if cancelled { "cancelled" } else { "skipped" }));
                } else {
                    self.event(&step.run, &step.name, "step_ready", "");
                    ready.push(Ready { run: step.run, step: step.name, at: None });
                }
            }
            queue::make_ready(tx, ready).await?;
            if !ends.is_empty() {
                open = self.end_only(tx, ends).await?.1;
            }
        }
        Ok(())
    }

    async fn end_only(
        &mut self,
        tx: &mut PgConnection,
        ends: Vec<End>,
    ) -> Result<(BTreeSet<(String, String)>, Vec<Counted>), StoreError> {
        let rows: Vec<EndRow> = sqlx::query_as(include_str!("../../../../sql/queries/step/end.sql"))
            .bind(ends.iter().map(|e| e.run.as_str()).collect::<Vec<_>>())
            .bind(ends.iter().map(|e| e.step.as_str()).collect::<Vec<_>>())
            .bind(ends.iter().map(|e| e.fence).collect::<Vec<_>>())
            .bind(ends.iter().map(|e| e.state).collect::<Vec<_>>())
            .bind(ends.iter().map(|e| e.attempt).collect::<Vec<_>>())
            .bind(ends.iter().map(|e| e.error.as_ref().map(|e| e.0.as_str())).collect::<Vec<_>>())
            .bind(ends.iter().map(|e| e.error.as_ref().map(|e| e.1.as_str())).collect::<Vec<_>>())
            .bind(ends.iter().map(|e| e.summary.clone()).collect::<Vec<_>>())
            .fetch_all(tx)
            .await
            .map_err(StoreError::sql("end steps"))?;
        let errors: BTreeMap<(&str, &str), &(String, String)> =
            ends.iter().filter_map(|e| Some(((e.run.as_str(), e.step.as_str()), e.error.as_ref()?))).collect();
        let (mut ended, mut counted) = (BTreeSet::new(), Vec::new());
        for row in rows {
            if !row.ended {
                counted.push(row.counted);
                continue;
            }
            let Counted { run, name, when_needs: state, .. } = row.counted;
            let mut detail = row.held_by;
            if let Some((kind, text)) = errors.get(&(run.as_str(), name.as_str())) {
                let gap = if detail.is_empty() { "" } else { ": " };
                detail.push_str(&format!("{gap}{kind}: {text}"));
            }
            self.event(&run, &name, format!("step_{state}"), detail);
            self.free(row.shared);
            if let Some(hash) = row.last_hash {
                self.last.insert(run.clone(), hash);
            }
            ended.insert((run, name));
        }
        Ok((ended, counted))
    }

    /// Ends the runs in which nothing is left to do, wakes who waited for a limit, and writes the histories. Returns the
    /// runs that ended.
    pub(super) async fn write(mut self, tx: &mut PgConnection) -> Result<BTreeSet<String>, StoreError> {
        let runs: Vec<&str> = self.runs.keys().map(String::as_str).collect();
        let over: Vec<alert::RunOver> = sqlx::query_as(include_str!("../../../../sql/queries/run/end_if_over.sql"))
            .bind(runs)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::sql("end runs"))?;
        for run in &over {
            self.event(&run.id, "", format!("run_{}", run.state), run.error.clone().unwrap_or_default());
        }
        for run in over.iter().filter(|run| run.state != "cancelled") {
            alert::run_over(&mut *tx, run).await?;
        }
        for shared in std::mem::take(&mut self.freed) {
            share::wake(&mut *tx, &shared).await?;
        }
        self.write_events(tx).await?;
        Ok(over.into_iter().map(|run| run.id).collect())
    }

    /// Appends to the hash-chained histories.
    async fn write_events(self, tx: &mut PgConnection) -> Result<(), StoreError> {
        if self.events.is_empty() {
            return Ok(());
        }
        let mut last = self.last;
        let unknown = self.events.iter().map(|e| e.run.as_str()).filter(|run| !last.contains_key(*run));
        let unknown: BTreeSet<&str> = unknown.collect();
        if !unknown.is_empty() && !self.new {
            let found: Vec<(String, Vec<u8>)> =
                sqlx::query_as(include_str!("../../../../sql/queries/run/last_hashes.sql"))
                    .bind(unknown.into_iter().collect::<Vec<_>>())
                    .fetch_all(&mut *tx)
                    .await
                    .map_err(StoreError::sql("read the end of histories"))?;
            last.extend(found);
        }
        // Postgres keeps microseconds.
        let at = self.at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
        let mut hashes = Vec::with_capacity(self.events.len());
        for Event { run, step, kind, detail } in &self.events {
            let before = last.get(run).map_or(&[][..], Vec::as_slice);
            let told = [run, step, &at, kind, detail].map(String::as_str).join("|");
            let hash = Sha256::new().chain_update(before).chain_update(told).finalize().to_vec();
            last.insert(run.clone(), hash.clone());
            hashes.push(hash);
        }
        sqlx::query(include_str!("../../../../sql/queries/run/add_events.sql"))
            .bind(self.events.iter().map(|e| e.run.as_str()).collect::<Vec<_>>())
            .bind(self.events.iter().map(|e| e.step.as_str()).collect::<Vec<_>>())
            .bind(self.events.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>())
            .bind(self.events.iter().map(|e| e.detail.as_str()).collect::<Vec<_>>())
            .bind(hashes)
            .bind(self.at)
            .execute(tx)
            .await
            .map_err(StoreError::sql("write histories"))?;
        Ok(())
    }
}
