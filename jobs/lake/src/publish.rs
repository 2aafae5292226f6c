//! Publishing: content becomes a version of a partition, whole or not at all.
//!
//! The files come first, then the version's own manifest, which is the moment of publication (two writers cannot both
//! make it), then the pointer `manifest.json`. A writer that dies in between leaves files nobody reads; whoever
//! publishes next takes them over or steps over them.

use crate::manifest::{FileEntry, Lineage, Manifest};
use crate::parquet_io::{self, encode, schema_hash};
use crate::store::{Lake, NEWEST, versioned};
use crate::{LakeError, Partition, Row};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutMode};
use std::collections::BTreeMap;

/// Rows of one file; a larger version gets several.
const FILE_ROWS: usize = 4 << 20;

/// What a table says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableMeta {
    /// Digits after the point of each scaled integer column.
    pub scales: BTreeMap<String, u8>,
    /// Further facts: tick, lot.
    pub facts: BTreeMap<String, String>,
}

impl TableMeta {
    /// The metadata of row type `R` with prices at 10^-`price` and sizes at 10^-`qty`.
    pub fn of<R: Row>(price: u8, qty: u8) -> TableMeta {
        let scales =
            R::SCALED.iter().map(|&(column, kind)| (column.to_owned(), if kind == "price" { price } else { qty }));
        let facts = [("price_scale", price), ("qty_scale", qty)].map(|(k, v)| (k.to_owned(), v.to_string()));
        TableMeta { scales: scales.collect(), facts: facts.into() }
    }
}

/// What publishing led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The newest version now.
    pub manifest: Manifest,
    /// False when exactly this was there already.
    pub new: bool,
}

struct Part {
    bytes: Bytes,
    rows: u64,
}

impl Lake {
    /// Publishes rows as the newest version of their partition. The same content again changes nothing.
    ///
    /// # Errors
    /// [`LakeError`]; nothing is visible then, and the call may be repeated.
    pub async fn publish_rows<R: Row>(
        &self,
        partition: &Partition,
        rows: &[R],
        meta: &TableMeta,
        lineage: &Lineage,
    ) -> Result<Published, LakeError> {
        self.publish(partition, R::schema(), &[R::batch(rows)], span(rows), meta, lineage).await
    }

    /// [`Lake::publish_rows`], unless there is a newest version and `keep` says that it stays. Looking and publishing are
    /// one: another writer's version in between is a [`LakeError::Conflict`].
    ///
    /// Returns `None` when the newest version stays.
    ///
    /// # Errors
    /// As [`Lake::publish_rows`].
    pub async fn publish_rows_unless<R: Row>(
        &self,
        partition: &Partition,
        rows: &[R],
        meta: &TableMeta,
        lineage: &Lineage,
        keep: &(dyn Fn(&Manifest) -> bool + Sync),
    ) -> Result<Option<Published>, LakeError> {
        let parts = encoded(partition, &R::schema(), &[R::batch(rows)], meta)?;
        let wanted = draft(partition, schema_hash(&R::schema()), span(rows), meta, lineage);
        self.publish_parts(partition, wanted, parts, "parquet", keep).await
    }

    /// Publishes record batches of one schema as the newest version of their partition.
    ///
    /// * `span` - smallest and largest time, ns.
    ///
    /// # Errors
    /// [`LakeError::Empty`] without rows, else as [`Lake::publish_rows`].
    pub async fn publish(
        &self,
        partition: &Partition,
        schema: SchemaRef,
        batches: &[RecordBatch],
        span: Option<(i64, i64)>,
        meta: &TableMeta,
        lineage: &Lineage,
    ) -> Result<Published, LakeError> {
        let parts = encoded(partition, &schema, batches, meta)?;
        let wanted = draft(partition, schema_hash(&schema), span, meta, lineage);
        let published = self.publish_parts(partition, wanted, parts, "parquet", &never).await?;
        published.ok_or_else(|| LakeError::Missing(partition.asset()))
    }

    /// Publishes a JSON artefact (a report on data, not a table) as the newest version of its partition.
    ///
    /// # Errors
    /// As [`Lake::publish_rows`].
    pub async fn publish_json(
        &self,
        partition: &Partition,
        value: &serde_json::Value,
        lineage: &Lineage,
    ) -> Result<Published, LakeError> {
        let fail = |source| LakeError::Manifest { key: partition.folder(), source };
        let bytes = Bytes::from(serde_json::to_vec_pretty(value).map_err(fail)?);
        let wanted = draft(partition, parquet_io::sha256(b"json"), None, &TableMeta::default(), lineage);
        let published = self.publish_parts(partition, wanted, vec![Part { bytes, rows: 1 }], "json", &never).await?;
        published.ok_or_else(|| LakeError::Missing(partition.asset()))
    }

    async fn publish_parts(
        &self,
        partition: &Partition,
        mut wanted: Manifest,
        parts: Vec<Part>,
        extension: &str,
        keep: &(dyn Fn(&Manifest) -> bool + Sync),
    ) -> Result<Option<Published>, LakeError> {
        wanted.rows = parts.iter().map(|p| p.rows).sum();
        if wanted.rows == 0 {
            return Err(LakeError::Empty(partition.asset()));
        }
        wanted.files = parts
            .iter()
            .map(|p| FileEntry {
                name: String::new(),
                sha256: parquet_io::sha256(&p.bytes),
                bytes: p.bytes.len() as u64,
                rows: p.rows,
            })
            .collect();
        let history = self.history(partition).await?;
        if let Some(last) = history.last().filter(|last| last.same_content(&wanted)) {
            // A writer that died between the two manifests left the pointer behind: put it right.
            self.point_at_newest(partition).await?;
            return Ok(Some(Published { manifest: last.clone(), new: false }));
        }
        if history.last().is_some_and(keep) {
            return Ok(None);
        }
        let mut number = history.iter().flat_map(|m| &m.files).filter_map(|f| number_of(&f.name)).max().unwrap_or(0);
        for (entry, part) in wanted.files.iter_mut().zip(&parts) {
            (number, entry.name) = self.put_part(partition, number + 1, part, extension).await?;
        }
        wanted.version = history.last().map_or(0, |m| m.version) + 1;
        let key = format!("{}/{}", partition.folder(), versioned(wanted.version));
        match self.create(&key, to_json(&wanted)).await {
            Ok(()) => {}
            Err(object_store::Error::AlreadyExists { .. }) => return Err(LakeError::Conflict(partition.asset())),
            Err(source) => return Err(LakeError::Store { action: "write", key, source }),
        }
        self.point_at_newest(partition).await?;
        Ok(Some(Published { manifest: wanted, new: true }))
    }

    /// Writes a part under the first free number from `number` on; a file left by a writer that died before its
    /// manifest is taken over when it holds the same bytes and stepped over otherwise.
    async fn put_part(
        &self,
        partition: &Partition,
        mut number: u32,
        part: &Part,
        extension: &str,
    ) -> Result<(u32, String), LakeError> {
        loop {
            let name = format!("part-{number:06}.{extension}");
            let key = format!("{}/{name}", partition.folder());
            match self.create(&key, part.bytes.clone()).await {
                Ok(()) => return Ok((number, name)),
                Err(object_store::Error::AlreadyExists { .. }) => match self.bytes(&key).await? {
                    Some(there) if there == part.bytes => return Ok((number, name)),
                    _ => number += 1,
                },
                Err(source) => return Err(LakeError::Store { action: "write", key, source }),
            }
        }
    }

    /// Writes a key that must not exist: temporary name, fsync, link; never half a file under the final name.
    async fn create(&self, key: &str, bytes: Bytes) -> Result<(), object_store::Error> {
        self.store.put_opts(&Key::from(key), bytes.into(), PutMode::Create.into()).await.map(|_| ())
    }

    /// Makes the pointer name the newest version. A writer may be held up between reading the history and writing, and
    /// then put an older version over a newer one; so every writer looks at the history again after it wrote, and the
    /// last to write leaves the pointer right.
    async fn point_at_newest(&self, partition: &Partition) -> Result<(), LakeError> {
        let key = format!("{}/{NEWEST}", partition.folder());
        let mut newest = self.history(partition).await?.pop();
        while let Some(manifest) = newest.take() {
            let json = to_json(&manifest);
            if self.bytes(&key).await?.as_ref() == Some(&json) {
                break;
            }
            let put = self.store.put(&Key::from(key.as_str()), json.into()).await;
            put.map_err(|source| LakeError::Store { action: "write", key: key.clone(), source })?;
            newest = self.history(partition).await?.pop().filter(|now| *now != manifest);
        }
        Ok(())
    }
}

/// Nothing stays: what is published last is the newest.
fn never(_: &Manifest) -> bool {
    false
}

/// Smallest and largest time of rows.
fn span<R: Row>(rows: &[R]) -> Option<(i64, i64)> {
    let times = rows.iter().map(Row::time_ns);
    times.clone().min().zip(times.max())
}

/// The files of a table.
fn encoded(
    partition: &Partition,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    meta: &TableMeta,
) -> Result<Vec<Part>, LakeError> {
    let key = partition.folder();
    let mut metadata = meta.facts.clone();
    metadata.extend([
        ("dataset".to_owned(), partition.dataset().to_owned()),
        ("venue".to_owned(), partition.venue().to_owned()),
        ("instrument".to_owned(), partition.instrument().to_owned()),
        ("day".to_owned(), partition.day().to_string()),
    ]);
    cut(batches, FILE_ROWS)
        .into_iter()
        .map(|file| {
            let rows = file.iter().map(|b| b.num_rows() as u64).sum();
            Ok(Part { bytes: encode(&key, schema, &file, &metadata)?, rows })
        })
        .collect()
}

fn draft(
    partition: &Partition,
    schema_hash: String,
    span: Option<(i64, i64)>,
    meta: &TableMeta,
    lineage: &Lineage,
) -> Manifest {
    Manifest {
        dataset: partition.dataset().to_owned(),
        venue: partition.venue().to_owned(),
        instrument: partition.instrument().to_owned(),
        day: partition.day(),
        version: 0,
        files: Vec::new(),
        rows: 0,
        min_ts_ns: span.map(|s| s.0),
        max_ts_ns: span.map(|s| s.1),
        schema_hash,
        scales: meta.scales.clone(),
        facts: meta.facts.clone(),
        parents: lineage.parents.clone(),
        code: lineage.code.clone(),
    }
}

/// Cuts batches into files of at most `rows` rows, in order.
fn cut(batches: &[RecordBatch], rows: usize) -> Vec<Vec<RecordBatch>> {
    let (mut files, mut room) = (vec![Vec::new()], rows);
    for batch in batches {
        let mut at = 0;
        while at < batch.num_rows() {
            if room == 0 {
                files.push(Vec::new());
                room = rows;
            }
            let take = room.min(batch.num_rows() - at);
            if let Some(file) = files.last_mut() {
                file.push(batch.slice(at, take));
            }
            at += take;
            room -= take;
        }
    }
    files
}

fn number_of(name: &str) -> Option<u32> {
    name.strip_prefix("part-")?.split('.').next()?.parse().ok()
}

fn to_json(manifest: &Manifest) -> Bytes {
    Bytes::from(serde_json::to_vec_pretty(manifest).expect("a manifest of plain values is always JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TradeRow;
    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
        PutOptions, PutPayload, PutResult, Result,
    };
    use std::sync::{Arc, Mutex};

    /// A store whose writer is held up right before it writes the pointer: another one publishes meanwhile.
    #[derive(Debug)]
    struct HeldUp {
        inner: Arc<dyn ObjectStore>,
        meanwhile: Mutex<Option<(Lake, i64)>>,
    }

    impl std::fmt::Display for HeldUp {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "held up: {}", self.inner)
        }
    }

    #[async_trait]
    impl ObjectStore for HeldUp {
        async fn put_opts(&self, at: &Key, bytes: PutPayload, options: PutOptions) -> Result<PutResult> {
            let other = self.meanwhile.lock().unwrap().take_if(|_| at.filename() == Some(NEWEST));
            if let Some((lake, rows)) = other {
                assert!(publish(&lake, rows).await.new);
            }
            self.inner.put_opts(at, bytes, options).await
        }
        async fn put_multipart_opts(&self, at: &Key, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
            self.inner.put_multipart_opts(at, options).await
        }
        async fn get_opts(&self, at: &Key, options: GetOptions) -> Result<GetResult> {
            self.inner.get_opts(at, options).await
        }
        fn delete_stream(&self, keys: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
            self.inner.delete_stream(keys)
        }
        fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.inner.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
            self.inner.list_with_delimiter(prefix).await
        }
        async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    fn partition() -> Partition {
        Partition::of_asset("trades/binance/BTCUSDT/2024-08-08").unwrap()
    }

    async fn publish(lake: &Lake, rows: i64) -> Published {
        let row = |i| TradeRow {
            ts_venue_ns: 1_723_161_255_342_000_000 + i,
            ts_recv_ns: 1_723_161_255_342_000_000 + i,
            trade_id: i,
            price: 100,
            qty: 1,
            aggressor_buy: true,
        };
        let rows: Vec<TradeRow> = (0..rows).map(row).collect();
        lake.publish_rows(&partition(), &rows, &TableMeta::of::<TradeRow>(2, 5), &Lineage::default()).await.unwrap()
    }

    fn held_up(lake: &Lake, rows: i64) -> Lake {
        let store = HeldUp { inner: lake.store.clone(), meanwhile: Mutex::new(Some((lake.clone(), rows))) };
        let mut held = lake.clone();
        held.store = Arc::new(store);
        held
    }

    #[tokio::test]
    async fn a_writer_held_up_before_the_pointer_does_not_turn_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::local(dir.path()).unwrap();
        assert_eq!(publish(&held_up(&lake, 11), 10).await.manifest.version, 1);
        let newest = lake.manifest(&partition()).await.unwrap().unwrap();
        assert_eq!((newest.version, newest.rows), (2, 11));
    }

    #[tokio::test]
    async fn nor_does_one_that_only_puts_a_lost_pointer_right() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::local(dir.path()).unwrap();
        publish(&lake, 10).await;
        std::fs::remove_file(dir.path().join(partition().folder()).join(NEWEST)).unwrap();
        assert!(!publish(&held_up(&lake, 11), 10).await.new);
        let newest = lake.manifest(&partition()).await.unwrap().unwrap();
        assert_eq!((newest.version, newest.rows), (2, 11));
    }
}
