//! Slow-changing facts: trading rules out of `exchangeInfo`, and candles. Read at start and by jobs, not on the hot
//! path.

use super::{DecodeError, Market, ms_to_ns};
use crate::wire;
use domain::event::Bar;
use domain::instrument::{BookRule, Contract};
use domain::{Asset, Decimal, Increment, Instrument, InstrumentId, TickLots};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct ExchangeInfo<'a> {
    #[serde(borrow)]
    symbols: Vec<Symbol<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Symbol<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    base_asset: Cow<'a, str>,
    #[serde(borrow)]
    quote_asset: Cow<'a, str>,
    /// COIN-M only: what one contract is worth in quote.
    #[serde(borrow)]
    contract_size: Option<&'a RawValue>,
    #[serde(borrow)]
    filters: Vec<Filter<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter<'a> {
    filter_type: &'a str,
    tick_size: Option<&'a str>,
    step_size: Option<&'a str>,
    min_qty: Option<&'a str>,
    max_qty: Option<&'a str>,
    min_notional: Option<&'a str>,
    /// The same on USD-M.
    notional: Option<&'a str>,
}

/// The rules of the `wanted` symbols out of an `exchangeInfo` reply of Spot; see [`instruments_in`].
///
/// # Errors
/// [`DecodeError`] when a symbol or one of its rules is missing or unreadable.
pub fn instruments(text: &str, wanted: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
    instruments_in(Market::Spot, &[text], wanted)
}

/// The rules of the `wanted` symbols out of `exchangeInfo` replies of `market`, as version 1, with ids in the order of
/// `wanted`.
///
/// `PRICE_FILTER` gives the tick, `LOT_SIZE` the lot and the size limits, `NOTIONAL` (or the older `MIN_NOTIONAL`) the
/// smallest value, rounded up to a whole tick·lot.
///
/// # Errors
/// [`DecodeError`] when a symbol or one of its rules is missing or unreadable.
pub fn instruments_in(market: Market, answers: &[&str], wanted: &[&str]) -> Result<Vec<Instrument>, DecodeError> {
    const WHAT: &str = "exchangeInfo";
    let all = answers
        .iter()
        .map(|text| serde_json::from_str::<ExchangeInfo<'_>>(text).map_err(|e| DecodeError::shape(WHAT, e, text)))
        .collect::<Result<Vec<_>, _>>()?;
    let one = |(n, symbol): (usize, &&str)| {
        let found = all.iter().flat_map(|info| &info.symbols).find(|s| s.symbol == *symbol);
        let excerpt = answers.first().copied().unwrap_or_default();
        let found = found.ok_or_else(|| DecodeError::shape(WHAT, format_args!("it lacks {symbol}"), excerpt))?;
        let id = u16::try_from(n).map_err(|e| DecodeError::shape(WHAT, e, excerpt))?;
        instrument(market, InstrumentId(id), found)
    };
    wanted.iter().enumerate().map(one).collect()
}

/// All symbols in an `exchangeInfo` reply, in its order.
///
/// # Errors
/// [`DecodeError`] when it is something else.
pub fn symbols(text: &str) -> Result<Vec<String>, DecodeError> {
    let info: ExchangeInfo<'_> = serde_json::from_str(text).map_err(|e| DecodeError::shape("exchangeInfo", e, text))?;
    Ok(info.symbols.into_iter().map(|s| s.symbol.into_owned()).collect())
}

fn instrument(market: Market, id: InstrumentId, s: &Symbol<'_>) -> Result<Instrument, DecodeError> {
    const WHAT: &str = "exchangeInfo";
    let symbol = s.symbol.as_ref();
    let bad = |cause: String| DecodeError::shape(WHAT, cause, symbol);
    let filter = |kind: &str| s.filters.iter().find(|f| f.filter_type == kind);
    let field = |kind: &str, get: fn(&Filter<'_>) -> Option<String>| {
        filter(kind).and_then(get).ok_or_else(|| bad(format!("{symbol} has no usable {kind}")))
    };
    let number = |name| DecodeError::number(WHAT, symbol, name);
    let step = |text: String, name| Increment::parse(&text).map_err(number(name));
    let short = |text: &str| Asset::from(text).map_err(|e| bad(e.to_string()));

    let mut i = Instrument {
        id,
        version: 1,
        venue: market.venue(),
        symbol: symbol.parse().map_err(|_| bad(format!("the symbol {symbol} is too long")))?,
        base: short(&s.base_asset)?,
        quote: short(&s.quote_asset)?,
        tick: step(field("PRICE_FILTER", |f| f.tick_size.map(str::to_owned))?, "tickSize")?,
        lot: step(field("LOT_SIZE", |f| f.step_size.map(str::to_owned))?, "stepSize")?,
        qty_min: domain::Lots::ZERO,
        qty_max: domain::Lots::ZERO,
        value_min: TickLots::ZERO,
        contract: Contract::Spot,
        trade: matches!(market, Market::Spot),
        book: BookRule::ASKED,
    };
    match market {
        Market::Spot => {}
        Market::UsdM => i.contract = Contract::Linear(Decimal::new(1, 0)),
        Market::CoinM => {
            let size = s.contract_size.ok_or_else(|| bad(format!("{symbol} has no contractSize")))?;
            let size = size.get().trim_matches('"');
            i.contract = Contract::Inverse(Decimal::parse(size).map_err(number("contractSize"))?);
        }
    }
    i.qty_min = wire::qty(&field("LOT_SIZE", |f| f.min_qty.map(str::to_owned))?, &i, WHAT)?;
    i.qty_max = wire::qty(&field("LOT_SIZE", |f| f.max_qty.map(str::to_owned))?, &i, WHAT)?;
    let notional = filter("NOTIONAL").or_else(|| filter("MIN_NOTIONAL"));
    let notional = notional.and_then(|f| f.min_notional.or(f.notional));
    if let Some(text) = notional {
        i.value_min = value_ceil(&i, Decimal::parse(text).map_err(number("minNotional"))?);
    }
    Ok(i)
}

fn value_ceil(i: &Instrument, amount: Decimal) -> TickLots {
    let floor = i.value_floor(amount);
    if i.value(floor) == amount { floor } else { TickLots::new(floor.get() + 1) }
}

/// One candle of `GET /api/v3/klines`. Prices in quote per base, volumes in their own asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kline {
    /// Start, venue clock, ns; with the interval the candle's identity.
    pub open_ns: u64,
    /// Last millisecond inside it, venue clock, ns.
    pub close_ns: u64,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Volume in base.
    pub volume: Decimal,
    /// Volume in quote.
    pub quote_volume: Decimal,
    /// Number of trades.
    pub trades: u64,
    /// Volume bought by takers, in base.
    pub taker_buy_volume: Decimal,
}

type RawKline = (
    u64,
    Decimal,
    Decimal,
    Decimal,
    Decimal,
    Decimal,
    u64,
    Decimal,
    u64,
    Decimal,
    serde::de::IgnoredAny,
    serde::de::IgnoredAny,
);

/// Reads the reply of `GET /api/v3/klines`, oldest first. The last row is usually not finished yet.
///
/// # Errors
/// [`DecodeError`] when it is something else.
pub fn klines(text: &str) -> Result<Vec<Kline>, DecodeError> {
    let rows: Vec<RawKline> = serde_json::from_str(text).map_err(|e| DecodeError::shape("klines", e, text))?;
    let one =
        |(open_ms, open, high, low, close, volume, close_ms, quote_volume, trades, taker_buy_volume, _, _)| Kline {
            open_ns: ms_to_ns(open_ms),
            close_ns: ms_to_ns(close_ms),
            open,
            high,
            low,
            close,
            volume,
            quote_volume,
            trades,
            taker_buy_volume,
        };
    Ok(rows.into_iter().map(one).collect())
}

/// Reads a reply of klines as bars of `seconds`, oldest first. Rows do not say whether they are finished and the reply
/// states no time, so the newest one counts as unfinished: nothing proves that it is.
///
/// # Errors
/// [`DecodeError`] when it is something else.
pub fn bars(text: &str, i: &Instrument, seconds: u32) -> Result<Vec<Bar>, DecodeError> {
    const WHAT: &str = "klines";
    let bad = |cause: String| DecodeError::shape(WHAT, cause, text);
    let rows: Vec<Vec<&RawValue>> = super::decode::parse(WHAT, text)?;
    let one = |(n, row): (usize, &Vec<&RawValue>)| {
        let cell = |at: usize| row.get(at).map(|v| v.get()).ok_or_else(|| bad(format!("row {n} is short")));
        let number = |at| cell(at).map(|text| text.trim_matches('"'));
        let open_ms = cell(0)?.parse().map_err(|e| bad(format!("row {n} begins with no time: {e}")))?;
        Ok(Bar {
            instrument: i.id,
            seconds,
            open_ns: ms_to_ns(open_ms),
            open: wire::price(number(1)?, i, WHAT)?,
            high: wire::price(number(2)?, i, WHAT)?,
            low: wire::price(number(3)?, i, WHAT)?,
            close: wire::price(number(4)?, i, WHAT)?,
            volume: wire::public_qty(number(5)?, i, WHAT)?,
            last: true,
        })
    };
    let mut bars = rows.iter().enumerate().map(one).collect::<Result<Vec<Bar>, _>>()?;
    // They come in order; which one is the newest is not left to that.
    bars.sort_by_key(|bar| bar.open_ns);
    if let Some(newest) = bars.last_mut() {
        newest.last = false;
    }
    Ok(bars)
}

#[derive(Deserialize)]
struct ServerTime {
    #[serde(rename = "serverTime")]
    ms: u64,
}

/// Reads the reply of `GET /api/v3/time` and its like, ns since 1970.
///
/// # Errors
/// [`DecodeError`] when it is something else.
pub fn time_ns(text: &str) -> Result<u64, DecodeError> {
    super::decode::parse("time", text).map(|time: ServerTime| ms_to_ns(time.ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Lots;

    // The filters printed in the venue's documentation (filters.md and the exchangeInfo sample), for BTCUSDT.
    const INFO: &str = r#"{"timezone":"UTC","serverTime":1,"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC",
      "quoteAsset":"USDT","filters":[
      {"filterType":"PRICE_FILTER","minPrice":"0.01000000","maxPrice":"1000000.00000000","tickSize":"0.01000000"},
      {"filterType":"LOT_SIZE","minQty":"0.00001000","maxQty":"9000.00000000","stepSize":"0.00001000"},
      {"filterType":"NOTIONAL","minNotional":"5.00000000","applyMinToMarket":true,"maxNotional":"9000000.00000000"},
      {"filterType":"ICEBERG_PARTS","limit":100}]}]}"#;

    #[test]
    fn trading_rules_become_an_instrument() {
        let i = &instruments(INFO, &["BTCUSDT"]).unwrap()[0];
        assert_eq!((i.tick.to_string(), i.lot.to_string()), ("0.01".to_owned(), "0.00001".to_owned()));
        assert_eq!((i.qty_min, i.qty_max), (Lots::new(1), Lots::new(900_000_000)));
        assert_eq!(i.value(i.value_min), Decimal::parse("5").unwrap());
        assert_eq!((i.base.as_str(), i.quote.as_str()), ("BTC", "USDT"));
    }

    #[test]
    fn the_older_notional_filter_counts_and_values_are_rounded_up() {
        let old = INFO.replace("\"NOTIONAL\"", "\"MIN_NOTIONAL\"").replace("5.00000000", "0.00000011");
        let i = &instruments(&old, &["BTCUSDT"]).unwrap()[0];
        assert_eq!(i.value_min, TickLots::new(2), "0.00000011 USDT is 1.1 tick·lots of 0.0000001");
    }

    #[test]
    fn missing_symbols_and_rules_are_named() {
        assert_eq!(symbols(INFO).unwrap(), ["BTCUSDT"]);
        let fails = |text: &str, symbol| instruments(text, &[symbol]).unwrap_err().to_string();
        assert!(fails(INFO, "ETHUSDT").contains("it lacks ETHUSDT"));
        assert!(fails(&INFO.replace("LOT_SIZE", "X"), "BTCUSDT").contains("BTCUSDT has no usable LOT_SIZE"));
        assert!(
            fails(&INFO.replace("tickSize\":\"0.01000000", "tickSize\":\"0.0"), "BTCUSDT").contains("bad tickSize")
        );
    }

    #[test]
    fn candles_are_read_by_position() {
        // Sample of the venue's documentation.
        let text = r#"[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,
            "2434.19055334",308,"1756.87402397","28.46694368","0"]]"#;
        let k = &klines(text).unwrap()[0];
        assert_eq!((k.open_ns, k.trades), (1_499_040_000_000_000_000, 308));
        assert_eq!((k.high.to_string(), k.low.to_string()), ("0.80000000".to_owned(), "0.01575800".to_owned()));
        assert!(klines("{\"code\":-1121}").is_err());
    }
}
