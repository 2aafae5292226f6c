//! Pictures of a workflow: for terminals, for Graphviz, for Mermaid.

use crate::file::Step;
use crate::workflow::Workflow;
use spec::{When, jobs};
use std::fmt::Write;

impl Workflow {
    /// The steps for a terminal, one line each, needs first: name, fan-out, job kind, queue, what it waits for.
    ///
    /// ```text
    /// backfill[params.venues]  ingest-journal  cpu
    /// validate                 validate-day    io   <- backfill (2 are enough)
    /// ```
    pub fn graph_text(&self) -> String {
        let rows: Vec<[String; 4]> =
            self.steps().map(|step| [label(step), job(step), self.queue(step), waits(step)]).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2)];
        let mut out = String::new();
        for [name, job, queue, waits] in &rows {
            let line = format!("{name:0$}  {job:1$}  {queue:2$}  {waits}", widths[0], widths[1], widths[2]);
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// The steps as a Graphviz digraph. A dashed edge is one of a step that runs on failure or always.
    pub fn graph_dot(&self) -> String {
        // Names are words of small letters, digits and `-`; only a parameter's name could hold a quote.
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let mut out = format!("digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n", quoted(self.name()));
        for step in self.steps() {
            let text = quoted(&format!("{}\n{}", label(step), job(step))).replace('\n', "\\n");
            _ = writeln!(out, "  {} [label={text}];", quoted(step.name.get_ref()));
        }
        for (step, need, dashed) in self.edges() {
            let style = if dashed { " [style=dashed]" } else { "" };
            _ = writeln!(out, "  {} -> {}{style};", quoted(need), quoted(step));
        }
        out + "}\n"
    }

    /// The steps as a Mermaid flowchart. A dotted edge is one of a step that runs on failure or always.
    pub fn graph_mermaid(&self) -> String {
        // Mermaid's own words, such as `end`, are no node names; a letter before makes none of them.
        let node = |name: &str| format!("s-{name}");
        let mut out = "flowchart LR\n".to_owned();
        for step in self.steps() {
            let text = format!("{}<br>{}", label(step).replace('"', "#quot;"), job(step));
            _ = writeln!(out, "  {}[\"{text}\"]", node(step.name.get_ref()));
        }
        for (step, need, dotted) in self.edges() {
            let arrow = if dotted { "-.->" } else { "-->" };
            _ = writeln!(out, "  {} {arrow} {}", node(need), node(step));
        }
        out
    }

    /// Step, what it needs, and whether that may fail.
    fn edges(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.steps().flat_map(|step| {
            let soft = !matches!(step.when, None | Some(When::Success));
            step.needs.iter().map(move |need| (step.name.get_ref().as_str(), need.get_ref().as_str(), soft))
        })
    }

    fn queue(&self, step: &Step) -> String {
        let own = jobs::kind(step.job.get_ref()).ok().map(|kind| kind.queue);
        step.queue.or(self.file().defaults.queue).or(own).map_or("", |queue| queue.name()).to_owned()
    }
}

fn label(step: &Step) -> String {
    match &step.for_each {
        Some(each) => format!("{}[{}]", step.name.get_ref(), each.get_ref()),
        None => step.name.get_ref().clone(),
    }
}

fn job(step: &Step) -> String {
    step.job.get_ref().clone()
}

/// What the step waits for: its needs, its quorum, which outcomes, its deadline.
fn waits(step: &Step) -> String {
    let needs: Vec<&str> = step.needs.iter().map(|need| need.get_ref().as_str()).collect();
    let mut notes = Vec::new();
    if let Some(require) = &step.require {
        notes.push(format!("{} are enough", require.min_ok.get_ref()));
    }
    if let Some(when @ (When::Failure | When::Always)) = step.when {
        notes.push(format!("when {}", when.name()));
    }
    if let Some(deadline) = &step.deadline {
        notes.push(format!("late after {}", deadline.get_ref()));
    }
    let mut out = if needs.is_empty() { String::new() } else { format!("<- {}", needs.join(", ")) };
    if !notes.is_empty() {
        _ = write!(out, " ({})", notes.join(", "));
    }
    out.trim_start().to_owned()
}
