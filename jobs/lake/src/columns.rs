//! Building columns out of values and finding them again.

use crate::LakeError;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};
use std::sync::Arc;

pub fn int(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Int64, nullable)
}

pub fn micros(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), nullable)
}

pub fn ints(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

pub fn options(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(values))
}

pub fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let micros = values.map(|v| v.map(|ns| ns.div_euclid(1000)));
    Arc::new(TimestampMicrosecondArray::from_iter(micros).with_timezone("UTC"))
}

pub fn table(schema: SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(schema, columns).expect("columns are built beside their schema")
}

/// Typed access to the columns of a batch.
pub struct Columns<'a> {
    pub dataset: &'static str,
    pub batch: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    pub fn get<T: Array + 'static>(&self, name: &str) -> Result<&'a T, LakeError> {
        self.batch
            .column_by_name(name)
            .and_then(|c| c.as_any().downcast_ref())
            .ok_or_else(|| LakeError::Column { dataset: self.dataset.to_owned(), column: name.to_owned() })
    }
    pub fn int(&self, name: &str) -> Result<&'a Int64Array, LakeError> {
        self.get(name)
    }
}

pub fn at(column: &Int64Array, i: usize) -> Option<i64> {
    column.is_valid(i).then(|| column.value(i))
}
