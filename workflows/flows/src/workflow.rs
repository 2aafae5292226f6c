//! A checked workflow and its plans.

use crate::file::{self, File, RetryRules, Span, Step};
use crate::partition::Range;
use crate::problem::{Collector, Problems, meant};
use crate::template::Scope;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use spec::{Retry, RunPlan, StepPlan, When, jobs};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use thiserror::Error;

const TIMEOUT: Duration = Duration::from_secs(15 * 60);
const GRACE: Duration = Duration::from_secs(20);

/// A workflow in which everything that can be checked without running it holds.
#[derive(Clone, Debug)]
pub struct Workflow {
    file: File,
    params: Map<String, Value>,
    definition: Value,
    sha256: String,
    /// Indices of `file.step`, needs first, otherwise as written.
    order: Vec<usize>,
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
    /// Parses and checks a workflow file; `name` is used in messages only.
    ///
    /// # Errors
    /// Everything that is wrong with it, with line and column.
    pub fn parse(name: &str, text: &str) -> Result<Workflow, Problems> {
        let file = file::parse(name, text)?;
        let mut problems = Collector::new(name, text);
        check_head(&file, &mut problems);
        check_names(&file, &mut problems);
        let order = order(&file, &mut problems);
        let params = to_json(&file.params);
        let definition = serde_json::to_value(&file).expect("a file of plain values is always JSON");
        let sha256 = hex::encode(Sha256::digest(definition.to_string()));
        let workflow = Workflow { file, params, definition, sha256, order };
        if problems.is_empty() {
            check_inputs(&workflow, &mut problems);
        }
        problems.finish().map(|()| workflow)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.file.name.get_ref()
    }

    /// The file as parsed.
    pub fn file(&self) -> &File {
        &self.file
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
        let steps = self.order.iter().map(|at| &self.file.step[*at]);
        steps.map(|s| (s.name.get_ref().as_str(), s.needs.iter().map(|n| n.get_ref().as_str()).collect())).collect()
    }

    /// Plans a run for one partition. The same arguments always give the same plan.
    ///
    /// * `params` - values in place of the defaults; names that the workflow does not have are refused.
    ///
    /// # Errors
    /// [`PlanError`] when the partition or a parameter does not fit.
    pub fn plan(&self, partition: &str, params: &Map<String, Value>) -> Result<RunPlan, PlanError> {
        let refuse = |what: String| PlanError { workflow: self.name().to_owned(), what };
        let range = self.file.partition.range(partition).map_err(refuse)?;
        let mut all = self.params.clone();
        for (name, value) in params {
            let Some(known) = all.get_mut(name) else {
                let hint = meant(name, self.params.keys().map(String::as_str));
                return Err(refuse(format!("it has no parameter `{name}`{hint}")));
            };
            *known = value.clone();
        }
        let steps = self
            .steps(partition, range, &all)
            .map_err(|(at, what)| refuse(format!("step `{}`: {what}", self.file.step[at].name.get_ref())))?;
        Ok(RunPlan {
            workflow: self.name().to_owned(),
            sha256: self.sha256.clone(),
            definition: self.definition.clone(),
            partition: partition.to_owned(),
            params: Value::Object(all),
            steps,
            alert: Vec::new(),
        })
    }

    /// The planned steps, or the index of the step that cannot be planned and why.
    fn steps(
        &self,
        partition: &str,
        range: Option<Range>,
        params: &Map<String, Value>,
    ) -> Result<Vec<StepPlan>, (usize, String)> {
        let mut instances: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut plans = Vec::new();
        for at in self.order.iter().copied() {
            let step = &self.file.step[at];
            let needs: Vec<String> =
                step.needs.iter().flat_map(|need| instances[need.get_ref().as_str()].clone()).collect();
            let items = items(step, params).map_err(|what| (at, what))?;
            // An empty list makes no instances, and nobody waits for them.
            instances.insert(step.name.get_ref(), Vec::new());
            for item in items {
                let scope = Scope { partition, range, params, item: item.as_ref() };
                let plan = self.step(step, &scope, needs.clone()).map_err(|what| (at, what))?;
                instances.entry(step.name.get_ref()).or_default().push(plan.name.clone());
                plans.push(plan);
            }
        }
        Ok(plans)
    }

    fn step(&self, step: &Step, scope: &Scope<'_>, needs: Vec<String>) -> Result<StepPlan, String> {
        let kind = jobs::kind(step.job.get_ref()).map_err(|e| e.to_string())?;
        let input = scope.fill(&Value::Object(to_json(&step.with)))?;
        kind.check(&input).map_err(|e| e.to_string())?;
        let name = match scope.item {
            None => step.name.get_ref().clone(),
            Some(Value::String(item)) => format!("{}[{item}]", step.name.get_ref()),
            Some(item) => format!("{}[{item}]", step.name.get_ref()),
        };
        let defaults = &self.file.defaults;
        let seconds = |own: Option<Span>, common: Option<Span>, last: Duration| {
            own.or(common).map_or(last, |span| span.0).as_secs().max(1)
        };
        Ok(StepPlan {
            name,
            job: kind.name.to_owned(),
            queue: step.queue.or(defaults.queue).unwrap_or(kind.queue),
            needs,
            when: step.when.unwrap_or(When::Success),
            params: input,
            retry: retry(&[step.retry.as_ref(), defaults.retry.as_ref()], kind.attempts_max),
            timeout_s: seconds(step.timeout, defaults.timeout, TIMEOUT),
            grace_s: seconds(step.grace, defaults.grace, GRACE),
            min_ok: None,
            concurrency: None,
            deadline_s: None,
        })
    }
}

/// The first rule that says something counts.
fn retry(rules: &[Option<&RetryRules>], attempts_max: u32) -> Retry {
    fn first<T>(rules: &[Option<&RetryRules>], pick: impl Fn(&RetryRules) -> Option<T>) -> Option<T> {
        rules.iter().flatten().find_map(|rule| pick(rule))
    }
    let last = Retry::default();
    let ms = |span: Option<Span>, last: u64| span.map_or(last, |s| u64::try_from(s.0.as_millis()).unwrap_or(u64::MAX));
    Retry {
        max: first(rules, |r| r.max).unwrap_or(attempts_max).max(1),
        backoff: first(rules, |r| r.backoff).unwrap_or(last.backoff),
        base_ms: ms(first(rules, |r| r.base), last.base_ms),
        cap_ms: ms(first(rules, |r| r.cap), last.cap_ms),
        jitter: first(rules, |r| r.jitter).unwrap_or(last.jitter),
    }
}

/// The items of a fan-out; a step without one has the single item `None`.
fn items(step: &Step, params: &Map<String, Value>) -> Result<Vec<Option<Value>>, String> {
    let Some(each) = &step.for_each else { return Ok(vec![None]) };
    let each = each.get_ref();
    let list = each.strip_prefix("params.").and_then(|name| params.get(name)).and_then(Value::as_array);
    let list = list.ok_or_else(|| format!("for_each = `{each}` is not a list parameter; write params.<name>"))?;
    let distinct: BTreeSet<String> = list.iter().map(Value::to_string).collect();
    if distinct.len() != list.len() {
        return Err(format!("{each} holds an item twice"));
    }
    Ok(list.iter().cloned().map(Some).collect())
}

fn to_json(table: &toml::Table) -> Map<String, Value> {
    let value = serde_json::to_value(table).expect("string keys and plain values are always JSON");
    value.as_object().cloned().unwrap_or_default()
}

fn check_head(file: &File, problems: &mut Collector<'_>) {
    if *file.schema.get_ref() != 1 {
        problems.add(file.schema.span(), "only schema = 1 is known");
    }
    if !is_name(file.name.get_ref()) {
        problems.add(file.name.span(), "a workflow's name is a word of small letters, digits and `-`");
    }
    if let Some(schedule) = &file.schedule {
        let (cron, zone) = (&schedule.cron, &schedule.timezone);
        if cron.get_ref().split_whitespace().count() != 5 {
            problems.add(cron.span(), "cron has five fields: minute hour day month weekday");
        } else if let Err(error) = cron.get_ref().parse::<croner::Cron>() {
            problems.add(cron.span(), format!("`{}` is not a cron pattern: {error}", cron.get_ref()));
        }
        if zone.get_ref().parse::<chrono_tz::Tz>().is_err() {
            let hint = meant(zone.get_ref(), chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name()));
            problems.add(zone.span(), format!("there is no time zone `{}`{hint}", zone.get_ref()));
        }
    }
    if file.step.is_empty() {
        problems.add(file.name.span(), "a workflow needs at least one [[step]]");
    }
}

fn is_name(name: &str) -> bool {
    (1..=60).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn check_names(file: &File, problems: &mut Collector<'_>) {
    let mut seen = BTreeSet::new();
    let names: Vec<&str> = file.step.iter().map(|s| s.name.get_ref().as_str()).collect();
    for step in &file.step {
        let name = step.name.get_ref();
        if !is_name(name) {
            problems.add(step.name.span(), "a step's name is a word of small letters, digits and `-`");
        }
        if !seen.insert(name) {
            problems.add(step.name.span(), format!("there are two steps `{name}`"));
        }
        if jobs::kind(step.job.get_ref()).is_err() {
            let hint = meant(step.job.get_ref(), jobs::names());
            problems.add(step.job.span(), format!("there is no job kind `{}`{hint}", step.job.get_ref()));
        }
        for need in &step.needs {
            if !names.contains(&need.get_ref().as_str()) {
                let hint = meant(need.get_ref(), names.iter().copied());
                problems.add(need.span(), format!("there is no step `{}`{hint}", need.get_ref()));
            }
        }
    }
}

/// Needs first, otherwise as written; a cycle is a problem told with its path.
fn order(file: &File, problems: &mut Collector<'_>) -> Vec<usize> {
    let at: BTreeMap<&str, usize> = file.step.iter().enumerate().map(|(n, s)| (s.name.get_ref().as_str(), n)).collect();
    let needs: Vec<Vec<usize>> = file
        .step
        .iter()
        .map(|s| s.needs.iter().filter_map(|need| at.get(need.get_ref().as_str()).copied()).collect())
        .collect();
    let mut placed = Vec::new();
    while let Some(next) =
        (0..needs.len()).find(|n| !placed.contains(n) && needs[*n].iter().all(|m| placed.contains(m)))
    {
        placed.push(next);
    }
    if let Some(stuck) = (0..needs.len()).find(|n| !placed.contains(n)) {
        // Every stuck step needs a stuck step, so walking along needs must come back to where it has been.
        let mut path = vec![stuck];
        while let Some(next) = needs[path[path.len() - 1]].iter().copied().find(|m| !placed.contains(m)) {
            if let Some(back) = path.iter().position(|seen| *seen == next) {
                let mut round: Vec<&str> = path[back..].iter().map(|n| file.step[*n].name.get_ref().as_str()).collect();
                round.push(round[0]);
                problems.add(
                    file.step[next].name.span(),
                    format!("steps need each other in a circle: {}", round.join(" -> ")),
                );
                break;
            }
            path.push(next);
        }
    }
    placed
}

/// Plans an example run, which checks every template and every job's input.
fn check_inputs(workflow: &Workflow, problems: &mut Collector<'_>) {
    let partition = workflow.file.partition.example();
    let range = workflow.file.partition.range(partition).ok().flatten();
    if let Err((at, what)) = workflow.steps(partition, range, &workflow.params) {
        problems.add(
            workflow.file.step[at].name.span(),
            format!("step `{}`: {what}", workflow.file.step[at].name.get_ref()),
        );
    }
}
