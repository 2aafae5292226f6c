//! Numbers in text: to ticks and lots and back, against a second reckoning that keeps the digits apart.

use crate::market::Market;
use domain::num::{Decimal, Increment, NumError};
use domain::{Event, Instrument};
use venues::adapter::Said;

/// First line a step, each other a number.
pub(crate) fn numbers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let step = lines.next().and_then(|text| Increment::parse(text).ok());
    let mut before: Option<Decimal> = None;
    for text in lines.take(16) {
        if let Some(step) = step {
            count(step, text);
        }
        let Ok(number) = Decimal::parse(text) else { continue };
        let back = Decimal::parse(&number.to_string());
        assert!(
            back.as_ref().is_ok_and(|b| (b.mantissa, b.scale) == (number.mantissa, number.scale)),
            "{text}: {back:?}"
        );
        assert_eq!(number.normalized(), number);
        if let Some(other) = before.replace(number) {
            pair(number, other);
        }
    }
}

fn pair(a: Decimal, b: Decimal) {
    assert_eq!(a.cmp(&b), b.cmp(&a).reverse(), "{a} and {b}");
    assert_eq!(a.cmp(&b).is_eq(), a == b, "{a} and {b}");
    if let Some(sum) = a.checked_add(b) {
        assert_eq!(b.checked_add(a), Some(sum));
        if let Some(back) = sum.checked_sub(b) {
            assert_eq!(back, a, "{a} + {b} - {b}");
        }
    }
}

fn count(step: Increment, text: &str) {
    let exact = exact(text, step);
    match step.count(text) {
        Ok(n) => {
            assert!(exact.is_none_or(|exact| exact == Some(i128::from(n))), "{text} at {step}: {n}, not {exact:?}")
        }
        Err(NumError::OffStep { .. }) => {
            assert!(exact.is_none_or(|exact| exact.is_none()), "{text} at {step}: {exact:?}")
        }
        Err(NumError::Syntax(_) | NumError::Overflow(_)) => {}
    }
}

/// How many steps a plain decimal is: `Some(None)` when it is not a whole number of them, `None` when this reckoning does not
/// reach so far or it is no plain decimal.
fn exact(text: &str, step: Increment) -> Option<Option<i128>> {
    let (negative, plain) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = u32::from(step.scale);
    let beyond = u32::try_from(fraction.len()).ok()?.saturating_sub(scale);
    // Both as whole numbers of the finer of the two.
    let up = scale.saturating_sub(u32::try_from(fraction.len()).ok()?);
    // A zero more in front is none, and gives zeros alone a digit.
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let number = digits.checked_mul(10i128.checked_pow(up)?)?;
    let unit = i128::from(step.units).checked_mul(10i128.checked_pow(beyond)?)?;
    let steps = (number % unit == 0).then(|| if negative { -(number / unit) } else { number / unit });
    Some(steps)
}

/// Price, size and time in messages of venues: lines of a number each.
pub(crate) fn wire(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n').filter(|line| !line.contains(['"', '\\']) && !line.contains(char::is_control));
    let mut next = || lines.next().unwrap_or("1");
    let (price, size, time) = (next(), next(), next());
    let spot = Market::of("binance");
    let frame = format!(
        r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"{price}","q":"{size}","T":1,"m":true}}}}"#
    );
    let i = &spot.instruments[0];
    for event in events(spot, &frame) {
        let Event::Trade(trade) = event else { panic!("a trade is {event:?}") };
        let ticks = i128::from(trade.price.get());
        assert!(exact(price, i.tick).is_none_or(|exact| exact == Some(ticks)), "{price}: {ticks}");
        check_size(size, i128::from(trade.qty.get()), i);
    }
    let coinbase = Market::of("coinbase");
    let frame = coinbase.good.replace("2026-04-07T14:30:03.000000Z", time);
    for event in events(coinbase, &frame) {
        let Event::Quote(quote) = event else { panic!("best prices are {event:?}") };
        check_time(time, quote.ts_venue_ns);
    }
}

fn events(market: &Market, frame: &str) -> Vec<Event> {
    let mut said = Vec::new();
    // A number that is none is an error.
    market.feed().frame(frame, &mut said).ok();
    said.into_iter().filter_map(|said| if let Said::Event(event) = said { Some(event) } else { None }).collect()
}

/// Cut to whole lots, but never to nothing.
fn check_size(text: &str, lots: i128, i: &Instrument) {
    let size = match Decimal::parse(text) {
        Ok(size) => size,
        // More zeros than this reckoning holds.
        Err(NumError::Overflow(_)) => return,
        Err(e) => panic!("`{text}` is read as a size of {lots}: {e}"),
    };
    let lot = |n: i128| Decimal::new(n * i128::from(i.lot.units), i.lot.scale);
    assert!(size >= Decimal::ZERO, "{text} is read as {lots}");
    assert_eq!(lots == 0, size.is_zero(), "{text} is read as {lots}");
    assert!(size < lot(lots + 1) && (lots <= 1 || lot(lots) <= size), "{text} is read as {lots}");
}

/// Where another reader reads a time as well, it is the same. Years that fit no ns, and leap seconds, are each one's own.
fn check_time(text: &str, ns: u64) {
    let Ok(other) = chrono::DateTime::parse_from_rfc3339(text) else { return };
    let Some(other_ns) = other.timestamp_nanos_opt().and_then(|ns| u64::try_from(ns).ok()) else { return };
    let leap = text.contains(":60");
    assert!(ns == 0 || ns == other_ns || leap, "{text} is {ns}, others read {other_ns}");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const EXAMPLES: [&str; 6] = [
        "0.01000000\n61837.63\n64250.12000000\n0.001\n-1.5",
        "0.00001\n25.42618900\n0.00000\n00012.5\n.5\n5.",
        "0.5\n9223372036854775807\n-9223372036854775808\n9223372036854775808",
        "50\n150\n170141183460469231731687303715884105727\n0.00000000000000000000000000000000000001",
        "1\n18446744073709551615\n1e5\n+1\n 1\n-0",
        "0.000000000000000001\n9.223372036854775807\n0.0000000000000000001",
    ];
    EXAMPLES.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn wire_seeds() -> Vec<Vec<u8>> {
    const EXAMPLES: [&str; 5] = [
        "61837.63\n0.00001\n2026-04-07T14:30:03.000000Z",
        "200000\n25.42618900\n1970-01-01T00:00:00.000000001Z",
        "0.01\n0.0000001\n2024-02-29T23:59:59Z",
        "92233720368547758.07\n0\n2261-12-31T23:59:60.999999999Z",
        "-1\n-0.000001\n2023-02-31T24:00:00+01:00",
    ];
    EXAMPLES.iter().map(|text| text.as_bytes().to_vec()).collect()
}
