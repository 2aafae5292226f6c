//! Where things are and what is configured: the home folder, the layered configuration, the run manifest,
//! the halt that outlasts a run. Read once
//! at start into typed values; every process reads them the same way.

pub mod config;
pub mod halt;
pub mod home;
pub mod manifest;

pub use config::{Config, ConfigError};
pub use halt::Halt;
pub use home::Home;
pub use manifest::{Mode, RunManifest};

/// Version and commit of this build; a journal names the build that wrote it.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("TRAIDER_COMMIT"));
