//! `traider status`: am I safe right now? One answer, from the same object the page and the metrics show.

use crate::cli::Context;
use crate::daemon::NoAnswer;
use crate::fail::{Fail, code};
use crate::trading::array;
use crate::{daemon, out, up};
use serde_json::{Map, Value, json};

/// Runs the verb. Exit code 0 healthy, 10 degraded, 11 halted, 12 down, 5 when a daemon is there but tells nothing.
pub fn status(ctx: &Context<'_>) -> Result<u8, Fail> {
    let up = up::running(&ctx.home);
    let asked = daemon::ask(&ctx.home, &json!({"get": "view"}));
    let (view, silence) = match asked {
        Ok(view) => (Some(view), None),
        Err(NoAnswer::Silent(why)) => (None, Some(why)),
        // A supervisor whose market has not ended has a daemon, whether it can be asked or not.
        Err(NoAnswer::Down) if up.as_ref().is_some_and(|up| up["ended"] != true) => {
            (None, Some("traider runs here, but its daemon cannot be asked (is it just starting?)".to_owned()))
        }
        Err(NoAnswer::Down) => (None, None),
    };
    // One that did not answer once is not waited for again.
    let status = || daemon::ask(&ctx.home, &json!({"get": "status"})).ok();
    let daemon_status = view.as_ref().and_then(|_| status());
    let safety = view.as_ref().map_or(Value::Null, |v| v["safety"].clone());
    let (word, exit) = match &view {
        None if silence.is_some() => ("unknown", code::UNREACHABLE),
        None => ("down", 12),
        Some(_) if safety["halted"] == true => ("halted", 11),
        Some(_) if safety["can_trade"] == true => ("healthy", 0),
        Some(_) => ("degraded", 10),
    };
    let view = view.unwrap_or(Value::Null);
    let shown = json!({
        "state": word,
        "why": silence,
        "safety": safety,
        "halt": daemon::kept_halt(&ctx.home)?,
        "daemon": daemon_status,
        "up": up,
        "pnl": view["pnl"],
        "position": positions(&view),
        "orders_open": view["orders"],
    });
    ctx.out.value(&shown, say);
    Ok(exit)
}

/// By symbol; null while no daemon tells.
fn positions(view: &Value) -> Value {
    let Some(instruments) = view["instruments"].as_array() else { return Value::Null };
    let each =
        instruments.iter().filter(|i| i["trade"] != false).map(|i| (out::text(&i["symbol"]), i["position"].clone()));
    Value::Object(each.collect::<Map<_, _>>())
}

/// One connection in a line: `kraken.1 up, heard 3 ms ago, latency 0.4 ms, clock +0.1 ms (±0.2), gaps 0, resyncs 0, budget
/// 1 of 60`.
fn stream_line(s: &Value) -> String {
    let ms = |v: &Value| v.as_f64().map_or_else(|| "?".to_owned(), |ms| format!("{ms:.1}"));
    let latency = s["latency_ns"]["p50"].as_f64().filter(|_| s["latency_ns"]["count"] != 0);
    let latency = latency.map_or_else(|| "?".to_owned(), |ns| format!("{:.1}", ns / 1e6));
    let heard = s["age_ms"].as_u64().map_or_else(|| "nothing heard".to_owned(), |ms| format!("heard {ms} ms ago"));
    format!(
        "{:>10}: {}, {heard}, latency {latency} ms, clock {} ms (±{}), gaps {}, resyncs {}, budget {} of {}",
        out::text(&s["name"]),
        out::text(&s["state"]),
        s["clock_offset_ms"].as_f64().map_or_else(|| "?".to_owned(), |ms| format!("{ms:+.1}")),
        ms(&s["clock_error_ms"]),
        s["gaps"],
        s["resyncs"],
        out::text(&s["budget_used"]),
        out::text(&s["budget_most"]),
    )
}

fn say(v: &Value) {
    let word = out::text(&v["state"]);
    let symbol = match word.as_str() {
        "healthy" => "●",
        "degraded" => "▲",
        "halted" => "■",
        "unknown" => "?",
        _ => "○",
    };
    say!("{symbol} {word}");
    for reason in array(&v["safety"]["reasons"]) {
        say!("  {}", out::text(reason));
    }
    let page = v["up"]["dashboard"].as_str();
    match (word.as_str(), &v["up"], page) {
        ("unknown", ..) => say!("  {}; it may be trading", out::text(&v["why"])),
        ("down", Value::Null, _) => {
            say!("  nothing trades here; `traider demo` or `traider up` starts the offline market");
        }
        ("down", _, page) => {
            say!("  the market has ended; page and worker stay until `traider down`");
            if let Some(page) = page {
                say!("  page: {page}");
            }
        }
        (_, _, Some(page)) => say!("  page: {page}"),
        _ => {}
    }
    if word == "down" && !v["halt"].is_null() {
        say!("  halted: {}; `traider resume --reason ...` lifts it", out::text(&v["halt"]["reason"]));
    }
    for stream in array(&v["daemon"]["streams"]) {
        say!("  {}", stream_line(stream));
        for alarm in array(&stream["alarms"]) {
            say!("  {:>10}  ! {}", "", out::text(alarm));
        }
    }
    for (symbol, position) in v["position"].as_object().into_iter().flatten() {
        say!("  {:>10}: {} (worth {})", symbol, out::text(&position["qty"]), out::text(&position["value"]));
    }
    if !v["orders_open"].is_null() {
        say!("  {:>10}: {} orders", "open", array(&v["orders_open"]).len());
    }
    for (asset, pnl) in v["pnl"].as_object().into_iter().flatten() {
        for (name, amount) in pnl.as_object().into_iter().flatten() {
            say!("  {name:>10}: {} {asset}", out::text(amount));
        }
    }
}
