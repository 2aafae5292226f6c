//! Verbs the CLI hands to `traider-worker exec`: JSON in, JSON and an exit code out.

use crate::backtest::{Spec, backtest};
use crate::{DataError, inspect, order, replay, runs, why};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use settings::Home;
use std::path::PathBuf;

/// The verbs there are.
pub const VERBS: [&str; 6] = ["parity", "backtest", "why", "inspect", "order", "tape"];

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The answer itself. It never has a member `error`: that is how callers tell a failure from an answer.
    pub value: Value,
    /// Exit code of the command: 0, 8 when a verification failed, 1 when what was looked at is not usable.
    pub exit_code: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parity {
    #[serde(default = "latest")]
    run: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    order: String,
    #[serde(default)]
    run: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inspect {
    files: Vec<PathBuf>,
}

fn latest() -> String {
    "latest".to_owned()
}

/// Carries out one verb. It computes and reads files, so call it where blocking is allowed.
///
/// # Errors
/// [`DataError`]; its `exit_code` is the command's.
pub fn exec(home: &Home, verb: &str, args: &Value) -> Result<Reply, DataError> {
    let ok = |value| Reply { value, exit_code: 0 };
    match verb {
        "parity" => {
            let run = runs::find(home, &input::<Parity>(verb, args)?.run)?;
            replay::parity(&run.dir).map(|(value, exit_code)| Reply { value, exit_code })
        }
        "tape" => {
            let run = runs::find(home, &input::<Parity>(verb, args)?.run)?;
            let run_id = run.manifest.run_id;
            let proofs = venues::proof::compare(&home.tapes_of(&run_id), &run.dir)?;
            let proven = proofs.iter().all(venues::proof::VenueProof::holds);
            let value = serde_json::json!({"run_id": run_id, "proven": proven, "venues": proofs});
            Ok(Reply { value, exit_code: if proven { 0 } else { 8 } })
        }
        "backtest" => backtest(home, input::<Spec>(verb, args)?).map(ok),
        "why" => {
            let asked = input::<Order>(verb, args)?;
            why::why(home, &asked.order, asked.run.as_deref()).map(ok)
        }
        "order" => {
            let asked = input::<Order>(verb, args)?;
            order::order(home, &asked.order, asked.run.as_deref()).map(ok)
        }
        "inspect" => {
            inspect::inspect(&input::<Inspect>(verb, args)?.files).map(|(value, exit_code)| Reply { value, exit_code })
        }
        other => Err(DataError::Usage(format!("there is no verb `{other}`; known: {}", VERBS.join(", ")))),
    }
}

fn input<T: DeserializeOwned>(verb: &str, args: &Value) -> Result<T, DataError> {
    T::deserialize(args).map_err(|e| DataError::Usage(format!("the input of {verb} is wrong: {e}")))
}
