//! The layered configuration: built-in file, the user's file, a named file, environment, flags. Later layers win;
//! unknown keys are errors with the nearest known name; each value knows where it came from.

use crate::Home;
use domain::Decimal;
use domain::config::{EngineConfig, Fees, RiskLimits, StrategyConfig, StrategyRule};
use figment::providers::{Env, Format, Serialized, Toml};
use figment::{Figment, Source, value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

const BUILT_IN: &str = include_str!("../../../config/default.toml");
const BUILT_IN_STRATEGIES: [(&str, &str); 2] = [
    ("ema-cross", include_str!("../../../config/strategies/ema-cross.toml")),
    ("flow-imbalance", include_str!("../../../config/strategies/flow-imbalance.toml")),
];

/// A configuration that cannot be used; the text says where and what to do. Exit code 3.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is run.
    pub run: Run,
    /// The offline market.
    pub demo: Demo,
    /// The local web page.
    pub dashboard: Dashboard,
    /// Limits and fees.
    pub engine: Engine,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Venue symbols to watch and trade.
    pub symbols: Vec<String>,
    /// Names of strategy files.
    pub strategies: Vec<String>,
    /// The run's only source of randomness.
    pub seed: u64,
}

/// The offline market.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demo {
    /// Play money in the quote asset.
    pub quote_balance: Decimal,
    /// Play holdings in the base asset.
    pub base_balance: Decimal,
    /// Queue model of the emulator.
    pub queue: String,
}

/// The local web page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// Port on 127.0.0.1; 0 = any free one.
    pub port: u16,
}

/// Limits and fees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Limits no order passes.
    pub risk: RiskLimits,
    /// Fees assumed when an order's worth is judged.
    pub fees: Fees,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Dotted key.
    pub key: String,
    /// The value as text.
    pub value: String,
    /// `built-in`, a file, an environment variable, or `flag`.
    pub origin: String,
}

/// A loaded configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Every value with its origin, in key order.
    pub origins: Vec<Origin>,
    /// Where the user's strategies are looked for.
    strategies: PathBuf,
}

/// Loads the configuration of `home`.
///
/// * `file` - the file given with `--config`, which must exist.
/// * `flags` - overrides given as flags, dotted key to JSON value.
///
/// # Errors
/// [`ConfigError`] naming the layer, the key and the nearest known name.
pub fn load(
    home: &Home,
    file: Option<&Path>,
    flags: &BTreeMap<String, serde_json::Value>,
) -> Result<Loaded, ConfigError> {
    let user = home.config().join("traider.toml");
    let mut figment = Figment::from(Toml::string(BUILT_IN));
    for path in [user.is_file().then_some(user.as_path()), file].into_iter().flatten() {
        if !path.is_file() {
            return Err(ConfigError(format!(
                "the configuration file `{}` does not exist; give an existing file to --config or leave it out",
                path.display()
            )));
        }
        figment = figment.merge(Toml::file_exact(path));
    }
    figment = figment.merge(Env::prefixed("TRAIDER__").split("__"));
    for (key, json) in flags {
        figment = figment.merge(Serialized::default(key, json));
    }
    let config: Config = figment.extract().map_err(explain)?;
    let origins = origins(&figment)?;
    let loaded = Loaded { config, origins, strategies: home.config().join("strategies") };
    loaded.engine_config()?;
    Ok(loaded)
}

impl Loaded {
    /// Limits, fees and the chosen strategies as the engine wants them.
    ///
    /// # Errors
    /// [`ConfigError`] when a strategy file is missing or wrong, or limits contradict each other.
    pub fn engine_config(&self) -> Result<EngineConfig, ConfigError> {
        let mut names = self.config.run.strategies.clone();
        names.sort();
        names.dedup();
        let strategies = names.iter().map(|name| self.strategy(name)).collect::<Result<_, _>>()?;
        let Engine { risk, fees } = self.config.engine.clone();
        if risk.order_value_max > risk.position_value_max {
            return Err(ConfigError(format!(
                "engine.risk.order_value_max ({}) is above engine.risk.position_value_max ({}); lower the first or \
                 raise the second",
                risk.order_value_max, risk.position_value_max
            )));
        }
        Ok(EngineConfig { risk, fees, strategies })
    }

    /// Names of all strategies that could be chosen, the user's own included.
    pub fn strategy_names(&self) -> Vec<String> {
        let mut names: Vec<String> = BUILT_IN_STRATEGIES.iter().map(|(n, _)| (*n).to_owned()).collect();
        if let Ok(dir) = std::fs::read_dir(&self.strategies) {
            names.extend(
                dir.flatten().filter_map(|e| e.path().file_name()?.to_str()?.strip_suffix(".toml").map(str::to_owned)),
            );
        }
        names.sort();
        names.dedup();
        names
    }

    fn strategy(&self, name: &str) -> Result<StrategyConfig, ConfigError> {
        let own = self.strategies.join(format!("{name}.toml"));
        let (text, place) = if own.is_file() {
            let text = std::fs::read_to_string(&own)
                .map_err(|e| ConfigError(format!("cannot read the strategy file `{}`: {e}", own.display())))?;
            (text, own.display().to_string())
        } else if let Some((_, text)) = BUILT_IN_STRATEGIES.iter().find(|(n, _)| *n == name) {
            ((*text).to_owned(), format!("built-in strategy `{name}`"))
        } else {
            let known = self.strategy_names();
            return Err(ConfigError(format!(
                "there is no strategy `{name}`{}; known are {}; a new one is a file `{}`",
                nearest(name, known.iter().map(String::as_str)),
                known.join(", "),
                own.display()
            )));
        };
        let rule: StrategyRule =
            toml::from_str(&text).map_err(|e| ConfigError(format!("in {place}: {}", e.to_string().trim_end())))?;
        Ok(StrategyConfig { name: name.to_owned(), rule })
    }
}

fn explain(error: figment::Error) -> ConfigError {
    let mut text = String::new();
    for e in error {
        if !text.is_empty() {
            text.push('\n');
        }
        let layer = e.metadata.as_ref().map(|m| layer_name(m.source.as_ref(), &m.name)).unwrap_or_default();
        let path = e.path.join(".");
        match &e.kind {
            figment::error::Kind::UnknownField(field, known) => {
                let key = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                let key =
                    key.strip_suffix(&format!(".{field}.{field}")).map_or(key.clone(), |k| format!("{k}.{field}"));
                write!(
                    text,
                    "unknown setting `{key}`{layer}{}; known here: {}",
                    nearest(field, known.iter().copied()),
                    known.join(", ")
                )
            }
            kind => write!(text, "setting `{path}`{layer} is wrong: {kind}"),
        }
        .expect("writing to a String cannot fail");
    }
    ConfigError(text)
}

fn layer_name(source: Option<&Source>, name: &str) -> String {
    match source {
        Some(Source::File(path)) => format!(" in `{}`", path.display()),
        _ if name.contains("environment") => " in the environment (TRAIDER__...)".to_owned(),
        _ => String::new(),
    }
}

/// `, did you mean ...?` when something known is near.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|k| (strsim::damerau_levenshtein(name, k), k))
        .filter(|(distance, k)| *distance <= 2.max(k.len() / 3))
        .min()
        .map_or_else(String::new, |(_, k)| format!(", did you mean `{k}`?"))
}

fn origins(figment: &Figment) -> Result<Vec<Origin>, ConfigError> {
    let root: value::Value = figment.extract().map_err(explain)?;
    let mut found = Vec::new();
    walk(figment, &root, "", &mut found);
    Ok(found)
}

fn walk(figment: &Figment, value: &value::Value, key: &str, found: &mut Vec<Origin>) {
    if let value::Value::Dict(_, dict) = value {
        for (name, inner) in dict {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            walk(figment, inner, &key, found);
        }
        return;
    }
    let origin = figment.find_metadata(key).map_or_else(
        || "built-in".to_owned(),
        |m| match &m.source {
            Some(Source::File(path)) => path.display().to_string(),
            _ if m.name.contains("environment") => {
                format!("environment TRAIDER__{}", key.replace('.', "__").to_uppercase())
            }
            _ if m.name.contains("TOML") => "built-in".to_owned(),
            _ => "flag".to_owned(),
        },
    );
    let text = serde_json::to_value(value).map_or_else(
        |_| String::new(),
        |json| match json {
            serde_json::Value::String(s) => s,
            other => other.to_string(),
        },
    );
    found.push(Origin { key: key.to_owned(), value: text, origin });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_home(file: &str) -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path()));
        std::fs::create_dir_all(home.config()).unwrap();
        std::fs::write(home.config().join("traider.toml"), file).unwrap();
        (dir, home)
    }

    #[test]
    fn later_layers_win_and_each_value_names_its_origin() {
        let (_dir, home) = in_home("[run]\nseed = 11\n");
        let flags = BTreeMap::from([("dashboard.port".to_owned(), serde_json::json!(0))]);
        let loaded = load(&home, None, &flags).unwrap();
        assert_eq!((loaded.config.run.seed, loaded.config.dashboard.port), (11, 0));
        let origin = |key: &str| loaded.origins.iter().find(|o| o.key == key).unwrap().origin.clone();
        assert!(origin("run.seed").ends_with("traider.toml"));
        assert_eq!(origin("dashboard.port"), "flag");
        assert_eq!(origin("engine.risk.order_value_max"), "built-in");
    }

    #[test]
    fn an_unknown_key_names_the_file_and_the_nearest_known_one() {
        let (_dir, home) = in_home("[engine.risk]\norder_value_maxx = \"5\"\n");
        let text = load(&home, None, &BTreeMap::new()).unwrap_err().to_string();
        assert!(text.contains("engine.risk.order_value_maxx"), "{text}");
        assert!(text.contains("did you mean `order_value_max`?"), "{text}");
        assert!(text.contains("traider.toml"), "{text}");
    }

    #[test]
    fn contradicting_limits_and_unknown_strategies_are_refused() {
        let (_dir, home) = in_home("[engine.risk]\norder_value_max = \"9000\"\n");
        assert!(load(&home, None, &BTreeMap::new()).unwrap_err().to_string().contains("position_value_max"));
        let (_dir, home) = in_home("[run]\nstrategies = [\"flow-imbalanse\"]\n");
        let text = load(&home, None, &BTreeMap::new()).unwrap_err().to_string();
        assert!(text.contains("did you mean `flow-imbalance`?"), "{text}");
    }

    #[test]
    fn a_wrong_type_names_the_setting() {
        let (_dir, home) = in_home("[run]\nseed = \"many\"\n");
        let text = load(&home, None, &BTreeMap::new()).unwrap_err().to_string();
        assert!(text.contains("`run.seed`") && text.contains("traider.toml"), "{text}");
    }

    #[test]
    fn the_users_own_strategy_file_wins_over_the_built_in_one() {
        let (_dir, home) = in_home("[run]\nstrategies = [\"flow-imbalance\"]\n");
        let dir = home.config().join("strategies");
        std::fs::create_dir_all(&dir).unwrap();
        let built_in = BUILT_IN_STRATEGIES[1].1;
        std::fs::write(dir.join("flow-imbalance.toml"), built_in.replace("kind =", "kindd =")).unwrap();
        assert!(load(&home, None, &BTreeMap::new()).is_err());
        std::fs::write(dir.join("flow-imbalance.toml"), built_in).unwrap();
        assert_eq!(load(&home, None, &BTreeMap::new()).unwrap().engine_config().unwrap().strategies.len(), 1);
    }
}
