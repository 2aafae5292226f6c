//! Workflow definitions: TOML files to checked workflows to run plans. In flow order: [`file`] parses, [`workflow`]
//! checks and plans, [`catalogue`] finds, [`slots`] says when. Pure apart from reading the user's files; nothing here runs
//! anything.
//!
//! **Absent on purpose:** a template language; the scheduler, which keeps slots in the database; keys of the format that
//! nothing carries out yet, which are refused rather than ignored.

pub mod catalogue;
pub mod file;
pub mod partition;
pub mod pinned;
pub mod problem;
pub mod slots;
mod template;
pub mod workflow;

pub use catalogue::{CatalogueError, find, load};
pub use problem::{Problem, Problems};
pub use workflow::{PlanError, Workflow};
