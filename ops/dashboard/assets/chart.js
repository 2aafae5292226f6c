// The candle chart: bars, volume, our fills, on one canvas. Redrawn whole when something changed; a few hundred
// rectangles take well under a millisecond.
import { clock, digits, exact, fixed, num } from "./text.js";

const RIGHT = 70;
const TOP = 8;
const BOTTOM = 20;
const VOLUME_SHARE = 0.18;

export class Chart {
  constructor(canvas, onHover) {
    this.canvas = canvas;
    this.onHover = onHover;
    this.bars = [];
    this.markers = [];
    this.seconds = 1;
    this.paid = NaN;
    this.last = NaN;
    this.places = 2;
    this.pointer = null;
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerleave", () => this.leave());
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Takes new data; everything may be missing. */
  set({ bars, markers, seconds, paid, last }) {
    this.bars = (bars ?? []).map((b) => ({
      ns: num(b.open_ns), open: num(b.open), high: num(b.high), low: num(b.low), close: num(b.close), volume: num(b.volume), text: b,
    })).filter((b) => Number.isFinite(b.close));
    this.places = Math.max(0, ...(bars ?? []).slice(-1).map((b) => digits(b.close)));
    this.seconds = seconds;
    this.paid = num(paid);
    this.last = num(last);
    this.markers = (markers ?? []).map((m) => ({ ns: num(m.ts_recv_ns), price: num(m.price), buy: m.side === "buy" }));
    this.draw();
  }

  point(event) {
    this.pointer = { x: event.offsetX, y: event.offsetY };
    this.draw();
  }

  leave() {
    this.pointer = null;
    this.onHover("");
    this.draw();
  }

  colours() {
    const style = getComputedStyle(this.canvas);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    return { up: of("up"), down: of("down"), grid: of("grid"), dim: of("dim"), text: of("text"), accent: of("accent"), panel: of("panel") };
  }

  draw() {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width < 40 || height < 40) return;
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    g.font = `11px ${getComputedStyle(canvas).getPropertyValue("--mono")}`;
    const colours = this.colours();
    if (this.bars.length === 0) {
      g.fillStyle = colours.dim;
      g.textAlign = "center";
      g.fillText("no closed bar yet", width / 2, height / 2);
      return;
    }
    const frame = this.frame(width, height);
    this.grid(g, frame, colours);
    this.candles(g, frame, colours);
    this.levels(g, frame, colours);
    this.fills(g, frame, colours);
    this.cross(g, frame, colours);
  }

  /** Which bars are shown and how values become pixels. */
  frame(width, height) {
    const plot = width - RIGHT;
    const step = Math.max(5, Math.min(14, plot / Math.max(30, this.bars.length)));
    const shown = this.bars.slice(-Math.max(1, Math.floor(plot / step)));
    const from = shown[0].ns;
    const fills = this.markers.filter((m) => m.ns >= from);
    let low = Math.min(...shown.map((b) => b.low), ...fills.map((m) => m.price));
    let high = Math.max(...shown.map((b) => b.high), ...fills.map((m) => m.price));
    const margin = (high - low || Math.abs(high) * 1e-4 || 1) * 0.08;
    [low, high] = [low - margin, high + margin];
    const base = height - BOTTOM;
    const volumeTop = base - (base - TOP) * VOLUME_SHARE;
    const loudest = Math.max(...shown.map((b) => b.volume || 0)) || 1;
    const left = plot - shown.length * step;
    return {
      width, height, plot, step, shown, fills, low, high, base, volumeTop,
      x: (i) => left + (i + 0.5) * step,
      y: (price) => TOP + (volumeTop - 6 - TOP) * (1 - (price - low) / (high - low)),
      v: (volume) => (base - volumeTop) * (volume / loudest),
      // A fill belongs to the bar that was open at its time.
      at: (ns) => {
        let i = shown.length - 1;
        while (i > 0 && shown[i].ns > ns) i -= 1;
        return i;
      },
    };
  }

  grid(g, f, c) {
    g.lineWidth = 1;
    g.strokeStyle = c.grid;
    g.fillStyle = c.dim;
    g.textAlign = "left";
    const rough = (f.high - f.low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const nice = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
    for (let price = Math.ceil(f.low / nice) * nice; price <= f.high; price += nice) {
      const y = Math.round(f.y(price)) + 0.5;
      if (y > f.volumeTop - 2) continue;
      line(g, 0, y, f.plot, y);
      g.fillText(fixed(price, this.places), f.plot + 6, y + 4);
    }
    g.textAlign = "center";
    const every = Math.max(1, Math.ceil(90 / f.step));
    for (let i = f.shown.length - 1; i >= 0; i -= every) {
      const x = Math.round(f.x(i)) + 0.5;
      line(g, x, TOP, x, f.base);
      const text = clock(f.shown[i].ns);
      if (x > 30 && x < f.plot - 26) g.fillText(this.seconds >= 60 ? text.slice(0, 5) : text, x, f.height - 6);
    }
  }

  candles(g, f, c) {
    const body = Math.max(1, Math.floor(f.step * 0.68));
    f.shown.forEach((bar, i) => {
      const up = bar.close >= bar.open;
      const x = f.x(i);
      const left = Math.round(x - body / 2);
      g.strokeStyle = g.fillStyle = up ? c.up : c.down;
      const [top, bottom] = [f.y(Math.max(bar.open, bar.close)), f.y(Math.min(bar.open, bar.close))];
      const middle = Math.round(x) + 0.5;
      line(g, middle, f.y(bar.high), middle, top);
      line(g, middle, bottom, middle, f.y(bar.low));
      const tall = Math.max(1, bottom - top);
      if (up && body >= 3 && tall >= 3) g.strokeRect(left + 0.5, Math.round(top) + 0.5, body - 1, Math.round(tall) - 1);
      else g.fillRect(left, Math.round(top), body, Math.max(1, Math.round(tall)));
      g.globalAlpha = 0.3;
      const volume = f.v(bar.volume || 0);
      g.fillRect(left, f.base - volume, body, volume);
      g.globalAlpha = 1;
    });
  }

  levels(g, f, c) {
    if (Number.isFinite(this.paid) && this.paid > f.low && this.paid < f.high) {
      g.strokeStyle = c.text;
      g.setLineDash([4, 4]);
      line(g, 0, f.y(this.paid), f.plot, f.y(this.paid));
      g.setLineDash([]);
    }
    const last = Number.isFinite(this.last) ? this.last : f.shown[f.shown.length - 1].close;
    const y = Math.min(f.volumeTop - 8, Math.max(TOP + 6, f.y(last)));
    g.strokeStyle = c.accent;
    g.setLineDash([1, 3]);
    line(g, 0, y, f.plot, y);
    g.setLineDash([]);
    g.fillStyle = c.accent;
    g.fillRect(f.plot + 1, y - 8, RIGHT - 1, 16);
    g.fillStyle = c.panel;
    g.textAlign = "left";
    g.fillText(fixed(last, this.places), f.plot + 6, y + 4);
  }

  fills(g, f, c) {
    for (const fill of f.fills) {
      const [x, y] = [f.x(f.at(fill.ns)), f.y(fill.price)];
      const away = fill.buy ? 1 : -1;
      g.beginPath();
      g.moveTo(x, y + 2 * away);
      g.lineTo(x - 5, y + 11 * away);
      g.lineTo(x + 5, y + 11 * away);
      g.closePath();
      g.fillStyle = fill.buy ? c.up : c.down;
      g.fill();
      g.strokeStyle = c.panel;
      g.stroke();
    }
  }

  cross(g, f, c) {
    if (!this.pointer || this.pointer.x > f.plot) return;
    const i = Math.min(f.shown.length - 1, Math.max(0, Math.round((this.pointer.x - f.x(0)) / f.step)));
    g.strokeStyle = c.dim;
    g.globalAlpha = 0.5;
    const x = Math.round(f.x(i)) + 0.5;
    line(g, x, TOP, x, f.base);
    line(g, 0, Math.round(this.pointer.y) + 0.5, f.plot, Math.round(this.pointer.y) + 0.5);
    g.globalAlpha = 1;
    const bar = f.shown[i].text;
    const value = (name) => fixed(bar[name], this.places);
    this.onHover(`${clock(bar.open_ns)}  O ${value("open")}  H ${value("high")}  L ${value("low")}  C ${value("close")}  V ${exact(bar.volume)}`);
  }
}

function line(g, x1, y1, x2, y2) {
  g.beginPath();
  g.moveTo(x1, y1);
  g.lineTo(x2, y2);
  g.stroke();
}
