//! When to ask the venue about an order again.

/// An order without any answer for this long is unknown, ns.
pub const ANSWER_WAIT_NS: u64 = 5_000_000_000;
/// After this an order on its way cannot arrive any more (the venue refuses requests older than the receive window),
/// ns since it was sent. "Not found" before it proves nothing.
pub const DEADLINE_NS: u64 = 5_000_000_000;
/// Two answers "not found" count as two only when they lie this far apart, ns.
pub const NOT_FOUND_SPACING_NS: u64 = 2_000_000_000;

/// First and longest pause between two questions.
const PAUSE_NS: (u64, u64) = (1_000_000_000, 30_000_000_000);

/// The questions about one order: at once, then after 1 s, 2 s, 4 s .. 30 s.
#[derive(Clone, Debug)]
pub(super) struct Query {
    next_ns: u64,
    pause_ns: u64,
    not_found_ns: Option<u64>,
}

impl Query {
    pub(super) const fn at_once() -> Self {
        Self { next_ns: 0, pause_ns: PAUSE_NS.0, not_found_ns: None }
    }

    /// The first question was just answered; the next one comes after a pause.
    pub(super) const fn after(now_ns: u64) -> Self {
        Self { next_ns: now_ns.saturating_add(PAUSE_NS.0), pause_ns: PAUSE_NS.0 * 2, not_found_ns: None }
    }

    /// Asked anew at once; what "not found" has proven so far stays.
    pub(super) const fn again(self) -> Self {
        Self { next_ns: 0, pause_ns: PAUSE_NS.0, not_found_ns: self.not_found_ns }
    }

    pub(super) const fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.next_ns
    }

    pub(super) fn asked(&mut self, now_ns: u64) {
        self.next_ns = now_ns.saturating_add(self.pause_ns);
        self.pause_ns = (self.pause_ns * 2).min(PAUSE_NS.1);
    }

    /// True when this "not found" counts; then the next question is put where its answer counts too.
    pub(super) fn counts_not_found(&mut self, now_ns: u64) -> bool {
        let counts = self.not_found_ns.is_none_or(|before| now_ns >= before.saturating_add(NOT_FOUND_SPACING_NS));
        if counts {
            self.not_found_ns = Some(now_ns);
            self.next_ns = now_ns.saturating_add(NOT_FOUND_SPACING_NS);
        }
        counts
    }
}
