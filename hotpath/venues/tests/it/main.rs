//! What goes over the whole crate: every adapter against the contract, and each against its venue's recordings.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic like the tests themselves")]

mod conformance;
mod samples;
