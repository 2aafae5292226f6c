//! `traider-worker exec <verb>`: the CLI's verbs that need the engine or the data, answered as one JSON object.

use data::DataError;
use serde_json::{Value, json};
use settings::Home;

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
/// * `verb` - `parity`, `backtest`, `why`, `order`, `inspect-capture`, `facts`, `lake-ls`.
/// * `args` - the verb's input.
pub fn exec(home: &Home, verb: &str, args: &Value) -> Answer {
    let result = match verb {
        "facts" => facts(home, args).map(|value| (value, 0)),
        "lake-ls" => lake_ls(home, args).map(|value| (value, 0)),
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| DataError::Value(format!("cannot start the runtime: {e}")))?;
    let listed = runtime.block_on(lake::Lake::local(&home.lake())?.list())?;
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
