//! The page over real sockets: a daemon that answers from a can, a browser that is a few lines of HTTP.

use crate::{App, loopback, web};
use serde_json::{Value, json};
use settings::Home;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;

/// A view with the field names of the engine's.
fn view(now_ns: u64) -> Value {
    json!({
        "now_ns": now_ns, "run": "01JTESTRUN", "epoch": 3,
        "instruments": [{
            "id": 0, "symbol": "BTCUSDT", "venue": "binance", "base": "BTC", "quote": "USDT", "version": 1,
            "book": {"state": "live", "reason": "", "last_id": 5, "age_ms": 12, "bids": [["60000.00", "0.5"]],
                     "asks": [["60000.01", "0.4"]], "mid": "60000.005", "spread_bps": 0.0017},
            "last_trade": null, "bars_1s": [], "bars_1m": [], "features": [],
            "position": {"qty": "0.02", "sellable": "0.02", "price": "60000.1", "value": "1200"},
            "pnl": {"realized": "0", "unrealized": "0", "fees": "0.9", "net": "-0.9"}, "markers": []
        }],
        "pnl": {"USDT": {"realized": "0", "unrealized": "0", "fees": "0.9", "net": "-0.9", "day_net": "-0.9"}},
        "fees": {"USDT": "0.9"}, "balances": {}, "orders": [], "decisions": [],
        "safety": {"halted": false, "reason": null, "can_trade": true, "reasons": []},
        "stats": {"events": 9}, "effects_count": 1, "effects_hash": "00"
    })
}

/// Answers every line of every connection: a view out of the channel, or a status. Everything ends with the task.
fn daemon(socket: &Path, view: watch::Receiver<Value>) -> tokio::task::JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        let mut clients = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let view = view.clone();
            clients.spawn(async move {
                let mut lines = BufReader::new(stream).lines();
                while let Some(line) = lines.next_line().await.unwrap() {
                    let answer = match serde_json::from_str::<Value>(&line).unwrap() {
                        request if request == json!({"get": "view"}) => view.borrow().clone(),
                        request if request == json!({"get": "status"}) => json!({"frames": 12, "stats": {}}),
                        other => panic!("{other}"),
                    };
                    let text = format!("{answer}\n");
                    lines.get_mut().get_mut().write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    })
}

async fn page() -> (TempDir, Home, SocketAddr) {
    let dir = tempfile::Builder::new().prefix("trd-page-").tempdir_in("/tmp").unwrap();
    let home = Home::locate(Some(dir.path()));
    home.prepare().unwrap();
    let listener = TcpListener::bind(loopback([127, 0, 0, 1].into(), 0).unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = web::router(App::start(home.clone(), crate::token::Token::random().unwrap()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (dir, home, address)
}

async fn request(address: SocketAddr, path: &str, host: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Status line and headers, then body.
async fn get_as(address: SocketAddr, path: &str, host: &str) -> (String, String) {
    let mut text = String::new();
    request(address, path, host).await.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

async fn get(address: SocketAddr, path: &str) -> (String, String) {
    get_as(address, path, "127.0.0.1:8420").await
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), test).await.expect("the page answers") });
}

#[test]
fn the_page_and_its_parts_come_from_here_alone() {
    run(async {
        let (_dir, _home, address) = page().await;
        let mut wanted = vec!["/".to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(path) = wanted.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            let (head, body) = get(address, &path).await;
            assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
            assert!(head.contains("content-security-policy: default-src 'self'") && !head.contains("unsafe"), "{head}");
            assert!(head.contains("x-content-type-options: nosniff") && !head.contains("access-control"), "{head}");
            // Names of XML vocabularies are not fetched.
            let fetched = body.replace("http://www.w3.org/2000/svg", "");
            for outside in ["http://", "https://", "src=\"//", "href=\"//", "@import", "url("] {
                assert!(!fetched.contains(outside), "{path} holds {outside}");
            }
            for inline in ["<style", "style=\"", "onclick=\"", "javascript:", "eval(", "innerHTML"] {
                assert!(!body.contains(inline), "{path} holds {inline}");
            }
            for quoted in body.split('"').filter(|q| q.starts_with("./") && q.ends_with(".js")) {
                wanted.push(quoted.trim_start_matches('.').to_owned());
            }
            for attribute in ["src=\"", "href=\""] {
                wanted
                    .extend(body.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
            }
        }
        for path in
            ["/", "/style.css", "/icon.svg", "/board", "/board/dead", "/board.css", "/board-logs.js", "/token.js"]
        {
            assert!(seen.contains(path), "{path} is not reached: {seen:?}");
        }
    });
}

#[test]
fn foreign_names_and_foreign_addresses_are_refused() {
    run(async {
        let (_dir, _home, address) = page().await;
        for host in ["evil.example", "127.0.0.1.evil.example:8420", "10.1.2.3"] {
            let (head, body) = get_as(address, "/api/view", host).await;
            assert!(head.starts_with("http/1.1 421"), "{host}: {head}");
            assert!(!body.contains("daemon"), "{body}");
        }
        assert!(get_as(address, "/", "localhost:9").await.0.starts_with("http/1.1 200"));
    });
    let refused = loopback([0, 0, 0, 0].into(), 1).unwrap_err().to_string();
    assert!(refused.contains("this machine only"), "{refused}");
}

/// The next frame of a stream.
async fn frame(stream: &mut BufReader<TcpStream>) -> Value {
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "the stream ended");
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str(data).unwrap();
        }
    }
}

#[test]
fn the_stream_follows_the_daemon_through_down_up_and_change() {
    run(async {
        let (_dir, home, address) = page().await;
        let mut stream = BufReader::new(request(address, "/events", "localhost").await);
        let first = frame(&mut stream).await;
        assert_eq!(first["link"]["daemon"], "down");
        assert!(first["link"]["why"].as_str().unwrap().contains("not running"), "{first}");

        let (change, views) = watch::channel(view(1));
        let server = daemon(&home.daemon_socket(), views);
        let up = loop {
            let next = frame(&mut stream).await;
            if next.get("link").is_some() {
                break next;
            }
        };
        assert_eq!((&up["link"]["daemon"], &up["link"]["run"]["id"]), (&json!("up"), &json!("01JTESTRUN")));
        assert_eq!(up["instruments/0/position"]["qty"], "0.02");
        change.send_replace(view(2));
        let changed = loop {
            let next = frame(&mut stream).await;
            if next != json!({}) {
                break next;
            }
        };
        assert_eq!(changed, json!({"now_ns": 2}), "only what is new is sent");

        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        let gone = loop {
            let next = frame(&mut stream).await;
            if next.get("link").is_some() {
                break next;
            }
        };
        assert_eq!((&gone["link"]["daemon"], &gone["safety"]), (&json!("down"), &Value::Null));
    });
}

#[test]
fn one_answer_status_and_runs_work_with_and_without_a_daemon_and_never_need_the_database() {
    run(async {
        let (_dir, home, address) = page().await;
        let json_of = |body: &str| -> Value { serde_json::from_str(body).unwrap() };
        assert_eq!(json_of(&get(address, "/api/view").await.1)["link"]["daemon"], "down");
        let (_keep, views) = watch::channel(view(7));
        let server = daemon(&home.daemon_socket(), views);
        let view = json_of(&get(address, "/api/view").await.1);
        assert_eq!((&view["now_ns"], &view["status"]), (&json!(7), &json!({"frames": 12})));
        let status = json_of(&get(address, "/api/status").await.1);
        assert_eq!((&status["safety"]["can_trade"], &status["link"]["daemon"]), (&json!(true), &json!("up")));
        if std::env::var_os("DATABASE_URL").is_none() {
            let runs = json_of(&get(address, "/api/runs").await.1);
            assert_eq!((&runs["store"], &runs["runs"]), (&json!("down"), &json!([])));
            assert!(runs["why"].as_str().unwrap().contains("not running"), "{runs}");
        }
        server.abort();
    });
}

#[test]
fn a_daily_report_is_served_with_a_policy_of_its_own_and_nothing_else_of_the_home_is() {
    run(async {
        let (_dir, home, address) = page().await;
        let folder = home.reports().join("day=2026-11-20");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("report.html"), "<h1>day</h1>").unwrap();
        assert_eq!(get(address, "/api/reports").await.1, r#"{"days":[]}"#, "unfinished: it has no manifest");
        std::fs::write(folder.join("manifest.json"), "{}").unwrap();
        assert_eq!(get(address, "/api/reports").await.1, r#"{"days":["2026-11-20"]}"#);
        let (head, body) = get(address, "/reports/2026-11-20").await;
        assert!(head.contains("default-src 'none'; style-src 'unsafe-inline'"), "{head}");
        assert_eq!(body, "<h1>day</h1>");
        for path in ["/reports/2026-11-21", "/reports/..%2f..%2fhome.id", "/reports/day", "/home.id"] {
            assert!(get(address, path).await.0.starts_with("http/1.1 404"), "{path}");
        }
    });
}
