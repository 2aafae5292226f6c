//! The emulator in this process, spoken to by ordinary clients over real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod book;
mod cli;
mod drawn;
mod faults;
mod futures;
mod market;
mod orders;
mod recorded;
mod status;
mod support;
mod venues;
