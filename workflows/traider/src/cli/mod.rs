//! Every verb of the command line; those of the control plane are in [`control`].

mod control;

pub use control::{
    Again, AlertVerb, AssetVerb, BackfillArgs, BackfillVerb, DeadStep, DeadVerb, GraphFormat, JobVerb, Order,
    QueueVerb, RunState, RunVerb, ScheduleVerb, Which, WorkerVerb, WorkflowVerb,
};

use crate::out::Out;
use clap::{Args, Parser, Subcommand};
use settings::Home;
use std::ffi::OsString;
use std::path::PathBuf;

/// Records markets, proves what it recorded, trades through limits that cannot be bypassed, accounts for every order.
#[derive(Debug, Parser)]
#[command(name = "traider", version = settings::BUILD, propagate_version = true)]
pub struct Cli {
    /// Flags every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags every command takes.
#[derive(Debug, Default, Args)]
pub struct Global {
    /// Folder of this installation (default: $TRAIDER_HOME, else the XDG data folder)
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print one JSON object on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// No colours
    #[arg(long, global = true)]
    pub no_color: bool,
    /// One more configuration file, on top of the built-in one and <home>/config/traider.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// In `job enqueue KIND --json '{...}'` the object is the job's arguments, which this renames: everywhere else `--json`
/// stands alone and asks for JSON.
pub fn job_arguments(mut words: Vec<OsString>) -> Vec<OsString> {
    let verb = words.windows(2).position(|pair| pair[0] == "job" && pair[1] == "enqueue");
    let Some(begin) = verb else { return words };
    for at in begin..words.len() {
        let next_is_object = words.get(at + 1).is_some_and(|next| next.to_string_lossy().trim_start().starts_with('{'));
        if words[at] == "--json" && next_is_object {
            words[at] = "--args".into();
        } else if let Some(object) = words[at].to_str().and_then(|word| word.strip_prefix("--json=")) {
            words[at] = format!("--args={object}").into();
        }
    }
    words
}

/// What a command works with.
#[derive(Debug)]
pub struct Context<'a> {
    /// The installation.
    pub home: Home,
    /// The command's voice.
    pub out: &'a Out,
    /// The flags.
    pub global: &'a Global,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Paper-trade on the offline market in the foreground and open a page to watch; Ctrl-C stops everything
    Demo(DemoArgs),
    /// The same in the background
    Up(DemoArgs),
    /// Stop what `up` or `demo` started here
    Down,
    /// Am I safe right now? Exit code 0 healthy, 10 degraded, 11 halted, 12 down, 5 unknown
    Status,
    /// Stop entries until `resume`; survives restarts
    Halt {
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
    /// Allow entries again
    Resume {
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
    /// Check this machine and installation
    Doctor,
    /// Workflow definitions: list, show, check, fmt, schema, graph, diff
    #[command(subcommand)]
    Workflow(WorkflowVerb),
    /// Workflow runs: start, list, show, logs, retry, cancel, watch, explain
    #[command(subcommand)]
    Run(RunVerb),
    /// A workflow over a range of partitions: plan, start, list, show, pause, resume, cancel
    #[command(subcommand)]
    Backfill(BackfillVerb),
    /// Workflows that run by themselves: list, show, pause, resume, trigger, next
    #[command(subcommand)]
    Schedule(ScheduleVerb),
    /// Where steps wait for workers: list, pause, resume, drain
    #[command(subcommand)]
    Queue(QueueVerb),
    /// Single jobs: enqueue, list, show, retry, cancel
    #[command(subcommand)]
    Job(JobVerb),
    /// Steps that failed for good: list, show, requeue, discard
    #[command(subcommand)]
    Dead(DeadVerb),
    /// Who does the work: list
    #[command(subcommand)]
    Worker(WorkerVerb),
    /// What steps made, and from what: list, show, lineage, stale
    #[command(subcommand)]
    Asset(AssetVerb),
    /// What somebody should look at: list
    #[command(subcommand)]
    Alert(AlertVerb),
    /// Orders of a trading run: list, show
    #[command(subcommand)]
    Orders(OrdersVerb),
    /// What is held, with profit and loss
    Positions(RunChoice),
    /// Why was this order made? From the order back to the raw tick
    Why {
        /// Order id, `trd-...`
        order: String,
        /// Trading run it belongs to (default: searched, newest first)
        #[arg(long)]
        run: Option<String>,
    },
    /// Prove that a run's journal, run again, gives byte-identical effects. Exit code 8 when not
    Parity {
        /// Trading run (default: the latest)
        run: Option<String>,
    },
    /// Backtests
    #[command(subcommand)]
    Backtest(BacktestVerb),
    /// Recorded data
    #[command(subcommand)]
    Data(DataVerb),
    /// The lake: ls, sql
    #[command(subcommand)]
    Lake(LakeVerb),
    /// Daily reports
    #[command(subcommand)]
    Report(ReportVerb),
    /// Settings: show, check
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Version and build
    Version,
}

/// What the demo runs on.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Market: `synthetic`, `synthetic:SEED` or `capture:FILE`
    #[arg(long, default_value = "synthetic", value_name = "SOURCE")]
    pub source: String,
    /// Pace: 1 (real time), a factor such as 10, or `max`
    #[arg(long, default_value = "1")]
    pub speed: String,
    /// Seed of the synthetic market and of the run (default: the setting run.seed)
    #[arg(long)]
    pub seed: Option<u64>,
    /// No page, no database: run the market through to its end and print a summary
    #[arg(long)]
    pub headless: bool,
    /// End after this many seconds of market time (synthetic market; default with --headless: 60)
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Port of the page on 127.0.0.1 (default: the setting dashboard.port; 0 = any free one)
    #[arg(long)]
    pub port: Option<u16>,
    /// Venue symbols (default: the setting run.symbols, or the capture's own)
    #[arg(long, value_delimiter = ',')]
    pub symbols: Option<Vec<String>>,
    /// Strategies to run (default: the setting run.strategies)
    #[arg(long, value_delimiter = ',')]
    pub strategies: Option<Vec<String>>,
    /// A venue to watch beside the traded one, as kraken:BTC/USD; may be repeated, `none` watches none (default: the
    /// setting run.watch). Only in real time.
    #[arg(long)]
    pub watch: Option<Vec<String>>,
}

/// Which trading run.
#[derive(Debug, Args)]
pub struct RunChoice {
    /// Trading run (default: the latest)
    #[arg(long)]
    pub run: Option<String>,
}

/// Orders.
#[derive(Debug, Subcommand)]
pub enum OrdersVerb {
    /// All orders of a run, refused ones included
    List {
        /// Which run
        #[command(flatten)]
        run: RunChoice,
        /// Only in this state (live, unknown, filled, cancelled, expired, rejected, denied, ...)
        #[arg(long)]
        state: Option<String>,
    },
    /// One order with its fills
    Show {
        /// Order id
        order: String,
        /// Which run
        #[command(flatten)]
        run: RunChoice,
    },
}

/// Backtests.
#[derive(Debug, Subcommand)]
pub enum BacktestVerb {
    /// Run strategies over a recorded capture against the simulator
    Run {
        /// `capture:FILE`
        #[arg(long)]
        source: String,
        /// Strategy, may be repeated (default: the setting run.strategies)
        #[arg(long)]
        strategy: Vec<String>,
        /// Seed (default: the setting run.seed)
        #[arg(long)]
        seed: Option<u64>,
    },
}

/// Recorded data.
#[derive(Debug, Subcommand)]
pub enum DataVerb {
    /// What is in recorded files: messages, books proven, gaps, clock offset
    Inspect {
        /// The files (.gz, .jsonl.zst, .txt.zst); books go on from one to the next
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Prove a run's journal by its raw tapes: every frame, read again, gives the journaled events. Exit code 8 when not
    Tape {
        /// Trading run (default: the latest)
        run: Option<String>,
    },
}

/// The lake.
#[derive(Debug, Subcommand)]
pub enum LakeVerb {
    /// Partitions with rows, bytes, version
    Ls {
        /// Only this dataset
        #[arg(long)]
        dataset: Option<String>,
    },
    /// SQL over the lake; a table per dataset
    Sql {
        /// The query
        query: String,
    },
}

/// Daily reports.
#[derive(Debug, Subcommand)]
pub enum ReportVerb {
    /// A day's report (default: the newest)
    Show {
        /// Day, such as 2024-08-08
        day: Option<String>,
    },
}

/// Settings.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// All settings as they apply
    Show {
        /// Where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Check all settings and strategy files
    Check,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[track_caller]
    fn check(line: &str, want: &str) {
        let words = line.split(' ').map(OsString::from).collect();
        let got: Vec<String> = job_arguments(words).into_iter().map(|w| w.into_string().unwrap()).collect();
        assert_eq!(got.join(" "), want);
    }

    #[test]
    fn json_with_an_object_is_the_arguments_of_a_job_and_nothing_else() {
        check("traider job enqueue k --json {}", "traider job enqueue k --args {}");
        check("traider job enqueue k --json={} --json", "traider job enqueue k --args={} --json");
        check("traider --json job enqueue k --json {}", "traider --json job enqueue k --args {}");
        check("traider job enqueue --json k", "traider job enqueue --json k");
        check("traider run show --json {}", "traider run show --json {}");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
