//! Days and hours as jobs write them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A day of the calendar: a job that waits in the queue for a day that cannot be would fail long after it was asked for.
pub(super) fn day<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    if is_day(&text) {
        return Ok(text);
    }
    Err(D::Error::custom(format!("`{text}` is not a day; write it like 2026-11-20")))
}

/// True for `YYYY-MM-DD` in the Gregorian calendar.
fn is_day(text: &str) -> bool {
    let digits = |c: char| c.is_ascii_digit();
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    if [year, month, day].map(|p| p.len()) != [4, 2, 2] || !parts.iter().all(|p| p.chars().all(digits)) {
        return false;
    }
    let number = |part: &str| part.parse::<u32>().unwrap_or(0);
    let (year, month, day) = (number(year), number(month), number(day));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// An hour of a day of the calendar.
pub(super) fn hour<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    let two_digits = |t: &str| t.len() == 2 && t.chars().all(|c| c.is_ascii_digit());
    match text.split_once('T') {
        Some((day, hour)) if is_day(day) && two_digits(hour) && hour < "24" => Ok(text),
        _ => Err(D::Error::custom(format!("`{text}` is not an hour; write it like 2026-11-20T07"))),
    }
}
