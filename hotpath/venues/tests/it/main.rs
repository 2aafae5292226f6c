//! Venues' modules from outside: recorded connections, documented messages, and text that no venue would send.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod bybit;
mod coinbase;
mod drive;
