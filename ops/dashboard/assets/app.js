// Wiring: one stream of changes in, panels redrawn when their parts changed. The stream sends the whole state once and
// then only what is new, some five times a second; an empty change is a sign of life.
import { Chart } from "./chart.js";
import { judge, showBook, showCounters, showDecisions, showMoney, showOrders, showPosition, showReports, showRuns, showSafety, showStreams } from "./panels.js";
import { clock, digits, el, fixed, num, signed, span } from "./text.js";
import { startTheme } from "./theme.js";
import { takeToken } from "./token.js";

const at = (id) => document.getElementById(id);
const parts = new Map();
const state = { silentMs: 0, downMs: 0 };
const chosen = { id: null, seconds: 1 };
let heardAt = performance.now();
let downSince = null;
let shownVerdict = "";
const chart = new Chart(at("chart"), (text) => { at("hover").textContent = text; });

/** The instruments as whole objects again, out of their parts. */
function instruments() {
  const list = [];
  for (const [key, value] of parts) {
    const [head, index, field] = key.split("/");
    if (head === "instruments" && field) (list[Number(index)] ??= {})[field] = value;
  }
  return list.filter(Boolean);
}

function current() {
  const list = instruments();
  return list.find((i) => i.id === chosen.id) ?? list[0];
}

function take(change) {
  for (const [key, value] of Object.entries(change)) {
    if (value === null) parts.delete(key);
    else parts.set(key, value);
    if (!key.includes("/")) state[key] = value === null ? undefined : value;
  }
  const keys = Object.keys(change);
  const touched = (...names) => keys.some((key) => names.some((name) => key === name || key.endsWith(`/${name}`)));
  if (keys.length > 0) redraw(touched);
}

function redraw(touched) {
  const instrument = current();
  if (touched("symbol")) showTabs();
  if (touched("pnl", "fees")) showMoney(state);
  if (touched("position", "pnl", "balances", "symbol")) showPosition(state, instrument);
  if (touched("book", "symbol")) showBook(instrument);
  if (touched("orders", "stats")) showOrders(state);
  if (touched("decisions")) showDecisions(state);
  if (touched("stats", "effects_hash", "status")) showCounters(state);
  if (touched("bars_1s", "bars_1m", "markers", "position", "last_trade", "symbol")) showMarket(instrument);
  if (touched("status")) showStreams(state);
  if (touched("link", "run", "status")) showRun();
  if (touched("now_ns")) at("clock").textContent = `${clock(state.now_ns)} UTC`;
}

function showMarket(instrument) {
  if (!instrument) return chart.set({});
  const price = instrument.last_trade?.price ?? instrument.book?.mid;
  const bars = chosen.seconds === 1 ? instrument.bars_1s : instrument.bars_1m;
  const flat = num(instrument.position?.qty) === 0;
  chart.set({ bars, markers: instrument.markers, seconds: chosen.seconds, paid: flat ? null : instrument.position?.price, last: price });
  const first = num(bars?.[0]?.open);
  const move = Number.isFinite(first) && first !== 0 ? ((num(price) - first) / first) * 100 : NaN;
  at("last").replaceChildren(fixed(price, digits(price)), " ", el("small", {}, Number.isFinite(move) ? `${signed(move)} % in view` : ""));
}

function showTabs() {
  const list = instruments();
  // What is only watched says where; what is traded is traded at one venue.
  const name = (i) => (i.trade === false ? `${i.venue} ${i.symbol}` : i.symbol);
  const tab = (i) => el("button", { type: "button", "aria-pressed": String(i.id === current()?.id), onclick: () => choose(i.id) }, name(i));
  at("symbols").replaceChildren(...list.map(tab));
}

function choose(id) {
  chosen.id = id;
  redraw((...names) => names.includes("symbol"));
}

function showRun() {
  const link = state.link ?? {};
  const mode = link.run?.mode ?? state.status?.mode;
  const badge = at("mode");
  badge.hidden = !mode;
  badge.textContent = mode ? `${mode}${mode === "live" ? "" : " · paper"}` : "";
  badge.className = `badge ${mode === "live" ? "live" : ""}`;
  badge.title = mode === "live" ? "Orders are real." : "No real money: orders go to an emulated venue.";
  at("run").textContent = state.run ? `run ${state.run}` : "";
  at("run").title = link.run?.source ?? "";
}

/** Once a quarter second: how old is what we show? */
function watch() {
  state.silentMs = performance.now() - heardAt;
  const down = state.link && state.link.daemon !== "up";
  downSince = down ? downSince ?? performance.now() : null;
  state.downMs = down ? performance.now() - downSince : 0;
  const fresh = at("fresh");
  fresh.textContent = state.silentMs < 1000 ? "● connected" : `○ silent ${span(state.silentMs)}`;
  fresh.className = `mono ${state.silentMs < 1000 ? "good" : state.silentMs < 3000 ? "warn" : "bad"}`;
  const verdict = judge(state);
  const key = JSON.stringify(verdict);
  if (key !== shownVerdict) showSafety(verdict);
  shownVerdict = key;
}

function listen() {
  const stream = new EventSource("/events");
  stream.addEventListener("open", () => {
    // A new stream begins with everything, so nothing of the old one may stay.
    for (const key of parts.keys()) if (!key.includes("/")) state[key] = undefined;
    parts.clear();
  });
  stream.addEventListener("frame", (event) => {
    heardAt = performance.now();
    take(JSON.parse(event.data));
  });
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
  });
}

async function every(ms, path, show) {
  try {
    const answer = await fetch(path);
    show(await answer.json());
  } catch {
    // The stream already says that the server is gone.
  }
  setTimeout(() => every(ms, path, show), ms);
}

function bars(seconds) {
  chosen.seconds = seconds;
  at("bars-1s").setAttribute("aria-pressed", String(seconds === 1));
  at("bars-1m").setAttribute("aria-pressed", String(seconds === 60));
  showMarket(current());
}

takeToken();
startTheme(at("theme"), () => chart.draw());
at("bars-1s").addEventListener("click", () => bars(1));
at("bars-1m").addEventListener("click", () => bars(60));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input,textarea")) return;
  if (event.key === "1") bars(1);
  if (event.key === "2") bars(60);
  if (event.key === "t") at("theme").click();
});
showMoney(state);
showPosition(state);
showBook();
showOrders(state);
showDecisions(state);
setInterval(watch, 250);
listen();
every(3000, "/api/runs", showRuns);
every(30_000, "/api/reports", showReports);
