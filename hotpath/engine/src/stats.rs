//! Counters of a run. They only count; nothing is decided by them.

use serde::{Deserialize, Serialize};

/// Everything that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Events seen.
    pub events: u64,
    /// Order books.
    pub book: BookStats,
    /// Orders.
    pub orders: OrderStats,
    /// Fills booked (each once).
    pub fills: u64,
    /// Signals given.
    pub signals: u64,
    /// Bars closed, all lengths.
    pub bars: u64,
    /// Trades that came after their bar was closed (all lengths) or claim to be of the future; they are in no bar.
    pub trades_late: u64,
    /// Events that name an instrument nobody announced.
    pub unknown_instruments: u64,
    /// Fees whose amount could not be added exactly.
    pub fees_odd: u64,
}

/// Counters of the order books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookStats {
    /// Changes applied that are wholly newer than the snapshot they build on.
    pub diffs_applied: u64,
    /// Changes applied that overlap their snapshot: at most one per snapshot, the one that bridges to it.
    pub diffs_bridged: u64,
    /// Changes that were already in the book, or came while the connection was down.
    pub diffs_ignored: u64,
    /// Snapshots taken as a base.
    pub snapshots: u64,
    /// Snapshots that were too old, crossed, or not asked for.
    pub snapshots_unusable: u64,
    /// Snapshots that did not come.
    pub snapshots_failed: u64,
    /// Changes missing in the stream.
    pub sequence_breaks: u64,
    /// Times somebody told that something of a book was lost.
    pub gaps: u64,
    /// Times a book stood crossed after a change.
    pub crossed: u64,
    /// Checksums of the venue compared with ours.
    pub checksums: u64,
    /// Those that were equal.
    pub checksums_equal: u64,
    /// Book tops compared with the venue's own best bid and ask of the same update id.
    pub tops_compared: u64,
    /// Those that were equal in price and size.
    pub tops_equal: u64,
}

/// Counters of our orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStats {
    /// Approved and sent.
    pub sent: u64,
    /// Refused by risk.
    pub denied: u64,
    /// Ended wholly filled.
    pub filled: u64,
    /// Ended cancelled.
    pub cancelled: u64,
    /// Ended expired.
    pub expired: u64,
    /// Ended refused by the venue.
    pub rejected: u64,
    /// Proven never to have reached the venue.
    pub never_arrived: u64,
    /// Times an order's fate became unknown.
    pub unknown: u64,
    /// Questions asked to the venue.
    pub queries: u64,
    /// Cancels sent.
    pub cancels: u64,
    /// Fills that were said twice.
    pub fills_duplicate: u64,
    /// News that did not fit the order's state.
    pub misfits: u64,
    /// News of orders this run does not know.
    pub strangers: u64,
}
