//! What holds for every adapter.

use crate::samples::{self, bars, instrument, instruments, symbol};
use domain::event::{Allowed, Bar};
use domain::{Event, Lots, Ticks, Venue};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use venues::adapter::{Adapter, Budget, Discipline, Endpoints, Feed, Request, Said, adapter, adapters};
use venues::poll::Polled;
use venues::recording::{Recording, What};
use venues::wire::SymbolTable;

#[test]
fn names_are_unique_and_lead_back() {
    let names: BTreeSet<String> = adapters().iter().map(|a| a.venue().to_string()).collect();
    assert_eq!(names.len(), adapters().len());
    for a in adapters() {
        assert_eq!(Venue::parse(a.venue().name()), Some(a.venue()));
        assert_eq!(adapter(a.venue()).map(|found| found.venue()), Some(a.venue()));
    }
}

#[test]
fn connections_are_encrypted_unless_they_stay_on_this_machine() {
    for a in adapters() {
        let own = a.endpoints();
        assert!(own.rest.starts_with("https://") && own.streams.starts_with("wss://"), "{own:?}");
        assert!(!own.rest.ends_with('/') && !own.streams.ends_with('/'), "{own:?}");
        let few = instruments(*a, 2);
        assert!(a.connections(&own, &few).iter().all(|c| c.url.starts_with(&own.streams)));
        let here = Endpoints::at("http://127.0.0.1:4711");
        assert!(a.connections(&here, &few).iter().all(|c| c.url.starts_with("ws://127.0.0.1:4711")));
    }
}

#[test]
fn connections_carry_every_instrument_within_the_venues_limits() {
    for a in adapters() {
        let venue = a.venue();
        assert!(a.connections(&a.endpoints(), &[]).iter().all(|c| c.instruments.is_empty()));
        for n in [1, 2, 7, 40, 41, 500] {
            let all = instruments(*a, n);
            let connections = a.connections(&a.endpoints(), &all);
            let carried: BTreeSet<_> = connections.iter().flat_map(|c| c.instruments.clone()).collect();
            assert_eq!(carried, all.iter().map(|i| i.id).collect(), "{venue} with {n}");
            assert!(seconds_to_open(&a.discipline(), connections.len()) <= 10, "{venue} with {n}");
            for c in &connections {
                let said = format!("{} {}", c.url, c.first.join(" "));
                for i in all.iter().filter(|i| c.instruments.contains(&i.id)) {
                    let named = said.contains(i.symbol.as_str()) || said.contains(&i.symbol.to_lowercase());
                    assert!(named, "{venue}: {} is not asked for", i.symbol);
                }
                let json = |text: &String| serde_json::from_str::<serde_json::Value>(text).is_ok();
                assert!(c.first.iter().all(json), "{venue}: {:?}", c.first);
                samples::check_limits(venue, c);
            }
            for i in &all {
                assert!(a.renew(i).iter().all(|text| text.contains(i.symbol.as_str())), "{venue}: {:?}", a.renew(i));
            }
        }
    }
}

/// How long it takes to open so many connections, when as many are opened in each window as the venue allows.
fn seconds_to_open(discipline: &Discipline, connections: usize) -> u64 {
    let Budget { most, window } = discipline.connects;
    (connections.saturating_sub(1) / most as usize) as u64 * window.as_secs()
}

#[test]
fn the_discipline_makes_sense() {
    for a in adapters() {
        let d = a.discipline();
        if let Some((every, _)) = &d.ping {
            assert!(d.silence > *every, "{}: an answered ping comes before silence is death", a.venue());
            assert!(!every.is_zero());
        }
        assert!(d.lifetime.is_none_or(|life| life > d.silence), "{}", a.venue());
        for budget in [d.messages, d.connects, d.requests] {
            assert!(budget.most > 0 && budget.window > Duration::ZERO, "{}: {budget:?}", a.venue());
        }
    }
}

#[test]
fn every_question_is_a_path_that_the_budget_allows() {
    let check = |a: &dyn Adapter, request: &Request| {
        let Request { path, weight } = request;
        let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
        assert!(path.starts_with('/') && plain && path.len() < 8000, "{}: {path}", a.venue());
        assert!((1..=a.discipline().requests.most).contains(weight), "{}: {path} costs {weight}", a.venue());
    };
    for a in adapters() {
        check(*a, &a.time_request());
        let all = instruments(*a, 300);
        let symbols: Vec<&str> = all.iter().map(|i| i.symbol.as_str()).collect();
        for some in [&symbols[..1], &symbols] {
            let requests = a.rules_requests(some);
            assert!(!requests.is_empty());
            requests.iter().for_each(|request| check(*a, request));
        }
        check(*a, &a.book_request(&all[0]));
        let hour = 3_600_000_000_000;
        let minutes = a.bars_request(&all[0], 60, 480_000 * hour, 480_001 * hour);
        check(*a, &minutes.expect("every venue has bars of a minute"));
        for (from, to) in [(0, 0), (hour, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
            a.bars_request(&all[0], 60, from, to).iter().for_each(|request| check(*a, request));
        }
        assert_eq!(a.bars_request(&all[0], 61, 0, hour), None, "{}: there are no bars of 61 s", a.venue());
    }
}

#[test]
fn bars_come_back_oldest_first() {
    for a in adapters() {
        let i = instrument(a.venue(), 0, &symbol(a.venue(), 0));
        let got = a.read_bars(&bars(a.venue(), &i.symbol), &i, 60).unwrap_or_else(|e| panic!("{}: {e}", a.venue()));
        let starts: Vec<u64> = got.iter().map(|bar| bar.open_ns / 1_000_000_000).collect();
        assert_eq!(starts, [0, 60, 120].map(|s| samples::MINUTE + s), "{}", a.venue());
        let prices: Vec<[Ticks; 4]> = got.iter().map(|b| [b.open, b.low, b.close, b.high]).collect();
        let row = |p: i64| [p * 10, p * 10, p * 10 + 5, p * 10 + 6].map(|tenths| Ticks::new(tenths * 10_000_000));
        assert_eq!(prices, [row(1), row(2), row(3)], "{}", a.venue());
        assert!(got.iter().all(|b| b.seconds == 60 && b.volume == Lots::new(700_000_000)), "{}", a.venue());
        assert!(got[..2].iter().all(|b| b.last), "{}: what a later bar follows is finished", a.venue());
    }
}

#[test]
fn a_bar_is_final_once_when_it_is_over() {
    for a in adapters() {
        let i = instrument(a.venue(), 0, &symbol(a.venue(), 0));
        let mut feed = a.feed(Arc::new(SymbolTable::new([i.clone()])));
        let mut out = Vec::new();
        for text in samples::finished_bar(a.venue(), &i.symbol) {
            feed.frame(&text, &mut out).unwrap_or_else(|e| panic!("{}: {e}", a.venue()));
        }
        let bar = |said: &Said| if let Said::Event(Event::Bar(bar)) = said { Some(*bar) } else { None };
        let bars: Vec<Bar> = out.iter().map(|said| bar(said).unwrap_or_else(|| panic!("{said:?}"))).collect();
        let over: Vec<&Bar> = bars.iter().filter(|bar| bar.last).collect();
        let [over] = over.as_slice() else { panic!("{}: {bars:?}", a.venue()) };
        assert_eq!(Bar { last: false, ..**over }, bars[0], "{}: what was open is over", a.venue());
        let prices = [over.open, over.low, over.close, over.high].map(Ticks::get);
        assert_eq!(prices, [10, 10, 15, 16].map(|tenths| tenths * 10_000_000), "{}", a.venue());
        let is_asked_for = a.connections(&a.endpoints(), &[i]).iter().any(|c| {
            let said = format!("{} {}", c.url, c.first.join(" "));
            ["kline_1m", "kline.1", "candle1m", "\"ohlc\"", "\"candles\""].iter().any(|name| said.contains(name))
        });
        assert!(is_asked_for, "{}", a.venue());
    }
}

#[test]
fn what_a_market_lets_be_done_is_streamed_or_polled() {
    for a in adapters() {
        let i = instrument(a.venue(), 0, &symbol(a.venue(), 0));
        let polled = a.polls(std::slice::from_ref(&i)).iter().any(|poll| poll.what == Polled::Status);
        let Some(text) = samples::halted(a.venue(), &i.symbol) else {
            assert!(polled, "{}", a.venue());
            continue;
        };
        let mut out = Vec::new();
        a.feed(Arc::new(SymbolTable::new([i.clone()]))).frame(&text, &mut out).unwrap();
        let [Said::Event(Event::Status(status))] = out.as_slice() else { panic!("{}: {out:?}", a.venue()) };
        assert_eq!((status.venue, status.instrument), (a.venue(), Some(i.id)));
        assert!(status.allowed >= Allowed::CancelOnly, "{}", a.venue());
        // Coinbase streams whether a product is online; what narrows that it tells over HTTP.
        assert_eq!(polled, a.venue().name() == "coinbase", "{}", a.venue());
    }
}

/// Whatever order they stand in: the newest one is the one that may be unfinished.
#[test]
fn bars_in_another_order_come_back_oldest_first_too() {
    for a in adapters() {
        let i = instrument(a.venue(), 0, &symbol(a.venue(), 0));
        let answer = bars(a.venue(), &i.symbol);
        // The times of the first and the second bar change places.
        let [first, second] = [samples::MINUTE, samples::MINUTE + 60].map(|s| s.to_string());
        let swapped = answer.replacen(&first, "#", 1).replacen(&second, &first, 1).replacen('#', &second, 1);
        assert_ne!(answer, swapped);
        let got = a.read_bars(&swapped, &i, 60).unwrap_or_else(|e| panic!("{}: {e}", a.venue()));
        let starts: Vec<u64> = got.iter().map(|bar| bar.open_ns / 1_000_000_000).collect();
        assert_eq!(starts, [0, 60, 120].map(|s| samples::MINUTE + s), "{}", a.venue());
        assert!(got[..2].iter().all(|b| b.last), "{}: what a later bar follows is finished", a.venue());
    }
}

/// True unless it is taken for market data. Where nothing but the count of messages proves a book (Kraken), one that
/// cannot be read may have been a change of it, so doubt is allowed.
fn is_harmless(said: &Said) -> bool {
    !matches!(said, Said::RecordedBook(_)) && !matches!(said, Said::Event(e) if !matches!(e, Event::BookGap { .. }))
}

/// What must never be taken for market data.
fn rubbish() -> Vec<String> {
    let deep = 100_000;
    let mut all: Vec<String> = [
        "",
        " ",
        "\u{0}",
        "ping",
        "null",
        "true",
        "0",
        "-1e999",
        "\"text\"",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "{",
        "[",
        "{\"",
        "{\"stream\":",
        "{\"stream\":\"\",\"data\":null}",
        "{\"channel\":1,\"data\":{}}",
        "{\"topic\":[],\"type\":null}",
        "{\"a\":\"\\ud800\"}",
        "{\"e\":{},\"s\":[]}",
        "<html><head><title>403 Forbidden</title></head><body>nginx</body></html>",
        "\u{feff}{}",
    ]
    .map(str::to_owned)
    .into();
    all.push("[".repeat(deep));
    all.push("{\"data\":".repeat(deep));
    all.push("[".repeat(deep) + &"]".repeat(deep));
    all.push("{\"data\":".repeat(deep) + "1" + &"}".repeat(deep));
    all.push("x".repeat(10 << 20));
    all.push(format!("{{\"zz\":\"{}\"}}", "x".repeat(10 << 20)));
    all.push(format!("[{}1]", "1,".repeat(1 << 20)));
    all
}

#[test]
fn rubbish_is_no_market_data_and_no_answer() {
    let rubbish = rubbish();
    for a in adapters() {
        let i = instrument(a.venue(), 0, &symbol(a.venue(), 0));
        let mut feed = a.feed(Arc::new(SymbolTable::new([i.clone()])));
        for text in &rubbish {
            let shown: String = text.chars().take(40).collect();
            let shown = format!("{}: {shown}", a.venue());
            let mut out = Vec::new();
            // An error is as good as an `Other`.
            feed.frame(text, &mut out).ok();
            assert!(out.iter().all(is_harmless), "{shown} said {out:?}");
            assert!(a.read_rules(&[text], &[&i.symbol]).is_err(), "{shown}");
            assert!(a.read_book(text, &i).is_err(), "{shown}");
            assert!(a.read_time(text).is_err(), "{shown}");
            assert!(a.read_bars(text, &i, 60).map_or(true, |bars| bars.is_empty()), "{shown}");
            assert!(a.symbols_in(text).is_empty(), "{shown}");
        }
        assert!(a.read_rules(&[], &[&i.symbol]).is_err(), "{}: no answer holds no rules", a.venue());
    }
}

/// Frames of the venue as recorded, at most `most`, and a reader that knows all their symbols.
fn recorded_frames(test: &str, a: &dyn Adapter, most: usize) -> Option<(Vec<String>, Box<dyn Feed>)> {
    let Some(file) = samples::recording(a.venue()) else {
        recorded::skipped(test, &format!("no recording of {}", a.venue()));
        return None;
    };
    let mut recording = Recording::open(&recorded::find(test, file)?).unwrap();
    let mut frames = Vec::new();
    while let Some(entry) = recording.next_entry().unwrap().filter(|_| frames.len() < most) {
        if entry.what == What::Receive {
            frames.push(entry.text);
        }
    }
    let symbols: BTreeSet<String> = frames.iter().flat_map(|text| a.symbols_in(text)).collect();
    assert!(!symbols.is_empty(), "{} does not know its own frames", a.venue());
    let all = (0u16..).zip(&symbols).map(|(id, symbol)| instrument(a.venue(), id, symbol));
    Some((frames, a.feed(Arc::new(SymbolTable::new(all)))))
}

#[test]
fn unknown_members_change_nothing() {
    const MEMBERS: &str = "\"zz_new\":{\"a\":[1,{}]},\"zz\":null,";
    for a in adapters() {
        let test = "unknown_members_change_nothing";
        let Some((frames, mut plain)) = recorded_frames(test, *a, 2000) else { continue };
        let Some((_, mut more)) = recorded_frames(test, *a, 2000) else { continue };
        let mut events = 0;
        for text in &frames {
            // Into the outermost object and into the innermost that is opened last, unless they are empty.
            let [first, last] = [text.find("{\""), text.rfind("{\"")];
            let mut wider = text.clone();
            for at in [last, first.filter(|_| first != last)].into_iter().flatten() {
                wider.insert_str(at + 1, MEMBERS);
            }
            let (mut want, mut got) = (Vec::new(), Vec::new());
            plain.frame(text, &mut want).unwrap_or_else(|e| panic!("{}: {e}", a.venue()));
            more.frame(&wider, &mut got).unwrap_or_else(|e| panic!("{}: {e}", a.venue()));
            assert_eq!(got, want, "{}: {text}", a.venue());
            events += want.iter().filter(|said| matches!(said, Said::Event(_))).count();
        }
        assert!(events > 100, "{}: {events} events", a.venue());
    }
}

#[test]
fn data_of_symbols_that_nobody_asked_for_is_counted_and_no_error() {
    for a in adapters() {
        let test = "data_of_symbols_that_nobody_asked_for_is_counted_and_no_error";
        let Some((frames, _)) = recorded_frames(test, *a, 2000) else { continue };
        let mut feed = a.feed(Arc::new(SymbolTable::default()));
        let mut out = Vec::new();
        for text in &frames {
            feed.frame(text, &mut out).unwrap_or_else(|e| panic!("{}: {e}", a.venue()));
        }
        // What holds for all of the venue is nobody's data.
        let of_all = |event: &Event| matches!(event, Event::Status(status) if status.instrument.is_none());
        assert!(!out.iter().any(|said| matches!(said, Said::Event(e) if !of_all(e))), "{}", a.venue());
        assert!(out.iter().any(|said| matches!(said, Said::Other(_))), "{}", a.venue());
    }
}

#[test]
fn a_frame_cut_anywhere_says_nothing() {
    for a in adapters() {
        let Some((frames, mut feed)) = recorded_frames("a_frame_cut_anywhere_says_nothing", *a, 300) else { continue };
        let mut out = Vec::new();
        for text in frames.iter().filter(|text| text.len() < 2000) {
            for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
                feed.frame(&text[..at], &mut out).ok();
                assert!(out.drain(..).all(|said| is_harmless(&said)), "{}: {}", a.venue(), &text[..at]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes are put into a recorded frame, nobody panics.
    #[test]
    fn damaged_frames_never_panic(which in 0usize..300, at in 0.0f64..1.0, bytes in "[\\PC\"{}\\[\\]:,0-9]{0,8}", cut in 0usize..9) {
        for a in adapters() {
            let Some((frames, mut feed)) = recorded_frames("damaged_frames_never_panic", *a, 300) else { continue };
            let text = &frames[which % frames.len()];
            let spot = |share: f64| (0..=text.len()).rev().find(|n| *n as f64 <= share * text.len() as f64 && text.is_char_boundary(*n));
            let from = spot(at).unwrap_or(0);
            let to = (from + cut).min(text.len());
            let to = if text.is_char_boundary(to) { to } else { from };
            let damaged = format!("{}{bytes}{}", &text[..from], &text[to..]);
            feed.frame(&damaged, &mut Vec::new()).ok();
            a.symbols_in(&damaged);
        }
    }
}
