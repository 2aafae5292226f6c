//! Finding, reading and proving partitions.

use crate::manifest::{FileEntry, Manifest};
use crate::parquet_io::{self, decode, schema_hash};
use crate::{LakeError, Partition, Row};
use arrow_array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the manifest that points at the newest version.
pub(crate) const NEWEST: &str = "manifest.json";

/// A version whose files were read and compared with its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Files compared.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// One lake.
#[derive(Clone, Debug)]
pub struct Lake {
    pub(crate) store: Arc<dyn ObjectStore>,
    root: PathBuf,
}

impl Lake {
    /// The lake in a folder, which is made if it is missing. What is published is on disk when the call returns.
    ///
    /// # Errors
    /// [`LakeError::Store`] when the folder cannot be made or opened.
    pub fn local(root: &Path) -> Result<Lake, LakeError> {
        let fail = |source| LakeError::Store { action: "open", key: root.display().to_string(), source };
        std::fs::create_dir_all(root)
            .map_err(|e| fail(object_store::Error::Generic { store: "folder", source: Box::new(e) }))?;
        let store = LocalFileSystem::new_with_prefix(root).map_err(fail)?.with_fsync(true);
        Ok(Lake { store: Arc::new(store), root: root.to_path_buf() })
    }

    pub(crate) async fn bytes(&self, key: &str) -> Result<Option<Bytes>, LakeError> {
        let fail = |source| LakeError::Store { action: "read", key: key.to_owned(), source };
        match self.store.get(&Key::from(key)).await {
            Ok(got) => got.bytes().await.map(Some).map_err(fail),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(fail(source)),
        }
    }

    async fn manifest_at(&self, key: &str) -> Result<Option<Manifest>, LakeError> {
        let Some(bytes) = self.bytes(key).await? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|source| LakeError::Manifest { key: key.to_owned(), source })
    }

    /// The newest version of a partition; `None` when it was never published.
    ///
    /// # Errors
    /// [`LakeError`] when it cannot be read.
    pub async fn manifest(&self, partition: &Partition) -> Result<Option<Manifest>, LakeError> {
        self.manifest_at(&format!("{}/{NEWEST}", partition.folder())).await
    }

    /// Every version of a partition, oldest first.
    ///
    /// # Errors
    /// [`LakeError`] when one cannot be read.
    pub async fn history(&self, partition: &Partition) -> Result<Vec<Manifest>, LakeError> {
        let mut all = Vec::new();
        for version in 1.. {
            match self.manifest_at(&format!("{}/{}", partition.folder(), versioned(version))).await? {
                Some(manifest) => all.push(manifest),
                None => break,
            }
        }
        Ok(all)
    }

    /// The newest version of every partition, in order of dataset, venue, instrument, day.
    ///
    /// # Errors
    /// [`LakeError`] when the lake cannot be listed or a manifest not read.
    pub async fn list(&self) -> Result<Vec<(Partition, Manifest)>, LakeError> {
        let fail = |source| LakeError::Store { action: "list", key: String::new(), source };
        let keys: Vec<String> =
            self.store.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.map_err(fail)?;
        let mut found = BTreeMap::new();
        for key in keys {
            let Some(partition) = key.strip_suffix(NEWEST).and_then(|k| Partition::of_folder(k.strip_suffix('/')?))
            else {
                continue;
            };
            if let Some(manifest) = self.manifest_at(&key).await? {
                found.insert(partition, manifest);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Reads the newest version, proving each file on the way.
    ///
    /// # Errors
    /// [`LakeError::Missing`], [`LakeError::Damaged`], or what reading failed of.
    pub async fn read(&self, partition: &Partition) -> Result<(Manifest, Vec<RecordBatch>), LakeError> {
        let manifest = self.known(partition).await?;
        let mut batches = Vec::new();
        for file in &manifest.files {
            let (key, bytes) = self.proven(partition, file).await?;
            batches.extend(decode(&key, bytes)?.batches);
        }
        Ok((manifest, batches))
    }

    /// Reads the newest version as rows.
    ///
    /// # Errors
    /// As [`Lake::read`], and [`LakeError::Column`] when it is not a table of `R`.
    pub async fn read_rows<R: Row>(&self, partition: &Partition) -> Result<(Manifest, Vec<R>), LakeError> {
        let (manifest, batches) = self.read(partition).await?;
        let mut rows = Vec::new();
        for batch in &batches {
            rows.extend(R::rows(batch)?);
        }
        Ok((manifest, rows))
    }

    /// Reads a JSON artefact.
    ///
    /// # Errors
    /// As [`Lake::read`].
    pub async fn read_json(&self, partition: &Partition) -> Result<(Manifest, serde_json::Value), LakeError> {
        let manifest = self.known(partition).await?;
        let file = manifest.files.first().ok_or_else(|| LakeError::Missing(partition.asset()))?;
        let (key, bytes) = self.proven(partition, file).await?;
        let value = serde_json::from_slice(&bytes).map_err(|source| LakeError::Manifest { key, source })?;
        Ok((manifest, value))
    }

    /// Compares the files of the newest version with its manifest: hash, size, rows, columns.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] naming the first file that differs.
    pub async fn verify(&self, partition: &Partition) -> Result<Verified, LakeError> {
        let manifest = self.known(partition).await?;
        for file in &manifest.files {
            let (key, bytes) = self.proven(partition, file).await?;
            if !file.name.ends_with(".parquet") {
                continue;
            }
            let decoded = decode(&key, bytes)?;
            let rows: u64 = decoded.batches.iter().map(|b| b.num_rows() as u64).sum();
            if rows != file.rows {
                return Err(LakeError::Damaged { key, what: format!("{rows} rows, the manifest says {}", file.rows) });
            }
            if schema_hash(&decoded.schema) != manifest.schema_hash {
                return Err(LakeError::Damaged { key, what: "its columns are not those of the manifest".to_owned() });
            }
        }
        Ok(Verified { files: manifest.files.len(), rows: manifest.rows, bytes: manifest.bytes() })
    }

    /// Path of a file of a partition, for readers that want files.
    pub fn path_of(&self, partition: &Partition, file: &FileEntry) -> PathBuf {
        self.root.join(partition.folder()).join(&file.name)
    }

    async fn known(&self, partition: &Partition) -> Result<Manifest, LakeError> {
        self.manifest(partition).await?.ok_or_else(|| LakeError::Missing(partition.asset()))
    }

    async fn proven(&self, partition: &Partition, file: &FileEntry) -> Result<(String, Bytes), LakeError> {
        let key = format!("{}/{}", partition.folder(), file.name);
        let damaged = |what: String| LakeError::Damaged { key: key.clone(), what };
        let bytes = self.bytes(&key).await?.ok_or_else(|| damaged("the file is gone".to_owned()))?;
        let hash = parquet_io::sha256(&bytes);
        if hash != file.sha256 {
            return Err(damaged(format!("its SHA-256 is {hash}, the manifest says {}", file.sha256)));
        }
        Ok((key, bytes))
    }
}

/// Name of the manifest of one version.
pub(crate) fn versioned(version: u32) -> String {
    format!("manifest-{version:06}.json")
}
