//! The binary as others start it: what it prints and how it ends.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic like the tests themselves")]

use lake::{Lake, Lineage, Partition, TableMeta, TradeRow};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

fn ask(home: &Path, query: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_traider-research"));
    command.args(["sql", "--json", "--home"]).arg(home).arg(query).output().unwrap()
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn answers_are_json_and_exit_codes_tell_who_is_at_fault() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::local(&dir.path().join("lake")).unwrap();
    let row = TradeRow { ts_venue_ns: 0, ts_recv_ns: 0, trade_id: 1, price: 6_183_763, qty: 2, aggressor_buy: true };
    let at = Partition::of_asset("trades/binance/BTCUSDT/1970-01-01").unwrap();
    lake.publish_rows(&at, &[row], &TableMeta::of::<TradeRow>(2, 5), &Lineage::default()).await.unwrap();

    let good = ask(dir.path(), "SELECT instrument, price FROM trades");
    assert_eq!(good.status.code(), Some(0));
    let want = json!({ "columns": ["instrument", "price"], "rows": [["BTCUSDT", 6_183_763]], "row_count": 1 });
    assert_eq!(answer(&good), want);

    let unknown = ask(dir.path(), "SELECT * FROM candles");
    assert_eq!(unknown.status.code(), Some(2));
    let said = answer(&unknown)["error"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("no table `candles`") && said.contains("trades"), "{said}");

    let no_query = ask(dir.path(), "drop table trades");
    assert_eq!(no_query.status.code(), Some(2));
    let said = answer(&no_query)["error"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("`drop table trades` is not a query"), "{said}");

    // A lake that cannot be opened, because a file stands in its place.
    let blocked = tempfile::tempdir().unwrap();
    std::fs::write(blocked.path().join("lake"), b"").unwrap();
    assert_eq!(ask(blocked.path(), "SELECT 1").status.code(), Some(1));

    let bare = Command::new(env!("CARGO_BIN_EXE_traider-research")).arg("sql").output().unwrap();
    assert_eq!(bare.status.code(), Some(2), "no query");
}
