//! Parquet bytes out of record batches and back. Deterministic: every property that could differ between two
//! writers is fixed here, and nothing in a file depends on the clock or the machine.

use crate::LakeError;
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Rows of one row group.
const GROUP_ROWS: usize = 128 * 1024;

/// Writes `batches` as one Parquet file with `metadata` as its key-value pairs.
///
/// # Errors
/// [`LakeError::Parquet`] when a batch does not have `schema`.
pub fn encode(
    key: &str,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    metadata: &BTreeMap<String, String>,
) -> Result<Bytes, LakeError> {
    let fail = |source| LakeError::Parquet { action: "write", key: key.to_owned(), source };
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties(metadata))).map_err(fail)?;
    for batch in batches {
        writer.write(batch).map_err(fail)?;
    }
    writer.into_inner().map(Bytes::from).map_err(fail)
}

fn properties(metadata: &BTreeMap<String, String>) -> WriterProperties {
    let pairs = metadata.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect();
    WriterProperties::builder()
        .set_created_by("traider lake 1".to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("3 is a zstd level")))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(pairs))
        .build()
}

/// A Parquet file read back.
#[derive(Debug)]
pub struct Decoded {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// Its own key-value pairs, without Arrow's.
    pub metadata: BTreeMap<String, String>,
}

/// Reads a whole file.
///
/// # Errors
/// [`LakeError::Parquet`] when the bytes are not Parquet.
pub fn decode(key: &str, bytes: Bytes) -> Result<Decoded, LakeError> {
    let fail = |source| LakeError::Parquet { action: "read", key: key.to_owned(), source };
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(fail)?;
    let pairs = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let schema = builder.schema().clone();
    let reader = builder.with_batch_size(GROUP_ROWS).build().map_err(fail)?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| fail(e.into()))?;
    let metadata = pairs
        .into_iter()
        .filter(|pair| pair.key != "ARROW:schema")
        .filter_map(|pair| Some((pair.key, pair.value?)))
        .collect();
    Ok(Decoded { schema, batches, metadata })
}

/// SHA-256 over names, types and nullability of the columns, hex.
pub fn schema_hash(schema: &Schema) -> String {
    let mut hasher = Sha256::new();
    for field in schema.fields() {
        hasher.update(format!("{}:{}:{}\n", field.name(), field.data_type(), field.is_nullable()));
    }
    hex::encode(hasher.finalize())
}

/// SHA-256 of `bytes`, hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
