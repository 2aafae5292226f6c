//! Venues against what they really sent: recordings and fixtures, read through the adapters into books.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod kraken;
mod kraken_naive;
mod kraken_pitfalls;
mod okx;
mod okx_properties;
mod replay;
