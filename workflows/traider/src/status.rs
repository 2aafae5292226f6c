//! `traider status`: am I safe right now? One answer, from the same object the page and the metrics show.

use crate::cli::Context;
use crate::fail::Fail;
use crate::trading::array;
use crate::{daemon, demo, out};
use serde_json::{Value, json};

/// Runs the verb. Exit code 0 healthy, 10 degraded, 11 halted, 12 down.
pub fn status(ctx: &Context<'_>) -> Result<u8, Fail> {
    let up = demo::running(&ctx.home);
    let view = daemon::ask(&ctx.home, &json!({"get": "view"})).ok();
    let daemon_status = daemon::ask(&ctx.home, &json!({"get": "status"})).ok();
    let safety = view.as_ref().map_or(Value::Null, |v| v["safety"].clone());
    let (word, code) = match &view {
        None => ("down", 12),
        Some(_) if safety["halted"] == true => ("halted", 11),
        Some(_) if safety["can_trade"] == true => ("healthy", 0),
        Some(_) => ("degraded", 10),
    };
    let shown = json!({
        "state": word,
        "safety": safety,
        "daemon": daemon_status,
        "up": up,
        "pnl": view.as_ref().map(|v| v["pnl"].clone()),
        "position": view.as_ref().map(|v| v["position"].clone()),
        "orders_open": view.as_ref().map(|v| v["orders"].clone()),
    });
    ctx.out.value(&shown, |v| {
        let symbol = match word {
            "healthy" => "●",
            "degraded" => "▲",
            "halted" => "■",
            _ => "○",
        };
        println!("{symbol} {word}");
        for reason in array(&v["safety"]["reasons"]) {
            println!("  {}", out::text(reason));
        }
        match (view.is_some(), &up) {
            (false, _) => println!("  nothing trades here; `traider demo` or `traider up` starts the offline market"),
            (true, Some(up)) => println!("  page: {}", out::text(&up["dashboard"])),
            (true, None) => {}
        }
        for (asset, pnl) in v["pnl"].as_object().into_iter().flatten() {
            for (name, amount) in pnl.as_object().into_iter().flatten() {
                println!("  {name:>10}: {} {asset}", out::text(amount));
            }
        }
    });
    Ok(code)
}
