//! Alerts over real sockets into a real Postgres.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic like the tests themselves")]

use chrono::{Duration, Utc};
use settings::config::{Unlisted, Webhook};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;
use store::Store;
use store::testing::TestHome;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use webhook::gate::Secret;
use webhook::server::{BODY_MAX, Receiver, router};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const TRADINGVIEW: &str = "52.89.214.238";
const JSON: &str = "application/json; charset=utf-8";

fn settings() -> Webhook {
    Webhook {
        enabled: true,
        bind: "127.0.0.1:0".parse().unwrap(),
        secret_file: String::new(),
        allow: vec![TRADINGVIEW.parse().unwrap(), "127.0.0.1".parse().unwrap()],
        unlisted: Unlisted::Refuse,
        trust_forwarded: true,
        per_minute_max: 1000,
    }
}

fn secret() -> Secret {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, SECRET).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Secret::read(&path).unwrap()
}

async fn serve(store: &Store, settings: Webhook) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(Arc::new(Receiver::new(store.clone(), secret(), settings)));
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    address
}

/// Sends a request as it stands; returns the status and what came after the header.
async fn raw(at: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn post(at: SocketAddr, path: &str, from: &str, kind: &str, body: &str) -> u16 {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: hook\r\nConnection: close\r\nX-Forwarded-For: {from}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, said) = raw(at, request.as_bytes()).await;
    assert_eq!(said, "", "nobody is told more than a status");
    status
}

/// The message of our page with an id of its own.
fn message(id: &str) -> String {
    let (bar, fired) = (Utc::now() - Duration::minutes(5), Utc::now());
    format!(
        r#"{{"v":1,"id":"{id}","route":"tv-main","strategy":"ema_cross","exchange":"BINANCE","ticker":"BTCUSDT","tf":"5",
        "side":"buy","position":"long","price":"64250.12","bar_time":"{}","fired":"{}","secret":"{SECRET}"}}"#,
        bar.to_rfc3339(),
        fired.to_rfc3339()
    )
}

async fn count(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM traider.webhook_alert").fetch_one(&store.pool).await.unwrap()
}

const HOOK: &str = "/hooks/tradingview";

#[test]
fn alerts_are_kept_once_before_they_are_acknowledged() {
    let home = TestHome::start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = home.store().await.unwrap();
        one_row_is_one_vote(&store).await;
        strangers_and_nonsense_leave_nothing(&store).await;
        many_at_once_are_one(&store).await;
        a_minute_has_an_end(&store).await;
        the_minute_before_counts_too(&store).await;
        a_list_can_be_for_the_log_only(&store).await;
        who_sends_half_a_message_is_not_waited_for(&store).await;
        the_program_keeps_what_comes_and_ends_when_told(&home, &store).await;
        store.close().await;
    });
    runtime.block_on(without_the_database_nothing_is_acknowledged(&home));
}

async fn one_row_is_one_vote(store: &Store) {
    let at = serve(store, settings()).await;
    let alert = message("one");
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &alert).await, 200);
    type Row = (String, String, String, Option<i16>, Option<bool>, String);
    let row: Row = sqlx::query_as(
        "SELECT sender, strategy, ticker, vote, provisional, body FROM traider.webhook_alert WHERE route = 'tv-main'",
    )
    .fetch_one(&store.pool)
    .await
    .unwrap();
    assert_eq!((row.0.as_str(), row.1.as_str(), row.2.as_str()), (TRADINGVIEW, "ema_cross", "BTCUSDT"));
    assert_eq!((row.3, row.4), (Some(1), Some(false)));
    assert!(row.5.contains("64250.12") && !row.5.contains(SECRET), "{}", row.5);
    // Sent again because the answer was late, and as plain text, as JSON with a broken placeholder comes.
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &alert).await, 200);
    assert_eq!(post(at, HOOK, TRADINGVIEW, "text/plain", &alert).await, 200);
    assert_eq!(count(store).await, 1);
    let behind = format!("{HOOK}/{SECRET}");
    assert_eq!(post(at, &behind, TRADINGVIEW, "text/plain; charset=utf-8", "BTCUSDT \u{1f680} at NaN").await, 200);
    assert_eq!(count(store).await, 2);
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM traider.orders").fetch_one(&store.pool).await.unwrap();
    assert_eq!(orders, 0);
}

async fn strangers_and_nonsense_leave_nothing(store: &Store) {
    let at = serve(store, settings()).await;
    let before = count(store).await;
    let alert = message("strange");
    assert_eq!(post(at, HOOK, "203.0.113.9", JSON, &alert).await, 403);
    assert_eq!(
        post(at, HOOK, &format!("{TRADINGVIEW}, 203.0.113.9"), JSON, &alert).await,
        403,
        "the last is who it is"
    );
    assert_eq!(post(at, HOOK, "", JSON, &alert).await, 403, "the relay must name somebody");
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &alert.replace(SECRET, "x")).await, 403);
    assert_eq!(post(at, &format!("{HOOK}/wrong"), TRADINGVIEW, JSON, &alert).await, 403);
    assert_eq!(post(at, HOOK, TRADINGVIEW, "application/x-www-form-urlencoded", &alert).await, 415);
    assert_eq!(post(at, "/", TRADINGVIEW, JSON, &alert).await, 404);
    let long = alert.replace("tv-main", &"x".repeat(BODY_MAX));
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &long).await, 413);
    let old = alert.replace(&Utc::now().format("%Y").to_string(), "2019");
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &old).await, 400);
    let get = format!("GET {HOOK} HTTP/1.1\r\nHost: hook\r\nConnection: close\r\n\r\n");
    assert_eq!(raw(at, get.as_bytes()).await.0, 405);
    assert_eq!(count(store).await, before);
}

async fn many_at_once_are_one(store: &Store) {
    let at = serve(store, settings()).await;
    let (before, alert) = (count(store).await, message("at once"));
    let all: Vec<_> = (0..8)
        .map(|_| {
            let alert = alert.clone();
            tokio::spawn(async move { post(at, HOOK, TRADINGVIEW, JSON, &alert).await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(count(store).await, before + 1);
}

async fn a_minute_has_an_end(store: &Store) {
    // So few that none comes back while the test runs.
    let at = serve(store, Webhook { per_minute_max: 1, ..settings() }).await;
    let before = count(store).await;
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &message("rate").replace(SECRET, "x")).await, 403, "uses nothing up");
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &message("rate 1")).await, 200);
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &message("rate 2")).await, 429);
    assert_eq!(count(store).await, before + 1);
}

async fn the_minute_before_counts_too(store: &Store) {
    let keep = async |text: &str, at: &str| {
        let read = webhook::message::read(text.as_bytes(), Some(SECRET), &secret(), String::new(), at.parse().unwrap());
        store::webhook::keep(store, &read.unwrap()).await.unwrap()
    };
    assert!(keep("up", "2026-07-01T12:04:50Z").await);
    assert!(!keep("up", "2026-07-01T12:04:59Z").await);
    assert!(!keep("up", "2026-07-01T12:05:10Z").await, "20 s later, in another minute");
    assert!(keep("down", "2026-07-01T12:05:10Z").await);
    assert!(keep("up", "2026-07-01T12:05:51Z").await, "61 s later it is another alert");
}

async fn a_list_can_be_for_the_log_only(store: &Store) {
    let at = serve(store, Webhook { unlisted: Unlisted::Log, ..settings() }).await;
    assert_eq!(post(at, HOOK, "203.0.113.9", JSON, &message("moved")).await, 200);
    assert_eq!(post(at, HOOK, "203.0.113.9", JSON, &message("moved").replace(SECRET, "x")).await, 403);
}

async fn who_sends_half_a_message_is_not_waited_for(store: &Store) {
    let at = serve(store, settings()).await;
    let half = format!(
        "POST {HOOK} HTTP/1.1\r\nHost: hook\r\nConnection: close\r\nX-Forwarded-For: {TRADINGVIEW}\r\n\
         Content-Type: {JSON}\r\nContent-Length: 100\r\n\r\n{{"
    );
    assert_eq!(raw(at, half.as_bytes()).await.0, 503);
}

async fn the_program_keeps_what_comes_and_ends_when_told(home: &TestHome, store: &Store) {
    let config = home.home.config();
    std::fs::create_dir_all(&config).unwrap();
    let program = || {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_traider-webhook"));
        command
            .arg("--home")
            .arg(home.home.root())
            .env_remove("DATABASE_URL")
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    };
    let refused = async || {
        let told = program().stderr(Stdio::piped()).output().await.unwrap();
        assert_eq!(told.status.code(), Some(3));
        String::from_utf8(told.stderr).unwrap()
    };
    assert!(refused().await.contains("webhook.enabled is false"));
    let text = "[webhook]\nenabled = true\nbind = \"127.0.0.1:0\"\nallow = [\"127.0.0.1\"]\n";
    std::fs::write(config.join("traider.toml"), text).unwrap();
    assert!(refused().await.contains("openssl rand"));
    let secret = config.join("webhook.secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();

    let before = count(store).await;
    let mut child = program().spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).await.unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let at = ready["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        post(at, HOOK, "203.0.113.9", JSON, &message("program")).await,
        200,
        "the tunnel names nobody we believe"
    );
    assert_eq!(count(store).await, before + 1);
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
    assert!(child.wait().await.unwrap().success());
    assert_eq!(count(store).await, before + 1, "the database goes on for its other users");
}

async fn without_the_database_nothing_is_acknowledged(home: &TestHome) {
    let store = home.store().await.unwrap();
    let at = serve(&store, settings()).await;
    let before = count(&store).await;
    // Somebody else holds the table: the answer comes before the sender gives up, and it is no yes.
    let mut holder = store.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE traider.webhook_alert IN EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &message("held")).await, 503);
    holder.rollback().await.unwrap();
    assert!(count(&store).await - before <= 1);
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &message("held")).await, 200, "it may be sent again");
    assert_eq!(count(&store).await - before, 1);
    home.cluster().stop().unwrap();
    assert_eq!(post(at, HOOK, TRADINGVIEW, JSON, &message("down")).await, 503);
}
