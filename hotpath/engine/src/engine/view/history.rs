//! What the engine remembers for the view alone. Bounded, and read by no decision.

use super::Decision;
use crate::features::Bar;
use domain::event::Trade;
use domain::{ClientOrderId, Lots, Side, Ticks};
use std::collections::VecDeque;

/// 1s bars kept for the view.
pub const BARS_1S_KEPT: usize = 120;
/// 1m bars kept for the view.
pub const BARS_1M_KEPT: usize = 240;
/// Decisions kept for the view.
pub const DECISIONS_KEPT: usize = 50;
/// Fills kept for the view, per instrument.
pub const MARKERS_KEPT: usize = 200;
/// What a market remembers for the view alone.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct History {
    pub(in crate::engine) last_trade: Option<Trade>,
    pub(super) bars_1s: VecDeque<Bar>,
    pub(super) bars_1m: VecDeque<Bar>,
    pub(super) markers: VecDeque<Marker>,
}

impl History {
    pub(in crate::engine) fn push_1s(&mut self, bar: Bar) {
        push(&mut self.bars_1s, bar, BARS_1S_KEPT);
    }
    pub(in crate::engine) fn push_1m(&mut self, bar: Bar) {
        push(&mut self.bars_1m, bar, BARS_1M_KEPT);
    }
    pub(in crate::engine) fn push_marker(&mut self, marker: Marker) {
        push(&mut self.markers, marker, MARKERS_KEPT);
    }
}

/// The last decisions, oldest first.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Decisions(pub(super) VecDeque<Decision>);

impl Decisions {
    pub(in crate::engine) fn push(&mut self, decision: Decision) {
        push(&mut self.0, decision, DECISIONS_KEPT);
    }
}

fn push<T>(ring: &mut VecDeque<T>, item: T, kept: usize) {
    if ring.len() == kept {
        ring.pop_front();
    }
    ring.push_back(item);
    assert!(ring.len() <= kept, "what is kept for the view is bounded");
}

/// One fill, to be drawn on a chart.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Marker {
    pub(in crate::engine) ts_recv_ns: u64,
    pub(in crate::engine) order: ClientOrderId,
    pub(in crate::engine) side: Side,
    pub(in crate::engine) price: Ticks,
    pub(in crate::engine) qty: Lots,
}
