//! Formatting: the layout changes, comments and meaning do not.

use flows::catalogue::BUILT_IN;
use flows::{Workflow, format};
use proptest::prelude::*;

fn sha256(text: &str) -> String {
    Workflow::parse("x.toml", text).unwrap_or_else(|p| panic!("{p}\n{text}")).sha256().to_owned()
}

#[track_caller]
fn check(text: &str, want: &str) {
    assert_eq!(format(text), Ok(want.to_owned()));
    assert_eq!(format(want), Ok(want.to_owned()));
}

#[test]
fn keys_are_sorted_and_comments_stay_where_they_belong() {
    check(
        "# about the file\n\n\nname   =   \"x\"    # beside\n# above schema\nschema=1\n\
         [partition] # beside the table\n  # above lag\n  lag=\"1d\"\n  kind='day'\n\n\n\n\
         # above schedule\n[schedule]\ncron=\"0 0 * * *\"\n# the end\n",
        "# about the file\n\n# above schema\nschema = 1\nname = \"x\"  # beside\n\n\
         # above schedule\n[schedule]\ncron = \"0 0 * * *\"\n\n\
         [partition]  # beside the table\nkind = 'day'\n# above lag\nlag = \"1d\"\n# the end\n",
    );
}

#[test]
fn lists_break_when_they_have_comments_or_are_long() {
    check("a = [1,\n  2,\n]\n", "a = [1, 2]\n");
    check(
        "[params]\na = [ # first\n\"b\", # of b\n# before c\n\"c\"\n# last\n]  # after\n",
        "[params]\na = [\n  # first\n  \"b\",  # of b\n  # before c\n  \"c\",\n  # last\n]  # after\n",
    );
    let long = format!("a = [{}]\n", ["\"0123456789\""; 12].join(", "));
    check(&long, &format!("a = [\n{}]\n", "  \"0123456789\",\n".repeat(12)));
}

#[test]
fn every_spelling_of_a_table_becomes_one() {
    check(
        "schedule = { timezone = \"UTC\", cron = \"x\" } # c\n",
        "[schedule]  # c\ncron = \"x\"\ntimezone = \"UTC\"\n",
    );
    check(
        "# t\ndefaults.timeout = \"1m\"\n# g\ndefaults.grace = \"2s\"\n",
        "[defaults]\n# t\ntimeout = \"1m\"\n# g\ngrace = \"2s\"\n",
    );
    check(
        "[defaults]\nretry.base = \"1s\" # b\nretry.max = 3\n",
        "[defaults]\n# b\nretry = { max = 3, base = \"1s\" }\n",
    );
    check("[defaults.retry]\nbase = \"1s\"\nmax = 3\n", "[defaults.retry]\nmax = 3\nbase = \"1s\"\n");
    check(
        "# s\nstep = [{ job = \"j\", name = \"a\" }, # c\n{ name = \"b\" }]\n",
        "# s\n[[step]]\nname = \"a\"\njob = \"j\"\n\n# c\n[[step]]\nname = \"b\"\n",
    );
    check(
        "[[step]]\nname = \"a\"\n[step.with]\nb = 1\na = 2\n[[step]]\nname = \"b\"\n",
        "[[step]]\nname = \"a\"\n\n[step.with]\nb = 1\na = 2\n\n[[step]]\nname = \"b\"\n",
    );
}

#[test]
fn broken_syntax_is_told_with_its_place() {
    let told = format("schema = 1\nname = \n").unwrap_err().in_file("x.toml").to_string();
    assert!(told.starts_with("x.toml:2:"), "{told}");
}

#[test]
fn built_in_files_keep_their_meaning() {
    for (file, text) in BUILT_IN {
        assert_eq!(sha256(&format(text).unwrap()), sha256(text), "{file}");
    }
}

/// What may stand between two lines, and beside one.
fn gap() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "\n", "# c\n", "\n# c\n\n", "  # c\n# c\n", "\n\n\n"])
}
fn side() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "  ", " # c"])
}

/// Lines of one table, in any order, with comments anywhere.
fn table(header: &'static str, keys: &'static [&'static str]) -> impl Strategy<Value = String> {
    let order = Just(keys.to_vec()).prop_shuffle();
    (order, prop::collection::vec((gap(), side()), keys.len()), gap(), side()).prop_map(
        move |(keys, gaps, gap, side)| {
            let mut text = if header.is_empty() { String::new() } else { format!("{gap}{header}{side}\n") };
            for (key, (gap, side)) in keys.iter().zip(gaps) {
                text += &format!("{gap}{key}{side}\n");
            }
            text
        },
    )
}

const STEP: &[&str] = &[
    "name = \"a\"",
    "job   =  'ingest-journal'",
    "with = { venue = \"{item}\", day = \"{partition}\" }",
    "for_each = \"params.venues\"",
    "concurrency = { max = 1, key = \"exchange:{item}\" }",
    "retry = { base = \"5s\", # inside\n max = 3 }",
    "outputs = [ # of one\n \"in/{item}/{partition}\" # comma\n , ]",
];
const PARAMS: &[&str] =
    &["venues = [\n\"b\", # b\n\n 'k', #k\n# end\n]", "depth.a = 1_000", "depth.b = [{ x = 1.50 }, {}]"];

proptest! {
    #[test]
    fn formatting_is_stable_and_keeps_meaning_and_comments(
        head in table("", &["schema = 1", "name = \"x\"", "owner = \"\"\"a\n# no comment\nb\"\"\""]),
        mut rest in (
            table("[schedule]", &["cron = \"20 0 * * *\"", "timezone = \"Europe/Berlin\"", "start = 2024-01-01"]),
            table("[partition]", &["kind = \"day\"", "lag = \"1d\""]),
            table("[params]", PARAMS),
            table("[[step]]", STEP),
            table("[on_failure]", &["alert = [\"file\", \"stdout\"]"]),
        ).prop_map(|(a, b, c, d, e)| vec![a, b, c, d, e]).prop_shuffle(),
        end in gap(),
    ) {
        rest.insert(0, head);
        rest.push(end.to_owned());
        let text = rest.concat();
        let once = format(&text).unwrap();
        prop_assert_eq!(&format(&once).unwrap(), &once);
        prop_assert_eq!(sha256(&once), sha256(&text));
        prop_assert_eq!(once.matches('#').count(), text.matches('#').count(), "{}\n---\n{}", text, once);
    }
}
