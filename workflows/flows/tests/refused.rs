//! What a file may not say, each refused at its place.

use flows::Workflow;

/// A file with one thing of each kind, all of it right.
const GOOD: &str = r#"schema = 1
name = "x"
[schedule]
cron = "20 0 * * *"
timezone = "UTC"
[partition]
kind = "day"
[params]
venues = ["binance", "kraken"]
depth = 5
[[step]]
name = "in"
job = "ingest-journal"
for_each = "params.venues"
with = { day = "{partition}", venue = "{item}" }
concurrency = { key = "exchange:{item}", max = 1 }
outputs = ["book/{item}/{partition}"]
[[step]]
name = "out"
job = "validate-day"
needs = ["in"]
require = { min_ok = 2 }
inputs = ["book/*/{partition}"]
with = { day = "{partition}", symbols = ["BTCUSDT"] }
deadline = "02:00"
[on_failure]
alert = ["webhook"]
"#;

fn told(text: &str) -> Vec<String> {
    let problems = Workflow::parse("x.toml", text).err();
    problems.map(|p| p.0.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

/// The good file with one text replaced is refused with exactly these problems.
#[track_caller]
fn check(from: &str, to: &str, want: &[&str]) {
    assert!(GOOD.contains(from), "the good file has no `{from}`");
    assert_eq!(told(&GOOD.replacen(from, to, 1)), want, "{from} => {to}");
}

#[test]
fn the_good_file_is_good() {
    assert_eq!(told(GOOD), Vec::<String>::new());
}

#[test]
fn heads_that_cannot_be() {
    check("schema = 1", "schema = 2", &["x.toml:1:10: only schema = 1 is known"]);
    check(
        "name = \"x\"",
        "name = \"X y\"",
        &["x.toml:2:8: a workflow's name is a word of small letters, digits and `-`"],
    );
    check("name = \"x\"\n", "", &["x.toml:1:1: a workflow file needs the key `name`"]);
    check("20 0 * * *", "20 0 * *", &["x.toml:4:8: cron has five fields: minute hour day month weekday"]);
    check(
        "\"UTC\"",
        "\"Europe/Berln\"",
        &["x.toml:5:12: there is no time zone `Europe/Berln`; did you mean `Europe/Berlin`?"],
    );
    check(
        "kind = \"day\"",
        "kind = \"dya\"",
        &["x.toml:7:8: `dya` is not one of none, hour, day, month, key; did you mean `day`?"],
    );
    check(
        "\"webhook\"",
        "\"webhok\"",
        &["x.toml:27:10: `webhok` is not one of webhook, file, stdout; did you mean `webhook`?"],
    );
    check("\"webhook\"", "\"file\", \"file\"", &["x.toml:27:18: the channel `file` is there twice"]);
    check("[\"webhook\"]", "[]", &["x.toml:27:9: alert names no channel; there are webhook, file, stdout"]);
    check("depth = 5", "depth = [inf]", &["x.toml:10:10: a number here must be finite"]);
    check("depth = 5", "depth = \"\\u0000\"", &["x.toml:10:9: a text cannot hold the character 0"]);
    let cron = told(&GOOD.replace("20 0 * * *", "61 0 * * *"));
    assert!(cron[0].starts_with("x.toml:4:8: `61 0 * * *` is not a cron pattern"), "{cron:?}");
    let zone = told(&GOOD.replace("\"UTC\"", "\"Mars/Base\"").replace("20 0 * * *", "x"));
    assert_eq!(zone.len(), 2, "{zone:?}");
}

#[test]
fn partitions_that_cannot_be() {
    let past = "kind = \"none\"\ndepends_on_past = true";
    check(
        "kind = \"day\"",
        past,
        &[
            "x.toml:8:19: depends_on_past needs partitions of kind hour, day or month: others have no past",
            "x.toml:16:10: step `in`: the input of job `ingest-journal` is wrong: `all` is not a day; write it like 2026-11-20",
            "x.toml:25:10: step `out`: the input of job `validate-day` is wrong: `all` is not a day; write it like 2026-11-20",
        ],
    );
    let key = told(&GOOD.replace("kind = \"day\"", "kind = \"key\""));
    assert_eq!(key[0], "x.toml:4:8: a schedule cannot know the key of a partition of kind `key`");
}

#[test]
fn steps_that_cannot_be() {
    check("needs = [\"in\"]", "needs = [\"in\", \"in\"]", &["x.toml:21:16: the need `in` is there twice"]);
    check("needs = [\"in\"]", "needs = [\"ni\"]", &["x.toml:21:10: there is no step `ni`; did you mean `in`?"]);
    check(
        "for_each = \"params.venues\"",
        "for_each = \"params.depth\"",
        &["x.toml:14:12: step `in`: for_each = `params.depth` is not a list parameter; write params.<name>"],
    );
    check(
        "deadline = \"02:00\"",
        "deadline = \"2am\"",
        &["x.toml:25:12: `2am` is not a time of day; write it like \"02:00\""],
    );
    check(
        "[schedule]\ncron = \"20 0 * * *\"\ntimezone = \"UTC\"\n",
        "",
        &["x.toml:22:12: a deadline is counted from the schedule, and there is no [schedule]"],
    );
    check(
        "job = \"validate-day\"",
        "job = \"validate-dya\"",
        &["x.toml:20:7: there is no job kind `validate-dya`; did you mean `validate-day`?"],
    );
    check("name = \"out\"\n", "", &["x.toml:18:1: [[step]] needs the key `name`"]);
}

#[test]
fn quorums_that_cannot_be() {
    check("min_ok = 2", "min_ok = 3", &["x.toml:22:22: step `out`: min_ok = 3, but its needs are 2 in all"]);
    check("min_ok = 2", "min_ok = 0", &["x.toml:22:22: `min_ok` is a whole number from 1"]);
    check(
        "min_ok = 2",
        "min_okay = 2",
        &[
            "x.toml:22:11: require needs the key `min_ok`",
            "x.toml:22:13: require has no key `min_okay`; did you mean `min_ok`?",
        ],
    );
    check(
        "require = { min_ok = 2 }",
        "require = { min_ok = 2 }\nwhen = \"always\"",
        &["x.toml:22:22: a quorum says when needs have succeeded; it goes with when = \"success\" only"],
    );
    let alone = told(&GOOD.replace("needs = [\"in\"]\n", "").replace("inputs = [\"book/*/{partition}\"]\n", ""));
    assert_eq!(alone[0], "x.toml:21:22: a quorum needs `needs`");
}

#[test]
fn inputs_of_jobs_that_cannot_be() {
    // Every step and every key is told, each at the key.
    let wrong = GOOD.replace("venue = \"{item}\"", "venue = 7").replace("[\"BTCUSDT\"]", "\"BTCUSDT\", depth = 3");
    assert_eq!(
        told(&wrong),
        [
            "x.toml:15:31: step `in`: the input of job `ingest-journal` is wrong: invalid type: integer `7`, expected a string",
            "x.toml:24:31: step `out`: the input of job `validate-day` is wrong: invalid type: string \"BTCUSDT\", expected a sequence",
            "x.toml:24:52: step `out`: the input of job `validate-day` is wrong: unknown field `depth`, expected one of `day`, `venue`, `symbols`",
        ]
    );
    check(
        "{ day = \"{partition}\", venue",
        "{ venue",
        &["x.toml:12:8: step `in`: the input of job `ingest-journal` is wrong: missing field `day`"],
    );
    check(
        "day = \"{partition}\", symbols",
        "day = \"{partitoin}\", symbols",
        &["x.toml:24:10: step `out`: there is no template `{partitoin}`; did you mean `partition`?"],
    );
    check(
        "day = \"{partition}\", symbols",
        "day = \"{item}\", symbols",
        &["x.toml:24:10: step `out`: `{item}` is only there in a step with for_each"],
    );
}

#[test]
fn limits_and_assets_that_cannot_be() {
    check(
        "exchange:{item}",
        "exchange:{itme}",
        &["x.toml:16:23: step `in`: there is no template `{itme}`; did you mean `item`?"],
    );
    check(
        "exchange:{item}",
        "{run.id}",
        &["x.toml:16:23: step `in`: `{run.id}` may only stand in `with`; here there is no run yet"],
    );
    check("max = 1", "max = 0", &["x.toml:16:48: `max` is a whole number from 1"]);
    check(
        "book/{item}",
        "book/*",
        &["x.toml:17:12: step `in`: `book/*/2026-11-20` has a `*`; a step must name what it makes"],
    );
    check("book/{item}", "book", &["x.toml:12:8: step `in`: it makes `book/2026-11-20`, and so does `in[binance]`"]);
    check(
        "book/*",
        "book//*",
        &["x.toml:23:11: step `out`: `book//*/2026-11-20` has an empty part; write it like candles/kraken"],
    );
    check(
        "needs = [\"in\"]\nrequire = { min_ok = 2 }\n",
        "",
        &["x.toml:19:8: step `out`: it reads `book/*/2026-11-20`, but does not need its maker `in[binance]`"],
    );
}

#[test]
fn circles_do_not_hide_other_problems() {
    let text = GOOD
        .replace("for_each = \"params.venues\"", "needs = [\"out\"]\nfor_each = \"params.venues\"")
        .replace("venue =", "venu =");
    let told = told(&text);
    assert_eq!(told[0], "x.toml:12:8: steps need each other in a circle: in -> out -> in");
    assert!(
        told.iter().any(|what| what.starts_with("x.toml:16:31: step `in`") && what.contains("unknown field `venu`")),
        "{told:?}"
    );
}
