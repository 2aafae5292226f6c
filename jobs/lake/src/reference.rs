//! Reference figures of others (prices, market capitalisation, dominance) as rows: slow, somebody's average, never a price
//! to trade on. Both times stand beside each figure, because such figures are revised: when it was published and when we
//! asked. Which hour it was asked for makes it one row an hour.

use crate::columns::{Columns, int, ints, micros, table, times};
use crate::{LakeError, Row};
use arrow_array::{Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// One figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceRow {
    /// Beginning of the hour it was asked for, ns.
    pub ts_hour_ns: i64,
    /// When it was published, by the publisher's clock, ns.
    pub ts_venue_ns: i64,
    /// When we were told, by our clock, ns.
    pub ts_recv_ns: i64,
    /// What is told, such as `price`.
    pub measure: String,
    /// In what, such as `usd` or `percent`.
    pub unit: String,
    /// The figure as a decimal number without exponent, every digit as it was told.
    pub value: String,
}

impl Row for ReferenceRow {
    const DATASET: &'static str = "reference";
    const SCALED: &'static [(&'static str, &'static str)] = &[];

    fn time_ns(&self) -> i64 {
        self.ts_hour_ns
    }
    fn schema() -> SchemaRef {
        let text = |name| Field::new(name, DataType::Utf8, false);
        Arc::new(Schema::new(vec![
            micros("ts_hour", false),
            micros("ts_venue", false),
            micros("ts_recv", false),
            int("ts_hour_ns", false),
            int("ts_venue_ns", false),
            int("ts_recv_ns", false),
            text("measure"),
            text("unit"),
            text("value"),
            // For features; what counts is the text.
            Field::new("value_f64", DataType::Float64, true),
        ]))
    }
    fn batch(rows: &[Self]) -> RecordBatch {
        let text = |of: fn(&ReferenceRow) -> &str| Arc::new(StringArray::from_iter_values(rows.iter().map(of)));
        let float = |r: &ReferenceRow| r.value.parse::<f64>().ok().filter(|f| f.is_finite());
        table(
            Self::schema(),
            vec![
                times(rows.iter().map(|r| Some(r.ts_hour_ns))),
                times(rows.iter().map(|r| Some(r.ts_venue_ns))),
                times(rows.iter().map(|r| Some(r.ts_recv_ns))),
                ints(rows.iter().map(|r| r.ts_hour_ns)),
                ints(rows.iter().map(|r| r.ts_venue_ns)),
                ints(rows.iter().map(|r| r.ts_recv_ns)),
                text(|r| &r.measure),
                text(|r| &r.unit),
                text(|r| &r.value),
                Arc::new(Float64Array::from_iter(rows.iter().map(float))),
            ],
        )
    }
    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, LakeError> {
        let c = Columns { dataset: Self::DATASET, batch };
        let (hour, venue, recv) = (c.int("ts_hour_ns")?, c.int("ts_venue_ns")?, c.int("ts_recv_ns")?);
        let (measure, unit) = (c.get::<StringArray>("measure")?, c.get::<StringArray>("unit")?);
        let value = c.get::<StringArray>("value")?;
        let row = |i| ReferenceRow {
            ts_hour_ns: hour.value(i),
            ts_venue_ns: venue.value(i),
            ts_recv_ns: recv.value(i),
            measure: measure.value(i).to_owned(),
            unit: unit.value(i).to_owned(),
            value: value.value(i).to_owned(),
        };
        Ok((0..batch.num_rows()).map(row).collect())
    }
}
