//! Lines of runs' logs as rows. Not a market's data, but kept the same way: written once, proven by hash.

use crate::columns::{Columns, int, ints, micros, table, times};
use crate::{LakeError, Row};
use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// One line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRow {
    /// Its number; later lines have larger ones.
    pub id: i64,
    /// The run.
    pub run: String,
    /// The step.
    pub step: String,
    /// Its attempt.
    pub attempt: i32,
    /// When it was said, ns since 1970 UTC; the database keeps whole microseconds.
    pub ts_ns: i64,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// What was said.
    pub message: String,
}

impl Row for LineRow {
    const DATASET: &'static str = "run_log";
    const SCALED: &'static [(&'static str, &'static str)] = &[];

    fn time_ns(&self) -> i64 {
        self.ts_ns
    }
    fn schema() -> SchemaRef {
        let text = |name| Field::new(name, DataType::Utf8, false);
        Arc::new(Schema::new(vec![
            int("id", false),
            text("run"),
            text("step"),
            int("attempt", false),
            micros("ts", false),
            int("ts_ns", false),
            text("level"),
            text("message"),
        ]))
    }
    fn batch(rows: &[Self]) -> RecordBatch {
        let text = |of: fn(&LineRow) -> &str| Arc::new(StringArray::from_iter_values(rows.iter().map(of)));
        table(
            Self::schema(),
            vec![
                ints(rows.iter().map(|r| r.id)),
                text(|r| &r.run),
                text(|r| &r.step),
                ints(rows.iter().map(|r| i64::from(r.attempt))),
                times(rows.iter().map(|r| Some(r.ts_ns))),
                ints(rows.iter().map(|r| r.ts_ns)),
                text(|r| &r.level),
                text(|r| &r.message),
            ],
        )
    }
    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, LakeError> {
        let c = Columns { dataset: Self::DATASET, batch };
        let (id, attempt, ts_ns) = (c.int("id")?, c.int("attempt")?, c.int("ts_ns")?);
        let (run, step) = (c.get::<StringArray>("run")?, c.get::<StringArray>("step")?);
        let (level, message) = (c.get::<StringArray>("level")?, c.get::<StringArray>("message")?);
        let row = |i| LineRow {
            id: id.value(i),
            run: run.value(i).to_owned(),
            step: step.value(i).to_owned(),
            attempt: i32::try_from(attempt.value(i)).unwrap_or(i32::MAX),
            ts_ns: ts_ns.value(i),
            level: level.value(i).to_owned(),
            message: message.value(i).to_owned(),
        };
        Ok((0..batch.num_rows()).map(row).collect())
    }
}
