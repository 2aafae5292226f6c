//! `traider config`: settings as they apply, and where each comes from.

use crate::cli::{ConfigVerb, Context, DemoArgs};
use crate::fail::Fail;
use crate::out;
use serde_json::json;
use std::collections::BTreeMap;

/// Loads the settings with the flags of `demo`, if any.
pub fn load(ctx: &Context<'_>, demo: Option<&DemoArgs>) -> Result<settings::config::Loaded, Fail> {
    let mut flags = BTreeMap::new();
    if let Some(args) = demo {
        let mut set = |key: &str, value: Option<serde_json::Value>| {
            if let Some(value) = value {
                flags.insert(key.to_owned(), value);
            }
        };
        set("run.seed", args.seed.map(|s| json!(s)));
        set("run.symbols", args.symbols.as_ref().map(|s| json!(s)));
        let named = |all: &Vec<String>| all.iter().filter(|one| *one != "none").cloned().collect::<Vec<_>>();
        set("run.watch", args.watch.as_ref().map(|all| json!(named(all))));
        set("run.strategies", args.strategies.as_ref().map(|s| json!(s)));
        set("dashboard.port", args.port.map(|p| json!(p)));
    }
    Ok(settings::config::load(&ctx.home, ctx.global.config.as_deref(), &flags)?)
}

/// Runs the verb.
pub fn config(ctx: &Context<'_>, verb: &ConfigVerb) -> Result<u8, Fail> {
    let loaded = load(ctx, None)?;
    match verb {
        ConfigVerb::Show { origin } => {
            let mut rows: Vec<_> =
                loaded.origins.iter().map(|o| json!({"key": o.key, "value": o.value, "origin": o.origin})).collect();
            rows.sort_by_key(|r| r["key"].as_str().unwrap_or_default().to_owned());
            ctx.out.value(&json!({"settings": rows}), |v| {
                let rows = v["settings"].as_array().map_or(&[][..], Vec::as_slice);
                if *origin {
                    out::table(&[("KEY", "key"), ("VALUE", "value"), ("FROM", "origin")], &[], rows);
                } else {
                    out::table(&[("KEY", "key"), ("VALUE", "value")], &[], rows);
                }
            });
        }
        ConfigVerb::Check => {
            let engine = loaded.engine_config()?;
            let result = json!({
                "ok": true,
                "config_hash": settings::manifest::config_hash(&engine),
                "strategies": engine.strategies.iter().map(|s| &s.name).collect::<Vec<_>>(),
            });
            ctx.out.value(&result, |v| {
                say!("settings are good; strategies: {}; hash {}", v["strategies"], out::text(&v["config_hash"]));
            });
        }
    }
    Ok(0)
}
