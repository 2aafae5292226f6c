//! The bodies are those of the service's documentation.

use super::*;
use proptest::prelude::*;

const PRICE: &str = r#"{"bitcoin":{"usd":64250.12,"usd_market_cap":1273000000000.1,"usd_24h_vol":28900000000.5,"usd_24h_change":-1.42,"last_updated_at":1782000000}}"#;

fn values(told: &Told) -> Vec<(&str, &str, &str, &str)> {
    told.figures.iter().map(|f| (f.about.as_str(), f.measure.as_str(), f.unit.as_str(), f.value.as_str())).collect()
}

#[test]
fn the_documented_price_is_read_digit_by_digit() {
    let told = prices(PRICE, &["bitcoin"], "usd").unwrap();
    let want = [
        ("bitcoin", "price", "usd", "64250.12"),
        ("bitcoin", "market_cap", "usd", "1273000000000.1"),
        ("bitcoin", "volume_24h", "usd", "28900000000.5"),
        ("bitcoin", "change_24h", "percent", "-1.42"),
    ];
    assert_eq!(values(&told), want);
    assert!(told.figures.iter().all(|f| f.ts_venue_ns == 1_782_000_000_000_000_000));
    assert!(told.left_out.is_empty());
}

#[test]
fn a_ticker_is_no_coin_and_another_coin_is_not_taken_for_it() {
    let told = prices(PRICE, &["btc", "bitcoin"], "usd").unwrap();
    assert_eq!(told.left_out, ["btc: there is no such coin (ids are asked for, not tickers)"]);
    assert!(told.figures.iter().all(|f| f.about == "bitcoin"));
    assert_eq!(prices("{}", &["btc"], "usd").unwrap().left_out.len(), 1);
}

#[test]
fn what_is_null_or_not_there_is_missing() {
    let body = r#"{"a":{"usd":1.5,"usd_market_cap":null,"usd_24h_change":null,"last_updated_at":1782000000,"new":{}},
        "b":{"usd":null,"last_updated_at":1782000000},"c":{"usd":1},"d":null,"e":{"eur":1,"last_updated_at":1782000000}}"#;
    let told = prices(body, &["a", "b", "c", "d", "e"], "usd").unwrap();
    assert_eq!(values(&told), [("a", "price", "usd", "1.5")]);
    let why: Vec<&str> = told.left_out.iter().map(|w| w.split(':').next().unwrap()).collect();
    assert_eq!(why, ["b", "c", "d", "e"]);
}

#[test]
fn the_whole_market_is_read_with_its_shares() {
    let body = r#"{"data":{"active_cryptocurrencies":17000,"markets":1200,"total_market_cap":{"usd":2221640488657.3,"eur":1},
        "total_volume":{"usd":9.1e+10},"market_cap_percentage":{"btc":57.3,"eth":11.9},
        "market_cap_change_percentage_24h_usd":-0.5,"updated_at":1782000000}}"#;
    let told = global(body, "GLOBAL", "usd").unwrap();
    let want = [
        ("GLOBAL", "market_cap", "usd", "2221640488657.3"),
        ("GLOBAL", "volume_24h", "usd", "91000000000"),
        ("GLOBAL", "dominance_btc", "percent", "57.3"),
        ("GLOBAL", "dominance_eth", "percent", "11.9"),
    ];
    assert_eq!(values(&told), want);
    let empty = global(r#"{"data":{"updated_at":1782000000}}"#, "GLOBAL", "usd").unwrap();
    assert_eq!(empty.left_out, ["GLOBAL: it says nothing of use"]);
    assert_eq!(global(r#"{"data":{"updated_at":null}}"#, "GLOBAL", "usd").unwrap().left_out.len(), 1);
}

#[test]
fn pages_of_the_network_and_errors_with_status_200_are_told_as_such() {
    let html = "<!DOCTYPE html><html><title>Access denied</title>error 1020</html>";
    let said = prices(html, &["bitcoin"], "usd").unwrap_err();
    assert!(said.contains("it begins `<!DOCTYPE html>"), "{said}");
    let error = r#"{"status":{"error_code":10005,"error_message":"your plan does not hold this"}}"#;
    for said in [prices(error, &["bitcoin"], "usd").unwrap_err(), global(error, "GLOBAL", "usd").unwrap_err()] {
        assert_eq!(said, "CoinGecko says 10005: your plan does not hold this");
    }
    for nothing in ["", "[]", "null", "{\"bitcoin\":7}"] {
        assert!(prices(nothing, &["bitcoin"], "usd").is_err(), "{nothing}");
    }
}

#[test]
fn numbers_with_exponents_and_eighteen_digits_keep_them() {
    let all = [
        ("1.2e-07", "0.00000012"),
        ("1E3", "1000"),
        ("1.25e+1", "12.5"),
        ("123456.789012345678", "123456.789012345678"),
        ("0.000000000000000001", "0.000000000000000001"),
        ("-0.0", "0"),
        ("-1.50", "-1.5"),
        ("0", "0"),
        ("100", "100"),
        ("12e-2", "0.12"),
        ("1.23456e2", "123.456"),
    ];
    for (raw, want) in all {
        assert_eq!(decimal(raw).as_deref(), Some(want), "{raw}");
    }
    for bad in ["null", "\"1\"", "true", "", "-", ".", "1e99", "1e-99", "1e", "{}"] {
        assert_eq!(decimal(bad), None, "{bad}");
    }
}

/// Its absolute value is no `i32`: it once became a text of 2 GiB.
#[test]
fn the_smallest_exponent_there_is_makes_no_figure() {
    for raw in ["1e-2147483648", "1e2147483647", "0e-2147483647", "1e-41"] {
        assert_eq!(decimal(raw), None, "{raw}");
    }
    let body = PRICE.replace("64250.12", "1e-2147483648");
    assert_eq!(prices(&body, &["bitcoin"], "usd").unwrap().left_out, ["bitcoin: it has no price"]);
}

proptest! {
    /// Any bytes in the place of any in a reply: an answer or a complaint, whose figures are plain decimals.
    #[test]
    fn spoiled_replies_are_read_or_refused(at in any::<prop::sample::Index>(), cut in 0usize..12, piece in "[-+0-9eE.,:{}\\[\\]\"]{0,14}") {
        let from = at.index(PRICE.len());
        let mut body = PRICE.to_owned();
        body.replace_range(from..(from + cut).min(PRICE.len()), &piece);
        let figures = [prices(&body, &["bitcoin"], "usd"), global(&body, "GLOBAL", "usd")].into_iter().flatten();
        for figure in figures.flat_map(|told| told.figures) {
            let plain = figure.value.bytes().all(|c| c.is_ascii_digit() || c == b'.' || c == b'-');
            prop_assert!(plain && figure.value.len() <= 120 && figure.value.parse::<f64>().is_ok(), "{:?}", figure);
        }
    }

    /// The same number by another way: Rust's own reading of both texts.
    #[test]
    fn taking_the_exponent_away_changes_no_number(n in -1e15f64..1e15, e in -30i32..20) {
        let raw = format!("{n}e{e}");
        prop_assert_eq!(decimal(&raw).unwrap().parse::<f64>().unwrap(), raw.parse::<f64>().unwrap());
    }
}
