//! Trading rules for a capture, which records prices but no rules: known steps of the large pairs, made finer where
//! the capture shows finer numbers.

use crate::DataError;
use crate::capture::{SCALE, Steps, gcd};
use domain::{Asset, Decimal, Increment, Instrument, InstrumentId, Lots, TickLots, Venue};

/// Symbol, tick, lot; as in the venue's exchangeInfo of 2024.
const KNOWN: [(&str, &str, &str); 4] = [
    ("BTCUSDT", "0.01", "0.00001"),
    ("ETHUSDT", "0.01", "0.0001"),
    ("BNBUSDT", "0.01", "0.001"),
    ("SOLUSDT", "0.01", "0.001"),
];
/// For all others, unless their numbers are finer.
const USUAL: (&str, &str) = ("0.01", "0.00001");
const QUOTES: [&str; 12] = ["FDUSD", "USDT", "USDC", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "USD"];
/// Smallest order value, in quote.
const VALUE_MIN: i128 = 5;
/// Largest order, in base.
const QTY_MAX: u128 = 9000;

/// The rules of `symbol`.
///
/// # Errors
/// [`DataError::Value`] when base and quote cannot be told from the symbol, or no step fits its numbers.
pub fn instrument(id: InstrumentId, symbol: &str, seen: Steps) -> Result<Instrument, DataError> {
    let refuse = |what: &str| DataError::Value(format!("no trading rules for `{symbol}`: {what}"));
    let known = KNOWN.iter().find(|(name, ..)| *name == symbol);
    let (tick, lot) = known.map_or(USUAL, |(_, tick, lot)| (*tick, *lot));
    let tick = finer(tick, seen.price).ok_or_else(|| refuse("no tick fits its prices"))?;
    let lot = finer(lot, seen.qty).ok_or_else(|| refuse("no lot fits its sizes"))?;
    let quote = QUOTES
        .iter()
        .find(|quote| symbol.len() > quote.len() && symbol.ends_with(*quote))
        .ok_or_else(|| refuse("it does not end in a known quote asset"))?;
    let asset = |text: &str| Asset::from(text).map_err(|_| refuse("an asset name is too long"));
    let mut i = Instrument {
        id,
        version: 1,
        venue: Venue::Binance,
        symbol: symbol.parse().map_err(|_| refuse("the symbol is too long"))?,
        base: asset(&symbol[..symbol.len() - quote.len()])?,
        quote: asset(quote)?,
        tick,
        lot,
        qty_min: Lots::new(1),
        qty_max: Lots::new(qty_max(lot)),
        value_min: TickLots::ZERO,
    };
    i.value_min = i.value_floor(Decimal::new(VALUE_MIN, 0));
    Ok(i)
}

/// The known step, or the finest that fits both it and the numbers seen.
fn finer(step: &str, seen: u64) -> Option<Increment> {
    let known = u64::try_from(Decimal::parse(step).ok()?.at_scale(SCALE)?).ok()?;
    Increment::parse(&Decimal::new(i128::from(gcd(known, seen)), SCALE).to_string()).ok()
}

fn qty_max(lot: Increment) -> u64 {
    let lots = QTY_MAX * 10u128.pow(u32::from(lot.scale)) / u128::from(lot.units);
    u64::try_from(lots).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pairs_have_their_rules_and_finer_numbers_refine_them() {
        let btc = instrument(InstrumentId(0), "BTCUSDT", Steps::default()).unwrap();
        assert_eq!((btc.tick.to_string(), btc.lot.to_string()), ("0.01".to_owned(), "0.00001".to_owned()));
        assert_eq!((btc.base.as_str(), btc.quote.as_str()), ("BTC", "USDT"));
        // 5 USDT in ticks of 0.01 times lots of 0.00001; 9000 BTC in lots of 0.00001.
        assert_eq!((btc.value_min, btc.qty_max), (TickLots::new(50_000_000), Lots::new(900_000_000)));
        // Prices like 1.2505 and 1.25, in units of 10^-8.
        let odd = instrument(InstrumentId(1), "XRPUSDC", Steps { price: 50_000, qty: 10_000_000 }).unwrap();
        assert_eq!((odd.tick.to_string(), odd.lot.to_string()), ("0.0005".to_owned(), "0.00001".to_owned()));
        assert!(instrument(InstrumentId(2), "NOSUCHPAIR", Steps::default()).is_err());
    }
}
