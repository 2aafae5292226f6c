//! How long things take: histograms from 1 ns to 10 s with three digits, shared between the thread that records and
//! whoever asks.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A shared histogram of durations.
#[derive(Debug)]
pub struct Latency {
    histogram: Mutex<Histogram<u64>>,
}

/// What a histogram says, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// Half were faster.
    pub p50: u64,
    /// 99 % were faster.
    pub p99: u64,
    /// 99.9 % were faster.
    pub p999: u64,
    /// The slowest.
    pub max: u64,
}

impl Default for Latency {
    fn default() -> Latency {
        let histogram = Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("1 ns..10 s at 3 digits is legal");
        Latency { histogram: Mutex::new(histogram) }
    }
}

impl Latency {
    /// Notes one duration.
    pub fn record(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(ns.max(1));
    }
    /// What it says so far.
    pub fn quantiles(&self) -> Quantiles {
        let h = self.histogram.lock().unwrap_or_else(PoisonError::into_inner);
        Quantiles {
            count: h.len(),
            p50: h.value_at_quantile(0.5),
            p99: h.value_at_quantile(0.99),
            p999: h.value_at_quantile(0.999),
            max: h.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_come_out_to_three_digits() {
        let latency = Latency::default();
        (1..=1000).for_each(|us| latency.record(Duration::from_micros(us)));
        let q = latency.quantiles();
        assert_eq!(q.count, 1000);
        for (got, want) in [(q.p50, 500_000), (q.p99, 990_000), (q.p999, 999_000), (q.max, 1_000_000)] {
            assert!(got.abs_diff(want) * 1000 <= want, "{got} is not {want}");
        }
    }
}
