//! Whom the board refuses, each by name.

use crate::http::Page;
use crate::number;
use crate::seed::Seeded;
use store::Store;

/// Rows that any change here would touch.
const FINGERPRINT: &str = "SELECT hashtextextended(concat(
    (SELECT string_agg(run::text, ',' ORDER BY id) FROM traider.run),
    (SELECT string_agg(step::text, ',' ORDER BY run, name) FROM traider.step),
    (SELECT string_agg(s::text, ',' ORDER BY name) FROM traider.schedule AS s),
    (SELECT string_agg(b::text, ',' ORDER BY id) FROM traider.backfill AS b),
    (SELECT string_agg(q::text, ',' ORDER BY queue) FROM traider.queue_pause AS q),
    (SELECT count(*) FROM traider.run_event), $1), 0)";

/// What is wrong with it, the status, the code, the headers.
type Case<'a> = (&'a str, u16, &'a str, Vec<(&'a str, &'a str)>);

pub async fn nobody_else_changes_anything(store: &Store, page: &Page, seeded: &Seeded) {
    let own = format!("http://{}", page.address);
    let (token, wrong) = (page.token.clone(), "0".repeat(32));
    let (json, cut) = ("application/json", &token[..31]);
    let origin = |value: &'static str| ("Origin", value);
    let (good_origin, good_kind, good_token) =
        (("Origin", own.as_str()), ("Content-Type", json), ("X-Traider-Token", token.as_str()));
    let paths = [
        (format!("/api/board/runs/{}/retry", seeded.failed), r#"{"which":"failed"}"#),
        (format!("/api/board/runs/{}/cancel", seeded.running), "{}"),
        (format!("/api/board/runs/{}/discard", seeded.dead), r#"{"step":"replay","why":"x"}"#),
        ("/api/board/schedules/backup/pause".to_owned(), r#"{"why":"x"}"#),
        (format!("/api/board/backfills/{}/cancel", seeded.backfill), "{}"),
        ("/api/board/queues/io/pause".to_owned(), r#"{"why":"x"}"#),
        ("/api/board/token".to_owned(), "{}"),
    ];
    let cases: [Case<'_>; 10] = [
        ("no token", 401, "no_token", vec![good_origin, good_kind]),
        ("a wrong token", 401, "no_token", vec![good_origin, good_kind, ("X-Traider-Token", &wrong)]),
        ("a cut token", 401, "no_token", vec![good_origin, good_kind, ("X-Traider-Token", cut)]),
        ("a token in a cookie", 401, "no_token", vec![good_origin, good_kind, ("Cookie", token.as_str())]),
        ("no origin", 403, "foreign_origin", vec![good_kind, good_token]),
        ("a foreign origin", 403, "foreign_origin", vec![origin("http://evil.example"), good_kind, good_token]),
        ("another port", 403, "foreign_origin", vec![origin("http://127.0.0.1:1"), good_kind, good_token]),
        ("a sandboxed page", 403, "foreign_origin", vec![origin("null"), good_kind, good_token]),
        (
            "a form",
            415,
            "not_json",
            vec![good_origin, ("Content-Type", "application/x-www-form-urlencoded"), good_token],
        ),
        ("text", 415, "not_json", vec![good_origin, ("Content-Type", "text/plain"), good_token]),
    ];
    let before = number(store, FINGERPRINT, "").await;
    for (path, body) in &paths {
        for (case, status, code, headers) in &cases {
            let answer = page.send("POST", path, headers, body).await;
            assert_eq!(answer.status, *status, "{case} at {path}: {}", answer.body);
            let error = &answer.json()["error"];
            assert_eq!(error["code"], *code, "{case} at {path}");
            assert!(!error["do"].as_str().unwrap().is_empty() && !answer.body.contains(&token), "{case}");
            assert!(!answer.head.contains("access-control"), "{case}: {}", answer.head);
        }
        let foreign = page.send("OPTIONS", path, &[origin("http://evil.example")], "").await;
        assert!(foreign.status == 405 && !foreign.head.contains("access-control"), "{}", foreign.head);
    }
    for (path, body, code) in [
        ("/schedules/backup/pause", "{}", "no_reason"),
        ("/schedules/backup/pause", r#"{"why":"  "}"#, "no_reason"),
        ("/schedules/backup/pause", r#"{"wyh":"x"}"#, "bad_request"),
        ("/queues/io/pause", "not json", "bad_request"),
        ("/queues/io/drop", r#"{"why":"x"}"#, "not_found"),
        ("/queues/disk/pause", r#"{"why":"x"}"#, "not_found"),
        ("/backfills/x/delete", "{}", "not_found"),
    ] {
        let answer = page.send("POST", &format!("/api/board{path}"), &[good_origin, good_kind, good_token], body).await;
        assert_eq!(answer.json()["error"]["code"], code, "{path} {body}: {}", answer.body);
    }
    let long = format!(r#"{{"why":"{}"}}"#, "x".repeat(20_000));
    let answer = page.send("POST", "/api/board/queues/io/pause", &[good_origin, good_kind, good_token], &long).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(number(store, FINGERPRINT, "").await, before, "a refused request changed something");
}

pub async fn looking_changes_nothing(store: &Store, page: &Page, seeded: &Seeded) {
    let before = number(store, FINGERPRINT, "").await;
    let token = [("X-Traider-Token", page.token.as_str()), ("Content-Type", "application/json")];
    for path in [
        format!("/api/board/runs/{}/retry", seeded.failed),
        format!("/api/board/runs/{}/cancel", seeded.running),
        "/api/board/schedules/backup/pause".to_owned(),
        "/api/board/queues/io/pause".to_owned(),
        "/api/board/token".to_owned(),
    ] {
        let answer = page.send("GET", &path, &token, "").await;
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (405, Some("wrong_method")), "{path}");
    }
    for path in ["/api/board/runs", "/api/board/workers", "/board/dead"] {
        assert_eq!(page.get(path).await.status, 200);
    }
    assert_eq!(number(store, FINGERPRINT, "").await, before);
}
