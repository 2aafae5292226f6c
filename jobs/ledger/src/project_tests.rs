//! The projection and the report on a real Postgres.

use super::*;
use crate::samples;
use domain::Side;
use store::Store;
use store::testing::TestHome;

async fn apply_all(store: &Store, facts: Vec<Facts>) -> Result<Summary, ProjectError> {
    let mut tx = store.pool.begin().await.unwrap();
    let done = apply(&mut tx, facts).await;
    if done.is_ok() {
        tx.commit().await.unwrap();
    }
    done
}

fn two_runs() -> Vec<Facts> {
    // The same venue fill ids in both: each run has a venue of its own.
    vec![samples::facts("01RUNA"), samples::facts("01RUNB")]
}

async fn telling_again_changes_nothing(store: &Store) {
    let first = apply_all(store, two_runs()).await.unwrap();
    assert_eq!((first.portfolios, first.fills, first.lots, first.matches, first.entries), (2, 4, 2, 2, 4));
    assert!(first.rows_changed > 0);
    let hash = content_hash(&store.pool).await.unwrap();
    let second = apply_all(store, two_runs()).await.unwrap();
    assert_eq!(second.rows_changed, 0);
    assert_eq!(content_hash(&store.pool).await.unwrap(), hash);
    // An earlier reading of the journal, applied late, does not turn the record back.
    let mut earlier = samples::facts("01RUNA");
    earlier.last_seq = 3;
    earlier.fills.truncate(1);
    let late = apply_all(store, vec![earlier]).await.unwrap();
    assert_eq!((late.older, late.rows_changed), (1, 0));
    assert_eq!(content_hash(&store.pool).await.unwrap(), hash);
}

async fn growing_step_by_step_ends_where_a_rebuild_ends(store: &Store) {
    let mut facts = samples::facts("01RUNA");
    facts.last_seq = 101;
    // A fill that became known late: the sale it stands before was matched with another lot until now.
    let mut early = samples::at(facts.fills[0].clone(), 0);
    (early.fill_id, early.seq) = ("0".into(), 101);
    facts.fills.push(early);
    assert!(apply_all(store, vec![facts.clone()]).await.unwrap().rows_changed > 0);
    let grown = content_hash(&store.pool).await.unwrap();
    let mut tx = store.pool.begin().await.unwrap();
    clear(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_ne!(content_hash(&store.pool).await.unwrap(), grown);
    apply_all(store, vec![samples::facts("01RUNB"), facts]).await.unwrap();
    assert_eq!(content_hash(&store.pool).await.unwrap(), grown);
}

async fn a_fill_told_otherwise_is_refused(store: &Store) {
    let before = content_hash(&store.pool).await.unwrap();
    let mut facts = samples::facts("01RUNB");
    facts.fills[0].qty = domain::Decimal::parse("0.03").unwrap();
    let refused = apply_all(store, vec![facts]).await.unwrap_err();
    assert!(matches!(&refused, ProjectError::Diverged { fills, .. } if fills[..] == ["1"]), "{refused}");
    assert!(matches!(StepError::from(refused), StepError::Permanent(_)));
    let mut facts = samples::facts("01RUNB");
    facts.fills.remove(1);
    assert!(matches!(apply_all(store, vec![facts]).await, Err(ProjectError::Diverged { .. })), "a fill went missing");
    assert_eq!(content_hash(&store.pool).await.unwrap(), before);
}

async fn the_database_itself_refuses_what_does_not_balance(store: &Store) {
    let mut tx = store.pool.begin().await.unwrap();
    sqlx::query("UPDATE traider.postings SET amount = amount * 2 WHERE line = 1").execute(&mut *tx).await.unwrap();
    let refused = tx.commit().await.unwrap_err().to_string();
    assert!(refused.contains("not to zero"), "{refused}");
}

async fn postings_in_the_database_agree_with_the_lots_there(store: &Store) {
    let (assets, lots): (String, String) = sqlx::query_as(
        "SELECT (SELECT trim_scale(sum(amount))::text FROM traider.postings WHERE account = 'asset:binance:BTC'),
                (SELECT trim_scale(sum(left_qty))::text FROM traider.lots)",
    )
    .fetch_one(&store.pool)
    .await
    .unwrap();
    // Run A bought 0.02 twice and sold 0.01, run B bought 0.02 and sold 0.01.
    assert_eq!((assets.as_str(), lots.as_str()), ("0.04", "0.04"));
}

async fn the_report_of_the_day_is_the_same_bytes_each_time(store: &Store, home: &settings::Home) {
    let day = "2024-08-08".parse().unwrap();
    let (report, one) = crate::report::daily(&store.pool, home, day, &[]).await.unwrap();
    assert_eq!((report.trades.len(), report.orders.total, report.risk.refused), (5, 6, 2));
    let folder = home.reports().join("day=2024-08-08");
    let read = || -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
            .iter()
            .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(p).unwrap()))
            .collect()
    };
    let first = read();
    assert_eq!(first.len(), 5, "five files and no temporary one: {:?}", first.iter().map(|f| &f.0).collect::<Vec<_>>());
    std::fs::remove_file(folder.join("report.html")).unwrap();
    let (_, two) = crate::report::daily(&store.pool, home, day, &[]).await.unwrap();
    assert_eq!((one, read()), (two, first));
    let empty = crate::report::daily(&store.pool, home, "2024-08-09".parse().unwrap(), &[]).await.unwrap();
    assert!(empty.0.trades.is_empty());
    let (nothing, _) = crate::report::daily(&store.pool, home, "1999-01-01".parse().unwrap(), &[]).await.unwrap();
    assert_eq!((nothing.state.as_str(), nothing.reasons.len()), ("ATTENTION", 1), "{:?}", nothing.reasons);
}

fn context(store: &Store, home: &settings::Home, params: serde_json::Value) -> StepContext {
    StepContext {
        store: store.clone(),
        home: home.clone(),
        run_id: "run".into(),
        step: "step".into(),
        attempt: 1,
        epoch: 1,
        partition: "2024-08-08".into(),
        params,
        log: store::StepLog::channel().0,
        cancel: store::CancelToken::default(),
    }
}

async fn the_handlers_hand_back_what_was_read_made_and_is_to_be_written(store: &Store, home: &settings::Home) {
    let day = serde_json::json!({"day": "2024-08-08"});
    let ctx = context(store, home, day.clone());
    let outcome = run_with(&ctx, vec![samples::facts("01RUNC")]).await.unwrap();
    assert_eq!(outcome.inputs, [("journal/01RUNC".to_owned(), "seq-100".to_owned())]);
    assert_eq!((&outcome.summary["fills"], outcome.writes.len()), (&serde_json::json!(2), 1));
    let before = content_hash(&store.pool).await.unwrap();
    let mut tx = store.pool.begin().await.unwrap();
    for write in outcome.writes {
        write.apply(&mut tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_ne!(content_hash(&store.pool).await.unwrap(), before);
    let outcome = crate::report::run(&ctx, &[]).await.unwrap();
    assert_eq!((outcome.outputs[0].asset.as_str(), outcome.outputs[0].rows), ("report/daily", 7));
    assert!(outcome.inputs.iter().any(|(asset, _)| asset == "ledger/01RUNC"), "{:?}", outcome.inputs);
    let wrong = crate::report::run(&context(store, home, serde_json::json!({"day": "yesterday"})), &[]).await;
    assert!(matches!(wrong.err(), Some(StepError::Permanent(_))));
    ctx.cancel.cancel();
    assert!(matches!(run_with(&ctx, Vec::new()).await.err(), Some(StepError::Cancelled)));
}

async fn a_backtest_is_booked_but_is_no_part_of_the_days_report(store: &Store, home: &settings::Home) {
    let mut facts = samples::facts("01BACK");
    facts.mode = "backtest".into();
    assert!(apply_all(store, vec![facts]).await.unwrap().rows_changed > 0);
    let (report, _) = crate::report::daily(&store.pool, home, "2024-08-08".parse().unwrap(), &[]).await.unwrap();
    assert!(report.runs.iter().all(|r| r.run_id != "01BACK"));
}

const DAY_NS: u64 = 86_400_000_000_000;

/// The sample run, `days` later.
fn shifted(run: &str, days: u64) -> Facts {
    let mut facts = samples::facts(run);
    let later = days * DAY_NS;
    for fill in &mut facts.fills {
        (fill.ts_venue_ns, fill.ts_recv_ns) = (fill.ts_venue_ns + later, fill.ts_recv_ns + later);
    }
    for order in &mut facts.orders {
        (order.created_ns, order.updated_ns) = (order.created_ns + later, order.updated_ns + later);
    }
    facts.marks[0].ts_ns += later;
    facts
}

async fn a_day_that_is_over_stays_the_same_while_its_run_goes_on(store: &Store, home: &settings::Home) {
    let (day, noon) = ("2024-09-07", samples::NOON_NS + 30 * DAY_NS);
    candles(home, day, noon, &[6_100_000, 6_150_000]).await;
    let mut facts = shifted("01ONWARD", 30);
    // An order that rests over midnight, and a price seen two minutes after it.
    (facts.orders[1].state, facts.orders[1].updated_ns) = ("live".into(), noon + 100);
    facts.marks = vec![samples::mark("62000", noon + DAY_NS / 2 + 120_000_000_000)];
    apply_all(store, vec![facts.clone()]).await.unwrap();
    let (report, first) = crate::report::daily(&store.pool, home, day.parse().unwrap(), &[]).await.unwrap();
    let line = report.money.lines.iter().find(|l| l.portfolio == "01ONWARD").unwrap();
    assert_eq!(line.mark.map(|m| m.to_string()).as_deref(), Some("61500"), "{}", line.mark_source);

    // The next day goes on: the order ends, the price moves.
    facts.last_seq += 100;
    (facts.orders[1].state, facts.orders[1].reason) = ("cancelled".into(), "because".into());
    (facts.orders[1].updated_seq, facts.orders[1].updated_ns) = (150, noon + DAY_NS);
    facts.marks = vec![samples::mark("65000", noon + DAY_NS)];
    assert!(apply_all(store, vec![facts]).await.unwrap().rows_changed > 0);
    let (_, second) = crate::report::daily(&store.pool, home, day.parse().unwrap(), &[]).await.unwrap();
    assert_eq!(first, second);
}

async fn the_days_of_a_held_position_sum_to_its_total(store: &Store, home: &settings::Home) {
    let start = samples::NOON_NS + 60 * DAY_NS;
    let mut facts = shifted("01HELD", 60);
    facts.orders.clear();
    // Bought on the first day, sold whole on the third, nothing on the second.
    facts.fills[1].qty = facts.fills[0].qty;
    (facts.fills[1].ts_venue_ns, facts.fills[1].ts_recv_ns) = (start + 2 * DAY_NS, start + 2 * DAY_NS + 1);
    facts.marks = vec![samples::mark("62000", start + 2 * DAY_NS + 5)];
    apply_all(store, vec![facts]).await.unwrap();
    candles(home, "2024-10-07", start, &[6_050_000]).await;
    candles(home, "2024-10-08", start + DAY_NS, &[6_300_000]).await;
    let mut nets = Vec::new();
    for day in ["2024-10-06", "2024-10-07", "2024-10-08", "2024-10-09", "2024-10-10"] {
        let (report, _) = crate::report::daily(&store.pool, home, day.parse().unwrap(), &[]).await.unwrap();
        nets.push(report.money.lines.iter().find(|l| l.portfolio == "01HELD").map(|l| l.net.to_string()));
    }
    // 0.02 at 60 500 for 1200.9; up to 63 000; sold at 61 000 for 1220 less 0.4575. In all 1219.5425 - 1200.9 = 18.6425.
    let want = [None, Some("9.1"), Some("50"), Some("-40.4575"), None];
    assert_eq!(nets.iter().map(Option::as_deref).collect::<Vec<_>>(), want);
}

async fn a_run_that_ended_is_held_at_its_own_last_price(store: &Store, home: &settings::Home) {
    apply_all(store, vec![shifted("01ENDED", 90)]).await.unwrap();
    // Another market of the same name goes on the day after.
    candles(home, "2024-11-06", samples::NOON_NS + 90 * DAY_NS, &[6_200_000]).await;
    candles(home, "2024-11-07", samples::NOON_NS + 91 * DAY_NS, &[9_900_000]).await;
    for (day, net) in [("2024-11-06", "28.6425"), ("2024-11-07", "0"), ("2024-11-08", "0")] {
        let (report, _) = crate::report::daily(&store.pool, home, day.parse().unwrap(), &[]).await.unwrap();
        let line = report.money.lines.iter().find(|l| l.portfolio == "01ENDED").unwrap();
        assert_eq!((line.net.to_string().as_str(), line.position.to_string().as_str()), (net, "0.01"), "{day}");
    }
}

async fn candles(home: &settings::Home, day: &str, open_ns: u64, closes: &[i64]) {
    let lake = lake::Lake::local(&home.lake()).unwrap();
    let partition = lake::Partition::new("candles_1m", "binance", "BTCUSDT", day.parse().unwrap()).unwrap();
    let row = |(i, close): (usize, &i64)| lake::CandleRow {
        ts_open_ns: i64::try_from(open_ns).unwrap() + i64::try_from(i).unwrap() * 60_000_000_000,
        open: *close,
        high: *close,
        low: *close,
        close: *close,
        volume: 1,
        trades: 1,
        first_trade_id: 1,
        last_trade_id: 1,
        complete: true,
    };
    let rows: Vec<_> = closes.iter().enumerate().map(row).collect();
    let meta = lake::TableMeta::of::<lake::CandleRow>(2, 5);
    lake.publish_rows(&partition, &rows, &meta, &lake::Lineage::default()).await.unwrap();
}

async fn a_night_with_a_position_is_valued_by_the_lakes_prices(store: &Store, home: &settings::Home) {
    let mut facts = samples::facts("01NIGHT");
    facts.orders.clear();
    facts.fills[0].ts_venue_ns -= DAY_NS;
    apply_all(store, vec![facts]).await.unwrap();
    candles(home, "2024-08-07", samples::NOON_NS - DAY_NS, &[6_010_000, 6_050_000]).await;
    candles(home, "2024-08-08", samples::NOON_NS, &[6_120_000]).await;
    let (report, _) = crate::report::daily(&store.pool, home, "2024-08-08".parse().unwrap(), &[]).await.unwrap();
    let line = report.money.lines.iter().find(|l| l.portfolio == "01NIGHT").unwrap();
    // Sold 610 less a fee of 0.4575; holds 0.01 worth 620 now, held 0.02 worth 1210 at midnight.
    assert_eq!((line.net.to_string().as_str(), line.fills), ("19.5425", 1));
    let chart = report.charts.iter().find(|c| c.portfolio == "01NIGHT").unwrap();
    let prices: Vec<String> = chart.prices.iter().map(|p| p.1.to_string()).collect();
    assert_eq!(prices, ["61200", "61000", "62000"], "the lake's minute, the fill, the last price");
    assert_eq!(chart.pnl.last().map(|p| p.1), Some(line.net));
    assert!(report.inputs.iter().any(|i| i.asset == "candles_1m/binance/BTCUSDT/2024-08-07"));
}

#[test]
fn the_projection_is_idempotent_rebuildable_and_guarded() {
    let server = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = server.store().await.unwrap();
        telling_again_changes_nothing(&store).await;
        growing_step_by_step_ends_where_a_rebuild_ends(&store).await;
        a_fill_told_otherwise_is_refused(&store).await;
        the_database_itself_refuses_what_does_not_balance(&store).await;
        postings_in_the_database_agree_with_the_lots_there(&store).await;
        the_report_of_the_day_is_the_same_bytes_each_time(&store, &server.home).await;
        the_handlers_hand_back_what_was_read_made_and_is_to_be_written(&store, &server.home).await;
        a_backtest_is_booked_but_is_no_part_of_the_days_report(&store, &server.home).await;
        a_night_with_a_position_is_valued_by_the_lakes_prices(&store, &server.home).await;
        a_day_that_is_over_stays_the_same_while_its_run_goes_on(&store, &server.home).await;
        the_days_of_a_held_position_sum_to_its_total(&store, &server.home).await;
        a_run_that_ended_is_held_at_its_own_last_price(&store, &server.home).await;
        store.close().await;
    });
}

#[test]
fn facts_that_make_no_books_are_refused_before_any_transaction() {
    let mut facts = samples::facts("01RUNA");
    let mut other = facts.fills[0].clone();
    (other.fill_id, other.symbol, other.quote) = ("9".into(), "BTCEUR".into(), "EUR".into());
    other.side = Side::Sell;
    facts.fills.push(other);
    let refused = write(vec![facts]).err().unwrap();
    assert!(refused.to_string().contains("more than one currency"), "{refused}");
}
