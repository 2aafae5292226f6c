//! Names and numbers as Kraken writes them.

use std::borrow::Cow;

/// What older interfaces call an asset, and what version 2 calls it.
const RENAMED: [(&str, &str); 2] = [("XBT", "BTC"), ("XDG", "DOGE")];

/// Version 2's symbol of a pair with a slash, `XBT/USD`; other text stays as it is.
pub(super) fn symbol(pair: &str) -> Cow<'_, str> {
    let Some((base, quote)) = pair.split_once('/') else { return Cow::Borrowed(pair) };
    let new = |asset| RENAMED.iter().find(|(old, _)| *old == asset).map(|(_, new)| *new);
    match (new(base), new(quote)) {
        (None, None) => Cow::Borrowed(pair),
        (b, q) => Cow::Owned(format!("{}/{}", b.unwrap_or(base), q.unwrap_or(quote))),
    }
}

/// What version 1 calls `symbol`.
pub(super) fn old_symbol(symbol: &str) -> String {
    let old = |asset| RENAMED.iter().find(|(_, new)| *new == asset).map_or(asset, |(old, _)| *old);
    symbol.split('/').map(old).collect::<Vec<_>>().join("/")
}

/// What REST calls `symbol`: `XBTUSD`.
pub(super) fn rest_pair(symbol: &str) -> String {
    old_symbol(symbol).replace('/', "")
}

/// Farthest that an exponent moves the point; a number that needs more is no price and no size.
const EXPONENT_MAX: i32 = 40;

/// A JSON number, or a number in text, without quotes and exponent: `1.5e-7` is `0.00000015`. What is no number stays
/// as it is, to be refused by who reads it.
pub(super) fn plain(raw: &str) -> Cow<'_, str> {
    let raw = raw.trim_matches('"');
    raw.split_once(['e', 'E'])
        .and_then(|(number, exponent)| shifted(number, exponent))
        .map_or(Cow::Borrowed(raw), Cow::Owned)
}

fn shifted(number: &str, exponent: &str) -> Option<String> {
    let exponent = exponent.parse::<i32>().ok().filter(|e| (-EXPONENT_MAX..=EXPONENT_MAX).contains(e))?;
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let Ok(at) = usize::try_from(point) else {
        let zeros = usize::try_from(point.unsigned_abs()).ok()?;
        return Some(format!("{sign}0.{}{all}", "0".repeat(zeros)));
    };
    if at >= all.len() {
        return Some(format!("{sign}{all}{}", "0".repeat(at - all.len())));
    }
    let (whole, fraction) = all.split_at(at);
    Some(format!("{sign}{}.{fraction}", if whole.is_empty() { "0" } else { whole }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Decimal;
    use proptest::prelude::*;

    #[test]
    fn xbt_and_xdg_are_btc_and_doge_on_both_sides() {
        let both = [("XBT/USD", "BTC/USD"), ("KSM/XBT", "KSM/BTC"), ("XDG/XBT", "DOGE/BTC"), ("ETH/USD", "ETH/USD")];
        for (old, new) in both {
            assert_eq!(symbol(old), new);
            assert_eq!(old_symbol(new), old);
            assert_eq!(rest_pair(new), old.replace('/', ""));
        }
    }

    #[test]
    fn exponents_are_written_out() {
        for (raw, want) in [
            ("64250.1", "64250.1"),
            ("\"0.25000000\"", "0.25000000"),
            ("1e-8", "0.00000001"),
            ("1.5E-7", "0.00000015"),
            ("12.5e1", "125"),
            ("12.5e+3", "12500"),
            ("1.25e1", "12.5"),
            ("-1e-2", "-0.01"),
            ("1e999", "1e999"),
            ("ee", "ee"),
        ] {
            assert_eq!(plain(raw), want, "{raw}");
        }
    }

    /// Its absolute value is no `i32`: it once became a text of 2 GiB.
    #[test]
    fn the_smallest_exponent_there_is_moves_no_point() {
        for raw in ["1e-2147483648", "1e2147483647", "0e-2147483647", "1e-41"] {
            assert_eq!(plain(raw), raw);
        }
    }

    proptest! {
        #[test]
        fn a_number_with_an_exponent_is_the_same_number(mantissa in 0u32..1_000_000, exponent in -12i32..6) {
            let text = plain(&format!("{mantissa}e{exponent}")).into_owned();
            let want = i128::from(mantissa) * 10i128.pow(u32::try_from(exponent + 12).unwrap());
            prop_assert_eq!(Decimal::parse(&text).unwrap(), Decimal::new(want, 12));
        }

        #[test]
        fn any_text_is_read_or_left(text in ".{0,24}") {
            prop_assert!(!plain(&text).contains('"') || text.trim_matches('"').contains('"'));
            prop_assert_eq!(symbol(&text).contains('/'), text.contains('/'));
        }
    }
}
