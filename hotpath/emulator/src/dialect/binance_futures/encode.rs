//! Market events in the words of the futures' streams. COIN-M names the pair beside the symbol in some of them.

use super::super::binance::encode::{derived, envelope, pairs};
use super::super::binance::text::{fixed, price, qty};
use super::super::words::{ms, rules};
use super::View;
use crate::source::Wire;
use crate::state::Symbol;
use domain::event::Trade;
use domain::instrument::Contract;
use domain::{Event, Instrument, InstrumentId, Side};

/// Ids here have holes: three for each change there was, so that `U` does not follow the `u` before it.
const IDS: u64 = 3;
/// Every so many trades, one closes somebody's position by force.
const LIQUIDATION_EVERY: u64 = 40;

/// An id of a book in the venue's counting.
pub const fn id(last_id: u64) -> u64 {
    last_id * IDS
}

/// True for contracts settled in base, which are those of COIN-M.
pub const fn is_inverse(i: &Instrument) -> bool {
    matches!(i.contract, Contract::Inverse(_))
}

/// What is traded against what: `BTCUSD` of `BTCUSD_PERP`; the symbol itself on USD-M.
pub fn pair(i: &Instrument) -> &str {
    i.symbol.split_once('_').map_or(i.symbol.as_str(), |(pair, _)| pair)
}

/// The symbol, on COIN-M with the pair behind it.
fn named(i: &Instrument) -> String {
    let symbol = format!(r#""s":"{}""#, i.symbol);
    if is_inverse(i) { format!(r#"{symbol},"ps":"{}""#, pair(i)) } else { symbol }
}

/// The texts of an event.
pub fn wires(view: &View<'_>, event: &Event) -> Vec<Wire> {
    match event {
        Event::BookDelta(_) | Event::Quote(_) => Vec::from_iter(wire(view, event)),
        Event::Trade(t) => {
            let Some(symbol) = view.symbols.get(usize::from(t.instrument.0)) else { return Vec::new() };
            let mut wires = Vec::from_iter(wire(view, event));
            wires.extend(derived(view, symbol, t));
            if t.trade_id.is_multiple_of(LIQUIDATION_EVERY) {
                wires.push(liquidation(view, rules(symbol), t));
            }
            wires
        }
        _ => Vec::new(),
    }
}

fn wire(view: &View<'_>, event: &Event) -> Option<Wire> {
    let now = ms(view.now_ns);
    let rules_of = |id: InstrumentId| view.symbols.get(usize::from(id.0)).map(rules);
    let (i, channel, data) = match event {
        Event::BookDelta(d) => {
            let i = rules_of(d.instrument)?;
            let (bids, asks) = (pairs(i, &d.bids), pairs(i, &d.asks));
            let before = id(d.first_id - 1);
            let (first, last) = (before + IDS - 1, id(d.last_id));
            let head = format!(r#"{{"e":"depthUpdate","E":{now},"T":{now},{},"U":{first},"u":{last}"#, named(i));
            (i, "depth@100ms", format!(r#"{head},"pu":{before},"b":{bids},"a":{asks}}}"#))
        }
        Event::Trade(t) => {
            let i = rules_of(t.instrument)?;
            let (p, q, maker) = (price(i, t.price), qty(i, t.qty), t.aggressor == Side::Sell);
            let at = ms(view.venue_ns(t.ts_venue_ns));
            let head = format!(r#"{{"e":"trade","E":{now},"T":{at},"s":"{}","t":{}"#, i.symbol, t.trade_id);
            (i, "trade", format!(r#"{head},"p":"{p}","q":"{q}","X":"MARKET","m":{maker}}}"#))
        }
        Event::Quote(q) => {
            let i = rules_of(q.instrument)?;
            let (b, bq) = (price(i, q.bid.price), qty(i, q.bid.qty));
            let (a, aq) = (price(i, q.ask.price), qty(i, q.ask.qty));
            let (kind, update) = (r#""e":"bookTicker""#, format!(r#""u":{}"#, id(q.update_id)));
            // As recorded: COIN-M begins with the id.
            let head = if is_inverse(i) { format!("{update},{kind}") } else { format!("{kind},{update}") };
            let rest = format!(r#""b":"{b}","B":"{bq}","a":"{a}","A":"{aq}","T":{now},"E":{now}"#);
            (i, "bookTicker", format!("{{{head},{},{rest}}}", named(i)))
        }
        _ => return None,
    };
    Some(envelope(&format!("{}@{channel}", i.symbol.to_lowercase()), &data))
}

/// A taker who sells out was long.
fn liquidation(view: &View<'_>, i: &Instrument, t: &Trade) -> Wire {
    let (p, q, now) = (price(i, t.price), qty(i, t.qty), ms(view.now_ns));
    let side = match t.aggressor {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    };
    let order = format!(
        r#"{{{},"S":"{side}","o":"LIMIT","f":"IOC","q":"{q}","p":"{p}","ap":"{p}","X":"FILLED","l":"{q}","z":"{q}","T":{now}}}"#,
        named(i)
    );
    let data = format!(r#"{{"e":"forceOrder","E":{now},"o":{order}}}"#);
    envelope(&format!("{}@forceOrder", i.symbol.to_lowercase()), &data)
}

/// `markPriceUpdate`: the middle of the best prices stands for both mark and index.
pub fn valuation(view: &View<'_>, symbol: &Symbol) -> Option<String> {
    let (i, now) = (rules(symbol), ms(view.now_ns));
    let (price, next) = (mark_price(symbol)?, next_funding_ms(now));
    let head = format!(r#"{{"e":"markPriceUpdate","E":{now},"s":"{}","p":"{price}","i":"{price}""#, i.symbol);
    Some(format!(r#"{head},"P":"{price}","r":"0.00010000","T":{next}}}"#))
}

/// The middle of the best prices; marks have more digits than the tick.
pub fn mark_price(symbol: &Symbol) -> Option<String> {
    let best = |side| symbol.truth.side(side, 1).first().map(|l| l.price.get());
    let (bid, ask) = (best(Side::Buy)?, best(Side::Sell)?);
    Some(fixed(rules(symbol).tick.times(i64::midpoint(bid, ask))))
}

/// Funding is paid every eight hours.
pub const fn next_funding_ms(now_ms: u64) -> u64 {
    const EVERY_MS: u64 = 8 * 3_600_000;
    (now_ms / EVERY_MS + 1) * EVERY_MS
}
