//! Market events in the words of Binance Spot's streams.

use super::text::fixed;
use crate::source::Wire;
use axum::extract::ws::Utf8Bytes;
use domain::event::Level;
use domain::{Event, Instrument, Side};
use std::fmt::Write as _;
use std::sync::Arc;

const NS_PER_MS: u64 = 1_000_000;

/// The event as the venue would write it at `now_ns` of its clock, which is `shift_ns` ahead of the market's.
pub fn wire(i: &Instrument, now_ns: u64, shift_ns: i64, event: &Event) -> Option<Wire> {
    let ms = |ts_ns: u64| ts_ns.saturating_add_signed(shift_ns) / NS_PER_MS;
    let (symbol, now_ms) = (&i.symbol, now_ns / NS_PER_MS);
    let (channel, data) = match event {
        Event::BookDelta(d) => {
            let (bids, asks) = (pairs(i, &d.bids), pairs(i, &d.asks));
            let (first, last) = (d.first_id, d.last_id);
            let head = format!(r#"{{"e":"depthUpdate","E":{now_ms},"s":"{symbol}","U":{first},"u":{last}"#);
            ("depth@100ms", format!(r#"{head},"b":{bids},"a":{asks}}}"#))
        }
        Event::Trade(t) => {
            let (p, q, id) = (fixed(i.price(t.price)), fixed(i.qty(t.qty)), t.trade_id);
            let (trade_ms, maker) = (ms(t.ts_venue_ns), t.aggressor == Side::Sell);
            let head = format!(r#"{{"e":"trade","E":{now_ms},"s":"{symbol}","t":{id},"p":"{p}","q":"{q}""#);
            ("trade", format!(r#"{head},"T":{trade_ms},"m":{maker},"M":true}}"#))
        }
        Event::Quote(q) => {
            let text = |l: Level| (fixed(i.price(l.price)), fixed(i.qty(l.qty)));
            let ((b, bq), (a, aq)) = (text(q.bid), text(q.ask));
            let id = q.update_id;
            ("bookTicker", format!(r#"{{"u":{id},"s":"{symbol}","b":"{b}","B":"{bq}","a":"{a}","A":"{aq}"}}"#))
        }
        _ => return None,
    };
    Some(envelope(&format!("{}@{channel}", symbol.to_lowercase()), &data))
}

/// The combined-stream envelope.
pub fn envelope(stream: &str, data: &str) -> Wire {
    let head = format!(r#"{{"stream":"{stream}","data":"#);
    let range = head.len()..head.len() + data.len();
    Wire { stream: Arc::from(stream), text: Utf8Bytes::from(format!("{head}{data}}}")), data: range }
}

fn pairs(i: &Instrument, levels: &[Level]) -> String {
    let mut text = String::from("[");
    for l in levels {
        let comma = if text.len() > 1 { "," } else { "" };
        let (p, q) = (fixed(i.price(l.price)), fixed(i.qty(l.qty)));
        write!(text, r#"{comma}["{p}","{q}"]"#).expect("writing to a String does not fail");
    }
    text.push(']');
    text
}
