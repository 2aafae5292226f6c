//! What people and other programs write to us: settings, workflows, jobs, alerts, names of venues, replies of Redis.

use crate::corpus;
use crate::files::Scratch;
use chrono::{DateTime, Utc};
use fanout::redis::Reply;
use flows::Workflow;
use settings::home::Home;
use spec::{Facts, RunPlan};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;
use traiderd::market::Watched;
use webhook::gate::Secret;
use webhook::message::{self, Refusal};

pub(crate) fn redis(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(reply) = Reply::read(&mut rest) {
        let taken = &bytes[..bytes.len() - rest.len()];
        assert!(taken.ends_with(b"\r\n"), "{reply:?} ends within {:?}", String::from_utf8_lossy(taken));
        let written = written(&reply);
        let back = Reply::read(&mut written.as_slice());
        assert!(back.as_ref().is_ok_and(|back| *back == reply), "{reply:?} comes back as {back:?}");
    }
}

/// A reply as the specification writes it.
fn written(reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Text(None) => b"$-1\r\n".to_vec(),
        Reply::Text(Some(text)) => format!("${}\r\n{text}\r\n", text.len()).into_bytes(),
        Reply::Number(n) => format!(":{n}\r\n").into_bytes(),
        Reply::Error(text) => format!("-{text}\r\n").into_bytes(),
        Reply::Many(all) => {
            let inner: Vec<Vec<u8>> = all.iter().map(written).collect();
            [format!("*{}\r\n", all.len()).into_bytes(), inner.concat()].concat()
        }
    }
}

/// The examples of the protocol's specification, and what is near them.
pub(crate) fn redis_seeds() -> Vec<Vec<u8>> {
    const EXAMPLES: [&str; 7] = [
        "+OK\r\n-Error message\r\n:1000\r\n",
        "$5\r\nhello\r\n$0\r\n\r\n$-1\r\n",
        "*2\r\n$5\r\nhello\r\n$5\r\nworld\r\n",
        "*3\r\n:1\r\n*2\r\n+Hello\r\n-World\r\n$2\r\n\r\n\r\n",
        "*0\r\n*-1\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        "*4\r\n$5\r\nhelloxx+A\r\n:-9223372036854775808\r\n$1048576\r\n",
    ];
    EXAMPLES.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn watched(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(watched) = Watched::parse(&text) else { return };
    assert!(!watched.symbols.is_empty());
    assert!(watched.symbols.iter().all(|s| !s.is_empty() && s.trim() == s && text.contains(s.as_str())));
    assert!(venues::adapter::adapter(watched.venue).is_some());
    let again = format!("{}={};{}", watched.venue, watched.endpoints.rest, watched.symbols.join(","));
    let again = Watched::parse(&again).unwrap_or_else(|e| panic!("{watched:?} is not read again: {e}"));
    assert_eq!((again.venue, &again.symbols), (watched.venue, &watched.symbols));
}

pub(crate) fn watched_seeds() -> Vec<Vec<u8>> {
    const EXAMPLES: [&str; 5] = [
        "kraken:BTC/USD",
        "kraken=http://127.0.0.1:4711;BTC/USD, ETH/USD",
        "binance-usdm:BTCUSDT,ETHUSDT",
        "okx=https://x:1/;BTC-USDT",
        "coinbase=:;,A",
    ];
    EXAMPLES.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const STRATEGY: &[u8] = b"strategy\n";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

static ALERTS: LazyLock<(Secret, DateTime<Utc>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a folder of our own");
    let path = dir.path().join("secret");
    std::fs::write(&path, SECRET).expect("our own file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("our own file");
    let now = "2026-07-01T12:05:01Z".parse().expect("a time");
    (Secret::read(&path).expect("a good secret"), now)
});

pub(crate) fn webhook(bytes: &[u8]) {
    let (secret, now) = &*ALERTS;
    let read = |in_path| message::read(bytes, in_path, secret, "52.89.214.238".to_owned(), *now);
    let wrong = read(Some("0123456789abcdef0123456789abcdeF"));
    assert_eq!(wrong, Err(Refusal::Secret), "another secret opens nothing");
    // Escapes can hide it from this look.
    let text = String::from_utf8_lossy(bytes);
    let knows = text.contains(SECRET) || text.contains('\\');
    for in_path in [None, Some(SECRET)] {
        let Ok(alert) = read(in_path) else { continue };
        assert!(in_path.is_some() || knows, "taken without the secret: {alert:?}");
        assert!(!format!("{alert:?}").contains(SECRET), "the secret is kept: {alert:?}");
        let fields = [&alert.route, &alert.strategy, &alert.exchange, &alert.ticker, &alert.timeframe, &alert.price];
        assert!(fields.iter().all(|field| field.chars().count() <= 200 && !field.contains(char::is_control)));
        assert!(!alert.body.contains('\0') && !alert.body.is_empty());
        assert!(alert.vote.is_none_or(|vote| (-1..=1).contains(&vote)));
        assert_eq!(read(in_path), Ok(alert), "the same alert is the same");
    }
}

pub(crate) fn webhook_seeds() -> Vec<Vec<u8>> {
    let ours = format!(
        r#"{{"v":"1","id":"BTCUSDT-5-2026-07-01T12:00:00Z-ema_cross","route":"tv-main","strategy":"ema_cross","exchange":"BINANCE","ticker":"BTCUSDT","tf":"5","secret":"{SECRET}","side":"buy","position":"long","price":"64250.12","bar_time":"2026-07-01T12:00:00Z","fired":"2026-07-01T12:05:00Z"}}"#
    );
    let short = format!(r#"{{"secret":"{SECRET}","v":1,"tf":"1D","position":"flat","price":NaN}}"#);
    let odd =
        format!(r#"{{"secret":"{SECRET}","{SECRET}":"{SECRET}","tf":"W","bar_time":"2026-07-01T12:00:00Z","n":null}}"#);
    vec![ours.into_bytes(), short.into_bytes(), odd.into_bytes(), b"BTCUSDT crossed 64250\n".to_vec()]
}

/// First line a kind of job, the rest its input; then whatever else is kept as JSON.
pub(crate) fn jobs(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (kind, json) = text.split_once('\n').unwrap_or(("", &text));
    if let (Ok(kind), Ok(input)) = (spec::jobs::kind(kind), serde_json::from_str(json))
        && let Ok(key) = kind.check(&input)
    {
        assert!(key.starts_with(kind.name), "`{key}` is no key of {}", kind.name);
        assert_eq!(kind.check(&input), Ok(key));
    }
    if let Ok(plan) = serde_json::from_str::<RunPlan>(json) {
        let text = serde_json::to_string(&plan).expect("plain data is JSON");
        let back = serde_json::from_str::<RunPlan>(&text);
        let again = back.map(|plan| serde_json::to_string(&plan).expect("plain data is JSON"));
        assert!(again.as_ref().is_ok_and(|again| *again == text), "{text} comes back as {again:?}");
    }
    if let Ok(facts) = serde_json::from_str::<Facts>(json) {
        let text = serde_json::to_string(&facts).expect("plain data is JSON");
        let back = serde_json::from_str::<Facts>(&text);
        assert!(back.as_ref().is_ok_and(|back| *back == facts), "{text} comes back as {back:?}");
    }
}

pub(crate) fn job_seeds() -> Vec<Vec<u8>> {
    let inputs = [
        r#"{"day":"2026-11-20"}"#,
        r#"{"day":"2026-11-20","symbols":["ETHUSDT","BTCUSDT"]}"#,
        r#"{"hour":"2026-11-20T13"}"#,
        r#"{"hour":"2026-11-20T13","coins":["bitcoin"],"currency":"usd"}"#,
    ];
    let kinds = spec::jobs::names();
    kinds.iter().flat_map(|kind| inputs.iter().map(move |input| format!("{kind}\n{input}").into_bytes())).collect()
}

/// A workflow means the same in each of its forms and layouts, and can be planned.
pub(crate) fn workflow(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let laid_out = flows::format(&text);
    if let Ok(laid_out) = &laid_out {
        assert_eq!(flows::format(laid_out).as_ref(), Ok(laid_out), "a layout that is not laid out");
    }
    let read = if text.starts_with('{') { Workflow::parse_json("x", &text) } else { Workflow::parse("x", &text) };
    let Ok(workflow) = read else { return };
    let stored = Workflow::from_definition(workflow.definition());
    assert_eq!(stored.map(|w| w.sha256().to_owned()).as_deref(), Ok(workflow.sha256()), "its definition is another");
    if let Some(laid_out) = laid_out.ok().filter(|_| !text.starts_with('{')) {
        let again = Workflow::parse("x", &laid_out).map(|w| w.sha256().to_owned());
        assert_eq!(again.as_deref(), Ok(workflow.sha256()), "its layout means another:\n{laid_out}");
    }
    let partition = workflow.newest_partition(ALERTS.1).unwrap_or_default();
    // A partition of another kind is refused.
    workflow.plan(&partition, &serde_json::Map::new()).ok();
}

pub(crate) fn workflow_seeds() -> Vec<Vec<u8>> {
    let mut all = corpus::checkout_files("workflows", "toml");
    let definitions = all.iter().filter_map(|text| Workflow::parse("x", std::str::from_utf8(text).ok()?).ok());
    let definitions: Vec<Vec<u8>> = definitions.map(|w| w.definition().to_string().into_bytes()).collect();
    all.extend(definitions);
    all
}

/// The user's settings, or behind the word `strategy` one of the user's strategies.
pub(crate) fn settings(bytes: &[u8]) {
    let own = bytes.strip_prefix(STRATEGY);
    let (name, bytes) = own.map_or(("traider.toml", bytes), |bytes| ("own.toml", bytes));
    Scratch::with(name, bytes, |path| {
        let home = Home::locate(path.parent());
        let mut flags = BTreeMap::new();
        if own.is_some() {
            let strategies = home.config().join("strategies");
            std::fs::create_dir_all(&strategies).expect("our own folder");
            std::fs::copy(path, strategies.join("own.toml")).expect("our own file");
            flags.insert("run.strategies".to_owned(), serde_json::json!(["own"]));
        }
        let loaded = settings::config::load(&home, own.is_none().then_some(path), &flags);
        if let Ok(loaded) = loaded {
            assert!(loaded.engine_config().is_ok(), "loaded, but of no use to the engine");
            assert!(!loaded.origins.is_empty());
        }
        if home.config().exists() {
            std::fs::remove_dir_all(home.config()).expect("our own folder");
        }
    });
}

pub(crate) fn settings_seeds() -> Vec<Vec<u8>> {
    let mut all = corpus::checkout_files("config", "toml");
    all.extend(corpus::checkout_files("config/strategies", "toml").iter().map(|text| [STRATEGY, text].concat()));
    all.push(b"[engine.risk]\norder_value_max = \"5\"\n[run]\nstrategies = [\"ema-cross\"]\n".to_vec());
    all
}
