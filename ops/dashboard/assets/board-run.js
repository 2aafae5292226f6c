// One run: what it is, its steps as a graph, over time and in a table, what it read and made, its log and its history.
import { poll } from "./board-api.js";
import { graph, timeline } from "./board-graph.js";
import { Logs } from "./board-logs.js";
import { action, assetLink, bytes, card, count, empty, hash, moment, pill, progress, swap, table, took, when, wide } from "./board-parts.js";
import { el } from "./text.js";

const isActive = (run) => run.state === "queued" || run.state === "running";

export function showRun(page, id) {
  const [head, picture, bars, steps, things, history] = Array.from({ length: 6 }, () => el("div"));
  const logs = new Logs(id);
  bars.className = "scroll";
  const holds = el("span");
  page.append(head, el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, "Steps")), picture, steps), card("Timeline", bars),
    card({ name: "Log", extra: [logs.state, logs.down, logs.step, logs.level] }, logs.lines), card("Read and made", things), card({ name: "History", extra: [holds] }, history));
  const choose = (step) => logs.choose(step);
  const missed = (error) => {
    logs.over = true;
    logs.close();
    swap(page, card("Run", empty(`${error.message}. What to do: ${error.todo}.`), el("a", { href: "/board/runs" }, "all runs")));
  };
  let latest = null;
  const drawBars = () => {
    if (!latest) return;
    const tried = latest.attempts.some((attempt) => attempt.started_at);
    swap(bars, tried ? timeline(latest.steps_detail, latest.attempts, Math.max(320, bars.clientWidth), choose) : empty("No step has begun."));
  };
  window.addEventListener("resize", drawBars);
  poll(`/runs/${id}`, (run) => {
    latest = run;
    document.title = `${run.workflow} ${run.partition} · traider board`;
    swap(head, header(run));
    swap(picture, el("div", { class: "scroll" }, graph(run.steps_detail, choose)));
    drawBars();
    swap(steps, stepTable(run, choose));
    swap(things, readAndMade(run));
    logs.offer(run.steps_detail.map((step) => step.name));
    if (isActive(run)) logs.goOn();
  }, { missed });
  poll(`/runs/${id}/history`, (told) => {
    swap(holds, told.holds ? el("span", { class: "state good", title: "Each entry's hash covers the one before it." }, "✓ history holds")
      : el("span", { class: "state bad", title: "An entry was changed, removed or put in later." }, "✕ history was tampered with"));
    swap(history, el("div", { class: "tall scroll" }, table(["when", "step", "what", "more", "hash"],
      told.events.map((event) => [moment(event.at), event.step || "–", event.kind.replaceAll("_", " "), wide(event.detail), hash(event.hash)]), "Nothing yet.")));
  }, { ms: 4000, missed: () => {} });
}

function header(run) {
  const what = `${run.workflow} ${run.partition}`;
  const path = `/runs/${run.id}`;
  const active = isActive(run);
  const buttons = [
    !active && run.state !== "done" ? action("Retry failed", "retry", `${path}/retry`, { title: `Run what is not done of ${what} again?`, text: "Steps that got done stay as they are. Every earlier attempt is kept.", yes: "Retry" }, { which: "failed" }) : "",
    active && !run.cancel_requested ? action("Cancel", "cancel", `${path}/cancel`, { title: `Cancel ${what}?`, text: "Steps that have not begun never will; running ones are told to stop.", yes: "Cancel it", grave: true }) : "",
  ];
  const facts = [
    ["run", el("span", { class: "mono break" }, run.id)], ["version", `v${run.version}`], ["started by", run.backfill ? el("a", { href: `/board/backfills/${run.backfill}` }, "backfill") : run.trigger],
    ["run of this partition", `number ${run.generation}`], run.slot ? ["slot", moment(run.slot)] : null, ["asked for", when(run.queued_at)],
    ["began", run.started_at ? when(run.started_at) : "not yet"], ["ended", run.ended_at ? when(run.ended_at) : "not yet"], ["took", took(run.started_at, run.ended_at)], ["steps done", `${run.steps_done} of ${run.steps}`],
  ].filter(Boolean);
  return el("section", { class: "card" },
    el("div", { class: "head title" }, pill(run.state), el("strong", {}, el("a", { href: `/board/workflows/${run.workflow}` }, run.workflow), " ", el("span", { class: "mono" }, run.partition)),
      run.cancel_requested && active ? el("span", { class: "state warn" }, "! cancel asked for") : "", el("span", { class: "grow" }), ...buttons),
    run.error ? el("p", { class: "fault" }, run.error) : "",
    el("dl", { class: "pairs" }, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))));
}

function stepTable(run, choose) {
  const active = isActive(run);
  return table(["step", "state", "attempt", "progress", "took", "summary or error", ""], run.steps_detail.map((step) => [
    el("button", { type: "button", class: "link", title: `${step.job} in queue ${step.queue}; shows its log`, "data-key": `log-${step.name}`, onclick: () => choose(step.name) }, step.name),
    el("span", {}, pill(step.state), step.held ? el("span", { class: "dim" }, " held back") : "", step.state === "ready" && Date.parse(step.run_at) > Date.now() ? [" ", when(step.run_at)] : ""),
    el("span", { class: "mono" }, `${step.attempt}/${step.attempts_max}`), progress(step), took(step.started_at, step.ended_at),
    wide(step.error ? el("span", { class: "fault" }, step.error_kind ? `${step.error_kind.replaceAll("_", " ")}: ` : "", step.error) : summary(step)),
    active ? "" : action("Run again from here", `from-${step.name}`, `/runs/${run.id}/retry`, { title: `Run ${step.name} again?`, text: "It and every step that needs it. Every earlier attempt is kept.", yes: "Run again" }, { which: "from", step: step.name }),
  ]), "No steps.");
}

function summary(step) {
  const entries = Object.entries(step.summary ?? {});
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  return el("span", { class: "dim" }, entries.slice(0, 8).map(([key, value]) => `${key.replaceAll("_", " ")} ${text(value)}`).join(" · "));
}

function readAndMade(run) {
  const made = table(["step", "asset", "partition", "version", "#rows", "#size"], run.outputs.map((o) => [
    o.step, assetLink(o.asset, { partition: o.partition }), el("span", { class: "mono" }, o.partition), hash(o.sha256), count(o.rows), bytes(o.bytes)]), "Nothing was made yet.");
  const read = table(["step", "asset", "version"], run.inputs.map((i) => [i.step, assetLink(i.asset, { sha256: i.sha256 }), hash(i.sha256)]), "Nothing was read yet.");
  return el("div", { class: "halves" }, el("div", {}, el("h3", {}, "Inputs"), read), el("div", {}, el("h3", {}, "Outputs"), made));
}
