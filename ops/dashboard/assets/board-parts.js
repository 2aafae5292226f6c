// The pieces pages are made of: states with sign and word, ages that grow, tables, bars, and the question before a change.
import { change } from "./board-api.js";
import { el, span } from "./text.js";

const MARKS = { done: "✓", running: "▸", ready: "•", queued: "•", waiting: "…", pending: "…", failed: "✕", dead: "†", lost: "?",
  cancelled: "–", skipped: "»", kept: "=", paused: "‖", started: "▸", missed: "○", open: "!", recovered: "✓" };
const TONES = { done: "good", recovered: "good", started: "good", running: "now", ready: "wait", queued: "wait", waiting: "wait", pending: "wait",
  failed: "bad", dead: "bad", lost: "bad", open: "bad", paused: "warn", missed: "warn" };

/** The sign of a state: never colour alone. */
export const mark = (state) => MARKS[state] ?? "•";
/** The class of a state. */
export const toneOf = (state) => TONES[state] ?? "off";

export function pill(state, title) {
  return el("span", { class: `state ${toneOf(state)}`, title }, `${mark(state)} ${state}`);
}

/** A moment as its age, which goes on growing; the moment itself is in the tooltip. */
export function when(text) {
  return text ? el("time", { datetime: text, title: moment(text), "data-age": true }, age(text)) : "–";
}

/** `2026-11-20 00:20:03 UTC` */
export function moment(text) {
  return text ? `${new Date(text).toISOString().slice(0, 19).replace("T", " ")} UTC` : "–";
}

function age(text) {
  const ms = Date.now() - Date.parse(text);
  return ms >= 0 ? `${spell(ms)} ago` : `in ${spell(-ms)}`;
}

/** A span in one unit or two: `45 s`, `12 min`, `3 h 20 min`, `4 d 2 h`. */
export function spell(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 1000) return ms < 500 ? "0 s" : "1 s";
  if (ms < 60_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  const [large, big, small, little] = ms < 86_400_000 ? [3_600_000, "h", 60_000, "min"] : [86_400_000, "d", 3_600_000, "h"];
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)} ${big}${rest ? ` ${rest} ${little}` : ""}`;
}

/** How long something took, or has taken so far. */
export function took(from, to) {
  if (!from) return "–";
  return span(Math.max(0, (to ? Date.parse(to) : Date.now()) - Date.parse(from)));
}

setInterval(() => {
  if (document.hidden) return;
  for (const node of document.querySelectorAll("time[data-age]")) {
    const text = age(node.getAttribute("datetime"));
    if (node.textContent !== text) node.textContent = text;
  }
}, 1000);

export const count = (n) => (n === null || n === undefined ? "–" : Number(n).toLocaleString("en-US"));

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; n >= 1000 && at < units.length - 1; at += 1) n /= 1000;
  return `${at === 0 ? n : n.toFixed(1)} ${units[at]}`;
}

/** The first signs of a hash, all of it in the tooltip. */
export const hash = (text) => (text ? el("span", { class: "mono", title: text }, text.slice(0, 12)) : "–");

/** The part of an id that tells neighbours apart. */
export const runLink = (id, text) => (id ? el("a", { href: `/board/runs/${id}`, class: "mono", title: id, "data-key": `run-${id}` }, text ?? id.slice(-8)) : "–");

export function assetLink(asset, which = {}) {
  const query = new URLSearchParams(Object.entries(which).filter(([, value]) => value));
  return el("a", { href: `/board/assets/${asset.split("/").map(encodeURIComponent).join("/")}${query.size ? `?${query}` : ""}` }, asset);
}

/** A bar with its numbers beside it. */
export function bar(done, total, text) {
  return el("span", { class: "bar-of" }, el("progress", { value: done, max: Math.max(1, total), "aria-label": text }), el("span", { class: "mono" }, text));
}

/** How far a running step is and when it should end, at the pace so far. */
export function progress(step) {
  const { done, total, unit } = step.progress ?? {};
  if (!(total > 0)) return "";
  const left = step.state === "running" && done > 0 && done < total && step.started_at
    ? ` · ${spell(((Date.now() - Date.parse(step.started_at)) / done) * (total - done))} left` : "";
  return bar(done, total, `${count(done)}/${count(total)} ${unit}${left}`);
}

export function card(title, ...content) {
  const { name, extra = [] } = typeof title === "string" ? { name: title } : title;
  return el("section", { class: "card" }, el("div", { class: "head" }, el("h2", {}, name), el("span", { class: "grow" }), ...extra), ...content);
}

export const empty = (...text) => el("p", { class: "empty" }, ...text);

/** A table; a head that begins with `#` is of numbers. Rows are lists of cells. */
export function table(heads, rows, none) {
  if (rows.length === 0) return empty(none);
  const numeric = heads.map((head) => head.startsWith("#"));
  const names = heads.map((head) => head.replace(/^#/, ""));
  const cellOf = (cell, at) => {
    const made = cell instanceof HTMLTableCellElement ? cell : el("td", { class: numeric[at] ? "n" : "" }, cell);
    // On a narrow screen cells stand below each other, each with its own head.
    made.setAttribute("data-head", names[at]);
    return made;
  };
  return el("div", { class: "scroll" }, el("table", { class: "list" },
    el("thead", {}, el("tr", {}, heads.map((_, at) => el("th", { class: numeric[at] ? "n" : "", scope: "col" }, names[at])))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map(cellOf))))));
}

/** A cell whose text may wrap. */
export const wide = (...content) => el("td", { class: "wide" }, ...content);

/** Fills a box anew without taking the focus from where it was. */
export function swap(box, ...content) {
  const key = box.contains(document.activeElement) ? document.activeElement.getAttribute("data-key") : null;
  box.replaceChildren(...content.flat().filter((node) => node !== null && node !== undefined && node !== false));
  if (key) box.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

/** A button that asks, changes something, and says when that was refused. */
export function action(label, key, path, question, body = {}) {
  const press = async () => {
    const said = await ask(question);
    if (!said) return;
    try {
      await change(path, question.why ? { ...body, why: said.why } : body);
    } catch (error) {
      await ask({ title: `Not done: ${error.message}`, text: error.todo ?? "The server did not answer. Try again.", only: "Close" });
    }
  };
  return el("button", { type: "button", class: `act ${question.grave ? "grave" : ""}`, "data-key": key, onclick: press }, label);
}

/** Asks before something is done: `{title, text, why, yes}`. Resolves to null, or to what was said. */
export function ask({ title, text, why, yes = "Yes", only }) {
  const box = document.getElementById("ask");
  return new Promise((resolve) => {
    const field = why ? el("input", { type: "text", maxlength: "400", "aria-label": "Reason", placeholder: why }) : null;
    let answer = null;
    const end = (said) => {
      answer = said;
      box.close();
    };
    const accept = () => {
      const reason = field?.value.trim();
      if (field && !reason) return field.focus();
      end({ why: reason });
    };
    field?.addEventListener("keydown", (event) => { if (event.key === "Enter") accept(); });
    box.replaceChildren(el("h3", { id: "ask-title" }, title), el("p", {}, text), field ?? "", el("div", { class: "buttons" },
      only ? "" : el("button", { type: "button", class: "act main", onclick: accept }, yes),
      el("button", { type: "button", class: "act", onclick: () => end(null) }, only ?? "Leave it")));
    box.addEventListener("close", () => resolve(answer), { once: true });
    box.showModal();
    (field ?? box.querySelector("button"))?.focus();
  });
}
