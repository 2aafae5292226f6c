//! What can be wrong with a definition before anything is planned: names, schedule, partitions, needs.

use crate::file::{File, Step};
use crate::keys::CHANNELS;
use crate::problem::{Collector, meant};
use spec::{When, jobs};
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// Tells everything that is wrong with the head of the file.
pub(crate) fn head(file: &File, problems: &mut Collector<'_>) {
    if *file.schema.get_ref() != 1 {
        problems.add(file.schema.span(), "only schema = 1 is known");
    }
    if !is_name(file.name.get_ref()) {
        problems.add(file.name.span(), "a workflow's name is a word of small letters, digits and `-`");
    }
    schedule(file, problems);
    partition(file, problems);
    if file.step.is_empty() {
        problems.add(file.name.span(), "a workflow needs at least one [[step]]");
    }
    if let Some(on_failure) = &file.on_failure {
        twice(&on_failure.alert, "channel", problems);
        if on_failure.alert.is_empty() {
            problems.add(
                file.place("on_failure.alert"),
                format!("alert names no channel; there are {}", CHANNELS.join(", ")),
            );
        }
    }
}

fn schedule(file: &File, problems: &mut Collector<'_>) {
    let Some(schedule) = &file.schedule else { return };
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

fn partition(file: &File, problems: &mut Collector<'_>) {
    let partition = &file.partition;
    if !partition.has_time() && partition.depends_on_past {
        problems.add(
            file.place("partition.depends_on_past"),
            "depends_on_past needs partitions of kind hour, day or month: others have no past",
        );
    }
    if let Some(schedule) = &file.schedule
        && partition.kind == crate::file::PartitionKind::Key
    {
        problems.add(schedule.cron.span(), "a schedule cannot know the key of a partition of kind `key`");
    }
}

fn is_name(name: &str) -> bool {
    (1..=60).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Tells every name that is in the list before.
fn twice(names: &[Spanned<String>], what: &str, problems: &mut Collector<'_>) {
    let mut seen = BTreeSet::new();
    for name in names.iter().filter(|name| !seen.insert(name.get_ref())) {
        problems.add(name.span(), format!("the {what} `{}` is there twice", name.get_ref()));
    }
}

/// Tells everything that is wrong with the steps' names and with what they refer to.
pub(crate) fn names(file: &File, problems: &mut Collector<'_>) {
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
        twice(&step.needs, "need", problems);
        rules(file, step, problems);
    }
}

/// Tells which keys of the step do not go together.
fn rules(file: &File, step: &Step, problems: &mut Collector<'_>) {
    if let Some(require) = &step.require {
        let at = require.min_ok.span();
        if step.needs.is_empty() {
            problems.add(at, "a quorum needs `needs`");
        } else if !matches!(step.when, None | Some(When::Success)) {
            problems.add(at, "a quorum says when needs have succeeded; it goes with when = \"success\" only");
        }
    }
    if let Some(deadline) = &step.deadline
        && file.schedule.is_none()
    {
        problems.add(deadline.span(), "a deadline is counted from the schedule, and there is no [schedule]");
    }
}

/// The indices of the steps, needs first, otherwise as written. A cycle is a problem told with its path; its steps come
/// last.
pub(crate) fn order(file: &File, problems: &mut Collector<'_>) -> Vec<usize> {
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
    let stuck: Vec<usize> = (0..needs.len()).filter(|n| !placed.contains(n)).collect();
    if let Some(first) = stuck.first() {
        // Every stuck step needs a stuck step, so walking along needs must come back to where it has been.
        let mut path = vec![*first];
        while let Some(next) = needs[path[path.len() - 1]].iter().copied().find(|m| stuck.contains(m)) {
            if let Some(back) = path.iter().position(|seen| *seen == next) {
                let mut round: Vec<&str> = path[back..].iter().map(|n| file.step[*n].name.get_ref().as_str()).collect();
                round.push(round[0]);
                let what = format!("steps need each other in a circle: {}", round.join(" -> "));
                problems.add(file.step[next].name.span(), what);
                break;
            }
            path.push(next);
        }
    }
    placed.extend(stuck);
    placed
}
