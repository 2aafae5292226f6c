//! A workflow's steps for one partition: fan-outs unrolled, templates filled in, everything that depends on parameters
//! checked. The same planner tries a definition and plans its runs, so both refuse the same things.

use crate::file::{File, RetryRules, Span, Step, to_json};
use crate::partition::Range;
use crate::template::Scope;
use crate::{asset, deadline};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use spec::jobs::{Kind, SpecError};
use spec::plan::Concurrency;
use spec::{Retry, StepPlan, When, jobs};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use toml::Spanned;

const TIMEOUT: Duration = Duration::from_secs(15 * 60);
const GRACE: Duration = Duration::from_secs(20);

/// What to plan.
pub(crate) struct Ask<'a> {
    pub(crate) partition: &'a str,
    pub(crate) range: Option<Range>,
    pub(crate) params: &'a Map<String, Value>,
    pub(crate) slot: Option<DateTime<Utc>>,
}

/// Why a step cannot be planned.
pub(crate) struct Fault {
    /// Where in the file, in bytes.
    pub(crate) at: std::ops::Range<usize>,
    pub(crate) step: String,
    pub(crate) what: String,
}

/// What one step of a run reads and makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepAssets {
    /// The step's name in the plan.
    pub step: String,
    /// Names of assets; `*` stands for one part.
    pub inputs: Vec<String>,
    /// Names of assets.
    pub outputs: Vec<String>,
}

/// Planned steps and what they read and make, one for one.
#[derive(Default)]
pub(crate) struct Planned {
    pub(crate) steps: Vec<StepPlan>,
    pub(crate) assets: Vec<StepAssets>,
}

/// Plans the steps in this order.
///
/// # Errors
/// Every fault there is.
pub(crate) fn plan(file: &File, order: &[usize], ask: &Ask<'_>) -> Result<Planned, Vec<Fault>> {
    let mut planner = Planner { file, ask, instances: BTreeMap::new(), out: Planned::default(), faults: Vec::new() };
    for at in order {
        planner.step(&file.step[*at]);
    }
    planner.check_assets();
    if planner.faults.is_empty() { Ok(planner.out) } else { Err(planner.faults) }
}

struct Planner<'a> {
    file: &'a File,
    ask: &'a Ask<'a>,
    /// Names of the planned steps by the name of the step they are instances of.
    instances: BTreeMap<&'a str, Vec<String>>,
    out: Planned,
    faults: Vec<Fault>,
}

impl<'a> Planner<'a> {
    fn fault(&mut self, step: &Step, at: std::ops::Range<usize>, what: String) {
        self.faults.push(Fault { at, step: step.name.get_ref().clone(), what });
    }

    /// Plans all instances of a step.
    fn step(&mut self, step: &'a Step) {
        let need = |need: &Spanned<String>| self.instances.get(need.get_ref().as_str()).cloned().unwrap_or_default();
        let needs: Vec<String> = step.needs.iter().flat_map(need).collect();
        if let Some(require) = &step.require
            && self.needs_are_known(step)
            && *require.min_ok.get_ref() as usize > needs.len()
        {
            let what = format!("min_ok = {}, but its needs are {} in all", require.min_ok.get_ref(), needs.len());
            self.fault(step, require.min_ok.span(), what);
        }
        let items = match items(step, self.ask.params) {
            Ok(items) => items,
            Err(what) => {
                let at = step.for_each.as_ref().map_or(step.name.span(), Spanned::span);
                return self.fault(step, at, what);
            }
        };
        // An empty list makes no instances, and nobody waits for them.
        self.instances.insert(step.name.get_ref(), Vec::new());
        for item in items {
            self.instance(step, item, needs.clone());
        }
    }

    /// False after a slip elsewhere, a misspelt need or a circle, which should not be told twice.
    fn needs_are_known(&self, step: &Step) -> bool {
        step.needs.iter().all(|need| self.instances.contains_key(need.get_ref().as_str()))
    }

    fn instance(&mut self, step: &'a Step, item: Option<&Value>, needs: Vec<String>) {
        // An unknown kind was told when names were checked.
        let Ok(kind) = jobs::kind(step.job.get_ref()) else { return };
        let Ask { partition, range, params, .. } = *self.ask;
        let scope = Scope { partition, range, params, item };
        let defaults = &self.file.defaults;
        let seconds = |own: Option<Span>, common: Option<Span>, last: Duration| {
            own.or(common).map_or(last, |span| span.0).as_secs().max(1)
        };
        let plan = StepPlan {
            name: instance_name(step, item),
            job: kind.name.to_owned(),
            queue: step.queue.or(defaults.queue).unwrap_or(kind.queue),
            needs,
            when: step.when.unwrap_or(When::Success),
            params: self.input(step, kind, scope),
            retry: retry(&[step.retry.as_ref(), defaults.retry.as_ref()], kind.attempts_max),
            timeout_s: seconds(step.timeout, defaults.timeout, TIMEOUT),
            grace_s: seconds(step.grace, defaults.grace, GRACE),
            min_ok: step.require.as_ref().map(|require| *require.min_ok.get_ref()),
            concurrency: self.concurrency(step, scope),
            deadline_s: self.deadline_s(step),
        };
        let assets = StepAssets {
            step: plan.name.clone(),
            inputs: self.assets(step, &step.inputs, scope, true),
            outputs: self.assets(step, &step.outputs, scope, false),
        };
        self.instances.entry(step.name.get_ref()).or_default().push(plan.name.clone());
        self.out.steps.push(plan);
        self.out.assets.push(assets);
    }

    /// The job's input. What is wrong with a key of it is told at that key.
    fn input(&mut self, step: &Step, kind: &Kind, scope: Scope<'_>) -> Value {
        let mut input = Map::new();
        // Fields whose absence is told already: those that are wrong, and any one when a key is misspelt.
        let (mut wrong, mut misspelt) = (Vec::new(), false);
        for (key, value) in to_json(&step.with) {
            let filled = scope.fill(&value).and_then(|filled| {
                // Alone, a key makes the check say what is wrong with it, or only that others are missing.
                match kind.check(&Value::Object(Map::from_iter([(key.clone(), filled.clone())]))) {
                    Err(error) if !is_missing(&error, "") => Err(error.to_string()),
                    _ => Ok(filled),
                }
            });
            match filled {
                Ok(filled) => _ = input.insert(key, filled),
                Err(what) => {
                    misspelt |= what.contains("unknown field");
                    let at = step.with_places.get(&key).cloned().unwrap_or(step.name.span());
                    self.fault(step, at, what);
                    wrong.push(key);
                }
            }
        }
        let input = Value::Object(input);
        if let Err(error) = kind.check(&input)
            && !(misspelt && is_missing(&error, ""))
            && !wrong.iter().any(|key| is_missing(&error, &format!(" `{key}`")))
        {
            self.fault(step, step.name.span(), error.to_string());
        }
        input
    }

    fn concurrency(&mut self, step: &Step, scope: Scope<'_>) -> Option<Concurrency> {
        let limit = step.concurrency.as_ref()?;
        let key = scope.fill_name(limit.key.get_ref());
        let key = key.and_then(|key| if key.is_empty() { Err("the key is empty".to_owned()) } else { Ok(key) });
        match key {
            Ok(key) => Some(Concurrency { key, max: limit.max }),
            Err(what) => {
                self.fault(step, limit.key.span(), what);
                None
            }
        }
    }

    fn deadline_s(&self, step: &Step) -> Option<i64> {
        let time = step.deadline.as_ref()?.get_ref().0;
        let zone = self.file.schedule.as_ref()?.timezone.get_ref().parse().ok()?;
        Some(deadline::after(self.ask.slot?, zone, time)?.timestamp())
    }

    fn assets(&mut self, step: &Step, names: &[Spanned<String>], scope: Scope<'_>, stars: bool) -> Vec<String> {
        let mut filled = Vec::new();
        for name in names {
            let checked = scope.fill_name(name.get_ref()).and_then(|name| asset::check(&name, stars).map(|()| name));
            match checked {
                Ok(name) => filled.push(name),
                Err(what) => self.fault(step, name.span(), what),
            }
        }
        filled
    }

    /// An asset has one maker, and whoever reads what another step of the run makes must wait for that step.
    fn check_assets(&mut self) {
        let mut makers: BTreeMap<String, String> = BTreeMap::new();
        let mut found = Vec::new();
        for made in &self.out.assets {
            for output in &made.outputs {
                if let Some(other) = makers.insert(output.clone(), made.step.clone()) {
                    found.push((made.step.clone(), format!("it makes `{output}`, and so does `{other}`")));
                }
            }
        }
        let mut above: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (plan, read) in self.out.steps.iter().zip(&self.out.assets) {
            let mut all: BTreeSet<&str> = plan.needs.iter().map(String::as_str).collect();
            all.extend(plan.needs.iter().filter_map(|need| above.get(need.as_str())).flatten().copied());
            for input in &read.inputs {
                let early = |(name, maker): &(&String, &String)| {
                    asset::matches(input, name) && **maker != plan.name && !all.contains(maker.as_str())
                };
                if let Some((_, maker)) = makers.iter().find(early) {
                    found.push((
                        plan.name.clone(),
                        format!("it reads `{input}`, but does not need its maker `{maker}`"),
                    ));
                }
            }
            above.insert(&plan.name, all);
        }
        for (instance, what) in found {
            let of =
                |step: &&Step| self.instances.get(step.name.get_ref().as_str()).is_some_and(|i| i.contains(&instance));
            if let Some(step) = self.file.step.iter().find(of)
                && self.needs_are_known(step)
            {
                self.fault(step, step.name.span(), what);
            }
        }
    }
}

/// True when all the job says is that this field is not there.
fn is_missing(error: &SpecError, field: &str) -> bool {
    matches!(error, SpecError::Input { what, .. } if what.starts_with(&format!("missing field{field}")))
}

/// `backfill`, or `backfill[kraken]` in a fan-out.
fn instance_name(step: &Step, item: Option<&Value>) -> String {
    match item {
        None => step.name.get_ref().clone(),
        Some(Value::String(item)) => format!("{}[{item}]", step.name.get_ref()),
        Some(item) => format!("{}[{item}]", step.name.get_ref()),
    }
}

/// The items of a fan-out; a step without one has the single item `None`.
fn items<'p>(step: &Step, params: &'p Map<String, Value>) -> Result<Vec<Option<&'p Value>>, String> {
    let Some(each) = &step.for_each else { return Ok(vec![None]) };
    let each = each.get_ref();
    let list = each.strip_prefix("params.").and_then(|name| params.get(name)).and_then(Value::as_array);
    let list = list.ok_or_else(|| format!("for_each = `{each}` is not a list parameter; write params.<name>"))?;
    let distinct: BTreeSet<String> = list.iter().map(|item| instance_name(step, Some(item))).collect();
    if distinct.len() != list.len() {
        return Err(format!("{each} holds an item twice"));
    }
    Ok(list.iter().map(Some).collect())
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
