//! What every venue's module needs to read the wire: errors, instruments by symbol, and numbers that go from text to
//! whole ticks and lots without passing a float.

use domain::event::Level;
use domain::num::{Decimal, NumError};
use domain::{Instrument, InstrumentId, Lots, Ticks};
use thiserror::Error;

/// A message that is not what the venue documents.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Not JSON, or JSON of another shape.
    #[error("unreadable {what}: {cause}; it starts `{excerpt}`")]
    Shape {
        /// What it should have been.
        what: &'static str,
        /// What the parser says.
        cause: String,
        /// The first characters.
        excerpt: String,
    },
    /// A number that is none, or not on the instrument's grid.
    #[error("bad {field} in {what} of {symbol}: {source}")]
    Number {
        /// In which message.
        what: &'static str,
        /// Of which symbol.
        symbol: String,
        /// Which field.
        field: &'static str,
        /// Why.
        #[source]
        source: NumError,
    },
}

impl DecodeError {
    pub(crate) fn shape(what: &'static str, cause: impl ToString, text: &str) -> DecodeError {
        let excerpt = text.chars().take(120).collect();
        DecodeError::Shape { what, cause: cause.to_string(), excerpt }
    }
    pub(crate) fn number(
        what: &'static str,
        symbol: &str,
        field: &'static str,
    ) -> impl FnOnce(NumError) -> DecodeError {
        let symbol = symbol.to_owned();
        move |source| DecodeError::Number { what, symbol, field, source }
    }
}

/// Finds instruments by the venue's symbol. Few entries, so a scan beats a tree.
#[derive(Clone, Debug, Default)]
pub struct SymbolTable {
    instruments: Vec<Instrument>,
}

impl SymbolTable {
    /// A table of these instruments; a later one with the same symbol replaces an earlier one.
    pub fn new(instruments: impl IntoIterator<Item = Instrument>) -> SymbolTable {
        let mut table = SymbolTable::default();
        for instrument in instruments {
            match table.instruments.iter_mut().find(|i| i.symbol == instrument.symbol) {
                Some(old) => *old = instrument,
                None => table.instruments.push(instrument),
            }
        }
        table
    }
    /// The instrument traded under `symbol` (upper case, as in messages).
    pub fn get(&self, symbol: &str) -> Option<&Instrument> {
        self.instruments.iter().find(|i| i.symbol.as_str() == symbol)
    }
    /// The instrument with this id.
    pub fn by_id(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.iter().find(|i| i.id == id)
    }
    /// All of them, in the order given.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }
}

/// The venue's milliseconds as our nanoseconds; saturates.
pub(crate) const fn ms_to_ns(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

/// A level as most venues write it: price and absolute size as text.
pub(crate) type RawLevel<'a> = [&'a str; 2];

/// Most levels of one side in one message. Coinbase's whole BTC book has some 27 000; what is far past that is no
/// book, and would not fit a record of the journal.
pub const LEVELS_MAX: usize = 65_536;

pub(crate) fn levels(raw: &[RawLevel<'_>], i: &Instrument, what: &'static str) -> Result<Vec<Level>, DecodeError> {
    if raw.len() > LEVELS_MAX {
        let many = format_args!("{} levels on one side, at most {LEVELS_MAX} make sense", raw.len());
        return Err(DecodeError::shape(what, many, &i.symbol));
    }
    raw.iter().map(|[p, q]| Ok(Level { price: price(p, i, what)?, qty: public_qty(q, i, what)? })).collect()
}

/// One side of a whole book as asked for. Orders from before a change of the tick rest at prices that are none any more
/// (Binance NKNUSDT, 2021-10-12: `0.25974` under a tick of 0.0001). No whole book would ever be readable with them, so they
/// are left out here. A change at such a price stays an error: it may as well mean that our tick is out of date.
pub(crate) fn whole_levels(
    raw: &[RawLevel<'_>],
    i: &Instrument,
    what: &'static str,
) -> Result<Vec<Level>, DecodeError> {
    let on_tick = |[p, _]: &&RawLevel<'_>| !matches!(i.tick.count(p), Err(NumError::OffStep { .. }));
    let kept: Vec<RawLevel<'_>> = raw.iter().filter(on_tick).copied().collect();
    levels(&kept, i, what)
}

/// A price in text as whole ticks of `i`.
pub(crate) fn price(text: &str, i: &Instrument, what: &'static str) -> Result<Ticks, DecodeError> {
    i.tick.count(text).map(Ticks::new).map_err(DecodeError::number(what, &i.symbol, "price"))
}

/// A size in the public book or tape. Orders from before a rule change rest there with finer sizes than the rules in
/// force allow (2024-08-08: `25.42618900` BTC at 200000 under a step of 0.00001); they are cut to whole lots, but what
/// is there is never cut to nothing, because zero removes a level.
pub(crate) fn public_qty(text: &str, i: &Instrument, what: &'static str) -> Result<Lots, DecodeError> {
    match i.lot.count(text) {
        Err(NumError::OffStep { .. }) => {}
        Ok(_) | Err(_) => return qty(text, i, what),
    }
    let lots = || {
        let size = Decimal::parse(text).ok()?;
        // Both as whole numbers of the finer of the two scales.
        let scale = size.scale.max(i.lot.scale);
        let lot = Decimal::new(i128::from(i.lot.units), i.lot.scale).at_scale(scale)?;
        let lots = size.at_scale(scale).filter(|n| *n > 0)? / lot;
        u64::try_from(lots.max(1)).ok()
    };
    lots()
        .map(Lots::new)
        .ok_or_else(|| DecodeError::number(what, &i.symbol, "quantity")(NumError::Overflow(text.to_owned())))
}

/// A size of ours in text as whole lots of `i`.
pub(crate) fn qty(text: &str, i: &Instrument, what: &'static str) -> Result<Lots, DecodeError> {
    i.lot
        .count(text)
        .and_then(|n| u64::try_from(n).map_err(|_| NumError::Syntax(text.to_owned())))
        .map(Lots::new)
        .map_err(DecodeError::number(what, &i.symbol, "quantity"))
}

/// The receive time a replaying source puts before a frame's own members, `{"ts_recv_ns":17,..`, ns; real venues send
/// none.
pub fn source_time(frame: &str) -> Option<u64> {
    let digits = frame.strip_prefix("{\"ts_recv_ns\":")?;
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    digits[..end].parse().ok()
}
