//! Fills to double-entry postings. An entry is one fact of money; its postings sum to zero in every asset. Pure: no
//! database, no clock; ids are hashes of the fact, so telling a fact twice gives the same entry.
//!
//! A buy of 0.02 BTC at 60 000 USDT with a fee of 0.9 USDT:
//!
//! | account                    | asset | amount |
//! |----------------------------|-------|-------:|
//! | `asset:binance:BTC`        | BTC   |  +0.02 |
//! | `trading:binance:BTCUSDT`  | BTC   |  -0.02 |
//! | `asset:binance:USDT`       | USDT  |  -1200 |
//! | `trading:binance:BTCUSDT`  | USDT  |  +1200 |
//! | `asset:binance:USDT`       | USDT  |   -0.9 |
//! | `fee:binance`              | USDT  |   +0.9 |

use crate::amount::{Amount, AmountError};
use domain::Side;
use sha2::{Digest, Sha256};
use spec::facts::FillFact;
use std::collections::BTreeMap;

/// What kind of fact an entry books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// What was held before the first fill.
    Opening,
    /// A fill.
    Fill,
}

impl EntryKind {
    /// `opening` or `fill`.
    pub const fn name(self) -> &'static str {
        match self {
            EntryKind::Opening => "opening",
            EntryKind::Fill => "fill",
        }
    }
}

/// One line of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// `asset:<venue>:<ASSET>`, `trading:<venue>:<SYMBOL>`, `fee:<venue>`, `equity:opening`.
    pub account: String,
    /// Of which asset.
    pub asset: String,
    /// How much; positive is more in the account.
    pub amount: Amount,
}

/// One fact of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Hash of the fact.
    pub id: String,
    /// What kind of fact.
    pub kind: EntryKind,
    /// When, ns: the venue's clock where it states one, else ours.
    pub ts_ns: u64,
    /// Journal record; 0 for an opening balance.
    pub seq: u64,
    /// Its lines.
    pub postings: Vec<Posting>,
}

/// What was held before the first fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Name of the fact, unique in the portfolio: `snapshot`, or the fill that proved it.
    pub name: String,
    /// Where.
    pub venue: String,
    /// Of which asset.
    pub asset: String,
    /// How much.
    pub amount: Amount,
    /// What it cost in the currency of its lots; zero for money itself.
    pub cost: Amount,
    /// Currency of the cost.
    pub currency: String,
    /// When, ns.
    pub ts_ns: u64,
}

/// Hash of a fact's parts: 32 hex digits of SHA-256. Parts are length-prefixed, so no two facts share a text.
pub fn fact_id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..16])
}

/// The id of a fill: the same however often it is told (I-21).
pub fn fill_key(portfolio: &str, fill: &FillFact) -> String {
    fact_id(&["fill", portfolio, &fill.venue, &fill.symbol, &fill.fill_id])
}

/// When a fill happened: the venue's clock where it states one, else ours.
pub const fn fill_time(fill: &FillFact) -> u64 {
    if fill.ts_venue_ns == 0 { fill.ts_recv_ns } else { fill.ts_venue_ns }
}

/// Books a fill.
///
/// # Errors
/// [`AmountError`] when a number does not fit the ledger.
pub fn of_fill(portfolio: &str, fill: &FillFact) -> Result<Entry, AmountError> {
    let qty = Amount::from_decimal(fill.qty)?;
    let value = Amount::product(fill.price, fill.qty)?;
    let fee = Amount::from_decimal(fill.fee_amount)?;
    let (base, quote) = match fill.side {
        Side::Buy => (qty, value.negated()),
        Side::Sell => (qty.negated(), value),
    };
    let trading = format!("trading:{}:{}", fill.venue, fill.symbol);
    let mut postings = Vec::with_capacity(6);
    pair(&mut postings, &asset_account(&fill.venue, &fill.base), &trading, &fill.base, base);
    pair(&mut postings, &asset_account(&fill.venue, &fill.quote), &trading, &fill.quote, quote);
    let fees = format!("fee:{}", fill.venue);
    pair(&mut postings, &asset_account(&fill.venue, &fill.fee_asset), &fees, &fill.fee_asset, fee.negated());
    Ok(Entry { id: fill_key(portfolio, fill), kind: EntryKind::Fill, ts_ns: fill_time(fill), seq: fill.seq, postings })
}

/// Books an opening balance.
pub fn of_opening(portfolio: &str, opening: &Opening) -> Entry {
    let mut postings = Vec::with_capacity(2);
    let account = asset_account(&opening.venue, &opening.asset);
    pair(&mut postings, &account, "equity:opening", &opening.asset, opening.amount);
    let id = fact_id(&["opening", portfolio, &opening.venue, &opening.asset, &opening.name]);
    Entry { id, kind: EntryKind::Opening, ts_ns: opening.ts_ns, seq: 0, postings }
}

/// The account that holds an asset at a venue.
pub fn asset_account(venue: &str, asset: &str) -> String {
    format!("asset:{venue}:{asset}")
}

/// `amount` into `to` and out of `from`; nothing when it is zero.
fn pair(postings: &mut Vec<Posting>, to: &str, from: &str, asset: &str, amount: Amount) {
    if !amount.is_zero() {
        postings.push(Posting { account: to.to_owned(), asset: asset.to_owned(), amount });
        postings.push(Posting { account: from.to_owned(), asset: asset.to_owned(), amount: amount.negated() });
    }
}

/// Sum of postings per (account, asset).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances(BTreeMap<(String, String), Amount>);

impl Balances {
    /// Adds an entry's lines.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn add(&mut self, entry: &Entry) -> Result<(), AmountError> {
        for posting in &entry.postings {
            let sum = self.0.entry((posting.account.clone(), posting.asset.clone())).or_default();
            *sum = sum.plus(posting.amount)?;
        }
        Ok(())
    }
    /// What an account holds of an asset.
    pub fn get(&self, account: &str, asset: &str) -> Amount {
        self.0.get(&(account.to_owned(), asset.to_owned())).copied().unwrap_or_default()
    }
    /// All accounts, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Amount)> {
        self.0.iter().map(|((account, asset), amount)| (account.as_str(), asset.as_str(), *amount))
    }
}

/// The first asset in which an entry does not sum to zero, with what it sums to.
///
/// # Errors
/// [`AmountError::Overflow`].
pub fn imbalance(entry: &Entry) -> Result<Option<(String, Amount)>, AmountError> {
    let mut sums: BTreeMap<&str, Amount> = BTreeMap::new();
    for posting in &entry.postings {
        let sum = sums.entry(&posting.asset).or_default();
        *sum = sum.plus(posting.amount)?;
    }
    Ok(sums.into_iter().find(|(_, sum)| !sum.is_zero()).map(|(asset, sum)| (asset.to_owned(), sum)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::Decimal;

    pub(crate) fn fill(id: &str, side: Side, price: &str, qty: &str, fee: (&str, &str), seq: u64) -> FillFact {
        FillFact {
            venue: "binance".into(),
            symbol: "BTCUSDT".into(),
            fill_id: id.into(),
            order_id: format!("trd-0000beef-1-{seq}"),
            strategy: "ema".into(),
            base: "BTC".into(),
            quote: "USDT".into(),
            side,
            price: Decimal::parse(price).unwrap(),
            qty: Decimal::parse(qty).unwrap(),
            fee_asset: fee.1.into(),
            fee_amount: Decimal::parse(fee.0).unwrap(),
            maker: false,
            seq,
            ts_venue_ns: seq * 1_000_000_000,
            ts_recv_ns: seq * 1_000_000_000 + 5,
        }
    }

    fn lines(entry: &Entry) -> Vec<(String, String, String)> {
        let text = |p: &Posting| (p.account.clone(), p.asset.clone(), p.amount.to_string());
        entry.postings.iter().map(text).collect()
    }

    #[test]
    fn a_buy_moves_base_in_quote_out_and_the_fee_away() {
        let entry = of_fill("p", &fill("1", Side::Buy, "60000", "0.02", ("0.9", "USDT"), 7)).unwrap();
        let want = [
            ("asset:binance:BTC", "BTC", "0.02"),
            ("trading:binance:BTCUSDT", "BTC", "-0.02"),
            ("asset:binance:USDT", "USDT", "-1200"),
            ("trading:binance:BTCUSDT", "USDT", "1200"),
            ("asset:binance:USDT", "USDT", "-0.9"),
            ("fee:binance", "USDT", "0.9"),
        ];
        let want = want.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(lines(&entry), want);
        assert_eq!(imbalance(&entry).unwrap(), None);
        assert_eq!((entry.ts_ns, entry.seq), (7_000_000_000, 7));
    }

    #[test]
    fn a_sell_is_the_mirror_and_a_rebate_comes_in() {
        let entry = of_fill("p", &fill("1", Side::Sell, "60000", "0.02", ("-0.1", "USDT"), 7)).unwrap();
        let mut sums = Balances::default();
        sums.add(&entry).unwrap();
        assert_eq!(sums.get("asset:binance:USDT", "USDT").to_string(), "1200.1");
        assert_eq!(sums.get("asset:binance:BTC", "BTC").to_string(), "-0.02");
        assert_eq!(sums.get("fee:binance", "USDT").to_string(), "-0.1");
    }

    #[test]
    fn ids_are_the_facts_own_and_parts_do_not_run_together() {
        let one = fill("1", Side::Buy, "1", "1", ("0", "USDT"), 1);
        assert_eq!(fill_key("p", &one), fill_key("p", &one.clone()));
        assert_ne!(fill_key("p", &one), fill_key("q", &one));
        assert_ne!(fact_id(&["ab", "c"]), fact_id(&["a", "bc"]));
    }

    #[test]
    fn a_broken_entry_is_found() {
        let mut entry = of_fill("p", &fill("1", Side::Buy, "60000", "0.02", ("0", "USDT"), 7)).unwrap();
        entry.postings[0].amount = Amount::parse("0.03").unwrap();
        assert_eq!(imbalance(&entry).unwrap(), Some(("BTC".into(), Amount::parse("0.01").unwrap())));
    }
}
