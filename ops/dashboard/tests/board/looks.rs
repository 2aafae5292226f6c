//! How the board looks and works in a real browser. The pictures are in `target/screenshots/`.

use crate::browser::{self, Browser};
use crate::seed::Seeded;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use store::testing::TestHome;
use store::{Store, view};

/// The real program, ended with the test.
struct Program {
    process: Child,
    open: String,
    url: String,
}

impl Program {
    fn start(home: &TestHome) -> Program {
        let mut process = Command::new(env!("CARGO_BIN_EXE_traider-dashboard"))
            .arg("--home")
            .arg(home.home.root())
            .args(["--parent-pid", &std::process::id().to_string()])
            .env_remove("DATABASE_URL")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        Program { process, open: text("open"), url: text("url") }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A browser that has looked at everything, left open at the list of runs.
pub struct Look {
    browser: Browser,
    _page: Program,
}

impl Look {
    /// Waits until the page says that its database is away.
    pub fn sees_no_database(&mut self) {
        self.browser.wait_text("The database does not answer");
        keep("database-down-1280-dark.png", &self.browser.picture());
    }

    /// Waits until the page has recovered by itself.
    pub fn sees_it_again(&mut self) {
        let well = "document.getElementById('trouble').hidden && document.getElementById('fresh').innerText.includes('up to date')";
        self.browser.wait(well);
    }
}

/// Nothing where there is no browser; that is reported.
pub fn the_board_in_a_browser(home: &TestHome, store: &Store, runtime: &tokio::runtime::Runtime) -> Option<Look> {
    let Some(program) = browser::find() else {
        recorded::skipped("the_board_in_a_browser", "no chromium on the PATH");
        return None;
    };
    let seeded = runtime.block_on(newest(store));
    let page = Program::start(home);
    let mut browser = Browser::start(&program);
    browser.size(1280, 800, "dark");
    browser.open(&page.open);
    browser.wait_text("Am I safe right now?");
    browser.wait("location.hash === '' && localStorage.getItem('token').length === 32");
    every_page(&mut browser, &page, &seeded);
    the_buttons(&mut browser, &page, &seeded);
    nothing_is_asked_while_nobody_looks(&mut browser, &page);
    assert_eq!(browser.complaints, Vec::<String>::new());
    without_a_token(&mut browser, &page);
    browser.open(&format!("{}board/runs", page.url));
    browser.wait_text("fell silent");
    Some(Look { browser, _page: page })
}

/// The cases before this one have changed things: what is looked at is what there is now.
async fn newest(store: &Store) -> Seeded {
    let filter = view::RunFilter { workflow: Some("daily".to_owned()), limit: 200, ..view::RunFilter::default() };
    let known = view::list_runs(store, &filter).await.unwrap();
    let id = |state: &str, backfill: bool| {
        known.iter().find(|run| run.state == state && run.backfill.is_some() == backfill).unwrap().id.clone()
    };
    let day = known.iter().find(|run| run.state == "done" && run.backfill.is_none()).unwrap().partition.clone();
    let dead = view::dead(store, 1).await.unwrap().remove(0).run;
    let backfills = store::backfill::list(store, 10).await.unwrap();
    let backfill = backfills.into_iter().find(|b| b.workflow == "daily").unwrap().id;
    Seeded { failed: id("failed", false), running: id("running", false), dead, backfill, day }
}

fn every_page(browser: &mut Browser, page: &Program, seeded: &Seeded) {
    let asset = format!("assets/features/btcusdt?partition={}", seeded.day);
    let pages: [(&str, String, &[&str]); 14] = [
        ("front", String::new(), &["Board", "Not running", "validate[kraken]"]),
        ("workflows", "board".to_owned(), &["daily", "validate[kraken]", "nightly"]),
        ("workflow", "board/workflows/daily".to_owned(), &["partition", "features"]),
        ("runs", "board/runs".to_owned(), &["backfill", "minutes are missing"]),
        (
            "run-failed",
            format!("board/runs/{}", seeded.failed),
            &["Retry failed", "history holds", "Run again from here", "trades/binance"],
        ),
        (
            "run-running",
            format!("board/runs/{}", seeded.running),
            &["610/1,440 minutes", "left", "Cancel", "the venue answered 503"],
        ),
        ("schedules", "board/schedules".to_owned(), &["the archive disk is being replaced", "ledger-check", "Resume"]),
        ("schedule", "board/schedules/hourly".to_owned(), &["Last 20 slots", "missed"]),
        ("backfills", "board/backfills".to_owned(), &["8/24", "--dry-run", "Pause"]),
        ("assets", "board/assets".to_owned(), &["features/btcusdt", "48.2 MB"]),
        ("asset", format!("board/{asset}"), &["trades/binance", "reports/daily", "newest"]),
        ("workers", "board/workers".to_owned(), &["critical", "610/1,440", "waits for work"]),
        ("dead", "board/dead".to_owned(), &["replay", "Requeue", "Discard"]),
        ("alerts", "board/alerts".to_owned(), &["minutes are missing", "Recovered"]),
    ];
    for (name, path, texts) in &pages {
        browser.open(&format!("{}{path}", page.url));
        for text in *texts {
            browser.wait_text(text);
        }
        for (width, height, scheme) in [(1280, 800, "dark"), (1280, 800, "light"), (390, 844, "dark")] {
            browser.size(width, height, scheme);
            let wide = browser.value("document.documentElement.scrollWidth - innerWidth").as_i64().unwrap();
            let picture = browser.picture();
            keep(&format!("{name}-{width}-{scheme}.png"), &picture);
            assert!(wide <= 0, "{name} is {wide} px too wide at {width}");
        }
        browser.size(1280, 800, "dark");
    }
}

/// A press, a question, an answer, and the page shows what has changed.
fn the_buttons(browser: &mut Browser, page: &Program, seeded: &Seeded) {
    let press = |browser: &mut Browser, inside: &str, label: &str| {
        let button =
            format!("[...document.querySelectorAll('{inside} button')].find((b) => b.textContent === '{label}')");
        browser.wait(&format!("{button} !== undefined"));
        browser.value(&format!("{button}.click()"));
    };
    browser.open(&format!("{}board/workers", page.url));
    press(browser, "main", "Pause");
    browser.wait("document.querySelector('dialog input') !== null");
    browser.value("document.querySelector('dialog input').value = 'the venue is down'");
    keep("question-1280-dark.png", &browser.picture());
    press(browser, "dialog", "Pause");
    browser.wait_text("the venue is down");
    press(browser, "main", "Resume");
    press(browser, "dialog", "Resume");
    browser.wait("!document.body.innerText.includes('the venue is down')");

    browser.open(&format!("{}board/runs/{}", page.url, seeded.failed));
    press(browser, "main", "Retry failed");
    press(browser, "dialog", "Retry");
    browser.wait_text("run retried");
    // The log stays where its reader scrolled to.
    browser.open(&format!("{}board/runs/{}", page.url, seeded.running));
    browser.wait_text("the venue answered 503");
    browser.value("document.querySelector('.log').scrollTop = 0");
    browser.wait("[...document.querySelectorAll('button')].some((b) => b.textContent === '↓ newest' && !b.hidden)");
    browser.value("document.querySelector('select[aria-label=Level]').value = 'error'; document.querySelector('select[aria-label=Level]').dispatchEvent(new Event('change'))");
    browser.wait("!document.querySelector('.log').innerText.includes('holds:') && document.querySelector('.log').innerText.includes('503')");
}

fn nothing_is_asked_while_nobody_looks(browser: &mut Browser, page: &Program) {
    let hidden = "Object.defineProperty(document, 'hidden', { value: true, configurable: true })";
    let script = browser.first(hidden);
    browser.requests.clear();
    browser.open(&format!("{}board/alerts", page.url));
    // The script ends by asking whether the token counts: what it would ask of data, it has asked by then.
    browser.wait("document.title.startsWith('alerts') && document.readyState === 'complete'");
    let asked = |requests: &[String]| requests.iter().any(|url| url.ends_with("/api/board/alerts"));
    assert!(!asked(&browser.requests), "{:?}", browser.requests);
    browser.no_longer_first(&script);
    browser.value("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))");
    browser.wait_text("fell silent");
    assert!(asked(&browser.requests), "{:?}", browser.requests);
}

/// Who has no token can look, and is told how to get one. The refusal is in the console, as it should be.
fn without_a_token(browser: &mut Browser, page: &Program) {
    browser.value("localStorage.clear()");
    browser.open(&format!("{}board/dead", page.url));
    browser.wait_text("You can look at everything");
    browser.wait_text("replay");
    browser.wait("getComputedStyle(document.querySelector('main .act')).pointerEvents === 'none'");
    keep("locked-1280-dark.png", &browser.picture());
}

/// Keeps a picture beside the build.
fn keep(name: &str, base64: &str) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), decoded(base64)).unwrap();
}

fn decoded(base64: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::with_capacity(base64.len());
    for four in base64.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four.iter().fold(0u32, |bits, byte| bits << 6 | u32::from(value(*byte))) << (6 * (4 - four.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}
