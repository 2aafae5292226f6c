//! What a version of a partition consists of, and where it came from.

use crate::Day;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One version of one partition. Holds no clock, so that the same rows from the same sources give the same manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Dataset name.
    pub dataset: String,
    /// Venue name.
    pub venue: String,
    /// Venue symbol.
    pub instrument: String,
    /// UTC day.
    pub day: Day,
    /// Counts up from 1.
    pub version: u32,
    /// The files, in row order.
    pub files: Vec<FileEntry>,
    /// Rows in all files.
    pub rows: u64,
    /// Smallest time, ns; none for artefacts without rows in time.
    pub min_ts_ns: Option<i64>,
    /// Largest time, ns.
    pub max_ts_ns: Option<i64>,
    /// SHA-256 over names, types and nullability of the columns, hex.
    pub schema_hash: String,
    /// Digits after the point of each scaled integer column.
    pub scales: BTreeMap<String, u8>,
    /// Further facts: tick, lot.
    pub facts: BTreeMap<String, String>,
    /// What it was made from: run ids, or asset name and content hash.
    pub parents: Vec<String>,
    /// Which code made it.
    pub code: String,
}

/// One file of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Name inside the partition's folder.
    pub name: String,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
}

/// Where a version came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// What it was made from: run ids, or asset name and content hash.
    pub parents: Vec<String>,
    /// Which code made it, `ingest@0.0.0`.
    pub code: String,
}

impl Manifest {
    /// SHA-256 over the files' hashes, hex: the content hash of the version.
    pub fn content_hash(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for file in &self.files {
            hasher.update(file.sha256.as_bytes());
        }
        hex::encode(hasher.finalize())
    }
    /// Size of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }
    /// True when `other` has the same bytes in the same schema, wherever they came from.
    pub(crate) fn same_content(&self, other: &Manifest) -> bool {
        let hashes = |m: &Manifest| m.files.iter().map(|f| f.sha256.clone()).collect::<Vec<_>>();
        self.schema_hash == other.schema_hash && hashes(self) == hashes(other)
    }
}
