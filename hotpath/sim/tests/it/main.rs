//! The simulated venue from outside: cases worked out by hand, and properties that hold whatever happens.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod delay;
mod hand;
mod properties;
mod support;
