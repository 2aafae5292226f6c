//! What venues say and how we say it back: decoding, encoding, signing, sockets, and the files both leave behind
//! (recorded captures, journal folders).
//!
//! **Invariant:** this crate decides nothing and starts no thread. It turns bytes into [`domain::Event`]s and orders
//! into bytes; when to connect, retry or give up is the caller's business.
//!
//! Start reading at [`binance::decode`], then [`transport`].
#![warn(missing_docs)]

pub mod adapter;
pub mod binance;
pub mod capture;
pub mod journal_dir;
pub mod kraken;
pub mod okx;
pub mod recording;
pub mod transport;
pub mod wire;
