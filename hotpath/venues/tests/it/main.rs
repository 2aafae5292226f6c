//! Venues' modules from outside: every adapter against the contract, and each against recordings, fixtures and documented
//! messages, read into books, and text that no venue would send.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod bybit;
mod coinbase;
mod conformance;
mod drive;
mod kraken;
mod kraken_naive;
mod kraken_pitfalls;
mod okx;
mod okx_properties;
mod polls;
mod replay;
mod samples;
mod trades;
