//! `report.html`: one file, nothing from outside. Every number carries the place it has in `report.json` (`data-p`, a
//! JSON pointer) and its exact value (`title`); what is shown is that value rounded for reading.

use super::model::{Count, Report};
use super::svg;
use crate::Amount;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Rows a table shows; the CSV has all of them.
const ROWS_MAX: usize = 500;

/// Draws the page. Pure: the same report gives the same bytes.
pub fn page(report: &Report) -> String {
    let title = format!("traider daily report {}", report.day);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("report.css"))) }
            }
            body {
                (head(report)) (money(report)) (charts(report)) (trades(report)) (orders(report)) (risk(report))
                (quality(report)) (execution(report)) (compliance(report)) (foot(report))
            }
        }
    };
    markup.into_string()
}

fn head(report: &Report) -> Markup {
    let mut modes: Vec<&str> = report.runs.iter().map(|r| r.mode.as_str()).collect();
    modes.sort_unstable();
    modes.dedup();
    let (class, symbol) = if report.state == "OK" { ("ok", "✓") } else { ("attention", "!") };
    html! {
        header {
            div {
                h1 { "Daily report " (report.day) }
                div.sub {
                    @if modes.is_empty() { "no trading" } @else { (modes.join(", ")) ", " (report.runs.len()) " run(s)" }
                    ", UTC day, complete to " (report.generated_at)
                }
            }
            div class={ "state " (class) } data-p="/state" { (symbol) " " (report.state) }
        }
        @if !report.reasons.is_empty() { ul.why { @for reason in &report.reasons { li { (reason) } } } }
    }
}

fn money(report: &Report) -> Markup {
    let lines = &report.money.lines;
    html! {
        h2 { "Money" }
        p.sub { "After fees: fees are part of the lots' cost, so realised and unrealised contain them, unlike the figures a run "
                "states of itself. Equity of the account is not in the journals and is not shown." }
        @for (i, total) in report.money.totals.iter().enumerate() {
            div.cards {
                (card(&format!("/money/totals/{i}/net"), "net P&L", total.net, &total.currency))
                (card(&format!("/money/totals/{i}/realized"), "realised", total.realized, &total.currency))
                (card(&format!("/money/totals/{i}/unrealized"), "unrealised", total.unrealized, &total.currency))
                (card(&format!("/money/totals/{i}/fees"), "fees paid", total.fees, &total.currency))
            }
        }
        @if lines.is_empty() { p { "No fills." } } @else {
            br;
            (table(&["portfolio", "symbol", "strategy", "#fills", "#bought", "#sold", "#fees", "other fees", "#realised",
                     "#unrealised", "#net", "#position", "#mark", "mark from"], html! {
                @for (i, l) in lines.iter().enumerate() {
                    @let at = |field: &str| format!("/money/lines/{i}/{field}");
                    tr {
                        td.mono { (short(&l.portfolio)) } td { (l.symbol) } td { (l.strategy) }
                        (count(&at("fills"), l.fills))
                        (exact(&at("bought"), l.bought, 2)) (exact(&at("sold"), l.sold, 2)) (exact(&at("fees"), l.fees, 4))
                        td { (l.fees_other.join(", ")) }
                        (signed(&at("realized"), l.realized)) (signed(&at("unrealized"), l.unrealized))
                        (signed(&at("net"), l.net)) (exact(&at("position"), l.position, 8))
                        @match l.mark { Some(mark) => (exact(&at("mark"), mark, 8)), None => td.n { "n/a" } }
                        td { (l.mark_source) }
                    }
                }
            }))
        }
    }
}

fn charts(report: &Report) -> Markup {
    html! { @for chart in &report.charts { div.chart { (svg::chart(chart)) } } }
}

fn trades(report: &Report) -> Markup {
    html! {
        h2 { "Trades (" (report.trades.len()) ")" }
        @if report.trades.is_empty() { p { "None." } } @else {
            (table(&["time UTC", "symbol", "strategy", "side", "#price", "#quantity", "#value", "#fee", "", "liquidity",
                     "#gain", "order"], html! {
                @for (i, t) in report.trades.iter().enumerate().take(ROWS_MAX) {
                    @let at = |field: &str| format!("/trades/{i}/{field}");
                    tr {
                        td.mono { (clock(&t.at)) } td { (t.symbol) } td { (t.strategy) } (side(&t.side))
                        (exact(&at("price"), t.price, 8)) (exact(&at("qty"), t.qty, 8)) (exact(&at("value"), t.value, 4))
                        (exact(&at("fee"), t.fee, 8)) td { (t.fee_asset) } td { (t.liquidity) }
                        @match t.gain { Some(gain) => (signed(&at("gain"), gain)), None => td.n { "" } }
                        td.mono { (t.order_id) }
                    }
                }
            }))
            (rest(report.trades.len(), "trades.csv"))
        }
    }
}

fn orders(report: &Report) -> Markup {
    html! {
        h2 { "Orders (" (report.orders.total) ")" }
        @if report.orders.total == 0 { p { "None." } } @else {
            (counts("state", "/orders/by_state", &report.orders.by_state))
            br;
            (table(&["time UTC", "order", "symbol", "strategy", "#signal", "side", "kind", "#price", "#quantity", "#filled",
                     "state", "reason"], html! {
                @for (i, o) in report.orders.rows.iter().enumerate().take(ROWS_MAX) {
                    @let at = |field: &str| format!("/orders/rows/{i}/{field}");
                    tr {
                        td.mono { (clock(&o.at)) } td.mono { (o.order_id) } td { (o.symbol) } td { (o.strategy) }
                        td.n data-p=(at("signal")) { (o.signal) } (side(&o.side)) td { (o.kind) " " (o.tif) }
                        (exact(&at("price"), o.price, 8)) (exact(&at("qty"), o.qty, 8)) (exact(&at("filled"), o.filled, 8))
                        td { (o.state) } td.wrap { (o.reason) }
                    }
                }
            }))
            (rest(report.orders.total, "orders.csv"))
        }
    }
}

fn risk(report: &Report) -> Markup {
    html! {
        h2 { "Risk" }
        p { (inline("/risk/refused", report.risk.refused)) " of " (inline("/risk/wanted", report.risk.wanted)) " orders refused." }
        @if !report.risk.reasons.is_empty() { (counts("refused because", "/risk/reasons", &report.risk.reasons)) }
    }
}

fn quality(report: &Report) -> Markup {
    html! {
        h2 { "Data quality" }
        @if report.quality.is_empty() { p { "Nothing was traded, so nothing was looked up." } } @else {
            (table(&["venue", "symbol", "state", "findings"], html! {
                @for q in &report.quality {
                    tr { td { (q.venue) } td { (q.symbol) } td { (q.state) } td.wrap { (q.findings.join("; ")) } }
                }
            }))
        }
    }
}

fn execution(report: &Report) -> Markup {
    let e = &report.execution;
    let share = |value: &Option<String>| value.as_ref().map_or("n/a".to_owned(), |v| format!("{v} %"));
    html! {
        h2 { "Execution" }
        (table(&["#sent", "#with a fill", "#fill ratio", "#fills", "#as maker", "#maker share"], html! {
            tr {
                (count("/execution/sent", e.sent)) (count("/execution/filled", e.filled))
                td.n { (share(&e.fill_ratio_pct)) }
                (count("/execution/fills", e.fills)) (count("/execution/maker", e.maker))
                td.n { (share(&e.maker_share_pct)) }
            }
        }))
        p.sub { "n/a: fewer than " (super::model::SAMPLE_MIN) " cases say nothing." }
    }
}

fn compliance(report: &Report) -> Markup {
    html! {
        h2 { "Lots" }
        p.sub { "Method: " (report.compliance.method) ". Position = fills = postings = lots, and realised P&L by lots = by "
                "ledger: proven after every fill." }
        @if !report.compliance.books_proven {
            p { "Not proven as a whole: " (report.refused.len()) " run(s) are left out, because their journals prove nothing." }
        }
        @if !report.compliance.lines.is_empty() {
            (table(&["portfolio", "asset", "in", "#open lots", "#open quantity", "#open cost", "#closed lots",
                     "#realised short", "#realised long", "#cost assumed"], html! {
                @for (i, l) in report.compliance.lines.iter().enumerate() {
                    @let at = |field: &str| format!("/compliance/lines/{i}/{field}");
                    tr {
                        td.mono { (short(&l.portfolio)) } td { (l.asset) } td { (l.currency) } (count(&at("open"), l.open))
                        (exact(&at("open_qty"), l.open_qty, 8)) (exact(&at("open_cost"), l.open_cost, 2))
                        (count(&at("closed"), l.closed)) (signed(&at("realized_short"), l.realized_short))
                        (signed(&at("realized_long"), l.realized_long)) (count(&at("assumed"), l.assumed))
                    }
                }
            }))
        }
    }
}

fn foot(report: &Report) -> Markup {
    html! {
        footer {
            "Made by " (report.code) " from:"
            @for input in &report.inputs { " " span.mono { (input.asset) "@" (input.version.get(..12).unwrap_or(&input.version)) } }
        }
    }
}

/// Columns that start with `#` hold numbers.
fn table(columns: &[&str], rows: Markup) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                @for column in columns {
                    @match column.strip_prefix('#') { Some(name) => th.n { (name) }, None => th { (column) } }
                }
            } }
            tbody { (rows) }
        } }
    }
}

fn counts(what: &str, pointer: &str, list: &[Count]) -> Markup {
    table(
        &[what, "#count"],
        html! {
            @for (i, c) in list.iter().enumerate() { tr { td { (c.name) } (count(&format!("{pointer}/{i}/count"), c.count)) } }
        },
    )
}

fn rest(total: usize, file: &str) -> Markup {
    html! { @if total > ROWS_MAX { p.sub { "The first " (ROWS_MAX) " of " (total) "; all are in " (file) "." } } }
}

fn card(pointer: &str, name: &str, amount: Amount, currency: &str) -> Markup {
    let class = if name == "fees paid" { "" } else { tone(amount) };
    let text = if name == "fees paid" { rounded(amount, 2) } else { with_sign(amount, 2) };
    html! {
        div.card {
            span { (name) ", " (currency) }
            b class=(class) data-p=(pointer) title=(amount) { (text) }
        }
    }
}

fn exact(pointer: &str, amount: Amount, digits: u32) -> Markup {
    html! { td.n data-p=(pointer) title=(amount) { (rounded(amount, digits)) } }
}

fn signed(pointer: &str, amount: Amount) -> Markup {
    html! { td class={ "n " (tone(amount)) } data-p=(pointer) title=(amount) { (with_sign(amount, 2)) } }
}

fn count(pointer: &str, n: usize) -> Markup {
    html! { td.n data-p=(pointer) { (n) } }
}

fn inline(pointer: &str, n: usize) -> Markup {
    html! { span.mono data-p=(pointer) { (n) } }
}

fn side(side: &str) -> Markup {
    let (class, arrow) = if side == "buy" { ("up", "▲") } else { ("down", "▼") };
    html! { td class=(class) { (arrow) " " (side) } }
}

/// The time of day; the day stands above.
fn clock(at: &str) -> &str {
    at.get(11..23).unwrap_or(at)
}

fn short(portfolio: &str) -> &str {
    portfolio.char_indices().nth(14).map_or(portfolio, |(at, _)| &portfolio[..at])
}

fn tone(amount: Amount) -> &'static str {
    match amount.units() {
        0 => "",
        1.. => "up",
        _ => "down",
    }
}

fn with_sign(amount: Amount, digits: u32) -> String {
    let text = rounded(amount, digits);
    if amount.is_positive() && !text.starts_with('-') { format!("+{text}") } else { text }
}

/// Half away from zero to at most `digits` after the point; money keeps two, quantities drop their zeros.
pub(crate) fn rounded(amount: Amount, digits: u32) -> String {
    let unit = 10i128.pow(18 - digits);
    let half = if amount.units() < 0 { -unit / 2 } else { unit / 2 };
    let steps = amount.units().saturating_add(half) / unit;
    let text = domain::Decimal::new(steps, u8::try_from(digits).unwrap_or(18));
    if digits > 2 { text.normalized().to_string() } else { text.to_string() }
}
