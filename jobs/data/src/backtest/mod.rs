//! Backtests: a recorded capture, the engine, and the simulated venue, in virtual time. The capture's receive times are
//! the clock; a timer event comes every 100 ms of it. The run is journaled like any other, so it can be replayed,
//! asked why, and brought into the lake; the same inputs give the same journal, byte for byte.
//!
//! Read on: [`drive`] is the loop.

pub mod drive;
pub mod journal;

use crate::DataError;
use crate::capture::{Scan, scan};
use domain::config::{EngineConfig, StrategyConfig};
use domain::{Asset, Decimal, Instrument, InstrumentId, RunId};
use drive::{Driver, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use settings::manifest::config_hash;
use settings::{Home, Mode, RunManifest};
use sha2::{Digest, Sha256};
use sim::{LatencyModel, QueueModel, SimConfig};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a backtest needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// `capture:FILE`.
    pub source: String,
    /// One strategy of the configuration; all of them when absent or `all`.
    #[serde(default)]
    pub strategy: Option<String>,
    /// Limits and strategies.
    pub config: EngineConfig,
    /// The way to the venue and back.
    #[serde(default)]
    pub latency_ms: Latency,
    /// `pessimistic`, `power:3` or `log`.
    #[serde(default = "pessimistic")]
    pub queue: String,
    /// Holdings at the start, by asset; absent means 100000 of every quote asset.
    #[serde(default)]
    pub balances: Option<BTreeMap<String, Decimal>>,
    /// The run's only source of randomness.
    #[serde(default)]
    pub seed: u64,
}

/// One-way delays, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// From us to the venue.
    pub entry: u64,
    /// From the venue to us.
    pub response: u64,
}

impl Default for Latency {
    /// A box in another region than the venue's: 50 ms each way.
    fn default() -> Latency {
        Latency { entry: 50, response: 50 }
    }
}

fn pessimistic() -> String {
    QueueModel::Pessimistic.to_string()
}

/// A backtest ready to run.
struct Prepared {
    spec: Spec,
    path: PathBuf,
    run: RunId,
    instruments: Vec<Instrument>,
    balances: Vec<(Asset, Decimal)>,
    first_ns: u64,
    source_sha256: String,
}

/// Runs a backtest and writes its journal to `journal/<run_id>` of the home. Returns its summary.
///
/// # Errors
/// [`DataError`]; nothing is left in the journal folder then.
pub fn backtest(home: &Home, spec: Spec) -> Result<Value, DataError> {
    let prepared = prepare(spec)?;
    let driver = Driver::new(&prepared.spec.config, sim_config(&prepared)?, latency(&prepared.spec))?;
    let target = home.journal_of(&prepared.run);
    let outcome = driver.run(&prepared.path, &target, &prepared.start())?;
    let manifest = manifest(&prepared, &outcome);
    let records = outcome.journal.finish(manifest)?;
    Ok(summary(&prepared, &outcome.driver, records))
}

fn prepare(mut spec: Spec) -> Result<Prepared, DataError> {
    let Some(path) = spec.source.strip_prefix("capture:").map(PathBuf::from) else {
        return Err(DataError::Usage(format!("`{}` is not a source; use capture:FILE", spec.source)));
    };
    choose(&mut spec)?;
    let scan = scan(&path)?;
    if let Some(damage) = &scan.damage {
        return Err(DataError::Value(damage.clone()));
    }
    let Some((first_ns, _)) = scan.span_ns.filter(|_| !scan.symbols.is_empty()) else {
        return Err(DataError::Value(format!("capture `{}` holds no market data", path.display())));
    };
    let instruments = instruments(&scan)?;
    let balances = balances(&spec, &instruments)?;
    let source_sha256 = sha256_of(&path)?;
    let run = run_id(&spec, &source_sha256, &balances);
    Ok(Prepared { spec, path, run, instruments, balances, first_ns, source_sha256 })
}

/// Leaves only the chosen strategy in the configuration.
fn choose(spec: &mut Spec) -> Result<(), DataError> {
    let Some(name) = spec.strategy.clone().filter(|name| name != "all") else { return Ok(()) };
    let known: Vec<String> = spec.config.strategies.iter().map(|s| s.name.clone()).collect();
    spec.config.strategies.retain(|s: &StrategyConfig| s.name == name);
    if spec.config.strategies.is_empty() {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(DataError::Usage(format!("there is no strategy `{name}`; configured: {known}")));
    }
    Ok(())
}

fn instruments(scan: &Scan) -> Result<Vec<Instrument>, DataError> {
    let one = |(n, (name, symbol)): (u16, (&String, &crate::capture::Symbol))| {
        sim::rules::instrument(InstrumentId(n), name, &symbol.steps).map_err(DataError::Value)
    };
    (0u16..).zip(&scan.symbols).map(one).collect()
}

fn balances(spec: &Spec, instruments: &[Instrument]) -> Result<Vec<(Asset, Decimal)>, DataError> {
    let mut all: BTreeMap<Asset, Decimal> = BTreeMap::new();
    match &spec.balances {
        Some(given) => {
            for (name, amount) in given {
                let asset = Asset::from(name).map_err(|_| DataError::Usage(format!("`{name}` is not an asset")))?;
                all.insert(asset, *amount);
            }
        }
        None => all.extend(instruments.iter().map(|i| (i.quote, Decimal::new(100_000, 0)))),
    }
    for i in instruments {
        all.entry(i.base).or_default();
        all.entry(i.quote).or_default();
    }
    Ok(all.into_iter().collect())
}

fn latency(spec: &Spec) -> LatencyModel {
    let ns = |ms: u64| ms.saturating_mul(1_000_000);
    LatencyModel::Constant { entry_ns: ns(spec.latency_ms.entry), response_ns: ns(spec.latency_ms.response) }
}

fn sim_config(prepared: &Prepared) -> Result<SimConfig, DataError> {
    let queue =
        prepared.spec.queue.parse().map_err(|e: sim::queue::UnknownQueueModel| DataError::Usage(e.to_string()))?;
    Ok(SimConfig {
        fees: prepared.spec.config.fees.clone(),
        queue,
        balances: prepared.balances.clone(),
        ..SimConfig::default()
    })
}

/// A hash over everything that shapes the run: the source's bytes, the configuration, the seed, and how the venue
/// behaves.
fn run_id(spec: &Spec, source_sha256: &str, balances: &[(Asset, Decimal)]) -> RunId {
    let identity = json!({
        "source": source_sha256, "config": config_hash(&spec.config), "seed": spec.seed,
        "latency_ms": spec.latency_ms, "queue": spec.queue, "balances": balances,
    });
    let hash = hex::encode(Sha256::digest(identity.to_string()));
    RunId::from(&format!("backtest-{}", &hash[..16])).expect("25 characters fit")
}

fn sha256_of(path: &Path) -> Result<String, DataError> {
    let mut file = File::open(path).map_err(DataError::io("read", path))?;
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece).map_err(DataError::io("read", path))? {
            0 => return Ok(hex::encode(hasher.finalize())),
            n => hasher.update(&piece[..n]),
        }
    }
}

impl Prepared {
    fn start(&self) -> drive::Start {
        drive::Start {
            run: self.run,
            seed: self.spec.seed,
            first_ns: self.first_ns,
            instruments: self.instruments.clone(),
        }
    }
}

fn manifest(prepared: &Prepared, outcome: &Outcome) -> RunManifest {
    let spec = &prepared.spec;
    RunManifest {
        run_id: prepared.run.to_string(),
        mode: Mode::Backtest,
        // Not the clock: the same backtest gives the same manifest.
        created_ns: prepared.first_ns,
        build: settings::BUILD.to_owned(),
        seed: spec.seed,
        source: format!(
            "{} sha256:{} latency_ms:{}+{} queue:{}",
            spec.source, prepared.source_sha256, spec.latency_ms.entry, spec.latency_ms.response, spec.queue
        ),
        config_hash: config_hash(&spec.config),
        config: spec.config.clone(),
        sealed: false,
        records: 0,
        effects_hash: hex::encode(outcome.driver.engine().effects_hash()),
    }
}

fn summary(prepared: &Prepared, driver: &Driver, records: u64) -> Value {
    let (engine, spec) = (driver.engine(), &prepared.spec);
    let (view, stats) = (engine.view(), engine.stats());
    let positions: Vec<Value> = view
        .instruments
        .iter()
        .map(|i| json!({ "symbol": i.symbol, "position": i.position, "pnl": i.pnl, "book": i.book.state }))
        .collect();
    json!({
        "run_id": prepared.run,
        "mode": Mode::Backtest.name(),
        "source": spec.source,
        "source_sha256": prepared.source_sha256,
        "config_hash": config_hash(&spec.config),
        "strategies": spec.config.strategies.iter().map(|s| &s.name).collect::<Vec<_>>(),
        "seed": spec.seed,
        "latency_ms": spec.latency_ms,
        "queue": spec.queue,
        "first_ns": prepared.first_ns,
        "last_ns": view.now_ns,
        "records": records,
        "inputs": stats.events,
        "effects": engine.effects_count(),
        "effects_hash": hex::encode(engine.effects_hash()),
        "signals": stats.signals,
        "orders": stats.orders,
        "fills": stats.fills,
        "book": stats.book,
        "positions": positions,
        "pnl": view.pnl,
        "fees": view.fees,
        "balances": view.balances,
        "open_orders": view.orders.len(),
        "snapshots_served": driver.snapshots_served(),
    })
}
