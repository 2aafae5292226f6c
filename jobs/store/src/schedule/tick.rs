//! Slots become rows, and rows become runs.

use super::{Catchup, Overlap, Planner, ScheduleRow, ScheduleState};
use crate::control::start::{Origin, start_run_in};
use crate::control::{self, Trigger};
use crate::{Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

/// A slot that is no later than this has not been missed: somebody was looking, only not at this very second.
const TOLERANCE: TimeDelta = TimeDelta::minutes(2);
/// Slots of one schedule that one tick makes; the next tick goes on.
const SLOTS_MAX: usize = 5_000;
/// Waiting slots of one schedule that one tick looks at.
const WAITING_MAX: i64 = 1_000;

/// What a tick did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Slots made, whatever became of them.
    pub slots: usize,
    /// Of these: not made up.
    pub missed: usize,
    /// Slots let go because a run was not over, or a newer slot took their place.
    pub skipped: usize,
    /// Runs started, in order.
    pub started: Vec<String>,
    /// Runs told to stop to make room.
    pub cancelled: Vec<String>,
    /// What could not be planned; tried again with every tick.
    pub problems: Vec<String>,
}

/// Makes every slot that is due at `now` and starts those whose turn has come.
///
/// # Errors
/// When the database cannot be reached. What was committed before, one schedule at a time, stays.
pub async fn tick(store: &Store, now: DateTime<Utc>, planner: &dyn Planner) -> Result<Ticked, StoreError> {
    let due: Vec<String> = sqlx::query_scalar(include_str!("../../../../sql/queries/schedule/due.sql"))
        .bind(now)
        .fetch_all(&store.pool)
        .await
        .map_err(StoreError::sql("look for due schedules"))?;
    let mut ticked = Ticked::default();
    for name in due {
        let told = ticked.cancelled.len();
        one(store, &name, now, planner, &mut ticked).await?;
        // Only now, in transactions of their own: if this process dies here, the slot still waits, and the next tick finds
        // the same runs in its way.
        for run in &ticked.cancelled[told..] {
            control::cancel(store, run).await?;
        }
        if ticked.cancelled.len() > told {
            // Runs of which no step had begun are over by now.
            one(store, &name, now, planner, &mut ticked).await?;
        }
    }
    Ok(ticked)
}

async fn one(
    store: &Store,
    name: &str,
    now: DateTime<Utc>,
    planner: &dyn Planner,
    ticked: &mut Ticked,
) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("tick a schedule"))?;
    let schedule: Option<ScheduleState> = sqlx::query_as(include_str!("../../../../sql/queries/schedule/lock.sql"))
        .bind(name)
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::sql("lock a schedule"))?;
    let Some(schedule) = schedule else { return Ok(()) };
    let mut tick = Tick { schedule: &schedule.row, now, planner, done: Ticked::default() };
    tick.make(&mut tx, &schedule).await?;
    tick.promote(&mut tx).await?;
    let done = tick.done;
    tx.commit().await.map_err(StoreError::sql("tick a schedule"))?;
    ticked.slots += done.slots;
    ticked.missed += done.missed;
    ticked.skipped += done.skipped;
    ticked.started.extend(done.started);
    ticked.cancelled.extend(done.cancelled);
    ticked.problems.extend(done.problems);
    Ok(())
}

/// One schedule, locked.
struct Tick<'a> {
    schedule: &'a ScheduleRow,
    now: DateTime<Utc>,
    planner: &'a dyn Planner,
    done: Ticked,
}

/// Slots without rows: those due, oldest first, and the first one that is not among them.
struct Due {
    slots: Vec<DateTime<Utc>>,
    next: Option<DateTime<Utc>>,
}

/// A slot that waits for its turn.
#[derive(sqlx::FromRow)]
struct Waiting {
    slot: DateTime<Utc>,
    late: bool,
    partition: String,
    not_before: DateTime<Utc>,
}

/// A run that may be in a slot's way.
#[derive(sqlx::FromRow)]
struct Active {
    id: String,
    ours: bool,
    partition: String,
    cancel_requested: bool,
}

/// What becomes of a waiting slot now.
enum Turn {
    Start,
    /// It waits, and so do those after it.
    Wait,
    /// It waits as the one that may.
    Buffer,
    Skip(&'static str),
    /// It waits until the runs that were told to stop have.
    Cancel,
}

/// Rows to insert, by column.
#[derive(Default)]
struct NewSlots {
    slot: Vec<DateTime<Utc>>,
    state: Vec<&'static str>,
    late: Vec<bool>,
    partition: Vec<String>,
    not_before: Vec<DateTime<Utc>>,
    detail: Vec<&'static str>,
}

impl Tick<'_> {
    fn problem(&mut self, what: &str) {
        self.done.problems.push(format!("schedule `{}`: {what}", self.schedule.name));
    }

    /// Makes the slots between the last one and now, and moves on.
    async fn make(&mut self, tx: &mut PgConnection, state: &ScheduleState) -> Result<(), StoreError> {
        let after = state.last_slot.unwrap_or(state.first_at);
        let due = match self.due(after) {
            Ok(due) if due.slots.is_empty() => return Ok(()),
            Ok(due) => due,
            Err(what) => {
                self.problem(&what);
                return Ok(());
            }
        };
        let rows = match self.rows(tx, &due).await? {
            Ok(rows) => rows,
            Err(what) => {
                self.problem(&what);
                return Ok(());
            }
        };
        self.done.slots += due.slots.len();
        self.done.missed += rows.state.iter().filter(|state| **state == "missed").count();
        sqlx::query(include_str!("../../../../sql/queries/schedule/add_slots.sql"))
            .bind(&self.schedule.name)
            .bind(&rows.slot)
            .bind(&rows.state)
            .bind(&rows.late)
            .bind(&rows.partition)
            .bind(&rows.not_before)
            .bind(&rows.detail)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::sql("write slots"))?;
        sqlx::query(include_str!("../../../../sql/queries/schedule/move_on.sql"))
            .bind(&self.schedule.name)
            .bind(due.slots.last())
            .bind(due.next)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::sql("move a schedule on"))?;
        Ok(())
    }

    fn due(&self, after: DateTime<Utc>) -> Result<Due, String> {
        let slots = self.planner.slots(self.schedule, after, self.now, SLOTS_MAX)?;
        let last = slots.last().copied().unwrap_or(after);
        let next = self.planner.slots(self.schedule, last, DateTime::<Utc>::MAX_UTC, 1)?.first().copied();
        Ok(Due { slots, next })
    }

    /// What becomes of the due slots, or why that cannot be said.
    async fn rows(&self, tx: &mut PgConnection, due: &Due) -> Result<Result<NewSlots, String>, StoreError> {
        // Behind slots that are being made up, a new one queues like them.
        let mut backlog = self.schedule.catchup == Catchup::All && self.backlog(tx).await?;
        let mut rows = NewSlots::default();
        for (n, slot) in due.slots.iter().copied().enumerate() {
            let missed = slot < self.now - TOLERANCE;
            let newest = n + 1 == due.slots.len() && due.next.is_none_or(|next| next > self.now);
            let wanted = match self.schedule.catchup {
                Catchup::None => !missed,
                Catchup::Latest => newest,
                Catchup::All => self.schedule.catchup_window_s.is_none_or(|s| slot >= self.now - TimeDelta::seconds(s)),
            };
            let partition = match self.planner.partition(&self.schedule.workflow, slot) {
                Ok(partition) => partition,
                Err(what) => return Ok(Err(what)),
            };
            let late = wanted && (missed || backlog);
            backlog |= late && self.schedule.catchup == Catchup::All;
            rows.slot.push(slot);
            rows.state.push(if wanted { "waiting" } else { "missed" });
            rows.late.push(late);
            rows.partition.push(partition);
            rows.not_before.push(slot + self.planner.jitter(self.schedule, slot));
            rows.detail.push(match self.schedule.catchup {
                _ if wanted => "",
                Catchup::None => "nobody was there, and catchup is none",
                Catchup::Latest => "a newer slot was due, and catchup is latest",
                Catchup::All => "older than the catch-up window",
            });
        }
        Ok(Ok(rows))
    }

    async fn backlog(&self, tx: &mut PgConnection) -> Result<bool, StoreError> {
        sqlx::query_scalar(include_str!("../../../../sql/queries/schedule/backlog.sql"))
            .bind(&self.schedule.name)
            .fetch_one(tx)
            .await
            .map_err(StoreError::sql("look for slots to make up"))
    }

    /// Starts the waiting slots whose turn has come, oldest first.
    async fn promote(&mut self, tx: &mut PgConnection) -> Result<(), StoreError> {
        let waiting: Vec<Waiting> = sqlx::query_as(include_str!("../../../../sql/queries/schedule/waiting.sql"))
            .bind(&self.schedule.name)
            .bind(WAITING_MAX)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::sql("look for waiting slots"))?;
        if waiting.is_empty() {
            return Ok(());
        }
        let mut active: Vec<Active> = sqlx::query_as(include_str!("../../../../sql/queries/schedule/active_runs.sql"))
            .bind(&self.schedule.workflow)
            .bind(&self.schedule.name)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::sql("look for active runs"))?;
        let allow = self.schedule.overlap == Overlap::Allow;
        let mut buffered = false;
        for (n, slot) in waiting.iter().enumerate() {
            let in_order = !allow || self.schedule.depends_on_past;
            if slot.not_before > self.now {
                // Jitter may bring a later slot's moment first; only who may run side by side may overtake.
                if in_order {
                    break;
                }
                continue;
            }
            if self.schedule.depends_on_past
                && let Some(state) = self.past(tx, slot).await?
            {
                self.say(tx, slot, &format!("the run of the partition before is {state}")).await?;
                break;
            }
            let newer = waiting.get(n + 1).is_some_and(|next| next.not_before <= self.now);
            match self.turn(slot, &active, buffered, newer) {
                Turn::Start => {
                    let Some(run) = self.start(tx, slot).await? else { break };
                    active.push(Active {
                        id: run,
                        ours: true,
                        partition: slot.partition.clone(),
                        cancel_requested: false,
                    });
                }
                Turn::Wait => break,
                Turn::Buffer => buffered = true,
                Turn::Skip(why) => {
                    self.settle(tx, slot, "skipped", None, why).await?;
                    self.done.skipped += 1;
                }
                Turn::Cancel => {
                    let others = active.iter().filter(|run| run.ours && !run.cancel_requested);
                    self.done.cancelled.extend(others.map(|run| run.id.clone()));
                    break;
                }
            }
        }
        Ok(())
    }

    /// * `newer` - another slot of this schedule is due after this one.
    fn turn(&self, slot: &Waiting, active: &[Active], buffered: bool, newer: bool) -> Turn {
        let own = active.iter().any(|run| run.ours);
        let shared = active.iter().any(|run| run.partition == slot.partition);
        let made_up = slot.late && self.schedule.catchup == Catchup::All;
        match self.schedule.overlap {
            Overlap::Allow => Turn::Start,
            _ if made_up && own => Turn::Wait,
            Overlap::CancelOther if newer && !made_up => Turn::Skip("a newer slot took its place"),
            // Somebody else is at this partition, and may have begun before it was complete: too early, but not in vain.
            _ if !own && shared => Turn::Wait,
            _ if !own && !buffered => Turn::Start,
            Overlap::Skip => Turn::Skip("the last run is not over"),
            Overlap::BufferOne if buffered => Turn::Skip("one slot waits already"),
            Overlap::BufferOne => Turn::Buffer,
            Overlap::BufferAll => Turn::Wait,
            Overlap::CancelOther => Turn::Cancel,
        }
    }

    /// The run, or nothing when it cannot be planned at present.
    async fn start(&mut self, tx: &mut PgConnection, slot: &Waiting) -> Result<Option<String>, StoreError> {
        let plan = match self.planner.plan(&self.schedule.workflow, &slot.partition, Some(slot.slot)) {
            Ok(plan) => plan,
            Err(what) => {
                self.problem(&what);
                self.say(tx, slot, &what).await?;
                return Ok(None);
            }
        };
        let origin = Origin::Slot { schedule: self.schedule.name.clone(), slot: slot.slot };
        let run = start_run_in(tx, &plan, Trigger::Schedule, origin).await?.run;
        self.settle(tx, slot, "started", Some(&run), "").await?;
        self.done.started.push(run.clone());
        Ok(Some(run))
    }

    /// What keeps a slot that depends on its past: the state of a run that is not done.
    async fn past(&self, tx: &mut PgConnection, slot: &Waiting) -> Result<Option<String>, StoreError> {
        let state: Option<String> = sqlx::query_scalar(include_str!("../../../../sql/queries/schedule/past.sql"))
            .bind(&self.schedule.name)
            .bind(slot.slot)
            .bind(&slot.partition)
            .bind(&self.schedule.workflow)
            .fetch_optional(tx)
            .await
            .map_err(StoreError::sql("look for the partition before"))?;
        Ok(state.filter(|state| state != "done"))
    }

    async fn settle(
        &self,
        tx: &mut PgConnection,
        slot: &Waiting,
        state: &str,
        run: Option<&str>,
        why: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(include_str!("../../../../sql/queries/schedule/settle.sql"))
            .bind(&self.schedule.name)
            .bind(slot.slot)
            .bind(state)
            .bind(run)
            .bind(why)
            .execute(tx)
            .await
            .map(drop)
            .map_err(StoreError::sql("settle a slot"))
    }

    /// Leaves the slot waiting and says why.
    async fn say(&self, tx: &mut PgConnection, slot: &Waiting, why: &str) -> Result<(), StoreError> {
        sqlx::query(include_str!("../../../../sql/queries/schedule/say.sql"))
            .bind(&self.schedule.name)
            .bind(slot.slot)
            .bind(why)
            .execute(tx)
            .await
            .map(drop)
            .map_err(StoreError::sql("say why a slot waits"))
    }
}
