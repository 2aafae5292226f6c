//! What jobs need and what they exchange: plain serde structs, no handlers, no I/O.

pub mod facts;
