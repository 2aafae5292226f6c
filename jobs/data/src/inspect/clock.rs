//! How far the recorder's clock was from the venue's.
//!
//! A message cannot come before it was sent, so the venue's clock was ahead of the recorder's by at least the largest
//! "event time less receive time" of any message. That is the offset told here: the one under which the fastest message
//! took no time. The true one is larger by what that message really took, which a recording cannot tell. Latencies are
//! told with the offset taken out, so none is negative.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Receive time less event time of many messages, whole ms and how often.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock(BTreeMap<i64, u64>);

impl Clock {
    /// A message with this event time came; 0 where the venue stated none.
    pub(super) fn saw(&mut self, recv_ns: u64, venue_ns: u64) {
        if recv_ns > 0 && venue_ns > 0 {
            let ms = |ns: u64| i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX);
            *self.0.entry(ms(recv_ns) - ms(venue_ns)).or_default() += 1;
        }
    }

    /// Takes over what another one saw.
    pub(super) fn add(&mut self, other: &Clock) {
        other.0.iter().for_each(|(ms, n)| *self.0.entry(*ms).or_default() += n);
    }

    /// The venue's clock less the recorder's, ms; `None` when no message stated a time.
    pub(super) fn offset_ms(&self) -> Option<i64> {
        self.0.first_key_value().map(|(least, _)| -least)
    }

    /// What messages took beyond the fastest one: half of them at most `p50` ms, 99 % at most `p99`.
    pub(super) fn latency(&self) -> Value {
        let Some(offset) = self.offset_ms() else { return Value::Null };
        let all: u64 = self.0.values().sum();
        let at = |percent: u64| {
            let mut before = 0;
            let reached = |(_, n): &(&i64, &u64)| {
                before += **n;
                before * 100 >= all * percent
            };
            self.0.iter().find(reached).map(|(ms, _)| ms + offset)
        };
        json!({ "p50": at(50), "p99": at(99), "max": at(100) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorder_behind_the_venue_is_an_offset_and_no_negative_latency() {
        let mut clock = Clock::default();
        assert_eq!((clock.offset_ms(), clock.latency()), (None, Value::Null));
        // Took 5, 10 and 40 ms by a clock that is 1270 ms late.
        for took in [10, 5, 40] {
            clock.saw((5_000 + took - 1_270) * 1_000_000, 5_000 * 1_000_000);
        }
        clock.saw(1, 0);
        assert_eq!(clock.offset_ms(), Some(1_265));
        assert_eq!(clock.latency(), json!({ "p50": 5, "p99": 35, "max": 35 }));
    }
}
