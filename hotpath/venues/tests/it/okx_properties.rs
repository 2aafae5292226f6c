//! What holds of OKX's stream whatever comes.

use crate::okx::{ASK, BID, books, instruments, replay};
use crate::replay::{entries, received};
use domain::event::Event;
use proptest::prelude::*;
use std::sync::{Arc, OnceLock};
use venues::adapter::{Adapter, Said};
use venues::okx::Okx;
use venues::wire::SymbolTable;

/// One change for each step: the venue's id, whether it changes something, and the message.
fn stream(steps: &[(u8, u64)]) -> Vec<(bool, String)> {
    let mut seq = 1000;
    let one = |(at, (kind, by)): (usize, &(u8, u64))| {
        let prev = seq;
        seq = match kind {
            0 => prev,
            1 => *by,
            _ => prev + by,
        };
        let bid = if seq == prev { String::new() } else { format!(r#"["{}.0","{by}","0","1"]"#, 50 + by % 40) };
        (seq != prev, books("update", at as u64 + 2, (i64::try_from(prev).unwrap(), seq), "", &bid))
    };
    steps.iter().enumerate().map(one).collect()
}

proptest! {
    /// Ids that rise, stay and fall as the venue's do; one message may be lost, another may come twice.
    #[test]
    fn every_lost_change_is_noticed_and_nothing_else(
        steps in prop::collection::vec((0u8..6, 1u64..30), 2..40), lost in any::<prop::sample::Index>(), again in any::<prop::sample::Index>(),
    ) {
        let all = stream(&steps);
        let (mut whole, mut torn) = (replay(), replay());
        whole.frame(&books("snapshot", 1, (-1, 1000), ASK, BID));
        torn.frame(&books("snapshot", 1, (-1, 1000), ASK, BID));
        let (lost, again) = (lost.index(all.len() - 1), again.index(all.len()));
        for (at, (changes, text)) in all.iter().enumerate() {
            whole.frame(text);
            if at == again && *changes {
                whole.frame(text);
            }
            if at != lost {
                torn.frame(text);
            }
            prop_assert!(whole.book(0).is_live());
            if at == lost + 1 {
                prop_assert_eq!(torn.book(0).is_live(), !all[lost].0, "{} was lost, then came {}", all[lost].1, text);
            }
        }
        let changes = all.iter().filter(|(changes, _)| *changes).count();
        prop_assert_eq!(whole.stats.diffs_applied, changes as u64);
    }
}

/// Short recorded frames of each kind.
fn corpus() -> &'static [String] {
    static CORPUS: OnceLock<Vec<String>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let mut all =
            vec![books("snapshot", 1, (-1, 10), ASK, BID), books("update", 2, (10, 12), "", BID), "pong".to_owned()];
        if let Some(entries) = entries("okx corpus", "ws/OKX.jsonl.zst") {
            all.extend(received(&entries).map(|e| e.text.clone()).filter(|t| t.len() < 4000).take(200));
        }
        all
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), bytes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), end in any::<bool>()) {
        let mut feed = Okx.feed(Arc::new(SymbolTable::new(instruments())));
        let mut text = at.get(corpus()).clone().into_bytes();
        for (place, byte) in bytes {
            let place = place.index(text.len());
            text[place] = byte;
        }
        if end {
            text.truncate(cut.index(text.len() + 1));
        }
        let text = String::from_utf8_lossy(&text);
        let mut out = Vec::new();
        drop(feed.frame(&text, &mut out));
        drop(feed.frame(&books("snapshot", 1, (-1, 10), ASK, BID), &mut out));
        prop_assert!(matches!(out.last(), Some(Said::Event(Event::BookSnapshot(_)))), "the frame after it can be read");
        drop(Okx.symbols_in(&text));
        drop(Okx.read_rules(&[&text], &["BTC-USDT"]));
        drop((Okx.read_book(&text, &instruments()[0]), Okx.read_bars(&text, &instruments()[0], 60), Okx.read_time(&text)));
    }
}
