//! How times, spans, counts and progress are written for people.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// A length of time in two units at most: `0.4s`, `41s`, `2m10s`, `3h05m`, `4d`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
pub fn span(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e12);
    if seconds < 9.95 && seconds.fract() >= 0.05 {
        return format!("{seconds:.1}s");
    }
    let whole = seconds.round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", whole % 60),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        (_, 0, _) => format!("{days}d"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// Seconds from one moment to another.
pub fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64()
}

/// `2026-11-20 00:20:05`, UTC.
pub fn moment(at: DateTime<Utc>) -> String {
    at.format("%F %T").to_string()
}

/// `2026-11-20 00:20`, UTC.
pub fn minute(at: DateTime<Utc>) -> String {
    at.format("%F %R").to_string()
}

/// `-` where there is nothing.
pub fn or_dash<T>(value: Option<T>, words: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), words)
}

/// `8,640`.
pub fn count(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if n < 0 { format!("-{out}") } else { out }
}

/// `1 run`, `2 runs`.
pub fn many(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// The beginning of a hash, which is enough to compare by eye.
pub fn short(hash: &str) -> &str {
    hash.get(..6).unwrap_or(hash)
}

/// The first line, cut where it gets long.
pub fn first_line(text: &str) -> String {
    cut(text.lines().next().unwrap_or_default(), 100)
}

/// The text, cut to this many characters.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    format!("{}...", text.chars().take(width.saturating_sub(3)).collect::<String>())
}

/// `[#######-----] 58%`; without `drawn` only the number.
pub fn bar(share: f64, drawn: bool) -> String {
    const WIDTH: usize = 12;
    let share = share.clamp(0.0, 1.0);
    // What is not over is never shown as 100%.
    let percent = format!("{}%", (share * 100.0).floor());
    if !drawn {
        return percent;
    }
    let full = (1..=WIDTH).take_while(|n| f64::from(u8::try_from(*n).unwrap_or(u8::MAX)) <= share * 12.0).count();
    format!("[{}{}] {percent}", "#".repeat(full), "-".repeat(WIDTH - full))
}

/// How far a step is, by what it said and when it began, with the time left if it goes on like that.
pub fn progress(said: &Value, began: Option<DateTime<Utc>>, now: DateTime<Utc>, drawn: bool) -> Option<String> {
    let (done, total) = (said["done"].as_f64()?, said["total"].as_f64());
    let unit = said["unit"].as_str().unwrap_or_default();
    let Some(total) = total.filter(|total| *total > 0.0) else {
        return Some(format!("{done} {unit}").trim().to_owned());
    };
    let share = done / total;
    let left = began.filter(|_| share > 0.0 && share < 1.0).map(|at| seconds(at, now) * (1.0 - share) / share);
    Some(format!("{}{}", bar(share, drawn), left.map_or_else(String::new, |left| format!(", {} left", span(left)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spans_have_two_units_at_most() {
        let written = [0.0, 0.4, 41.0, 130.4, 291.0, 192.0, 480.0, 11_100.0, 345_600.0, 349_200.0].map(span);
        assert_eq!(written, ["0s", "0.4s", "41s", "2m10s", "4m51s", "3m12s", "8m00s", "3h05m", "4d", "4d01h"]);
    }

    #[test]
    fn a_span_rounds_into_the_next_unit() {
        assert_eq!([9.97, 59.7, 3_599.6].map(span), ["10s", "1m00s", "1h00m"]);
    }

    #[test]
    fn counts_have_commas() {
        assert_eq!([0, 999, 8_640, 1_234_567, -1_000].map(count), ["0", "999", "8,640", "1,234,567", "-1,000"]);
    }

    #[test]
    fn progress_says_how_much_is_left() {
        let now = "2026-11-20T00:01:00Z".parse().unwrap();
        let began = "2026-11-20T00:00:00Z".parse().ok();
        let said = json!({"done": 3, "total": 4, "unit": "hours"});
        assert_eq!(progress(&said, began, now, true).as_deref(), Some("[#########---] 75%, 20s left"));
        assert_eq!(progress(&said, began, now, false).as_deref(), Some("75%, 20s left"));
        assert_eq!(progress(&json!({"done": 7, "unit": "files"}), began, now, true).as_deref(), Some("7 files"));
        assert_eq!(bar(0.9999, true), "[###########-] 99%");
        assert_eq!(progress(&json!({}), began, now, true), None);
    }
}
