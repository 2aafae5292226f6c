//! What the three daily steps share: which instruments, how errors and lake versions look to the control plane.

use crate::DataError;
use crate::runs::DEMO;
use lake::{Day, Lake, Manifest, Partition};
use settings::Home;
use store::{AssetVersion, StepError};

/// Which part of a day a step is about.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub day: Day,
    pub venue: Option<String>,
    pub symbols: Vec<String>,
    /// Journals are read up to the first record received at this time or later, ns; `None` reads them whole.
    pub until_ns: Option<i64>,
}

impl Scope {
    pub fn new(day: &str, venue: Option<&str>, symbols: &[String]) -> Result<Scope, DataError> {
        Ok(Scope { day: day.parse()?, venue: venue.map(str::to_owned), symbols: symbols.to_vec(), until_ns: None })
    }
    /// True for an instrument the step is about; a venue's name includes its demo market.
    pub fn wants(&self, venue: &str, symbol: &str) -> bool {
        let real = venue.strip_suffix(DEMO).unwrap_or(venue);
        self.venue.as_deref().is_none_or(|v| v == venue || v == real)
            && (self.symbols.is_empty() || self.symbols.iter().any(|s| s == symbol))
    }
}

/// The partitions of `dataset` a step is about, in order.
pub(crate) async fn partitions(lake: &Lake, scope: &Scope, dataset: &str) -> Result<Vec<Partition>, DataError> {
    let listed = lake.list().await?;
    let wanted =
        |p: &Partition| p.dataset() == dataset && p.day() == scope.day && scope.wants(p.venue(), p.instrument());
    Ok(listed.into_iter().map(|(partition, _)| partition).filter(wanted).collect())
}

/// Name and version of an asset as an input of a step.
pub(crate) fn input_of(partition: &Partition, manifest: &Manifest) -> (String, String) {
    (partition.asset(), manifest.content_hash())
}

/// A published version as an output of a step.
pub(crate) fn output_of(home: &Home, partition: &Partition, manifest: &Manifest) -> AssetVersion {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    AssetVersion {
        asset: format!("{}/{}/{}", partition.dataset(), partition.venue(), partition.instrument()),
        partition: partition.day().to_string(),
        sha256: manifest.content_hash(),
        uri: home.lake().join(partition.folder()).display().to_string(),
        rows: signed(manifest.rows),
        bytes: signed(manifest.bytes()),
        min_ts_ns: manifest.min_ts_ns,
        max_ts_ns: manifest.max_ts_ns,
        schema_hash: manifest.schema_hash.clone(),
    }
}

/// Name of the code for manifests.
pub(crate) fn code(step: &str) -> String {
    format!("{step}@{}", env!("CARGO_PKG_VERSION"))
}

impl From<DataError> for StepError {
    fn from(error: DataError) -> StepError {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        match error {
            DataError::Cancelled => StepError::Cancelled,
            error if error.is_transient() => StepError::Transient(text),
            _ => StepError::Permanent(text),
        }
    }
}
