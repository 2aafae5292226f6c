//! Lots against a hand-computed example, a naive second implementation, properties, and the reports that another
//! program (rp2) gives for its own published test transactions.

use super::*;
use crate::amount::sum;
use proptest::prelude::*;

fn queue() -> Queue {
    let text = str::to_owned;
    Queue { portfolio: text("p"), venue: text("binance"), asset: text("BTC"), currency: text("USDT") }
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn buy(ts: u64, qty: &str, cost: &str) -> Movement {
    let change = Change::Acquire { qty: amount(qty), cost: amount(cost) };
    Movement { queue: queue(), ts_ns: ts, seq: ts, id: format!("buy-{ts}-{qty}-{cost}"), change }
}

fn sell(ts: u64, qty: &str, proceeds: &str) -> Movement {
    let change = Change::Dispose { qty: amount(qty), proceeds: amount(proceeds) };
    Movement { queue: queue(), ts_ns: ts, seq: ts, id: format!("sell-{ts}-{qty}-{proceeds}"), change }
}

/// (quantity, cost, proceeds, gain) of each match.
fn rows(lots: &Lots) -> Vec<[String; 4]> {
    lots.matches().iter().map(|m| [m.qty, m.cost, m.proceeds, m.gain].map(|a| a.to_string())).collect()
}

#[test]
fn a_sale_takes_the_oldest_lots_first() {
    // By hand: 1 at 100+1 fee, 2 at 110+2; sell 1.5 for 180-1.8.
    //   1.0 of lot 1: cost 101, proceeds 178.2 * 1/1.5 = 118.8, gain 17.8
    //   0.5 of lot 2: cost 222 / 4 = 55.5, proceeds 59.4, gain 3.9; left 1.5 at 166.5
    let lots = Lots::of(vec![sell(3, "1.5", "178.2"), buy(2, "2", "222"), buy(1, "1", "101")]).unwrap();
    let want = [["1", "101", "118.8", "17.8"], ["0.5", "55.5", "59.4", "3.9"]];
    assert_eq!(rows(&lots), want.map(|r| r.map(str::to_owned)));
    assert_eq!(lots.held(&queue()), (amount("1.5"), amount("166.5")));
    assert_eq!(lots.realized(&queue()), amount("21.7"));
}

#[test]
fn the_last_fraction_takes_the_remainder() {
    // 3 for 10, sold 1 by 1: 3.33.., 3.33.., and 3.33..4, so the three make 10 exactly.
    let lots = Lots::of(vec![buy(1, "3", "10"), sell(2, "1", "4"), sell(3, "1", "4"), sell(4, "1", "4")]).unwrap();
    let costs: Vec<String> = lots.matches().iter().map(|m| m.cost.to_string()).collect();
    assert_eq!(costs, ["3.333333333333333333", "3.333333333333333333", "3.333333333333333334"]);
    assert_eq!(sum(lots.matches().iter().map(|m| m.cost)), Ok(amount("10")));
    assert_eq!(lots.held(&queue()), (Amount::ZERO, Amount::ZERO));
}

#[test]
fn at_equal_times_what_comes_in_goes_before_what_goes_out() {
    let mut late_buy = buy(5, "1", "100");
    late_buy.seq = 9;
    let lots = Lots::of(vec![sell(5, "1", "120"), late_buy]).unwrap();
    assert_eq!(rows(&lots), [["1", "100", "120", "20"].map(str::to_owned)]);
    assert!(!lots.matches()[0].assumed);
}

#[test]
fn what_was_never_bought_is_assumed_to_be_held_and_gains_nothing() {
    let mut lots = Lots::default();
    assert_eq!(lots.apply(&buy(1, "1", "100")).unwrap(), None);
    let assumed = lots.apply(&sell(2, "3", "333")).unwrap().unwrap();
    assert_eq!((assumed.qty, assumed.cost, assumed.assumed), (amount("2"), amount("222"), true));
    assert_eq!(rows(&lots), [["1", "100", "111", "11"], ["2", "222", "222", "0"]].map(|r| r.map(str::to_owned)));
    assert_eq!(lots.lots().count(), 2);
    assert_eq!(lots.held(&queue()), (Amount::ZERO, Amount::ZERO));
}

/// FIFO the slow way: a list of single units, each with its own price; only for whole units.
fn naive(movements: &[Movement]) -> (Vec<i128>, i128) {
    let mut sorted = movements.to_vec();
    sorted.sort_by_key(|m| (m.ts_ns, matches!(m.change, Change::Dispose { .. }), m.seq, m.id.clone()));
    let (mut held, mut gain) = (Vec::new(), 0);
    for m in &sorted {
        match m.change {
            Change::Acquire { qty, cost } => {
                for _ in 0..qty.units() {
                    held.push(cost.units() / qty.units());
                }
            }
            Change::Dispose { qty, proceeds } => {
                for _ in 0..qty.units() {
                    let each = proceeds.units() / qty.units();
                    gain += if held.is_empty() { 0 } else { each - held.remove(0) };
                }
            }
        }
    }
    (held, gain)
}

/// Movements of few whole units with a cost that divides evenly, so that the naive way is exact.
fn movements() -> impl Strategy<Value = Vec<Movement>> {
    let one = (0u64..6, any::<bool>(), 1i128..9, 1i128..1000);
    prop::collection::vec(one, 1..60).prop_map(|list| {
        let build = |(i, (ts, is_buy, qty, price)): (usize, (u64, bool, i128, i128))| {
            let (qty, total) = (Amount::from_units(qty), Amount::from_units(qty * price));
            let change =
                if is_buy { Change::Acquire { qty, cost: total } } else { Change::Dispose { qty, proceeds: total } };
            Movement { queue: queue(), ts_ns: ts, seq: i as u64, id: format!("{i:03}"), change }
        };
        list.into_iter().enumerate().map(build).collect()
    })
}

proptest! {
    #[test]
    fn fifo_equals_the_naive_list_of_units(movements in movements()) {
        let (held, gain) = naive(&movements);
        let lots = Lots::of(movements).unwrap();
        prop_assert_eq!(lots.held(&queue()).0.units(), i128::try_from(held.len()).unwrap());
        prop_assert_eq!(lots.held(&queue()).1.units(), held.iter().sum::<i128>());
        prop_assert_eq!(lots.realized(&queue()).units(), gain);
    }

    #[test]
    fn the_order_of_telling_changes_nothing(movements in movements(), seed in any::<u64>()) {
        let mut shuffled = movements.clone();
        shuffled.sort_by_key(|m| fact_id(&[&m.id, &seed.to_string()]));
        let (a, b) = (Lots::of(movements).unwrap(), Lots::of(shuffled).unwrap());
        prop_assert_eq!(a.matches(), b.matches());
        prop_assert!(a.lots().eq(b.lots()));
    }

    #[test]
    fn cost_and_quantity_are_never_lost(list in prop::collection::vec((0u64..50, any::<bool>(), 1i128..10i128.pow(20), 0i128..10i128.pow(26)), 1..40)) {
        let build = |(i, (ts, is_buy, qty, total)): (usize, (u64, bool, i128, i128))| {
            let (qty, total) = (Amount::from_units(qty), Amount::from_units(total));
            let change = if is_buy { Change::Acquire { qty, cost: total } } else { Change::Dispose { qty, proceeds: total } };
            Movement { queue: queue(), ts_ns: ts, seq: i as u64, id: i.to_string(), change }
        };
        let movements: Vec<Movement> = list.into_iter().enumerate().map(build).collect();
        let proceeds = sum(movements.iter().filter_map(|m| match m.change {
            Change::Dispose { proceeds, .. } => Some(proceeds),
            Change::Acquire { .. } => None,
        })).unwrap();
        let lots = Lots::of(movements).unwrap();
        let total = |f: fn(&Lot) -> Amount| sum(lots.lots().map(f)).unwrap();
        let used = |f: fn(&Match) -> Amount| sum(lots.matches().iter().map(f)).unwrap();
        prop_assert_eq!(total(|l| l.cost), total(|l| l.left_cost).plus(used(|m| m.cost)).unwrap());
        prop_assert_eq!(total(|l| l.qty), total(|l| l.left_qty).plus(used(|m| m.qty)).unwrap());
        prop_assert_eq!(used(|m| m.proceeds), proceeds);
        prop_assert_eq!(used(|m| m.gain), proceeds.minus(used(|m| m.cost)).unwrap());
        prop_assert_eq!(lots.held(&queue()), (total(|l| l.left_qty), total(|l| l.left_cost)));
        prop_assert!(lots.matches().iter().all(|m| !m.assumed || m.gain.is_zero()));
    }

    #[test]
    fn a_later_movement_changes_no_earlier_match(movements in movements()) {
        let mut early = movements.clone();
        early.retain(|m| m.ts_ns < 3);
        let (early, all) = (Lots::of(early).unwrap(), Lots::of(movements).unwrap());
        prop_assert_eq!(early.matches(), &all.matches()[..early.matches().len()]);
    }
}

/// Nanoseconds of `2020-02-01T11:18Z`, with or without seconds.
fn nanos(text: &str) -> u64 {
    let time = chrono::DateTime::parse_from_rfc3339(text)
        .or_else(|_| chrono::DateTime::parse_from_rfc3339(&text.replace('Z', ":00Z")))
        .unwrap();
    u64::try_from(time.timestamp_nanos_opt().unwrap()).unwrap()
}

/// One row of rp2's input as a movement: bought at price and fee, earned at its worth, disposed of together with the
/// coins taken as a fee; a transfer disposes of what got lost on the way.
fn rp2_movement(row: &serde_json::Value) -> Option<Movement> {
    let text = |name: &str| row[name].as_str().unwrap_or("0").to_owned();
    let times = |a: &str, b: &str| amount(a).times(amount(b)).unwrap();
    let plus = |a: &str, b: &str| amount(a).plus(amount(b)).unwrap();
    let price = text("spot_price");
    let change = match row["kind"].as_str().unwrap() {
        "IN" => {
            let cost = match row["fiat_in_with_fee"].as_str() {
                Some(stated) => amount(stated),
                None => times(&price, &text("crypto_in")).plus(amount(&text("fiat_fee"))).unwrap(),
            };
            Change::Acquire { qty: amount(&text("crypto_in")), cost }
        }
        "OUT" => {
            let sold = if row["transaction_type"] == "Fee" { text("crypto_fee") } else { text("crypto_out_no_fee") };
            let qty = plus(&text("crypto_out_no_fee"), &text("crypto_fee"));
            Change::Dispose { qty, proceeds: times(&price, &sold) }
        }
        "INTRA" => {
            let lost = amount(&text("crypto_sent")).minus(amount(&text("crypto_received"))).unwrap();
            Change::Dispose { qty: lost, proceeds: amount(&price).times(lost).unwrap() }
        }
        other => panic!("{other}"),
    };
    if matches!(change, Change::Dispose { qty, .. } if qty.is_zero()) {
        return None;
    }
    let seq = row["row"].as_u64().unwrap();
    let queue = Queue { asset: text("asset"), portfolio: "rp2".into(), venue: String::new(), currency: "USD".into() };
    Some(Movement { ts_ns: nanos(&text("timestamp")), seq, id: format!("{}-{seq}", queue.asset), queue, change })
}

fn close(ours: Amount, theirs: &str) -> bool {
    // Costs stand there with up to 28 digits after the point, gains as binary floats; ours are cut at 18 digits.
    let (whole, fraction) = theirs.split_once('.').unwrap_or((theirs, ""));
    let theirs = amount(&format!("{whole}.{}", &format!("{fraction:0<18}")[..18]));
    ours.minus(theirs).unwrap().units().abs() <= 1_000_000_000
}

#[test]
fn published_fifo_reports_of_rp2_are_reproduced_match_by_match() {
    let Some(dir) = recorded::find("published_fifo_reports_of_rp2_are_reproduced_match_by_match", "tax/rp2") else {
        return;
    };
    let mut compared = 0;
    for case in ["crypto_example", "test_data", "test_data3"] {
        let read = |name: &str| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(dir.join(case).join(name)).unwrap()).unwrap()
        };
        let input = read("input.json");
        let movements = input["transactions"].as_array().unwrap().iter().filter_map(rp2_movement).collect();
        let lots = Lots::of(movements).unwrap();
        let expected = read("expected_json/fifo.json");
        for (asset, report) in expected["assets"].as_object().unwrap() {
            let theirs = report["detail"].as_array().unwrap().iter();
            // Their report also lists income; lots only know acquisitions and disposals.
            let theirs: Vec<_> = theirs.filter(|r| !r["event_type"].as_str().unwrap().starts_with("IN /")).collect();
            let ours: Vec<_> = lots.matches().iter().filter(|m| m.queue.asset == *asset).collect();
            assert_eq!(ours.len(), theirs.len(), "{case} {asset}");
            for (m, row) in ours.iter().zip(&theirs) {
                let field = |name: &str| row[name].as_str().unwrap();
                assert!(!m.assumed, "{case} {asset}: {m:?}");
                assert!(close(m.qty, field("amount")), "{case} {asset}: {m:?} {row}");
                assert!(close(m.cost, field("cost_basis")), "{case} {asset}: {m:?} {row}");
                assert!(close(m.gain, field("gain")), "{case} {asset}: {m:?} {row}");
                compared += 1;
            }
        }
    }
    // 11 + (0 + 9 + 3 + 11) + (1 + 3 + 10 + 2) rows stand in the three published files.
    assert_eq!(compared, 50);
}
