//! The step `verify-journals`: every run with records of the day is replayed with this build, and every hash of its
//! effects compared with the journal's.

use crate::facts::Refused;
use crate::runs::{self, Run};
use crate::{DataError, replay};
use lake::Day;
use serde_json::{Value, json};
use settings::Home;
use spec::jobs::VerifyJournals;
use store::{StepContext, StepError, StepOutcome};
use venues::journal_dir::{Entry, read_run};

/// How often the wish to stop is looked at, in journal entries.
const STOP_EVERY: u64 = 65_536;

/// The verdict on the runs of one day.
#[derive(Debug, Default)]
pub struct Verified {
    /// Runs replayed, with a version each.
    pub inputs: Vec<(String, String)>,
    /// Records in them.
    pub records: u64,
    /// Hashes compared.
    pub marks: u64,
    /// What is not as the journals say, in words: run and record.
    pub broken: Vec<String>,
}

/// The step `verify-journals`.
///
/// # Errors
/// [`StepError::Permanent`] naming run and record when a replay does anything else than its journal says.
pub async fn run(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let job: VerifyJournals = ctx.input()?;
    let (home, cancel, day) = (ctx.home.clone(), ctx.cancel.clone(), job.day.clone());
    let done = tokio::task::spawn_blocking(move || verify(&home, &day, &|| cancel.is_cancelled()))
        .await
        .map_err(|e| StepError::Permanent(format!("replaying the journals failed: {e}")))??;
    let (runs, equal) = (done.inputs.len() + done.broken.len(), done.inputs.len());
    ctx.log.info(&format!("{equal} of {runs} runs are equal, {} records, {} hashes", done.records, done.marks));
    if !done.broken.is_empty() {
        let what = done.broken.join("; ");
        return Err(StepError::Permanent(format!("{} of {runs} runs are not proven: {what}", done.broken.len())));
    }
    let summary =
        json!({ "day": job.day, "runs": runs, "equal": equal, "records": done.records, "hashes": done.marks });
    Ok(StepOutcome { inputs: done.inputs, outputs: Vec::new(), summary, writes: Vec::new() })
}

/// Replays every run of the home with records of `day`; a run of which that cannot be known counts as one.
///
/// # Errors
/// [`DataError::Cancelled`], or a failure to read that may pass.
pub fn verify(home: &Home, day: &str, stop: &dyn Fn() -> bool) -> Result<Verified, DataError> {
    let day: Day = day.parse()?;
    let listed = runs::list(home)?;
    let mut done = Verified::default();
    for (run, error) in listed.unreadable {
        if error.is_transient() {
            return Err(error);
        }
        done.broken.push(format!("run {run}: {error}"));
    }
    for run in listed.runs {
        if !concerns(&run, day, stop)? {
            continue;
        }
        match replay::parity_until(&run.dir, stop) {
            Ok((verdict, 0)) => done.equal(&verdict),
            Ok((verdict, _)) => done.broken.push(told(&run, &verdict)),
            Err(error) if error.is_transient() || matches!(error, DataError::Cancelled) => return Err(error),
            Err(error) => done.broken.push(format!("run {}: {}", run.manifest.run_id, store::error::chain(&error))),
        }
    }
    Ok(done)
}

impl Verified {
    fn equal(&mut self, verdict: &Value) {
        let number = |name: &str| verdict[name].as_u64().unwrap_or(0);
        let run = verdict["run_id"].as_str().unwrap_or_default();
        self.inputs.push((format!("journal/{run}"), format!("{} records", number("records"))));
        self.records += number("records");
        self.marks += number("marks");
    }
}

/// Run and record of what is wrong.
fn told(run: &Run, verdict: &Value) -> String {
    let run = &run.manifest.run_id;
    let difference = &verdict["first_difference"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // Damage first: a journal that was cut also differs at its end.
    if verdict["message"].is_null() && difference.is_object() {
        let at = difference["seq"].as_u64().map_or_else(|| "its end".to_owned(), |seq| format!("record {seq}"));
        let (expected, got) = (text(&difference["expected"]), text(&difference["got"]));
        return format!("run {run} differs at {at}: the journal says {expected}, a replay gives {got}");
    }
    format!("run {run}: {}", text(&verdict["message"]))
}

/// True when the run has an input of the day, or when damage hides whether it has.
fn concerns(run: &Run, day: Day, stop: &dyn Fn() -> bool) -> Result<bool, DataError> {
    let mut reader = match read_run(&run.dir) {
        Ok(reader) => reader,
        Err(error) => return hidden(error.into(), run, day),
    };
    let mut entries = 0u64;
    for entry in reader.by_ref() {
        entries += 1;
        if entries.is_multiple_of(STOP_EVERY) && stop() {
            return Err(DataError::Cancelled);
        }
        match entry {
            Ok(Entry::Input { ts_recv_ns, .. }) => {
                let ts = i64::try_from(ts_recv_ns).unwrap_or(i64::MAX);
                if ts >= day.start_ns() {
                    return Ok(ts < day.end_ns());
                }
            }
            Ok(Entry::Effects(_)) => {}
            Err(error) => return hidden(error.into(), run, day),
        }
    }
    // A sealed run whose journal was cut may have had more.
    Ok(crate::seal::missing(&run.dir, &run.manifest, reader.tail()).is_some())
}

fn hidden(error: DataError, run: &Run, day: Day) -> Result<bool, DataError> {
    if error.is_transient() {
        return Err(error);
    }
    Ok(Refused::of(run, &error).concerns(day.start_ns(), day.end_ns()))
}
