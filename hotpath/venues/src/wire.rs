//! What every venue's module needs to read the wire: errors, instruments by symbol, and numbers that go from text to
//! whole ticks and lots without passing a float.

use domain::event::Level;
use domain::num::{Decimal, NumError};
use domain::{Instrument, InstrumentId, Lots, TickLots, Ticks};
use serde::Deserialize;
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
    match i.lot.count(text).map(u64::try_from) {
        Ok(Ok(lots)) => return Ok(Lots::new(lots)),
        Err(NumError::OffStep { .. }) => {}
        Ok(Err(_)) | Err(_) => return qty(text, i, what),
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

/// JSON of a known shape; what is called is named in the error.
pub(crate) fn parse<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|e| DecodeError::shape(what, e, text))
}

/// The largest whole number of lots that is not above a limit in text; what no position could hold is cut.
pub(crate) fn lots_at_most(text: &str, i: &Instrument, what: &'static str) -> Result<Lots, DecodeError> {
    lots_near(text, i, what, false)
}

/// The smallest whole number of lots that is not below a limit in text.
pub(crate) fn lots_at_least(text: &str, i: &Instrument, what: &'static str) -> Result<Lots, DecodeError> {
    lots_near(text, i, what, true)
}

fn lots_near(text: &str, i: &Instrument, what: &'static str, up: bool) -> Result<Lots, DecodeError> {
    let number = DecodeError::number(what, &i.symbol, "limit");
    let size = Decimal::parse(text).map_err(number)?;
    let scale = size.scale.max(i.lot.scale);
    let lot = Decimal::new(i128::from(i.lot.units), i.lot.scale).at_scale(scale);
    let lots = size.at_scale(scale).zip(lot).map_or(i128::MAX, |(size, lot)| {
        let rest = i128::from(up && size % lot != 0);
        size / lot + rest
    });
    let lots = lots.clamp(0, i128::from(i64::MAX));
    Ok(Lots::new(u64::try_from(lots).unwrap_or_default()))
}

/// The smallest value in whole tick·lots that is not below `amount` of quote.
pub(crate) fn value_at_least(i: &Instrument, amount: Decimal) -> TickLots {
    let floor = i.value_floor(amount);
    if i.value(floor) >= amount { floor } else { TickLots::new(floor.get() + 1) }
}

/// Seconds since 1970 UTC with a fraction, `1534614248.123678`, in ns; digits past the ninth are cut.
pub(crate) fn seconds_ns(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let below: u64 = format!("{fraction:0<9.9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(below)
}

/// A point in time as venues write it, `2026-08-09T21:05:48.228568804Z`, in ns since 1970 UTC; `None` for other text,
/// other time zones, and years outside 1970..=2261. Days that a month lacks count on into the next.
pub(crate) fn time_ns(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = three(date, '-')?;
    let [hour, minute, second] = three(clock, ':')?;
    let in_range = (1970..=2261).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    // 60 is a leap second.
    if !in_range || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |n, b| n * 10 + u64::from(b - b'0'));
    // Days since 1970-01-01 in the Gregorian calendar, with years that begin in March, so that the leap day is the last:
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    let y = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * y + y / 4 - y / 100 + y / 400 + day_of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + nanos)
}

fn three(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut next = || parts.next().filter(|p| p.bytes().all(|b| b.is_ascii_digit())).and_then(|p| p.parse().ok());
    let all = [next()?, next()?, next()?];
    parts.next().is_none().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::fixtures::btcusdt;

    #[test]
    fn times_of_either_form_are_read_to_the_nanosecond() {
        // By `date -u -d … +%s`.
        assert_eq!(time_ns("2023-10-06T17:35:55.440295Z"), Some(1_696_613_755_440_295_000));
        assert_eq!(time_ns("2024-02-29T23:59:59Z"), Some(1_709_251_199_000_000_000));
        assert_eq!(time_ns("1970-01-01T00:00:00.000000001Z"), Some(1));
        for bad in ["", "2023-10-06", "2023-10-06T17:35:55", "2023-13-06T17:35:55Z", "2023-10-06T17:35:55.4x0Z"] {
            assert_eq!(time_ns(bad), None, "{bad}");
        }
        assert_eq!(seconds_ns("1534614248.123678"), Some(1_534_614_248_123_678_000));
        assert_eq!(seconds_ns("1534614248"), Some(1_534_614_248_000_000_000));
        assert_eq!(seconds_ns("-1.5"), None);
    }

    #[test]
    fn limits_beside_the_grid_are_rounded_to_the_safe_side() {
        // Ticks of 0.01, lots of 0.00001.
        let i = btcusdt();
        let (most, least) = (|text| lots_at_most(text, &i, "test"), |text| lots_at_least(text, &i, "test"));
        // The largest order of XRP-USD at Coinbase, 2026-08-09.
        assert_eq!(most("11996772.8407292192545075").unwrap(), Lots::new(1_199_677_284_072));
        assert_eq!(least("11996772.8407292192545075").unwrap(), Lots::new(1_199_677_284_073));
        assert_eq!((most("3400").unwrap(), least("3400").unwrap()), (Lots::new(340_000_000), Lots::new(340_000_000)));
        assert_eq!((most("0.000001").unwrap(), least("0.000001").unwrap()), (Lots::ZERO, Lots::new(1)));
        let endless = "99999999999999999999999999999999999999";
        assert_eq!(most(endless).unwrap().get(), i64::MAX.unsigned_abs());
        assert!(most("many").is_err() && least("").is_err());
        let value = |text| value_at_least(&i, Decimal::parse(text).unwrap());
        assert_eq!((value("5"), value("0.00000011")), (TickLots::new(50_000_000), TickLots::new(2)));
    }

    #[test]
    fn times_become_nanoseconds() {
        // By `date -u -d ... +%s`.
        assert_eq!(time_ns("2026-08-09T21:05:48.228568804Z"), Some(1_786_309_548_228_568_804));
        assert_eq!(time_ns("2021-04-17T16:43:37.067586Z"), Some(1_618_677_817_067_586_000));
        assert_eq!(time_ns("2024-02-29T00:00:00Z"), Some(1_709_164_800_000_000_000));
        assert_eq!(time_ns("2024-03-01T00:00:00.5Z"), Some(1_709_251_200_500_000_000));
        assert_eq!(time_ns("1970-01-01T00:00:00Z"), Some(0));
        for no in
            ["", "Z", "2026-08-09", "2026-08-09T21:05:48", "2026-13-09T21:05:48Z", "2026-08-09T21:05:48.1234567890Z"]
        {
            assert_eq!(time_ns(no), None, "{no}");
        }
        assert_eq!(time_ns("99999999999999999999-08-09T21:05:48Z"), None);
        assert_eq!(time_ns("2026-08-09T21:05:48+02:00"), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_as_a_time_has_digits(text in ".{0,24}") {
            let times = [time_ns(&text), seconds_ns(&text)];
            proptest::prop_assert!(times.iter().flatten().all(|_| text.contains(|c: char| c.is_ascii_digit())));
        }
    }
}
