//! Private messages of the WS API: answers to our requests, and news of our orders and balances.
//!
//! What an answer proves decides what it becomes (I-04): only the venue's own refusal is a refusal; a server error, a
//! timeout inside the venue or an unreadable result leaves the outcome unknown. On a cancel report the order's own id
//! stands in `C`, on everything else in `c`.

use super::{DecodeError, SymbolTable, ms_to_ns};
use crate::wire;
use domain::event::{Balance, ExecReport, Note, note};
use domain::order::{Fee, Fill, VenueOrderStatus};
use domain::{Asset, ClientOrderId, Decimal, ExecEvent, FillId, Instrument, Lots, Venue, VenueOrderId};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Write as _;

/// One frame of the WS API.
#[derive(Debug)]
pub struct Message<'a> {
    /// Receive time the source states itself, ns (only replayed captures state one).
    pub ts_recv_ns: Option<u64>,
    /// What it is.
    pub body: Body<'a>,
}

/// What a frame turned out to be.
#[derive(Debug)]
pub enum Body<'a> {
    /// Answer to a request.
    Reply(Reply<'a>),
    /// News of one of our orders.
    Exec(ExecReport),
    /// News of an order that is not ours; its client id.
    External(String),
    /// Balances that changed.
    Balances(Vec<Balance>),
    /// The subscription ended; subscribe again.
    Terminated,
    /// The venue is about to close the connection; open a new one.
    Shutdown,
    /// Something we have no use for.
    Other,
}

/// Answer to a request.
#[derive(Debug)]
pub struct Reply<'a> {
    /// The request's number; `None` when the venue speaks unasked (an invalid key, for example).
    pub id: Option<u64>,
    /// HTTP-like status.
    pub status: u16,
    /// The result, unread.
    pub result: Option<&'a RawValue>,
    /// The complaint.
    pub error: Option<ApiError<'a>>,
}

/// The venue's complaint.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ApiError<'a> {
    /// Its code, negative.
    pub code: i64,
    /// In words.
    #[serde(borrow)]
    pub msg: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    status: Option<u16>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<ApiError<'a>>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    ts_recv_ns: Option<u64>,
}

#[derive(Deserialize)]
struct EventKind<'a> {
    #[serde(borrow)]
    e: Cow<'a, str>,
}

/// True when an unreadable frame is certainly an answer to a request, whose missing is noticed by its deadline. Anything
/// else may have been news of an order.
pub fn is_reply(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        id: Option<serde::de::IgnoredAny>,
        status: Option<serde::de::IgnoredAny>,
        event: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_str(text).is_ok_and(|s: Shape| s.id.is_some() && s.status.is_some() && s.event.is_none())
}

/// Reads one frame.
///
/// # Errors
/// [`DecodeError`] when it is not JSON or a known message has the wrong shape.
pub fn message<'a>(text: &'a str, table: &SymbolTable) -> Result<Message<'a>, DecodeError> {
    let frame: Frame<'a> = parse("WS API message", text)?;
    let ts_recv_ns = frame.ts_recv_ns;
    let body = match (frame.event, frame.status) {
        (Some(event), _) => private(event.get(), table)?,
        (None, Some(status)) => {
            // Ours are numbers; some servers send them back as text.
            let id = frame.id.and_then(|id| id.get().trim_matches('"').parse().ok());
            Body::Reply(Reply { id, status, result: frame.result, error: frame.error })
        }
        (None, None) => Body::Other,
    };
    Ok(Message { ts_recv_ns, body })
}

fn parse<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|e| DecodeError::shape(what, e, text))
}

fn private(text: &str, table: &SymbolTable) -> Result<Body<'static>, DecodeError> {
    let kind: EventKind<'_> = parse("private event", text)?;
    match kind.e.as_ref() {
        "executionReport" => execution_report(text, table),
        "outboundAccountPosition" => {
            let m: AccountPosition<'_> = parse("outboundAccountPosition", text)?;
            m.balances.iter().map(|b| balance(b.a, b.f, b.l)).collect::<Result<_, _>>().map(Body::Balances)
        }
        "eventStreamTerminated" => Ok(Body::Terminated),
        "serverShutdown" => Ok(Body::Shutdown),
        _ => Ok(Body::Other),
    }
}

#[derive(Deserialize)]
struct AccountPosition<'a> {
    #[serde(borrow, rename = "B")]
    balances: Vec<RawBalance<'a>>,
}
#[derive(Deserialize)]
struct RawBalance<'a> {
    a: &'a str,
    f: &'a str,
    l: &'a str,
}

fn balance(asset: &str, free: &str, locked: &str) -> Result<Balance, DecodeError> {
    let amount = |text, field| Decimal::parse(text).map_err(DecodeError::number("balance", asset, field));
    Ok(Balance {
        venue: Venue::BINANCE,
        asset: short_asset(asset)?,
        free: amount(free, "free")?,
        locked: amount(locked, "locked")?,
    })
}

fn short_asset(text: &str) -> Result<Asset, DecodeError> {
    Asset::from(text).map_err(|e| DecodeError::shape("asset", e, text))
}

#[derive(Deserialize)]
struct RawReport<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    c: Cow<'a, str>,
    #[serde(borrow, rename = "C", default)]
    original_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    x: Cow<'a, str>,
    #[serde(borrow)]
    r: Cow<'a, str>,
    i: u64,
    l: &'a str,
    /// Filled in total.
    z: Option<&'a str>,
    #[serde(rename = "L")]
    last_price: &'a str,
    n: Option<&'a str>,
    #[serde(borrow, rename = "N")]
    fee_asset: Option<Cow<'a, str>>,
    #[serde(rename = "T")]
    transaction_ms: u64,
    t: i64,
    m: bool,
}

fn execution_report(text: &str, table: &SymbolTable) -> Result<Body<'static>, DecodeError> {
    const WHAT: &str = "executionReport";
    let m: RawReport<'_> = parse(WHAT, text)?;
    let own = |id: &str| id.parse::<ClientOrderId>().ok();
    let Some(id) = m.original_id.as_deref().and_then(own).or_else(|| own(&m.c)) else {
        return Ok(Body::External(m.c.into_owned()));
    };
    let event = match m.x.as_ref() {
        "NEW" => ExecEvent::Accepted { venue_order_id: venue_order_id(m.i) },
        "CANCELED" => ended(&m, VenueOrderStatus::Cancelled, ExecEvent::Cancelled, table, text)?,
        "EXPIRED" => ended(&m, VenueOrderStatus::Expired, ExecEvent::Expired, table, text)?,
        "REJECTED" => ExecEvent::Rejected { reason: note(&m.r) },
        "TRADE" => {
            let Some(i) = table.get(&m.s) else {
                return Err(DecodeError::shape(
                    WHAT,
                    format_args!("a fill in {}, which is not traded here", m.s),
                    text,
                ));
            };
            let fee = (m.n.unwrap_or("0"), m.fee_asset.as_deref().unwrap_or(&i.quote));
            ExecEvent::Filled(fill(&m.t.to_string(), m.last_price, m.l, fee, m.m, i, WHAT)?)
        }
        // Replaced and prevented orders are followed by the report that matters.
        _ => return Ok(Body::Other),
    };
    Ok(Body::Exec(ExecReport { id, ts_venue_ns: ms_to_ns(m.transaction_ms), event }))
}

/// The end of an order with what the venue counts as filled, so that a fill whose report was lost is missed. An order
/// in a symbol that is not traded here is none of this run, and has nothing to compare with: `bare`.
fn ended(
    m: &RawReport<'_>,
    status: VenueOrderStatus,
    bare: ExecEvent,
    table: &SymbolTable,
    text: &str,
) -> Result<ExecEvent, DecodeError> {
    const WHAT: &str = "executionReport";
    let Some(i) = table.get(&m.s) else { return Ok(bare) };
    let Some(total) = m.z else { return Err(DecodeError::shape(WHAT, "missing field `z`", text)) };
    Ok(ExecEvent::Found { status, filled: wire::qty(total, i, WHAT)? })
}

fn venue_order_id(n: u64) -> VenueOrderId {
    let mut id = VenueOrderId::new();
    write!(id, "{n}").expect("20 digits fit 40 bytes");
    id
}

fn fill(
    trade_id: &str,
    price: &str,
    qty: &str,
    (fee, fee_asset): (&str, &str),
    maker: bool,
    i: &Instrument,
    what: &'static str,
) -> Result<Fill, DecodeError> {
    Ok(Fill {
        id: FillId::from(trade_id).map_err(|e| DecodeError::shape(what, e, trade_id))?,
        price: wire::price(price, i, what)?,
        qty: wire::qty(qty, i, what)?,
        fee: Fee {
            asset: short_asset(fee_asset)?,
            amount: Decimal::parse(fee).map_err(DecodeError::number(what, &i.symbol, "fee"))?,
        },
        maker,
    })
}

impl Reply<'_> {
    /// True when the venue did what was asked.
    pub const fn is_ok(&self) -> bool {
        self.status == 200
    }
    /// The complaint as `<code> <words>`, at least the status.
    pub fn complaint(&self) -> Note {
        match &self.error {
            Some(e) => note(&format!("{} {}", e.code, e.msg)),
            None => note(&format!("status {}", self.status)),
        }
    }
    /// True when the complaint does not say whether the request took effect.
    fn is_ambiguous(&self) -> bool {
        let code = self.error.as_ref().map_or(0, |e| e.code);
        let duplicate = self.error.as_ref().is_some_and(|e| code == -2010 && e.msg.contains("Duplicate"));
        // A refusal without a reason proves nothing either.
        self.status >= 500 || self.error.is_none() || duplicate || matches!(code, -1000 | -1001 | -1006 | -1007)
    }
    fn read<'a, T: Deserialize<'a>>(&'a self, what: &'static str) -> Result<T, Note> {
        let unreadable = |e: DecodeError| note(&e.to_string());
        match self.result {
            Some(result) if self.is_ok() => parse(what, result.get()).map_err(unreadable),
            _ => Err(self.complaint()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderResult<'a> {
    order_id: u64,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    executed_qty: Option<&'a str>,
}

/// What the answer to `order.place` means for the order.
pub fn placed(reply: &Reply<'_>) -> ExecEvent {
    if reply.is_ok() {
        return match reply.read::<OrderResult<'_>>("order.place result") {
            Ok(order) => ExecEvent::Accepted { venue_order_id: venue_order_id(order.order_id) },
            Err(reason) => ExecEvent::OutcomeUnknown { reason },
        };
    }
    let reason = reply.complaint();
    if reply.is_ambiguous() { ExecEvent::OutcomeUnknown { reason } } else { ExecEvent::Rejected { reason } }
}

/// What the answer to `order.cancel` means for the order; `None` when the venue took the cancel, because the report
/// that follows it (after the last fills) is what ends the order.
pub fn cancelled(reply: &Reply<'_>) -> Option<ExecEvent> {
    if reply.is_ok() {
        return None;
    }
    let reason = reply.complaint();
    Some(if reply.is_ambiguous() { ExecEvent::OutcomeUnknown { reason } } else { ExecEvent::CancelRejected { reason } })
}

/// What the venue answered to `order.status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does not know the order (perhaps not yet).
    NotFound,
    /// It knows it.
    Found {
        /// The venue's number of it; `myTrades` asks by it.
        venue_order_id: u64,
        /// Its state.
        status: VenueOrderStatus,
        /// Total filled.
        filled: Lots,
    },
    /// No usable answer.
    Unclear(Note),
}

/// Reads the answer to `order.status` of an order in `i`.
pub fn status(reply: &Reply<'_>, i: &Instrument) -> Status {
    if reply.error.as_ref().is_some_and(|e| e.code == -2013) {
        return Status::NotFound;
    }
    let order = match reply.read::<OrderResult<'_>>("order.status result") {
        Ok(order) => order,
        Err(reason) => return Status::Unclear(reason),
    };
    let status = match order.status.as_deref() {
        Some("NEW" | "PENDING_NEW" | "PARTIALLY_FILLED" | "PENDING_CANCEL") => VenueOrderStatus::Open,
        Some("FILLED") => VenueOrderStatus::Filled,
        Some("CANCELED") => VenueOrderStatus::Cancelled,
        Some("EXPIRED" | "EXPIRED_IN_MATCH") => VenueOrderStatus::Expired,
        Some("REJECTED") => VenueOrderStatus::Rejected,
        other => return Status::Unclear(note(&format!("unknown order status {other:?}"))),
    };
    match wire::qty(order.executed_qty.unwrap_or(""), i, "order.status result") {
        Ok(filled) => Status::Found { venue_order_id: order.order_id, status, filled },
        Err(e) => Status::Unclear(note(&e.to_string())),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFill<'a> {
    id: u64,
    price: &'a str,
    qty: &'a str,
    commission: &'a str,
    #[serde(borrow)]
    commission_asset: Cow<'a, str>,
    time: u64,
    is_maker: bool,
}

/// Reads the answer to `myTrades` of one order in `i`: fills with the venue's time in ns, oldest first.
///
/// # Errors
/// What the venue said instead, or what is wrong with it.
pub fn trades(reply: &Reply<'_>, i: &Instrument) -> Result<Vec<(u64, Fill)>, Note> {
    const WHAT: &str = "myTrades result";
    let one = |t: &RawFill<'_>| {
        let fee = (t.commission, t.commission_asset.as_ref());
        fill(&t.id.to_string(), t.price, t.qty, fee, t.is_maker, i, WHAT).map(|f| (ms_to_ns(t.time), f))
    };
    let raw: Vec<RawFill<'_>> = reply.read(WHAT)?;
    raw.iter().map(one).collect::<Result<_, _>>().map_err(|e| note(&e.to_string()))
}

#[derive(Deserialize)]
struct Account<'a> {
    #[serde(borrow)]
    balances: Vec<AccountBalance<'a>>,
}
#[derive(Deserialize)]
struct AccountBalance<'a> {
    asset: &'a str,
    free: &'a str,
    locked: &'a str,
}

/// Reads the answer to `account.status`.
///
/// # Errors
/// What the venue said instead, or what is wrong with it.
pub fn balances(reply: &Reply<'_>) -> Result<Vec<Balance>, Note> {
    let account: Account<'_> = reply.read("account.status result")?;
    let all = account.balances.iter().map(|b| balance(b.asset, b.free, b.locked));
    all.collect::<Result<_, _>>().map_err(|e| note(&e.to_string()))
}

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;
