// Workflows with their grids, runs, workers and queues, dead letters, alerts.
import { poll } from "./board-api.js";
import { action, card, count, empty, mark, pill, progress, runLink, spell, swap, table, toneOf, took, when, wide } from "./board-parts.js";
import { el } from "./text.js";

const GRID_ROWS = 30;

function legend() {
  const states = ["done", "running", "ready", "waiting", "failed", "dead", "cancelled", "skipped"];
  return el("p", { class: "legend dim" }, "A cell is a step of a partition's newest run. ", states.map((state) => el("span", { class: "pair-of" }, el("span", { class: `cell small ${toneOf(state)}` }, mark(state)), ` ${state}`)));
}

/** All workflows, each with its grid; or one of them alone. */
export function showWorkflows(page, only) {
  const boxes = new Map();
  page.append(legend());
  poll("/workflows", (rows) => {
    const shown = only ? rows.filter((row) => row.name === only) : rows;
    if (shown.length === 0) {
      return swap(page, card("Workflows", empty(only ? `There is no workflow ${only} with a run.` : "No workflow has had a run yet: traider run start daily --partition YYYY-MM-DD")));
    }
    for (const row of shown) {
      if (boxes.has(row.name)) continue;
      const box = { head: el("div"), grid: el("div", { class: "scroll" }) };
      boxes.set(row.name, box);
      page.append(el("section", { class: "card" }, box.head, box.grid));
      poll(`/workflows/${encodeURIComponent(row.name)}/grid?limit=${only ? 200 : GRID_ROWS}`, (grid) => swap(box.grid, gridOf(grid)));
    }
    for (const row of shown) swap(boxes.get(row.name).head, workflowHead(row));
  });
}

function workflowHead(row) {
  return el("div", { class: "head" },
    el("h2", { class: "name" }, el("a", { href: `/board/workflows/${row.name}`, "data-key": row.name }, row.name)),
    row.state ? pill(row.state) : "", row.active > 0 ? el("span", { class: "dim" }, `${row.active} active`) : "",
    el("span", { class: "dim hide-small" }, row.description ?? ""), el("span", { class: "grow" }),
    el("a", { href: `/board/runs?workflow=${encodeURIComponent(row.name)}` }, "runs"), el("span", { class: "dim mono", title: "Version of its definition" }, `v${row.version}`));
}

/** Partitions down, newest first; steps across. */
function gridOf(rows) {
  if (rows.length === 0) return empty("No runs.");
  const names = [];
  for (const row of rows) for (const step of row.steps) if (!names.includes(step.name)) names.push(step.name);
  const cell = (row, name) => {
    const state = row.steps.find((step) => step.name === name)?.state;
    if (!state) return el("td", {});
    const told = `${row.partition} ${name}: ${state}`;
    return el("td", {}, el("a", { href: `/board/runs/${row.run}`, class: `cell ${toneOf(state)}`, title: told, "aria-label": told, "data-key": `${row.run}/${name}` }, mark(state)));
  };
  const line = (row) => el("tr", {},
    el("th", { scope: "row" }, runLink(row.run, row.partition)), el("td", {}, pill(row.state, `${row.trigger}, run number ${row.generation}`)),
    names.map((name) => cell(row, name)), el("td", { class: "dim" }, row.ended_at ? when(row.ended_at) : ""));
  return el("table", { class: "cells" },
    el("thead", {}, el("tr", {}, el("th", {}, "partition"), el("th", {}, "run"), names.map((name) => el("th", { class: "up-right", title: name }, el("span", {}, name))), el("th", {}, "ended"))),
    el("tbody", {}, rows.map(line)));
}

/** Runs, newest first, by what the address asks for. */
export function showRuns(page) {
  const asked = new URLSearchParams(location.search);
  const box = el("div");
  const states = ["", "queued", "running", "done", "failed", "cancelled"];
  const state = el("select", { "aria-label": "State", onchange: () => go("state", state.value) },
    states.map((name) => el("option", { value: name, selected: name === (asked.get("state") ?? "") }, name || "any state")));
  const go = (name, value) => {
    if (value) asked.set(name, value);
    else asked.delete(name);
    location.search = asked.toString();
  };
  const chosen = ["workflow", "partition"].filter((name) => asked.get(name)).map((name) => (
    el("button", { type: "button", title: "Show all again", onclick: () => go(name, "") }, `${name} ${asked.get(name)} ✕`)));
  page.append(card({ name: "Runs", extra: [...chosen, state] }, box));
  asked.set("limit", "100");
  poll(`/runs?${asked}`, (rows) => swap(box, table(
    ["state", "workflow", "partition", "run", "by", "steps", "asked for", "took", "error"],
    rows.map((run) => [
      pill(run.cancel_requested && !run.ended_at ? "running" : run.state), run.workflow, el("span", { class: "mono" }, run.partition),
      runLink(run.id), run.backfill ? el("a", { href: `/board/backfills/${run.backfill}` }, "backfill") : run.trigger,
      el("span", { class: "mono" }, `${run.steps_done}/${run.steps}`), when(run.queued_at), took(run.started_at, run.ended_at), wide(el("span", { class: "fault" }, run.error ?? "")),
    ]), "No such run.")));
}

export function showWorkers(page) {
  const queues = el("div");
  const workers = el("div");
  page.append(card("Queues", queues), card("Workers", workers));
  poll("/workers", (answer) => {
    swap(queues, table(["queue", "state", "#ready", "#running", "#later", "#held back", "oldest waits", ""],
      answer.queues.map((q) => [
        el("strong", {}, q.queue), q.paused_at ? el("td", { class: "wide" }, pill("paused"), " ", q.paused_why, " · ", when(q.paused_at)) : el("span", { class: "state good" }, "✓ open"),
        count(q.ready), count(q.running), count(q.delayed), count(q.held), q.oldest_s === null ? "–" : spell(q.oldest_s * 1000),
        q.paused_at
          ? action("Resume", `queue-${q.queue}`, `/queues/${q.queue}/resume`, { title: `Resume the queue ${q.queue}?`, text: "What waits in it may begin at once.", yes: "Resume" })
          : action("Pause", `queue-${q.queue}`, `/queues/${q.queue}/pause`, { title: `Pause the queue ${q.queue}?`, text: "What runs goes on; nothing new of this queue is begun, in any workflow.", why: "Why? Others will read it", yes: "Pause" }),
      ]), "No queues."));
    swap(workers, answer.workers.length === 0
      ? empty("No worker is alive: nothing is carried out. `traider up` starts one; `traider-worker run` runs one by itself.")
      : answer.workers.map((worker) => workerOf(worker, answer.running)));
  });
}

function workerOf(worker, running) {
  const own = running.filter((step) => step.worker === worker.name);
  return el("div", { class: "run" },
    el("div", { class: "top" }, el("strong", { class: "mono break" }, worker.name), el("span", { class: "dim" }, worker.queue), el("span", { class: "grow" }),
      el("span", { class: "dim" }, "seen ", when(worker.last_seen), worker.started_at ? [", since ", when(worker.started_at)] : "")),
    own.length === 0 ? el("p", { class: "dim" }, "waits for work") : el("ul", { class: "plain" }, own.map((step) => el("li", {},
      pill("running"), " ", runLink(step.run, `${step.workflow} ${step.partition}`), ` ${step.step}${step.attempt > 1 ? `, attempt ${step.attempt}` : ""}, for ${took(step.started_at)} `,
      progress({ ...step, state: "running" })))));
}

export function showDead(page) {
  const box = el("div");
  page.append(card("Dead letters", el("p", { class: "dim" }, "Steps that used up their attempts without a clean end, most often because the worker died under them. Requeue runs the step and what needs it again; Discard gives it up."), box));
  poll("/dead", (rows) => swap(box, table(["since", "workflow", "partition", "step", "#attempts", "error", ""],
    rows.map((dead) => [
      when(dead.ended_at), dead.workflow, runLink(dead.run, dead.partition), el("span", {}, dead.step, " ", el("span", { class: "dim" }, dead.job)), count(dead.attempts),
      wide(el("span", { class: "fault" }, dead.error ?? "–")),
      el("span", { class: "buttons" },
        action("Requeue", `requeue-${dead.run}-${dead.step}`, `/runs/${dead.run}/retry`, { title: `Run ${dead.step} again?`, text: `It and everything that needs it, in the run of ${dead.workflow} ${dead.partition}.`, yes: "Requeue" }, { which: "from", step: dead.step }),
        action("Discard", `discard-${dead.run}-${dead.step}`, `/runs/${dead.run}/discard`, { title: `Give up ${dead.step}?`, text: "It counts as failed and its alert ends. The reason stays in the run's history.", why: "Why?", yes: "Discard", grave: true }, { step: dead.step })),
    ]), "✓ None.")));
}

export function showAlerts(page) {
  const open = el("div");
  const over = el("div");
  page.append(card("Open alerts", open), card("Recovered", over));
  const line = (alert) => [
    pill(alert.recovered_at ? "recovered" : "open"), alert.kind, alert.workflow, alert.run ? runLink(alert.run, alert.partition || alert.run.slice(-8)) : alert.partition || "–",
    wide(alert.step ? `${alert.step}: ` : "", alert.detail), when(alert.opened_at), alert.seen > 1 ? `${count(alert.seen)} times` : "once",
  ];
  const heads = ["", "kind", "workflow", "partition", "what", "opened", "seen"];
  poll("/alerts", (rows) => {
    swap(open, table(heads, rows.filter((row) => !row.recovered_at).map(line), "✓ None."));
    swap(over, table([...heads, "over"], rows.filter((row) => row.recovered_at).map((row) => [...line(row), when(row.recovered_at)]), "None yet."));
  });
}
