//! The money record: fills become double-entry postings and tax lots, both are kept in Postgres as a projection that
//! can be dropped and rebuilt to the same hash (I-22), and a daily report says what happened in one file.
//!
//! * [`amount`]  exact money at a fixed scale
//! * [`book`]    fills to postings; every entry sums to zero per asset (pure)
//! * [`lots`]    FIFO lots and matches with realised gain (pure)
//! * [`check`]   both together, with the invariants proven after every fill (pure)
//! * [`project`] writes facts, postings and lots to Postgres, idempotently
//! * [`prove`]   compares the tables with what the journals prove, and the books with themselves
//! * [`report`]  the daily report artefact
//!
//! **Invariant:** no float, and no rounding but the 1e-18 at which a lot's cost is split (its last fraction takes the
//! remainder, so sums stay exact). Facts come from outside: the worker derives them from journals by replay.
#![warn(missing_docs)]

pub mod amount;
pub mod book;
pub mod check;
pub mod lots;
pub mod project;
pub mod prove;
pub mod report;
mod rows;
#[cfg(test)]
mod samples;

pub use amount::Amount;
pub use check::{Books, LedgerError};
