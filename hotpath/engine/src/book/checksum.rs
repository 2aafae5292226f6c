//! Checksums of a book's best levels, as some venues send them with every change: the same text is written from our
//! levels, and its CRC32 has to be theirs. Whole ticks and lots are the digits already, so no number passes through text
//! that a venue could have written another way.

use super::Levels;
use domain::event::Level;
use domain::instrument::{Checksum, ChecksumText};
use domain::{Increment, Instrument};

/// Computes one instrument's checksums. Keeps its text's memory.
#[derive(Clone, Debug)]
pub(super) struct Summer {
    rule: Checksum,
    tick: Increment,
    lot: Increment,
    text: Vec<u8>,
}

impl Summer {
    pub(super) fn of(instrument: &Instrument) -> Option<Summer> {
        let Instrument { tick, lot, .. } = *instrument;
        instrument.book.checksum.map(|rule| Summer { rule, tick, lot, text: Vec::with_capacity(1024) })
    }

    /// CRC32 (IEEE) of the text of the best levels.
    pub(super) fn sum(&mut self, bids: &Levels, asks: &Levels) -> u32 {
        self.text.clear();
        let most = usize::from(self.rule.levels);
        match self.rule.text {
            ChecksumText::Digits => {
                for level in asks.iter().take(most).chain(bids.iter().take(most)) {
                    self.digits(level);
                }
            }
            ChecksumText::Decimals => {
                let (mut bids, mut asks) = (bids.iter().take(most), asks.iter().take(most));
                loop {
                    let pair = [bids.next(), asks.next()];
                    if pair == [None, None] {
                        break;
                    }
                    for level in pair.into_iter().flatten() {
                        self.decimals(level);
                    }
                }
                // One `:` too many.
                self.text.pop();
            }
        }
        crc32fast::hash(&self.text)
    }

    fn digits(&mut self, level: Level) {
        put_number(&mut self.text, units(self.tick, level.price.get().unsigned_abs()));
        put_number(&mut self.text, units(self.lot, level.qty.get()));
    }

    fn decimals(&mut self, level: Level) {
        if level.price.get() < 0 {
            self.text.push(b'-');
        }
        put_decimal(&mut self.text, units(self.tick, level.price.get().unsigned_abs()), self.tick.scale);
        self.text.push(b':');
        put_decimal(&mut self.text, units(self.lot, level.qty.get()), self.lot.scale);
        self.text.push(b':');
    }
}

/// The number as a whole count of the last digit after the point.
fn units(step: Increment, steps: u64) -> u128 {
    u128::from(steps) * u128::from(step.units)
}

fn put_number(out: &mut Vec<u8>, number: u128) {
    let mut digits = [0; 40];
    let mut at = digits.len();
    let mut rest = number;
    while rest > 0 {
        at -= 1;
        // A digit fits a byte.
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

fn put_decimal(out: &mut Vec<u8>, mut number: u128, scale: u8) {
    let mut scale = usize::from(scale);
    while scale > 0 && number.is_multiple_of(10) {
        number /= 10;
        scale -= 1;
    }
    let from = out.len();
    put_number(out, number);
    let digits = out.len() - from;
    // At least one digit before the point.
    for _ in digits..=scale {
        out.insert(from, b'0');
    }
    if scale > 0 {
        out.insert(out.len() - scale, b'.');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::btcusdt;
    use domain::Side;
    use domain::instrument::BookRule;
    use domain::{Decimal, Lots, Ticks};
    use proptest::prelude::*;

    fn instrument(tick: &str, lot: &str, text: ChecksumText, levels: u8) -> Instrument {
        let book = BookRule { checksum: Some(Checksum { levels, text }), ..BookRule::PUSHED };
        let step = |text| Increment::parse(text).unwrap();
        Instrument { tick: step(tick), lot: step(lot), book, ..btcusdt() }
    }

    fn side(instrument: &Instrument, side: Side, levels: &[(&str, &str)]) -> Levels {
        let mut all = Levels::new(side);
        for (price, qty) in levels {
            let lots = u64::try_from(instrument.lot.count(qty).unwrap()).unwrap();
            all.set(Ticks::new(instrument.tick.count(price).unwrap()), Lots::new(lots));
        }
        all
    }

    /// The worked example of Kraken's documentation of its version 2 books.
    #[test]
    fn digits_give_the_published_sum() {
        let i = instrument("0.1", "0.00000001", ChecksumText::Digits, 10);
        const ASKS: [(&str, &str); 10] = [
            ("45285.2", "0.00100000"),
            ("45286.4", "1.54571953"),
            ("45286.6", "1.54571109"),
            ("45289.6", "1.54560911"),
            ("45290.2", "0.15890660"),
            ("45291.8", "1.54553491"),
            ("45294.7", "0.04454749"),
            ("45296.1", "0.35380000"),
            ("45297.5", "0.09945542"),
            ("45299.5", "0.18772827"),
        ];
        const BIDS: [(&str, &str); 10] = [
            ("45283.5", "0.10000000"),
            ("45283.4", "1.54582015"),
            ("45282.1", "0.10000000"),
            ("45281.0", "0.10000000"),
            ("45280.3", "1.54592586"),
            ("45279.0", "0.07990000"),
            ("45277.6", "0.03310103"),
            ("45277.5", "0.30000000"),
            ("45277.3", "1.54602737"),
            ("45276.6", "0.15445238"),
        ];
        let (mut bids, asks) = (side(&i, Side::Buy, &BIDS), side(&i, Side::Sell, &ASKS));
        // Levels past the tenth do not count.
        bids.set(Ticks::new(1), Lots::new(1));
        assert_eq!(Summer::of(&i).unwrap().sum(&bids, &asks), 3_310_070_434);
    }

    #[test]
    fn no_rule_no_sum() {
        assert!(Summer::of(&btcusdt()).is_none());
    }

    proptest! {
        /// Against the exact decimals of the vocabulary, written by somebody else and trimmed as text.
        #[test]
        fn decimals_are_plain_and_short(
            bids in prop::collection::btree_map(1u64..100_000, 1u64..1_000_000, 0..6),
            asks in prop::collection::btree_map(100_000u64..200_000, 1u64..1_000_000, 0..6),
            tick in prop::sample::select(vec!["0.01", "0.5", "1", "0.00001"]),
            lot in prop::sample::select(vec!["1", "0.0001", "0.25"]),
        ) {
            let i = instrument(tick, lot, ChecksumText::Decimals, 4);
            let fill = |side, all: &std::collections::BTreeMap<u64, u64>| {
                let mut levels = Levels::new(side);
                all.iter().for_each(|(p, q)| levels.set(Ticks::new(i64::try_from(*p).unwrap()), Lots::new(*q)));
                levels
            };
            let (b, a) = (fill(Side::Buy, &bids), fill(Side::Sell, &asks));
            let short = |d: Decimal| {
                let text = d.to_string();
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
            };
            let words = |l: Level| [short(i.price(l.price)), short(i.qty(l.qty))].join(":");
            let mut text = Vec::new();
            for at in 0..4 {
                text.extend(b.iter().nth(at).map(words));
                text.extend(a.iter().nth(at).map(words));
            }
            prop_assert_eq!(Summer::of(&i).unwrap().sum(&b, &a), crc32fast::hash(text.join(":").as_bytes()));
        }
    }
}
