// The panels: each takes the state and fills one element. Nothing here keeps state but which decisions are open.
import { clock, compact, digits, el, exact, fixed, num, sign, signed, span, stateTone, tone, words } from "./text.js";

const opened = new Set();

/** Am I safe? Returns a tone, a word, a meaning and reasons; the page, the daemon and the engine are asked in this order. */
export function judge(state) {
  const { link, safety, silentMs, downMs } = state;
  if (silentMs > 3000) {
    return { tone: "bad", word: "No contact", meaning: "This page has lost its server. What you see below is old.", reasons: ["it keeps trying; nothing is commanded from here"] };
  }
  if (!link) return { tone: "wait", word: "Looking", meaning: "Waiting for the first answer.", reasons: [] };
  if (link.daemon !== "up") {
    const grave = downMs > 5000;
    return {
      tone: grave ? "bad" : "warn",
      word: grave ? "Not running" : "No answer",
      meaning: `The trading daemon does not answer: ${link.why ?? "no reason given"}.`,
      reasons: ["orders that were open are as the venue has them", "it is asked again five times a second"],
    };
  }
  if (!safety) return { tone: "warn", word: "Starting", meaning: "The daemon answers; the engine has said nothing yet.", reasons: [] };
  const reasons = safety.reasons ?? [];
  if (safety.halted) {
    return { tone: "bad", word: "Halted", meaning: `No new risk is taken: ${safety.reason ?? "stopped"}. Exits go on.`, reasons };
  }
  if (!safety.can_trade) return { tone: "warn", word: "Holding back", meaning: "No entry could be sent now.", reasons };
  if (reasons.length > 0) return { tone: "warn", word: "With limits", meaning: "Entries are allowed, but not everywhere.", reasons };
  return { tone: "good", word: "Yes", meaning: "Books are live, orders can be sent, no limit is hit.", reasons: [] };
}

export function showSafety(verdict) {
  const card = document.getElementById("safety");
  card.className = `card safety ${verdict.tone}`;
  document.querySelector("#verdict .sign").textContent = sign(verdict.tone === "wait" ? "waiting" : verdict.tone);
  document.querySelector("#verdict .word").textContent = verdict.word;
  document.getElementById("meaning").textContent = verdict.meaning;
  document.getElementById("reasons").replaceChildren(...verdict.reasons.slice(0, 8).map((r) => el("li", {}, r)));
  const light = document.getElementById("light");
  light.className = `light ${verdict.tone}`;
  const text = `${sign(verdict.tone === "wait" ? "waiting" : verdict.tone)} ${verdict.word}`;
  // Written only when it changed, so that a screen reader is told once.
  if (light.textContent !== text) light.textContent = text;
  document.title = `${verdict.tone === "good" ? "" : `${verdict.word} · `}traider`;
}

function facts(rows) {
  return el("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value, kind]) => [el("dt", {}, name), el("dd", { class: kind ?? "" }, value)]));
}

export function showMoney(state) {
  const box = document.getElementById("money");
  const all = Object.entries(state.pnl ?? {});
  if (all.length === 0) return box.replaceChildren(el("p", { class: "empty" }, "Nothing traded yet."));
  const fees = Object.entries(state.fees ?? {}).filter(([, fee]) => num(fee) !== 0);
  box.replaceChildren(...all.map(([currency, p]) => el("div", {},
    el("div", { class: `big ${tone(p.net)}`, title: `exactly ${p.net} ${currency}` }, signed(p.net), " ", el("small", {}, `${currency} net, after fees`)),
    facts([
      ["realised", signed(p.realized), tone(p.realized)],
      ["unrealised", signed(p.unrealized), tone(p.unrealized)],
      ["fees", fixed(p.fees)],
      p.day_net === undefined || p.day_net === null ? null : ["today (UTC)", signed(p.day_net), tone(p.day_net)],
    ]))), fees.length === 0 ? "" : el("p", { class: "dim" }, `taken as ${fees.map(([a, f]) => `${compact(f)} ${a}`).join(", ")}`));
}

export function showPosition(state, instrument) {
  const box = document.getElementById("position");
  if (!instrument) return box.replaceChildren(el("p", { class: "empty" }, "No instrument yet."));
  const { position: p = {}, base = "", quote = "" } = instrument;
  const flat = num(p.qty) === 0;
  const balances = Object.entries(state.balances ?? {});
  const worth = digits(instrument.book?.bids?.[0]?.[0] ?? "0.00");
  box.replaceChildren(
    el("div", { class: "big" }, flat ? "flat" : exact(p.qty), " ", el("small", {}, base)),
    facts([
      flat ? null : ["average paid", fixed(p.price, worth)],
      flat ? null : ["worth", `${fixed(p.value)} ${quote}`],
      flat ? null : ["P&L of it", signed(instrument.pnl?.unrealized), tone(instrument.pnl?.unrealized)],
      ...balances.map(([asset, b]) => [`${asset} at the venue`, `${compact(b.free)}${num(b.locked) > 0 ? ` + ${compact(b.locked)} held` : ""}`]),
    ]));
}

export function showBook(instrument) {
  const book = instrument?.book;
  const pill = document.getElementById("book-state");
  const box = document.getElementById("book");
  if (!book) {
    pill.textContent = "–";
    return box.replaceChildren(el("p", { class: "empty" }, "No book yet."));
  }
  pill.className = `pill ${stateTone(book.state)}`;
  pill.textContent = `${sign(book.state)} ${words(book.state)}${book.age_ms === null || book.age_ms === undefined ? "" : ` · ${span(book.age_ms)}`}`;
  pill.title = book.reason ?? "";
  const [asks, bids] = [(book.asks ?? []).slice(0, 10), (book.bids ?? []).slice(0, 10)];
  const largest = Math.max(...[...asks, ...bids].map(([, qty]) => num(qty)), 0) || 1;
  const [prices, sizes] = [Math.max(0, ...asks.concat(bids).map(([p]) => digits(p))), Math.min(5, Math.max(0, ...asks.concat(bids).map(([, q]) => digits(q))))];
  const level = (side) => ([price, qty]) => {
    const bar = el("b", { "aria-hidden": true });
    bar.style.width = `${(100 * num(qty)) / largest}%`;
    return el("div", { class: `level ${side}` }, bar, el("span", {}, fixed(price, prices)), el("span", {}, fixed(qty, sizes)));
  };
  const spread = Number.isFinite(num(book.spread_bps)) ? `${num(book.spread_bps).toFixed(2)} bps` : "–";
  box.replaceChildren(el("div", { class: "ladder" },
    asks.toReversed().map(level("ask")),
    el("div", { class: "mid" }, el("span", {}, `mid ${fixed(book.mid, prices + 1)}`), el("span", { class: "dim" }, spread)),
    bids.map(level("bid"))));
}

/** Columns that start with # hold numbers, those with - are left out on a phone. */
function table(columns, rows) {
  const kind = { "#": "n", "-": "hide-small" };
  const head = columns.map((c) => el("th", { class: kind[c[0]] ?? "", scope: "col" }, c.replace(/^[#-]/, "")));
  return el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}

function side(side) {
  return el("td", { class: side === "buy" ? "up" : "down" }, side === "buy" ? "▲ buy" : "▼ sell");
}

export function showOrders(state) {
  const orders = state.orders ?? [];
  const s = state.stats?.orders ?? {};
  document.getElementById("order-counts").textContent =
    state.stats ? `${s.sent ?? 0} sent · ${state.stats.fills ?? 0} fills · ${s.denied ?? 0} refused` : "";
  const row = (o) => el("tr", {},
    el("td", { class: "mono" }, o.id), el("td", {}, o.symbol), el("td", {}, o.strategy), side(o.side),
    el("td", { class: "n" }, exact(o.price, 2)), el("td", { class: "n" }, exact(o.qty)), el("td", { class: "n" }, exact(o.filled)),
    el("td", {}, el("span", { class: `pill ${stateTone(o.state)}` }, `${sign(o.state === "unknown" ? "warn" : o.state)} ${words(o.state)}`)),
    el("td", { class: "n" }, span(num(o.age_ms))));
  document.getElementById("orders").replaceChildren(orders.length === 0
    ? el("p", { class: "empty" }, "No open orders.")
    : table(["order", "symbol", "strategy", "side", "#price", "#size", "#filled", "state", "#age"], orders.map(row)));
}

function refusal(r) {
  if (!r) return "";
  if (typeof r === "string") return words(r);
  const more = Object.entries(r).filter(([key]) => key !== "refusal").map(([key, value]) => `${words(key)} ${value}`);
  return [words(r.refusal), ...more].join(", ");
}

function featureRow(f) {
  const value = f.value === null || f.value === undefined ? "warming up" : Number(f.value).toLocaleString("en-US", { maximumSignificantDigits: 7 });
  return el("tr", {}, el("td", {}, f.id), el("td", { class: "n" }, value));
}

function checkRow(c) {
  return el("tr", {}, el("td", { class: c.ok ? "good" : "bad" }, c.ok ? "✓" : "✕ refused"), el("td", {}, words(c.name)), el("td", { class: "n" }, c.value), el("td", { class: "n" }, c.limit));
}

function detail(d) {
  const mini = (columns, rows) => {
    const t = table(columns, rows);
    t.className = "mini";
    return t;
  };
  return el("tr", { class: "detail" }, el("td", { colspan: 8 }, el("div", { class: "pair" },
    el("div", {}, el("h3", {}, "What it saw"), mini(["feature", "#value"], (d.features ?? []).map(featureRow))),
    el("div", {}, el("h3", {}, `What risk checked${d.sized_by ? ` (size set by ${words(d.sized_by)})` : ""}`),
      mini(["", "check", "#value", "#limit"], (d.checks ?? []).map(checkRow)))),
    el("p", { class: "dim mono" }, `signal ${d.signal} · order ${d.order} · journal input ${d.input} · traider why ${d.order}`)));
}

export function showDecisions(state) {
  const box = document.getElementById("decisions");
  const decisions = state.decisions ?? [];
  if (decisions.length === 0) return box.replaceChildren(el("p", { class: "empty" }, "No decisions yet; strategies warm up first."));
  // The engine counts signals per run, so the order's id is what is unique.
  const rows = decisions.flatMap((d) => {
    const key = `${d.order}`;
    const toggle = () => {
      if (!opened.delete(key)) opened.add(key);
      showDecisions(state);
    };
    const open = opened.has(key);
    const outcome = d.approved ? el("span", { class: "good" }, "✓ sent") : el("span", { class: "warn" }, `! refused: ${refusal(d.refusal)}`);
    const row = el("tr", { class: "open-row", onclick: toggle },
      el("td", {}, el("button", { class: "toggle", type: "button", "aria-expanded": String(open), "aria-label": `Why signal ${d.signal}` }, open ? "▾" : "▸")),
      el("td", { class: "mono" }, clock(d.ts_recv_ns, true)), el("td", { class: "hide-small" }, d.symbol), el("td", { class: "hide-small" }, d.strategy), side(d.side),
      el("td", { class: "wide" }, `${words(d.intent)}: ${d.reason}`),
      el("td", { class: "n" }, `${exact(d.qty)} @ ${exact(d.price, 2)}`), el("td", { class: "wide" }, outcome));
    return open ? [row, detail(d)] : [row];
  });
  const focused = document.activeElement?.getAttribute("aria-label");
  const scrolled = box.scrollTop;
  box.replaceChildren(table(["", "time UTC", "-symbol", "-strategy", "side", "why", "#size @ limit", "outcome"], rows));
  box.scrollTop = scrolled;
  if (focused) box.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
}

export function showRuns(answer) {
  const box = document.getElementById("runs");
  const workers = document.getElementById("workers");
  if (answer.store !== "up") {
    workers.textContent = "";
    return box.replaceChildren(el("p", { class: "empty" }, `! No workflows to show: ${answer.why ?? "the database is not reachable"}. Trading does not need it.`));
  }
  workers.textContent = `${answer.workers ?? 0} worker${answer.workers === 1 ? "" : "s"}`;
  const runs = answer.runs ?? [];
  if (runs.length === 0) return box.replaceChildren(el("p", { class: "empty" }, "No runs yet: traider run start daily --partition YYYY-MM-DD"));
  const step = (s) => el("span", { class: `step ${stateTone(s.state)}`, title: `${s.job}: ${s.state}${s.attempt > 1 ? `, attempt ${s.attempt}` : ""}${s.error ? ` – ${s.error}` : ""}` }, `${sign(s.state)} ${s.name}`);
  box.replaceChildren(...runs.map((r) => el("div", { class: "run" },
    el("div", { class: "top" },
      el("span", { class: stateTone(r.state) }, `${sign(r.state)} ${r.state}`), el("a", { href: `/board/runs/${r.id}` }, el("strong", {}, r.workflow)), el("span", { class: "dim mono" }, r.partition),
      el("span", { class: "grow" }), el("span", { class: "dim mono" }, `${r.steps_done ?? "–"}/${r.steps ?? "–"}`)),
    r.step_list ? el("div", { class: "steps" }, r.step_list.map(step)) : "",
    r.error ? el("p", { class: "fault" }, r.error) : "")));
}

export function showStreams(state) {
  const streams = state.status?.streams ?? [];
  const box = document.getElementById("streams");
  if (streams.length === 0) return box.replaceChildren(el("p", { class: "empty" }, "No connections yet."));
  const ms = (ns) => (Number.isFinite(num(ns)) ? (num(ns) / 1e6).toFixed(1) : "–");
  const clockOf = (s) => (s.clock_offset_ms === null ? "–" : `${signed(num(s.clock_offset_ms).toFixed(1))} ± ${s.clock_error_ms === null ? "?" : num(s.clock_error_ms).toFixed(1)}`);
  const mark = { up: "done", stalled: "waiting", down: "failed" };
  const row = (s) => el("tr", {},
    el("td", { title: (s.alarms ?? []).join("; ") || null }, s.name, (s.alarms ?? []).length ? el("span", { class: "fault" }, " ! ", s.alarms.join("; ")) : ""), el("td", { class: stateTone(mark[s.state]) }, `${sign(mark[s.state])} ${s.state}`),
    el("td", { class: "n" }, s.age_ms === null ? "–" : span(s.age_ms)), el("td", { class: "n" }, s.latency_ns.count ? `${ms(s.latency_ns.p50)} / ${ms(s.latency_ns.p99)}` : "–"),
    el("td", { class: "n hide-small" }, clockOf(s)), el("td", { class: "n" }, `${s.gaps} / ${s.resyncs}`), el("td", { class: "n hide-small" }, `${s.stand_ins ?? 0}`), el("td", { class: "n hide-small" }, `${s.trades_missing ?? 0} / ${s.trades_repeated ?? 0}`), el("td", { class: "n hide-small" }, String(s.attempts)),
    el("td", { class: "n hide-small" }, Number(s.frames).toLocaleString("en-US")), el("td", { class: "n hide-small" }, `${s.unreadable} / ${s.other}`),
    el("td", { class: "n hide-small" }, s.budget_most ? `${s.budget_used} / ${s.budget_most}` : "–"));
  box.replaceChildren(table(["connection", "state", "#heard", "#latency ms p50 / p99", "-clock ms", "#gaps / resyncs", "-books over HTTP", "-trades missing / again", "-opened", "-frames", "-unreadable / unused", "-budget used"], streams.map(row)));
}

export function showReports(answer) {
  const days = answer.days ?? [];
  const links = days.slice(0, 5).flatMap((day) => [el("a", { href: `/reports/${day}`, target: "_blank", rel: "noopener" }, day), " "]);
  document.getElementById("reports").replaceChildren(...(days.length ? ["Daily reports: ", ...links] : []));
}

export function showCounters(state) {
  const s = state.stats ?? {};
  const [book, orders] = [s.book ?? {}, s.orders ?? {}];
  const count = (n) => (n === undefined ? "–" : Number(n).toLocaleString("en-US"));
  const step = state.status?.latency_ns?.step;
  const micros = (ns) => (Number.isFinite(num(ns)) ? `${(num(ns) / 1000).toFixed(1)} µs` : "–");
  const rows = [
    ["engine inputs", count(s.events)], ["book changes applied", count(book.diffs_applied)],
    ["sequence breaks", count(book.sequence_breaks)],
    ["book tops equal to the venue's", book.tops_compared ? `${count(book.tops_equal)} of ${count(book.tops_compared)}` : "–"],
    ["signals", count(s.signals)], ["orders sent", count(orders.sent)], ["filled / cancelled", `${count(orders.filled)} / ${count(orders.cancelled)}`],
    ["engine step p50 / p99", step ? `${micros(step.p50)} / ${micros(step.p99)}` : "–"],
    ["unknown fates, ever", count(orders.unknown)], ["effects", count(state.effects_count)],
    ["effects hash", (state.effects_hash ?? "–").slice(0, 16)],
  ];
  const hash = state.effects_hash ?? "";
  document.getElementById("counters").replaceChildren(...rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { title: name === "effects hash" ? hash : null }, value))));
}
