//! What has to be asked for again and again: questions within the budget, answers as recorded and as documented.

use crate::drive::{entries, fixture};
use crate::samples::{instrument, instruments};
use domain::event::{Allowed, Status};
use domain::{Event, Instrument, InstrumentId, Venue};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use venues::adapter::{Adapter, Said, adapter, adapters};
use venues::poll::{Poll, Polled};
use venues::recording::What;
use venues::wire::SymbolTable;

fn venue(name: &str) -> &'static dyn Adapter {
    adapter(Venue::named(name)).unwrap()
}

fn of(adapter: &dyn Adapter, symbols: &[String]) -> Vec<Instrument> {
    symbols.iter().zip(0..).map(|(symbol, id)| instrument(adapter.venue(), id, symbol)).collect()
}

/// What every poll of this kind makes of this answer.
fn answer(a: &dyn Adapter, all: &[Instrument], what: Polled, text: &str) -> Vec<Said> {
    let (table, mut out) = (SymbolTable::new(all.iter().cloned()), Vec::new());
    for poll in a.polls(all).iter().filter(|poll| poll.what == what) {
        a.read_poll(poll, text, &table, &mut out).unwrap();
    }
    out
}

fn statuses(a: &dyn Adapter, symbols: &[&str], text: &str) -> Vec<Option<(Allowed, String)>> {
    let symbols: Vec<String> = symbols.iter().map(|&s| s.to_owned()).collect();
    let one = |said: Said| match said {
        Said::Event(Event::Status(Status { venue, instrument: Some(_), allowed, said })) if venue == a.venue() => {
            Some((allowed, said.to_string()))
        }
        Said::Other("unknown status") => None,
        other => panic!("{other:?}"),
    };
    answer(a, &of(a, &symbols), Polled::Status, text).into_iter().map(one).collect()
}

#[test]
fn polls_ask_about_every_instrument_and_take_no_more_than_a_tenth_of_the_budget_each() {
    for a in adapters() {
        let (name, budget) = (a.venue(), a.discipline().requests);
        assert!(a.polls(&[]).is_empty(), "{name}");
        for n in [1, 2, 100, 101, 500] {
            let all = instruments(*a, n);
            let polls = a.polls(&all);
            for what in [Polled::Status, Polled::OpenInterest] {
                let mine: Vec<&Poll> = polls.iter().filter(|poll| poll.what == what).collect();
                let mut asked: Vec<InstrumentId> = mine.iter().flat_map(|p| p.instruments.clone()).collect();
                asked.sort();
                let whole: Vec<InstrumentId> = all.iter().map(|i| i.id).collect();
                let futures = name.name().starts_with("binance-");
                let told = match what {
                    // Kraken streams it.
                    Polled::Status => name.name() == "kraken",
                    // Bybit streams it; spot has none.
                    Polled::OpenInterest => !futures,
                };
                assert_eq!(asked, if told { Vec::new() } else { whole }, "{name} {what:?}");
                // Weight in a window, in millionths.
                let used: u128 = mine
                    .iter()
                    .map(|p| u128::from(p.request.weight) * budget.window.as_micros() * 1_000_000 / p.every.as_micros())
                    .sum();
                assert!(used <= u128::from(budget.most) * 100_000, "{name} with {n}: {used}");
                assert!(mine.iter().all(|p| p.request.path.len() < 8000 && p.every.as_secs() >= 30), "{name}");
            }
        }
    }
}

/// Recorded answers to questions for all symbols at once: what each is, counted another way.
#[test]
fn recorded_lists_tell_what_every_symbol_lets_be_done() {
    let test = "recorded_lists_tell_what_every_symbol_lets_be_done";
    for (name, file, path, list, key, word, counts) in [
        ("binance", "BINANCE", "/api/v3/exchangeInfo", "/symbols", "symbol", "status", [1262, 433]),
        ("binance-usdm", "BINANCE_FUTURES", "/fapi/v1/exchangeInfo", "/symbols", "symbol", "status", [121, 1]),
        ("bybit-linear", "BYBIT_linear", "/v5/market/instruments-info", "/result/list", "symbol", "status", [800, 0]),
        ("coinbase", "COINBASE", "/market/products", "/products", "product_id", "status", [0, 0]),
        ("okx", "OKX", "instType=SPOT", "/data", "instId", "state", [0, 0]),
    ] {
        let Some(found) = recorded::find(test, &format!("ws/{file}.jsonl.zst")) else { continue };
        let all = entries(found);
        let text = &all.iter().find(|e| matches!(&e.what, What::Http(url) if url.contains(path))).unwrap().text;
        let value: Value = serde_json::from_str(text).unwrap();
        let rows = value.pointer(list).unwrap().as_array().unwrap();
        let a = venue(name);
        // Some names are longer than any we would trade.
        let rows: Vec<&Value> = rows.iter().filter(|row| row[key].as_str().unwrap().len() <= 24).collect();
        let symbols: Vec<String> = rows.iter().map(|row| row[key].as_str().unwrap().to_owned()).collect();
        let instruments = of(a, &symbols);
        let mut got: BTreeMap<InstrumentId, Status> = BTreeMap::new();
        let mut texts: BTreeMap<&str, String> = BTreeMap::new();
        if name == "coinbase" {
            texts.extend(rows.iter().map(|row| (row[key].as_str().unwrap(), row.to_string())));
        }
        let table = SymbolTable::new(instruments.iter().cloned());
        for poll in a.polls(&instruments).iter().filter(|p| p.what == Polled::Status) {
            let symbol = symbols[usize::from(poll.instruments[0].0)].as_str();
            // Where single symbols are asked for, the answer holds only those.
            let text = match (name, poll.instruments.len()) {
                ("coinbase", _) => texts[symbol].clone(),
                (_, 1) => {
                    let mut one = value.clone();
                    *one.pointer_mut(list).unwrap() = json!([rows[usize::from(poll.instruments[0].0)]]);
                    one.to_string()
                }
                _ => text.clone(),
            };
            let mut out = Vec::new();
            a.read_poll(poll, &text, &table, &mut out).unwrap();
            for said in out {
                let Said::Event(Event::Status(status)) = said else { panic!("{said:?}") };
                got.insert(status.instrument.unwrap(), status);
            }
        }
        assert_eq!(got.len(), rows.len(), "{name}");
        for (status, row) in got.values().zip(&rows) {
            assert_eq!(status.said.as_str(), row[word], "{name}");
            let trades = ["TRADING", "Trading", "online", "live"].contains(&row[word].as_str().unwrap());
            let flag = |name: &str| row[name] == true;
            let want = match (trades, name) {
                (false, _) => Allowed::Nothing,
                (true, "binance") if row["isSpotTradingAllowed"] == false => Allowed::Nothing,
                (true, "coinbase") if flag("trading_disabled") || flag("is_disabled") || flag("view_only") => {
                    Allowed::Nothing
                }
                (true, "coinbase") if flag("cancel_only") || flag("auction_mode") => Allowed::CancelOnly,
                (true, "coinbase") if flag("post_only") || flag("limit_only") => Allowed::PostOnly,
                (true, _) => Allowed::All,
            };
            assert_eq!(status.allowed, want, "{name}: {row}");
        }
        let many = |word_is: fn(&str) -> bool| rows.iter().filter(|r| word_is(r[word].as_str().unwrap())).count();
        let found = [many(|w| w.eq_ignore_ascii_case("trading")), many(|w| w == "BREAK" || w == "PENDING_TRADING")];
        assert_eq!(found, counts, "{name}");
    }
}

/// A word of a venue and what it means.
type Word = (&'static str, Allowed);

/// Every word of the venues' enums, new ones, and symbols that are gone.
#[test]
fn every_documented_word_is_known_and_new_ones_are_counted() {
    use Allowed::*;
    let known: [(&str, &str, &[Word]); 6] = [
        (
            "binance",
            r#"{"symbols":[{"symbol":"S","status":"WORD"}]}"#,
            &[
                ("TRADING", All),
                ("END_OF_DAY", Nothing),
                ("HALT", Nothing),
                ("BREAK", Nothing),
                ("CANCEL_ONLY", CancelOnly),
            ],
        ),
        (
            "binance-usdm",
            r#"{"symbols":[{"symbol":"S","status":"WORD"}]}"#,
            &[
                ("PENDING_TRADING", Nothing),
                ("TRADING", All),
                ("PRE_DELIVERING", Nothing),
                ("DELIVERING", Nothing),
                ("DELIVERED", Nothing),
                ("PRE_SETTLE", Nothing),
                ("SETTLING", Nothing),
                ("CLOSE", Nothing),
            ],
        ),
        (
            "binance-coinm",
            r#"{"symbols":[{"symbol":"S","contractStatus":"WORD"}]}"#,
            &[("TRADING", All), ("DELIVERED", Nothing)],
        ),
        (
            "bybit",
            r#"{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"symbol":"S","status":"WORD"}]},"time":1}"#,
            &[("PreLaunch", Nothing), ("Trading", All), ("Delivering", Nothing), ("Closed", Nothing)],
        ),
        (
            "okx",
            r#"{"code":"0","msg":"","data":[{"instId":"S","state":"WORD"}]}"#,
            &[
                ("live", All),
                ("suspend", Nothing),
                ("rebase", Nothing),
                ("post_only", PostOnly),
                ("preopen", Nothing),
                ("test", Nothing),
            ],
        ),
        (
            "coinbase",
            r#"{"product_id":"S","status":"WORD","cancel_only":false}"#,
            &[("online", All), ("offline", Nothing), ("delisted", Nothing)],
        ),
    ];
    for (name, form, words) in known {
        for (word, allowed) in words {
            let got = statuses(venue(name), &["S"], &form.replace("WORD", word));
            assert_eq!(got, [Some((*allowed, (*word).to_owned()))], "{name}");
        }
        assert_eq!(statuses(venue(name), &["S"], &form.replace("WORD", "DREAMING")), [None], "{name}");
        let gone = statuses(venue(name), &["GONE"], &form.replace("WORD", words[0].0));
        assert_eq!(gone, [Some((Nothing, "not listed".to_owned()))], "{name}");
    }
}

#[test]
fn answers_of_other_programs_tests_are_read() {
    let test = "answers_of_other_programs_tests_are_read";
    let all = |text: &str, name: &str, symbols: &[&str]| {
        let told = statuses(venue(name), symbols, text);
        assert!(
            told.iter().all(|t| t.as_ref().is_some_and(|(allowed, _)| *allowed == Allowed::All)),
            "{name}: {told:?}"
        );
        assert_eq!(told.len(), symbols.len());
    };
    let read = |file| fixture(test, file);
    if let Some(text) = read("bybit/http_get_instruments_spot.json") {
        all(&text, "bybit", &["BTCUSDT", "ETHUSDT"]);
    }
    if let Some(text) = read("bybit/http_get_instruments_linear.json") {
        all(&text, "bybit-linear", &["BTCUSDT", "ETHUSDT"]);
        let spot = venue("bybit");
        let btc = of(spot, &["BTCUSDT".to_owned()]);
        let poll = &spot.polls(&btc)[0];
        let linear = text.replacen("\"result\": {", "\"result\": {\"category\": \"linear\",", 1);
        let read = spot.read_poll(poll, &linear, &SymbolTable::new(btc.clone()), &mut Vec::new());
        assert!(read.is_err(), "the same symbols trade in every line");
    }
    if let Some(text) = read("coinbase/http_product.json") {
        all(&text, "coinbase", &["BTC-USD"]);
        let halted = text.replace("\"cancel_only\":false", "\"cancel_only\":true");
        assert_eq!(
            statuses(venue("coinbase"), &["BTC-USD"], &halted),
            [Some((Allowed::CancelOnly, "online".to_owned()))]
        );
    }
    if let Some(text) = read("binance/spot/http_json/exchange_info_response.json") {
        all(&text, "binance", &["ETHBTC"]);
        let halted = text.replace("\"isSpotTradingAllowed\": true", "\"isSpotTradingAllowed\": false");
        assert_eq!(statuses(venue("binance"), &["ETHBTC"], &halted), [Some((Allowed::Nothing, "TRADING".to_owned()))]);
    }
}

/// The replies printed in the venue's documentation.
#[test]
fn how_much_is_held_is_asked_of_futures_only() {
    for (name, symbol, text, path, size, ms) in [
        (
            "binance-usdm",
            "BTCUSDT",
            r#"{"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}"#,
            "/fapi/v1/openInterest?symbol=BTCUSDT",
            "10659.509",
            1_589_437_530_011_u64,
        ),
        (
            "binance-coinm",
            "BTCUSD_200626",
            r#"{"symbol":"BTCUSD_200626","pair":"BTCUSD","openInterest":"15004","contractType":"CURRENT_QUARTER","time":1591261042378}"#,
            "/dapi/v1/openInterest?symbol=BTCUSD_200626",
            "15004",
            1_591_261_042_378,
        ),
    ] {
        let a = venue(name);
        let one = of(a, &[symbol.to_owned()]);
        let poll = a.polls(&one).into_iter().find(|p| p.what == Polled::OpenInterest).unwrap();
        assert_eq!((poll.request.path.as_str(), poll.request.weight), (path, 1));
        let said = answer(a, &one, Polled::OpenInterest, text);
        let [Said::Event(Event::OpenInterest(held))] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!((held.size.to_string(), held.ts_venue_ns), (size.to_owned(), ms * 1_000_000));
    }
}

#[test]
fn what_is_no_answer_says_nothing() {
    for a in adapters() {
        let all = instruments(*a, 2);
        let table = SymbolTable::new(all.iter().cloned());
        for poll in a.polls(&all) {
            for text in ["", "{}", "[]", "null", "<html>", r#"{"code":-1003,"msg":"Too much"}"#, r#"{"retCode":10006}"#]
            {
                let mut out = Vec::new();
                assert!(a.read_poll(&poll, text, &table, &mut out).is_err(), "{}: {text}", a.venue());
                assert!(out.is_empty());
            }
        }
    }
}
