//! The channel `instrument`: rules and status of every market at once, then of those that change.

use super::super::words::rules;
use super::super::{Frame, Kind, View};
use crate::state::Symbol;
use domain::event::Allowed;
use domain::{Asset, Decimal};
use std::collections::BTreeSet;

/// The venue's word for what a market lets be done.
pub const fn status(allowed: Allowed) -> &'static str {
    match allowed {
        Allowed::All => "online",
        Allowed::PostOnly => "post_only",
        Allowed::CancelOnly => "cancel_only",
        Allowed::Nothing => "maintenance",
    }
}

/// All assets and all pairs.
pub fn snapshot(view: &View<'_>) -> Frame {
    let assets: BTreeSet<Asset> = view.symbols.iter().flat_map(|s| [rules(s).base, rules(s).quote]).collect();
    let assets: Vec<String> = assets.iter().map(asset).collect();
    let pairs: Vec<String> = view.symbols.iter().map(pair).collect();
    view.reply(message("snapshot", &assets, &pairs))
}

/// The pair that changed.
pub fn update(view: &View<'_>, at: usize) -> Frame {
    view.frame(Kind::Other, at, message("update", &[], &[pair(&view.symbols[at])]))
}

fn message(kind: &str, assets: &[String], pairs: &[String]) -> String {
    let (assets, pairs) = (assets.join(","), pairs.join(","));
    format!(r#"{{"channel":"instrument","type":"{kind}","data":{{"assets":[{assets}],"pairs":[{pairs}]}}}}"#)
}

fn asset(name: &Asset) -> String {
    format!(r#"{{"id":"{name}","status":"enabled","precision":10,"precision_display":5,"borrowable":false}}"#)
}

/// Numbers are JSON numbers with all their digits, so they are put together as text.
fn pair(s: &Symbol) -> String {
    let i = rules(s);
    let (tick, lot) = (i.tick.times(1), i.lot.times(1));
    let (price_digits, qty_digits, least) = (i.tick.scale, i.lot.scale, Decimal::new(5, 5));
    format!(
        r#"{{"symbol":"{}","base":"{}","quote":"{}","status":"{}","qty_precision":{qty_digits},"qty_increment":{lot},"price_precision":{price_digits},"cost_precision":5,"marginable":false,"has_index":true,"cost_min":0.50,"tick_size":{tick},"price_increment":{tick},"qty_min":{least}}}"#,
        i.symbol,
        i.base,
        i.quote,
        status(s.allowed)
    )
}
