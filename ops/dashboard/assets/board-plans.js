// Schedules and backfills.
import { poll } from "./board-api.js";
import { action, bar, card, count, empty, moment, pill, runLink, spell, swap, table, when, wide } from "./board-parts.js";
import { el } from "./text.js";

const PAUSE = { why: "Why? Others will read it", yes: "Pause" };

export function showSchedules(page, only) {
  if (only) return showSchedule(page, only);
  const box = el("div");
  page.append(card("Schedules", box));
  poll("/schedules", (rows) => swap(box, table(["schedule", "state", "when", "next", "last slot", "last run", "late", "catch-up", "overlap", "#waiting", ""],
    rows.map((s) => [
      el("a", { href: `/board/schedules/${s.name}`, "data-key": s.name }, s.name), stateOf(s), pattern(s), when(s.next_slot), when(s.last_slot), s.last_state ? pill(s.last_state) : "–",
      late(s), catchup(s), s.overlap.replaceAll("_", " "), count(s.pending), steer(s),
    ]), "No workflow has a schedule yet. The worker enters them when it starts: traider up")));
}

const pattern = (s) => el("span", { title: `${s.cron} in ${s.tz}${s.jitter_s ? `, up to ${spell(s.jitter_s * 1000)} later` : ""}` }, el("code", {}, s.cron), el("span", { class: "dim" }, ` ${s.tz}`));
const catchup = (s) => `${s.catchup}${s.catchup_window_s ? `, ${spell(s.catchup_window_s * 1000)} back` : ""}`;
const late = (s) => (s.late_s > 60 ? el("span", { class: "state bad" }, `! ${spell(s.late_s * 1000)}`) : el("span", { class: "dim" }, "no"));

function stateOf(s) {
  if (!s.active) return el("span", { class: "state off", title: "Its workflow is gone or has no schedule any more." }, "– gone");
  if (s.paused) return wide(pill("paused"), " ", s.paused_why ?? "", " · ", when(s.paused_at));
  return el("span", { class: "state good" }, "✓ on");
}

function steer(s) {
  if (!s.active) return "";
  return s.paused
    ? action("Resume", `schedule-${s.name}`, `/schedules/${encodeURIComponent(s.name)}/resume`, { title: `Resume ${s.name}?`, text: `Slots of the time in between are made up by its rule: catch-up ${s.catchup}.`, yes: "Resume" })
    : action("Pause", `schedule-${s.name}`, `/schedules/${encodeURIComponent(s.name)}/pause`, { title: `Pause ${s.name}?`, text: "No slot of it is started until somebody resumes it. Runs under way go on.", ...PAUSE });
}

function showSchedule(page, name) {
  const head = el("div");
  const slots = el("div");
  page.append(card({ name: `Schedule ${name}`, extra: [el("a", { href: "/board/schedules" }, "all schedules")] }, head), card("Last 20 slots", slots));
  const missed = (error) => swap(head, empty(`${error.message}. ${error.todo}.`));
  poll(`/schedules/${encodeURIComponent(name)}`, (s) => {
    const facts = [["state", stateOf(s)], ["pattern", pattern(s)], ["next", moment(s.next_slot)], ["last slot", moment(s.last_slot)], ["late", late(s)],
      ["catch-up", catchup(s)], ["overlap", s.overlap.replaceAll("_", " ")], ["waits for the day before", s.depends_on_past ? "yes" : "no"], ["waiting slots", count(s.pending)],
      ["workflow", el("a", { href: `/board/workflows/${s.workflow}` }, s.workflow)]];
    swap(head, el("dl", { class: "pairs" }, facts.map(([key, value]) => el("div", {}, el("dt", {}, key), el("dd", {}, value instanceof HTMLTableCellElement ? [...value.childNodes] : value)))), steer(s));
    swap(slots, table(["slot", "state", "partition", "run", "made up late", "why"],
      s.slots.map((slot) => [moment(slot.slot), pill(slot.state), el("span", { class: "mono" }, slot.partition), slot.run ? [runLink(slot.run), " ", pill(slot.run_state ?? "queued")] : "–", slot.late ? "late" : "", wide(slot.detail)]),
      "No slot has come yet."));
  }, { missed });
}

export function showBackfills(page, only) {
  const box = el("div");
  page.append(box);
  const command = "traider backfill start daily --from YYYY-MM-DD --to YYYY-MM-DD --dry-run";
  const hint = card("Start one", el("p", { class: "dim" }, "Backfills begin on the command line, where the plan is shown first:"),
    el("p", { class: "copy" }, el("code", {}, command), el("button", { type: "button", onclick: () => navigator.clipboard.writeText(command) }, "Copy")));
  if (only) {
    return poll(`/backfills/${encodeURIComponent(only)}`, (b) => swap(box, backfillOf(b), card("Parts", table(["#", "partition", "state", "run"],
      b.parts.map((part) => [count(part.seq), el("span", { class: "mono" }, part.partition), pill(part.run_state ?? part.state), runLink(part.run)]), "No parts."))),
    { missed: (error) => swap(box, card("Backfill", empty(`${error.message}. ${error.todo}.`))) });
  }
  page.append(hint);
  poll("/backfills", (rows) => swap(box, rows.length === 0 ? card("Backfills", empty("None yet.")) : rows.map(backfillOf)));
}

function backfillOf(b) {
  const total = b.pending + b.active + b.done + b.failed + b.kept + b.cancelled;
  const over = b.done + b.failed + b.kept + b.cancelled;
  const open = b.state === "running" || b.state === "paused";
  const path = `/backfills/${b.id}`;
  const what = `${b.workflow} ${b.first_key} to ${b.last_key}`;
  const buttons = !open ? [] : [
    b.state === "paused"
      ? action("Resume", `go-${b.id}`, `${path}/resume`, { title: `Resume the backfill of ${what}?`, text: "Its next runs are started.", yes: "Resume" })
      : action("Pause", `go-${b.id}`, `${path}/pause`, { title: `Pause the backfill of ${what}?`, text: "Runs under way go on; no further one is started.", yes: "Pause" }),
    action("Cancel", `end-${b.id}`, `${path}/cancel`, { title: `Cancel the backfill of ${what}?`, text: "What has not begun never will, and its own runs are cancelled.", yes: "Cancel it", grave: true })];
  const parts = [["done", b.done], ["running", b.active], ["pending", b.pending], ["failed", b.failed], ["kept", b.kept], ["cancelled", b.cancelled]];
  return card({ name: el("a", { class: "as-is", href: `/board/backfills/${b.id}`, "data-key": b.id }, what), extra: buttons },
    el("p", {}, pill(b.state), " ", el("span", { class: "dim" }, `${b.direction} first, reprocess ${b.reprocess}, ${b.max_active} at a time, asked for `, when(b.created_at))),
    bar(over, total, `${count(over)}/${count(total)}${open && b.eta_s !== null ? ` · about ${spell(b.eta_s * 1000)} left` : ""}`),
    el("p", { class: "counts" }, parts.filter(([, n]) => n > 0).map(([state, n]) => el("span", {}, pill(state), ` ${count(n)} `))));
}
