//! Bybit's messages about the market.

use super::super::words::{ms, pairs, rules};
use super::super::{Frame, Kind, View};
use super::update_id;
use domain::Side;
use domain::event::{Level, Trade};
use serde_json::json;

/// A whole book or a change of the topic with so many levels.
pub fn book(
    view: &View<'_>,
    at: usize,
    depth: usize,
    kind: Kind,
    word: &str,
    (bids, asks): &(Vec<Level>, Vec<Level>),
    changes: u64,
) -> Frame {
    let i = rules(&view.symbols[at]);
    let (now, cts) = (ms(view.now_ns), ms(view.venue_ns(view.symbols[at].truth.ts_ns)));
    let (bids, asks, u) = (pairs(i, bids), pairs(i, asks), update_id(changes));
    let seq = view.symbols[at].truth.last_id;
    let data = format!(r#"{{"s":"{}","b":{bids},"a":{asks},"u":{u},"seq":{seq}}}"#, i.symbol);
    let topic = format!("orderbook.{depth}.{}", i.symbol);
    let text = format!(r#"{{"topic":"{topic}","type":"{word}","ts":{now},"data":{data},"cts":{cts}}}"#);
    view.frame(kind, at, text)
}

/// Trade ids are numbers on spot. Of contracts they are UUIDs without any order, which differ from their first digits on.
fn trade_id(id: u64, spot: bool) -> String {
    if spot {
        return (2_290_000_000_000_000_000 + id).to_string();
    }
    // The finalizer of splitmix64: one to one, and neighbours have nothing in common.
    let mixed = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mixed = mixed ^ (mixed >> 31);
    let [head, middle, tail] = [mixed >> 32, (mixed >> 16) & 0xffff, (mixed >> 4) & 0xfff];
    format!("{head:08x}-{middle:04x}-5{tail:03x}-8000-{:012x}", id & 0xffff_ffff_ffff)
}

/// A trade; the side is the taker's.
pub fn trade(view: &View<'_>, at: usize, t: &Trade, spot: bool) -> Frame {
    let i = rules(&view.symbols[at]);
    let side = match t.aggressor {
        Side::Buy => "Buy",
        Side::Sell => "Sell",
    };
    let row = json!({"T": ms(view.venue_ns(t.ts_venue_ns)), "s": i.symbol, "S": side, "v": i.qty(t.qty).to_string(),
        "p": i.price(t.price).to_string(), "L": "PlusTick", "i": trade_id(t.trade_id, spot), "BT": false, "RPI": false,
        "seq": t.trade_id});
    let topic = format!("publicTrade.{}", i.symbol);
    let text = json!({"topic": topic, "type": "snapshot", "ts": ms(view.now_ns), "data": [row]});
    view.frame(Kind::Trade, at, text.to_string())
}

/// `Buy` = a long was closed, which is when the taker sells.
pub fn liquidation(view: &View<'_>, at: usize, t: &Trade) -> Frame {
    let i = rules(&view.symbols[at]);
    let side = match t.aggressor {
        Side::Buy => "Sell",
        Side::Sell => "Buy",
    };
    let (qty, price) = (i.qty(t.qty).to_string(), i.price(t.price).to_string());
    let row = json!({"T": ms(view.venue_ns(t.ts_venue_ns)), "s": i.symbol, "S": side, "v": qty, "p": price});
    let topic = format!("allLiquidation.{}", i.symbol);
    let text = json!({"topic": topic, "type": "snapshot", "ts": ms(view.now_ns), "data": [row]});
    view.frame(Kind::Other, at, text.to_string())
}
