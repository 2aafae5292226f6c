//! Facts about recordings, for people who want to know what they have: whose data they hold, whether every book in them
//! can be rebuilt and proven, and what the recorder's clock was like.
//!
//! Recordings are read twice: [`survey`] finds out which venue every connection belongs to, which symbols it speaks of and
//! under which rules; [`follow`] then reads them as the daemon would. Given several files, books go on from one to the
//! next. Nothing here knows a venue: all that is special comes from its adapter.

mod clock;
mod follow;
mod survey;
mod track;

use crate::DataError;
use follow::Follower;
use serde_json::{Value, json};
use std::path::PathBuf;
use survey::Survey;
use track::Track;

/// Looks through the recordings in `paths`, in their order. With what it found comes the exit code: 1 when one of them is
/// damaged, holds nothing of a known venue, or holds changes of a book and no whole book that they build on.
///
/// # Errors
/// [`DataError`] when a file cannot be opened or is not what its name says, or none is named.
pub fn inspect(paths: &[PathBuf]) -> Result<(Value, u8), DataError> {
    if paths.is_empty() {
        return Err(DataError::Usage("name at least one recorded file".to_owned()));
    }
    let survey = Survey::of(paths)?;
    let mut follower = Follower::new(&survey);
    let mut files = Vec::new();
    for (n, path) in paths.iter().enumerate() {
        files.push(follower.file(n, path)?);
    }
    let tracks = follower.end();
    let refused =
        tracks.iter().filter_map(Track::refused).count() + files.iter().filter(|f| f.refused.is_some()).count();
    let usable = refused == 0 && files.iter().all(|f| f.damage.is_none()) && !tracks.is_empty();

    let mut found = totals(&tracks);
    found["messages"] = json!(files.iter().map(|f| f.messages).sum::<u64>());
    found["other"] = json!(files.iter().map(|f| f.other).sum::<u64>());
    found["unreadable"] = json!(files.iter().map(|f| f.unreadable).sum::<u64>());
    found["files"] = files.iter().map(follow::File::facts).collect();
    found["instruments"] = tracks.iter().map(Track::facts).collect();
    Ok((found, u8::from(!usable)))
}

/// Sums over all books; the clock's offset where all is one venue's.
fn totals(tracks: &[Track]) -> Value {
    let mut total = json!({});
    for key in track::COUNTS {
        total[key] = json!(tracks.iter().map(|t| t.count(key)).sum::<u64>());
    }
    let mut clock = clock::Clock::default();
    let one_venue = tracks.windows(2).all(|pair| pair[0].venue() == pair[1].venue());
    tracks.iter().filter(|_| one_venue).for_each(|t| clock.add(t.clock()));
    total["clock_offset_ms"] = json!(clock.offset_ms());
    total["latency_ms"] = clock.latency();
    total
}
