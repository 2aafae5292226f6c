//! Synthetic market.
