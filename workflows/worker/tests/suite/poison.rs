//! A job that takes its process with it, and who hears of it: a file, and a webhook that refuses each alert at first.

use crate::children::{PATIENCE, Worker, a_moment, plan, tries, until};
use crate::handlers::{Flag, Row};
use crate::{Bench, states, step};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use store::control::{self, Trigger};

const TRIES: u32 = 3;

/// A web server that answers 500 to what was raised and has not come before, and 200 to everything else.
struct Hook {
    url: String,
    /// Every request: its idempotency key and its body.
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Hook {
    fn start() -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = Hook::read(&stream);
                let refused = {
                    let mut all = all.lock().unwrap();
                    let known = all.iter().any(|(key, _)| *key == request.0);
                    let refused = !known && request.1["alert"]["what"] == "raised";
                    all.push(request);
                    refused
                };
                let answer = if refused { "500 Not Now" } else { "200 OK" };
                write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            }
        });
        Hook { url, heard }
    }

    fn read(stream: &TcpStream) -> (String, Value) {
        let mut reader = BufReader::new(stream);
        let (mut key, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(": ") else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_lowercase().as_str() {
                "idempotency-key" => value.clone_into(&mut key),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        (key, serde_json::from_slice(&body).unwrap())
    }

    /// What was said about the workflow: key and `raised` or `recovered`.
    fn about(&self, workflow: &str) -> Vec<(String, String)> {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .filter(|(_, said)| said["alert"]["workflow"] == workflow)
            .map(|(key, said)| told(key, said))
            .collect()
    }
}

fn told(key: &str, said: &Value) -> (String, String) {
    assert_eq!(said["id"], key, "the key is in the header and in the body");
    (key.to_owned(), said["alert"]["what"].as_str().unwrap().to_owned())
}

fn in_file(bench: &Bench, workflow: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(bench.home.root().join("alerts.jsonl")).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let about = lines.filter(|said| said["alert"]["workflow"] == workflow);
    about.map(|said| told(said["id"].as_str().unwrap(), &said)).collect()
}

/// Messages of the outbox about the workflow: key, and whether it was sent.
async fn outbox(bench: &Bench, workflow: &str) -> Vec<(String, bool)> {
    sqlx::query_as("SELECT key, sent_at IS NOT NULL FROM traider.outbox WHERE payload ->> 'workflow' = $1 ORDER BY key")
        .bind(workflow)
        .fetch_all(&bench.store.pool)
        .await
        .unwrap()
}

pub async fn a_job_that_kills_its_worker_is_given_up_and_told_once(bench: &Bench) {
    let hook = Hook::start();
    let start = || Worker::start_with(bench, &[("TRAIDER_TEST_WEBHOOK", &hook.url)]);
    let bad = tries(TRIES, step("a", "test-abort", &[]));
    let run = bench.start("poison", vec![bad, step("b", "test-write", &["a"])]).await;
    // A supervisor that starts a new worker whenever one has ended.
    let mut worker = start();
    let mut died = 0;
    let asked = Instant::now();
    while bench.show(&run).await.run.state != "failed" {
        if worker.ended().is_some() {
            died += 1;
            worker = start();
        }
        assert!(asked.elapsed() < PATIENCE, "{:#?}", bench.show(&run).await);
        a_moment().await;
    }
    let shown = bench.show(&run).await;
    assert_eq!(Flag::count(&bench.store, &format!("tried-{run}")).await.unwrap(), i64::from(TRIES));
    assert_eq!((died, states(&shown)), (TRIES, vec!["lost"; TRIES as usize]));
    let ends: Vec<&str> = shown.steps_detail.iter().map(|step| step.state.as_str()).collect();
    assert_eq!(ends, ["dead", "skipped"]);

    let alerts: Vec<(String, i32)> = sqlx::query_as("SELECT kind, seen FROM traider.alert WHERE workflow = 'poison'")
        .fetch_all(&bench.store.pool)
        .await
        .unwrap();
    assert_eq!(alerts, [("dead".to_owned(), 1)]);
    until("the alert to be delivered", async || hook.about("poison").len() >= 2).await;
    until("all messages to be sent", async || outbox(bench, "poison").await.iter().all(|(_, sent)| *sent)).await;
    let key = "failed/poison/2026-11-20/1/raised";
    let (to_file, to_hook) = (format!("{key}/file"), format!("{key}/webhook"));
    let one_each = [(key.to_owned(), true), (to_file.clone(), true), (to_hook.clone(), true)];
    assert_eq!(outbox(bench, "poison").await, one_each, "one message, and one of it for each channel");
    let raised = (to_hook, "raised".to_owned());
    assert_eq!(hook.about("poison"), [raised.clone(), raised.clone()], "refused once, and sent again as the same");
    assert_eq!(in_file(bench, "poison"), [(to_file.clone(), "raised".to_owned())]);

    // The job was mended.
    let mended = plan("poison", vec![step("a", "test-write", &[])]);
    let again = control::start_run(&bench.store, &mended, Trigger::Manual).await.unwrap();
    assert_eq!(bench.ended(&again.run).await.run.state, "done");
    assert_eq!(Row::count(&bench.store, &again.run).await, 1);
    until("the good news", async || hook.about("poison").len() >= 3 && in_file(bench, "poison").len() >= 2).await;
    let key = "failed/poison/2026-11-20/1/recovered";
    let recovered = |channel: &str| (format!("{key}/{channel}"), "recovered".to_owned());
    assert_eq!(hook.about("poison"), [raised.clone(), raised, recovered("webhook")]);
    assert_eq!(in_file(bench, "poison"), [(to_file, "raised".to_owned()), recovered("file")]);
    worker.kill();
}
