//! Definitions in, plans out: quorum, limits, deadlines, channels, assets, stored definitions, differences, pictures.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic like the tests themselves")]

use flows::{StepAssets, Workflow, diff};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use spec::plan::Concurrency;

const FULL: &str = include_str!("data/full.json");

fn full() -> Workflow {
    Workflow::parse_json("full.json", FULL).unwrap_or_else(|p| panic!("{p}"))
}

fn given(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}

#[test]
fn the_plan_has_quorum_limits_and_channels() {
    let plan = full().plan("2026-11-20", &Map::new()).unwrap();
    let names: Vec<&str> = plan.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["ingest[binance]", "ingest[kraken]", "ingest[coinbase]", "validate", "report"]);
    assert_eq!(plan.steps[1].concurrency, Some(Concurrency { key: "exchange:kraken".to_owned(), max: 1 }));
    assert_eq!((plan.steps[2].min_ok, plan.steps[3].min_ok), (None, Some(2)));
    assert_eq!(plan.alert, ["webhook", "file"]);
    assert!(plan.steps.iter().all(|s| s.deadline_s.is_none()));
}

#[test]
fn the_plan_of_a_slot_has_deadlines() {
    // 00:20 in Berlin in November is 23:20 UTC of the day before; 02:00 there is 01:00 UTC, by `date -u -d … +%s`.
    let slot = "2026-11-20T23:20:00Z".parse().unwrap();
    let plan = full().plan_slot("2026-11-20", slot, &Map::new()).unwrap();
    let deadlines: Vec<Option<i64>> = plan.steps.iter().map(|s| s.deadline_s).collect();
    assert_eq!(deadlines, [None, None, None, None, Some(1_795_222_800)]);
}

#[test]
fn a_quorum_counts_the_instances_of_this_run() {
    let error = full().plan("2026-11-20", &given("venues", json!(["kraken"]))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "workflow `market-daily` cannot run: step `validate`: min_ok = 2, but its needs are 1 in all"
    );
    assert!(full().plan("2026-11-20", &given("venues", json!(["kraken", "binance"]))).is_ok());
}

#[test]
fn parameters_have_the_type_of_their_default() {
    let error = full().plan("2026-11-20", &given("depth", json!("5"))).unwrap_err();
    assert_eq!(error.what, "parameter `depth` is a whole number, not the text `5`");
    let error = full().plan("2026-11-20", &given("venues", json!("kraken"))).unwrap_err();
    assert_eq!(error.what, "parameter `venues` is a list, not the text `kraken`");
    assert_eq!(full().param_from_text("venues", "kraken,bybit").unwrap(), json!(["kraken", "bybit"]));
    assert_eq!(full().param_from_text("depth", "7").unwrap(), json!(7));
    assert!(full().param_from_text("depht", "7").unwrap_err().what.contains("did you mean `depth`?"));
}

#[test]
fn assets_are_named_for_the_partition() {
    let assets = full().assets("2026-11-20", &given("venues", json!(["kraken", "okx"]))).unwrap();
    let of = |step: &str, inputs: &[&str], outputs: &[&str]| StepAssets {
        step: step.to_owned(),
        inputs: inputs.iter().map(|s| (*s).to_owned()).collect(),
        outputs: outputs.iter().map(|s| (*s).to_owned()).collect(),
    };
    assert_eq!(
        assets,
        [
            of("ingest[kraken]", &[], &["book/kraken/2026-11-20"]),
            of("ingest[okx]", &[], &["book/okx/2026-11-20"]),
            of("validate", &["book/*/2026-11-20"], &["book_clean/2026-11-20"]),
            of("report", &[], &[]),
        ]
    );
}

#[test]
fn the_run_id_is_left_for_the_store() {
    let text = FULL.replace("\"venue\": \"{item}\"", "\"venue\": \"{item}-{run.id}\"");
    let workflow = Workflow::parse_json("full.json", &text).unwrap_or_else(|p| panic!("{p}"));
    let mut plan = workflow.plan("2026-11-20", &Map::new()).unwrap();
    assert_eq!(plan.steps[0].params["venue"], "binance-{run.id}");
    spec::plan::fill_run_id(&mut plan.steps[0].params, "01K9ZC3W");
    assert_eq!(plan.steps[0].params["venue"], "binance-01K9ZC3W");
}

#[test]
fn a_stored_definition_is_the_same_version() {
    for workflow in [full(), Workflow::parse("daily.toml", flows::catalogue::BUILT_IN[0].1).unwrap()] {
        let stored = workflow.plan("2026-11-20", &Map::new()).unwrap().definition;
        let again = Workflow::from_definition(&stored).unwrap_or_else(|p| panic!("{p}"));
        assert_eq!(again.sha256(), workflow.sha256());
        assert_eq!(again.plan("2026-11-21", &Map::new()).unwrap(), workflow.plan("2026-11-21", &Map::new()).unwrap());
        assert_eq!(diff(&workflow, &again), []);
    }
    let wrong = Workflow::from_definition(&json!({"schema": 1, "name": "x", "stepp": []})).unwrap_err();
    assert!(wrong.to_string().contains("did you mean `step`?"), "{wrong}");
}

/// What was stored before the format had quorums, limits, deadlines and assets keeps its hash.
#[test]
fn a_key_that_is_not_used_does_not_change_the_hash() {
    let text = "schema = 1\nname = \"x\"\n[partition]\nkind = \"day\"\n[[step]]\nname = \"a\"\njob = \"report-daily\"\n\
                with = { day = \"{partition}\" }\n";
    let workflow = Workflow::parse("x.toml", text).unwrap();
    let step = workflow.definition()["step"][0].as_object().unwrap();
    for added in ["require", "concurrency", "inputs", "outputs", "deadline"] {
        assert!(!step.contains_key(added), "{added}");
    }
    assert!(workflow.definition().get("on_failure").is_none());
    assert!(workflow.definition()["partition"].get("depends_on_past").is_none());
}

#[test]
fn differences_are_told_in_the_words_of_the_file() {
    let new = FULL
        .replace("20 0 * * *", "0 1 * * *")
        .replace("\"timeout\": \"30m\"", "\"timeout\": \"1h\"")
        .replace("\"depth\": 5", "\"depth\": 6")
        .replace("\"min_ok\": 2", "\"min_ok\": 3")
        .replace(", \"file\"", "")
        .replace("\"name\": \"report\"", "\"name\": \"tell\"");
    let new = Workflow::parse_json("full.json", &new).unwrap_or_else(|p| panic!("{p}"));
    let told: Vec<String> = diff(&full(), &new).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "schedule.cron: \"20 0 * * *\" -> \"0 1 * * *\"",
            "params.depth: 5 -> 6",
            "step `report` removed: report-daily",
            "step `validate` require.min_ok: 2 -> 3",
            "step `validate` timeout: 30m -> 1h",
            "step `tell` added: report-daily",
            "on_failure.alert: [\"webhook\",\"file\"] -> [\"webhook\"]",
        ]
    );
    let bare = FULL.replace("\"deadline\": \"02:00\"", "\"retry\": { \"base\": \"90s\", \"max\": 2 }");
    let bare = Workflow::parse_json("full.json", &bare).unwrap();
    let told: Vec<String> = diff(&full(), &bare).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["step `report` retry added: { max = 2, base = 90s }", "step `report` deadline removed: \"02:00\""]
    );
}

#[test]
fn pictures_show_steps_needs_and_rules() {
    assert_eq!(
        full().graph_text(),
        "ingest[params.venues]  ingest-journal  io\n\
         validate               validate-day    cpu  <- ingest (2 are enough)\n\
         report                 report-daily    io   <- validate (when always, late after 02:00)\n"
    );
    assert_eq!(
        full().graph_dot(),
        "digraph \"market-daily\" {\n  rankdir=LR;\n  node [shape=box];\n\
         \x20 \"ingest\" [label=\"ingest[params.venues]\\ningest-journal\"];\n\
         \x20 \"validate\" [label=\"validate\\nvalidate-day\"];\n\
         \x20 \"report\" [label=\"report\\nreport-daily\"];\n\
         \x20 \"ingest\" -> \"validate\";\n\
         \x20 \"validate\" -> \"report\" [style=dashed];\n}\n"
    );
    assert_eq!(
        full().graph_mermaid(),
        "flowchart LR\n\
         \x20 s-ingest[\"ingest[params.venues]<br>ingest-journal\"]\n\
         \x20 s-validate[\"validate<br>validate-day\"]\n\
         \x20 s-report[\"report<br>report-daily\"]\n\
         \x20 s-ingest --> s-validate\n\
         \x20 s-validate -.-> s-report\n"
    );
}

const KINDS: [(&str, &str); 3] = [("hour", "%Y-%m-%dT%H"), ("day", "%Y-%m-%d"), ("month", "%Y-%m")];

/// Whatever TOML can hold that JSON can too.
fn plain() -> impl Strategy<Value = toml::Value> {
    let leaf = prop_oneof![
        "[^\u{0}]*".prop_map(toml::Value::String),
        any::<i64>().prop_map(toml::Value::Integer),
        (-1e300..1e300).prop_map(toml::Value::Float),
        any::<bool>().prop_map(toml::Value::Boolean),
        Just(toml::Value::Datetime("2024-02-29T07:00:00Z".parse().unwrap())),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(toml::Value::Array),
            prop::collection::btree_map(".*", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<toml::Table>().into()),
        ]
    })
}

proptest! {
    /// Any text and any value comes back from the store as it went in, and survives formatting.
    #[test]
    fn every_definition_comes_back(description in "\\PC*|[\u{1}-\u{ff}:\"\\\\]*", value in plain()) {
        let table: toml::Table = [("p".to_owned(), value)].into_iter().collect();
        let mut file: toml::Table = "schema = 1\nname = \"x\"\n[[step]]\nname = \"a\"\njob = \"report-daily\"\n\
                                     with = { day = \"2026-11-20\" }\n".parse().unwrap();
        file.insert("description".to_owned(), description.clone().into());
        file.insert("params".to_owned(), table.into());
        let text = file.to_string();
        let workflow = Workflow::parse("x.toml", &text).unwrap();
        prop_assert_eq!(&workflow.file().description, &description);
        let again = Workflow::from_definition(workflow.definition()).unwrap();
        prop_assert_eq!(again.sha256(), workflow.sha256());
        prop_assert_eq!(again.definition(), workflow.definition());
        let formatted = flows::format(&text).unwrap();
        let laid_out = Workflow::parse("x.toml", &formatted).unwrap();
        prop_assert_eq!(laid_out.sha256(), workflow.sha256());
        prop_assert_eq!(flows::format(&formatted).unwrap(), formatted);
    }

    /// Between, previous and range tell the same calendar.
    #[test]
    fn partitions_agree(kind in 0..3usize, first in 0i64..4_000_000_000, steps in 0i64..300) {
        let (kind, like) = KINDS[kind];
        let partition: flows::file::Partition = serde_json::from_value(json!({"kind": kind})).unwrap();
        let hours = match kind { "hour" => 1, "day" => 24, _ => 24 * 31 };
        let key = |s: i64| chrono::DateTime::from_timestamp(s, 0).unwrap().format(like).to_string();
        let (first, last) = (key(first), key(first + steps * hours * 3600));
        let all = partition.between(&first, &last).unwrap();
        prop_assert_eq!((all.first(), all.last()), (Some(&first), Some(&last)));
        for pair in all.windows(2) {
            let [old, new] = [&pair[0], &pair[1]].map(|key| partition.range(key).unwrap().unwrap());
            prop_assert_eq!(old.end, new.start);
            let previous = partition.previous(&pair[1]);
            prop_assert_eq!(previous.as_ref(), Some(&pair[0]));
        }
        if kind != "month" {
            prop_assert_eq!(all.len() as i64, steps + 1);
        }
        if first != last {
            prop_assert!(partition.between(&last, &first).is_err());
        }
    }
}
