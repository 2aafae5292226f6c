//! Reports of hand-computed days: numbers, page against JSON, bytes.

use super::collect::{Inputs, LastPrice, Market, PortfolioInput};
use super::*;
use crate::samples;
use crate::{Amount, project};
use serde_json::Value;
use spec::facts::Mark;
use std::collections::BTreeMap;

fn inputs() -> Inputs {
    let mut facts = samples::facts("01RUN");
    // A name that must not become markup.
    facts.orders[2].reason = "StaleBook: <b>1700 ms</b> \"old\", limit 1500".into();
    let books = project::books(vec![facts]).unwrap().remove(0);
    let price =
        |m: &Mark| LastPrice { price: Amount::from_decimal(m.price).unwrap(), ts_ns: i64::try_from(m.ts_ns).unwrap() };
    let marks = books.facts[0].marks.iter().map(|m| (m.symbol.clone(), price(m))).collect();
    let quality = serde_json::json!({"contradictions": [], "trades": {"missing": 0}, "book": {"sequence_breaks": 0}});
    let market = Market { closes: Vec::new(), close_before: None, quality: Some(quality) };
    Inputs {
        day: "2024-08-08".parse().unwrap(),
        portfolios: vec![PortfolioInput {
            name: books.name.clone(),
            runs: vec![("01RUN".into(), "demo".into())],
            fills: books.fills.clone(),
            orders: books.orders.clone(),
            marks,
        }],
        markets: BTreeMap::from([(("binance".to_owned(), "BTCUSDT".to_owned()), market)]),
        refused: Vec::new(),
        recorded: true,
        read: vec![model::Input { asset: "ledger/01RUN".into(), version: "0".repeat(64) }],
    }
}

fn file(rendered: &Rendered, name: &str) -> String {
    let (_, bytes) = rendered.files.iter().find(|(n, _)| *n == name).unwrap();
    String::from_utf8(bytes.clone()).unwrap()
}

/// Every (pointer, exact value, shown text) on the page.
fn shown(page: &str) -> Vec<(String, Option<String>, String)> {
    let mut found = Vec::new();
    for piece in page.split("data-p=\"").skip(1) {
        let (pointer, rest) = piece.split_once('"').unwrap();
        let (attributes, rest) = rest.split_once('>').unwrap();
        let exact = attributes.split_once("title=\"").map(|(_, t)| t.split_once('"').unwrap().0.to_owned());
        found.push((pointer.to_owned(), exact, rest.split_once('<').unwrap().0.to_owned()));
    }
    found
}

#[test]
fn the_money_of_a_hand_computed_day_is_right() {
    let report = compose::compose(&inputs()).unwrap();
    let total = &report.money.totals[0];
    let text = |a: Amount| a.to_string();
    assert_eq!(
        [text(total.realized), text(total.unrealized), text(total.fees), text(total.net)],
        ["9.0925", "19.55", "1.3575", "28.6425"]
    );
    assert_eq!((report.state.as_str(), report.reasons.len()), ("OK", 0));
    assert_eq!(report.trades[1].gain.map(text).as_deref(), Some("9.0925"));
    assert_eq!((report.risk.refused, report.risk.reasons[0].name.as_str()), (1, "StaleBook"));
    assert_eq!((report.execution.sent, report.execution.filled), (2, 2));
    assert_eq!(report.execution.maker_share_pct, None, "two fills say nothing");
    let lots = &report.compliance.lines[0];
    assert_eq!((lots.open, text(lots.open_qty), text(lots.open_cost)), (1, "0.01".into(), "600.45".into()));
    assert_eq!((text(lots.realized_short), text(lots.realized_long)), ("9.0925".into(), "0".into()));
    // The P&L line at the last fill: money -1200.9 + 609.5425, and 0.01 at 61 000; it ends at the day's net.
    let line: Vec<String> = report.charts[0].pnl.iter().map(|p| text(p.1)).collect();
    assert_eq!(line, ["-0.9", "18.6425", "28.6425"]);
}

#[test]
fn every_number_on_the_page_is_the_one_in_the_json() {
    let rendered = render(&compose::compose(&inputs()).unwrap());
    let json: Value = serde_json::from_str(&file(&rendered, "report.json")).unwrap();
    let page = file(&rendered, "report.html");
    let shown = shown(&page);
    assert!(shown.len() > 40, "{} numbers found", shown.len());
    for (pointer, exact, text) in shown {
        let value = json.pointer(&pointer).unwrap_or_else(|| panic!("{pointer} is not in the JSON"));
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match exact {
            Some(exact) => {
                assert_eq!(exact, value, "{pointer}");
                let (shown, exact) = (text.parse::<f64>().unwrap(), exact.parse::<f64>().unwrap());
                assert!((shown - exact).abs() <= 0.005_000_1, "{pointer}: {shown} shown, {exact} meant");
            }
            None => assert!(text.ends_with(&value), "{pointer}: `{text}` shown, {value} meant"),
        }
    }
}

#[test]
fn the_page_needs_nothing_from_outside_and_escapes_what_it_is_told() {
    let page = file(&render(&compose::compose(&inputs()).unwrap()), "report.html");
    for outside in ["http:", "https:", "//", "src=", "href=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("&lt;b&gt;1700 ms&lt;/b&gt;") && !page.contains("<b>1700"));
    for needed in ["prefers-color-scheme", "@media print", "width=device-width", "<svg"] {
        assert!(page.contains(needed), "{needed}");
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes_and_the_manifest_proves_them() {
    let (one, two) = (render(&compose::compose(&inputs()).unwrap()), render(&compose::compose(&inputs()).unwrap()));
    assert_eq!(one.files, two.files);
    assert_eq!(one.manifest, two.manifest);
    for (note, (name, bytes)) in one.manifest.files.iter().zip(&one.files) {
        assert_eq!((note.name.as_str(), &note.sha256), (*name, &sha256(bytes)));
    }
    let again: Report = serde_json::from_str(&file(&one, "report.json")).unwrap();
    assert_eq!(render(&again).files, one.files, "the JSON is the source of the page");
}

#[test]
fn a_day_that_wants_a_look_says_why() {
    let mut inputs = inputs();
    let portfolio = &mut inputs.portfolios[0];
    portfolio.orders[0].1.state = "unknown".into();
    // Only the sale is told: what it sold must have been held before.
    portfolio.fills.retain(|(_, f)| f.fill_id == "2");
    inputs.markets.values_mut().for_each(|m| m.quality = None);
    let report = compose::compose(&inputs).unwrap();
    assert_eq!(report.state, "ATTENTION");
    let all = report.reasons.join("; ");
    for part in ["1 orders without proof", "1 lots with assumed cost", "BTCUSDT: not validated"] {
        assert!(all.contains(part), "{all}");
    }
    assert_eq!(report.money.totals[0].net, Amount::ZERO, "an assumed cost makes no gain");
}

#[test]
fn a_run_that_proves_nothing_is_named_and_the_books_are_not_called_proven() {
    let reason = "journal `x` is damaged at record 7: <cut>".to_owned();
    let refused = vec![model::RefusedRun { run_id: "01BAD".into(), reason }];
    let report = compose::compose(&Inputs { refused, ..inputs() }).unwrap();
    assert_eq!((report.state.as_str(), report.compliance.books_proven), ("ATTENTION", false));
    assert!(report.reasons[0].contains("01BAD") && report.reasons[0].contains("record 7"), "{:?}", report.reasons);
    let page = file(&render(&report), "report.html");
    assert!(page.contains("01BAD") && page.contains("Not proven as a whole") && page.contains("&lt;cut&gt;"));
    assert!(!file(&render(&compose::compose(&inputs()).unwrap()), "report.html").contains("Not proven as a whole"));
}

#[test]
fn a_day_of_which_nothing_was_recorded_is_not_ok() {
    let empty = Inputs { portfolios: Vec::new(), markets: BTreeMap::new(), recorded: false, ..inputs() };
    let report = compose::compose(&empty).unwrap();
    assert_eq!(
        (report.state.as_str(), report.reasons),
        ("ATTENTION", vec!["nothing was recorded on this day".to_owned()])
    );
}

#[test]
fn the_page_says_that_fees_are_part_of_the_cost() {
    let page = file(&render(&compose::compose(&inputs()).unwrap()), "report.html");
    assert!(page.contains("After fees: fees are part of the lots' cost"));
}

#[test]
fn what_the_validation_found_is_told_as_wrong_or_as_incomplete() {
    let mut inputs = inputs();
    let mut told = |quality: Value| {
        inputs.markets.values_mut().for_each(|m| m.quality = Some(quality.clone()));
        let quality = compose::compose(&inputs).unwrap().quality.remove(0);
        (quality.state, quality.findings.join("; "))
    };
    let gaps =
        told(serde_json::json!({"contradictions": [], "trades": {"missing": 3}, "book": {"sequence_breaks": 1}}));
    assert_eq!(gaps, ("incomplete".into(), "3 trades missing; 1 breaks in the book's sequence".into()));
    assert_eq!(told(serde_json::json!({"contradictions": ["a bid above its ask"]})).0, "wrong");
    assert_eq!(told(serde_json::json!({"else": 1})).0, "no verdict");
}

#[test]
fn an_order_that_ended_later_is_open_in_the_report_of_its_day() {
    let mut inputs = inputs();
    let order = &mut inputs.portfolios[0].orders[0].1;
    (order.updated_ns, order.state) = (samples::NOON_NS + 86_400_000_000_000, "cancelled".into());
    let report = compose::compose(&inputs).unwrap();
    assert_eq!(report.orders.rows[0].state, "live");
    assert_eq!(report.reasons, ["1 orders open at the end of the day"]);
}

#[test]
fn a_sale_on_the_anniversary_is_short_and_the_day_after_is_long() {
    for (days, long) in [(365, false), (366, true)] {
        let mut inputs = inputs();
        // Bought 2023-08-08 or a day earlier, sold 2024-08-08, across 29 February: 366 days make the year.
        let bought = samples::NOON_NS - (days + 1) * 86_400_000_000_000 + 86_400_000_000_000;
        let buy = inputs.portfolios[0].fills.iter_mut().find(|(_, f)| f.fill_id == "1").unwrap();
        buy.1.ts_venue_ns = bought - u64::from(long) * 86_400_000_000_000;
        let line = compose::compose(&inputs).unwrap().compliance.lines.remove(0);
        let (short, held_long) = (!line.realized_short.is_zero(), !line.realized_long.is_zero());
        assert_eq!((short, held_long), (!long, long), "{days} days");
    }
}

#[test]
fn a_day_without_trading_is_a_report_too() {
    let empty = Inputs { portfolios: Vec::new(), markets: BTreeMap::new(), read: Vec::new(), ..inputs() };
    let report = compose::compose(&empty).unwrap();
    assert_eq!(report.state, "OK");
    assert!(file(&render(&report), "report.html").contains("No fills."));
}

#[test]
fn a_position_that_is_merely_held_is_valued_and_needs_no_data_of_the_day() {
    let mut inputs = Inputs { day: "2024-08-09".parse().unwrap(), ..inputs() };
    inputs.portfolios[0].orders.clear();
    inputs.markets.values_mut().for_each(|m| m.quality = None);
    let report = compose::compose(&inputs).unwrap();
    let line = &report.money.lines[0];
    // Held at the last price of the day before, and nothing was heard since.
    assert_eq!((line.position.to_string().as_str(), line.net), ("0.01", Amount::ZERO));
    assert_eq!(line.mark.map(|m| m.to_string()).as_deref(), Some("62000"));
    assert_eq!((report.state.as_str(), report.quality.len(), report.trades.len()), ("OK", 0, 0));
    // Data that are there and were not looked at are told.
    let close = (inputs.day.start_ns() + 1, Amount::parse("61000").unwrap());
    inputs.markets.values_mut().for_each(|m| m.closes = vec![close]);
    assert_eq!(compose::compose(&inputs).unwrap().quality[0].state, "not validated");
}

#[test]
fn rounding_is_half_away_from_zero() {
    let shown = |text: &str, digits| html::rounded(Amount::parse(text).unwrap(), digits);
    assert_eq!([shown("1.005", 2), shown("-1.005", 2), shown("0.004", 2)], ["1.01", "-1.01", "0.00"]);
    assert_eq!([shown("0.00001", 8), shown("60000", 8)], ["0.00001", "60000"]);
}
