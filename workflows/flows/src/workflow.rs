//! A checked workflow and its plans.

use crate::catalogue::Origin;
use crate::file::{File, to_json};
use crate::plan::{self, Ask, Planned, StepAssets};
use crate::problem::{Collector, Problems, meant};
use crate::{check, param, read};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use spec::RunPlan;
use thiserror::Error;

/// A workflow in which everything that can be checked without running it holds.
#[derive(Clone, Debug)]
pub struct Workflow {
    file: File,
    params: Map<String, Value>,
    definition: Value,
    sha256: String,
    /// Indices of `file.step`, needs first, otherwise as written.
    order: Vec<usize>,
    pub(crate) origin: Origin,
}

/// A run that cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("workflow `{workflow}` cannot run: {what}")]
pub struct PlanError {
    /// The workflow.
    pub workflow: String,
    /// What is wrong.
    pub what: String,
}

impl Workflow {
    /// Parses and checks a workflow file in TOML; `name` is used in messages only.
    ///
    /// # Errors
    /// Everything that is wrong with it, with line and column.
    pub fn parse(name: &str, text: &str) -> Result<Workflow, Problems> {
        Workflow::check(name, text, read::toml(name, text)?)
    }

    /// Parses and checks a workflow file in JSON, with the same keys as in TOML; `name` is used in messages only.
    ///
    /// # Errors
    /// As [`Workflow::parse`].
    pub fn parse_json(name: &str, text: &str) -> Result<Workflow, Problems> {
        Workflow::check(name, text, read::json(name, text)?)
    }

    /// The workflow of a stored definition, see [`RunPlan::definition`]. It has the hash it had.
    ///
    /// # Errors
    /// As [`Workflow::parse`]; lines are those of the definition printed with indentation. A definition that was fine
    /// once can be wrong now: a job kind may have gone.
    pub fn from_definition(definition: &Value) -> Result<Workflow, Problems> {
        // JSON takes this character as it is, TOML, which reads it, only escaped.
        Workflow::parse_json("definition", &format!("{definition:#}").replace('\u{7f}', "\\u007f"))
    }

    fn check(name: &str, text: &str, file: File) -> Result<Workflow, Problems> {
        let mut problems = Collector::new(name, text);
        check::head(&file, &mut problems);
        check::names(&file, &mut problems);
        let order = check::order(&file, &mut problems);
        let params = to_json(&file.params);
        // An example run checks every template and every job's input.
        let partition = file.partition.example();
        let range = file.partition.range(partition).ok().flatten();
        let example = Ask { partition, range, params: &params, slot: None };
        for fault in plan::plan(&file, &order, &example).err().unwrap_or_default() {
            problems.add(fault.at, format!("step `{}`: {}", fault.step, fault.what));
        }
        problems.finish()?;
        let definition = serde_json::to_value(&file).expect("a file of plain values is always JSON");
        let sha256 = hex::encode(Sha256::digest(canonical(&definition)));
        Ok(Workflow { file, params, definition, sha256, order, origin: Origin::Text })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.file.name.get_ref()
    }

    /// The file as parsed.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Its machine form: what [`Workflow::from_definition`] takes.
    pub fn definition(&self) -> &Value {
        &self.definition
    }

    /// SHA-256 of the definition, hex: the same for files that mean the same, whatever their comments and layout.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The newest partition that is complete at `now`; `None` when only a person can know.
    pub fn newest_partition(&self, now: DateTime<Utc>) -> Option<String> {
        self.file.partition.newest(now)
    }

    /// The steps' names with the names of the steps they need, needs first.
    pub fn graph(&self) -> Vec<(&str, Vec<&str>)> {
        self.steps()
            .map(|s| (s.name.get_ref().as_str(), s.needs.iter().map(|n| n.get_ref().as_str()).collect()))
            .collect()
    }

    /// The steps as written, needs first.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &crate::file::Step> {
        self.order.iter().map(|at| &self.file.step[*at])
    }

    /// The value a text of the command line stands for, by the type of the parameter's default. Lists are JSON or have
    /// commas between their items.
    ///
    /// # Errors
    /// [`PlanError`] when there is no such parameter or the text does not fit it.
    pub fn param_from_text(&self, name: &str, text: &str) -> Result<Value, PlanError> {
        param::from_text(name, self.default_of(name)?, text).map_err(|what| self.refuse(what))
    }

    /// Plans a run for one partition. The same arguments always give the same plan. No step has a deadline.
    ///
    /// * `params` - values in place of the defaults; names that the workflow does not have are refused, and so are
    ///   values of another type than the default's.
    ///
    /// # Errors
    /// [`PlanError`] when the partition or a parameter does not fit.
    pub fn plan(&self, partition: &str, params: &Map<String, Value>) -> Result<RunPlan, PlanError> {
        self.plan_at(partition, None, params)
    }

    /// Plans the run of a slot of the schedule: as [`Workflow::plan`], with deadlines.
    ///
    /// # Errors
    /// As [`Workflow::plan`].
    pub fn plan_slot(
        &self,
        partition: &str,
        slot: DateTime<Utc>,
        params: &Map<String, Value>,
    ) -> Result<RunPlan, PlanError> {
        self.plan_at(partition, Some(slot), params)
    }

    /// What the steps of a run read and make, in the order of its plan.
    ///
    /// # Errors
    /// As [`Workflow::plan`].
    pub fn assets(&self, partition: &str, params: &Map<String, Value>) -> Result<Vec<StepAssets>, PlanError> {
        let all = self.params_with(params)?;
        Ok(self.planned(partition, None, &all)?.assets)
    }

    fn plan_at(
        &self,
        partition: &str,
        slot: Option<DateTime<Utc>>,
        params: &Map<String, Value>,
    ) -> Result<RunPlan, PlanError> {
        let all = self.params_with(params)?;
        let steps = self.planned(partition, slot, &all)?.steps;
        let alert = self.file.on_failure.iter().flat_map(|on| &on.alert);
        Ok(RunPlan {
            workflow: self.name().to_owned(),
            sha256: self.sha256.clone(),
            definition: self.definition.clone(),
            partition: partition.to_owned(),
            params: Value::Object(all),
            steps,
            alert: alert.map(|channel| channel.get_ref().clone()).collect(),
        })
    }

    fn planned(
        &self,
        partition: &str,
        slot: Option<DateTime<Utc>>,
        params: &Map<String, Value>,
    ) -> Result<Planned, PlanError> {
        let range = self.file.partition.range(partition).map_err(|what| self.refuse(what))?;
        plan::plan(&self.file, &self.order, &Ask { partition, range, params, slot }).map_err(|faults| {
            let mut told: Vec<String> = faults.iter().map(|f| format!("step `{}`: {}", f.step, f.what)).collect();
            told.dedup();
            self.refuse(told.join("; "))
        })
    }

    /// The defaults with the given values in their places.
    fn params_with(&self, params: &Map<String, Value>) -> Result<Map<String, Value>, PlanError> {
        let mut all = self.params.clone();
        for (name, value) in params {
            param::check(name, self.default_of(name)?, value).map_err(|what| self.refuse(what))?;
            all.insert(name.clone(), value.clone());
        }
        Ok(all)
    }

    fn default_of(&self, name: &str) -> Result<&Value, PlanError> {
        self.params.get(name).ok_or_else(|| {
            let hint = meant(name, self.params.keys().map(String::as_str));
            self.refuse(format!("it has no parameter `{name}`{hint}"))
        })
    }

    fn refuse(&self, what: String) -> PlanError {
        PlanError { workflow: self.name().to_owned(), what }
    }
}

/// JSON without blanks and with sorted keys, whatever order the map type of the build keeps.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            let fields = fields.iter().map(|(key, v)| format!("{}:{}", Value::from(key.as_str()), canonical(v)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}
