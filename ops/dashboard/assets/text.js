// Words and numbers: amounts arrive as exact decimal text and are only ever rounded for display.

/** Makes an element; attributes starting with "on" are listeners, children may be text, elements or lists. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(2)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

/** A number out of exact text; NaN when there is none. */
export function num(text) {
  return text === null || text === undefined || text === "" ? NaN : Number(text);
}

/** Digits after the point in exact text, at most `max`. */
export function digits(text, max = 8) {
  const at = String(text ?? "").indexOf(".");
  return at < 0 ? 0 : Math.min(max, String(text).length - at - 1);
}

/** `1234.5` with grouping and fixed digits; an en dash when unknown. */
export function fixed(text, places = 2) {
  const n = num(text);
  return Number.isFinite(n) ? n.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }) : "–";
}

/** Exact text with grouping and its own digits, trailing zeros cut after `keep`. */
export function exact(text, keep = 0) {
  if (text === null || text === undefined) return "–";
  let places = digits(text, 12);
  const string = String(text);
  while (places > keep && string[string.length - 1 - (digits(text, 12) - places)] === "0") places -= 1;
  return fixed(text, places);
}

/** An amount of an asset in few digits: two after the point when it is large, up to eight when it is small. */
export function compact(text) {
  return Math.abs(num(text)) >= 1000 ? fixed(text, 2) : exact(digits(text, 18) > 8 ? num(text).toFixed(8) : text);
}

/** Money with its sign always shown. */
export function signed(text, places = 2) {
  const n = num(text);
  if (!Number.isFinite(n)) return "–";
  const rounded = fixed(Math.abs(n), places);
  const nothing = Number(rounded.replaceAll(",", "")) === 0;
  return (nothing ? "" : n > 0 ? "+" : "−") + rounded;
}

/** Class for a gain or a loss. */
export function tone(text) {
  const n = num(text);
  return n > 0 ? "up" : n < 0 ? "down" : "";
}

const pad = (n, width = 2) => String(n).padStart(width, "0");

/** Time of day, UTC, of nanoseconds since 1970. */
export function clock(ns, millis = false) {
  const t = new Date(Number(ns) / 1e6);
  if (!(Number(ns) > 0) || Number.isNaN(t.getTime())) return "–";
  const text = `${pad(t.getUTCHours())}:${pad(t.getUTCMinutes())}:${pad(t.getUTCSeconds())}`;
  return millis ? `${text}.${pad(t.getUTCMilliseconds(), 3)}` : text;
}

/** A span of milliseconds for people. */
export function span(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
}

/** `book_not_live` as words. */
export function words(name) {
  return String(name ?? "").replaceAll("_", " ");
}

/** The sign that goes with a state, so that colour is never alone. */
export function sign(state) {
  return { good: "✓", done: "✓", ok: "✓", live: "✓", running: "▸", ready: "•", waiting: "…", warn: "!", syncing: "…",
    cold: "…", stale: "!", bad: "✕", failed: "✕", dead: "✕", cancelled: "–", skipped: "–" }[state] ?? "•";
}

/** The tone that goes with a state. */
export function stateTone(state) {
  if (["done", "ok", "live", "filled"].includes(state)) return "good";
  if (["failed", "dead", "rejected"].includes(state)) return "bad";
  if (["stale", "unknown", "cancelling", "running", "syncing"].includes(state)) return "warn";
  return "wait";
}
