//! The scheduler: in every worker, once a second, whatever is due is made and started. The state is in the database, and
//! every tick is exactly once by its locks, so it does not matter how many workers do this or which of them dies.
//!
//! A second in which nothing is due costs one statement. The clock is the database's: one for all machines. A laptop that
//! slept ticks once when it wakes, and finds what became due meanwhile.

use chrono::{DateTime, Utc};
use flows::Workflow;
use flows::file::{Catchup, Overlap};
use flows::slots::{self, Slots};
use serde_json::Map;
use settings::Home;
use spec::RunPlan;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use store::backfill::{self, Pinned};
use store::error::chain;
use store::schedule::{self, Planner, ScheduleRow};
use store::{Store, StoreError};
use tokio::time::MissedTickBehavior;

/// Time between two looks at the database.
const EVERY: Duration = Duration::from_secs(1);
/// Time between two looks at the workflow files.
const REREAD: Duration = Duration::from_secs(10);

/// Follows schedules and backfills for ever; waits for a database that is away.
pub(crate) async fn follow(store: Store, home: Home) {
    let mut beat = tokio::time::interval(EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut definitions = Definitions::of(&home.config().join("workflows"));
    let (mut read, mut synced, mut told) = (None::<Instant>, false, BTreeSet::new());
    let mut away = false;
    loop {
        beat.tick().await;
        if read.is_none_or(|at| at.elapsed() >= REREAD) {
            read = Some(Instant::now());
            synced &= !definitions.refresh();
        }
        match tick(&store, &definitions, !synced).await {
            Ok(problems) => {
                (synced, away) = (true, false);
                for what in problems.iter().chain(definitions.bad.values()) {
                    if told.insert(what.clone()) {
                        tracing::warn!(what, "a workflow cannot be followed as it is");
                    }
                }
            }
            Err(error) if !away => {
                tracing::warn!(error = chain(&error), "schedules and backfills stand still");
                away = true;
            }
            Err(_) => {}
        }
    }
}

/// One look, and what it asks for. Returns what could not be planned.
async fn tick(store: &Store, definitions: &Definitions, sync: bool) -> Result<Vec<String>, StoreError> {
    let look = schedule::look(store).await?;
    let mut problems = Vec::new();
    if sync {
        problems.extend(definitions.sync(store, look.now).await?);
    }
    if look.slots {
        let ticked = schedule::tick(store, look.now, definitions).await?;
        if ticked.slots > 0 || !ticked.started.is_empty() {
            tracing::info!(?ticked, "slots");
        }
        problems.extend(ticked.problems);
    }
    if look.backfills {
        let ticked = backfill::tick(store, look.now, &planned).await?;
        if !ticked.started.is_empty() || !ticked.ended.is_empty() {
            tracing::info!(?ticked, "backfills");
        }
        problems.extend(ticked.problems);
    }
    Ok(problems)
}

/// The workflows there are: the built-in ones and the user's own, each as its file last made sense.
#[derive(Debug, Default)]
pub struct Definitions {
    folder: PathBuf,
    workflows: BTreeMap<String, Workflow>,
    /// What is wrong with files that do not make sense now, by the name their workflow should have.
    bad: BTreeMap<String, String>,
    seen: Option<Vec<(PathBuf, Option<SystemTime>, u64)>>,
}

impl Definitions {
    /// Those of a folder; nothing is read before [`Definitions::refresh`].
    pub fn of(folder: &Path) -> Definitions {
        Definitions { folder: folder.to_path_buf(), ..Definitions::default() }
    }

    /// Reads the files again if one was added, changed or removed since; false when none was. A file that does not make
    /// sense leaves its workflow as it was.
    pub fn refresh(&mut self) -> bool {
        let seen = files(&self.folder);
        if self.seen.as_ref() == Some(&seen) {
            return false;
        }
        let (mut found, wrong) = flows::load_all(&self.folder);
        self.bad.clear();
        for (path, error) in wrong {
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
            if let Some(before) = self.workflows.remove(&name) {
                found.entry(name.clone()).or_insert(before);
            }
            self.bad.insert(name, error.to_string());
        }
        (self.workflows, self.seen) = (found, Some(seen));
        true
    }

    /// What is wrong with files that do not make sense now, by the name their workflow should have.
    pub fn bad(&self) -> &BTreeMap<String, String> {
        &self.bad
    }

    /// Makes the schedules in the database be those of the files.
    ///
    /// # Errors
    /// See [`schedule::sync`].
    pub async fn sync(&self, store: &Store, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        let rows: Vec<ScheduleRow> = self.workflows.values().filter_map(row).collect();
        let unread: BTreeSet<String> = self.bad.keys().cloned().collect();
        schedule::sync(store, &rows, &unread, now, self).await
    }

    fn workflow(&self, name: &str) -> Result<&Workflow, String> {
        self.workflows.get(name).ok_or_else(|| format!("there is no workflow `{name}` here"))
    }
}

impl Planner for Definitions {
    fn slots(
        &self,
        schedule: &ScheduleRow,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DateTime<Utc>>, String> {
        let slots = Slots::of(&schedule.cron, &schedule.tz).map_err(|e| e.to_string())?;
        Ok(slots.between(after, until).take(limit).collect())
    }

    fn jitter(&self, schedule: &ScheduleRow, slot: DateTime<Utc>) -> Duration {
        slots::jitter(&schedule.name, slot, Duration::from_secs(schedule.jitter_s.unsigned_abs()))
    }

    fn partition(&self, workflow: &str, at: DateTime<Utc>) -> Result<String, String> {
        let found = self.workflow(workflow)?.newest_partition(at);
        found.ok_or_else(|| format!("which partition of `{workflow}` is due only a person can know"))
    }

    fn plan(&self, workflow: &str, partition: &str, slot: Option<DateTime<Utc>>) -> Result<RunPlan, String> {
        let workflow = self.workflow(workflow)?;
        let plan = match slot {
            Some(slot) => workflow.plan_slot(partition, slot, &Map::new()),
            None => workflow.plan(partition, &Map::new()),
        };
        plan.map_err(|e| e.to_string())
    }
}

/// Every file of the folder with what tells that it changed.
fn files(folder: &Path) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml" || ext == "json"))
        .map(|path| {
            // A file that cannot be looked at now is a change like any other once it can.
            let about = fs::metadata(&path).ok();
            let modified = about.as_ref().and_then(|about| about.modified().ok());
            (path, modified, about.map_or(0, |about| about.len()))
        })
        .collect();
    found.sort();
    found
}

/// The workflow's schedule, if it has one.
fn row(workflow: &Workflow) -> Option<ScheduleRow> {
    let file = workflow.file();
    let schedule = file.schedule.as_ref()?;
    let (cron, tz) = (schedule.cron.get_ref(), schedule.timezone.get_ref());
    let start = schedule.start.as_ref().map(ToString::to_string);
    let seconds = |span: flows::file::Span| i64::try_from(span.0.as_secs()).unwrap_or(i64::MAX);
    Some(ScheduleRow {
        name: workflow.name().to_owned(),
        workflow: workflow.name().to_owned(),
        cron: cron.clone(),
        tz: tz.clone(),
        catchup: match schedule.catchup {
            Catchup::None => schedule::Catchup::None,
            Catchup::Latest => schedule::Catchup::Latest,
            Catchup::All => schedule::Catchup::All,
        },
        overlap: match schedule.overlap {
            Overlap::Skip => schedule::Overlap::Skip,
            Overlap::BufferOne => schedule::Overlap::BufferOne,
            Overlap::BufferAll => schedule::Overlap::BufferAll,
            Overlap::Allow => schedule::Overlap::Allow,
            Overlap::CancelOther => schedule::Overlap::CancelOther,
        },
        catchup_window_s: schedule.catchup_window.map(seconds),
        jitter_s: schedule.jitter.map_or(0, seconds),
        start_at: start.and_then(|start| Slots::of(cron, tz).ok()?.moment(&start)),
        depends_on_past: file.partition.depends_on_past,
    })
}

/// The run of a part of a backfill, by the definition the backfill is pinned to.
///
/// # Errors
/// When this version no longer accepts the definition.
pub fn planned(part: &Pinned<'_>) -> Result<RunPlan, String> {
    let workflow = Workflow::from_definition(part.definition).map_err(|e| e.to_string())?;
    let none = Map::new();
    workflow.plan(part.partition, part.params.as_object().unwrap_or(&none)).map_err(|e| e.to_string())
}
