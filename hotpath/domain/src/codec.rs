//! How events are written in the journal: little-endian, fixed layout, one tag byte per enum variant. Tags and field
//! order are never reused or reordered; a change of layout is a new [`VERSION`].
//!
//! Decoding never trusts a length: what is announced must be there.

use crate::event::{Allowed, Balance, Bar, BookDelta, BookSnapshot, Channel, Event, ExecReport, Funding, Level, Link};
use crate::event::{Liquidation, Mark, OpenInterest, OperatorCommand, Quote, Session, Status, Trade};
use crate::instrument::{BookFeed, BookRule, Checksum, ChecksumText, Contract};
use crate::order::{ExecEvent, Fee, Fill, OrderKind, OrderRequest, TimeInForce, VenueOrderStatus};
use crate::{
    ClientOrderId, Decimal, Increment, Instrument, InstrumentId, Lots, Position, Side, StrategyId, TickLots, Ticks,
    Venue,
};
use arrayvec::ArrayString;
use thiserror::Error;

/// Version of the layout, stored in every journal segment.
pub const VERSION: u16 = 2;

/// Why bytes are not what they should be.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes end too early.
    #[error("{missing} bytes missing at offset {at}")]
    Short {
        /// Where.
        at: usize,
        /// How many.
        missing: usize,
    },
    /// A tag byte nobody wrote.
    #[error("unknown tag {tag} of {of} at offset {at}")]
    Tag {
        /// Of which type.
        of: &'static str,
        /// The byte.
        tag: u8,
        /// Where.
        at: usize,
    },
    /// Text that is not UTF-8 or too long for its field.
    #[error("bad text at offset {at}")]
    Text {
        /// Where.
        at: usize,
    },
    /// Bytes left over after the value.
    #[error("{0} bytes left over")]
    Trailing(usize),
}

/// Reads values off the front of a byte slice.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`CodecError::Short`].
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], CodecError> {
        let rest = &self.bytes[self.at..];
        let Some((head, _)) = rest.split_at_checked(n) else {
            return Err(CodecError::Short { at: self.at, missing: n - rest.len() });
        };
        self.at += n;
        Ok(head)
    }
    /// Ends the reading.
    ///
    /// # Errors
    /// [`CodecError::Trailing`] when something is left.
    pub const fn finish(self) -> Result<(), CodecError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            n => Err(CodecError::Trailing(n)),
        }
    }
    /// One tag byte, translated by `known`.
    ///
    /// # Errors
    /// [`CodecError::Tag`] when `known` does not know it.
    pub fn tag<T>(&mut self, of: &'static str, known: impl Fn(u8) -> Option<T>) -> Result<T, CodecError> {
        let at = self.at;
        let tag = u8::take(self)?;
        known(tag).ok_or(CodecError::Tag { of, tag, at })
    }
}

/// A value with a fixed layout.
pub trait Wire: Sized {
    /// Appends the value to `out`.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads the value back.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes were not written by [`Wire::put`].
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError>;

    /// The value as bytes of its own.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }
    /// The value out of exactly these bytes.
    ///
    /// # Errors
    /// As [`Wire::take`], and [`CodecError::Trailing`].
    fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut r = Reader::new(bytes);
        let value = Self::take(&mut r)?;
        r.finish()?;
        Ok(value)
    }
}

macro_rules! wire_int {
    ($($t:ty),*) => {$(
        impl Wire for $t {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
                let at = r.at;
                let bytes = r.bytes(size_of::<$t>())?;
                bytes.try_into().map(<$t>::from_le_bytes).map_err(|_| CodecError::Short { at, missing: 0 })
            }
        }
    )*};
}
wire_int!(u8, u16, u32, u64, i64, i128);

macro_rules! wire_new {
    ($($t:ty: $inner:ty),*) => {$(
        impl Wire for $t {
            fn put(&self, out: &mut Vec<u8>) {
                self.get().put(out);
            }
            fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
                Ok(<$t>::new(<$inner>::take(r)?))
            }
        }
    )*};
}
wire_new!(Ticks: i64, Lots: u64, Position: i64, TickLots: i128);

/// Implements [`Wire`] for a struct: its fields in the order given.
#[macro_export]
macro_rules! wire_struct {
    ($t:ty { $($field:tt),* $(,)? }) => {
        impl $crate::codec::Wire for $t {
            fn put(&self, out: &mut ::std::vec::Vec<u8>) {
                $($crate::codec::Wire::put(&self.$field, out);)*
            }
            fn take(r: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::CodecError> {
                Ok(Self { $($field: $crate::codec::Wire::take(r)?),* })
            }
        }
    };
}

/// Implements [`Wire`] for an enum without data: one tag byte per variant.
#[macro_export]
macro_rules! wire_tags {
    ($t:ident { $($variant:ident = $tag:literal),* $(,)? }) => {
        impl $crate::codec::Wire for $t {
            fn put(&self, out: &mut ::std::vec::Vec<u8>) {
                out.push(match self { $($t::$variant => $tag),* });
            }
            fn take(r: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::CodecError> {
                r.tag(stringify!($t), |tag| match tag { $($tag => Some($t::$variant),)* _ => None })
            }
        }
    };
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        r.tag("bool", |tag| match tag {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }
}

impl<const N: usize> Wire for ArrayString<N> {
    fn put(&self, out: &mut Vec<u8>) {
        // N is at most 96 in this crate, so the length fits a byte.
        out.push(u8::try_from(self.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(self.as_bytes());
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let at = r.at;
        let n = u8::take(r)?;
        let bytes = r.bytes(usize::from(n))?;
        std::str::from_utf8(bytes).ok().and_then(|s| ArrayString::from(s).ok()).ok_or(CodecError::Text { at })
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let at = r.at;
        r.bytes(N)?.try_into().map_err(|_| CodecError::Short { at, missing: 0 })
    }
}

impl Wire for Vec<Level> {
    fn put(&self, out: &mut Vec<u8>) {
        // A book side never comes near 2^32 levels: frames are bounded long before.
        u32::try_from(self.len()).unwrap_or(u32::MAX).put(out);
        for level in self {
            level.put(out);
        }
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let n = u32::take(r)? as usize;
        let at = r.at;
        // Checked before anything is reserved, so a lying length cannot make us allocate.
        let mut bytes = Reader { bytes: r.bytes(n.saturating_mul(16))?, at: 0 };
        (0..n)
            .map(|_| Level::take(&mut bytes))
            .collect::<Result<_, _>>()
            .map_err(|_| CodecError::Short { at, missing: 0 })
    }
}

impl Wire for Venue {
    fn put(&self, out: &mut Vec<u8>) {
        // At most 16 bytes.
        out.push(u8::try_from(self.name().len()).unwrap_or(u8::MAX));
        out.extend_from_slice(self.name().as_bytes());
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let at = r.at;
        let n = u8::take(r)?;
        let name = std::str::from_utf8(r.bytes(usize::from(n))?).ok();
        name.and_then(Venue::parse).ok_or(CodecError::Text { at })
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(if bool::take(r)? { Some(T::take(r)?) } else { None })
    }
}

impl Wire for Contract {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Contract::Spot => out.push(1),
            Contract::Linear(size) => {
                out.push(2);
                size.put(out);
            }
            Contract::Inverse(size) => {
                out.push(3);
                size.put(out);
            }
        }
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let at = r.at;
        Ok(match u8::take(r)? {
            1 => Contract::Spot,
            2 => Contract::Linear(Wire::take(r)?),
            3 => Contract::Inverse(Wire::take(r)?),
            tag => return Err(CodecError::Tag { of: "Contract", tag, at }),
        })
    }
}

wire_tags!(BookFeed { Asked = 1, Pushed = 2 });
wire_tags!(ChecksumText { Digits = 1, Decimals = 2 });
wire_tags!(Allowed { All = 1, PostOnly = 2, CancelOnly = 3, Nothing = 4 });
wire_tags!(Side { Buy = 1, Sell = 2 });
wire_tags!(Channel { Market = 1, Orders = 2 });
wire_tags!(OrderKind { Limit = 1, PostOnly = 2 });
wire_tags!(TimeInForce { Gtc = 1, Ioc = 2, Fok = 3 });
wire_tags!(VenueOrderStatus { Open = 1, Filled = 2, Cancelled = 3, Expired = 4, Rejected = 5 });

impl Wire for InstrumentId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        u16::take(r).map(InstrumentId)
    }
}
impl Wire for StrategyId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        u8::take(r).map(StrategyId)
    }
}

wire_struct!(ClientOrderId { home, epoch, sequence });
wire_struct!(Decimal { mantissa, scale });
wire_struct!(Increment { units, scale });
wire_struct!(Level { price, qty });
wire_struct!(Session { run, home, epoch, seed });
wire_struct!(Checksum { levels, text });
wire_struct!(BookRule { feed, depth, checksum });
wire_struct!(Instrument {
    id,
    version,
    venue,
    symbol,
    base,
    quote,
    tick,
    lot,
    qty_min,
    qty_max,
    value_min,
    contract,
    trade,
    book
});
wire_struct!(BookSnapshot { instrument, ts_venue_ns, last_id, bids, asks, checksum });
wire_struct!(BookDelta { instrument, ts_venue_ns, first_id, last_id, bids, asks, checksum });
wire_struct!(Bar { instrument, seconds, open_ns, open, high, low, close, volume, last });
wire_struct!(Mark { instrument, ts_venue_ns, mark, index });
wire_struct!(Funding { instrument, ts_venue_ns, rate, next_ns });
wire_struct!(OpenInterest { instrument, ts_venue_ns, size });
wire_struct!(Liquidation { instrument, ts_venue_ns, liquidated, price, qty });
wire_struct!(Status { venue, instrument, allowed, said });
wire_struct!(Quote { instrument, ts_venue_ns, update_id, bid, ask });
wire_struct!(Trade { instrument, ts_venue_ns, trade_id, price, qty, aggressor });
wire_struct!(Link { venue, channel, up });
wire_struct!(Balance { venue, asset, free, locked });
wire_struct!(ExecReport { id, ts_venue_ns, event });
wire_struct!(Fee { asset, amount });
wire_struct!(Fill { id, price, qty, fee, maker });
wire_struct!(OrderRequest { id, instrument, instrument_version, strategy, side, kind, tif, price, qty });

impl Wire for ExecEvent {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            ExecEvent::Accepted { venue_order_id } => {
                out.push(1);
                venue_order_id.put(out);
            }
            ExecEvent::Rejected { reason } => {
                out.push(2);
                reason.put(out);
            }
            ExecEvent::Filled(fill) => {
                out.push(3);
                fill.put(out);
            }
            ExecEvent::Cancelled => out.push(4),
            ExecEvent::Expired => out.push(5),
            ExecEvent::CancelRejected { reason } => {
                out.push(6);
                reason.put(out);
            }
            ExecEvent::OutcomeUnknown { reason } => {
                out.push(7);
                reason.put(out);
            }
            ExecEvent::NotFound => out.push(8),
            ExecEvent::Found { status, filled } => {
                out.push(9);
                status.put(out);
                filled.put(out);
            }
        }
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let at = r.at;
        Ok(match u8::take(r)? {
            1 => ExecEvent::Accepted { venue_order_id: Wire::take(r)? },
            2 => ExecEvent::Rejected { reason: Wire::take(r)? },
            3 => ExecEvent::Filled(Wire::take(r)?),
            4 => ExecEvent::Cancelled,
            5 => ExecEvent::Expired,
            6 => ExecEvent::CancelRejected { reason: Wire::take(r)? },
            7 => ExecEvent::OutcomeUnknown { reason: Wire::take(r)? },
            8 => ExecEvent::NotFound,
            9 => ExecEvent::Found { status: Wire::take(r)?, filled: Wire::take(r)? },
            tag => return Err(CodecError::Tag { of: "ExecEvent", tag, at }),
        })
    }
}

impl Wire for OperatorCommand {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            OperatorCommand::Halt { reason } => {
                out.push(1);
                reason.put(out);
            }
            OperatorCommand::Resume { reason } => {
                out.push(2);
                reason.put(out);
            }
            OperatorCommand::CancelAll => out.push(3),
        }
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let at = r.at;
        Ok(match u8::take(r)? {
            1 => OperatorCommand::Halt { reason: Wire::take(r)? },
            2 => OperatorCommand::Resume { reason: Wire::take(r)? },
            3 => OperatorCommand::CancelAll,
            tag => return Err(CodecError::Tag { of: "OperatorCommand", tag, at }),
        })
    }
}

macro_rules! wire_event {
    ($($variant:ident = $tag:literal),* $(,)?) => {
        impl Wire for Event {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Event::$variant(inner) => {
                        out.push($tag);
                        inner.put(out);
                    })*
                    Event::SnapshotFailed { instrument, reason } => {
                        out.push(20);
                        instrument.put(out);
                        reason.put(out);
                    }
                    Event::Timer => out.push(21),
                    Event::BookGap { instrument, reason } => {
                        out.push(22);
                        instrument.put(out);
                        reason.put(out);
                    }
                }
            }
            fn take(r: &mut Reader<'_>) -> Result<Self, CodecError> {
                let at = r.at;
                Ok(match u8::take(r)? {
                    $($tag => Event::$variant(Wire::take(r)?),)*
                    20 => Event::SnapshotFailed { instrument: Wire::take(r)?, reason: Wire::take(r)? },
                    21 => Event::Timer,
                    22 => Event::BookGap { instrument: Wire::take(r)?, reason: Wire::take(r)? },
                    tag => return Err(CodecError::Tag { of: "Event", tag, at }),
                })
            }
        }
    };
}
wire_event!(
    Session = 1,
    Instrument = 2,
    BookSnapshot = 3,
    BookDelta = 4,
    Quote = 5,
    Trade = 6,
    Link = 7,
    Exec = 8,
    Balance = 9,
    Operator = 10,
    Bar = 11,
    Mark = 12,
    Funding = 13,
    OpenInterest = 14,
    Liquidation = 15,
    Status = 16,
);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::event::note;
    use proptest::prelude::*;

    pub(crate) fn any_event() -> impl Strategy<Value = Event> {
        let levels = || {
            prop::collection::vec((any::<i64>(), any::<u64>()), 0..20).prop_map(|v| {
                v.into_iter().map(|(p, q)| Level { price: Ticks::new(p), qty: Lots::new(q) }).collect::<Vec<_>>()
            })
        };
        let id = (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(home, epoch, sequence)| ClientOrderId {
            home,
            epoch,
            sequence,
        });
        let fill = ("[a-z0-9]{0,20}", any::<i64>(), any::<u64>(), any::<i128>(), any::<bool>()).prop_map(
            |(text, price, qty, fee, maker)| Fill {
                id: ArrayString::from(&text).unwrap(),
                price: Ticks::new(price),
                qty: Lots::new(qty),
                fee: Fee { asset: ArrayString::from("USDT").unwrap(), amount: Decimal::new(fee, 8) },
                maker,
            },
        );
        let exec = prop_oneof![
            fill.prop_map(ExecEvent::Filled),
            Just(ExecEvent::Cancelled),
            Just(ExecEvent::Expired),
            Just(ExecEvent::NotFound),
            ".{0,40}".prop_map(|t| ExecEvent::Rejected { reason: note(&t) }),
            ".{0,40}".prop_map(|t| ExecEvent::CancelRejected { reason: note(&t) }),
            ".{0,200}".prop_map(|t| ExecEvent::OutcomeUnknown { reason: note(&t) }),
            "[0-9]{1,20}".prop_map(|t| ExecEvent::Accepted { venue_order_id: ArrayString::from(&t).unwrap() }),
            any::<u64>().prop_map(|q| ExecEvent::Found { status: VenueOrderStatus::Open, filled: Lots::new(q) }),
        ];
        prop_oneof![
            Just(Event::Timer),
            (any::<u16>(), any::<u64>(), any::<u64>(), any::<u64>(), levels(), levels(), any::<Option<u32>>())
                .prop_map(|(i, ts_venue_ns, first_id, last_id, bids, asks, checksum)| Event::BookDelta(BookDelta {
                    instrument: InstrumentId(i),
                    ts_venue_ns,
                    first_id,
                    last_id,
                    bids,
                    asks,
                    checksum
                })),
            (any::<u16>(), any::<i128>(), any::<u64>()).prop_map(|(i, rate, next_ns)| Event::Funding(Funding {
                instrument: InstrumentId(i),
                ts_venue_ns: 7,
                rate: Decimal::new(rate, 8),
                next_ns
            })),
            (any::<u16>(), any::<i128>(), any::<bool>()).prop_map(|(i, n, both)| Event::Mark(Mark {
                instrument: InstrumentId(i),
                ts_venue_ns: 7,
                mark: Some(Decimal::new(n, 2)),
                index: both.then(|| Decimal::new(n, 3))
            })),
            (any::<Option<u16>>(), "[a-z0-9-]{1,16}", ".{0,40}").prop_map(|(i, venue, said)| Event::Status(Status {
                venue: Venue::parse(&venue).unwrap(),
                instrument: i.map(InstrumentId),
                allowed: Allowed::CancelOnly,
                said: note(&said)
            })),
            (any::<u16>(), any::<i64>(), any::<u64>()).prop_map(|(i, price, qty)| Event::Liquidation(Liquidation {
                instrument: InstrumentId(i),
                ts_venue_ns: 7,
                liquidated: Side::Sell,
                price: Ticks::new(price),
                qty: Lots::new(qty)
            })),
            (any::<u16>(), ".{0,40}")
                .prop_map(|(i, t)| Event::BookGap { instrument: InstrumentId(i), reason: note(&t) }),
            (any::<u16>(), any::<u64>(), levels(), levels()).prop_map(|(i, last_id, bids, asks)| {
                Event::BookSnapshot(BookSnapshot {
                    instrument: InstrumentId(i),
                    ts_venue_ns: 0,
                    last_id,
                    bids,
                    asks,
                    checksum: None,
                })
            }),
            (id, any::<u64>(), exec).prop_map(|(id, ts_venue_ns, event)| Event::Exec(ExecReport {
                id,
                ts_venue_ns,
                event
            })),
            ".{0,100}".prop_map(|t| Event::Operator(OperatorCommand::Halt { reason: note(&t) })),
            (any::<bool>()).prop_map(|up| Event::Link(Link { venue: Venue::BINANCE, channel: Channel::Orders, up })),
        ]
    }

    proptest! {
        #[test]
        fn every_event_survives_a_round_trip(event in any_event()) {
            prop_assert_eq!(Event::from_bytes(&event.to_bytes()).unwrap(), event);
        }

        #[test]
        fn cut_or_garbled_bytes_are_refused_not_believed(event in any_event(), cut in 0usize..64, junk in any::<Vec<u8>>()) {
            let bytes = event.to_bytes();
            if cut > 0 && cut <= bytes.len() {
                prop_assert!(Event::from_bytes(&bytes[..bytes.len() - cut]).is_err());
            }
            // Must return, whatever it says.
            let _verdict = Event::from_bytes(&junk);
        }
    }
}
