//! The command line of `traiderd`.

use crate::clock::ClockKind;
use crate::daemon::Options;
use crate::error::DaemonError;
use crate::market::Watched;
use clap::{Parser, ValueEnum};
use domain::config::EngineConfig;
use settings::{Home, Mode};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Trading daemon: market data in, orders out, everything journaled.
#[derive(Debug, Parser)]
#[command(name = "traiderd", version)]
pub struct Args {
    /// Home folder; default TRAIDER_HOME, else XDG.
    #[arg(long)]
    pub home: Option<PathBuf>,
    /// JSON file with limits, fees and strategies.
    #[arg(long, alias = "config-file")]
    pub engine_config: PathBuf,
    /// HTTP address of the venue.
    #[arg(long)]
    pub venue_url: String,
    /// Symbols, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pub symbols: Vec<String>,
    /// A venue to watch beside the one that is traded: NAME:SYMBOL,SYMBOL or NAME=URL;SYMBOL,..; may be repeated.
    #[arg(long, value_parser = Watched::parse)]
    pub watch: Vec<Watched>,
    /// Record every frame on raw tapes.
    #[arg(long)]
    pub tape: bool,
    /// Where events come from.
    #[arg(long, value_enum)]
    pub mode: ModeArg,
    /// What feeds the run, in words; part of its manifest.
    #[arg(long, default_value = "")]
    pub source: String,
    /// The run's only source of randomness.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Run to continue, or id of a new one; derived when absent.
    #[arg(long, alias = "run")]
    pub run_id: Option<String>,
    /// What time follows: the machine, or the receive times of a replayed capture.
    #[arg(long, value_enum, default_value = "wall")]
    pub clock: ClockArg,
    /// End cleanly when this process is gone.
    #[arg(long)]
    pub parent_pid: Option<u32>,
    /// Write the summary to this file as well.
    #[arg(long)]
    pub summary: Option<PathBuf>,
}

/// Where events come from.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ModeArg {
    /// The emulator's synthetic market.
    Demo,
    /// The emulator replaying a recorded capture.
    Capture,
}

/// What time follows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ClockArg {
    /// The machine's clock.
    Wall,
    /// The source's.
    Source,
}

impl Args {
    /// The options they stand for. `stop` ends the daemon cleanly.
    ///
    /// # Errors
    /// [`DaemonError::Config`] when the configuration file cannot be read.
    pub fn options(&self, stop: &Arc<AtomicBool>) -> Result<Options, DaemonError> {
        let bad = |e: String| DaemonError::Config(format!("`{}`: {e}", self.engine_config.display()));
        let text = std::fs::read(&self.engine_config).map_err(|e| bad(e.to_string()))?;
        let config: EngineConfig = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
        let mode = match self.mode {
            ModeArg::Demo => Mode::Demo,
            ModeArg::Capture => Mode::Capture,
        };
        let symbols: Vec<String> = self.symbols.iter().map(|s| s.trim().to_uppercase()).collect();
        let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
        let mut options = Options::new(Home::locate(self.home.as_deref()), config, &self.venue_url, &symbols, mode);
        if !self.source.is_empty() {
            options.source.clone_from(&self.source);
        }
        options.watched.clone_from(&self.watch);
        options.tape = self.tape;
        options.seed = self.seed;
        options.run_id.clone_from(&self.run_id);
        options.clock = match self.clock {
            ClockArg::Wall => ClockKind::Wall,
            ClockArg::Source => ClockKind::Source,
        };
        options.parent = self.parent_pid;
        options.stop = Arc::clone(stop);
        Ok(options)
    }
}
