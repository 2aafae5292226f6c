//! One-minute candles out of trades, by the venue's trade time. Exact whole numbers, no bar for a minute without
//! trades, and a mark on every minute in which a trade may be missing.

use crate::DataError;
use lake::{CandleRow, Day, TradeRow};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A minute, ns.
pub const MINUTE_NS: i64 = 60_000_000_000;

/// The candles of one day's trades, in order of id.
///
/// A candle is `complete` when the ids inside follow each other without a gap, and so do those to the trades next to
/// it. `before` and `after` are the ids of the trades next to the day, where they are known.
///
/// # Errors
/// [`DataError::Value`] when a volume does not fit.
pub fn candles(
    trades: &[TradeRow],
    day: Day,
    before: Option<u64>,
    after: Option<u64>,
) -> Result<Vec<CandleRow>, DataError> {
    let neighbour = |id: Option<u64>| id.and_then(|id| i64::try_from(id).ok());
    let mut candles: BTreeMap<i64, CandleRow> = BTreeMap::new();
    // Id of the trade before, and the minute it is in.
    let (mut previous, mut minute) = (neighbour(before), None);
    for trade in trades.iter().filter(|t| day.contains(t.ts_venue_ns)) {
        let follows = previous == Some(trade.trade_id - 1);
        let open_ns = trade.ts_venue_ns - trade.ts_venue_ns.rem_euclid(MINUTE_NS);
        // What is missing between two trades may belong to the minute of either.
        if let Some(last) = minute.filter(|_| !follows).and_then(|minute| candles.get_mut(&minute)) {
            last.complete = false;
        }
        match candles.entry(open_ns) {
            Entry::Occupied(mut candle) => add(candle.get_mut(), trade, follows)?,
            Entry::Vacant(place) => drop(place.insert(first(open_ns, trade, follows))),
        }
        (previous, minute) = (Some(trade.trade_id), Some(open_ns));
    }
    // Nothing proves that the last minute has ended, but the trade after it.
    if let Some(last) = minute.and_then(|minute| candles.get_mut(&minute)) {
        last.complete &= previous.is_some() && neighbour(after) == previous.map(|id| id + 1);
    }
    Ok(candles.into_values().collect())
}

fn first(ts_open_ns: i64, t: &TradeRow, complete: bool) -> CandleRow {
    CandleRow {
        ts_open_ns,
        open: t.price,
        high: t.price,
        low: t.price,
        close: t.price,
        volume: t.qty,
        trades: 1,
        first_trade_id: t.trade_id,
        last_trade_id: t.trade_id,
        complete,
    }
}

fn add(candle: &mut CandleRow, t: &TradeRow, follows: bool) -> Result<(), DataError> {
    let sum = candle.volume.checked_add(t.qty);
    candle.volume = sum.ok_or_else(|| DataError::Value("the volume of a minute does not fit a column".to_owned()))?;
    candle.high = candle.high.max(t.price);
    candle.low = candle.low.min(t.price);
    candle.close = t.price;
    candle.trades += 1;
    candle.last_trade_id = t.trade_id;
    candle.complete &= follows;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: i64 = 1_723_161_300_000_000_000;

    fn trade(id: i64, second: i64, price: i64, qty: i64) -> TradeRow {
        let ts = OPEN + second * 1_000_000_000;
        TradeRow { ts_venue_ns: ts, ts_recv_ns: ts, trade_id: id, price, qty, aggressor_buy: true }
    }
    fn build(trades: &[TradeRow], before: Option<u64>, after: Option<u64>) -> Vec<CandleRow> {
        candles(trades, Day::of_ns(OPEN), before, after).unwrap()
    }

    #[test]
    fn a_minute_by_hand() {
        let trades = [trade(7, 0, 100, 1), trade(8, 10, 105, 2), trade(9, 59, 95, 3), trade(10, 60, 99, 4)];
        let got = build(&trades, Some(6), Some(11));
        let want = CandleRow {
            ts_open_ns: OPEN,
            open: 100,
            high: 105,
            low: 95,
            close: 95,
            volume: 6,
            trades: 3,
            first_trade_id: 7,
            last_trade_id: 9,
            complete: true,
        };
        assert_eq!((got.len(), &got[0]), (2, &want));
        assert_eq!((got[1].ts_open_ns, got[1].volume, got[1].complete), (OPEN + MINUTE_NS, 4, true));
    }

    #[test]
    fn a_minute_with_a_possible_hole_is_marked() {
        let marks = |trades: &[TradeRow], before, after| -> Vec<bool> {
            build(trades, before, after).iter().map(|c| c.complete).collect()
        };
        let two = [trade(7, 0, 1, 1), trade(8, 60, 1, 1)];
        assert_eq!(marks(&two, Some(6), Some(9)), [true, true]);
        assert_eq!(marks(&two, None, None), [false, false], "nothing before and nothing after is known");
        assert_eq!(marks(&two, Some(5), Some(10)), [false, false], "a trade is missing on either side");
        let gap_between = [trade(7, 0, 1, 1), trade(9, 60, 1, 1)];
        assert_eq!(marks(&gap_between, Some(6), Some(10)), [false, false], "it may belong to either minute");
        let gap_inside = [trade(7, 0, 1, 1), trade(9, 5, 1, 1), trade(10, 61, 1, 1)];
        assert_eq!(marks(&gap_inside, Some(6), Some(11)), [false, true]);
    }

    #[test]
    fn a_trade_whose_time_is_a_moment_back_counts_in_its_own_minute() {
        let got = build(&[trade(1, 59, 5, 1), trade(2, 60, 6, 1), trade(3, 59, 7, 1)], Some(0), Some(4));
        let told: Vec<_> = got.iter().map(|c| (c.trades, c.close, c.complete)).collect();
        assert_eq!(told, [(2, 7, true), (1, 6, true)]);
    }

    #[test]
    fn minutes_without_trades_have_no_candle() {
        let got = build(&[trade(1, 0, 1, 1), trade(2, 240, 1, 1)], Some(0), Some(3));
        assert_eq!(got.iter().map(|c| (c.ts_open_ns - OPEN) / MINUTE_NS).collect::<Vec<_>>(), [0, 4]);
        assert!(build(&[], Some(1), Some(2)).is_empty());
    }
}
