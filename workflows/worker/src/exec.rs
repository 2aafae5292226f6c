//! `traider-worker exec <verb>`: the CLI's verbs that need the engine or the data, answered as one JSON object.

use crate::scheduler::Definitions;
use data::DataError;
use serde_json::{Value, json};
use settings::Home;
use store::{Store, StoreError, schedule};
use tokio::runtime::Runtime;

/// An answer: the object for stdout and the exit code. A failure is `{"error": {"exit_code", "message"}}` and nothing else;
/// an object without `error` is what was asked for, whatever the exit code: a verdict of 8 is an answer too.
pub struct Answer {
    /// The object.
    pub value: Value,
    /// 0 ok, 1 failed, 2 usage, 3 configuration, 5 unreachable, 8 a verification failed.
    pub exit_code: u8,
}

/// Carries out one verb. Blocks.
///
/// * `verb` - `parity`, `backtest`, `why`, `order`, `inspect-capture`, `facts`, `lake-ls`, `archived-log`,
///   `sync-schedules`.
/// * `args` - the verb's input.
pub fn exec(home: &Home, verb: &str, args: &Value) -> Answer {
    let result = match verb {
        "facts" => facts(home, args).map(|value| (value, 0)),
        "lake-ls" => lake_ls(home, args).map(|value| (value, 0)),
        "archived-log" => archived_log(home, args).map(|value| (value, 0)),
        "sync-schedules" => {
            return match sync_schedules(home) {
                Ok(value) => Answer { value, exit_code: 0 },
                Err(error) => failed(&store::error::chain(&error), error.exit_code()),
            };
        }
        "inspect-capture" => data::exec(home, "inspect", args).map(|reply| (reply.value, reply.exit_code)),
        verb => data::exec(home, verb, args).map(|reply| (reply.value, reply.exit_code)),
    };
    match result {
        Ok((value, exit_code)) => Answer { value, exit_code },
        Err(error) => failed(&store::error::chain(&error), error.exit_code()),
    }
}

/// An error as an answer.
pub fn failed(message: &str, exit_code: u8) -> Answer {
    Answer { value: json!({"error": {"message": message, "exit_code": exit_code}}), exit_code }
}

/// What the journal of `run` (an id, or `latest`, which is no backtest unless there is nothing else) proves about orders
/// and money, with the run's id and mode.
fn facts(home: &Home, args: &Value) -> Result<Value, DataError> {
    let usage = || DataError::Usage("the input of facts is {\"run\": \"<id or latest>\"}".to_owned());
    let run = match args.get("run") {
        None => "latest",
        Some(run) => run.as_str().ok_or_else(usage)?,
    };
    let facts = data::facts_from_journal(&data::runs::find(home, run)?.dir)?;
    serde_json::to_value(facts).map_err(|e| DataError::Value(e.to_string()))
}

/// Partitions of the lake, all or those of one dataset, with what their newest manifest says.
fn lake_ls(home: &Home, args: &Value) -> Result<Value, DataError> {
    let dataset = args.get("dataset").and_then(Value::as_str);
    let listed = runtime()?.block_on(lake::Lake::local(&home.lake())?.list())?;
    let rows: Vec<Value> = listed
        .iter()
        .filter(|(partition, _)| dataset.is_none_or(|d| d == partition.dataset()))
        .map(|(partition, manifest)| {
            json!({
                "dataset": partition.dataset(), "venue": partition.venue(), "instrument": partition.instrument(),
                "day": partition.day().to_string(), "rows": manifest.rows, "bytes": manifest.bytes(),
                "version": manifest.version, "sha256": manifest.content_hash(),
            })
        })
        .collect();
    Ok(json!({"partitions": rows}))
}

/// Lines of a run's log that are no longer in the database: `{"run": "<id>", "step": "<name or null>"}`.
fn archived_log(home: &Home, args: &Value) -> Result<Value, DataError> {
    let run = args["run"].as_str();
    let run = run.ok_or_else(|| DataError::Usage("the input of archived-log is {\"run\": \"<id>\"}".to_owned()))?;
    let mut lines = runtime()?.block_on(data::archive::archived_log(home, run))?;
    lines.retain(|line| args["step"].as_str().is_none_or(|step| step == line.step));
    Ok(json!({"lines": lines}))
}

/// Takes the schedules of the workflow files over into the database, as every worker does, and says what is wrong with
/// those that cannot be followed.
fn sync_schedules(home: &Home) -> Result<Value, StoreError> {
    let runtime = runtime().map_err(|e| StoreError::Write(e.to_string()))?;
    let mut definitions = Definitions::of(&home.config().join("workflows"));
    definitions.refresh();
    let problems = runtime.block_on(async {
        let (store, cluster) = Store::open_migrated(home).await?;
        let synced = match schedule::look(&store).await {
            Ok(look) => definitions.sync(&store, look.now).await,
            Err(error) => Err(error),
        };
        store::release(store, cluster).await?;
        synced
    })?;
    Ok(json!({"problems": problems, "unread": definitions.bad()}))
}

fn runtime() -> Result<Runtime, DataError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| DataError::Value(format!("cannot start the runtime: {e}")))
}
