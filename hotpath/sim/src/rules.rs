//! Trading rules where the source states none (captures record prices, not rules): known steps of the large pairs as in
//! the venue's exchangeInfo of 2024, made finer where the recorded numbers are finer.

use domain::{Asset, Decimal, Increment, Instrument, InstrumentId, Lots, TickLots, Venue};

/// Digits after the point in Binance's prices and quantities.
pub const SCALE: u8 = 8;
const UNIT: u64 = 100_000_000;

/// Largest price accepted, in quote.
pub const PRICE_MAX: u64 = 1_000_000;
/// Smallest order value, in quote.
pub const NOTIONAL_MIN: u64 = 5;
/// Largest order, in base.
pub const QTY_MAX: u64 = 9000;

/// Symbol, tick, lot.
const KNOWN: [(&str, &str, &str); 4] = [
    ("BTCUSDT", "0.01", "0.00001"),
    ("ETHUSDT", "0.01", "0.0001"),
    ("BNBUSDT", "0.01", "0.001"),
    ("SOLUSDT", "0.01", "0.001"),
];

const QUOTES: [&str; 12] = ["FDUSD", "USDT", "USDC", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "USD"];

/// For all others, unless their numbers are finer.
const USUAL: (&str, &str) = ("0.01", "0.00001");

/// The coarsest steps that fit all numbers seen, in units of 10^-8; 0 when none was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Of prices.
    pub price: u64,
    /// Of sizes.
    pub qty: u64,
}

/// A number in units of 10^-8; text that is none counts as nothing and is left to the decoder to refuse.
fn units(text: &str) -> u64 {
    Decimal::parse(text).ok().and_then(|d| d.at_scale(SCALE)).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

const fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Steps {
    /// Takes note of a price and a quantity.
    pub fn see(&mut self, price: &str, qty: &str) {
        self.see_price(price);
        self.see_qty(qty);
    }
    /// Takes note of a price.
    pub fn see_price(&mut self, price: &str) {
        self.price = gcd(units(price), self.price);
    }
    /// Takes note of a quantity.
    pub fn see_qty(&mut self, qty: &str) {
        self.qty = gcd(units(qty), self.qty);
    }
}

/// The rules of `symbol`: its known steps, or finer ones if `seen` needs them.
///
/// # Errors
/// In words, when base and quote cannot be told from the symbol.
pub fn instrument(id: InstrumentId, symbol: &str, seen: &Steps) -> Result<Instrument, String> {
    let known = KNOWN.iter().find(|(name, ..)| *name == symbol);
    let (tick, lot) = known.map_or(USUAL, |(_, tick, lot)| (*tick, *lot));
    let fine = |text: &str, seen: u64| {
        let step = Decimal::parse(text).ok()?.at_scale(SCALE)?;
        let step = gcd(u64::try_from(step).ok()?, seen);
        Increment::parse(&Decimal::new(i128::from(step), SCALE).to_string()).ok()
    };
    let step = |text, seen| fine(text, seen).ok_or_else(|| format!("no step fits the numbers of {symbol}"));
    let (tick, lot) = (step(tick, seen.price)?, step(lot, seen.qty)?);
    let quote = QUOTES
        .iter()
        .find(|q| symbol.len() > q.len() && symbol.ends_with(*q))
        .ok_or_else(|| format!("cannot tell base and quote of `{symbol}`"))?;
    let asset = |text: &str| Asset::from(text).map_err(|_| format!("asset name `{text}` is too long"));
    let units = |step: Increment| u128::from(step.units) * u128::from(UNIT) / 10u128.pow(u32::from(step.scale));
    let qty_max = u128::from(QTY_MAX) * u128::from(UNIT) / units(lot);
    let notional = u128::from(NOTIONAL_MIN) * u128::from(UNIT) * u128::from(UNIT) / (units(tick) * units(lot));
    Ok(Instrument {
        id,
        version: 1,
        venue: Venue::BINANCE,
        symbol: symbol.try_into().map_err(|_| format!("symbol `{symbol}` is too long"))?,
        base: asset(&symbol[..symbol.len() - quote.len()])?,
        quote: asset(quote)?,
        tick,
        lot,
        qty_min: Lots::new(1),
        qty_max: Lots::new(u64::try_from(qty_max).unwrap_or(u64::MAX)),
        value_min: TickLots::new(i128::try_from(notional).unwrap_or(i128::MAX)),
        contract: domain::instrument::Contract::Spot,
        trade: true,
        book: domain::instrument::BookRule::ASKED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_rules_hold_and_finer_numbers_refine_them() {
        let btc = instrument(InstrumentId(0), "BTCUSDT", &Steps::default()).unwrap();
        assert_eq!((btc.tick.to_string(), btc.lot.to_string()), ("0.01".to_owned(), "0.00001".to_owned()));
        assert_eq!((btc.base.as_str(), btc.quote.as_str()), ("BTC", "USDT"));
        // 5 USDT in ticks of 0.01 times lots of 0.00001; 9000 BTC in lots of 0.00001.
        assert_eq!((btc.value_min, btc.qty_max), (TickLots::new(50_000_000), Lots::new(900_000_000)));
        let mut seen = Steps::default();
        seen.see("1.25000000", "3.00000000");
        seen.see("1.25050000", "0.10000000");
        let odd = instrument(InstrumentId(1), "XRPUSDC", &seen).unwrap();
        assert_eq!((odd.tick.to_string(), odd.lot.to_string()), ("0.0005".to_owned(), "0.00001".to_owned()));
        assert!(instrument(InstrumentId(2), "NOSUCHPAIR", &seen).is_err());
    }
}
