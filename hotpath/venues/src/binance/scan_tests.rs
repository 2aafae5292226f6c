//! The scanner against the readers it stands in for.

use super::*;
use crate::binance::DecodeError;
use crate::binance::decode::{self, Body};
use crate::recording::Recording;
use domain::instrument::{BookRule, Contract};
use domain::{Asset, Increment, InstrumentId, Lots, TickLots, Venue};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const FILES: [(&str, bool); 4] = [
    ("l2/binance_raw/spot_btcusdt_20240808.gz", true),
    ("l2/binance_raw/spot_ethusdt_20240808.gz", true),
    ("l2/binance_raw/usdm_btcusdt_20240808.gz", false),
    ("l2/binance_raw/cm_btcusd_perp_20240808.gz", false),
];

fn table() -> SymbolTable {
    let symbols = ["BTCUSDT", "ETHUSDT", "BTCUSD_PERP"];
    let one = |(id, symbol): (u16, &str)| Instrument {
        id: InstrumentId(id),
        version: 1,
        venue: Venue::BINANCE,
        symbol: symbol.parse().unwrap(),
        base: Asset::from("X").unwrap(),
        quote: Asset::from("Y").unwrap(),
        tick: Increment::parse("0.01").unwrap(),
        lot: Increment::parse("0.001").unwrap(),
        qty_min: Lots::new(1),
        qty_max: Lots::new(u64::MAX),
        value_min: TickLots::ZERO,
        contract: Contract::Spot,
        trade: false,
        book: BookRule::ASKED,
    };
    SymbolTable::new((0..).zip(symbols).map(one))
}

/// What the scanner and the other reader of the market say.
fn both(text: &str, is_spot: bool, table: &SymbolTable) -> (Option<Body>, Result<Body, DecodeError>) {
    if is_spot {
        return (spot(text, table).map(Body::Event), decode::parsed(text, table));
    }
    let mut out = Vec::new();
    let read = crate::binance::futures::message(text, table, &mut out);
    (futures(text, table).map(Body::Event), read.map(|()| out.pop().unwrap()))
}

#[test]
fn every_recorded_frame_is_scanned_as_it_is_parsed() {
    let table = table();
    for (file, is_spot) in FILES {
        let Some(path) = recorded::find("every_recorded_frame_is_scanned_as_it_is_parsed", file) else { return };
        let mut recording = Recording::open(&path).unwrap();
        let mut left = Vec::new();
        while let Some(entry) = recording.next_entry().unwrap() {
            match both(&entry.text, is_spot, &table) {
                (Some(scanned), Ok(parsed)) => assert_eq!(scanned, parsed, "{}", entry.text),
                (Some(_), Err(e)) => panic!("{e}"),
                (None, parsed) => left.push(parsed.unwrap()),
            }
        }
        assert!(matches!(left.as_slice(), [Body::Snapshot | Body::Other(_)]), "{file}: {left:?}");
    }
}

/// Every byte in every place among harmless ones, and behind another that ends a text.
#[test]
fn the_end_of_a_text_is_found_among_eight_bytes() {
    let ends = |byte: u8| byte == b'"' || byte == b'\\' || byte < 0x20;
    for byte in 0..=u8::MAX {
        for at in 0..8 {
            for around in [b'!', b'#', b'0', b'[', b']', 0x7f, 0x80, 0xff] {
                let mut eight = [around; 8];
                eight[at] = byte;
                let found = ends_of_text(u64::from_le_bytes(eight));
                let first = (found != 0).then(|| found.trailing_zeros() / 8);
                assert_eq!(first, eight.iter().position(|b| ends(*b)).map(|n| n as u32), "{eight:?}");
                eight[7] = b'"';
                let found = ends_of_text(u64::from_le_bytes(eight));
                assert_eq!((found.trailing_zeros() / 8) as usize, eight.iter().position(|b| ends(*b)).unwrap());
            }
        }
    }
}

/// Some recorded frames of each kind, short ones, and whether they are of Spot.
fn corpus() -> &'static [(String, bool)] {
    static CORPUS: OnceLock<Vec<(String, bool)>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let mut all = Vec::new();
        for (file, is_spot) in FILES {
            let Some(path) = recorded::find("scanner corpus", file) else { continue };
            let mut recording = Recording::open(&path).unwrap();
            let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
            for _ in 0..3000 {
                let Some(entry) = recording.next_entry().unwrap() else { break };
                let kind = entry.text.split("\"data\"").next().unwrap_or_default().to_owned();
                let seen = kinds.entry(kind).or_default();
                if entry.text.len() < 600 && *seen < 20 {
                    *seen += 1;
                    all.push((entry.text, is_spot));
                }
            }
        }
        all
    })
}

/// What a frame may be spoiled with: pieces of JSON, names and numbers of the venue, and things near them.
const PIECES: [&str; 40] = [
    "",
    " ",
    "\n",
    "\t",
    "\"",
    "\\",
    "\u{1}",
    "\u{e9}",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "0",
    "00",
    "-",
    "-0",
    "1.5",
    "1e3",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "\"\"",
    "\"b\":[]",
    "\"e\":\"trade\"",
    ",\"u\":7",
    ",\"x\":7",
    ",\"zz\":\"y\"",
    ",\"b\":[[\"1\",\"2\"]]",
    "[\"1\",\"2\"],",
    "18446744073709551615",
    "18446744073709551616",
    "9999999999999999999999",
    "MARKET",
    "depth",
    "\"M\":null,",
    "@",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever the scanner takes, the other reader takes and reads the same.
    #[test]
    fn spoiled_frames_are_scanned_as_they_are_parsed_or_not_at_all(
        which in any::<prop::sample::Index>(),
        spoils in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, prop::sample::select(PIECES.to_vec())), 1..4),
        swap in any::<bool>(),
    ) {
        if corpus().is_empty() {
            return Ok(());
        }
        let (text, is_spot) = which.get(corpus());
        let mut text = text.clone();
        for (at, cut, piece) in spoils {
            let from = (0..=at.index(text.len() + 1)).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
            let to = (from + cut..=text.len()).find(|n| text.is_char_boundary(*n)).unwrap_or(from);
            text.replace_range(from..to, piece);
        }
        let (scanned, parsed) = both(&text, *is_spot != swap, &table());
        if let Some(scanned) = scanned {
            prop_assert_eq!(scanned, parsed.unwrap(), "{}", text);
        }
    }

    /// Numbers of every size and form, in a frame that is else as the venue writes it.
    #[test]
    fn numbers_are_scanned_as_they_are_parsed(id in "[0-9]{1,21}", at in "-?[0-9]{0,20}(\\.[0-9]{0,20})?", size in "-?[0-9]{0,20}(\\.[0-9]{0,20})?") {
        for (is_spot, text) in [
            (true, format!(r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{id},"s":"BTCUSDT","b":"{at}","B":"{size}","a":"1","A":"1"}}}}"#)),
            (true, format!(r#"{{"stream":"btcusdt@depth","data":{{"e":"depthUpdate","E":{id},"s":"BTCUSDT","U":1,"u":2,"b":[["{at}","{size}"]],"a":[]}}}}"#)),
            (false, format!(r#"{{"stream":"btcusdt@depth","data":{{"E":1,"s":"BTCUSDT","u":2,"pu":{id},"b":[],"a":[["1","1"],["{at}","{size}"]]}}}}"#)),
        ] {
            match both(&text, is_spot, &table()) {
                (Some(scanned), parsed) => prop_assert_eq!(scanned, parsed.unwrap(), "{}", text),
                (None, parsed) => prop_assert!(parsed.is_err(), "{}", text),
            }
        }
    }
}
