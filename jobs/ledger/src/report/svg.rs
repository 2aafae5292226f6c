//! A chart as inline SVG: price with fills above, net P&L below, sharing the time axis. Floats only place pixels.

use super::model::Chart;
use crate::Amount;
use maud::{Markup, html};

const PRICE: (f64, f64) = (18.0, 210.0);
const PNL: (f64, f64) = (246.0, 330.0);
const LEFT: f64 = 8.0;
const RIGHT: f64 = 870.0;

/// Draws a chart.
pub fn chart(chart: &Chart) -> Markup {
    let times = Scale::over(chart.prices.iter().map(|p| units(p.0)), LEFT, RIGHT);
    let price_values = chart.prices.iter().map(|p| value(p.1)).chain(chart.fills.iter().map(|f| value(f.1)));
    let prices = Scale::over(price_values, PRICE.1, PRICE.0);
    let pnl = Scale::over(chart.pnl.iter().map(|p| value(p.1)).chain([0.0]), PNL.1, PNL.0);
    let title =
        format!("{}: price in {} with fills, and net P&L since the start of the day", chart.symbol, chart.currency);
    html! {
        svg viewBox="0 0 960 352" role="img" aria-label=(title) preserveAspectRatio="xMidYMid meet" {
            title { (title) }
            (axis(&prices, PRICE)) (axis(&pnl, PNL))
            line.zero x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(pnl.at(0.0))) y2=(px(pnl.at(0.0))) {}
            polyline.price points=(points(&chart.prices, &times, &prices)) {}
            polyline.pnl points=(points(&chart.pnl, &times, &pnl)) {}
            @for (ts, price, side) in &chart.fills { (marker(times.at(units(*ts)), prices.at(value(*price)), side)) }
            text.label x=(px(LEFT)) y="12" { (chart.symbol) " price, " (chart.currency) }
            text.label x=(px(LEFT)) y="240" { "net P&L, " (chart.currency) }
            @if let (Some(first), Some(last)) = (chart.prices.first(), chart.prices.last()) {
                text.tick x=(px(LEFT)) y="346" { (clock(first.0)) }
                text.tick.end x=(px(RIGHT)) y="346" { (clock(last.0)) }
            }
        }
    }
}

/// A buy points up from below its price, a sale points down from above it: told apart without colour.
fn marker(x: f64, y: f64, side: &str) -> Markup {
    let (class, d) = match side {
        "buy" => ("buy", [(x, y + 2.0), (x - 5.0, y + 12.0), (x + 5.0, y + 12.0)]),
        _ => ("sell", [(x, y - 2.0), (x - 5.0, y - 12.0), (x + 5.0, y - 12.0)]),
    };
    let text: Vec<String> = d.iter().map(|(x, y)| format!("{},{}", px(*x), px(*y))).collect();
    html! { polygon class=(class) points=(text.join(" ")) { title { (side) } } }
}

fn axis(scale: &Scale, (top, bottom): (f64, f64)) -> Markup {
    let rows =
        [0.0, 0.5, 1.0].map(|share| (scale.low + (scale.high - scale.low) * share, bottom - (bottom - top) * share));
    html! {
        @for (value, y) in rows {
            line.grid x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(y)) y2=(px(y)) {}
            text.tick x=(px(RIGHT + 6.0)) y=(px(y + 4.0)) { (tick(value, scale.high - scale.low)) }
        }
    }
}

fn points(line: &[(i64, Amount)], times: &Scale, values: &Scale) -> String {
    let point = |(ts, v): &(i64, Amount)| format!("{},{}", px(times.at(units(*ts))), px(values.at(value(*v))));
    line.iter().map(point).collect::<Vec<_>>().join(" ")
}

struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Scale {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        // One value, or none: a line in the middle.
        let (low, high) = if low < high {
            (low, high)
        } else if low == high {
            (low - 1.0, high + 1.0)
        } else {
            (0.0, 1.0)
        };
        Scale { low, high, from, to }
    }
    fn at(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value - self.low) / (self.high - self.low)
    }
}

fn px(x: f64) -> String {
    format!("{x:.1}")
}

fn tick(value: f64, span: f64) -> String {
    if span >= 100.0 {
        format!("{value:.0}")
    } else if span >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// Drawing only: a pixel needs no more than an f64.
#[allow(clippy::cast_precision_loss)]
fn value(amount: Amount) -> f64 {
    amount.units() as f64 / 1e18
}

#[allow(clippy::cast_precision_loss)]
fn units(ns: i64) -> f64 {
    ns as f64
}

fn clock(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).format("%H:%M:%S UTC").to_string()
}
