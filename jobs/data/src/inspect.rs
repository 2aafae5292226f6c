//! Facts about a capture, for people who want to know what they have.

use crate::DataError;
use crate::capture::{Scan, scan};
use serde_json::{Value, json};
use std::path::Path;

/// Looks through the capture in `path`: lines, kinds, symbols, times, clock offset, breaks, damage. With it the exit code:
/// 1 when it is damaged or holds no market data, because nothing else will take it.
///
/// # Errors
/// As [`scan`].
pub fn inspect(path: &Path) -> Result<(Value, u8), DataError> {
    let scan = scan(path)?;
    let symbols: serde_json::Map<String, Value> = scan
        .symbols
        .iter()
        .map(|(name, s)| {
            let facts = json!({
                "depth": s.depth, "trades": s.trades, "quotes": s.quotes,
                "sequence_breaks": s.sequence_breaks, "trade_gaps": s.trade_gaps,
            });
            (name.clone(), facts)
        })
        .collect();
    let count = |of: fn(&crate::capture::Symbol) -> u64| scan.symbols.values().map(of).sum::<u64>();
    let usable = scan.damage.is_none() && !scan.symbols.is_empty();
    let found = json!({
        "file": path.display().to_string(),
        "lines": scan.lines,
        "by_type": {
            "depth": count(|s| s.depth), "trade": count(|s| s.trades), "book_ticker": count(|s| s.quotes),
            "snapshot": scan.snapshots.len(), "other": scan.other,
        },
        "first_recv_ns": scan.span_ns.map(|s| s.0),
        "last_recv_ns": scan.span_ns.map(|s| s.1),
        "out_of_order": scan.out_of_order,
        "symbols": symbols,
        "snapshot_lines": scan.snapshots,
        "sequence_breaks": count(|s| s.sequence_breaks),
        "clock_offset_ms": offsets(&scan),
        "truncated": scan.truncated,
        "damage": scan.damage,
    });
    Ok((found, u8::from(!usable)))
}

/// Receive time less event time; negative when the recorder's clock was behind the venue's.
fn offsets(scan: &Scan) -> Value {
    let (Some(min), Some(max)) = (scan.offsets_ms.first(), scan.offsets_ms.last()) else { return Value::Null };
    json!({ "min": min, "median": scan.offsets_ms[scan.offsets_ms.len() / 2], "max": max })
}
