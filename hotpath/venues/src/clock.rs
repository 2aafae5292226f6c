//! How far a venue's clock is from ours, estimated all the time from what passes by. Pure: both times are the caller's.
//!
//! The offset is the venue's clock minus ours. Two kinds of evidence bound it:
//!
//! - a **message** cannot come before it was sent, so the offset is at least its venue time minus its receive time;
//! - a **question** for the venue's time was answered between asking and hearing, so the offset lies between the venue's
//!   time minus ours at the end and minus ours at the beginning.
//!
//! The estimate is the middle of what all evidence of the last two minutes allows. Without questions only the lower bound is
//! known; then that is the estimate, which takes the fastest message for one without latency. Either way no message of the
//! window has a negative latency, however wrong either clock is.

use std::collections::VecDeque;

/// Evidence is kept in so many slices of so long; with the oldest slice old evidence goes.
const SLICES: usize = 8;
const SLICE_NS: u64 = 15_000_000_000;
/// Bounds that are further apart than this bound little.
const LOOSE_NS: i64 = 100_000_000;
/// So many messages in a row from beyond the upper bound are a step of a clock, and fewer are messages with odd times.
const STEP_MESSAGES: u32 = 16;
/// Evidence that contradicts itself by less is a clock that is being slewed, or two that run at different rates.
const STEP_NS: i64 = 20_000_000;

/// How far the venue's clock is from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Venue's clock minus ours, ns.
    pub ns: i64,
    /// At most so far from the truth, ns; `None` when the venue was never asked, so that any latency could be part of it.
    pub error_ns: Option<u64>,
}

/// The evidence of one slice of time.
#[derive(Clone, Copy, Debug)]
struct Slice {
    number: u64,
    /// The offset is at least this.
    least: Option<i64>,
    /// The offset is at most this.
    most: Option<i64>,
}

/// Estimates one venue's offset.
#[derive(Clone, Debug, Default)]
pub struct OffsetEstimator {
    slices: VecDeque<Slice>,
    beyond: u32,
    steps: u64,
    odd: u64,
}

impl OffsetEstimator {
    /// A message that the venue stamped with `venue_ns` was received at `recv_ns`; both ns since 1970.
    pub fn message(&mut self, venue_ns: u64, recv_ns: u64) {
        if venue_ns == 0 {
            return;
        }
        let least = signed(venue_ns) - signed(recv_ns);
        if self.most().is_some_and(|most| least > most) {
            self.beyond += 1;
            self.odd += 1;
            if self.beyond < STEP_MESSAGES {
                return;
            }
            self.step(self.most().map_or(0, |most| least - most));
        }
        self.beyond = 0;
        let slice = self.slice(recv_ns);
        slice.least = slice.least.max(Some(least));
    }

    /// The venue was asked for its time at `sent_ns` and the answer, `venue_ns` in units of `unit_ns`, came at `recv_ns`.
    pub fn answer(&mut self, sent_ns: u64, recv_ns: u64, venue_ns: u64, unit_ns: u64) {
        let least = signed(venue_ns) - signed(recv_ns);
        // The last digits are cut off: it may have been almost a unit later.
        let most = signed(venue_ns.saturating_add(unit_ns)) - signed(sent_ns);
        let above = self.most().map_or(0, |known| least - known);
        let below = self.least().map_or(0, |known| known - most);
        if above.max(below) > 0 {
            self.step(above.max(below));
        }
        let slice = self.slice(recv_ns);
        slice.least = slice.least.max(Some(least));
        slice.most = Some(slice.most.map_or(most, |known| known.min(most)));
    }

    /// The estimate; `None` before the first evidence.
    pub fn offset(&self) -> Option<Offset> {
        let least = self.least()?;
        Some(match self.most() {
            // A venue that tells whole seconds: the fastest message says more than the middle of a second.
            Some(most) if most - least > LOOSE_NS => Offset { ns: least, error_ns: Some((most - least) as u64) },
            // Half of the room, rounded up.
            Some(most) => {
                Offset { ns: least + (most - least) / 2, error_ns: Some(((most - least) as u64).div_ceil(2)) }
            }
            None => Offset { ns: least, error_ns: None },
        })
    }

    /// How long a message stamped `venue_ns` and received at `recv_ns` was under way by the estimate, ns. Never negative: 0
    /// for what seems to come from the future.
    pub fn latency_ns(&self, venue_ns: u64, recv_ns: u64) -> Option<u64> {
        let offset = self.offset()?.ns;
        Some(u64::try_from(signed(recv_ns) + offset - signed(venue_ns)).unwrap_or(0))
    }

    /// Times one of the two clocks stepped.
    pub const fn steps(&self) -> u64 {
        self.steps
    }
    /// Messages from a time the venue's clock had not reached by all we know.
    pub const fn odd(&self) -> u64 {
        self.odd
    }

    fn least(&self) -> Option<i64> {
        self.slices.iter().filter_map(|s| s.least).max()
    }
    fn most(&self) -> Option<i64> {
        self.slices.iter().filter_map(|s| s.most).min()
    }

    /// All evidence is void: what is new contradicts it by so much.
    fn step(&mut self, by_ns: i64) {
        self.steps += u64::from(by_ns >= STEP_NS);
        self.beyond = 0;
        self.slices.clear();
    }

    /// The slice of this time. When our own clock went back, everything goes into the newest.
    fn slice(&mut self, recv_ns: u64) -> &mut Slice {
        let number = recv_ns / SLICE_NS;
        if self.slices.back().is_none_or(|newest| newest.number < number) {
            self.slices.push_back(Slice { number, least: None, most: None });
        }
        while self.slices.front().is_some_and(|oldest| oldest.number + SLICES as u64 <= number) {
            self.slices.pop_front();
        }
        self.slices.back_mut().expect("one was pushed")
    }
}

/// Times since 1970 fit until the year 2262.
fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;
    const NOW: u64 = 1_700_000_000_000 * MS;

    fn shifted(ns: u64, by: i64) -> u64 {
        ns.checked_add_signed(by).unwrap()
    }

    proptest! {
        /// A venue with a known offset, messages and questions with drawn ways there and back.
        #[test]
        fn the_truth_lies_within_the_error_and_no_latency_is_negative(
            offset_ms in -5_000i64..5_000,
            ways in prop::collection::vec((0u64..400, 0u64..300, 0u64..300, any::<bool>()), 1..200),
        ) {
            let truth = offset_ms * MS as i64;
            let (mut estimator, mut now, mut asked) = (OffsetEstimator::default(), NOW, false);
            let mut recent = Vec::new();
            for (pause, there, back, ask) in ways {
                now += pause * MS;
                if ask {
                    let stamped = shifted(now + there * MS, truth) / MS * MS;
                    estimator.answer(now, now + (there + back) * MS, stamped, MS);
                    now += (there + back) * MS;
                    asked = true;
                } else {
                    let sent = shifted(now, truth);
                    estimator.message(sent, now + there * MS);
                    recent.push((sent, now + there * MS));
                }
                let told = estimator.offset().unwrap();
                if let Some(error) = told.error_ns {
                    prop_assert!(told.ns.abs_diff(truth) <= error, "{told:?}, true is {truth}");
                } else {
                    prop_assert!(!asked && told.ns <= truth, "without questions it is a lower bound");
                }
            }
            prop_assert_eq!((estimator.steps(), estimator.odd()), (0, 0));
            for (sent, received) in recent {
                prop_assert!(estimator.latency_ns(sent, received).is_some());
            }
        }
    }

    #[test]
    fn a_clock_a_second_ahead_is_an_offset_and_no_negative_latency() {
        let mut estimator = OffsetEstimator::default();
        for (n, ahead_ms) in [1215u64, 1240, 1275, 1230].into_iter().enumerate() {
            let received = NOW + n as u64 * 100 * MS;
            estimator.message(received + ahead_ms * MS, received);
        }
        assert_eq!(estimator.offset(), Some(Offset { ns: 1_275_000_000, error_ns: None }));
        assert_eq!(estimator.latency_ns(NOW + 1215 * MS, NOW), Some(60 * MS));
        assert_eq!(estimator.latency_ns(NOW + 9000 * MS, NOW), Some(0));
    }

    #[test]
    fn one_message_from_the_future_moves_nothing_and_many_are_a_step() {
        let mut estimator = OffsetEstimator::default();
        estimator.answer(NOW, NOW + 20 * MS, NOW + 10 * MS, MS);
        let before = estimator.offset().unwrap();
        assert_eq!(before, Offset { ns: 500_000, error_ns: Some(10_500_000) });
        estimator.message(NOW + 60_000 * MS, NOW + 30 * MS);
        assert_eq!((estimator.offset().unwrap(), estimator.odd(), estimator.steps()), (before, 1, 0));
        for n in 0..u64::from(STEP_MESSAGES) {
            estimator.message(NOW + (3040 + n) * MS, NOW + (40 + n) * MS);
        }
        assert_eq!((estimator.offset().unwrap().ns, estimator.steps()), (3000 * MS as i64, 1));
        // Back again, told by a question.
        estimator.answer(NOW + 100 * MS, NOW + 110 * MS, NOW + 105 * MS, MS);
        assert_eq!((estimator.offset().unwrap().ns, estimator.steps()), (500_000, 2));
    }

    #[test]
    fn old_evidence_goes() {
        let mut estimator = OffsetEstimator::default();
        estimator.message(NOW + 50 * MS, NOW);
        let later = NOW + SLICES as u64 * SLICE_NS;
        estimator.message(later - 20 * MS, later);
        assert_eq!(estimator.offset().unwrap().ns, -20 * MS as i64);
        assert!(OffsetEstimator::default().offset().is_none());
    }
}
