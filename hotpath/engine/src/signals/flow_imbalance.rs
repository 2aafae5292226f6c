//! Long after strong net buying at the best prices over a few seconds, with the queue behind it; out when the flow
//! turns or after a time. Then a pause.

use super::{Intent, Look, Pace, RuleError, Signal, feature, order_value, positive, slippage};
use crate::features::{FeatureValue, FlowWindow, OfiStep, SECOND_NS, fraction, queue_imbalance};
use domain::config::StrategyRule;
use domain::{Decimal, Side};

/// State of the rule on one instrument.
#[derive(Clone, Debug)]
pub struct FlowImbalance {
    order_value: Decimal,
    slippage_max_bps: u32,
    enter: f64,
    exit: f64,
    queue_min: f64,
    hold_ns_max: u64,
    cooldown_ns: u64,
    window: FlowWindow,
    flow: Option<f64>,
    queue: Option<f64>,
    flow_name: String,
    pace: Pace,
}

impl FlowImbalance {
    pub(super) fn new(rule: &StrategyRule) -> Result<Self, RuleError> {
        let &StrategyRule::FlowImbalance {
            order_value: value,
            window_s,
            enter_bps,
            exit_bps,
            queue_imbalance_min_bps,
            hold_s_max,
            cooldown_s,
            slippage_max_bps,
            ..
        } = rule
        else {
            unreachable!("built from its own rule only");
        };
        positive("window_s", window_s)?;
        positive("hold_s_max", hold_s_max)?;
        if i64::from(exit_bps) >= i64::from(enter_bps) {
            return Err(RuleError::Order { small: "exit_bps", large: "enter_bps" });
        }
        if queue_imbalance_min_bps > 10_000 {
            return Err(RuleError::TooLarge("queue_imbalance_min_bps", 10_000));
        }
        if window_s > 3600 {
            return Err(RuleError::TooLarge("window_s", 3600));
        }
        Ok(Self {
            order_value: order_value(value)?,
            slippage_max_bps: slippage(slippage_max_bps)?,
            enter: fraction(enter_bps),
            exit: fraction(exit_bps),
            queue_min: fraction(queue_imbalance_min_bps),
            hold_ns_max: u64::from(hold_s_max) * SECOND_NS,
            cooldown_ns: u64::from(cooldown_s) * SECOND_NS,
            window: FlowWindow::new(window_s),
            flow: None,
            queue: None,
            flow_name: format!("flow.ofi({window_s}s)@1s"),
            pace: Pace::default(),
        })
    }

    pub(super) fn on_book(&mut self, step: Option<OfiStep>, look: &Look) -> Option<Signal> {
        self.flow = match step {
            Some(step) => self.window.update(look.now_ns, step),
            None => self.window.value(look.now_ns),
        };
        self.queue = look.top.map(|(bid, ask)| queue_imbalance(bid, ask));
        if self.pace.became_flat(look) {
            self.pace.next_try_ns = look.now_ns.saturating_add(self.cooldown_ns);
        }
        if look.held.is_zero() { self.enter(look) } else { self.leave(look) }
    }

    pub(super) fn on_book_lost(&mut self) {
        self.window.reset();
        self.flow = None;
        self.queue = None;
    }

    pub(super) fn features(&self) -> Vec<FeatureValue> {
        vec![feature(&self.flow_name, self.flow), feature("book.queue_imbalance(1)@change", self.queue)]
    }

    fn enter(&mut self, look: &Look) -> Option<Signal> {
        let wanted = self.flow? >= self.enter && self.queue? >= self.queue_min;
        if !wanted || !self.pace.may_try(look) {
            return None;
        }
        assert!(look.held.is_zero() && !look.busy, "an entry starts from nothing");
        self.pace.tried(look.now_ns);
        Some(self.signal(Side::Buy, Intent::Enter, "net buying over the window with the queue behind it"))
    }

    fn leave(&mut self, look: &Look) -> Option<Signal> {
        // What is wanted once is wanted until nothing is held: half an exit is no exit.
        if look.now_ns.saturating_sub(look.since_ns) >= self.hold_ns_max {
            self.pace.leaving.get_or_insert("held for the longest time allowed");
        } else if self.flow.is_some_and(|flow| flow <= self.exit) {
            self.pace.leaving.get_or_insert("net buying has ended");
        }
        let reason = self.pace.leaving?;
        if !self.pace.may_try(look) {
            return None;
        }
        assert!(!look.held.is_zero() && !look.busy, "an exit has something to sell");
        self.pace.tried(look.now_ns);
        Some(self.signal(Side::Sell, Intent::Exit, reason))
    }

    fn signal(&self, side: Side, intent: Intent, reason: &'static str) -> Signal {
        Signal {
            side,
            intent,
            reason,
            features: self.features(),
            order_value: self.order_value,
            slippage_max_bps: self.slippage_max_bps,
        }
    }
}
