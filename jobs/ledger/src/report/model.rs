//! `report.json`, schema `traider.report.daily/1`. Amounts are exact decimals as text, times RFC 3339 UTC; a value
//! that would say nothing (sample too small, not known) is null. Fields are only ever added.

use crate::Amount;
use serde::{Deserialize, Serialize};

/// Version of the schema.
pub const SCHEMA: &str = "traider.report.daily/1";

/// One day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// UTC day.
    pub day: String,
    /// End of the day: the report holds nothing later, and no clock.
    pub generated_at: String,
    /// Code that made it.
    pub code: String,
    /// `OK` or `ATTENTION`.
    pub state: String,
    /// Why not OK; empty when OK.
    pub reasons: Vec<String>,
    /// Runs that traded or wanted to.
    pub runs: Vec<RunNote>,
    /// Runs that may have had a part in the day and whose journals prove nothing; they are missing in all numbers.
    #[serde(default)]
    pub refused: Vec<RefusedRun>,
    /// Profit and loss.
    pub money: Money,
    /// Fills of the day, in order.
    pub trades: Vec<Trade>,
    /// Orders of the day.
    pub orders: Orders,
    /// What risk refused.
    pub risk: Risk,
    /// What the day's data are worth.
    pub quality: Vec<Quality>,
    /// How orders were filled.
    pub execution: Execution,
    /// Lots as of the end of the day.
    pub compliance: Compliance,
    /// Lines of the charts.
    pub charts: Vec<Chart>,
    /// What it was made from.
    pub inputs: Vec<Input>,
}

/// A run in the report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunNote {
    /// The run.
    pub run_id: String,
    /// Its mode.
    pub mode: String,
    /// Its books.
    pub portfolio: String,
}

/// A run whose journal proves nothing: it is damaged, or this build decides otherwise on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefusedRun {
    /// The run.
    pub run_id: String,
    /// What is wrong.
    pub reason: String,
}

/// Profit and loss of the day. All of it is after fees: the fee of a buy is part of the cost of the lots it opened, the
/// fee of a sale is taken off what it brought. So `realized` and `unrealized` differ by the fees from the figures a run
/// states of itself (its summary, `positions`), which show fees beside the gain; the sums agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Money {
    /// Per currency.
    pub totals: Vec<Total>,
    /// Per portfolio, symbol and strategy.
    pub lines: Vec<MoneyLine>,
    /// Account equity; null: what the accounts held at the start of the day is not told by the journals.
    pub equity: Option<Amount>,
}

/// Profit and loss in one currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// The currency.
    pub currency: String,
    /// Realised, after fees; fees are part of the lots' cost.
    pub realized: Amount,
    /// Change of the gain of what is open, after fees; fees are part of the lots' cost.
    pub unrealized: Amount,
    /// Fees in this currency; contained in the other numbers.
    pub fees: Amount,
    /// `realized + unrealized`.
    pub net: Amount,
}

/// Profit and loss of one strategy in one symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MoneyLine {
    /// Whose books.
    pub portfolio: String,
    /// Venue.
    pub venue: String,
    /// Symbol.
    pub symbol: String,
    /// Strategy.
    pub strategy: String,
    /// Currency of all amounts here.
    pub currency: String,
    /// Fills of the day.
    pub fills: usize,
    /// Paid for buys, without fees.
    pub bought: Amount,
    /// Got for sales, without fees.
    pub sold: Amount,
    /// Fees in the currency.
    pub fees: Amount,
    /// Fees in other assets, as `amount ASSET`. Those in base are part of the position; a third asset is not valued.
    pub fees_other: Vec<String>,
    /// Gain of lots closed today, after fees; fees are part of the lots' cost.
    pub realized: Amount,
    /// Change of the gain of what is open, after fees; fees are part of the lots' cost.
    pub unrealized: Amount,
    /// `realized + unrealized` = sold - bought - fees + change of the position's worth.
    pub net: Amount,
    /// Base held at the end of the day.
    pub position: Amount,
    /// Price it is valued at.
    pub mark: Option<Amount>,
    /// Where the price is from.
    pub mark_source: String,
}

/// A fill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// When.
    pub at: String,
    /// Run.
    pub run_id: String,
    /// Journal record.
    pub seq: u64,
    /// Venue.
    pub venue: String,
    /// Symbol.
    pub symbol: String,
    /// Strategy.
    pub strategy: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Price.
    pub price: Amount,
    /// Size in base.
    pub qty: Amount,
    /// `price * qty`.
    pub value: Amount,
    /// Fee.
    pub fee: Amount,
    /// Asset of the fee.
    pub fee_asset: String,
    /// `maker` or `taker`.
    pub liquidity: String,
    /// Our order.
    pub order_id: String,
    /// The venue's fill id.
    pub fill_id: String,
    /// Gain of the lots it closed (account-wide FIFO); null for a fill that closed none.
    pub gain: Option<Amount>,
}

/// Orders of the day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// How many.
    pub total: usize,
    /// By state, in name order.
    pub by_state: Vec<Count>,
    /// Each of them, in order of creation.
    pub rows: Vec<OrderLine>,
}

/// How many of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Of what.
    pub name: String,
    /// How many.
    pub count: usize,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderLine {
    /// When it was decided.
    pub at: String,
    /// Run.
    pub run_id: String,
    /// Ours.
    pub order_id: String,
    /// Symbol.
    pub symbol: String,
    /// Strategy.
    pub strategy: String,
    /// Signal it came from.
    pub signal: u64,
    /// `buy` or `sell`.
    pub side: String,
    /// `limit`, `post_only`.
    pub kind: String,
    /// `gtc`, `ioc`, `fok`.
    pub tif: String,
    /// Limit.
    pub price: Amount,
    /// Size.
    pub qty: Amount,
    /// Filled by the end of the day.
    pub filled: Amount,
    /// State.
    pub state: String,
    /// Why it was refused or rejected.
    pub reason: String,
}

/// What risk did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    /// Orders wanted.
    pub wanted: usize,
    /// Orders refused.
    pub refused: usize,
    /// Refusals by reason, most frequent first.
    pub reasons: Vec<Count>,
}

/// What one partition's data are worth, as the validation found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Venue.
    pub venue: String,
    /// Symbol.
    pub symbol: String,
    /// `ok`, `incomplete`, `wrong`, `not validated`, or `no verdict`.
    pub state: String,
    /// Its findings, as it states them.
    pub findings: Vec<String>,
}

/// How orders were filled. Shares are percent with one digit; null below [`SAMPLE_MIN`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Orders that reached the venue.
    pub sent: usize,
    /// Of those, with any fill.
    pub filled: usize,
    /// Share of sent orders with a fill.
    pub fill_ratio_pct: Option<String>,
    /// Fills.
    pub fills: usize,
    /// Of those, as maker.
    pub maker: usize,
    /// Share of fills as maker.
    pub maker_share_pct: Option<String>,
}

/// Smallest sample for which a share says anything.
pub const SAMPLE_MIN: usize = 10;

/// Lots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compliance {
    /// Always `fifo, per account, fees added to cost`.
    pub method: String,
    /// Per portfolio, asset and currency.
    pub lines: Vec<LotLine>,
    /// True when every invariant of the books held, fill by fill (there is no report otherwise), and no run is
    /// [refused](Report::refused): books that may lack fills are not proven.
    pub books_proven: bool,
}

/// Lots of one queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LotLine {
    /// Whose books.
    pub portfolio: String,
    /// Account.
    pub venue: String,
    /// Asset.
    pub asset: String,
    /// Currency.
    pub currency: String,
    /// Lots open at the end of the day.
    pub open: usize,
    /// Quantity in them.
    pub open_qty: Amount,
    /// Cost of them.
    pub open_cost: Amount,
    /// Lots closed today.
    pub closed: usize,
    /// Gain realised today on lots held a year or less.
    pub realized_short: Amount,
    /// Gain realised today on lots held longer.
    pub realized_long: Amount,
    /// Lots whose cost is assumed because no journal tells of the acquisition.
    pub assumed: usize,
}

/// A chart of one symbol in one portfolio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// Whose books.
    pub portfolio: String,
    /// Symbol.
    pub symbol: String,
    /// Currency.
    pub currency: String,
    /// Price line: ns since 1970, price.
    pub prices: Vec<(i64, Amount)>,
    /// Net P&L since the start of the day at those times.
    pub pnl: Vec<(i64, Amount)>,
    /// Fills: ns since 1970, price, `buy` or `sell`.
    pub fills: Vec<(i64, Amount, String)>,
}

/// Something the report was made from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Input {
    /// What.
    pub asset: String,
    /// Hash of its content.
    pub version: String,
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `traider.report.manifest/1`.
    pub schema: String,
    /// UTC day.
    pub day: String,
    /// The files, in name order.
    pub files: Vec<FileNote>,
    /// What the report was made from.
    pub inputs: Vec<Input>,
    /// Code that made it.
    pub code: String,
}

/// One file of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileNote {
    /// Name in the folder.
    pub name: String,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}
