//! Entries into streams, each once. An entry's id is `<ms when the run was created>-<record of its journal>`: it grows along
//! the run and from run to run, so the server itself refuses what is there already, whoever sends it again.

use crate::market::Entry;
use crate::redis::{Client, Reply};
use std::collections::BTreeMap;
use std::io;

/// An id of a stream's entry.
pub type Id = (u64, u64);

/// What the server answers when an id is not above the stream's last. It may also mean that a longer run's stream is read
/// from its beginning again; both are fine.
const THERE: &str = "equal or smaller than the target stream top item";

/// Sends entries; knows how far each stream is.
pub struct Publisher {
    address: String,
    stream_max: u32,
    client: Option<Client>,
    ends: BTreeMap<String, Id>,
}

impl Publisher {
    /// Nothing is connected yet.
    ///
    /// * `stream_max` - entries a stream keeps, about.
    pub fn new(address: &str, stream_max: u32) -> Publisher {
        Publisher { address: address.to_owned(), stream_max, client: None, ends: BTreeMap::new() }
    }

    /// Sends what is not there yet; returns how many were new. After an error the same entries may be sent again.
    ///
    /// * `run_ms` - when the run was created, ms since 1970 UTC.
    ///
    /// # Errors
    /// When the server does not answer, or says no.
    pub fn send(&mut self, run_ms: u64, entries: &[Entry]) -> io::Result<usize> {
        let sent = self.try_send(run_ms, entries);
        if sent.is_err() {
            // Which of them arrived is not known: ask again.
            self.client = None;
            self.ends.clear();
        }
        sent
    }

    fn try_send(&mut self, run_ms: u64, entries: &[Entry]) -> io::Result<usize> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(&self.address)?,
        };
        for entry in entries {
            if !self.ends.contains_key(&entry.key) {
                self.ends.insert(entry.key.clone(), end(&mut client, &entry.key)?);
            }
        }
        let ends = &self.ends;
        let new: Vec<&Entry> =
            entries.iter().filter(|e| ends.get(&e.key).is_none_or(|end| (run_ms, e.seq) > *end)).collect();
        let commands: Vec<Vec<String>> = new.iter().map(|entry| self.command(run_ms, entry)).collect();
        let mut added = 0;
        for (reply, entry) in client.ask(&commands)?.into_iter().zip(&new) {
            match reply {
                Reply::Error(why) if why.contains(THERE) => {}
                Reply::Error(why) => return Err(io::Error::other(why)),
                _ => added += 1,
            }
            self.ends.insert(entry.key.clone(), (run_ms, entry.seq));
        }
        self.client = Some(client);
        Ok(added)
    }

    fn command(&self, run_ms: u64, entry: &Entry) -> Vec<String> {
        let head =
            ["XADD", &entry.key, "MAXLEN", "~", &self.stream_max.to_string(), &format!("{run_ms}-{}", entry.seq)];
        let fields = entry.fields.iter().flat_map(|(name, value)| [(*name).to_owned(), value.clone()]);
        head.into_iter().map(str::to_owned).chain(fields).collect()
    }
}

/// The id of the newest entry of a stream; zeros for an empty one.
fn end(client: &mut Client, key: &str) -> io::Result<Id> {
    let command = ["XREVRANGE", key, "+", "-", "COUNT", "1"].map(str::to_owned).to_vec();
    let reply = client.ask(&[command])?.pop();
    let unreadable = || io::Error::other(format!("`{key}` is no stream, or not one of ours"));
    let Some(Reply::Many(entries)) = reply else { return Err(unreadable()) };
    let Some(first) = entries.into_iter().next() else { return Ok((0, 0)) };
    let Reply::Many(parts) = first else { return Err(unreadable()) };
    let Some(Reply::Text(Some(id))) = parts.first() else { return Err(unreadable()) };
    let (ms, seq) = id.split_once('-').ok_or_else(unreadable)?;
    ms.parse().ok().zip(seq.parse().ok()).ok_or_else(unreadable)
}
