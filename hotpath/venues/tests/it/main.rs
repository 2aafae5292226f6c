//! Venues' modules from outside: recorded connections, fixtures and documented messages, read through the adapters into
//! books, and text that no venue would send.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod bybit;
mod coinbase;
mod drive;
mod kraken;
mod kraken_naive;
mod kraken_pitfalls;
mod okx;
mod replay;
