//! Whole files in, plans or problems out.

use flows::catalogue::BUILT_IN;
use flows::{Workflow, catalogue};
use serde_json::{Map, Value, json};
use spec::plan::Backoff;
use spec::{Queue, Retry, RunPlan};
use std::collections::BTreeSet;
use std::fs;

const HEAD: &str =
    "schema = 1\nname = \"x\"\n[partition]\nkind = \"day\"\n[params]\nvenues = [\"binance\", \"kraken\"]\n";

fn plan(text: &str) -> RunPlan {
    let workflow = Workflow::parse("x.toml", text).unwrap_or_else(|problems| panic!("{problems}"));
    workflow.plan("2026-11-20", &Map::new()).unwrap_or_else(|error| panic!("{error}"))
}

/// The problems of a file with these steps; lines are counted from the first of them.
fn problems(steps: &str) -> Vec<String> {
    let text = format!("{HEAD}{steps}");
    let found = Workflow::parse("x.toml", &text).err().map(|p| p.0).unwrap_or_default();
    let above = HEAD.lines().count();
    found.into_iter().map(|p| format!("{}:{} {}", p.line - above, p.column, p.what)).collect()
}

fn step(name: &str, needs: &str) -> String {
    format!(
        "[[step]]\nname = \"{name}\"\njob = \"report-daily\"\nneeds = [{needs}]\nwith = {{ day = \"{{partition}}\" }}\n"
    )
}

#[test]
fn the_built_in_day_is_planned_in_order_with_its_day() {
    let (file, text) = BUILT_IN[0];
    let workflow = Workflow::parse(file, text).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = workflow.plan("2026-11-20", &Map::new()).unwrap_or_else(|error| panic!("{error}"));
    let shape: Vec<(&str, &str, &[String])> =
        plan.steps.iter().map(|s| (s.name.as_str(), s.job.as_str(), s.needs.as_slice())).collect();
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        shape,
        [
            ("ingest", "ingest-journal", names(&[]).as_slice()),
            ("validate", "validate-day", names(&["ingest"]).as_slice()),
            ("features", "build-features", names(&["validate"]).as_slice()),
            ("ledger", "project-ledger", names(&["ingest"]).as_slice()),
            ("report", "report-daily", names(&["features", "ledger"]).as_slice()),
        ]
    );
    assert!(plan.steps.iter().all(|s| s.params == json!({"day": "2026-11-20"})));
    let retry = Retry { max: 5, backoff: Backoff::Exponential, base_ms: 5_000, cap_ms: 300_000, jitter: true };
    assert_eq!(plan.steps[0].retry, retry);
    assert_eq!((plan.steps[0].timeout_s, plan.steps[1].timeout_s), (1_800, 900));
    assert_eq!((plan.steps[0].queue, plan.steps[4].queue), (Queue::Cpu, Queue::Report));
    let now = "2026-11-21T00:20:00Z".parse().unwrap_or_default();
    assert_eq!(workflow.newest_partition(now).as_deref(), Some("2026-11-20"));
}

#[test]
fn a_fan_out_has_one_step_per_item_and_its_fan_in_needs_them_all() {
    let steps = "[[step]]\nname = \"in\"\njob = \"ingest-journal\"\nfor_each = \"params.venues\"\n\
                 with = { day = \"{partition}\", venue = \"{item}\" }\n";
    let plan = plan(&format!("{HEAD}{steps}{}", step("out", "\"in\"")));
    let names: Vec<&str> = plan.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["in[binance]", "in[kraken]", "out"]);
    assert_eq!(plan.steps[1].params, json!({"day": "2026-11-20", "venue": "kraken"}));
    assert_eq!(plan.steps[2].needs, ["in[binance]", "in[kraken]"]);
}

#[test]
fn steps_may_be_written_in_any_order() {
    let plan = plan(&format!("{HEAD}{}{}{}", step("c", "\"b\""), step("b", "\"a\""), step("a", "")));
    let names: Vec<&str> = plan.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn a_circle_is_told_with_its_path() {
    let text = format!("{}{}{}{}", step("a", ""), step("b", "\"a\", \"d\""), step("c", "\"b\""), step("d", "\"c\""));
    assert_eq!(problems(&text), ["7:8 steps need each other in a circle: b -> d -> c -> b"]);
    assert_eq!(problems(&step("a", "\"a\"")), ["2:8 steps need each other in a circle: a -> a"]);
}

#[test]
fn names_that_are_not_there_are_told_all_at_once_with_the_nearest() {
    let text =
        format!("{}{}", step("ingest", ""), step("report", "\"ingset\"")).replace("report-daily", "report-dialy");
    assert_eq!(
        problems(&text),
        [
            "3:7 there is no job kind `report-dialy`; did you mean `report-daily`?",
            "8:7 there is no job kind `report-dialy`; did you mean `report-daily`?",
            "9:10 there is no step `ingset`; did you mean `ingest`?",
        ]
    );
    let twice = problems(&format!("{}{}", step("a", ""), step("a", "")));
    assert_eq!(twice, ["7:8 there are two steps `a`"]);
}

#[test]
fn inputs_and_templates_are_checked_before_anything_runs() {
    let wrong =
        |with: &str| problems(&format!("[[step]]\nname = \"a\"\njob = \"report-daily\"\nwith = {{ {with} }}\n"));
    assert!(wrong("day = \"{partition}\"").is_empty());
    assert!(wrong("dya = \"{partition}\"")[0].contains("unknown field `dya`"), "{:?}", wrong("dya = \"x\""));
    assert!(wrong("day = 7")[0].contains("invalid type"), "{:?}", wrong("day = 7"));
    assert!(
        wrong("day = \"{partitoin}\"")[0].contains("did you mean `partition`?"),
        "{:?}",
        wrong("day = \"{partitoin}\"")
    );
    assert!(wrong("day = \"{item}\"")[0].contains("for_each"));
}

#[test]
fn a_schedule_that_cannot_be_is_refused() {
    let with = |schedule: &str| {
        let text =
            format!("schema = 1\nname = \"x\"\n[schedule]\n{schedule}\n[partition]\nkind = \"day\"\n{}", step("a", ""));
        Workflow::parse("x.toml", &text).err().map(|p| p.to_string()).unwrap_or_default()
    };
    assert_eq!(with("cron = \"20 0 * * *\"\ntimezone = \"Europe/Berlin\"\nstart = 2024-01-01"), "");
    assert!(with("cron = \"61 0 * * *\"").starts_with("x.toml:4:8: "));
    assert!(with("cron = \"@daily\"").contains("five fields"));
    assert!(with("cron = \"* * * * *\"\ntimezone = \"Europe/Berln\"").contains("did you mean `Europe/Berlin`?"));
    assert!(with("cron = \"* * * * *\"\noverlap = \"never\"").starts_with("x.toml:5:11: "));
}

#[test]
fn the_hash_follows_the_meaning_and_not_the_layout() {
    let of =
        |text: &str| Workflow::parse("x.toml", text).map(|w| w.sha256().to_owned()).unwrap_or_else(|p| panic!("{p}"));
    let text = format!("{HEAD}{}", step("a", ""));
    let spaced = format!("# a comment\n{}", text.replace(" = ", "   =   "));
    assert_eq!(of(&text), of(&spaced));
    assert_ne!(of(&text), of(&text.replace("kraken", "bybit")));
    assert_eq!(of(&text).len(), 64);
}

#[test]
fn parameters_may_be_given_but_not_invented() {
    let workflow = Workflow::parse("x.toml", &format!("{HEAD}{}", step("a", ""))).unwrap_or_else(|p| panic!("{p}"));
    let given = |name: &str| Map::from_iter([(name.to_owned(), json!(["bybit"]))]);
    let plan = workflow.plan("2026-11-20", &given("venues")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(plan.params, json!({"venues": ["bybit"]}));
    let error = workflow.plan("2026-11-20", &given("venue")).map(|_| Value::Null).unwrap_err();
    assert_eq!(error.to_string(), "workflow `x` cannot run: it has no parameter `venue`; did you mean `venues`?");
    assert!(workflow.plan("yesterday", &Map::new()).is_err());
}

#[test]
fn a_users_file_wins_over_the_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let names = |all: &std::collections::BTreeMap<String, Workflow>| all.keys().cloned().collect::<Vec<_>>();
    let missing = catalogue::load(&folder.path().join("none")).unwrap();
    let built_in: Vec<String> = BUILT_IN.iter().map(|(file, _)| file.trim_end_matches(".toml").to_owned()).collect();
    assert_eq!(names(&missing), BTreeSet::from_iter(built_in).into_iter().collect::<Vec<_>>());
    let mine = format!("{HEAD}{}", step("only", "")).replace("\"x\"", "\"daily\"");
    fs::write(folder.path().join("daily.toml"), &mine).unwrap();
    let daily = catalogue::find(folder.path(), "daily").unwrap();
    assert_eq!(daily.graph(), [("only", vec![])]);
    fs::write(folder.path().join("weekly.toml"), &mine).unwrap();
    let misnamed = catalogue::load(folder.path()).unwrap_err();
    assert!(misnamed.to_string().contains("name the file daily.toml"), "{misnamed}");
    fs::remove_file(folder.path().join("weekly.toml")).unwrap();
    let unknown = catalogue::find(folder.path(), "dayly").unwrap_err();
    assert!(unknown.to_string().contains("there is no workflow `dayly`; there are: "), "{unknown}");
}

#[test]
fn a_wrong_file_takes_nothing_down_but_what_it_stands_for() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let good = format!("{HEAD}{}", step("only", ""));
    put("mine.toml", &good.replace("\"x\"", "\"mine\""));
    put("broken.toml", "schema = ");
    put("daily.toml", &good.replace("\"x\"", "\"daily\"").replace("[params]", "[parms]"));
    put("machine.json", include_str!("data/full.json"));
    put("market-daily.json", include_str!("data/full.json"));
    put("market-daily.toml", &good.replace("\"x\"", "\"market-daily\""));
    put("notes.txt", "not a workflow");
    let (all, wrong) = catalogue::load_all(folder.path());
    assert_eq!(*all["mine"].origin(), catalogue::Origin::File(folder.path().join("mine.toml")));
    assert_eq!(all["mine"].origin().to_string(), folder.path().join("mine.toml").display().to_string());
    // The broken replacement takes the built-in day away; two files for one workflow leave none.
    assert!(!all.contains_key("daily") && !all.contains_key("market-daily"));
    let told: Vec<(&str, String)> =
        wrong.iter().map(|(path, e)| (path.file_name().unwrap().to_str().unwrap(), e.to_string())).collect();
    let names: Vec<&str> = told.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["broken.toml", "daily.toml", "machine.json", "market-daily.toml"]);
    assert!(
        told[1].1.contains("daily.toml:5:2: a workflow file has no key `parms`; did you mean `params`?"),
        "{told:?}"
    );
    assert!(told[2].1.contains("name the file market-daily.json"), "{told:?}");
    assert!(told[3].1.contains("keep one"), "{told:?}");
    assert_eq!(catalogue::find(folder.path(), "mine").unwrap().name(), "mine");
    assert!(catalogue::find(folder.path(), "daily").unwrap_err().to_string().contains("parms"));
    fs::remove_file(folder.path().join("daily.toml")).unwrap();
    assert_eq!(*catalogue::find(folder.path(), "daily").unwrap().origin(), catalogue::Origin::BuiltIn);
}

#[test]
fn every_file_of_the_folder_is_built_in() {
    let folder = fs::read_dir("..").unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = names.filter(|name| name.ends_with(".toml")).collect();
    assert_eq!(BUILT_IN.iter().map(|(file, _)| (*file).to_owned()).collect::<BTreeSet<_>>(), files);
}

#[test]
fn the_example_of_the_page_is_good_and_laid_out() {
    let page = include_str!("../../../docs/workflows.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let plan = plan(example);
    let names: Vec<&str> = plan.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["ingest[binance]", "ingest[kraken]", "ingest[coinbase]", "validate", "report"]);
    // The page lines its comments up; apart from that it is as `format` would have it.
    let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    assert_eq!(words(&flows::format(example).unwrap()), words(example));
}
