//! Workflow definitions: TOML files to checked workflows to run plans. In flow order: [`read`] parses what [`file`]
//! holds, [`workflow`] checks and plans, [`catalogue`] finds, [`slots`] says when. Pure apart from reading the user's files; nothing here
//! runs anything. How to write a file: `docs/workflows.md`.
//!
//! **Absent on purpose:** a template language; the scheduler, which keeps slots in the database.

mod asset;
pub mod catalogue;
mod check;
mod deadline;
mod diff;
pub mod file;
mod format;
mod graph;
mod keys;
mod param;
pub mod partition;
mod plan;
pub mod problem;
pub mod read;
mod schema;
pub mod slots;
mod template;
pub mod workflow;

pub use catalogue::{CatalogueError, Origin, find, load, load_all};
pub use diff::{Change, diff};
pub use format::format;
pub use plan::StepAssets;
pub use problem::{Problem, Problems};
pub use schema::json_schema;
pub use workflow::{PlanError, Workflow};
