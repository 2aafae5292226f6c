//! One value of an answer as JSON. What JSON cannot hold exactly (NaN, integers beyond 64 bits) becomes text.

use polars::prelude::{AnyValue, TimeUnit};
use serde_json::Value;

pub fn json(value: &AnyValue<'_>) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(b) => Value::Bool(*b),
        AnyValue::String(s) => Value::from(*s),
        AnyValue::StringOwned(s) => Value::from(s.as_str()),
        AnyValue::Int8(n) => Value::from(*n),
        AnyValue::Int16(n) => Value::from(*n),
        AnyValue::Int32(n) => Value::from(*n),
        AnyValue::Int64(n) => Value::from(*n),
        AnyValue::UInt8(n) => Value::from(*n),
        AnyValue::UInt16(n) => Value::from(*n),
        AnyValue::UInt32(n) => Value::from(*n),
        AnyValue::UInt64(n) => Value::from(*n),
        AnyValue::Float64(x) => float(*x),
        AnyValue::Float32(x) => float(f64::from(*x)),
        AnyValue::Date(days) => Value::from(date(*days)),
        AnyValue::Datetime(n, unit, _) => Value::from(moment(*n, *unit)),
        AnyValue::DatetimeOwned(n, unit, _) => Value::from(moment(*n, *unit)),
        other => Value::from(other.to_string()),
    }
}

fn float(x: f64) -> Value {
    if x.is_finite() { Value::from(x) } else { Value::from(x.to_string()) }
}

fn date(days: i32) -> String {
    jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(days)).to_string()
}

fn moment(n: i64, unit: TimeUnit) -> String {
    let moment = match unit {
        TimeUnit::Nanoseconds => jiff::Timestamp::from_nanosecond(i128::from(n)),
        TimeUnit::Microseconds => jiff::Timestamp::from_microsecond(n),
        TimeUnit::Milliseconds => jiff::Timestamp::from_millisecond(n),
    };
    match moment {
        Ok(moment) => moment.to_string(),
        Err(_) => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_plain_json() {
        assert_eq!(json(&AnyValue::Null), Value::Null);
        assert_eq!(json(&AnyValue::Int64(-5)), Value::from(-5));
        assert_eq!(json(&AnyValue::Float64(0.5)), Value::from(0.5));
        assert_eq!(json(&AnyValue::Float64(f64::NAN)), Value::from("NaN"));
        assert_eq!(json(&AnyValue::Date(19943)), Value::from("2024-08-08"));
        let micros = AnyValue::Datetime(1_723_161_300_000_000, TimeUnit::Microseconds, None);
        assert_eq!(json(&micros), Value::from("2024-08-08T23:55:00Z"));
    }
}
