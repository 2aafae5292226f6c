//! Whether a journal is as long as its run's manifest says it was sealed with. A journal cut off between two records reads
//! like one whose daemon was killed, so the journal alone cannot tell; the manifest of a run that ended well can.

use crate::DataError;
use settings::RunManifest;
use std::path::Path;
use venues::journal_dir::Tail;

/// What is missing at the end of the journal in `dir`, read to `tail`. Nothing is said of a run that never ended well.
pub fn missing(dir: &Path, manifest: &RunManifest, tail: &Tail) -> Option<DataError> {
    let whole = tail.seal.is_some() && tail.headless.is_none() && tail.torn == 0 && tail.next_seq >= manifest.records;
    if !manifest.sealed || whole {
        return None;
    }
    let what = format!(
        "it ends after {} records, and its manifest says that it was sealed with {}",
        tail.next_seq, manifest.records
    );
    Some(DataError::Cut { path: dir.to_path_buf(), segment: tail.segment, seq: tail.next_seq, what })
}
