//! The ids of a book's messages, made contiguous.
//!
//! A change says which message it follows: `prevSeqId` is the `seqId` of the one before. Ids go up by any amount, stay
//! (nothing changed for a minute, the venue only shows that it lives), or fall back after maintenance, still with the
//! old id in `prevSeqId`. What leaves here only goes up: an id that stays or falls moves all later ones up by as much.
//! Recordings from before there were ids are counted by message.

/// Where one book's messages stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chain {
    /// The venue's id of the last message.
    seq: u64,
    /// How much higher ours is.
    ahead: u64,
    /// The venue's clock at the last message, ns.
    ts_ns: u64,
}

/// What the ids of a change say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It covers these ids of ours, first and last.
    Ids(u64, u64),
    /// Nothing changed.
    Idle,
    /// Something before it was lost, and its ids do not show it.
    Lost,
}

impl Chain {
    /// Our id of the last message.
    const fn ours(self) -> u64 {
        self.seq.saturating_add(self.ahead)
    }

    /// The id of a whole book. A count begins at 2: a book from REST, which has 0, never seems to be followed.
    pub(super) fn start(&mut self, seq: Option<u64>, ts_ns: u64) -> u64 {
        let counted = self.ours().saturating_add(1).max(2);
        *self = Chain { seq: seq.unwrap_or(counted), ahead: 0, ts_ns };
        self.seq
    }

    /// What the ids of a change say; `empty` when it has no levels.
    pub(super) fn follow(&mut self, seq: Option<u64>, prev: Option<u64>, ts_ns: u64, empty: bool) -> Link {
        let next = self.ours().saturating_add(1).max(2);
        let (Some(seq), Some(prev)) = (seq, prev) else {
            *self = Chain { seq: next.saturating_sub(self.ahead), ts_ns, ..*self };
            return Link::Ids(next, next);
        };
        if prev == self.seq && seq == prev && empty {
            self.ts_ns = ts_ns;
            return Link::Idle;
        }
        let fallen = Chain { seq, ahead: next.saturating_sub(seq), ts_ns };
        if prev == self.seq && seq <= prev {
            *self = fallen;
            return Link::Ids(next, next);
        }
        let ids = Link::Ids(prev.saturating_add(1).saturating_add(self.ahead), seq.saturating_add(self.ahead));
        if prev >= self.seq && seq > prev {
            // A gap shows in the ids.
            *self = Chain { seq, ts_ns, ..*self };
            return ids;
        }
        if seq <= self.seq && ts_ns <= self.ts_ns {
            // An old message that came again; its ids say so.
            return ids;
        }
        // The ids fell back in a message that was lost.
        *self = fallen;
        Link::Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change(chain: &mut Chain, prev: u64, seq: u64, ts_ns: u64) -> Link {
        chain.follow(Some(seq), Some(prev), ts_ns, false)
    }

    /// The ids of the venue's example: 10, 15, nothing new, a fall to 3, 5.
    #[test]
    fn ids_stay_contiguous_when_the_venues_stay_or_fall_back() {
        let mut chain = Chain::default();
        assert_eq!(chain.start(Some(10), 1), 10);
        assert_eq!(change(&mut chain, 10, 15, 2), Link::Ids(11, 15));
        assert_eq!(chain.follow(Some(15), Some(15), 3, true), Link::Idle);
        assert_eq!(change(&mut chain, 15, 3, 4), Link::Ids(16, 16));
        assert_eq!(change(&mut chain, 3, 5, 5), Link::Ids(17, 18));
    }

    #[test]
    fn a_lost_message_shows_as_a_gap_and_one_that_comes_again_as_old() {
        let mut chain = Chain::default();
        chain.start(Some(10), 1);
        assert_eq!(change(&mut chain, 12, 15, 3), Link::Ids(13, 15), "11 and 12 are missing");
        assert_eq!(change(&mut chain, 10, 12, 2), Link::Ids(11, 12), "not above 15");
        assert_eq!(change(&mut chain, 15, 16, 4), Link::Ids(16, 16));
    }

    #[test]
    fn a_fall_that_was_lost_is_no_old_message() {
        let mut chain = Chain::default();
        chain.start(Some(1000), 1);
        assert_eq!(change(&mut chain, 3, 5, 3), Link::Lost, "1000 to 3 was lost");
        assert_eq!(change(&mut chain, 5, 7, 4), Link::Ids(1002, 1003), "and it goes on from there");
        assert_eq!(change(&mut chain, 2, 9, 5), Link::Lost, "7 to 2 was lost, and 9 is above it");
    }

    #[test]
    fn without_ids_messages_are_counted_and_a_book_from_rest_is_never_followed() {
        let mut chain = Chain::default();
        assert_eq!(chain.follow(None, None, 1, false), Link::Ids(2, 2));
        assert_eq!(chain.start(None, 2), 3);
        assert_eq!(chain.follow(None, None, 3, false), Link::Ids(4, 4));
        assert_eq!(Chain::default().start(None, 0), 2);
    }

    proptest! {
        /// Whatever the venue's ids do, as long as each names the one before, ours are contiguous.
        #[test]
        fn an_unbroken_chain_is_contiguous(first in 1u64..1000, ids in prop::collection::vec(0u64..1000, 0..60)) {
            let (mut chain, mut prev, mut at) = (Chain::default(), first, 1);
            let mut last = chain.start(Some(first), at);
            for seq in ids {
                at += 1;
                match change(&mut chain, prev, seq, at) {
                    Link::Ids(from, to) => {
                        prop_assert_eq!(from, last + 1);
                        prop_assert!(to >= from);
                        last = to;
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
                prev = seq;
            }
        }

        #[test]
        fn no_ids_are_too_large(
            ids in prop::collection::vec((any::<Option<u64>>(), any::<Option<u64>>(), any::<u64>()), 0..20),
        ) {
            let mut chain = Chain::default();
            for (seq, prev, ts) in ids {
                if let Link::Ids(_, last) = chain.follow(seq, prev, ts, false) {
                    prop_assert!(last <= chain.ours());
                }
                prop_assert_eq!(chain.start(seq, ts), chain.ours());
            }
        }
    }
}
