//! Exact money at a fixed scale: whole numbers of 1e-18. Additions are checked; the one division there is
//! ([`Amount::share`]) rounds towards zero and is computed over 256 bits, so it never overflows.

use domain::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use thiserror::Error;

/// Digits after the point.
pub const SCALE: u8 = 18;

/// Why a number is not an [`Amount`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AmountError {
    /// It has more than 18 digits after the point, or does not fit 38 digits in all.
    #[error("`{0}` has more digits than the ledger keeps (20 before the point, 18 after it)")]
    Range(String),
    /// A sum or product left the range.
    #[error("the sum of amounts left the range of the ledger")]
    Overflow,
}

/// An exact amount of some asset, in whole 1e-18.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount(0);

    /// `units * 1e-18`.
    pub const fn from_units(units: i128) -> Amount {
        Amount(units)
    }
    /// The number of 1e-18.
    pub const fn units(self) -> i128 {
        self.0
    }
    /// The same number, exactly.
    ///
    /// # Errors
    /// [`AmountError::Range`] when digits would be lost or it does not fit.
    pub fn from_decimal(d: Decimal) -> Result<Amount, AmountError> {
        d.normalized().at_scale(SCALE).map(Amount).ok_or_else(|| AmountError::Range(d.to_string()))
    }
    /// Reads a plain decimal number.
    ///
    /// # Errors
    /// [`AmountError::Range`] when it is not one, or does not fit.
    pub fn parse(text: &str) -> Result<Amount, AmountError> {
        Decimal::parse(text).map_err(|_| AmountError::Range(text.to_owned())).and_then(Amount::from_decimal)
    }
    /// `price * qty`, exactly.
    ///
    /// # Errors
    /// [`AmountError::Range`] when the product has more than 18 digits after the point or does not fit.
    pub fn product(price: Decimal, qty: Decimal) -> Result<Amount, AmountError> {
        let product = price.normalized().checked_mul(qty.normalized()).ok_or(AmountError::Overflow)?;
        Amount::from_decimal(product)
    }
    /// As a decimal without trailing zeros.
    pub fn decimal(self) -> Decimal {
        Decimal::new(self.0, SCALE).normalized()
    }
    /// `self + other`.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn plus(self, other: Amount) -> Result<Amount, AmountError> {
        self.0.checked_add(other.0).map(Amount).ok_or(AmountError::Overflow)
    }
    /// `self - other`.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn minus(self, other: Amount) -> Result<Amount, AmountError> {
        self.0.checked_sub(other.0).map(Amount).ok_or(AmountError::Overflow)
    }
    /// `-self`.
    #[must_use]
    pub const fn negated(self) -> Amount {
        Amount(self.0.saturating_neg())
    }
    /// True above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
    /// True for nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    /// The part of `self` that `part` is of `whole`: `self * part / whole`, rounded towards zero.
    ///
    /// # Panics
    /// When not `0 <= part <= whole` and `whole > 0`; callers split what they hold.
    #[must_use]
    pub fn share(self, part: Amount, whole: Amount) -> Amount {
        assert!(whole.0 > 0 && (0..=whole.0).contains(&part.0), "a share is a part of a whole");
        let magnitude = mul_div(self.0.unsigned_abs(), part.0.unsigned_abs(), whole.0.unsigned_abs());
        // part <= whole, so the magnitude is at most |self| and fits again.
        let magnitude = i128::try_from(magnitude).unwrap_or(i128::MAX);
        Amount(if self.0 < 0 { -magnitude } else { magnitude })
    }
    /// `self * other`, rounded towards zero at 1e-18: for marks, where the product may have more digits.
    ///
    /// # Errors
    /// [`AmountError::Overflow`] when the product does not fit.
    pub fn times(self, other: Amount) -> Result<Amount, AmountError> {
        const ONE: u128 = 10u128.pow(SCALE as u32);
        let (a, b) = (self.0.unsigned_abs(), other.0.unsigned_abs());
        // The quotient fits 128 bits only if a / ONE * b does, roughly; bound it before dividing.
        if (a / ONE + 1).checked_mul(b).is_none_or(|n| n > i128::MAX.unsigned_abs()) {
            return Err(AmountError::Overflow);
        }
        let magnitude = i128::try_from(mul_div(a, b, ONE)).map_err(|_| AmountError::Overflow)?;
        Ok(Amount(if (self.0 < 0) == (other.0 < 0) { magnitude } else { -magnitude }))
    }
}

/// Sums amounts.
///
/// # Errors
/// [`AmountError::Overflow`].
pub fn sum(amounts: impl IntoIterator<Item = Amount>) -> Result<Amount, AmountError> {
    amounts.into_iter().try_fold(Amount::ZERO, Amount::plus)
}

/// `a * b / d` over 256 bits, by schoolbook multiplication and long division; the quotient must fit 128 bits.
fn mul_div(a: u128, b: u128, d: u128) -> u128 {
    if let Some(product) = a.checked_mul(b) {
        return product / d;
    }
    let (high, low) = widening_mul(a, b);
    assert!(high < d, "the quotient fits 128 bits");
    let (mut rest, mut quotient) = (high, 0u128);
    for bit in (0..128).rev() {
        let carry = rest >> 127 == 1;
        rest = (rest << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        // With a carry the true rest is 2^128 + rest, which is certainly >= d; wrapping gives the right difference.
        if carry || rest >= d {
            rest = rest.wrapping_sub(d);
            quotient |= 1;
        }
    }
    quotient
}

fn widening_mul(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 64);
    let middle_low = a0 * b1 + (middle & LOW);
    (a1 * b1 + (middle >> 64) + (middle_low >> 64), (middle_low << 64) | (low & LOW))
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decimal().fmt(f)
    }
}
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Amount::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn thirds_are_cut_not_rounded_up() {
        let (one, third, whole) =
            (Amount::parse("1").unwrap(), Amount::parse("1").unwrap(), Amount::parse("3").unwrap());
        assert_eq!(one.share(third, whole).to_string(), "0.333333333333333333");
        assert_eq!(one.negated().share(third, whole).to_string(), "-0.333333333333333333");
    }

    #[test]
    fn large_amounts_are_shared_without_overflow() {
        // 12 million coins at 18 digits, of which 7 million go: 128 bits would not hold the product.
        let cost = Amount::parse("900000000000.000000000000000001").unwrap();
        let part = Amount::parse("7000000").unwrap();
        let whole = Amount::parse("12000000").unwrap();
        assert_eq!(cost.share(part, whole).to_string(), "525000000000");
        assert_eq!(cost.share(whole, whole), cost);
    }

    #[test]
    fn too_many_digits_are_refused_and_said() {
        let fine = Decimal::new(1, 19);
        assert!(Amount::from_decimal(fine).unwrap_err().to_string().contains("0.0000000000000000001"));
        assert!(Amount::product(Decimal::new(1, 10), Decimal::new(1, 9)).is_err());
    }

    proptest! {
        #[test]
        fn wide_division_agrees_with_narrow(a in any::<u64>(), b in any::<u64>(), d in 1u64..) {
            let (a, b, d) = (u128::from(a), u128::from(b), u128::from(d));
            prop_assert_eq!(mul_div(a, b, d), a * b / d);
            let (high, low) = widening_mul(a << 60, b << 60);
            // (a*b) << 120, split at bit 128.
            prop_assert_eq!(high, (a * b) >> 8);
            prop_assert_eq!(low, (a * b) << 120);
            if high < d << 60 {
                prop_assert_eq!(mul_div(a << 60, b << 60, d << 60), {
                    // The same quotient as (a * b << 60) / d, by long division in base 2^60.
                    let (q, r) = ((a * b) / d, (a * b) % d);
                    (q << 60) + (r << 60) / d
                });
            }
        }

        #[test]
        fn a_share_and_the_rest_make_the_whole(total in 0i128..10i128.pow(30), whole in 1i128..10i128.pow(28), part in 0.0f64..1.0) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
            let part = Amount::from_units(((whole as f64 * part) as i128).min(whole));
            let total = Amount::from_units(total);
            let share = total.share(part, Amount::from_units(whole));
            prop_assert!(share >= Amount::ZERO && share <= total);
        }
    }
}
