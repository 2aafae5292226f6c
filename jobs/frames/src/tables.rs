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
    let paths =
        paths.iter().map(|p| PlRefPath::try_from_path(&std::path::absolute(p)?)).collect::<PolarsResult<Vec<_>>>()?;
    // venue, instrument and day are read off the path, as text. A folder above the lake that looks like a partition
    // (`x=y`) must be declared too and is dropped again.
    let keys = paths.first().map(|p| keys_of(p.as_str())).unwrap_or_default();
    let hive = Schema::from_iter(keys.iter().map(|key| Field::new(key.as_str().into(), DataType::String)));
    let args = ScanArgsParquet {
        hive_options: HiveOptions {
            schema: Some(Arc::new(hive)),
            try_parse_dates: false,
            ..HiveOptions::new_enabled()
        },
        glob: false,
        ..ScanArgsParquet::default()
    };
    // All times are UTC; without the zone they compare with plain SQL timestamps.
    let utc = dtype_col(&DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))).as_selector().as_expr();
    let mut columns = vec![utc.dt().replace_time_zone(None, lit("raise"), NonExistent::Raise)];
    columns.extend(group.scales.iter().map(|(column, &scale)| in_units(column, scale)));
    let strangers: Vec<_> = keys.iter().filter(|k| !["venue", "instrument", "day"].contains(&k.as_str())).collect();
    let strangers = by_name(strangers.into_iter().map(String::as_str), true, false);
    Ok(LazyFrame::scan_parquet_files(paths.into(), args)?.drop(strangers).with_columns(columns))
}

/// A scaled integer column as the nearest float of its value. Dividing by a literal would not do: polars turns that
/// into a product with the reciprocal, and 61837.63 into 61837.630000000005.
fn in_units(column: &str, scale: u8) -> Expr {
    let unit = 10f64.powi(i32::from(scale));
    let divide = move |c: Column| {
        let values = c.cast(&DataType::Float64)?;
        Ok(values.f64()?.apply_values(|x| x / unit).into_column())
    };
    let name = format!("{column}_f64");
    col(column).map(divide, |_, field| Ok(Field::new(field.name.clone(), DataType::Float64))).alias(name)
}

/// The keys of the `key=value` folders of a path, each once.
fn keys_of(path: &str) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for (key, _) in path.split('/').filter_map(|part| part.split_once('=')) {
        if !keys.iter().any(|k| k == key) {
            keys.push(key.to_owned());
        }
    }
    keys
}
