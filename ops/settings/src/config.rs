//! The layered configuration: built-in file, the user's file, a named file, environment, flags. Later layers win;
//! unknown keys are errors with the nearest known name; each value knows where it came from.
//!
//! Amounts are text, so that they stay exact. The environment has nothing but text, so there the type is that of the
//! built-in value: see [`environment`].

mod outside;

pub use outside::{Redis, Unlisted, Webhook};

use crate::Home;
use domain::Decimal;
use domain::config::{EngineConfig, Fees, RiskLimits, StrategyConfig, StrategyRule};
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Metadata, Profile, Provider, Source, value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};
use thiserror::Error;

const ENV_PREFIX: &str = "TRAIDER__";
/// Name of that layer inside figment.
const ENVIRONMENT: &str = "environment";
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
    /// Who hears of trouble.
    pub alerts: Alerts,
    /// Who may send alerts in.
    pub webhook: Webhook,
    /// Where market data is handed on to.
    pub redis: Redis,
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
    /// Venues that are watched and never traded, each `NAME:SYMBOL,SYMBOL`.
    pub watch: Vec<String>,
    /// Record every frame of every venue on raw tapes.
    pub tape: bool,
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

/// Who hears of trouble with workflows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// Address that gets each alert as a JSON POST; empty: none.
    pub webhook: String,
    /// Append each alert to `<home>/alerts.jsonl`.
    pub file: bool,
    /// Print each alert where the worker, or what supervises it, runs.
    pub stdout: bool,
    /// A schedule that is paused for longer raises an alert, hours.
    pub paused_hours_max: u32,
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
    load_with(home, file, Env::prefixed(ENV_PREFIX).split("__").iter(), flags)
}

/// As [`load`], with the environment's `variables` under dotted keys.
fn load_with(
    home: &Home,
    file: Option<&Path>,
    variables: impl Iterator<Item = (impl Display, String)>,
    flags: &BTreeMap<String, serde_json::Value>,
) -> Result<Loaded, ConfigError> {
    let built_in = Figment::from(Toml::string(BUILT_IN));
    let environment = environment(&built_in, variables)?;
    let user = home.config().join("traider.toml");
    let mut figment = built_in;
    for path in [user.is_file().then_some(user.as_path()), file].into_iter().flatten() {
        if !path.is_file() {
            return Err(ConfigError(format!(
                "the configuration file `{}` does not exist; give an existing file to --config or leave it out",
                path.display()
            )));
        }
        check_syntax(path)?;
        figment = figment.merge(Toml::file_exact(path));
    }
    for variable in environment {
        figment = figment.merge(variable);
    }
    for (key, json) in flags {
        figment = figment.merge(Serialized::default(key, json));
    }
    let config: Config = figment.extract().map_err(explain)?;
    let origins = origins(&figment)?;
    let loaded = Loaded { config, origins, strategies: home.config().join("strategies") };
    loaded.check_limits()?;
    loaded.engine_config()?;
    Ok(loaded)
}

/// Says where a file is not TOML: figment names the file, but not the place.
fn check_syntax(path: &Path) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| ConfigError(format!("cannot read the configuration file `{}`: {e}", path.display())))?;
    let Err(error) = toml::from_str::<toml::Table>(&text) else { return Ok(()) };
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let what = error.message().trim().replace('\n', "; ");
    Err(ConfigError(format!("`{}` is not TOML at line {line}, column {column}: {what}", path.display())))
}

/// The settings in the environment, `TRAIDER__SECTION__KEY`. A setting that is text in the built-in file is taken as it
/// stands, so that `0.1` stays 0.1 to the last digit; quotes around it are left out. All others are read as figment does.
///
/// # Errors
/// [`ConfigError`] for a variable that is no setting, by the name it was given.
fn environment(
    built_in: &Figment,
    variables: impl Iterator<Item = (impl Display, String)>,
) -> Result<Vec<Variable>, ConfigError> {
    let known: Vec<String> = origins(built_in)?.into_iter().map(|origin| origin.key).collect();
    let mut found = Vec::new();
    for (key, text) in variables {
        let key = key.to_string();
        let Ok(default) = built_in.find_value(&key) else { return Err(unknown_variable(&key, &known)) };
        let read: Value = text.parse().expect("figment reads any text as something");
        let value = match (default, read) {
            (Value::String(..), Value::String(tag, text)) => Value::String(tag, text),
            (Value::String(..), _) => Value::from(text.trim()),
            (_, read) => read,
        };
        found.push(Variable { key, value });
    }
    Ok(found)
}

fn unknown_variable(key: &str, known: &[String]) -> ConfigError {
    // The right name in the wrong section is nearer than any misspelling.
    let name = key.rsplit('.').next().unwrap_or(key);
    let same = known.iter().find(|k| k.rsplit('.').next() == Some(name));
    let hint = same.map_or_else(
        || nearest(key, known.iter().map(String::as_str)),
        |same| format!(", did you mean `{same}` ({})?", variable(same)),
    );
    let mut sections: Vec<&str> = known.iter().filter_map(|k| Some(k.rsplit_once('.')?.0)).collect();
    sections.dedup();
    ConfigError(format!(
        "unknown setting `{key}` ({} in the environment){hint}; the sections are {}",
        variable(key),
        sections.join(", ")
    ))
}

/// The environment variable of a setting.
fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// One setting of the environment.
struct Variable {
    /// Dotted.
    key: String,
    value: Value,
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENVIRONMENT)
    }
    fn data(&self) -> Result<value::Map<Profile, Dict>, figment::Error> {
        let dict = figment::util::nest(&self.key, self.value.clone()).into_dict();
        Ok(Profile::Default.collect(dict.unwrap_or_default()))
    }
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

    /// Every limit by itself; how they go together is looked at with the strategies.
    fn check_limits(&self) -> Result<(), ConfigError> {
        self.config.engine.risk.check().map_err(|e| {
            let key = format!("engine.risk.{}", e.name);
            let origin = self.origins.iter().find(|o| o.key == key).map_or("built-in", |o| &o.origin);
            ConfigError(format!("setting `{key}` is {} (from {origin}); allowed is {}", e.value, e.allowed))
        })
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
                // Figment ends the path with the field for some layers and before it for others.
                let ended = e.path.last() == Some(field);
                let key = e.path.iter().chain((!ended).then_some(field)).cloned().collect::<Vec<_>>().join(".");
                write!(
                    text,
                    "unknown setting `{key}`{layer}{}; known here: {}",
                    nearest(field, known.iter().copied()),
                    known.join(", ")
                )
            }
            kind if path.is_empty() => write!(text, "the configuration{layer} is wrong: {kind}"),
            kind => write!(text, "setting `{path}`{layer} is wrong: {kind}"),
        }
        .expect("writing to a String cannot fail");
    }
    ConfigError(text)
}

fn layer_name(source: Option<&Source>, name: &str) -> String {
    match source {
        Some(Source::File(path)) => format!(" in `{}`", path.display()),
        _ if name == ENVIRONMENT => " in the environment (TRAIDER__...)".to_owned(),
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
            _ if m.name == ENVIRONMENT => {
                format!("environment {}", variable(key))
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
mod tests;
