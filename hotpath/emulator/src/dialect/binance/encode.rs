//! Market events in the words of Binance Spot's streams, and what the futures say alike.

use super::text::{fixed, price, qty, worth};
use crate::dialect::View;
use crate::klines::{Bar, MINUTE_MS};
use crate::source::Wire;
use crate::state::Symbol;
use axum::extract::ws::Utf8Bytes;
use domain::event::{Level, Trade};
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

/// What else a trade makes the venue say: the aggregate, which is of this one trade, the open bar of a minute, and
/// before it the bar that is over, for the last time.
pub fn derived(view: &View<'_>, symbol: &Symbol, t: &Trade) -> Vec<Wire> {
    let i = &symbol.listed.instrument;
    let (name, lower, now_ms) = (&i.symbol, i.symbol.to_lowercase(), view.now_ns / NS_PER_MS);
    let (p, q, id) = (price(i, t.price), qty(i, t.qty), t.trade_id);
    let (trade_ms, maker) = (view.venue_ns(t.ts_venue_ns) / NS_PER_MS, t.aggressor == Side::Sell);
    let head = format!(r#"{{"e":"aggTrade","E":{now_ms},"s":"{name}","a":{id},"p":"{p}","q":"{q}","f":{id},"l":{id}"#);
    let mut wires = vec![envelope(&format!("{lower}@aggTrade"), &format!(r#"{head},"T":{trade_ms},"m":{maker}}}"#))];
    let over = symbol.klines.ended(MINUTE_MS, t.ts_venue_ns).map(|bar| (bar, true));
    let open = symbol.klines.newest(MINUTE_MS, t.ts_venue_ns).map(|bar| (bar, false));
    for ((open_ms, bar), is_over) in over.into_iter().chain(open) {
        let last_id = if is_over { id.saturating_sub(1) } else { id };
        let bar = kline(i, open_ms, &bar, last_id, is_over);
        let data = format!(r#"{{"e":"kline","E":{now_ms},"s":"{name}","k":{bar}}}"#);
        wires.push(envelope(&format!("{lower}@kline_1m"), &data));
    }
    wires
}

/// A minute's bar whose newest trade is `last_id`.
fn kline(i: &Instrument, open_ms: u64, bar: &Bar, last_id: u64, is_over: bool) -> String {
    let [o, h, l, c] = bar.ohlc.map(|p| price(i, p));
    let (v, value, n) = (qty(i, bar.volume), worth(i, bar.value, bar.per_tick), bar.trades);
    let (bought, bought_value) = (qty(i, bar.taker_buy), worth(i, bar.taker_buy_value, bar.taker_buy_per_tick));
    let (close_ms, name) = (open_ms + MINUTE_MS - 1, &i.symbol);
    format!(
        r#"{{"t":{open_ms},"T":{close_ms},"s":"{name}","i":"1m","f":-1,"L":{last_id},"o":"{o}","c":"{c}","h":"{h}","l":"{l}","v":"{v}","n":{n},"x":{is_over},"q":"{value}","V":"{bought}","Q":"{bought_value}","B":"0"}}"#
    )
}

/// The combined-stream envelope.
pub fn envelope(stream: &str, data: &str) -> Wire {
    let head = format!(r#"{{"stream":"{stream}","data":"#);
    let range = head.len()..head.len() + data.len();
    Wire { stream: Arc::from(stream), text: Utf8Bytes::from(format!("{head}{data}}}")), data: range }
}

/// `[["64250.12000000","0.35120000"], ..]`.
pub fn pairs(i: &Instrument, levels: &[Level]) -> String {
    let mut text = String::from("[");
    for l in levels {
        let comma = if text.len() > 1 { "," } else { "" };
        let (p, q) = (price(i, l.price), qty(i, l.qty));
        write!(text, r#"{comma}["{p}","{q}"]"#).expect("writing to a String does not fail");
    }
    text.push(']');
    text
}
