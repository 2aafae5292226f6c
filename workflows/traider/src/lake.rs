//! The lake, recorded data, reports.

use crate::cli::{Context, DataVerb, LakeVerb, ReportVerb};
use crate::fail::{Fail, code};
use crate::trading::array;
use crate::{exec, out};
use serde_json::{Value, json};
use std::path::PathBuf;

/// `traider data inspect|tape`.
pub fn data(ctx: &Context<'_>, verb: &DataVerb) -> Result<u8, Fail> {
    match verb {
        DataVerb::Inspect { files } => inspect(ctx, files),
        DataVerb::Tape { run } => tape(ctx, run.as_deref()),
    }
}

fn tape(ctx: &Context<'_>, run: Option<&str>) -> Result<u8, Fail> {
    let (exit, found) = exec::worker(ctx, "tape", &json!({"run": run.unwrap_or("latest")}))?;
    ctx.out.value(&found, |v| {
        let columns = [
            ("VENUE", "venue"),
            ("FRAMES", "frames"),
            ("EQUAL", "equal"),
            ("OVER HTTP", "asked"),
            ("TOO LATE", "surplus"),
            ("NOT ON TAPE", "not_on_tape"),
            ("LOST", "lost"),
        ];
        let venues = array(&v["venues"]);
        out::table(&columns, &["FRAMES", "EQUAL", "OVER HTTP", "TOO LATE", "NOT ON TAPE", "LOST"], venues);
        for venue in venues.iter().filter(|venue| venue["difference"].is_string()) {
            say!("{}: {}", out::text(&venue["venue"]), out::text(&venue["difference"]));
        }
        for venue in venues.iter().filter(|venue| venue["cut"] == true) {
            say!("{}: a tape breaks off, as after a kill; up to a second may be missing", out::text(&venue["venue"]));
        }
        let verdict = if v["proven"] == true { "proven" } else { "NOT proven" };
        say!("{verdict}: what run {} journaled is what its tapes say", out::text(&v["run_id"]));
    });
    Ok(exit)
}

fn inspect(ctx: &Context<'_>, files: &[PathBuf]) -> Result<u8, Fail> {
    let (exit, found) = exec::worker(ctx, "inspect", &json!({"files": files}))?;
    ctx.out.value(&found, |v| {
        for file in array(&v["files"]) {
            say!("{}  {} messages", out::text(&file["file"]), out::text(&file["messages"]));
            for key in ["damage", "refused", "first_unreadable"] {
                if let Some(text) = file[key].as_str() {
                    say!("  {}: {text}", key.replace('_', " "));
                }
            }
        }
        let columns = [
            ("VENUE", "venue"),
            ("SYMBOL", "symbol"),
            ("BOOK", "book"),
            ("MESSAGES", "messages"),
            ("APPLIED", "diffs_applied"),
            ("BREAKS", "sequence_breaks"),
            ("TOPS", "tops_compared"),
            ("EQUAL", "tops_equal"),
            ("SUMS", "checksums_total"),
            ("RIGHT", "checksums_ok"),
            ("CROSSED", "crossed"),
            ("GAPS", "gaps"),
            ("CLOCK MS", "clock_offset_ms"),
        ];
        let right = ["MESSAGES", "APPLIED", "BREAKS", "TOPS", "EQUAL", "SUMS", "RIGHT", "CROSSED", "GAPS", "CLOCK MS"];
        let instruments = array(&v["instruments"]);
        out::table(&columns, &right, instruments);
        for i in instruments.iter().filter(|i| i["refused"].is_string()) {
            say!("{} {}: {}", out::text(&i["venue"]), out::text(&i["symbol"]), out::text(&i["refused"]));
        }
        say!("CLOCK MS: the venue's clock less the recorder's, as if the fastest message had taken no time");
    });
    Ok(exit)
}

/// `traider lake ls|sql`.
pub fn lake(ctx: &Context<'_>, verb: &LakeVerb) -> Result<u8, Fail> {
    match verb {
        LakeVerb::Ls { dataset } => {
            let (exit, listed) = exec::worker(ctx, "lake-ls", &json!({"dataset": dataset}))?;
            ctx.out.value(&listed, |v| {
                let columns = [
                    ("DATASET", "dataset"),
                    ("VENUE", "venue"),
                    ("INSTRUMENT", "instrument"),
                    ("DAY", "day"),
                    ("ROWS", "rows"),
                    ("BYTES", "bytes"),
                    ("VERSION", "version"),
                ];
                out::table(&columns, &["ROWS", "BYTES", "VERSION"], array(&v["partitions"]));
            });
            Ok(exit)
        }
        LakeVerb::Sql { query } => {
            let (exit, result) = exec::research_sql(ctx, query)?;
            ctx.out.value(&result, |v| {
                let columns: Vec<String> = array(&v["columns"]).iter().map(out::text).collect();
                let rows: Vec<Value> = array(&v["rows"])
                    .iter()
                    .map(|row| {
                        columns.iter().cloned().zip(array(row).iter().cloned()).collect::<serde_json::Map<_, _>>()
                    })
                    .map(Value::Object)
                    .collect();
                let heads: Vec<(&str, &str)> = columns.iter().map(|c| (c.as_str(), c.as_str())).collect();
                out::table(&heads, &[], &rows);
            });
            Ok(exit)
        }
    }
}

/// `traider report show`.
pub fn report(ctx: &Context<'_>, verb: &ReportVerb) -> Result<u8, Fail> {
    let ReportVerb::Show { day } = verb;
    let day = match day {
        Some(day) => day.clone(),
        None => newest(ctx)?,
    };
    let dir = ctx.home.reports().join(format!("day={day}"));
    let text = std::fs::read(dir.join("report.json")).map_err(|_| {
        Fail::plain(format!(
            "there is no report for {day} in `{}`; `traider run start daily --partition {day} --wait` makes one",
            ctx.home.reports().display()
        ))
    })?;
    let report: Value = serde_json::from_slice(&text).map_err(|e| {
        Fail::new(code::VERIFICATION, format!("the report of {day} is damaged: {e}; run the day again"))
    })?;
    ctx.out.value(&report, |v| {
        say!("{day}  {}  {}", out::text(&v["state"]), dir.join("report.html").display());
        for reason in array(&v["reasons"]) {
            say!("  because {}", out::text(reason));
        }
        say!("\nprofit and loss, after fees");
        let amounts = ["REALIZED", "UNREALIZED", "FEES", "NET"].map(|title| (title, title.to_lowercase()));
        let mut columns = vec![("CURRENCY", "currency")];
        columns.extend(amounts.iter().map(|(title, key)| (*title, key.as_str())));
        out::table(&columns, &["REALIZED", "UNREALIZED", "FEES", "NET"], array(&v["money"]["totals"]));
        for section in ["orders", "risk", "execution", "compliance"] {
            if let Some(map) = v[section].as_object() {
                say!("\n{section}");
                for (key, value) in map.iter().filter(|(_, value)| !value.is_array() && !value.is_object()) {
                    say!("{key:>24}  {}", out::text(value));
                }
            }
        }
    });
    Ok(0)
}

fn newest(ctx: &Context<'_>) -> Result<String, Fail> {
    let days = std::fs::read_dir(ctx.home.reports()).ok().into_iter().flatten().flatten();
    let mut days: Vec<String> =
        days.filter_map(|e| e.file_name().to_str().and_then(|n| n.strip_prefix("day=")).map(str::to_owned)).collect();
    days.sort();
    days.pop().ok_or_else(|| {
        Fail::plain("there is no report yet; `traider run start daily --partition DAY --wait` makes one")
    })
}
