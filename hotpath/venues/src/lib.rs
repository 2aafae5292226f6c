//! What venues say and how we say it back: decoding, encoding, signing, sockets, and the files both leave behind
//! (recorded captures, journal folders).
//!
//! **Invariant:** this crate decides nothing and starts no thread. It turns bytes into [`domain::Event`]s and orders
//! into bytes; when to connect, retry or give up is the caller's business.
//!
//! Start reading at [`binance::decode`], then [`transport`].
#![warn(missing_docs)]

pub mod adapter;
pub mod ask;
pub mod binance;
pub mod bybit;
pub mod capture;
pub mod clock;
pub mod coinbase;
pub mod journal_dir;
pub mod kraken;
pub mod limit;
pub mod okx;
pub mod poll;
pub mod proof;
pub mod recording;
pub mod stall;
pub mod tape;
pub mod trades;
pub mod transport;
pub mod wire;
