//! `traider-webhook`: takes alerts that others send in over HTTP, as TradingView's do, and keeps each in Postgres before it
//! says so. One row is one vote of whoever sent it; it never becomes an order, and nothing here could make one.
//!
//! * [`message`] what an alert says: its key, its vote, its bar
//! * [`gate`] who may send: the secret, the address, how many in a minute
//! * [`server`] the one route, the deadline, the bounds
//!
//! Senders cannot set headers and sign nothing, so the secret is in the message (or, for messages that are not JSON, at the
//! end of the address). It is compared in constant time, cut out before anything is kept, and in no log.
//!
//! **Absent on purpose:** TLS (a tunnel or relay stands before it and this listens on the loopback interface), any answer
//! that tells a stranger more than a status, and whatever would act on an alert.
#![warn(missing_docs)]

pub mod gate;
pub mod message;
pub mod server;
