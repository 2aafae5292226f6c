// A run's log, live. It follows the newest line until somebody scrolls up, and it is not read while nobody looks: a browser
// keeps few connections to one server open, and a log in a hidden tab would hold one.
import { el } from "./text.js";

const LINES_MAX = 5000;

export class Logs {
  constructor(run) {
    this.run = run;
    this.last = null;
    this.over = false;
    this.stuck = true;
    this.lines = el("div", { class: "log", tabindex: "0", role: "log", "aria-label": "Log" });
    this.step = el("select", { "aria-label": "Step", onchange: () => this.restart() }, el("option", { value: "" }, "all steps"));
    this.level = el("select", { "aria-label": "Level", onchange: () => this.filter() },
      [["", "all levels"], ["warn", "warnings and errors"], ["error", "errors"]].map(([value, text]) => el("option", { value }, text)));
    this.state = el("span", { class: "dim" });
    this.down = el("button", { type: "button", hidden: true, onclick: () => this.follow(true) }, "↓ newest");
    this.lines.addEventListener("scroll", () => {
      this.follow(this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 6, false);
    });
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.close(); else this.open(); });
    this.restart();
  }

  /** The steps that can be chosen. */
  offer(names) {
    const there = [...this.step.options].map((option) => option.value);
    for (const name of names) if (!there.includes(name)) this.step.append(el("option", { value: name }, name));
  }

  /** Shows one step's lines. */
  choose(name) {
    this.step.value = name;
    this.restart();
    this.lines.scrollIntoView({ block: "nearest" });
  }

  /** From the beginning of what is kept. */
  restart() {
    this.last = null;
    this.over = false;
    this.lines.replaceChildren();
    this.follow(true);
    this.close();
    this.open();
  }

  /** The run goes on after it had ended. */
  goOn() {
    if (!this.over) return;
    this.over = false;
    this.open();
  }

  close() {
    this.stream?.close();
    this.stream = null;
    clearTimeout(this.later);
  }

  open() {
    if (this.stream || this.over || document.hidden) return;
    const query = new URLSearchParams();
    if (this.step.value) query.set("step", this.step.value);
    if (this.last !== null) query.set("after", this.last);
    const stream = new EventSource(`/api/board/runs/${this.run}/logs?${query}`);
    this.stream = stream;
    this.state.textContent = "… live";
    stream.addEventListener("lines", (event) => this.add(JSON.parse(event.data), event.lastEventId));
    stream.addEventListener("down", (event) => { this.state.textContent = `✕ ${JSON.parse(event.data).what}`; });
    stream.addEventListener("end", () => {
      this.over = true;
      this.close();
      this.state.textContent = this.lines.childElementCount === 0 ? "nothing was said" : "complete";
    });
    stream.addEventListener("error", () => {
      if (stream.readyState !== EventSource.CLOSED || this.stream !== stream) return;
      this.close();
      this.state.textContent = "✕ no answer; asking again";
      this.later = setTimeout(() => this.open(), 2000);
    });
  }

  add(lines, last) {
    this.last = last;
    this.state.textContent = "● live";
    this.lines.append(...lines.map((line) => el("div", { class: `line ${line.level}`, title: `${line.ts} ${line.step}, attempt ${line.attempt}` },
      el("span", { class: "dim" }, line.ts.slice(11, 19)), " ", el("span", { class: "loud" }, { warn: "! ", error: "✕ " }[line.level] ?? "  "),
      el("span", { class: "dim" }, `${line.step} `), line.message)));
    while (this.lines.childElementCount > LINES_MAX) this.lines.firstChild.remove();
    if (this.stuck) this.lines.scrollTop = this.lines.scrollHeight;
  }

  filter() {
    this.lines.className = `log ${this.level.value ? `only-${this.level.value}` : ""}`;
    if (this.stuck) this.lines.scrollTop = this.lines.scrollHeight;
  }

  follow(stuck, move = true) {
    this.stuck = stuck;
    this.down.hidden = stuck;
    if (stuck && move) this.lines.scrollTop = this.lines.scrollHeight;
  }
}
