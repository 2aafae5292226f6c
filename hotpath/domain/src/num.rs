//! Numbers that carry their unit. A price is a whole number of [`Ticks`], a size a whole number of [`Lots`], a
//! value an exact [`TickLots`], an amount of an asset an exact [`Decimal`]. Text goes in and out exactly; nothing
//! here touches a float.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use thiserror::Error;

/// Why a text is not the number it should be.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum NumError {
    /// Empty, a stray character, two points, an exponent.
    #[error("`{0}` is not a plain decimal number")]
    Syntax(String),
    /// More digits than the type holds.
    #[error("`{0}` is too large")]
    Overflow(String),
    /// Not a whole number of ticks or lots.
    #[error("`{text}` is not a multiple of {step}")]
    OffStep {
        /// The number as it came.
        text: String,
        /// The step it should be a multiple of.
        step: Increment,
    },
}

/// Price of one instrument, in whole ticks. May be negative only in differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticks(i64);

impl Ticks {
    /// A price of `n` ticks.
    pub const fn new(n: i64) -> Self {
        Self(n)
    }
    /// The number of ticks.
    pub const fn get(self) -> i64 {
        self.0
    }
    /// This price moved by `n` ticks; saturates at the ends of the range.
    #[must_use]
    pub const fn plus(self, n: i64) -> Self {
        Self(self.0.saturating_add(n))
    }
}

/// Size of one instrument, in whole lots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lots(u64);

impl Lots {
    /// No size.
    pub const ZERO: Lots = Lots(0);
    /// A size of `n` lots.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }
    /// The number of lots.
    pub const fn get(self) -> u64 {
        self.0
    }
    /// True for a size of zero lots.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    /// `self - other`, or `None` when `other` is larger.
    pub const fn checked_sub(self, other: Lots) -> Option<Lots> {
        match self.0.checked_sub(other.0) {
            Some(n) => Some(Lots(n)),
            None => None,
        }
    }
    /// `self + other`, or `None` past the range.
    pub const fn checked_add(self, other: Lots) -> Option<Lots> {
        match self.0.checked_add(other.0) {
            Some(n) => Some(Lots(n)),
            None => None,
        }
    }
    /// `self - other`, never below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Lots) -> Lots {
        Lots(self.0.saturating_sub(other.0))
    }
    /// The smaller of the two.
    #[must_use]
    pub fn min(self, other: Lots) -> Lots {
        Lots(self.0.min(other.0))
    }
}

/// A holding in whole lots: positive is long, negative is short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(i64);

impl Position {
    /// Nothing held.
    pub const FLAT: Position = Position(0);
    /// A holding of `n` lots.
    pub const fn new(n: i64) -> Self {
        Self(n)
    }
    /// The signed number of lots.
    pub const fn get(self) -> i64 {
        self.0
    }
    /// The size regardless of direction.
    pub const fn size(self) -> Lots {
        Lots(self.0.unsigned_abs())
    }
    /// The holding after `side` traded `qty`; `None` past the range.
    pub fn after(self, side: crate::Side, qty: Lots) -> Option<Position> {
        let qty = i64::try_from(qty.get()).ok()?;
        match side {
            crate::Side::Buy => self.0.checked_add(qty),
            crate::Side::Sell => self.0.checked_sub(qty),
        }
        .map(Position)
    }
}

/// A value in tick·lots of one instrument: price in ticks times size in lots. Exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TickLots(i128);

impl TickLots {
    /// No value.
    pub const ZERO: TickLots = TickLots(0);
    /// A value of `n` tick·lots.
    pub const fn new(n: i128) -> Self {
        Self(n)
    }
    /// The number of tick·lots.
    pub const fn get(self) -> i128 {
        self.0
    }
}

impl Serialize for TickLots {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for TickLots {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map(TickLots).map_err(de::Error::custom)
    }
}

/// Value of `qty` at `price`. An `i64` times a `u64` always fits an `i128`.
pub const fn value(price: Ticks, qty: Lots) -> TickLots {
    TickLots(price.0 as i128 * qty.0 as i128)
}

/// Most digits after the point that a [`Decimal`] may have.
pub const SCALE_MAX: u8 = 38;

/// An exact decimal number: `mantissa * 10^-scale`. Arithmetic is checked; equality compares the number, so
/// `1.50 == 1.5`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decimal {
    /// The digits.
    pub mantissa: i128,
    /// How many of them stand after the point, `0..=38`.
    pub scale: u8,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal { mantissa: 0, scale: 0 };

    /// `mantissa * 10^-scale`.
    pub const fn new(mantissa: i128, scale: u8) -> Self {
        Self { mantissa, scale }
    }

    /// Reads `-12.340`; no exponent, no blanks, at most 38 digits.
    ///
    /// # Errors
    /// [`NumError::Syntax`] or [`NumError::Overflow`].
    pub fn parse(text: &str) -> Result<Self, NumError> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (mut mantissa, mut scale, mut point, mut seen) = (0i128, 0u8, false, false);
        for &c in digits {
            match c {
                b'0'..=b'9' => {
                    seen = true;
                    mantissa = mantissa
                        .checked_mul(10)
                        .and_then(|m| m.checked_add(i128::from(c - b'0')))
                        .ok_or_else(|| NumError::Overflow(text.to_owned()))?;
                    if point {
                        scale += 1;
                        // Zeros never overflow the mantissa; what has more digits than an i128 is no amount.
                        if scale > SCALE_MAX {
                            return Err(NumError::Overflow(text.to_owned()));
                        }
                    }
                }
                b'.' if !point => point = true,
                _ => return Err(NumError::Syntax(text.to_owned())),
            }
        }
        if !seen {
            return Err(NumError::Syntax(text.to_owned()));
        }
        Ok(Self { mantissa: if negative { -mantissa } else { mantissa }, scale })
    }

    /// The mantissa at another scale; `None` when digits would be lost or it does not fit.
    pub fn at_scale(self, scale: u8) -> Option<i128> {
        if scale >= self.scale {
            self.mantissa.checked_mul(pow10(scale - self.scale)?)
        } else {
            let unit = pow10(self.scale - scale)?;
            (self.mantissa % unit == 0).then(|| self.mantissa / unit)
        }
    }

    /// `self + other`, exact; `None` past the range.
    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        let scale = self.scale.max(other.scale);
        let sum = self.at_scale(scale)?.checked_add(other.at_scale(scale)?)?;
        Some(Decimal::new(sum, scale))
    }

    /// `self - other`, exact; `None` past the range.
    pub fn checked_sub(self, other: Decimal) -> Option<Decimal> {
        self.checked_add(Decimal::new(other.mantissa.checked_neg()?, other.scale))
    }

    /// `self * other`, exact; `None` past the range.
    pub fn checked_mul(self, other: Decimal) -> Option<Decimal> {
        Some(Decimal::new(self.mantissa.checked_mul(other.mantissa)?, self.scale.checked_add(other.scale)?))
    }

    /// The same number without trailing zeros after the point: the canonical form for hashes and ledgers.
    #[must_use]
    pub fn normalized(self) -> Decimal {
        let mut d = self;
        while d.scale > 0 && d.mantissa % 10 == 0 {
            d.mantissa /= 10;
            d.scale -= 1;
        }
        d
    }

    /// True when the number is zero.
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }
}

/// Powers of ten that an `i64` holds.
const POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut n = 1;
    while n < 19 {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// Appends the leading digits of `text`, at most so many, to those of `n`; with it comes how many there were.
#[inline]
fn digits(text: &[u8], mut n: i64, most: usize) -> (i64, usize) {
    let mut at = 0;
    while at < most && text[at].is_ascii_digit() {
        n = n * 10 + i64::from(text[at] - b'0');
        at += 1;
    }
    (n, at)
}

fn pow10(n: u8) -> Option<i128> {
    10i128.checked_pow(u32::from(n))
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.normalized(), other.normalized());
        (a.mantissa, a.scale) == (b.mantissa, b.scale)
    }
}
impl Eq for Decimal {}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let scale = self.scale.max(other.scale);
        match (self.at_scale(scale), other.at_scale(scale)) {
            (Some(a), Some(b)) => a.cmp(&b),
            // Only the number with fewer digits after the point can be too large for the common scale, so it is the
            // one further from zero.
            (None, _) => self.mantissa.cmp(&0),
            (_, None) => 0.cmp(&other.mantissa),
        }
    }
}
impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        if fraction.is_empty() { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}

impl std::str::FromStr for Decimal {
    type Err = NumError;
    fn from_str(s: &str) -> Result<Self, NumError> {
        Decimal::parse(s)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Decimal::parse(&text).map_err(de::Error::custom)
    }
}

/// The size of one tick or one lot: `units * 10^-scale`, `units > 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Increment {
    /// Numerator.
    pub units: u64,
    /// Digits after the point, `0..=18`.
    pub scale: u8,
}

impl Increment {
    /// Reads a step such as `0.01000000`; trailing zeros are dropped.
    ///
    /// # Errors
    /// [`NumError::Syntax`] when it is not a positive plain decimal, [`NumError::Overflow`] when it has more than 18
    /// digits after the point or does not fit.
    pub fn parse(text: &str) -> Result<Self, NumError> {
        let d = Decimal::parse(text)?.normalized();
        let units = u64::try_from(d.mantissa).map_err(|_| NumError::Syntax(text.to_owned()))?;
        if units == 0 {
            return Err(NumError::Syntax(text.to_owned()));
        }
        if d.scale > 18 {
            return Err(NumError::Overflow(text.to_owned()));
        }
        Ok(Self { units, scale: d.scale })
    }

    /// How many steps `text` is. Exact: `64250.12000000` at a tick of `0.01` is `6425012`.
    ///
    /// # Errors
    /// [`NumError::OffStep`] when it is not a whole number of steps, else as [`Decimal::parse`].
    pub fn count(self, text: &str) -> Result<i64, NumError> {
        match self.count_short(text.as_bytes()) {
            Some(n) => Ok(n),
            None => self.count_long(text),
        }
    }

    fn count_long(self, text: &str) -> Result<i64, NumError> {
        // One pass over the digits; the common case (a power-of-ten step, zeros beyond its scale) never divides.
        let mut digits = text.as_bytes();
        let negative = matches!(digits.first(), Some(b'-'));
        if negative {
            digits = &digits[1..];
        }
        let (mut n, mut after_point, mut point, mut seen) = (0i64, 0u8, false, false);
        let overflow = || NumError::Overflow(text.to_owned());
        for &c in digits {
            match c {
                b'0'..=b'9' => {
                    seen = true;
                    if point {
                        if after_point == self.scale {
                            if c != b'0' {
                                return Err(NumError::OffStep { text: text.to_owned(), step: self });
                            }
                            continue;
                        }
                        after_point += 1;
                    }
                    n = n.checked_mul(10).and_then(|n| n.checked_add(i64::from(c - b'0'))).ok_or_else(overflow)?;
                }
                b'.' if !point => point = true,
                _ => return Err(NumError::Syntax(text.to_owned())),
            }
        }
        if !seen {
            return Err(NumError::Syntax(text.to_owned()));
        }
        for _ in after_point..self.scale {
            n = n.checked_mul(10).ok_or_else(overflow)?;
        }
        if self.units != 1 {
            let units = i64::try_from(self.units).map_err(|_| overflow())?;
            if n % units != 0 {
                return Err(NumError::OffStep { text: text.to_owned(), step: self });
            }
            n /= units;
        }
        Ok(if negative { -n } else { n })
    }

    /// The same for what nearly all texts are: few digits, a step that is a power of ten, no sign, no error. `None` for
    /// all others. So few digits cannot overflow, and nothing has to be looked at after each.
    #[inline]
    fn count_short(self, text: &[u8]) -> Option<i64> {
        if self.units != 1 || text.len() > 18 {
            return None;
        }
        let (n, whole) = digits(text, 0, text.len());
        let (fraction, kept_most) = match text[whole..].split_first() {
            None => (&[][..], 0),
            Some((b'.', fraction)) => (fraction, fraction.len().min(usize::from(self.scale))),
            Some(_) => return None,
        };
        let (n, kept) = digits(fraction, n, kept_most);
        if whole + fraction.len() == 0 || !fraction[kept..].iter().all(|c| *c == b'0') {
            return None;
        }
        n.checked_mul(*POWERS.get(usize::from(self.scale) - kept)?)
    }

    /// `n` steps as an exact decimal.
    pub fn times(self, n: i64) -> Decimal {
        Decimal::new(i128::from(n) * i128::from(self.units), self.scale)
    }
}

impl fmt::Display for Increment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.times(1).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_price_in_text_becomes_whole_ticks() {
        let tick = Increment::parse("0.01000000").unwrap();
        assert_eq!(tick.count("64250.12000000"), Ok(6_425_012));
        assert_eq!(tick.count("64250"), Ok(6_425_000));
        assert_eq!(tick.count("-0.01"), Ok(-1));
        assert!(matches!(tick.count("0.015"), Err(NumError::OffStep { .. })));
        let half = Increment::parse("0.5").unwrap();
        assert_eq!(half.count("12.5"), Ok(25));
        assert!(matches!(half.count("12.3"), Err(NumError::OffStep { .. })));
        assert_eq!(half.times(25).to_string(), "12.5");
    }

    #[test]
    fn bad_numbers_are_refused_by_kind() {
        let tick = Increment::parse("0.01").unwrap();
        for bad in ["", ".", "-", "1e5", "1.2.3", "0x1", " 1", "NaN"] {
            assert!(matches!(tick.count(bad), Err(NumError::Syntax(_))), "{bad}");
            assert!(matches!(Decimal::parse(bad), Err(NumError::Syntax(_))), "{bad}");
        }
        assert!(matches!(tick.count("999999999999999999999"), Err(NumError::Overflow(_))));
        // 256 zeros once wrapped the scale around to 0.5.
        let tiny = format!("0.{}5", "0".repeat(256));
        assert!(matches!(Decimal::parse(&tiny), Err(NumError::Overflow(_))));
        for bad in ["0", "0.000", "-1"] {
            assert!(Increment::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn count_agrees_with_the_slow_exact_way(mantissa in 0i64..1_000_000_000_000, scale in 0u8..9, step_scale in 0u8..9, units in 1u64..500) {
            let text = Decimal::new(i128::from(mantissa), scale).to_string();
            let step = Increment { units, scale: step_scale };
            let common = scale.max(step_scale);
            let number = i128::from(mantissa) * pow10(common - scale).unwrap();
            let one = i128::from(units) * pow10(common - step_scale).unwrap();
            let want = (number % one == 0).then(|| number / one);
            match (step.count(&text), want) {
                (Ok(got), Some(want)) => prop_assert_eq!(i128::from(got), want),
                (Err(NumError::OffStep { .. }), None) => {}
                (Err(NumError::Overflow(_)), _) => {}
                (got, want) => prop_assert!(false, "{text} at {step}: {got:?}, slow way says {want:?}"),
            }
        }

        /// Text of any form, also with leading zeros, a point at an end, signs, and what is no number.
        #[test]
        fn the_short_way_counts_like_the_long_one(text in "[-+]?[0-9]{0,11}[.,x]?[0-9]{0,11}[.0]{0,3}", scale in 0u8..20, units in 1u64..3) {
            let step = Increment { units, scale };
            if let Some(short) = step.count_short(text.as_bytes()) {
                prop_assert_eq!(step.count_long(&text).unwrap(), short, "{} at {}", text, step);
            }
        }

        #[test]
        fn decimals_order_as_numbers(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000, sa in 0u8..6, sb in 0u8..6) {
            let (x, y) = (Decimal::new(i128::from(a), sa), Decimal::new(i128::from(b), sb));
            let at = |v: i64, s: u8| i128::from(v) * pow10(6 - s).unwrap();
            prop_assert_eq!(x.cmp(&y), at(a, sa).cmp(&at(b, sb)));
        }

        #[test]
        fn decimal_text_survives_a_round_trip(mantissa in any::<i64>(), scale in 0u8..30) {
            let d = Decimal::new(i128::from(mantissa), scale);
            prop_assert_eq!(Decimal::parse(&d.to_string()).unwrap(), d);
            prop_assert_eq!(d.normalized(), d);
        }
    }
}
