// A run as pictures: its steps and what they need, and when each attempt ran. Drawn with the document's own calls; colours
// are classes.
import { mark, moment, spell, toneOf } from "./board-parts.js";
import { span } from "./text.js";

const SPACE = "http://www.w3.org/2000/svg";
const NODE = { width: 168, height: 38, across: 46, down: 12 };

function draw(tag, attributes, ...children) {
  const node = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat());
  return node;
}

const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

const passing = (need, name, at) => `${need} > ${name} @ ${at}`;

/** Steps in layers: each stands one to the right of the last step it needs. */
export function layers(steps) {
  const byName = new Map(steps.map((step) => [step.name, step]));
  const depth = new Map();
  const depthOf = (name) => {
    if (!depth.has(name)) {
      depth.set(name, 0); // A circle, which cannot be, would end here.
      const needs = byName.get(name).needs.filter((need) => byName.has(need));
      depth.set(name, needs.length === 0 ? 0 : 1 + Math.max(...needs.map(depthOf)));
    }
    return depth.get(name);
  };
  const all = [];
  for (const step of steps) (all[depthOf(step.name)] ??= []).push(step);
  // A need from further back gets a free place in each layer between, for its line to pass.
  for (const step of steps) {
    for (const need of step.needs.filter((name) => byName.has(name))) {
      let last = need;
      for (let at = depthOf(need) + 1; at < depthOf(step.name); at += 1) {
        const free = { name: passing(need, step.name, at), needs: [last], free: true };
        all[at].push(free);
        last = free.name;
      }
    }
  }
  // Within a layer by the middle of what they need, so that lines cross less.
  const place = new Map();
  for (const layer of all) {
    const middle = (step) => {
      const seen = step.needs.map((need) => place.get(need)).filter((n) => n !== undefined);
      return seen.length === 0 ? 0 : seen.reduce((a, b) => a + b, 0) / seen.length;
    };
    const sorted = layer.map((step, at) => ({ step, key: middle(step), at })).sort((a, b) => a.key - b.key || a.at - b.at);
    sorted.forEach(({ step }, at) => {
      layer[at] = step;
      place.set(step.name, at - (layer.length - 1) / 2);
    });
  }
  return all;
}

/** The steps and their needs; `choose` is called with the name of a step that was clicked. */
export function graph(steps, choose) {
  const all = layers(steps);
  const tallest = Math.max(...all.map((layer) => layer.length));
  const height = tallest * (NODE.height + NODE.down) + NODE.down;
  const width = all.length * (NODE.width + NODE.across) - NODE.across + 8;
  const spot = new Map();
  all.forEach((layer, column) => layer.forEach((step, row) => spot.set(step.name, {
    x: 4 + column * (NODE.width + NODE.across),
    y: height / 2 + (row - layer.length / 2) * (NODE.height + NODE.down) + NODE.down / 2,
  })));
  const line = (from, to, state) => {
    const [x1, y1, x2, y2] = [from.x + NODE.width, from.y + NODE.height / 2, to.x, to.y + NODE.height / 2];
    const bend = Math.max(20, (x2 - x1) / 2);
    return draw("path", { class: `edge ${toneOf(state)}`, d: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}` });
  };
  const edge = (need, step) => {
    const state = steps.find((s) => s.name === need).state;
    const stops = [spot.get(need), ...all.map((_, at) => spot.get(passing(need, step.name, at))).filter(Boolean), spot.get(step.name)];
    const across = stops.slice(1, -1).map(({ x, y }) => draw("path", { class: `edge ${toneOf(state)}`, d: `M${x},${y + NODE.height / 2} h${NODE.width}` }));
    return [...across, ...stops.slice(1).map((stop, at) => line(stops[at], stop, state))];
  };
  const edges = steps.flatMap((step) => step.needs.filter((need) => spot.has(need)).flatMap((need) => edge(need, step)));
  const node = (step) => {
    const { x, y } = spot.get(step.name);
    const share = step.progress?.total > 0 ? Math.min(1, step.progress.done / step.progress.total) : null;
    return draw("g", { class: `node ${toneOf(step.state)}`, onclick: () => choose(step.name) },
      draw("title", {}, `${step.name}: ${step.state}${step.attempt > 1 ? `, attempt ${step.attempt} of ${step.attempts_max}` : ""}\n${step.job}${step.error ? `\n${step.error}` : ""}`),
      draw("rect", { x, y, width: NODE.width, height: NODE.height, rx: 5 }),
      draw("text", { x: x + 9, y: y + 16, class: "name" }, cut(`${mark(step.state)} ${step.name}`, 24)),
      draw("text", { x: x + 9, y: y + 30, class: "about" }, cut(`${step.state}${step.held ? ", held back" : ""} · ${step.job}`, 29)),
      share === null ? [] : draw("rect", { x: x + 2, y: y + NODE.height - 4, width: Math.max(1, (NODE.width - 4) * share), height: 3, class: "share" }));
  };
  return draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Steps and what they need", class: "graph" }, edges, steps.map(node));
}

/** When each attempt ran, a line per step. */
export function timeline(steps, attempts, width, choose) {
  const tried = attempts.filter((attempt) => attempt.started_at);
  const names = steps.map((step) => step.name).filter((name) => tried.some((attempt) => attempt.step === name));
  const ends = tried.map((attempt) => (attempt.ended_at ? Date.parse(attempt.ended_at) : Date.now()));
  const first = Math.min(...tried.map((attempt) => Date.parse(attempt.started_at)));
  const range = Math.max(1, Math.max(...ends) - first);
  const [left, row, top] = [Math.min(150, width / 3), 22, 20];
  const across = width - left - 12;
  const x = (ms) => left + ((ms - first) / range) * across;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => draw("g", { class: "tick" },
    draw("line", { x1: left + part * across, x2: left + part * across, y1: top - 4, y2: top + names.length * row }),
    draw("text", { x: left + part * across, y: 11, "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle" }, part === 0 ? "start" : `+${span(part * range)}`)));
  const bars = tried.map((attempt, at) => {
    const [from, y] = [x(Date.parse(attempt.started_at)), top + names.indexOf(attempt.step) * row + 3];
    const long = Math.max(3, x(ends[at]) - from);
    const told = `${attempt.step}, attempt ${attempt.attempt}: ${attempt.state}\n${moment(attempt.started_at)}, ${spell(ends[at] - Date.parse(attempt.started_at))}\n${attempt.worker ?? ""}${attempt.error ? `\n${attempt.error}` : ""}`;
    return draw("g", { class: `attempt ${toneOf(attempt.state)}`, onclick: () => choose(attempt.step) }, draw("title", {}, told),
      draw("rect", { x: from, y, width: long, height: row - 6, rx: 2 }), long > 16 ? draw("text", { x: from + 4, y: y + 12 }, mark(attempt.state)) : []);
  });
  const labels = names.map((name, at) => draw("text", { x: 0, y: top + at * row + 15, class: "label" }, draw("title", {}, name), cut(name, Math.floor(left / 7.2))));
  const height = top + names.length * row + 4;
  return draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "When each attempt ran", class: "timeline" }, ticks, labels, bars);
}
