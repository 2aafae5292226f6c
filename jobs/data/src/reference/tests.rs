//! Against a small server of our own that speaks as the documentation says.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// In the hour of [`HOUR`]: the documentation's `last_updated_at`, 1782000000, is 2026-06-21T00:00:00Z.
const NOW_NS: i64 = (1_782_000_000 + 90) * SECOND_NS;
const HOUR: &str = "2026-06-21T00";
const PRICE: &str = r#"{"bitcoin":{"usd":64250.12,"usd_market_cap":1273000000000.1,"usd_24h_vol":28900000000.5,"usd_24h_change":-1.42,"last_updated_at":1782000000}}"#;
const MARKET: &str = r#"{"data":{"total_market_cap":{"usd":2221640488657.3},"total_volume":{"usd":91000000000},"market_cap_percentage":{"btc":57.3,"eth":11.9},"updated_at":1782000000}}"#;

/// Answers each connection with the next status and body, and hangs up; hands back what was asked for.
fn serve(answers: &[(&str, &str)]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
    let answers: Vec<_> = answers.iter().map(|(status, body)| ((*status).to_owned(), (*body).to_owned())).collect();
    let server = std::thread::spawn(move || {
        let one = |(status, body): &(String, String)| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let first = lines.next().unwrap();
            lines.find(String::is_empty);
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
            first.split(' ').nth(1).unwrap().to_owned()
        };
        answers.iter().map(one).collect()
    });
    (url, server)
}

struct Case {
    _dir: tempfile::TempDir,
    home: Home,
}

impl Case {
    fn new() -> Case {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path()));
        home.prepare().unwrap();
        Case { _dir: dir, home }
    }
    fn gather(&self, url: &str, coins: &[&str], now_ns: i64) -> Result<Gathered, StepError> {
        let coins = coins.iter().map(|c| (*c).to_owned()).collect();
        let job =
            ReferencePrices { hour: HOUR.to_owned(), coins, currency: "usd".to_owned(), url: Some(url.to_owned()) };
        self.block(gather(&self.home, &job, now_ns))
    }
    fn block<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }
    fn rows(&self, instrument: &str) -> (u32, Vec<ReferenceRow>) {
        let lake = Lake::local(&self.home.lake()).unwrap();
        let day = Day::of_ns(NOW_NS);
        let partition = Partition::new("reference", "coingecko", instrument, day).unwrap();
        let (manifest, rows) = self.block(lake.read_rows(&partition)).unwrap();
        assert!(manifest.facts["attribution"].contains("CoinGecko"), "the free terms demand it");
        (manifest.version, rows)
    }
}

#[test]
fn an_hour_is_asked_for_once_and_stored_with_both_times() {
    let case = Case::new();
    let (url, server) = serve(&[("200 OK", PRICE), ("200 OK", MARKET)]);
    let done = case.gather(&url, &["bitcoin"], NOW_NS).unwrap();
    let asked = server.join().unwrap();
    assert_eq!(
        asked,
        [
            "/api/v3/simple/price?ids=bitcoin&vs_currencies=usd&include_market_cap=true&include_24hr_vol=true\
             &include_24hr_change=true&include_last_updated_at=true&precision=full",
            "/api/v3/global"
        ]
    );
    assert_eq!((done.asked, done.outputs.len()), (2, 2));
    let (version, rows) = case.rows("bitcoin");
    let told: Vec<_> = rows.iter().map(|r| (r.measure.as_str(), r.unit.as_str(), r.value.as_str())).collect();
    let want = [
        ("change_24h", "percent", "-1.42"),
        ("market_cap", "usd", "1273000000000.1"),
        ("price", "usd", "64250.12"),
        ("volume_24h", "usd", "28900000000.5"),
    ];
    assert_eq!((version, told.as_slice()), (1, want.as_slice()));
    let times = (1_782_000_000 * SECOND_NS, 1_782_000_000 * SECOND_NS, NOW_NS);
    assert!(rows.iter().all(|r| (r.ts_hour_ns, r.ts_venue_ns, r.ts_recv_ns) == times));
    let (_, market) = case.rows("GLOBAL");
    assert!(market.iter().any(|r| r.measure == "dominance_btc" && r.value == "57.3"), "{market:?}");
    // Nobody listens any more: the hour is known, so nobody is asked, and nothing changes.
    let again = case.gather(&url, &["bitcoin"], NOW_NS + 60 * SECOND_NS).unwrap();
    assert_eq!((again.asked, again.outputs, case.rows("bitcoin")), (0, done.outputs, (1, rows)));
}

#[test]
fn what_failed_is_asked_again_and_what_is_known_is_not() {
    let case = Case::new();
    let (url, server) = serve(&[("200 OK", PRICE), ("500 Oh", "")]);
    assert!(matches!(case.gather(&url, &["bitcoin"], NOW_NS), Err(StepError::Transient(_))));
    server.join().unwrap();
    let (url, server) = serve(&[("200 OK", PRICE), ("200 OK", MARKET)]);
    assert_eq!(case.gather(&url, &["bitcoin"], NOW_NS).unwrap().asked, 2, "nothing of the first was kept");
    server.join().unwrap();
    let case = Case::new();
    let (url, server) = serve(&[("200 OK", PRICE), ("200 OK", MARKET)]);
    assert_eq!(case.gather(&url, &["bitcoin"], NOW_NS).unwrap().asked, 2);
    server.join().unwrap();
    let other = PRICE.replace("bitcoin", "ethereum");
    let (url, server) = serve(&[("200 OK", other.as_str())]);
    assert_eq!(case.gather(&url, &["bitcoin", "ethereum"], NOW_NS).unwrap().asked, 1);
    assert!(server.join().unwrap()[0].contains("ids=ethereum&"));
}

#[test]
fn old_figures_are_missing_rather_than_old() {
    let case = Case::new();
    let late = PRICE.replace("1782000000", "1781999000");
    let (url, server) = serve(&[("200 OK", late.as_str()), ("200 OK", MARKET)]);
    let done = case.gather(&url, &["bitcoin"], NOW_NS).unwrap();
    server.join().unwrap();
    assert_eq!(done.left_out, ["bitcoin: what is told is older than 600 s"]);
    let made: Vec<&str> = done.outputs.iter().map(|o| o.asset.as_str()).collect();
    assert_eq!(made, ["reference/coingecko/GLOBAL"]);
    // All of it old: tried again.
    let case = Case::new();
    let old = MARKET.replace("1782000000", "1781999000");
    let (url, server) = serve(&[("200 OK", late.as_str()), ("200 OK", old.as_str())]);
    assert!(matches!(case.gather(&url, &["bitcoin"], NOW_NS), Err(StepError::Transient(_))));
    server.join().unwrap();
}

#[test]
fn too_many_means_patience_for_a_minute_for_everybody() {
    let case = Case::new();
    let body = r#"{"status":{"error_code":429,"error_message":"You've exceeded the Rate Limit"}}"#;
    let (url, server) = serve(&[("429 Too Many Requests", body)]);
    let minute = Duration::from_secs(60);
    assert_eq!(
        case.gather(&url, &["bitcoin"], NOW_NS).unwrap_err(),
        StepError::RateLimited { retry_after: minute },
        "it does not say for how long"
    );
    server.join().unwrap();
    let Err(StepError::RateLimited { retry_after }) = case.gather(&url, &["bitcoin"], NOW_NS) else { panic!("asked") };
    assert!(retry_after <= minute && retry_after > Duration::from_secs(30), "{retry_after:?}");
}

#[test]
fn our_own_budget_ends_before_theirs() {
    let case = Case::new();
    // Four of five a minute: the rest is for what matters more.
    let (url, server) = serve(&[("500 Oh", ""); 4]);
    for _ in 0..4 {
        assert!(matches!(case.gather(&url, &["bitcoin"], NOW_NS), Err(StepError::Transient(_))));
    }
    assert_eq!(server.join().unwrap().len(), 4, "failed questions count too");
    assert!(matches!(case.gather(&url, &["bitcoin"], NOW_NS), Err(StepError::RateLimited { .. })));
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_not() {
    let kind = |status: &str, body: &str| {
        let case = Case::new();
        let (url, server) = serve(&[(status, body)]);
        let error = case.gather(&url, &["bitcoin"], NOW_NS).unwrap_err();
        server.join().unwrap();
        error.kind()
    };
    assert_eq!(kind("403 Forbidden", "<html>error code: 1020</html>"), "transient", "the network's guard");
    assert_eq!(kind("408 Request Timeout", ""), "transient");
    assert_eq!(kind("503 Service Unavailable", ""), "transient");
    assert_eq!(kind("200 OK", "<html>wait</html>"), "transient");
    assert_eq!(
        kind("401 Unauthorized", r#"{"status":{"error_code":10002,"error_message":"API Key Missing"}}"#),
        "permanent"
    );
    assert_eq!(
        kind("400 Bad Request", r#"{"status":{"error_code":10011,"error_message":"change your root URL"}}"#),
        "permanent"
    );
}

#[test]
fn only_the_hour_that_is_now_and_only_ids_can_be_asked_for() {
    let case = Case::new();
    let nobody = "http://127.0.0.1:9";
    for now_ns in [NOW_NS - HOUR_NS, NOW_NS + HOUR_NS] {
        let Err(StepError::Permanent(why)) = case.gather(nobody, &["bitcoin"], now_ns) else { panic!("asked") };
        assert!(why.contains("stays missing"), "{why}");
    }
    for bad in ["BTC", "a/b", "", "bitcoin&x=1", "..", "GLOBAL"] {
        assert!(matches!(case.gather(nobody, &[bad], NOW_NS), Err(StepError::Permanent(_))), "{bad}");
    }
    assert!(matches!(case.gather("http://example.com", &["bitcoin"], NOW_NS), Err(StepError::Permanent(_))));
}
