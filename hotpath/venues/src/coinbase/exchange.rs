//! The public feed of Coinbase Exchange, as recorded in 2021: messages are told apart by `type`, levels are pairs, changes
//! name their side `buy` or `sell`. It has no number over all messages, so nothing shows a loss but the ids of trades.

use super::feed::{CoinbaseFeed, RawTrade, Ticker};
use super::instruments;
use super::l2::{Change, Unread};
use crate::adapter::Said;
use crate::wire::{self, DecodeError, RawLevel, levels, parse};
use domain::{Instrument, Side};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    bids: Vec<RawLevel<'a>>,
    #[serde(borrow)]
    asks: Vec<RawLevel<'a>>,
}

#[derive(Deserialize)]
struct Changes<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    changes: Vec<[&'a str; 3]>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Match<'a> {
    trade_id: u64,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    price: Cow<'a, str>,
    #[serde(borrow)]
    size: Cow<'a, str>,
    #[serde(borrow)]
    side: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// Reads one message of type `kind`.
pub(super) fn message(feed: &mut CoinbaseFeed, kind: &str, text: &str, out: &mut Vec<Said>) -> Result<(), DecodeError> {
    match kind {
        "snapshot" => {
            let m: Whole<'_> = parse("snapshot", text).inspect_err(|_| feed.lost("unreadable book", out))?;
            each_book(feed, &m.product_id, out, |i| whole(&m, i))
        }
        "l2update" => {
            let m: Changes<'_> = parse("l2update", text).inspect_err(|_| feed.lost("unreadable change", out))?;
            each_book(feed, &m.product_id, out, |i| changes(&m, i))
        }
        "match" | "last_match" => {
            let m: Match<'_> = parse("match", text)?;
            let Match { product_id, price, size, side, time, trade_id } = m;
            let trade = RawTrade { trade_id: trade_id.to_string().into(), product_id, price, size, side, time };
            feed.trade(&trade, "match", out)
        }
        "ticker" => {
            let ticker: Ticker<'_> = parse("ticker", text)?;
            feed.ticker(&ticker, 0, out)
        }
        "heartbeat" => {
            out.push(Said::Alive);
            Ok(())
        }
        "subscriptions" => {
            out.push(Said::Reply(None));
            Ok(())
        }
        _ => {
            out.push(Said::Other("unknown message"));
            Ok(())
        }
    }
}

fn each_book(
    feed: &mut CoinbaseFeed,
    product: &str,
    out: &mut Vec<Said>,
    read: impl Fn(&Instrument) -> Result<Change, Unread>,
) -> Result<(), DecodeError> {
    let table = Arc::clone(&feed.table);
    let mut known = false;
    for i in instruments(&table, product) {
        known = true;
        feed.change(i, read(i), out)?;
    }
    if !known {
        out.push(Said::Other("unknown symbol"));
    }
    Ok(())
}

fn whole(m: &Whole<'_>, i: &Instrument) -> Result<Change, Unread> {
    let (bids, asks) = (levels(&m.bids, i, "snapshot")?, levels(&m.asks, i, "snapshot")?);
    Ok(Change { whole: true, ts_ns: 0, bids, asks })
}

fn changes(m: &Changes<'_>, i: &Instrument) -> Result<Change, Unread> {
    let ts_ns = m.time.as_deref().and_then(wire::time_ns).unwrap_or(0);
    let mut change = Change { whole: false, ts_ns, bids: Vec::new(), asks: Vec::new() };
    for [side, price, qty] in &m.changes {
        let side = match *side {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            _ => return Err(Unread::Unknown("unknown book side")),
        };
        change.push(side, price, qty, i)?;
    }
    Ok(change)
}
