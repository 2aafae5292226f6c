//! The verbs of the control plane: workflows, runs, backfills, schedules, queues, jobs, dead letters, workers, assets,
//! alerts.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Workflow definitions.
#[derive(Debug, Subcommand)]
pub enum WorkflowVerb {
    /// All workflows: version last run, schedule, steps, where they come from
    List,
    /// One workflow: schedule, parameters, steps
    Show {
        /// Workflow name
        workflow: String,
    },
    /// Check files without running anything; exit code 3 when one is wrong
    Check {
        /// Files (default: those of <home>/config/workflows and the built-in ones)
        files: Vec<PathBuf>,
    },
    /// Put files into their canonical layout; meaning and comments stay
    Fmt {
        /// Change nothing; exit code 1 when a file would change
        #[arg(long)]
        check: bool,
        /// Files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of a workflow file, for editors
    Schema,
    /// Draw the steps: `traider workflow graph daily --format dot | dot -Tsvg`
    Graph {
        /// Workflow name
        workflow: String,
        /// Kind of picture
        #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
        format: GraphFormat,
    },
    /// What the file changes against the version that was run last
    Diff {
        /// Workflow name
        workflow: String,
        /// Against this version instead, such as 3
        #[arg(long, value_name = "VERSION")]
        from: Option<i32>,
    },
}

/// Kinds of pictures.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum GraphFormat {
    /// One line per step
    Text,
    /// Graphviz
    Dot,
    /// Mermaid
    Mermaid,
}

/// Workflow runs.
#[derive(Debug, Subcommand)]
pub enum RunVerb {
    /// Start a workflow: `traider run start daily --partition 2024-08-08 --wait`
    Start {
        /// Workflow name
        workflow: String,
        /// What the run is about, such as 2024-08-08 (default: the newest complete one)
        #[arg(long)]
        partition: Option<String>,
        /// Parameter in place of its default, may be repeated
        #[arg(long = "param", value_name = "KEY=VALUE")]
        params: Vec<String>,
        /// Stay until it has ended; exit code 1 if it failed
        #[arg(long)]
        wait: bool,
    },
    /// Newest runs first
    List {
        /// Only of this workflow
        #[arg(long)]
        workflow: Option<String>,
        /// Only in this state
        #[arg(long, value_enum)]
        state: Option<RunState>,
        /// Only of this partition
        #[arg(long)]
        partition: Option<String>,
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// One run with its steps
    Show {
        /// Run id, or how it begins
        run: String,
        /// Also its history, and whether the history's hashes hold
        #[arg(long)]
        events: bool,
    },
    /// What the steps of a run said
    Logs {
        /// Run id, or how it begins
        run: String,
        /// Only of this step
        #[arg(long)]
        step: Option<String>,
        /// Go on until the run ends; with --json one object per line
        #[arg(long, short)]
        follow: bool,
    },
    /// Run an ended run again under its own id
    Retry {
        /// Run id, or how it begins
        run: String,
        /// Which steps
        #[command(flatten)]
        which: Which,
    },
    /// Stop a run: what has not begun never will, what runs is told to stop
    Cancel {
        /// Run id, or how it begins
        run: String,
    },
    /// Watch the steps until the run ends; exit code 1 if it failed
    Watch {
        /// Run id, or how it begins
        run: String,
    },
    /// Why is it not done? What each step waits for, and what to do
    Explain {
        /// Run id, or how it begins
        run: String,
    },
}

/// Which steps are run again.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Which {
    /// What did not get done (the default)
    #[arg(long)]
    pub failed_only: bool,
    /// All steps
    #[arg(long)]
    pub all: bool,
    /// This step and everything that needs it
    #[arg(long, value_name = "STEP")]
    pub from: Option<String>,
}

/// States of a run.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RunState {
    /// No step has begun
    Queued,
    /// A step has begun
    Running,
    /// Every step ended well
    Done,
    /// A step failed for good
    Failed,
    /// Somebody stopped it
    Cancelled,
}

/// Runs over a range of partitions.
#[derive(Debug, Subcommand)]
pub enum BackfillVerb {
    /// What `start` would do; writes nothing
    Plan(BackfillArgs),
    /// Run a workflow for every partition of a range: `traider backfill start daily --from 2024-08-01 --to 2024-08-05`
    Start {
        /// What to fill
        #[command(flatten)]
        args: BackfillArgs,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Stay until it has ended; exit code 1 if a run failed
        #[arg(long, conflicts_with = "dry_run")]
        wait: bool,
    },
    /// Newest backfills first
    List {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// One backfill with its partitions
    Show {
        /// Backfill id, or how it begins
        backfill: String,
    },
    /// Start no further run; those under way go on
    Pause {
        /// Backfill id, or how it begins
        backfill: String,
    },
    /// Go on
    Resume {
        /// Backfill id, or how it begins
        backfill: String,
    },
    /// End it, and cancel its runs that are under way
    Cancel {
        /// Backfill id, or how it begins
        backfill: String,
    },
}

/// What to fill.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// Workflow name
    pub workflow: String,
    /// Oldest partition, such as 2024-08-01
    #[arg(long)]
    pub from: String,
    /// Newest partition; it is part of the range
    #[arg(long)]
    pub to: String,
    /// Which end comes first
    #[arg(long, value_enum, default_value_t = Order::Oldest)]
    pub order: Order,
    /// Which partitions are run: those without a run, also those that failed, or all
    #[arg(long, value_enum, default_value_t = Again::Missing)]
    pub reprocess: Again,
    /// Runs at the same time
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_active: u32,
    /// Parameter in place of its default, may be repeated
    #[arg(long = "param", value_name = "KEY=VALUE")]
    pub params: Vec<String>,
}

/// Which end of the range comes first.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Order {
    /// The oldest partition
    Oldest,
    /// The newest partition
    Newest,
}

/// Which partitions are run.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Again {
    /// Those that were never run
    Missing,
    /// Also those whose newest run failed
    Failed,
    /// All of them
    All,
}

/// What runs by itself.
#[derive(Debug, Subcommand)]
pub enum ScheduleVerb {
    /// All schedules: last and next slot, how late, what waits
    List,
    /// One schedule with its last slots
    Show {
        /// Its name: its workflow's
        schedule: String,
    },
    /// Hold it: no slot is started until `resume`
    Pause {
        /// Its name: its workflow's
        schedule: String,
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
    /// Let it go on; slots missed meanwhile are caught up by its own rule
    Resume {
        /// Its name: its workflow's
        schedule: String,
    },
    /// Run it now, for its newest complete partition; no slot is used up
    Trigger {
        /// Its name: its workflow's
        schedule: String,
    },
    /// When it is due next: `traider schedule next daily -n 10`
    Next {
        /// Its name: its workflow's
        schedule: String,
        /// How many slots
        #[arg(short = 'n', default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
        /// After this moment instead of now, RFC 3339: 2026-03-29T00:00:00Z
        #[arg(long, value_name = "TIME")]
        after: Option<String>,
    },
}

/// Queues of steps.
#[derive(Debug, Subcommand)]
pub enum QueueVerb {
    /// What waits and runs in each queue
    List,
    /// Begin nothing new of it; what runs goes on
    Pause {
        /// critical, io, cpu or report
        queue: String,
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
    /// Begin again
    Resume {
        /// critical, io, cpu or report
        queue: String,
    },
    /// Pause, then wait until nothing of it runs any more
    Drain {
        /// critical, io, cpu or report
        queue: String,
        /// Why, for the record
        #[arg(long, default_value = "drained")]
        reason: String,
    },
}

/// Single jobs.
#[derive(Debug, Subcommand)]
pub enum JobVerb {
    /// Put one job into the queue: `traider job enqueue report-daily --json '{"day":"2024-08-08"}'`
    Enqueue {
        /// Kind of job
        kind: String,
        /// Its arguments, a JSON object; `--json '{...}'` means the same here, `--json` alone is for the output
        #[arg(long, default_value = "{}", value_name = "JSON")]
        args: String,
        /// Stay until it has ended; exit code 1 if it failed
        #[arg(long)]
        wait: bool,
    },
    /// Newest jobs first
    List {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// One job
    Show {
        /// Job id, or how it begins
        job: String,
    },
    /// Run a job that failed or was cancelled again
    Retry {
        /// Job id, or how it begins
        job: String,
    },
    /// Stop a job
    Cancel {
        /// Job id, or how it begins
        job: String,
    },
}

/// Steps without an attempt left.
#[derive(Debug, Subcommand)]
pub enum DeadVerb {
    /// All dead letters, newest first
    List {
        /// How many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// One dead step: its input, every attempt, what it said last
    Show(DeadStep),
    /// Try it again, and what needs it after it
    Requeue(DeadStep),
    /// Give it up: it counts as failed, nobody is asked about it again
    Discard {
        /// Which step
        #[command(flatten)]
        step: DeadStep,
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
}

/// A step of a run.
#[derive(Debug, Args)]
pub struct DeadStep {
    /// Run id, or how it begins; `RUN/STEP` names both
    pub run: String,
    /// Step name
    pub step: Option<String>,
}

/// Workers.
#[derive(Debug, Subcommand)]
pub enum WorkerVerb {
    /// Who takes steps, from which queue, and what it runs
    List,
}

/// What steps make.
#[derive(Debug, Subcommand)]
pub enum AssetVerb {
    /// The newest version of every partition
    List {
        /// Only this asset and those below it: `trades` finds `trades/binance/BTCUSDT`
        prefix: Option<String>,
        /// How many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// One asset: its partitions, or every version of one partition
    Show {
        /// Asset name
        asset: String,
        /// Every version of this partition
        #[arg(long)]
        partition: Option<String>,
    },
    /// What it was made from and what was made from it
    Lineage {
        /// Asset name
        asset: String,
        /// Partition
        #[arg(long)]
        partition: String,
    },
    /// Assets that should be newer by now
    Stale,
}

/// What somebody should know.
#[derive(Debug, Subcommand)]
pub enum AlertVerb {
    /// What is wrong now
    List {
        /// Also what is over
        #[arg(long)]
        all: bool,
        /// How many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
}
