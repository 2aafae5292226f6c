//! Venues on the wire: the one that is traded, and those that are watched beside it: their books, trades and reference
//! data come into the same engine, through the same journal, and no order ever goes there.
//!
//! One [`keeper`] thread per venue learns the rules, opens the connections, and asks over HTTP what [`books`] says is due:
//! whole books, the time, and books that stand in for a failed stream. One [`connection`] thread per connection reads it
//! into a [`line`]. What is decided is decided in `books` and `line`, which do no I/O. A venue that is away holds nobody
//! else up.

pub mod books;
pub mod connection;
pub mod keeper;
pub mod line;
pub mod stream;
pub mod tape;

use crate::error::DaemonError;
use domain::{Instrument, InstrumentId, Venue};
use std::path::PathBuf;
use venues::adapter::{Adapter, Endpoints, adapter, adapters};

/// A venue to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub venue: Venue,
    /// Where it is reached.
    pub endpoints: Endpoints,
    /// The venue's own symbols.
    pub symbols: Vec<String>,
}

impl Watched {
    /// Reads `NAME:SYMBOL,SYMBOL` or `NAME=URL;SYMBOL,..`; without an address the venue's own is used, with one all its services are
    /// behind that.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Watched, String> {
        let shape =
            || format!("`{text}` is no venue to watch; write kraken:BTC/USD or kraken=http://127.0.0.1:4711;BTC/USD");
        let (name, rest) = text.split_once(['=', ':']).ok_or_else(shape)?;
        let (base, symbols) = if text[name.len()..].starts_with('=') {
            rest.split_once(';').map(|(base, symbols)| (Some(base), symbols)).ok_or_else(shape)?
        } else {
            (None, rest)
        };
        let symbols: Vec<String> = symbols.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
        if symbols.is_empty() {
            return Err(shape());
        }
        let found = Venue::parse(name).and_then(adapter).ok_or_else(|| {
            let known: Vec<String> = adapters().iter().map(|a| a.venue().to_string()).collect();
            format!("there is no venue `{name}`; known are {}", known.join(", "))
        })?;
        let endpoints = base.map_or_else(|| found.endpoints(), Endpoints::at);
        Ok(Watched { venue: found.venue(), endpoints, symbols })
    }
}

/// A watched venue with the ids of this run.
pub struct Assigned {
    /// Its wire.
    pub adapter: &'static dyn Adapter,
    /// Where it is reached.
    pub endpoints: Endpoints,
    /// Each symbol with its id and, if the run knew it before, its rules as they were.
    pub symbols: Vec<(String, InstrumentId, Option<Instrument>)>,
    /// Where budgets are counted.
    pub budgets: PathBuf,
}

impl Assigned {
    /// The rules that the venue told, with this run's ids and versions.
    pub fn with_ids(&self, rules: Vec<Instrument>) -> Vec<Instrument> {
        let numbered = |(mut rule, (_, id, old)): (Instrument, &(String, InstrumentId, Option<Instrument>))| {
            // Nothing is traded here, whatever the venue would allow.
            (rule.id, rule.trade) = (*id, false);
            if let Some(old) = old {
                rule.version = old.version;
                rule.version += u32::from(*old != rule);
            }
            rule
        };
        rules.into_iter().zip(&self.symbols).map(numbered).collect()
    }
}

/// Gives every watched symbol its id: known ones keep theirs, new ones follow `next_id`, in the order they were named.
///
/// # Errors
/// [`DaemonError::Usage`] when a venue is not known or named twice, or there are more symbols than ids.
pub fn assign(
    watched: &[Watched],
    known: &[Instrument],
    mut next_id: u16,
    budgets: &std::path::Path,
) -> Result<Vec<Assigned>, DaemonError> {
    let mut all = Vec::new();
    for (n, one) in watched.iter().enumerate() {
        if watched[..n].iter().any(|other| other.venue == one.venue) {
            return Err(DaemonError::Usage(format!(
                "venue `{}` is named twice; name it once with all symbols",
                one.venue
            )));
        }
        let adapter =
            adapter(one.venue).ok_or_else(|| DaemonError::Usage(format!("there is no venue `{}`", one.venue)))?;
        let mut symbols = Vec::new();
        for symbol in &one.symbols {
            let old = known.iter().find(|i| i.venue == one.venue && i.symbol.as_str() == symbol.as_str());
            let id = match old {
                Some(old) => old.id,
                None => {
                    let id = InstrumentId(next_id);
                    next_id = next_id
                        .checked_add(1)
                        .ok_or_else(|| DaemonError::Usage("more symbols are named than a run can have".to_owned()))?;
                    id
                }
            };
            symbols.push((symbol.clone(), id, old.cloned()));
        }
        let (endpoints, budgets) = (one.endpoints.clone(), budgets.to_owned());
        all.push(Assigned { adapter, endpoints, symbols, budgets });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_venue_to_watch_is_refused_in_words() {
        for bad in ["", "kraken", "kraken:", "kraken:,", "kraken=http://127.0.0.1:1"] {
            assert!(Watched::parse(bad).unwrap_err().contains("no venue to watch"), "{bad}");
        }
        let unknown = Watched::parse("krakn:BTC/USD").unwrap_err();
        assert!(unknown.contains("there is no venue `krakn`"), "{unknown}");
    }
}
