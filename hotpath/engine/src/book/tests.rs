//! The synchronisation, step by step, and against a naive book on random streams.

use super::*;
use crate::stats::BookStats;
use crate::testing::{ID, btcusdt, delta, level, snapshot};
use domain::event::BookDelta;
use proptest::prelude::*;

const S: u64 = 1_000_000_000;

/// A book that is live at id 10 with bid 99 and ask 101.
fn live() -> (Book, BookStats) {
    let (mut book, mut stats) = (Book::new(&btcusdt()), BookStats::default());
    assert!(book.on_delta(S, &delta(5, 8, &[], &[]), &mut stats).ask);
    let news = book.on_snapshot(S, &snapshot(10, &[(99, 5), (98, 1)], &[(101, 7), (102, 1)]), &mut stats);
    assert_eq!(news, News { moved: true, ask: false, applied: true });
    assert!(book.is_live());
    (book, stats)
}

#[test]
fn a_cold_book_buffers_and_asks_for_a_snapshot_once_the_first_change_has_come() {
    let (mut book, mut stats) = (Book::new(&btcusdt()), BookStats::default());
    assert_eq!(book.on_time(S), News::default());
    let news = book.on_delta(S, &delta(5, 8, &[(100, 1)], &[]), &mut stats);
    assert_eq!(news, News { moved: true, ask: true, applied: false });
    assert_eq!(book.state(), BookState::Syncing);
    assert_eq!(book.on_delta(S, &delta(9, 9, &[], &[]), &mut stats), News::default(), "one question at a time");
    assert!(book.top().is_none(), "nothing is shown before the snapshot");
}

#[test]
fn a_snapshot_older_than_the_buffer_is_asked_for_again_and_the_buffer_is_kept() {
    let (mut book, mut stats) = (Book::new(&btcusdt()), BookStats::default());
    assert!(book.on_delta(S, &delta(20, 25, &[(100, 1)], &[(101, 1)]), &mut stats).ask);
    let news = book.on_snapshot(S, &snapshot(19, &[], &[]), &mut stats);
    assert!(news.moved && !news.ask && book.state() == BookState::Syncing);
    assert!(!book.on_time(S + S / 2).ask, "a cached snapshot is not fetched in a storm");
    assert!(book.on_time(2 * S).ask);
    assert!(book.on_snapshot(2 * S, &snapshot(22, &[(99, 3)], &[(103, 3)]), &mut stats).applied);
    assert_eq!(book.last_id(), 25);
    assert_eq!(book.top(), Some((level(100, 1), level(101, 1))), "the kept change was applied on the second snapshot");
    assert_eq!((stats.snapshots_unusable, stats.diffs_bridged, stats.diffs_applied), (1, 1, 0));
}

#[test]
fn buffered_changes_that_the_snapshot_contains_are_dropped() {
    let (mut book, mut stats) = (Book::new(&btcusdt()), BookStats::default());
    let _asked = book.on_delta(S, &delta(1, 4, &[(100, 9)], &[]), &mut stats);
    let _buffered = book.on_delta(S, &delta(5, 8, &[(100, 8)], &[]), &mut stats);
    // The last id of the snapshot lies inside the second change, which is applied whole.
    assert!(book.on_snapshot(S, &snapshot(6, &[(100, 3)], &[(105, 3)]), &mut stats).applied);
    assert_eq!(book.top(), Some((level(100, 8), level(105, 3))));
    assert_eq!((stats.diffs_ignored, stats.diffs_bridged, book.last_id()), (1, 1, 8));
}

#[test]
fn a_live_book_follows_contiguous_changes_and_ignores_old_ones() {
    let (mut book, mut stats) = live();
    assert!(book.on_delta(2 * S, &delta(11, 12, &[(99, 0), (100, 2)], &[]), &mut stats).applied);
    assert_eq!(book.top(), Some((level(100, 2), level(101, 7))));
    assert_eq!(book.on_delta(3 * S, &delta(11, 12, &[(100, 9)], &[]), &mut stats), News::default());
    assert_eq!((book.changed_recv_ns(), book.last_id()), (2 * S, 12), "an old change is no sign of life");
    assert!(book.on_delta(4 * S, &delta(12, 14, &[], &[(101, 1)]), &mut stats).applied, "an overlap is no gap");
}

#[test]
fn a_gap_makes_the_book_stale_and_starts_over_with_the_change_that_showed_it() {
    let (mut book, mut stats) = live();
    let news = book.on_delta(9 * S, &delta(12, 13, &[(100, 1)], &[]), &mut stats);
    assert_eq!(news, News { moved: true, ask: true, applied: false });
    assert_eq!((book.state(), book.reason(), stats.sequence_breaks), (BookState::Stale, "gap", 1));
    assert!(book.top().is_none());
    assert!(book.on_snapshot(9 * S, &snapshot(12, &[(99, 1)], &[(101, 1)]), &mut stats).applied);
    assert_eq!((book.last_id(), book.top()), (13, Some((level(100, 1), level(101, 1)))));
}

#[test]
fn a_gap_inside_the_buffer_counts_and_drops_what_lies_before_it() {
    let (mut book, mut stats) = (Book::new(&btcusdt()), BookStats::default());
    let _asked = book.on_delta(S, &delta(1, 4, &[(100, 9)], &[]), &mut stats);
    let _gap = book.on_delta(S, &delta(7, 9, &[(90, 1)], &[]), &mut stats);
    assert_eq!(stats.sequence_breaks, 1);
    assert!(!book.on_snapshot(S, &snapshot(5, &[], &[]), &mut stats).applied, "5 and 6 are in neither");
    assert!(book.on_time(2 * S).ask);
    assert!(book.on_snapshot(2 * S, &snapshot(8, &[(80, 1)], &[(95, 1)]), &mut stats).applied);
    assert_eq!(book.top().unwrap().0, level(90, 1));
}

#[test]
fn a_crossed_or_locked_book_is_stale_at_once() {
    for bid in [101, 102] {
        let (mut book, mut stats) = live();
        let news = book.on_delta(9 * S, &delta(11, 12, &[(bid, 1)], &[]), &mut stats);
        assert!(news.moved && !news.applied);
        assert_eq!((book.state(), book.reason(), stats.crossed), (BookState::Stale, "crossed", 1));
        assert!(book.on_delta(9 * S, &delta(13, 13, &[], &[]), &mut stats).ask, "and starts over");
    }
}

#[test]
fn a_crossed_snapshot_is_not_taken() {
    let (mut book, mut stats) = (Book::new(&btcusdt()), BookStats::default());
    let _asked = book.on_delta(S, &delta(1, 4, &[], &[]), &mut stats);
    assert!(!book.on_snapshot(S, &snapshot(4, &[(101, 1)], &[(100, 1)]), &mut stats).applied);
    assert!(!book.is_live() && book.top().is_none());
}

#[test]
fn a_lost_link_makes_the_book_stale_and_its_changes_void_until_it_is_up_again() {
    let (mut book, mut stats) = live();
    assert!(book.on_link(S, false).moved);
    assert_eq!((book.state(), book.reason()), (BookState::Stale, "link down"));
    assert_eq!(book.on_link(S, false), News::default());
    assert_eq!(book.on_delta(9 * S, &delta(11, 12, &[], &[]), &mut stats), News::default());
    assert!(book.on_link(S, true).moved);
    assert_eq!(book.state(), BookState::Syncing);
    assert!(book.on_delta(9 * S, &delta(50, 51, &[], &[]), &mut stats).ask);
    assert_eq!(stats.sequence_breaks, 0, "a reconnect is not a gap in a stream");
}

#[test]
fn a_snapshot_nobody_asked_for_changes_nothing_while_changes_come() {
    let (mut book, mut stats) = live();
    assert!(book.on_delta(S, &delta(11, 12, &[(99, 6)], &[]), &mut stats).applied);
    assert_eq!(book.on_snapshot(2 * S, &snapshot(99, &[(1, 1)], &[(2, 1)]), &mut stats), News::default());
    assert_eq!(book.top(), Some((level(99, 6), level(101, 7))));
    assert_eq!(stats.snapshots_unusable, 1);
}

#[test]
fn snapshots_stand_in_for_a_stream_that_is_away_and_give_way_when_it_is_back() {
    let (mut book, mut stats) = live();
    assert!(book.on_delta(S, &delta(11, 20, &[], &[]), &mut stats).applied);
    assert!(book.on_gap(2 * S, &mut stats).moved);
    let old = snapshot(19, &[(90, 1)], &[(91, 1)]);
    assert_eq!(book.on_snapshot(3 * S, &old, &mut stats), News::default(), "older than what the stream said");
    let news = book.on_snapshot(3 * S, &snapshot(30, &[(95, 1)], &[(96, 1)]), &mut stats);
    assert_eq!(news, News { moved: true, ask: false, applied: true });
    let news = book.on_snapshot(4 * S, &snapshot(40, &[(94, 1)], &[(96, 1)]), &mut stats);
    assert_eq!((news, book.top().unwrap().0), (News { applied: true, ..News::default() }, level(94, 1)));
    let crossed = book.on_snapshot(5 * S, &snapshot(41, &[(94, 1)], &[(94, 1)]), &mut stats);
    assert!(crossed.moved && !book.is_live() && book.top().is_none());
    assert!(book.on_snapshot(6 * S, &snapshot(42, &[(93, 1)], &[(96, 1)]), &mut stats).applied);
    // Something was missed meanwhile, so the stream's first change shows a gap.
    let back = book.on_delta(7 * S, &delta(50, 51, &[], &[]), &mut stats);
    assert!(back.moved && back.ask && !book.is_live());
    assert!(book.on_snapshot(7 * S, &snapshot(55, &[(92, 1)], &[(96, 1)]), &mut stats).applied);
    assert!(book.on_delta(8 * S, &delta(56, 57, &[(93, 1)], &[]), &mut stats).applied);
    assert_eq!(book.top().unwrap().0, level(93, 1));
}

#[test]
fn failed_snapshots_are_retried_after_one_two_four_up_to_thirty_seconds() {
    let (mut book, mut stats) = (Book::new(&btcusdt()), BookStats::default());
    assert!(book.on_delta(0, &delta(1, 2, &[], &[]), &mut stats).ask);
    let mut now = 0;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        let _later = book.on_snapshot_failed(now, &mut stats);
        assert!(!book.on_time(now + pause * S - 1).ask, "{pause} s have not passed");
        now += pause * S;
        assert!(book.on_time(now).ask, "after {pause} s");
    }
    assert_eq!(stats.snapshots_failed, 7);
}

#[test]
fn a_snapshot_that_neither_comes_nor_fails_is_asked_for_again() {
    let (mut book, mut stats) = (Book::new(&btcusdt()), BookStats::default());
    assert!(book.on_delta(0, &delta(1, 2, &[], &[]), &mut stats).ask);
    assert!(!book.on_time(10 * S).ask);
    assert!(book.on_time(16 * S).ask);
}

#[test]
fn the_buffer_is_bounded_and_loses_its_oldest() {
    let (mut book, mut stats) = (Book::new(&btcusdt()), BookStats::default());
    let last = BUFFER_MAX as u64 + 10;
    for id in 1..=last {
        let _buffered = book.on_delta(S, &delta(id, id, &[], &[]), &mut stats);
    }
    assert!(!book.on_snapshot(S, &snapshot(10, &[], &[]), &mut stats).applied, "11 is the first one left");
    assert!(book.on_time(100 * S).ask);
    assert!(book.on_snapshot(100 * S, &snapshot(11, &[], &[]), &mut stats).applied);
    assert_eq!(book.last_id(), last);
}

fn quote(update_id: u64, bid: (i64, u64), ask: (i64, u64)) -> Quote {
    Quote { instrument: ID, ts_venue_ns: 0, update_id, bid: level(bid.0, bid.1), ask: level(ask.0, ask.1) }
}

#[test]
fn a_top_is_compared_once_whether_the_quote_comes_before_or_after_its_change() {
    let (mut book, mut stats) = live();
    book.on_quote(&quote(10, (99, 5), (101, 7)), &mut stats);
    assert_eq!(stats.tops_compared, 0, "10 is a snapshot's id and no change's");
    book.on_quote(&quote(12, (100, 2), (101, 7)), &mut stats);
    let _applied = book.on_delta(S, &delta(11, 12, &[(100, 2)], &[]), &mut stats);
    assert_eq!((stats.tops_compared, stats.tops_equal), (1, 1));
    book.on_quote(&quote(12, (100, 2), (101, 7)), &mut stats);
    assert_eq!(stats.tops_compared, 1, "each id once");
    let _applied = book.on_delta(S, &delta(13, 15, &[(100, 3)], &[]), &mut stats);
    book.on_quote(&quote(15, (100, 4), (101, 7)), &mut stats);
    assert_eq!((stats.tops_compared, stats.tops_equal), (2, 1), "a wrong size is seen");
}

#[test]
fn a_quote_is_found_among_the_last_ones_when_the_memory_has_wrapped() {
    let (mut book, mut stats) = live();
    for id in 11..=500 {
        book.on_quote(&quote(id, (99, id), (101, 7)), &mut stats);
    }
    let _applied = book.on_delta(S, &delta(11, 300, &[(99, 300)], &[]), &mut stats);
    let _applied = book.on_delta(S, &delta(301, 490, &[(99, 490)], &[]), &mut stats);
    assert_eq!((stats.tops_compared, stats.tops_equal), (2, 2));
}

type Change = (u64, Vec<(i64, u64)>, Vec<(i64, u64)>);

/// Bids under 500, asks from 500 on, so that the true book is never crossed.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    let side = |low: i64, high: i64| prop::collection::vec((low..high, 0u64..4), 0..4);
    prop::collection::vec((1u64..4, side(450, 500), side(500, 550)), 1..80)
}

proptest! {
    /// A venue publishes changes; the snapshot is taken at some point and arrives at another; one change may get lost.
    #[test]
    fn a_live_book_equals_the_naive_one_wherever_the_snapshot_falls(
        changes in changes(), taken in 0usize..80, arrives in 0usize..80, lost in 0usize..160,
    ) {
        let deltas: Vec<BookDelta> = changes.iter().scan(0, |id, (n, bids, asks)| {
            let d = delta(*id + 1, *id + n, bids, asks);
            *id += n;
            Some(d)
        }).collect();
        let naive = |upto: usize| {
            let mut sides = [Side::Buy, Side::Sell].map(levels::tests::Naive::new);
            for d in &deltas[..upto] {
                d.bids.iter().for_each(|l| sides[0].set(l.price, l.qty));
                d.asks.iter().for_each(|l| sides[1].set(l.price, l.qty));
            }
            sides.map(|s| s.all())
        };
        let taken = taken.min(deltas.len() - 1);
        let (mut book, mut stats) = (Book::new(&btcusdt()), BookStats::default());
        for (at, d) in deltas.iter().enumerate() {
            if at == arrives.max(taken) {
                let [bids, asks] = naive(taken);
                let last_id = if taken == 0 { 0 } else { deltas[taken - 1].last_id };
                let s = BookSnapshot { instrument: ID, ts_venue_ns: 0, last_id, bids, asks, checksum: None };
                let _news = book.on_snapshot(S, &s, &mut stats);
            }
            if at != lost {
                let _news = book.on_delta(S, d, &mut stats);
            }
            if book.is_live() && at != lost {
                let [bids, asks] = naive(at + 1);
                prop_assert_eq!(book.bids().iter().collect::<Vec<_>>(), bids);
                prop_assert_eq!(book.asks().iter().collect::<Vec<_>>(), asks);
                prop_assert_eq!(book.last_id(), d.last_id);
            }
        }
        prop_assert!(lost < deltas.len() || stats.sequence_breaks == 0);
    }
}
