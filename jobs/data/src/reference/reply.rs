//! Reads CoinGecko's replies. Figures stay text: they come with up to 18 digits and with exponents.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// One figure that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The coin's id, or the name of the whole market.
    pub about: String,
    /// What is told.
    pub measure: String,
    /// In what.
    pub unit: String,
    /// A decimal number without exponent.
    pub value: String,
    /// When it was published, ns.
    pub ts_venue_ns: i64,
}

/// A reply, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What can be used.
    pub figures: Vec<Figure>,
    /// What was asked for and not told, and why.
    pub left_out: Vec<String>,
}

/// Exponents beyond this are no figure of any market.
const EXPONENT_MAX: i32 = 40;
/// Digits beyond this are none either.
const DIGITS_MAX: usize = 60;

/// Prices, capitalisations, volumes and changes of `coins` out of `/simple/price`.
///
/// # Errors
/// In words, when it is something else.
pub fn prices(body: &str, coins: &[&str], currency: &str) -> Result<Told, String> {
    let all: BTreeMap<String, Option<BTreeMap<String, &RawValue>>> = read(body)?;
    let measures = [
        ("price", currency.to_owned(), currency),
        ("market_cap", format!("{currency}_market_cap"), currency),
        ("volume_24h", format!("{currency}_24h_vol"), currency),
        ("change_24h", format!("{currency}_24h_change"), "percent"),
    ];
    let mut told = Told::default();
    for coin in coins {
        let Some(Some(fields)) = all.get(*coin) else {
            told.left_out.push(format!("{coin}: there is no such coin (ids are asked for, not tickers)"));
            continue;
        };
        let Some(ts_venue_ns) = fields.get("last_updated_at").and_then(|raw| seconds(raw.get())) else {
            told.left_out.push(format!("{coin}: it does not say when it was published"));
            continue;
        };
        let figure = |(measure, field, unit): &(&str, String, &str)| {
            let value = fields.get(field).and_then(|raw| decimal(raw.get()))?;
            Some(Figure {
                about: (*coin).to_owned(),
                measure: (*measure).to_owned(),
                unit: (*unit).to_owned(),
                value,
                ts_venue_ns,
            })
        };
        let found: Vec<Figure> = measures.iter().filter_map(figure).collect();
        // A coin may have no capitalisation; without a price it says nothing.
        if found.first().is_some_and(|f| f.measure == "price") {
            told.figures.extend(found);
        } else {
            told.left_out.push(format!("{coin}: it has no price"));
        }
    }
    Ok(told)
}

/// The whole market's capitalisation and volume, and the shares of the largest coins in it (dominance), out of `/global`.
///
/// # Errors
/// In words, when it is something else.
pub fn global(body: &str, about: &str, currency: &str) -> Result<Told, String> {
    #[derive(Deserialize)]
    struct Global<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow, default)]
        total_market_cap: BTreeMap<String, &'a RawValue>,
        #[serde(borrow, default)]
        total_volume: BTreeMap<String, &'a RawValue>,
        #[serde(borrow, default)]
        market_cap_percentage: BTreeMap<String, &'a RawValue>,
        #[serde(borrow)]
        updated_at: &'a RawValue,
    }
    let Global { data } = read(body)?;
    let Some(ts_venue_ns) = seconds(data.updated_at.get()) else {
        return Ok(Told {
            left_out: vec![format!("{about}: it does not say when it was published")],
            ..Told::default()
        });
    };
    let in_currency = |measure: &'static str, all: &BTreeMap<String, &RawValue>| {
        all.get(currency).map(|raw| (measure.to_owned(), currency.to_owned(), raw.get().to_owned()))
    };
    let shares = data.market_cap_percentage.iter();
    let shares = shares.map(|(coin, raw)| (format!("dominance_{coin}"), "percent".to_owned(), raw.get().to_owned()));
    let all = in_currency("market_cap", &data.total_market_cap)
        .into_iter()
        .chain(in_currency("volume_24h", &data.total_volume))
        .chain(shares);
    let figures: Vec<Figure> = all
        .filter_map(|(measure, unit, raw)| {
            Some(Figure { about: about.to_owned(), measure, unit, value: decimal(&raw)?, ts_venue_ns })
        })
        .collect();
    let left_out = if figures.is_empty() { vec![format!("{about}: it says nothing of use")] } else { Vec::new() };
    Ok(Told { figures, left_out })
}

/// JSON, or what stands there instead: pages of the network before the service are HTML, and its own errors have a status.
fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Failure {
        status: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        error_code: i64,
        #[serde(default)]
        error_message: String,
    }
    if let Ok(Failure { status }) = serde_json::from_str(body) {
        return Err(format!("CoinGecko says {}: {}", status.error_code, status.error_message));
    }
    serde_json::from_str(body).map_err(|error| {
        let begin: String = body.chars().take(60).collect();
        format!("the answer is not what it should be ({error}); it begins `{begin}`")
    })
}

/// Whole seconds since 1970 as ns.
fn seconds(raw: &str) -> Option<i64> {
    raw.parse::<i64>().ok().filter(|s| *s > 0)?.checked_mul(1_000_000_000)
}

/// A JSON number as a decimal number without exponent, with the same digits; `None` for anything else.
fn decimal(raw: &str) -> Option<String> {
    let (negative, plain) = raw.strip_prefix('-').map_or((false, raw), |rest| (true, rest));
    let (mantissa, exponent) = plain.split_once(['e', 'E']).unwrap_or((plain, "0"));
    let exponent: i32 = exponent.parse().ok().filter(|e| (-EXPONENT_MAX..=EXPONENT_MAX).contains(e))?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if whole.is_empty() || digits.len() > DIGITS_MAX || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Where the point stands, counted from the first digit; both are small.
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let (whole, fraction) = if point <= 0 {
        (String::new(), "0".repeat(usize::try_from(-point).ok()?) + &digits)
    } else {
        let point = usize::try_from(point).ok()?;
        let padded = format!("{digits:0<point$}");
        (padded[..point].to_owned(), padded[point..].to_owned())
    };
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if negative && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests;
