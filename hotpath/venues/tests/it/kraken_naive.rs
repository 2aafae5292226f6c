//! A venue of our own that tells of its book as Kraken does: only of the levels inside the depth, never of one that is
//! pushed out, again of one that comes back, with a checksum written by the letter of the documentation. What is read must
//! be that book after every message.

use crate::kraken::instruments;
use crate::replay::Replay;
use domain::Instrument;
use proptest::prelude::*;
use std::collections::BTreeMap;
use venues::kraken::Kraken;

const DEPTH: usize = 12;

/// Price in tenths and size in units of the eighth decimal, as whole numbers; bids under negative prices, so that the best
/// is always first.
type Side = BTreeMap<i64, u64>;

fn shown(side: &Side) -> Side {
    side.iter().take(DEPTH).map(|(p, q)| (*p, *q)).collect()
}

/// `64250.1` and `0.25000000`, by hand.
fn texts(price: i64, qty: u64) -> (String, String) {
    let price = price.abs();
    (format!("{}.{}", price / 10, price % 10), format!("{}.{:08}", qty / 100_000_000, qty % 100_000_000))
}

/// CRC32 a bit at a time, as in the standard.
fn crc32(text: &str) -> u32 {
    let step = |crc: u32, byte: u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    };
    !text.bytes().fold(u32::MAX, step)
}

fn checksum(asks: &Side, bids: &Side) -> u32 {
    let ten = |side: &Side| -> String {
        let level = |(p, q): (&i64, &u64)| {
            let (price, qty) = texts(*p, *q);
            [price, qty].map(|t| t.replace('.', "").trim_start_matches('0').to_owned()).concat()
        };
        side.iter().take(10).map(level).collect()
    };
    crc32(&(ten(asks) + &ten(bids)))
}

/// The levels that a message has to tell of for `before` to become `after`: those that left by themselves go with a size of
/// zero, those that were pushed out go without a word.
fn changes(before: &Side, after: &Side, all: &Side) -> String {
    let gone = before.keys().filter(|p| !all.contains_key(p)).map(|p| (*p, 0));
    let new = after.iter().filter(|(p, q)| before.get(p) != Some(q)).map(|(p, q)| (*p, *q));
    let level = |(p, q)| {
        let (price, qty) = texts(p, q);
        format!(r#"{{"price":{price},"qty":{qty}}}"#)
    };
    gone.chain(new).map(level).collect::<Vec<_>>().join(",")
}

fn message(kind: &str, bids: &str, asks: &str, sum: u32) -> String {
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{bids}],"asks":[{asks}],"checksum":{sum}}}]}}"#
    )
}

#[test]
fn the_slow_crc_is_the_standard_one() {
    // The check value in every catalogue of CRCs.
    assert_eq!(crc32("123456789"), 0xcbf4_3926);
}

proptest! {
    #[test]
    fn the_book_is_the_venues_after_every_message(
        messages in prop::collection::vec(prop::collection::vec((any::<bool>(), 1i64..25, 0u64..4), 1..6), 1..60),
    ) {
        let mut i: Instrument = instruments().remove(0);
        i.book.depth = u16::try_from(DEPTH).unwrap();
        let mut replay = Replay::new(&Kraken, &[i]);
        let (mut bids, mut asks) = (Side::new(), Side::new());
        replay.frame(&message("snapshot", "", "", crc32("")));
        for orders in &messages {
            let before = (shown(&bids), shown(&asks));
            for (buy, distance, size) in orders {
                let (side, price) = if *buy { (&mut bids, distance - 1000) } else { (&mut asks, 1000 + distance) };
                match size {
                    0 => drop(side.remove(&price)),
                    size => drop(side.insert(price, size * 12_345_600)),
                }
            }
            let after = (shown(&bids), shown(&asks));
            let sum = checksum(&after.1, &after.0);
            replay.frame(&message("update", &changes(&before.0, &after.0, &bids), &changes(&before.1, &after.1, &asks), sum));
            let book = replay.book(0);
            let read = |side: &engine::book::Levels| -> Side {
                side.iter().map(|l| (l.price.get(), l.qty.get())).collect()
            };
            prop_assert!(book.is_live(), "{}", book.reason());
            prop_assert_eq!(read(book.asks()), after.1);
            prop_assert_eq!(read(book.bids()), after.0.iter().map(|(p, q)| (-p, *q)).collect::<Side>());
        }
        prop_assert_eq!(replay.stats.checksums_equal, messages.len() as u64 + 1);
    }
}
