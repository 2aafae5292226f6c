//! The ledger proven, and then with one row after the other changed behind its back.

use super::*;
use crate::samples;
use store::testing::TestHome;

fn told() -> Vec<Facts> {
    vec![samples::facts("01RUNA"), samples::facts("01RUNB")]
}

async fn proof(store: &Store, facts: Vec<Facts>) -> Proof {
    let booked = booked(store).await.unwrap();
    prove(store, &booked, &project::books(facts).unwrap()).await.unwrap().unwrap()
}

/// Changes rows past every trigger, looks, and puts the ledger right again.
async fn check(store: &Store, change: &'static str, want: &[&str]) {
    let mut connection = store.pool.acquire().await.unwrap();
    sqlx::query("SET session_replication_role = replica").execute(&mut *connection).await.unwrap();
    sqlx::query(change).execute(&mut *connection).await.unwrap();
    sqlx::query("SET session_replication_role = DEFAULT").execute(&mut *connection).await.unwrap();
    drop(connection);
    let breaches = proof(store, told()).await.breaches.join("\n");
    for part in want {
        assert!(breaches.contains(part), "{change}: no `{part}` in\n{breaches}");
    }
    let mut tx = store.pool.begin().await.unwrap();
    project::clear(&mut tx).await.unwrap();
    project::apply(&mut tx, told()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(proof(store, told()).await.breaches, Vec::<String>::new());
}

#[test]
fn a_ledger_changed_behind_its_back_is_found_out() {
    let home = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        let mut tx = store.pool.begin().await.unwrap();
        project::apply(&mut tx, told()).await.unwrap();
        tx.commit().await.unwrap();
        let content = project::content_hash(&store.pool).await.unwrap();
        let sound = proof(&store, told()).await;
        // One traded asset per portfolio.
        assert_eq!(sound, Proof { positions: 2, content: content.clone(), breaches: Vec::new() });

        // Bought 0.02, sold 0.01: 0.01 is left by postings and lots.
        let fill = "UPDATE traider.fills SET qty = 0.05 WHERE portfolio = '01RUNA' AND fill_id = '1'";
        check(&store, fill, &["BTC at binance of portfolio 01RUNA: fills say 0.04", "I-22: table fills"]).await;
        let posting = "UPDATE traider.postings SET amount = amount + 1 WHERE account = 'fee:binance' AND entry_id = \
                       (SELECT id FROM traider.entries WHERE portfolio = '01RUNB' ORDER BY ts_ns LIMIT 1)";
        check(&store, posting, &["of portfolio 01RUNB sums to 1", "USDT, not to zero", "I-22: table postings"]).await;
        let lot = "UPDATE traider.lots SET left_qty = 0, left_cost = 0 WHERE portfolio = '01RUNA'";
        check(&store, lot, &["open lots 0", "I-22: table lots"]).await;
        let order = "DELETE FROM traider.orders WHERE portfolio = '01RUNA' AND state = 'denied'";
        check(&store, order, &["I-22: table orders: only the journals tell"]).await;
        assert_eq!(project::content_hash(&store.pool).await.unwrap(), content);

        // Booked further than what was told: somebody booked meanwhile.
        let mut earlier = booked(&store).await.unwrap();
        earlier.insert("01RUNA".to_owned(), 99);
        assert_eq!(prove(&store, &earlier, &project::books(told()).unwrap()).await.unwrap(), None);
        store.close().await;
    });
}
