//! What can go wrong with the lake.

use thiserror::Error;

/// Why the lake could not do it.
#[derive(Debug, Error)]
pub enum LakeError {
    /// The store failed.
    #[error("could not {action} `{key}` in the lake")]
    Store {
        /// What was tried.
        action: &'static str,
        /// With which key.
        key: String,
        /// The cause.
        #[source]
        source: object_store::Error,
    },
    /// A Parquet file could not be written or read.
    #[error("could not {action} the Parquet file `{key}`")]
    Parquet {
        /// What was tried.
        action: &'static str,
        /// Which file.
        key: String,
        /// The cause.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A manifest that is none.
    #[error("`{key}` is not a manifest of this lake")]
    Manifest {
        /// Which.
        key: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// A file is not what its manifest says.
    #[error("`{key}` is damaged: {what}; publish the partition again from its sources")]
    Damaged {
        /// Which file.
        key: String,
        /// How it differs.
        what: String,
    },
    /// The partition is not there.
    #[error("there is no partition `{0}` in the lake; `traider lake ls` shows what there is")]
    Missing(String),
    /// A name that cannot be part of a partition.
    #[error("`{text}` is not a {of}: {why}")]
    Name {
        /// What it should be.
        of: &'static str,
        /// The text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Columns are not those of the dataset.
    #[error("column `{column}` of {dataset} is missing or of another type")]
    Column {
        /// Which dataset.
        dataset: String,
        /// Which column.
        column: String,
    },
    /// Nothing to publish.
    #[error("partition `{0}` would be empty; nothing was published")]
    Empty(String),
    /// Somebody else published another version at the same moment.
    #[error("another writer published a version of `{0}` at the same moment; run the step again")]
    Conflict(String),
}

impl LakeError {
    /// True when trying again later may help.
    pub const fn is_transient(&self) -> bool {
        match self {
            LakeError::Store { .. } | LakeError::Conflict(_) => true,
            LakeError::Parquet { .. }
            | LakeError::Manifest { .. }
            | LakeError::Damaged { .. }
            | LakeError::Missing(_)
            | LakeError::Name { .. }
            | LakeError::Column { .. }
            | LakeError::Empty(_) => false,
        }
    }
}
