//! Names, numbers and times as Kraken writes them.

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
    let exponent = exponent.parse::<i32>().ok().filter(|e| e.abs() <= EXPONENT_MAX)?;
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

/// Seconds since 1970 with a fraction, `1534614248.123678`, in ns.
pub(super) fn seconds_ns(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    nanos(whole.parse().ok()?, fraction)
}

fn nanos(seconds: u64, fraction: &str) -> Option<u64> {
    if !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let below: u64 = format!("{fraction:0<9.9}").parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(below)
}

/// A time such as `2023-10-06T17:35:55.440295Z`, ns since 1970 UTC; `None` for any other form and before 1970.
pub(super) fn rfc3339_ns(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = three(date, '-')?;
    let [hour, minute, second] = three(clock, ':')?;
    let sane = (1970..=2261).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !sane {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    nanos(seconds, fraction)
}

fn three(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between).map(|part| part.parse::<u64>().ok());
    let found = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(found)
}

/// Days of the Gregorian calendar. Years are counted from March, so that the leap day is the last of a year.
const fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_month = (153 * from_march + 2) / 5;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + before_month + day - 1;
    // The same count for 1 January 1970.
    days - 719_468
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
    fn times_are_read_to_the_nanosecond() {
        // By `date -u -d … +%s`.
        assert_eq!(rfc3339_ns("2023-10-06T17:35:55.440295Z"), Some(1_696_613_755_440_295_000));
        assert_eq!(rfc3339_ns("2024-02-29T23:59:59Z"), Some(1_709_251_199_000_000_000));
        assert_eq!(rfc3339_ns("1970-01-01T00:00:00.000000001Z"), Some(1));
        for bad in ["", "2023-10-06", "2023-10-06T17:35:55", "2023-13-06T17:35:55Z", "2023-10-06T17:35:55.4x0Z"] {
            assert_eq!(rfc3339_ns(bad), None, "{bad}");
        }
        assert_eq!(seconds_ns("1534614248.123678"), Some(1_534_614_248_123_678_000));
        assert_eq!(seconds_ns("1534614248"), Some(1_534_614_248_000_000_000));
        assert_eq!(seconds_ns("-1.5"), None);
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

    proptest! {
        #[test]
        fn a_number_with_an_exponent_is_the_same_number(mantissa in 0u32..1_000_000, exponent in -12i32..6) {
            let text = plain(&format!("{mantissa}e{exponent}")).into_owned();
            let want = i128::from(mantissa) * 10i128.pow(u32::try_from(exponent + 12).unwrap());
            prop_assert_eq!(Decimal::parse(&text).unwrap(), Decimal::new(want, 12));
        }

        #[test]
        fn any_text_is_read_or_left(text in ".{0,24}") {
            let times = [rfc3339_ns(&text), seconds_ns(&text)];
            prop_assert!(times.iter().flatten().all(|_| text.contains(|c: char| c.is_ascii_digit())));
            prop_assert!(!plain(&text).contains('"') || text.trim_matches('"').contains('"'));
            prop_assert_eq!(symbol(&text).contains('/'), text.contains('/'));
        }
    }
}
