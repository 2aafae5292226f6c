//! A recorded capture as a source. The whole file is read once before anything is served, so a damaged or truncated
//! capture is refused at the start and never half runs; the second reading streams it with bounded memory.

use super::decode::{self, Body, Depth, Envelope};
use super::{Item, ItemKind, Listed, Message, Opened, SourceError, Wire};
use axum::extract::ws::Utf8Bytes;
use domain::event::BookSnapshot;
use domain::{Instrument, InstrumentId};
use flate2::read::MultiGzDecoder;
use sim::rules;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Items read ahead of the emitter.
const READ_AHEAD: usize = 512;

/// Lines of a capture, with numbers from 1.
struct Lines {
    path: PathBuf,
    reader: BufReader<MultiGzDecoder<File>>,
    line: u64,
    buffer: String,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, SourceError> {
        let open = |source| SourceError::Open { path: path.to_owned(), source };
        let mut magic = [0u8; 2];
        let mut head = File::open(path).map_err(open)?;
        match head.read_exact(&mut magic) {
            Ok(()) if magic == [0x1f, 0x8b] => {}
            Err(e) if e.kind() != ErrorKind::UnexpectedEof => return Err(open(e)),
            _ => return Err(SourceError::NotGzip { path: path.to_owned() }),
        }
        let reader = BufReader::new(MultiGzDecoder::new(File::open(path).map_err(open)?));
        Ok(Self { path: path.to_owned(), reader, line: 0, buffer: String::new() })
    }

    /// The next line, without its end; `None` at the end.
    fn next(&mut self) -> Result<Option<&str>, SourceError> {
        self.buffer.clear();
        self.line += 1;
        let (path, line) = (self.path.clone(), self.line);
        match self.reader.read_line(&mut self.buffer) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(self.buffer.trim_end_matches(['\n', '\r']))),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Err(SourceError::Truncated { path, line }),
            Err(source) => Err(SourceError::Damaged { path, line, source }),
        }
    }

    fn bad(&self, what: impl ToString) -> SourceError {
        SourceError::Line { path: self.path.clone(), line: self.line, what: what.to_string() }
    }
}

/// Splits `<ns> <message>`.
fn split(line: &str) -> Result<(u64, &str), String> {
    let (ts, message) = line.split_once(' ').ok_or("there is no blank between receive time and message")?;
    let ts_ns = ts.parse().map_err(|_| format!("`{ts}` is not a receive time in ns"))?;
    Ok((ts_ns, message))
}

/// What one symbol showed during the first reading.
#[derive(Default)]
struct Seen {
    steps: rules::Steps,
    /// As text; parsed again once the steps are known.
    snapshot: Option<String>,
    first_diff_id: Option<u64>,
}

/// The first reading: every line checked.
struct Scan {
    symbols: Vec<(String, Seen)>,
    first_ns: u64,
}

fn scan(path: &Path) -> Result<Scan, SourceError> {
    let mut lines = Lines::open(path)?;
    let mut symbols: Vec<(String, Seen)> = Vec::new();
    let mut first_ns = None;
    while let Some(line) = lines.next()? {
        let checked = split(line).and_then(|(ts_ns, message)| {
            first_ns.get_or_insert(ts_ns);
            scan_line(message, &mut symbols)
        });
        checked.map_err(|what| lines.bad(what))?;
    }
    match first_ns {
        Some(first_ns) if !symbols.is_empty() => Ok(Scan { symbols, first_ns }),
        _ => Err(SourceError::Empty { path: path.to_owned() }),
    }
}

fn scan_line(message: &str, symbols: &mut Vec<(String, Seen)>) -> Result<(), String> {
    let envelope: Envelope<'_> = serde_json::from_str(message).map_err(|e| e.to_string())?;
    let (Some(stream), Some(data)) = (envelope.stream, envelope.data) else {
        let depth: Depth<'_> = serde_json::from_str(message).map_err(|e| e.to_string())?;
        // The recorder wrote the reply without its symbol: it belongs to the last symbol seen without one.
        if symbols.is_empty() {
            return Err("a depth snapshot before any stream message, so its symbol is not known".to_owned());
        }
        let Some((_, seen)) = symbols.iter_mut().rev().find(|(_, seen)| seen.snapshot.is_none()) else {
            // A later one, of a recorder that started over: the diffs go on without it.
            return Ok(());
        };
        depth.bids.iter().chain(&depth.asks).for_each(|pair| seen.steps.see(pair[0], pair[1]));
        seen.snapshot = Some(message.to_owned());
        return Ok(());
    };
    let body = decode::body(stream, data)?;
    let name = symbol_of(stream);
    let at = symbols.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
        symbols.push((name, Seen::default()));
        symbols.len() - 1
    });
    let seen = &mut symbols[at].1;
    match &body {
        Body::Diff(d) => {
            seen.first_diff_id.get_or_insert(d.first_id());
            d.bids.iter().chain(&d.asks).for_each(|pair| seen.steps.see(pair[0], pair[1]));
        }
        Body::Trade(t) => seen.steps.see(t.price, t.qty),
        Body::Ticker(q) => {
            seen.steps.see(q.bid, q.bid_qty);
            seen.steps.see(q.ask, q.ask_qty);
        }
    }
    Ok(())
}

fn symbol_of(stream: &str) -> String {
    stream.split('@').next().unwrap_or_default().to_uppercase()
}

fn listed(path: &Path, index: usize, name: &str, seen: &Seen) -> Result<Listed, SourceError> {
    let bad = |what: String| SourceError::Line { path: path.to_owned(), line: 0, what };
    let id = InstrumentId(u16::try_from(index).map_err(|_| bad("more than 65535 symbols".to_owned()))?);
    let instrument = rules::instrument(id, name, &seen.steps).map_err(bad)?;
    let snapshot = match &seen.snapshot {
        Some(text) => {
            let depth: Depth<'_> = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
            decode::snapshot(&instrument, &depth).map_err(|e| bad(e.to_string()))?
        }
        // Nothing recorded: an empty book that the first diff continues.
        None => BookSnapshot {
            instrument: id,
            ts_venue_ns: 0,
            last_id: seen.first_diff_id.map_or(0, |id| id.saturating_sub(1)),
            bids: Vec::new(),
            asks: Vec::new(),
            checksum: None,
        },
    };
    let recorded = seen.snapshot.as_deref().map(Utf8Bytes::from);
    Ok(Listed { instrument, snapshot, recorded })
}

/// Checks the whole capture and starts reading it.
///
/// # Errors
/// [`SourceError`] for anything that would stop the capture on its way.
pub fn open(path: &Path) -> Result<Opened, SourceError> {
    let scan = scan(path)?;
    let symbols: Vec<Listed> = scan
        .symbols
        .iter()
        .enumerate()
        .map(|(index, (name, seen))| listed(path, index, name, seen))
        .collect::<Result<_, _>>()?;
    let instruments: Vec<Instrument> = symbols.iter().map(|s| s.instrument.clone()).collect();
    let lines = Lines::open(path)?;
    let (tx, items) = mpsc::channel(READ_AHEAD);
    std::thread::Builder::new()
        .name("capture-reader".to_owned())
        .spawn(move || {
            if let Err(error) = read(lines, &instruments, &tx) {
                tracing::error!("{error}; it was readable a moment ago, so the file changed");
            }
        })
        .map_err(|source| SourceError::Open { path: path.to_owned(), source })?;
    Ok(Opened { symbols, first_ns: scan.first_ns, items, free_running: false })
}

/// The second reading: items until the end of the file or of the listener.
fn read(mut lines: Lines, instruments: &[Instrument], tx: &mpsc::Sender<Item>) -> Result<(), SourceError> {
    let by_name: BTreeMap<String, usize> =
        instruments.iter().enumerate().map(|(i, known)| (known.symbol.to_string(), i)).collect();
    let mut streams: BTreeMap<String, Arc<str>> = BTreeMap::new();
    let mut without_snapshot: Vec<usize> = Vec::new();
    let mut seen = vec![false; instruments.len()];
    while let Some(line) = lines.next()? {
        let item = (|| {
            let (ts_ns, text) = split(line)?;
            let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|e| e.to_string())?;
            let (Some(stream), Some(data)) = (envelope.stream, envelope.data) else {
                let item = |symbol| Item { ts_ns, kind: ItemKind::Snapshot(symbol) };
                return Ok(without_snapshot.pop().map(item));
            };
            let index = *by_name.get(&symbol_of(stream)).ok_or("a new symbol")?;
            if !std::mem::replace(&mut seen[index], true) {
                without_snapshot.push(index);
            }
            let body = decode::body(stream, data)?;
            let event = decode::event(&instruments[index], &body).map_err(|e| e.to_string())?;
            let stream = streams.entry(stream.to_owned()).or_insert_with(|| Arc::from(stream)).clone();
            let start = data.get().as_ptr() as usize - text.as_ptr() as usize;
            let data = start..start + data.get().len();
            let wire = Some(Wire { stream, text: Utf8Bytes::from(text), data });
            Ok(Some(Item { ts_ns, kind: ItemKind::Message(Message { event, wire }) }))
        })();
        let Some(item) = item.map_err(|what: String| lines.bad(what))? else { continue };
        if tx.blocking_send(item).is_err() {
            break;
        }
    }
    Ok(())
}
