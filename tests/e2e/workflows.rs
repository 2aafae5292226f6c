//! The control plane from the command line: every verb for people and for programs, what is refused, what hangs.

use crate::daily::synthetic;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tests::{TestHome, bin_dir};

const DAY: &str = "2024-01-05";

/// A workflow whose second step can be made to fail.
const THREE: &str = r#"schema = 1
name = "three"
description = "check, report, check again"

[schedule]
cron = "30 2 * * *"
timezone = "Europe/Berlin"
catchup = "none"

[partition]
kind = "day"
lag = "1d"

[params]
keep = 7

[[step]]
name = "check"
job = "check-ledger"
with = { day = "{partition}" }

[[step]]
name = "report"
job = "report-daily"
needs = ["check"]
with = { day = "{partition}" }
retry = { max = 1 }

[[step]]
name = "again"
job = "check-ledger"
needs = ["report"]
with = { day = "{partition}" }
"#;

/// A home with the workflow `three`.
fn home() -> TestHome {
    let home = TestHome::new();
    write(&home, "three.toml", THREE);
    home
}

fn write(home: &TestHome, name: &str, text: &str) {
    let folder = home.path().join("config/workflows");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

/// What it says for people, on stdout and stderr.
#[track_caller]
fn said(home: &TestHome, arguments: &[&str], exit: i32) -> String {
    let output = home.command_args(arguments).output().unwrap();
    let words = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "traider {}\n{words}", arguments.join(" "));
    assert!(!words.contains("panicked") && !words.contains('\u{1b}'), "traider {}\n{words}", arguments.join(" "));
    words
}

/// [`said`] with the words that must be in it.
#[track_caller]
fn check(home: &TestHome, arguments: &str, exit: i32, words: &[&str]) {
    let text = said(home, &arguments.split_whitespace().collect::<Vec<_>>(), exit);
    for word in words {
        assert!(text.contains(word), "traider {arguments}: `{word}` is not in:\n{text}");
    }
}

/// A worker of this home, stopped at the end.
struct Worker(Child);

impl Worker {
    fn start(home: &TestHome) -> Worker {
        let mut child = Command::new(bin_dir().join("traider-worker"))
            .args(["run", "--home"])
            .arg(home.path())
            .env("TRAIDER_PG_FAST", "1")
            .env_remove("DATABASE_URL")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("ready"), "{ready}");
        Worker(child)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap();
    }
}

fn runs(home: &TestHome) -> usize {
    home.json("run list --limit 1000", 0)["runs"].as_array().unwrap().len()
}

fn step<'a>(run: &'a Value, name: &str) -> &'a Value {
    run["steps"].as_array().unwrap().iter().find(|step| step["name"] == name).unwrap()
}

#[test]
fn what_is_wrong_in_a_workflow_file_is_refused_with_its_place() {
    let home = home();
    // What is right, the slip, the line that is named, a word that helps.
    let wrong = [
        ("cyclic", "needs = [\"check\"]", "needs = [\"again\"]", "name = \"report\"", "circle: report -> again"),
        ("nojob", "job = \"report-daily\"", "job = \"report-dialy\"", "report-dialy", "report-daily"),
        ("nokey", "retry = { max = 1 }", "retri = { max = 1 }", "retri", "retry"),
        ("badcron", "30 2 * * *", "61 2 * * *", "61 2 * * *", "61 2 * * *"),
    ];
    // Those that come with the program, and one of this test's own.
    let ours = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../workflows")).unwrap();
    let ours = ours.filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "toml")).count();
    let rest = format!("{} workflows right", ours + 1);
    for (name, right, slip, place, word) in wrong {
        let file = format!("{name}.toml");
        let text = THREE.replace("\"three\"", &format!("\"{name}\"")).replacen(right, slip, 1);
        let line = text.lines().position(|line| line.contains(place)).unwrap() + 1;
        write(&home, &file, &text);
        let path = home.path().join("config/workflows").join(&file).display().to_string();
        check(&home, &format!("workflow check {path}"), 3, &[&format!("{path}:{line}:"), word]);
        check(&home, &format!("run start {name} --partition {DAY}"), 3, &[&format!("{path}:{line}:"), word]);
        check(&home, "workflow check", 3, &[&path, "1 file wrong", &rest]);
        let found = home.json(&format!("workflow check {path}"), 3);
        assert_eq!(found["files"][0]["problems"][0]["line"], line, "{found}");
        fs::remove_file(path).unwrap();
    }
    for (arguments, words) in [
        ("run start nosuch", &["nosuch", "three"][..]),
        ("run start three --partition 2024-02-30", &["2024-02-30", "2026-11-20"]),
        ("run start three --param keep=many", &["keep", "whole number", "many"]),
        ("run start three --param kep=7", &["did you mean `keep`"]),
        ("run start three --param keep", &["KEY=VALUE"]),
        ("backfill start three --from 2024-01-05 --to 2024-01-01", &["is after"]),
        ("backfill start backup --from x --to y", &["`x` is not a partition"]),
        ("job enqueue report-daily --json {\"dya\":1}", &["dya"]),
        ("queue pause nosuch --reason x", &["io, cpu, report, critical"]),
        ("queue pause io --reason=", &["--reason"]),
        ("run retry X --all --from check", &["cannot be used with"]),
    ] {
        check(&home, arguments, 2, words);
    }
    check(&home, "workflow check", 0, &[&format!("{} workflows checked, nothing wrong", ours + 1)]);
    check(&home, "workflow graph three", 0, &["report", "<- check"]);
    check(&home, "workflow graph three --format dot", 0, &["digraph", "\"check\" -> \"report\""]);
    assert!(
        home.json("workflow graph three --format mermaid", 0)["picture"].as_str().unwrap().starts_with("flowchart")
    );
    assert!(home.json("workflow schema", 0)["properties"]["schedule"].is_object());
    assert!(!home.path().join("pg").exists(), "none of this needs a database, so none was started");
    assert_eq!(runs(&home), 0, "nothing was written");
}

#[test]
fn fmt_lays_files_out_and_check_only_says_so() {
    let home = TestHome::new();
    let untidy = THREE.replace("name = \"three\"", "name   =   \"three\"  # its name");
    write(&home, "three.toml", &untidy);
    let path = home.path().join("config/workflows/three.toml").display().to_string();
    check(&home, &format!("workflow fmt --check {path}"), 1, &["would change", &path]);
    assert_eq!(fs::read_to_string(&path).unwrap(), untidy, "--check changes nothing");
    assert_eq!(home.json(&format!("workflow fmt {path}"), 0)["changed"][0], path);
    assert!(fs::read_to_string(&path).unwrap().contains("name = \"three\"  # its name"), "the comment stays");
    check(&home, &format!("workflow fmt --check {path}"), 0, &["already"]);
    fs::write(&path, "name = ").unwrap();
    check(&home, &format!("workflow fmt {path}"), 3, &[&format!("{path}:1:")]);
    check(&home, &format!("workflow check {path}"), 3, &[&format!("{path}:1:")]);
    check(&home, "workflow check /nowhere/x.toml", 3, &["/nowhere/x.toml: cannot be read"]);
    assert_eq!(fs::read_dir(home.path().join("config/workflows")).unwrap().count(), 1, "no temporary file is left");
}

/// A schedule's next slots after a moment.
#[track_caller]
fn check_next(home: &TestHome, after: &str, want: &[&str]) {
    let next = home.json(&format!("schedule next three -n {} --after {after}", want.len()), 0);
    let slots: Vec<&str> = next["next"].as_array().unwrap().iter().map(|row| row["slot"].as_str().unwrap()).collect();
    assert_eq!(slots, want);
}

#[test]
fn next_slots_follow_the_clock_on_the_wall() {
    let home = home();
    // By Debian's cron, and by cronsim: 02:30 is skipped on the last Sunday of March and due when the clock has jumped;
    // it comes twice on the last Sunday of October and is due the first time.
    let spring = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    check_next(&home, "2026-03-27T12:00:00Z", &spring);
    let autumn = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    check_next(&home, "2026-10-23T12:00:00Z", &autumn);
    check(&home, "schedule next three", 0, &["SLOT (UTC)", "Europe/Berlin"]);
    check(&home, "schedule next three --after noon", 2, &["noon", "2026-03-29T00:00:00Z"]);
    check(&home, "schedule next nosuch", 2, &["nosuch"]);
    assert!(!home.path().join("pg").exists(), "a calendar needs no database");
}

#[test]
fn every_verb_answers_people_and_programs() {
    let home = home();
    without_a_worker(&home);
    let worker = Worker::start(&home);
    schedules(&home);
    a_backfill(&home);
    let run = a_step_that_dies(&home);
    what_was_made(&home);
    definitions(&home);
    jobs(&home);
    programs(&home, &run);
    readers_that_leave(&home, &run);
    drop(worker);
    assert!(home.processes().is_empty(), "{:?}", home.processes());
}

fn without_a_worker(home: &TestHome) {
    check(home, "schedule list", 0, &["three", "new", "no worker has seen it"]);
    // Holding a schedule needs no worker: it is taken over from the file for that.
    check(home, "schedule pause three --reason holiday", 0, &["is paused", "traider schedule resume three"]);
    let started = home.json(&format!("run start three --partition {DAY}"), 0);
    let run = started["run_id"].as_str().unwrap();
    check(home, &format!("run explain {run}"), 0, &["no worker is at work on queue", "traider up"]);
    check(home, "worker list", 0, &["(none)", "no worker is at work"]);
    check(home, &format!("run cancel {run}"), 0, &["told to stop"]);
    assert_eq!(home.json(&format!("run cancel {run}"), 0)["cancelled"], false);
    check(home, &format!("run show {run}"), 0, &["CANCELLED", "traider run retry"]);
}

fn schedules(home: &TestHome) {
    check(home, "schedule list", 0, &["LATE", "paused", "0 pending"]);
    check(home, "schedule show three", 0, &["PAUSED", "holiday", "catch-up none"]);
    check(home, "schedule pause three --reason again", 0, &["was paused already"]);
    assert_eq!(home.json("schedule resume three", 0)["changed"], true);
    assert_eq!(home.json("schedule show three", 0)["paused"], false);
    let listed = home.json("schedule list", 0);
    assert_eq!(listed["schedules"].as_array().unwrap().len(), 7, "{listed}");
    check(home, "schedule pause nosuch --reason x", 2, &["nosuch"]);
    let run = home.json("schedule trigger ledger-check", 0)["run_id"].as_str().unwrap().to_owned();
    check(home, &format!("run watch {run}"), 0, &["check", "done", "DONE"]);
}

fn a_backfill(home: &TestHome) {
    let range = "ledger-check --from 2024-03-01 --to 2024-03-05";
    check(home, &format!("backfill plan {range}"), 0, &["5 partitions in range", "missing 5", "5 runs to create"]);
    check(home, &format!("backfill start {range} --dry-run"), 0, &["2024-03-01  2024-03-02", "nothing written"]);
    let before = runs(home);
    let done = home.json(&format!("backfill start {range} --max-active 2 --order newest --wait"), 0);
    assert_eq!((&done["state"], &done["done"]), (&"done".into(), &5.into()), "{done}");
    assert_eq!(done["parts"][0]["partition"], "2024-03-05", "{done}");
    assert_eq!(runs(home), before + 5);
    let id = done["backfill_id"].as_str().unwrap();
    check(home, &format!("backfill show {id}"), 0, &["100%", "5 done", "2 at a time"]);
    check(home, "backfill list", 0, &["2024-03-01 .. 2024-03-05", "5 done"]);
    check(home, &format!("backfill plan {range}"), 0, &["done 5 (kept)", "0 runs to create"]);
    check(home, &format!("backfill pause {id}"), 7, &["is done"]);
    check(home, "backfill show 7ZZZ", 1, &["backfill list"]);
    // Nothing of it can begin while its queue stands still.
    check(home, "queue pause cpu --reason test", 0, &["is paused"]);
    check(home, "queue pause io --reason test", 0, &["is paused"]);
    let id = home.json("backfill start ledger-check --from 2024-04-01 --to 2024-04-03", 0)["id"].clone();
    let id = id.as_str().unwrap();
    check(home, &format!("backfill pause {id}"), 0, &["is paused", "traider backfill resume"]);
    check(home, &format!("backfill resume {id}"), 0, &["is running"]);
    assert_eq!(home.json(&format!("backfill cancel {id}"), 0)["state"], "cancelled");
    let run = home.json("run start ledger-check --partition 2024-04-09", 0)["run_id"].as_str().unwrap().to_owned();
    check(home, &format!("run explain {run}"), 0, &["is paused since", "test", "traider queue resume"]);
    check(home, "queue list", 0, &["paused", "test"]);
    check(home, "queue drain io", 0, &["nothing of it runs"]);
    assert_eq!(home.json("queue resume cpu", 0)["changed"], true);
    assert_eq!(home.json("queue resume io", 0)["changed"], true);
    check(home, &format!("run watch {run}"), 0, &["DONE"]);
}

/// The report cannot be written; its step is tried once and dies. Returns the run, done in the end.
fn a_step_that_dies(home: &TestHome) -> String {
    let blocked = home.path().join(format!("reports/day={DAY}"));
    fs::create_dir_all(home.path().join("reports")).unwrap();
    fs::write(&blocked, "").unwrap();
    let run = home.json(&format!("run start three --partition {DAY} --wait"), 1);
    let id = run["run_id"].as_str().unwrap().to_owned();
    assert_eq!(step(&run, "report")["state"], "dead", "{run:#}");
    check(home, &format!("run show {id}"), 0, &["IN -> OUT", "FAILED", "next: traider run retry", "--failed-only"]);
    check(home, &format!("run show {id} --events"), 0, &["step dead", "every hash holds"]);
    assert_eq!(home.json(&format!("run show {id} --events"), 0)["history_holds"], true);
    check(home, &format!("run explain {id}"), 0, &["report is dead", "traider run logs"]);
    check(home, "dead list", 0, &[&id, "report", "traider dead show"]);
    check(home, &format!("dead show {id} report"), 0, &["DEAD", "report-daily", "TRY", "traider dead requeue"]);
    check(home, &format!("dead show {id}/check"), 7, &["is done, not dead"]);
    check(home, &format!("dead show {id}"), 2, &["RUN/STEP"]);
    assert_eq!(home.json(&format!("dead requeue {id}/report"), 0)["steps"], 2);
    check(home, &format!("run watch {id}"), 1, &["report", "dead"]);
    check(home, "alert list", 0, &["open", "three 2024-01-05"]);
    check(home, &format!("dead discard {id} report --reason test"), 0, &["given up"]);
    check(home, "dead list", 0, &["(none)"]);
    check(home, "asset stale", 0, &["nothing is stale"]);
    fs::remove_file(&blocked).unwrap();
    check(home, &format!("run retry {id} --from nosuch"), 1, &["check, report, again"]);
    assert_eq!(home.json(&format!("run retry {id} --from report"), 0)["steps"], 2);
    check(home, &format!("run logs {id} --follow"), 0, &["check#1", "report#3", "again#"]);
    let run = home.json(&format!("run show {id}"), 0);
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(step(&run, "check")["attempt"], 1, "what comes before the step is kept");
    check(home, &format!("run retry {id}"), 7, &["nothing to retry"]);
    assert_eq!(home.json(&format!("run retry {id} --all"), 0)["steps"], 3);
    check(home, &format!("run watch {id}"), 0, &["DONE"]);
    check(home, "alert list --all", 0, &["over"]);
    let logs = home.json(&format!("run logs {id} --step check"), 0);
    assert!(logs["lines"].as_array().unwrap().iter().all(|line| line["step"] == "check"), "{logs}");
    check(home, &format!("run logs {id} --step nosuch"), 1, &["check, report, again"]);
    check(home, &format!("run list --workflow three --state done --partition {DAY}"), 0, &[&id, "3/3"]);
    check(home, "run show 7ZZZ", 1, &["traider run list"]);
    id
}

fn what_was_made(home: &TestHome) {
    check(home, "asset list report", 0, &["report/daily", DAY]);
    check(home, "asset show report/daily", 0, &[DAY, "newest: "]);
    let versions = home.json(&format!("asset show report/daily --partition {DAY}"), 0);
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1, "the same bytes are the same version: {versions}");
    let lineage = format!("asset lineage report/daily --partition {DAY}");
    check(home, &lineage, 0, &["made from:", "used for:", "by report of run"]);
    assert!(home.json(&lineage, 0)["upstream"].is_array());
    check(home, "asset show nosuch", 1, &["nosuch", "traider asset list"]);
}

fn definitions(home: &TestHome) {
    check(home, "workflow list", 0, &["VERSION", "v1", "30 2 * * * Europe/Berlin", "built-in"]);
    check(home, "workflow show three", 0, &["keep = 7", "report-daily", "v1 2024-01-05 done"]);
    check(home, "workflow diff three", 0, &["no change of meaning"]);
    write(home, "three.toml", &THREE.replace("keep = 7", "keep = 8"));
    let changes = home.json("workflow diff three", 0);
    assert_eq!((&changes["changes"][0]["old"], &changes["changes"][0]["new"]), (&"7".into(), &"8".into()), "{changes}");
    check(home, "workflow diff three --from 9", 1, &["no version 9", "1"]);
    check(home, "workflow diff hourly", 1, &["never run"]);
    check(home, "workflow show three", 0, &["the file changed since"]);
}

fn jobs(home: &TestHome) {
    let input = format!("{{\"day\":\"{DAY}\"}}");
    let job = home.json_args(&["job", "enqueue", "report-daily", "--json", &input, "--wait"], 0);
    let id = job["run_id"].as_str().unwrap();
    check(home, "job list", 0, &[id, "report-daily"]);
    check(home, &format!("job show {id}"), 0, &["report-daily", "DONE"]);
    check(home, &format!("job retry {id}"), 7, &["nothing to retry"]);
    assert_eq!(home.json(&format!("job cancel {id}"), 0)["cancelled"], false);
    check(home, "job show 7ZZZ", 1, &["there is no job 7ZZZ"]);
    check(home, "job cancel 7ZZZ", 1, &["there is no job 7ZZZ"]);
    let workers = home.json("worker list", 0);
    assert!(workers["workers"].as_array().unwrap().iter().any(|worker| worker["pid"].is_number()), "{workers}");
    check(home, "worker list", 0, &["LAST SEEN", "critical"]);
}

/// What is only looked at is one object with one list, or the thing itself.
fn programs(home: &TestHome, run: &str) {
    for (arguments, list) in [
        ("workflow list", "workflows"),
        ("run list", "runs"),
        ("backfill list", "backfills"),
        ("schedule list", "schedules"),
        ("schedule next three", "next"),
        ("queue list", "queues"),
        ("job list", "jobs"),
        ("dead list", "dead"),
        ("worker list", "workers"),
        ("asset list", "assets"),
        ("asset stale", "stale"),
        ("alert list --all", "alerts"),
    ] {
        let shown = home.json(arguments, 0);
        assert!(shown[list].is_array(), "traider {arguments}: {shown}");
    }
    assert_eq!(home.json("workflow show three", 0)["workflow"], "three");
    assert_eq!(home.json(&format!("run explain {run}"), 0)["reasons"][0]["state"], "done");
    assert_eq!(home.json(&format!("run watch {run}"), 0)["run_id"], run);
    let refused = home.command("run show 7ZZZ --json").output().unwrap();
    let error: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 1, "{error}");
}

/// A pipe that is closed before anything is written to it ends the verb without a word.
fn readers_that_leave(home: &TestHome, run: &str) {
    let long = ["workflow schema", "workflow list", "run list", "backfill list"].map(str::to_owned);
    for arguments in long.into_iter().chain([format!("run logs {run} -f"), format!("run watch {run}")]) {
        let mut child = home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "traider {arguments}: {words}");
        assert!(!words.contains("panicked"), "traider {arguments}: {words}");
    }
}

/// Waits until somebody reads the pipe.
fn opened(pipe: &Path) -> File {
    loop {
        if let Ok(pipe) = File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(pipe) {
            return pipe;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_step_that_hangs_is_explained_drained_and_followed_to_its_end() {
    let home = TestHome::new();
    let (summary, day) = synthetic(&home);
    let worker = Worker::start(&home);
    // Whoever reads the journal reads a pipe that nothing comes out of.
    let segment = home.path().join("journal").join(summary["run_id"].as_str().unwrap()).join("seg-000001.trj");
    let aside = home.path().join("aside.trj");
    fs::rename(&segment, &aside).unwrap();
    mkfifo(&segment, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let started = home.json(&format!("run start nightly --partition {day}"), 0);
    let run = started["run_id"].as_str().unwrap();
    let pipe = opened(&segment);
    check(&home, &format!("run explain {run}"), 0, &["parity is running", "pid", "last sign of life"]);
    check(&home, &format!("run retry {run}"), 7, &["still active"]);
    let queue = step(&home.json(&format!("run show {run}"), 0), "parity")["queue"].as_str().unwrap().to_owned();
    // A drain that is interrupted leaves the queue paused and says so.
    let mut drain = home.command(&format!("queue drain {queue}")).stderr(Stdio::piped()).spawn().unwrap();
    let mut words = BufReader::new(drain.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(words.next().unwrap().contains("1 step still running"));
    kill(Pid::from_raw(drain.id().cast_signed()), Signal::SIGINT).unwrap();
    assert!(words.next().unwrap().contains("stays paused"));
    assert_eq!(drain.wait().unwrap().code(), Some(130));
    assert_eq!(home.json(&format!("queue resume {queue}"), 0)["changed"], true, "it was paused");
    // Follows until the run ends, which it does once the journal is there again.
    let mut follow = home.command(&format!("run logs {run} -f --json")).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(follow.stdout.take().unwrap()).lines().map_while(Result::ok);
    fs::rename(&aside, &segment).unwrap();
    drop(pipe);
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert_eq!(follow.wait().unwrap().code(), Some(0));
    assert!(lines.iter().all(|line| line["step"] == "parity"), "{lines:?}");
    let ended = home.json(&format!("run show {run}"), 0);
    assert!(matches!(ended["state"].as_str(), Some("done" | "failed")), "{ended:#}");
    let all = home.json(&format!("run logs {run}"), 0);
    assert_eq!(all["lines"].as_array().unwrap(), &lines, "what was followed is what is kept");
    lineage(&home, &day);
    drop(worker);
    assert!(home.processes().is_empty(), "{:?}", home.processes());
}

/// From the report back to the journal, and from the trades to the report.
fn lineage(home: &TestHome, day: &str) {
    home.json(&format!("run start daily --partition {day} --wait"), 0);
    check(home, &format!("asset lineage report/daily --partition {day}"), 0, &["|- candles_1m/", "`- journal/"]);
    let trades = home.json("asset list trades", 0)["assets"][0]["asset"].as_str().unwrap().to_owned();
    let used = format!("asset lineage {trades} --partition {day}");
    check(home, &used, 0, &["features_1m/", "   `- report/daily", "by report of run"]);
}

#[test]
fn a_supervisor_hands_its_settings_on_and_says_what_its_worker_reports() {
    let home = home();
    let file = home.path().join("more.toml");
    fs::write(&file, "[alerts]\nstdout = true\nfile = false\n").unwrap();
    fs::create_dir_all(home.path().join("reports")).unwrap();
    fs::write(home.path().join(format!("reports/day={DAY}")), "").unwrap();
    home.json(&format!("up --port 0 --config {}", file.display()), 0);
    home.json(&format!("run start three --partition {DAY} --wait"), 1);
    let said = || fs::read_to_string(home.path().join("logs/up.log")).unwrap();
    while !said().contains("alert: ") {
        std::thread::yield_now();
    }
    let said = said();
    let line = said.lines().find(|line| line.contains("alert: ")).unwrap();
    assert!(line.contains(&format!("three {DAY}")) && line.contains("see traider run show"), "{said}");
    assert!(!home.path().join("alerts.jsonl").exists(), "the worker follows the same settings");
    home.json("down", 0);
}
