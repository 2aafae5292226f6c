//! `traider-fanout`: hands what a run sees of its markets on to Redis Streams, for programs on this and other machines. It
//! follows the run's journal as it grows and is no part of the hot path: the daemon does not know of it, and waits for
//! nothing here.
//!
//! * [`follow`] reads a journal that is still being written
//! * [`market`] folds its events into trades and snapshots of books
//! * [`redis`] speaks the protocol
//! * [`publish`] each entry once, under an id that is a fact: the run's time and the journal's record
//!
//! Only books that are in step with the venue are handed on. When one is lost, an entry without levels says so.
#![warn(missing_docs)]

pub mod follow;
pub mod market;
pub mod publish;
pub mod redis;
