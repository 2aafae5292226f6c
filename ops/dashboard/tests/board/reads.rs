//! What the board answers.

use crate::http::Page;
use crate::looks::Look;
use crate::seed::{Seeded, claim};
use chrono::Utc;
use serde_json::{Value, json};
use std::time::Duration;
use store::context::LogLine;
use store::testing::TestHome;
use store::{Cluster, StepOutcome, Store, control, logs};
use tokio::io::{AsyncBufReadExt, BufReader};

async fn read(page: &Page, path: &str) -> Value {
    let answer = page.get(&format!("/api/board{path}")).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    assert!(answer.head.contains("content-type: application/json"), "{path}: {}", answer.head);
    answer.json()
}

/// The row of a list whose `key` is `value`.
#[track_caller]
fn row<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    list.as_array()
        .unwrap()
        .iter()
        .find(|row| row[key] == value)
        .unwrap_or_else(|| panic!("no {key} {value} in {list}"))
}

pub async fn every_list_and_every_page_has_what_was_put_there(page: &Page, seeded: &Seeded) {
    let attention = read(page, "/attention").await;
    assert_eq!(
        (&attention["dead"], &attention["schedules_paused"], &attention["backfills"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let daily = read(page, "/workflows").await;
    let daily = row(&daily, "name", "daily");
    assert!(
        daily["description"].as_str().unwrap().contains("validation") && daily["active"].as_i64().unwrap() >= 1,
        "{daily}"
    );
    let grid = read(page, "/workflows/daily/grid?limit=3").await;
    assert_eq!(grid.as_array().unwrap().len(), 3);
    assert_eq!((&grid[0]["run"], &grid[1]["run"]), (&json!(seeded.running), &json!(seeded.failed)), "newest first");
    assert_eq!(grid[1]["steps"][2], json!({"name": "validate[kraken]", "state": "failed"}));
    let failed = read(page, "/runs?state=failed&workflow=daily&limit=10").await;
    assert_eq!((failed.as_array().unwrap().len(), &failed[0]["id"]), (1, &json!(seeded.failed)));

    let run = read(page, &format!("/runs/{}", seeded.running)).await;
    let step = row(&run["steps_detail"], "name", "validate[kraken]");
    assert_eq!(
        (&step["state"], &step["progress"]["done"], &step["needs"]),
        (&json!("running"), &json!(610), &json!(["ingest"]))
    );
    assert_eq!(
        (&run["outputs"][0]["asset"], &run["inputs"][0]["asset"]),
        (&json!("trades/binance"), &json!("journal/01JTEST"))
    );
    let history = read(page, &format!("/runs/{}/history", seeded.failed)).await;
    assert_eq!(history["holds"], true);
    assert!(history["events"].as_array().unwrap().iter().any(|event| event["kind"] == "step_failed"), "{history}");

    let schedules = read(page, "/schedules").await;
    assert_eq!(row(&schedules, "name", "retention")["paused_why"], "the archive disk is being replaced");
    let hourly = read(page, "/schedules/hourly").await;
    assert!(hourly["slots"].as_array().unwrap().len() > 3 && hourly["next_slot"].is_string(), "{hourly}");
    let backfills = read(page, "/backfills").await;
    let backfill = row(&backfills, "id", &seeded.backfill);
    assert_eq!((&backfill["done"], &backfill["active"], &backfill["pending"]), (&json!(8), &json!(2), &json!(14)));
    assert_eq!(read(page, &format!("/backfills/{}", seeded.backfill)).await["parts"].as_array().unwrap().len(), 24);

    let assets = read(page, "/assets").await;
    let features = row(&assets, "asset", "features/btcusdt");
    assert_eq!((&features["partition"], &features["partitions"]), (&json!(seeded.day), &json!(11 + 8)));
    let one = read(page, &format!("/assets/one?asset=features/btcusdt&partition={}", seeded.day)).await;
    assert_eq!(
        (&one["upstream"][1]["asset"], &one["downstream"][1]["asset"]),
        (&json!("trades/binance"), &json!("reports/daily"))
    );
    let by_hash = read(
        page,
        &format!("/assets/one?asset=features/btcusdt&sha256={}", one["versions"][0]["sha256"].as_str().unwrap()),
    )
    .await;
    assert_eq!(by_hash["partition"], json!(seeded.day));
    let workers = read(page, "/workers").await;
    assert_eq!((workers["workers"].as_array().unwrap().len(), workers["queues"].as_array().unwrap().len()), (2, 4));
    assert_eq!(workers["running"][0]["step"], "validate[kraken]");
    assert_eq!(read(page, "/dead").await[0]["run"], json!(seeded.dead));
    let alerts = read(page, "/alerts").await;
    assert_eq!(row(&alerts, "run", &seeded.failed)["kind"], "failed");
}

pub async fn an_unchanged_answer_costs_a_few_bytes(page: &Page) {
    let first = page.get("/api/board/schedules/backup").await;
    let tag = first.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let again = page.send("GET", "/api/board/schedules/backup", &[("If-None-Match", &tag)], "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
}

pub async fn what_is_not_there_is_said_with_what_to_do(page: &Page) {
    for (path, status, todo) in [
        ("/api/board/runs/01NOSUCHRUN", 404, "see: traider run list"),
        ("/api/board/schedules/nothing", 404, "see: traider schedule list"),
        ("/api/board/backfills/nothing", 404, "see: traider backfill list"),
        ("/api/board/runs/01NOSUCHRUN/logs", 404, "see: traider run list"),
        ("/api/board/assets/one?asset=nothing", 404, "journal"),
        ("/api/board/assets/one", 400, "the address"),
        ("/api/board/runs?limit=many", 400, "the address"),
        ("/api/board/nonsense", 404, "docs/operations.md"),
    ] {
        let answer = page.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let error = &answer.json()["error"];
        assert!(error["do"].as_str().unwrap().contains(todo), "{path}: {error}");
        assert!(error["what"].as_str().unwrap().len() > 8 && error["code"].is_string(), "{path}: {error}");
    }
    for path in ["/board", "/board/runs/01X", "/board/assets/trades/binance", "/board/alerts"] {
        let answer = page.get(path).await;
        assert!(answer.status == 200 && answer.body.contains("aria-current=\"page\""), "{path}");
    }
}

/// The next event of a stream: its name and its data.
async fn event(stream: &mut BufReader<tokio::net::TcpStream>) -> (String, Value) {
    let (mut name, mut line) = (String::new(), String::new());
    loop {
        line.clear();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "the stream ended");
        if let Some(told) = line.strip_prefix("event: ") {
            told.trim().clone_into(&mut name);
        }
        if let Some(data) = line.strip_prefix("data: ") {
            return (name, serde_json::from_str(data).unwrap());
        }
    }
}

pub async fn a_log_is_followed_to_its_end(store: &Store, page: &Page, _: &Seeded) {
    let run = crate::seed::start(store, &crate::seed::chain("log", "p", &["a"])).await;
    let say = async |text: &str| {
        let line = LogLine { ts: Utc::now(), level: "info", message: text.to_owned() };
        logs::append(store, &run, "a", 1, &[line]).await.unwrap();
    };
    say("one").await;
    let path = format!("/api/board/runs/{run}/logs");
    let mut stream = BufReader::new(page.open("GET", &path, &[], "").await);
    let (name, first) = event(&mut stream).await;
    assert_eq!((name.as_str(), &first[0]["message"]), ("lines", &json!("one")));
    say("two").await;
    let (_, second) = event(&mut stream).await;
    assert_eq!((second.as_array().unwrap().len(), &second[0]["message"]), (1, &json!("two")), "each line once");
    let claimed = claim(store, &run, "a").await;
    control::complete(store, &claimed, StepOutcome::default()).await.unwrap();
    assert_eq!(event(&mut stream).await.0, "end");
    // One that was cut goes on where it was.
    let resumed = first[0]["id"].to_string();
    let mut stream = BufReader::new(page.open("GET", &path, &[("Last-Event-ID", &resumed)], "").await);
    assert_eq!(event(&mut stream).await.1[0]["message"], "two");
    let mut other = BufReader::new(page.open("GET", &format!("{path}?step=b"), &[], "").await);
    assert_eq!(event(&mut other).await.0, "end", "no line of another step");
}

pub fn without_its_database_the_board_says_so_and_comes_back(
    home: &TestHome,
    runtime: &tokio::runtime::Runtime,
    store: Store,
    (page, mut look): (&Page, Option<Look>),
) {
    runtime.block_on(store.close());
    home.cluster().stop().unwrap();
    // A kept answer may be told once more.
    let until = |status: u16| {
        runtime.block_on(async {
            loop {
                let answer = page.get("/api/board/runs").await;
                if answer.status == status {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    };
    let error = &until(503).json()["error"];
    assert_eq!(error["code"], "database_down");
    assert!(error["do"].as_str().unwrap().contains("traider up"), "{error}");
    assert_eq!(runtime.block_on(page.get("/board/runs")).status, 200, "the page itself needs no database");
    if let Some(look) = &mut look {
        look.sees_no_database();
    }
    let again = Cluster::ensure(&home.home).unwrap();
    assert!(until(200).json().as_array().unwrap().len() > 10);
    if let Some(look) = &mut look {
        look.sees_it_again();
    }
    again.stop().unwrap();
}
