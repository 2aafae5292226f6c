//! Kraken's messages about the market. Numbers are JSON numbers with all their digits, so they are put together as text.

use super::super::words::{full, rfc3339, rules};
use super::super::{Frame, Kind, View};
use super::CHECKED;
use crate::klines::MINUTE_MS;
use crate::truth::Truth;
use domain::event::{Level, Quote, Trade};
use domain::{Instrument, Side};

fn rows(i: &Instrument, levels: &[Level]) -> String {
    let row = |l: &Level| {
        let (price, qty) = full(i, l);
        format!(r#"{{"price":{price},"qty":{qty}}}"#)
    };
    levels.iter().map(row).collect::<Vec<_>>().join(",")
}

/// A whole book or a change, with the checksum of the book after it.
pub fn book(view: &View<'_>, at: usize, kind: Kind, (bids, asks): &(Vec<Level>, Vec<Level>), sum: u32) -> Frame {
    let i = rules(&view.symbols[at]);
    let word = if kind == Kind::Snapshot { "snapshot" } else { "update" };
    let (bids, asks, time) = (rows(i, bids), rows(i, asks), rfc3339(view.now_ns));
    let text = format!(
        r#"{{"channel":"book","type":"{word}","data":[{{"symbol":"{}","bids":[{bids}],"asks":[{asks}],"checksum":{sum},"timestamp":"{time}"}}]}}"#,
        i.symbol
    );
    view.frame(kind, at, text)
}

/// CRC32 of the ten best asks, then bids: price and size as they are written, without point and leading zeros.
pub fn checksum(i: &Instrument, book: &Truth) -> u32 {
    let mut text = String::new();
    for level in book.side(Side::Sell, CHECKED).iter().chain(&book.side(Side::Buy, CHECKED)) {
        let (price, qty) = full(i, level);
        for number in [price, qty] {
            text.push_str(number.replace('.', "").trim_start_matches('0'));
        }
    }
    crc32fast::hash(text.as_bytes())
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// A trade; the side is the taker's.
pub fn trade(view: &View<'_>, at: usize, t: &Trade) -> Frame {
    let i = rules(&view.symbols[at]);
    let (price, qty, id, side) = (i.price(t.price), i.qty(t.qty), t.trade_id, side(t.aggressor));
    let time = rfc3339(view.venue_ns(t.ts_venue_ns));
    let text = format!(
        r#"{{"channel":"trade","type":"update","data":[{{"symbol":"{}","side":"{side}","price":{price},"qty":{qty},"ord_type":"market","trade_id":{id},"timestamp":"{time}"}}]}}"#,
        i.symbol
    );
    view.frame(Kind::Trade, at, text)
}

/// Best prices; the other numbers stand for what a day would bring.
pub fn ticker(view: &View<'_>, at: usize, q: &Quote) -> Frame {
    let i = rules(&view.symbols[at]);
    let ((bid, bid_qty), (ask, ask_qty)) = (full(i, &q.bid), full(i, &q.ask));
    let time = rfc3339(view.now_ns);
    let text = format!(
        r#"{{"channel":"ticker","type":"update","data":[{{"symbol":"{}","bid":{bid},"bid_qty":{bid_qty},"ask":{ask},"ask_qty":{ask_qty},"last":{bid},"volume":0.00000000,"vwap":{bid},"low":{bid},"high":{ask},"change":0.0,"change_pct":0.00,"timestamp":"{time}"}}]}}"#,
        i.symbol
    );
    view.frame(Kind::Quote, at, text)
}

/// The open bar of so many minutes.
pub fn bar(view: &View<'_>, at: usize, minutes: u64, ts_ns: u64) -> Option<Frame> {
    let symbol = &view.symbols[at];
    let i = rules(symbol);
    let (open_ms, bar) = symbol.klines.newest(minutes * MINUTE_MS, ts_ns)?;
    let [o, h, l, c] = bar.ohlc.map(|p| i.price(p));
    let (volume, begin) = (i.qty(bar.volume), rfc3339(open_ms * 1_000_000));
    let text = format!(
        r#"{{"channel":"ohlc","type":"update","timestamp":"{}","data":[{{"symbol":"{}","interval":{minutes},"interval_begin":"{begin}","open":{o},"high":{h},"low":{l},"close":{c},"volume":{volume},"vwap":{c},"trades":{}}}]}}"#,
        rfc3339(view.now_ns),
        i.symbol,
        bar.trades
    );
    Some(view.frame(Kind::Bar, at, text))
}

#[cfg(test)]
mod tests {
    use super::super::{Kraken, MARKETS};
    use super::*;
    use crate::dialect::Dialect;
    use domain::InstrumentId;
    use domain::event::BookSnapshot;

    /// The venue's published example.
    #[test]
    fn the_published_checksum_is_computed() {
        let asks = "45285.2 0.00100000, 45286.4 1.54571953, 45286.6 1.54571109, 45289.6 1.54560911, 45290.2 0.15890660, \
            45291.8 1.54553491, 45294.7 0.04454749, 45296.1 0.35380000, 45297.5 0.09945542, 45299.5 0.18772827";
        let bids = "45283.5 0.10000000, 45283.4 1.54582015, 45282.1 0.10000000, 45281.0 0.10000000, 45280.3 1.54592586, \
            45279.0 0.07990000, 45277.6 0.03310103, 45277.5 0.30000000, 45277.3 1.54602737, 45276.6 0.15445238";
        let i = Kraken.instrument(InstrumentId(0), &MARKETS[0]).unwrap();
        let levels = |text: &str| -> Vec<Level> {
            let level = |pair: &str| {
                let (price, qty) = pair.trim().split_once(' ').unwrap();
                let qty = u64::try_from(i.lot.count(qty).unwrap()).unwrap();
                Level { price: domain::Ticks::new(i.tick.count(price).unwrap()), qty: domain::Lots::new(qty) }
            };
            text.split(',').map(level).collect()
        };
        let book = BookSnapshot {
            instrument: i.id,
            ts_venue_ns: 0,
            last_id: 1,
            bids: levels(bids),
            asks: levels(asks),
            checksum: None,
        };
        assert_eq!(checksum(&i, &Truth::of(&book)), 3_310_070_434);
    }
}
