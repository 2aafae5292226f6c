//! The lake's manifests as lazy tables: one scan per instrument and column layout, put together per dataset.

use crate::FramesError;
use lake::{Lake, Manifest, Partition};
use polars::io::HiveOptions;
use polars::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Partitions that can share a scan: same columns, same meaning.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    dataset: String,
    venue: String,
    instrument: String,
    schema_hash: String,
    scales: BTreeMap<String, u8>,
}

/// One lazy table per dataset, in order of name. Artefacts that are no tables are left out.
pub fn tables(lake: &Lake, listed: &[(Partition, Manifest)]) -> Result<Vec<(String, LazyFrame)>, FramesError> {
    let mut groups: BTreeMap<Group, Vec<PathBuf>> = BTreeMap::new();
    for (partition, manifest) in listed {
        let files = manifest.files.iter().filter(|f| f.name.ends_with(".parquet"));
        let paths: Vec<PathBuf> = files.map(|f| lake.path_of(partition, f)).collect();
        if paths.is_empty() {
            continue;
        }
        let group = Group {
            dataset: partition.dataset().to_owned(),
            venue: partition.venue().to_owned(),
            instrument: partition.instrument().to_owned(),
            schema_hash: manifest.schema_hash.clone(),
            scales: manifest.scales.clone(),
        };
        groups.entry(group).or_default().extend(paths);
    }
    let broken = |e: PolarsError| FramesError::Broken(e.to_string());
    let mut tables: BTreeMap<String, Vec<LazyFrame>> = BTreeMap::new();
    for (group, paths) in groups {
        let frame = scan(&group, &paths).map_err(broken)?;
        tables.entry(group.dataset).or_default().push(frame);
    }
    let join = |(name, frames): (String, Vec<LazyFrame>)| {
        // Diagonal: feature tables of different builds have different columns.
        let table = concat_lf_diagonal(frames, UnionArgs::default()).map_err(broken)?;
        Ok((name, table))
    };
    tables.into_iter().map(join).collect()
}

fn scan(group: &Group, paths: &[PathBuf]) -> PolarsResult<LazyFrame> {
    let paths = paths
        .iter()
        .map(|p| PlRefPath::try_from_path(&std::path::absolute(p)?))
        .collect::<PolarsResult<Vec<_>>>()?;
    // The day is read off the path, as text; what stands before it is the same for the whole group.
    let day_at = paths.first().and_then(|p| p.as_str().find("day=")).unwrap_or(0);
    let day = Schema::from_iter([Field::new("day".into(), DataType::String)]);
    let args = ScanArgsParquet {
        hive_options: HiveOptions {
            enabled: Some(true),
            hive_start_idx: day_at,
            schema: Some(Arc::new(day)),
            try_parse_dates: false,
        },
        glob: false,
        ..ScanArgsParquet::default()
    };
    let mut columns =
        vec![lit(group.venue.clone()).alias("venue"), lit(group.instrument.clone()).alias("instrument")];
    for (column, &scale) in &group.scales {
        let unit = lit(10f64.powi(i32::from(scale)));
        columns.push((col(column.as_str()).cast(DataType::Float64) / unit).alias(format!("{column}_f64")));
    }
    Ok(LazyFrame::scan_parquet_files(paths.into(), args)?.with_columns(columns))
}
