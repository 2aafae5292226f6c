//! What a run was: written when it starts, completed when it ends.

use crate::home::write_durably;
use domain::config::EngineConfig;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::{fs, io};

/// Where events come from and where orders go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Synthetic market of the emulator, orders to the emulator.
    Demo,
    /// A recorded capture served by the emulator over real sockets, orders to the emulator.
    Capture,
    /// A recorded capture or lake partition read at full speed, orders to the simulator.
    Backtest,
}

impl Mode {
    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Demo => "demo",
            Mode::Capture => "capture",
            Mode::Backtest => "backtest",
        }
    }
}

/// Identity and outcome of a run; `journal/<run_id>/manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunManifest {
    /// The run.
    pub run_id: String,
    /// Its mode.
    pub mode: Mode,
    /// When it was created, ns since 1970 UTC.
    pub created_ns: u64,
    /// Version and commit of the build that ran it.
    pub build: String,
    /// The run's only source of randomness.
    pub seed: u64,
    /// What it was fed with, as given.
    pub source: String,
    /// Limits and strategies.
    pub config: EngineConfig,
    /// SHA-256 of the configuration, hex; see [`config_hash`].
    pub config_hash: String,
    /// True once the run ended cleanly and its last segment is sealed.
    pub sealed: bool,
    /// Records in the journal at the clean end.
    pub records: u64,
    /// Effects hash at the clean end, hex.
    pub effects_hash: String,
}

/// SHA-256 over the configuration's JSON, hex. Field order is that of the types, so the same values give the same hash.
pub fn config_hash(config: &EngineConfig) -> String {
    let json = serde_json::to_vec(config).expect("a configuration of plain values is always JSON");
    hex::encode(Sha256::digest(json))
}

impl RunManifest {
    /// Reads the manifest in a run's journal folder.
    ///
    /// # Errors
    /// When it is missing or is not a manifest.
    pub fn read(dir: &Path) -> io::Result<RunManifest> {
        serde_json::from_slice(&fs::read(dir.join("manifest.json"))?).map_err(io::Error::other)
    }
    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let json = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        write_durably(&dir.join("manifest.json"), &json)
    }
}
