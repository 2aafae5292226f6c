use super::*;
use proptest::prelude::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn secret() -> Secret {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, SECRET).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Secret::read(&path).unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-07-01T12:05:01Z".parse().unwrap()
}

/// Our message form with every placeholder filled in, the secret beside it; `more` comes last, so it wins.
fn message(more: &str) -> String {
    format!(
        r#"{{"v":1,"id":"BTCUSDT-5-2026-07-01T12:00:00Z-ema_cross","route":"tv-main","strategy":"ema_cross","exchange":"BINANCE","ticker":"BTCUSDT","tf":"5","secret":"{SECRET}",
 "side":"buy","position":"long","price":"64250.12","bar_time":"2026-07-01T12:00:00Z","fired":"2026-07-01T12:05:00Z"{more}}}"#
    )
}

fn take(body: &str) -> Result<Alert, Refusal> {
    read(body.as_bytes(), None, &secret(), "52.89.214.238".to_owned(), now())
}

fn in_path(body: &str) -> Result<Alert, Refusal> {
    read(body.as_bytes(), Some(SECRET), &secret(), "52.89.214.238".to_owned(), now())
}

#[test]
fn our_message_is_read_field_by_field() {
    let alert = take(&message("")).unwrap();
    let words = [&alert.route, &alert.strategy, &alert.exchange, &alert.ticker, &alert.timeframe, &alert.price];
    assert_eq!(words, ["tv-main", "ema_cross", "BINANCE", "BTCUSDT", "5", "64250.12"]);
    assert_eq!((alert.vote, alert.provisional), (Some(1), Some(false)));
    assert_eq!(alert.bar_time.unwrap().to_rfc3339(), "2026-07-01T12:00:00+00:00");
    assert_eq!(alert.key_before, None);
}

#[test]
fn the_secret_is_needed_and_kept_nowhere() {
    let plain = message("");
    let alert = take(&plain).unwrap();
    assert!(!format!("{alert:?}").contains(SECRET));
    assert!(alert.body.contains(r#""price":"64250.12""#), "{}", alert.body);
    assert_eq!(take(&plain.replace(SECRET, "0123456789abcdef0123456789abcdeF")), Err(Refusal::Secret));
    assert_eq!(take(&plain.replace("\"secret\"", "\"secrets\"")), Err(Refusal::Secret));
    assert_eq!(take(&message(",\"secret\":7")), Err(Refusal::Secret));
    assert_eq!(take("BTCUSDT crossed"), Err(Refusal::Secret), "no place for it in such a message");
    // The last of two counts, and neither is kept.
    let twice = take(&message(&format!(",\"secret\":\"{SECRET}\""))).unwrap();
    assert!(!twice.body.contains("secret"), "{}", twice.body);
    // Also where nobody looks for it.
    let stray = take(&message(&format!(",\"comment\":\"{SECRET}\",\"route\":\"{SECRET}\""))).unwrap();
    assert!(!format!("{stray:?}").contains(SECRET), "{stray:?}");
    // Both places, one of them wrong.
    assert_eq!(in_path(&message(",\"secret\":\"x\"")), Err(Refusal::Secret));
}

#[test]
fn a_message_that_is_no_json_needs_the_secret_in_the_address_and_has_no_vote() {
    for body in [
        "BTCUSDT crossed 64,250.12 \u{1f680}",
        r#"{"v":1,"side":"buy","price":NaN}"#,
        r#"{"v":1,"side":"buy","price":64,250.12}"#,
        "[1, 2]",
        "\"buy\"",
    ] {
        let alert = in_path(body).unwrap();
        assert_eq!((alert.body.as_str(), alert.vote, alert.key_before.is_some()), (body, None, true));
    }
    for nothing in ["", " \n", "a\0b"] {
        assert_eq!(in_path(nothing), Err(Refusal::Unreadable), "{nothing:?}");
    }
    assert_eq!(read(b"\xff\xfe", Some(SECRET), &secret(), String::new(), now()), Err(Refusal::Unreadable));
    assert_eq!(
        read(b"\xff\xfe", None, &secret(), String::new(), now()),
        Err(Refusal::Secret),
        "strangers hear one thing"
    );
}

#[test]
fn where_the_strategy_stands_wins_over_its_last_order_and_nothing_is_guessed() {
    let vote = |more: &str| take(&message(more)).unwrap().vote;
    assert_eq!(vote(r#","position":"short""#), Some(-1));
    assert_eq!(vote(r#","position":"flat","side":"sell""#), Some(0));
    assert_eq!(vote(r#","position":"","side":"SELL""#), Some(-1));
    assert_eq!(vote(r#","position":null,"side":"buy""#), Some(1));
    assert_eq!(vote(r#","position":"hedged""#), None);
    assert_eq!(vote(r#","position":"","side":"{{strategy.order.action}}""#), None, "a placeholder outside a strategy");
    assert_eq!(vote(r#","v":2"#), None, "another form may mean something else");
    assert_eq!(vote(r#","v":"1""#), Some(1));
}

#[test]
fn numbers_keep_their_digits() {
    let alert = take(&message(r#","price":0.1000000000000000000001,"volume":1.25e+07"#)).unwrap();
    assert_eq!(alert.price, "0.1000000000000000000001");
    assert!(
        alert.body.contains("\"volume\":1.25e+07") && alert.body.contains(":0.1000000000000000000001"),
        "{}",
        alert.body
    );
}

#[test]
fn an_alert_before_the_end_of_its_bar_is_marked() {
    let provisional = |more: &str| take(&message(more)).unwrap().provisional;
    // A bar's time is that of its beginning.
    assert_eq!(provisional(r#","fired":"2026-07-01T12:04:59Z""#), Some(true));
    assert_eq!(provisional(r#","tf":"1""#), Some(false));
    for open in ["60", "240", "1D", "D", "1W", "W", "302S"] {
        assert_eq!(provisional(&format!(",\"tf\":\"{open}\"")), Some(true), "{open}");
    }
    assert_eq!(provisional(r#","tf":"30S""#), Some(false));
    assert_eq!(provisional(r#","fired":"","tf":"5""#), Some(false), "our own clock then");
    for unknown in ["1M", "", "0", "x", "-5", "99999999999W", "5\u{fc}"] {
        assert_eq!(provisional(&format!(",\"tf\":\"{unknown}\"")), None, "{unknown}");
    }
    assert_eq!(provisional(r#","bar_time":"na""#), None);
}

#[test]
fn what_comes_late_or_from_the_future_is_no_alert() {
    let fired = |at: &str| take(&message(&format!(",\"fired\":\"{at}\""))).map(|a| a.fired_at.is_some());
    assert_eq!(fired("2026-07-01T12:04:01Z"), Ok(true), "60 s ago");
    assert_eq!(fired("2026-07-01T12:04:00Z"), Err(Refusal::Time));
    assert_eq!(fired("2026-07-01T12:05:06Z"), Ok(true), "5 s ahead");
    assert_eq!(fired("2026-07-01T12:05:07Z"), Err(Refusal::Time));
    assert_eq!(fired("na"), Ok(false));
}

#[test]
fn the_same_alert_has_the_same_key() {
    let key = |body: &str, at: &str| {
        let alert = read(body.as_bytes(), Some(SECRET), &secret(), "x".to_owned(), at.parse().unwrap()).unwrap();
        (alert.key, alert.key_before)
    };
    let (early, late) = ("2026-07-01T12:04:59Z", "2026-07-01T12:05:59Z");
    // By its own id: the minute and the other fields do not matter.
    let other = message(r#","price":"64250.13""#);
    assert_eq!(key(&message(""), early), key(&other, "2026-07-01T12:05:10Z"));
    assert_ne!(key(&message(""), early), key(&message(r#","id":"another""#), early));
    // By its words: for a minute, also over the minute's end.
    assert_eq!(key("up", "2026-07-01T12:05:00Z"), key("up", late));
    assert_ne!(key("up", early).0, key("up", late).0);
    assert_eq!(Some(key("up", early).0), key("up", late).1);
    assert_ne!(key("up", early), key("down", early));
}

#[test]
fn long_and_strange_fields_are_cut() {
    let alert = take(&message(&format!(",\"route\":\"a\\u0000\\n{}\"", "\u{1f680}".repeat(500)))).unwrap();
    assert_eq!((alert.route.chars().count(), alert.route.contains('\0')), (200, false));
    assert_eq!(take(&message(r#","route":["a"],"ticker":{"a":1}"#)).unwrap().ticker, "");
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), path in any::<bool>()) {
        let told = read(&bytes, path.then_some(SECRET), &secret(), String::new(), now());
        prop_assert!(path || told == Err(Refusal::Secret));
    }

    #[test]
    fn any_text_is_kept_as_it_was(text in "[^\u{0}{]{1,80}") {
        prop_assume!(!text.trim().is_empty());
        prop_assert_eq!(in_path(&text).unwrap().body, text.trim());
    }
}
