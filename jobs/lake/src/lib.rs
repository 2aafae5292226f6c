//! The lake: recorded markets and what was derived from them, as Parquet files that any reader understands.
//!
//! ```text
//! dataset=trades/venue=binance/instrument=BTCUSDT/day=2024-08-08/part-000001.parquet
//!                                                               /manifest-000001.json   one per version, for ever
//!                                                               /manifest.json          the newest of them
//! ```
//!
//! A partition is one dataset of one instrument on one UTC day. The same rows always give the same bytes. A file is
//! written under a temporary name and renamed, manifests come last, so a reader who goes by the manifest never sees
//! half a version, whenever the writer dies. What was published is never changed: other content is a new version.
//!
//! Money is never a float: prices and sizes are integers, the number of digits after the point stands in the file's
//! and the manifest's metadata. Left out on purpose: queries (`frames`), retention, remote stores (the code only
//! uses `object_store`, so a bucket is a constructor away).
//!
//! Start reading at [`Lake::publish`].
#![warn(missing_docs)]

mod columns;
pub mod error;
pub mod lines;
pub mod manifest;
pub mod parquet_io;
pub mod partition;
pub mod publish;
pub mod reference;
pub mod rows;
pub mod store;

pub use error::LakeError;
pub use lines::LineRow;
pub use manifest::{FileEntry, Lineage, Manifest};
pub use partition::{Day, Partition};
pub use publish::{Published, TableMeta};
pub use reference::ReferenceRow;
pub use rows::{CandleRow, FeatureTable, LevelRow, QuoteRow, Row, TradeRow};
pub use store::{Lake, Verified};
