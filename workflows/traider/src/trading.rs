//! Orders, positions, reasons and proofs of a trading run. All of it comes from the run's journal, run again by the
//! worker binary: what is shown is what the journal proves.

use crate::cli::{BacktestVerb, Context, OrdersVerb, RunChoice};
use crate::fail::{Fail, code};
use crate::{config, exec, out};
use domain::Decimal;
use serde_json::{Value, json};

fn facts(ctx: &Context<'_>, run: Option<&str>) -> Result<Value, Fail> {
    exec::worker(ctx, "facts", &json!({"run": run.unwrap_or("latest")})).map(|(_, v)| v)
}

/// Which run an answer is about.
fn say_run(v: &Value) {
    say!("run {} ({})", out::text(&v["run_id"]), out::text(&v["mode"]));
}

/// `traider orders list|show`.
pub fn orders(ctx: &Context<'_>, verb: &OrdersVerb) -> Result<u8, Fail> {
    match verb {
        OrdersVerb::List { run, state } => {
            let facts = facts(ctx, run.run.as_deref())?;
            let orders: Vec<Value> = array(&facts["orders"])
                .iter()
                .filter(|o| state.as_ref().is_none_or(|s| o["state"] == s.as_str()))
                .cloned()
                .collect();
            let shown = json!({"run_id": facts["run_id"], "mode": facts["mode"], "orders": orders});
            ctx.out.value(&shown, |v| {
                say_run(v);
                let columns = [
                    ("ORDER", "order_id"),
                    ("SYMBOL", "symbol"),
                    ("SIDE", "side"),
                    ("PRICE", "price"),
                    ("QTY", "qty"),
                    ("FILLED", "filled"),
                    ("STATE", "state"),
                    ("STRATEGY", "strategy"),
                    ("REASON", "reason"),
                ];
                out::table(&columns, &["PRICE", "QTY", "FILLED"], array(&v["orders"]));
            });
        }
        OrdersVerb::Show { order, run } => {
            let found = exec::worker(ctx, "order", &json!({"order": order, "run": run.run}))?.1;
            ctx.out.value(&found, |v| {
                say_run(v);
                for (key, value) in v["order"].as_object().into_iter().flatten() {
                    say!("{key:>12}  {}", out::text(value));
                }
                say!();
                let columns = [
                    ("FILL", "fill_id"),
                    ("PRICE", "price"),
                    ("QTY", "qty"),
                    ("FEE", "fee_amount"),
                    ("IN", "fee_asset"),
                ];
                out::table(&columns, &["PRICE", "QTY", "FEE"], array(&v["fills"]));
            });
        }
    }
    Ok(0)
}

/// `traider positions`.
pub fn positions(ctx: &Context<'_>, choice: &RunChoice) -> Result<u8, Fail> {
    let facts = facts(ctx, choice.run.as_deref())?;
    let mut rows = Vec::new();
    for instrument in array(&facts["instruments"]) {
        let symbol = out::text(&instrument["symbol"]);
        let mut held = Holding::default();
        for fill in array(&facts["fills"]).iter().filter(|f| f["symbol"] == symbol.as_str()) {
            held.apply(fill).ok_or_else(|| Fail::plain(format!("a fill of {symbol} is out of range: {fill}")))?;
        }
        let mark = array(&facts["marks"]).iter().find(|m| m["symbol"] == symbol.as_str());
        let mark = mark.map_or(&Value::Null, |m| &m["price"]);
        rows.push(held.row(&symbol, instrument, mark));
    }
    ctx.out.value(&json!({"run_id": facts["run_id"], "mode": facts["mode"], "positions": rows}), |v| {
        say_run(v);
        let columns = [
            ("SYMBOL", "symbol"),
            ("POSITION", "position"),
            ("MARK", "mark"),
            ("VALUE", "value"),
            ("NET P&L", "net"),
            ("FEES", "fees"),
            ("FILLS", "fills"),
        ];
        out::table(&columns, &["POSITION", "MARK", "VALUE", "NET P&L", "FEES", "FILLS"], array(&v["positions"]));
    });
    Ok(0)
}

/// Position and cash of one instrument, summed fill by fill: a second way to the engine's own figures.
#[derive(Default)]
struct Holding {
    position: Decimal,
    cash: Decimal,
    fees: Vec<(String, Decimal)>,
    fills: u64,
}

impl Holding {
    fn apply(&mut self, fill: &Value) -> Option<()> {
        let number = |key: &str| Decimal::parse(fill[key].as_str()?).ok();
        let (price, qty, fee) = (number("price")?, number("qty")?, number("fee_amount")?);
        let value = price.checked_mul(qty)?;
        let buy = fill["side"] == "buy";
        self.position = if buy { self.position.checked_add(qty)? } else { self.position.checked_sub(qty)? };
        self.cash = if buy { self.cash.checked_sub(value)? } else { self.cash.checked_add(value)? };
        let asset = fill["fee_asset"].as_str()?;
        match self.fees.iter_mut().find(|(a, _)| a == asset) {
            Some((_, total)) => *total = total.checked_add(fee)?,
            None => self.fees.push((asset.to_owned(), fee)),
        }
        self.fills += 1;
        Some(())
    }

    fn row(&self, symbol: &str, instrument: &Value, mark: &Value) -> Value {
        let quote = out::text(&instrument["quote"]);
        let mark = mark.as_str().and_then(|m| Decimal::parse(m).ok());
        let value = mark.and_then(|m| m.checked_mul(self.position));
        let quote_fee = self.fees.iter().find(|(a, _)| *a == quote).map_or(Decimal::ZERO, |(_, f)| *f);
        let other_fees = self.fees.iter().any(|(a, f)| *a != quote && !f.is_zero());
        // Net of fees only where all fees are in the quote asset; otherwise it is not one number.
        let net = value
            .filter(|_| !other_fees)
            .and_then(|v| v.checked_add(self.cash)?.checked_sub(quote_fee))
            .map(|n| n.normalized());
        let fees: Vec<_> = self.fees.iter().map(|(a, f)| format!("{} {a}", f.normalized())).collect();
        json!({
            "symbol": symbol, "quote": quote, "position": self.position.normalized(), "mark": mark,
            "value": value.map(|v| v.normalized()), "net": net, "fees": fees.join(" + "), "fills": self.fills,
        })
    }
}

/// `traider why`.
pub fn why(ctx: &Context<'_>, order: &str, run: Option<&str>) -> Result<u8, Fail> {
    if order.parse::<domain::ClientOrderId>().is_err() {
        return Err(Fail::new(
            code::USAGE,
            format!("`{order}` is not an order id; they look like trd-1a2b3c4d-1-7; see `traider orders list`"),
        ));
    }
    let (exit, chain) = exec::worker(ctx, "why", &json!({"order": order, "run": run}))?;
    ctx.out.value(&chain, |v| explain(v, 0));
    Ok(exit)
}

/// Prints a JSON tree as indented `key: value` lines.
fn explain(value: &Value, depth: usize) {
    let pad = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match inner {
                    Value::Object(_) | Value::Array(_) => {
                        say!("{pad}{key}:");
                        explain(inner, depth + 1);
                    }
                    _ if key.ends_with("_ns") => say!("{pad}{key}: {} ({})", out::text(inner), out::time(inner)),
                    _ => say!("{pad}{key}: {}", out::text(inner)),
                }
            }
        }
        Value::Array(items) if items.iter().all(|i| !i.is_object() && !i.is_array()) => {
            say!("{pad}{}", items.iter().map(out::text).collect::<Vec<_>>().join("  "));
        }
        Value::Array(items) => {
            for item in items {
                say!("{pad}-");
                explain(item, depth + 1);
            }
        }
        other => say!("{pad}{}", out::text(other)),
    }
}

/// `traider parity`.
pub fn parity(ctx: &Context<'_>, run: Option<&str>) -> Result<u8, Fail> {
    let (exit, verdict) = exec::worker(ctx, "parity", &json!({"run": run.unwrap_or("latest")}))?;
    ctx.out.value(&verdict, |v| {
        if v["equal"] == true {
            say!(
                "equal: run {} re-ran byte-identical, {} records, {} effects, hash {}",
                out::text(&v["run_id"]),
                v["records"],
                v["effects"],
                out::text(&v["effects_hash"])
            );
        } else {
            say!("NOT equal: run {}", out::text(&v["run_id"]));
            explain(v, 1);
        }
    });
    Ok(if v_equal(&verdict) { exit } else { code::VERIFICATION })
}

fn v_equal(verdict: &Value) -> bool {
    verdict["equal"] == true
}

/// `traider backtest run`.
pub fn backtest(ctx: &Context<'_>, verb: &BacktestVerb) -> Result<u8, Fail> {
    let BacktestVerb::Run { source, strategy, seed } = verb;
    if source.strip_prefix("capture:").is_none_or(str::is_empty) {
        return Err(Fail::new(code::USAGE, format!("`{source}` is not a source; use capture:FILE")));
    }
    ctx.home.prepare()?;
    let mut loaded = config::load(ctx, None)?;
    if !strategy.is_empty() {
        loaded.config.run.strategies.clone_from(strategy);
    }
    let args = json!({
        "source": source,
        "seed": seed.unwrap_or(loaded.config.run.seed),
        "queue": loaded.config.demo.queue,
        "config": loaded.engine_config()?,
    });
    let (exit, summary) = exec::worker(ctx, "backtest", &args)?;
    ctx.out.value(&summary, |v| explain(v, 0));
    Ok(exit)
}

pub(crate) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
