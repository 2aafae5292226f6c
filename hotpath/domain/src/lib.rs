//! The vocabulary of traider: numbers with units, ids, instruments, events with their journal codec,
//! order states. Everybody knows this crate; it knows nobody.
//!
//! **Invariant:** no I/O, no clock, no float, no randomness. Prices are whole ticks, sizes whole lots, values
//! exact `i128`, amounts of assets exact decimals.
//!
//! Start reading at [`event::Event`] (everything that can wake the engine), then [`order::OrderState`].
#![warn(missing_docs)]
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

pub mod codec;
pub mod config;
pub mod event;
pub mod id;
pub mod instrument;
pub mod journal;
pub mod num;
pub mod order;

pub use event::Event;
pub use id::{Asset, ClientOrderId, FillId, InstrumentId, RunId, Side, StrategyId, Venue, VenueOrderId};
pub use instrument::Instrument;
pub use num::{Decimal, Increment, Lots, Position, TickLots, Ticks};
pub use order::{ExecEvent, OrderRequest, OrderState};
