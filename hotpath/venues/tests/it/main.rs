//! Venues against what they really sent: recordings and fixtures, read through the adapters into books.

mod kraken;
mod kraken_pitfalls;
mod okx;
mod replay;
