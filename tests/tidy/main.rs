//! Rules of the house that a machine can check. The list of allowed edges is read from `docs/architecture.md`, so the
//! picture there cannot lie.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::root;

/// The packages of this platform: those of others need not be on the machine.
fn metadata() -> Metadata {
    let told = Command::new("rustc").arg("-vV").output().expect("rustc is there: it built this test");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let host = told.lines().find_map(|l| l.strip_prefix("host: ")).expect("rustc names its host");
    let options = ["--offline", "--locked", "--filter-platform", host].map(str::to_owned);
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(options)
        .exec()
        .expect("cargo metadata")
}

fn architecture() -> String {
    fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md")
}

/// Lines of the fenced block named `name` in the architecture page.
fn block(name: &str) -> Vec<String> {
    let page = architecture();
    let open = format!("```{name}\n");
    let start = page.find(&open).unwrap_or_else(|| panic!("no ```{name} block in docs/architecture.md")) + open.len();
    let end = page[start..].find("```").expect("the block is closed") + start;
    page[start..end].lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

fn allowed_edges() -> BTreeMap<String, BTreeSet<String>> {
    block("edges")
        .iter()
        .map(|line| {
            let (from, to) = line.split_once("->").unwrap_or_else(|| panic!("`{line}` is not `crate -> crates`"));
            (from.trim().to_owned(), to.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

/// Rust files below a folder, in path order.
fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())).flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn source_folders() -> Vec<PathBuf> {
    ["hotpath", "jobs", "workflows", "ops", "tests"].iter().map(|d| root().join(d)).collect()
}

/// True for a file that holds tests only.
fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    name.ends_with("tests") || name == "testing" || path.components().any(|c| c.as_os_str() == "tests")
}

/// The code of a file without its test module and comments.
fn production_code(path: &Path) -> String {
    if is_test_file(path.strip_prefix(root()).expect("a file of the workspace")) {
        return String::new();
    }
    let text = fs::read_to_string(path).expect("a source file");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_edge_between_crates_is_listed_and_every_listed_one_exists() {
    let metadata = metadata();
    let allowed = allowed_edges();
    let members: BTreeSet<&str> = metadata.workspace_packages().iter().map(|p| p.name.as_str()).collect();
    let mut actual: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata.workspace_packages() {
        if package.name == "tests" {
            continue;
        }
        let edges = package
            .dependencies
            .iter()
            .filter(|d| d.kind != DependencyKind::Development && members.contains(d.name.as_str()))
            .map(|d| d.name.clone());
        actual.entry(package.name.to_string()).or_default().extend(edges);
    }
    for (from, to) in &actual {
        let listed = allowed.get(from).unwrap_or_else(|| panic!("crate `{from}` is not in docs/architecture.md"));
        for edge in to {
            assert!(listed.contains(edge), "`{from} -> {edge}` is not listed in docs/architecture.md");
        }
        for edge in listed {
            assert!(to.contains(edge), "docs/architecture.md lists `{from} -> {edge}`, which is not there");
        }
    }
    for from in allowed.keys() {
        assert!(actual.contains_key(from), "docs/architecture.md lists the crate `{from}`, which is not there");
    }
}

#[test]
fn arrows_point_down_the_levels_only() {
    let level: BTreeMap<String, u8> = block("levels")
        .iter()
        .flat_map(|line| {
            let (level, crates) = line.split_once(':').unwrap_or_else(|| panic!("`{line}` is not `L0: crates`"));
            let level = level.trim_start_matches('L').parse().expect("a level number");
            crates.split_whitespace().map(|c| (c.to_owned(), level)).collect::<Vec<_>>()
        })
        .collect();
    for (from, to) in allowed_edges() {
        for edge in to {
            assert!(level[&edge] < level[&from], "`{from}` (L{}) -> `{edge}` (L{})", level[&from], level[&edge]);
        }
    }
}

/// Names of all packages that `start` is built from, dev-dependencies of others left out.
fn below(metadata: &Metadata, start: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|n| (&n.id, n)).collect();
    let package = metadata.workspace_packages().into_iter().find(|p| p.name == start);
    let mut todo = vec![&package.unwrap_or_else(|| panic!("no crate {start}")).id];
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if seen.insert(id) {
            let deps = nodes[id].deps.iter();
            todo.extend(
                deps.filter(|d| d.dep_kinds.iter().any(|k| k.kind != DependencyKind::Development)).map(|d| &d.pkg),
            );
        }
    }
    seen.iter().map(|id| metadata[id].name.to_string()).collect()
}

#[test]
fn weight_stays_where_it_belongs() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let names_polars = package.dependencies.iter().any(|d| d.name.starts_with("polars"));
        assert!(!names_polars || package.name == "frames", "`{}` names polars; only `frames` may", package.name);
    }
    let never: [(&str, &[&str]); 8] = [
        ("domain", &["tokio", "sqlx", "polars", "rand"]),
        ("engine", &["tokio", "sqlx", "polars", "rand", "tracing"]),
        ("sim", &["tokio", "sqlx", "polars", "rand", "tracing"]),
        ("traiderd", &["sqlx", "polars", "apalis"]),
        ("emulator", &["sqlx", "polars", "apalis"]),
        ("traider", &["engine", "polars", "arrow"]),
        ("worker", &["polars"]),
        ("dashboard", &["engine", "polars"]),
    ];
    for (of, banned) in never {
        let below = below(&metadata, of);
        for name in banned {
            assert!(!below.contains(*name), "`{of}` is built from `{name}`");
        }
    }
    for name in ["openssl-sys", "aws-lc-sys", "backoff", "serde_yaml"] {
        assert!(!metadata.packages.iter().any(|p| p.name == name), "`{name}` is in the tree; see deny.toml");
    }
}

#[test]
fn the_engine_has_no_clock_no_hash_order_and_no_platform_floats() {
    let banned = [
        "Instant::now",
        "SystemTime",
        "HashMap",
        "HashSet",
        "thread_rng",
        "rand::",
        ".ln(",
        ".log(",
        ".log2(",
        ".log10(",
        ".exp(",
        ".exp2(",
        ".powf(",
        ".powi(",
        ".tanh(",
        ".sin(",
        ".cos(",
        ".cbrt(",
        "println!",
        "eprintln!",
        "async fn",
        "std::fs",
        "std::net",
        "std::thread",
    ];
    for dir in ["hotpath/domain/src", "hotpath/engine/src", "hotpath/sim/src"] {
        for path in rust_files(&root().join(dir)) {
            let code = production_code(&path);
            for name in banned {
                assert!(!code.contains(name), "`{name}` in {}", path.display());
            }
        }
    }
}

#[test]
fn modules_of_the_engine_use_only_modules_above_them() {
    let dir = root().join("hotpath/engine/src");
    let lib = fs::read_to_string(dir.join("lib.rs")).expect("engine/src/lib.rs");
    let order: Vec<&str> =
        lib.lines().filter_map(|l| l.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')).collect();
    assert!(order.len() > 5, "the engine's modules stand in lib.rs in flow order");
    for (at, module) in order.iter().enumerate() {
        let mut files = Vec::new();
        let single = dir.join(format!("{module}.rs"));
        if single.is_file() {
            files.push(single);
        }
        if dir.join(module).is_dir() {
            files.extend(rust_files(&dir.join(module)));
        }
        for path in files {
            let code = production_code(&path);
            for later in &order[at + 1..] {
                for form in [format!("crate::{later}::"), format!("crate::{later};"), format!("crate::{later} ")] {
                    assert!(
                        !code.contains(&form),
                        "{} uses `{later}`, which stands below `{module}` in lib.rs",
                        path.display()
                    );
                }
            }
        }
    }
}

#[test]
fn no_file_is_longer_than_800_lines() {
    for dir in source_folders() {
        for path in rust_files(&dir) {
            let lines = fs::read_to_string(&path).expect("a source file").lines().count();
            assert!(lines <= 800, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn no_test_is_switched_off_and_nothing_is_left_undone() {
    // Spelled in pieces, so that this file does not find itself.
    let banned = [concat!("#[ig", "nore"), concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME")];
    for dir in source_folders() {
        for path in rust_files(&dir) {
            let text = fs::read_to_string(&path).expect("a source file");
            for name in banned {
                let at = text.lines().position(|l| l.contains(name) && !l.trim_start().starts_with("///"));
                assert!(at.is_none(), "`{name}` in {}:{}", path.display(), at.unwrap_or_default() + 1);
            }
        }
    }
}

#[test]
fn every_crate_says_what_it_is() {
    for package in metadata().workspace_packages() {
        for target in &package.targets {
            if target.is_lib() || target.is_bin() {
                let text = fs::read_to_string(&target.src_path).expect("a crate root");
                assert!(
                    text.starts_with("//!") && !text.contains("//! placeholder"),
                    "{} does not start with a //! paragraph",
                    target.src_path
                );
            }
        }
    }
}

#[test]
fn every_refusal_of_risk_is_named_in_a_test() {
    let dir = root().join("hotpath/engine/src");
    let files = rust_files(&dir);
    let all: String = files.iter().map(|p| fs::read_to_string(p).expect("a source file")).collect();
    let start = all.find("pub enum Refusal").expect("engine has `enum Refusal`");
    let body = &all[start..start + all[start..].find("\n}").expect("the enum ends")];
    let variants: Vec<&str> = body
        .lines()
        .skip(1)
        .filter(|l| l.starts_with("    ") && !l.starts_with("     "))
        .map(str::trim)
        .filter(|l| l.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|l| l.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default())
        .collect();
    assert!(variants.len() >= 10, "found only {variants:?}");
    let tests: String = files
        .iter()
        .filter_map(|p| {
            let text = fs::read_to_string(p).expect("a source file");
            if is_test_file(p.strip_prefix(root()).expect("a file of the workspace")) {
                return Some(text);
            }
            text.split_once("#[cfg(test)]").map(|(_, t)| t.to_owned())
        })
        .collect();
    for variant in variants {
        assert!(tests.contains(&format!("Refusal::{variant}")), "no test names `Refusal::{variant}`");
    }
}

/// Every path of this repository that a page names is there: links, and names in backticks that end like a file.
#[test]
fn every_path_the_pages_name_exists() {
    const ENDINGS: [&str; 7] = [".rs", ".toml", ".sh", ".sql", ".md", ".css", ".js"];
    const FOLDERS: [&str; 9] = ["hotpath", "jobs", "workflows", "ops", "tests", "docs", "sql", "config", ".ci"];
    let mut pages = vec![root().join("README.md")];
    for folder in ["docs", "docs/decisions"] {
        let entries = fs::read_dir(root().join(folder)).expect("the folder of pages");
        pages.extend(entries.map(|e| e.expect("an entry").path()).filter(|p| p.extension().is_some_and(|e| e == "md")));
    }
    let mut seen = 0;
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        let here = page.parent().expect("a page is in a folder");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(to, _)| to);
        let links = links.filter(|to| !to.contains("://") && !to.starts_with('#'));
        let links = links.map(|to| here.join(to.split('#').next().unwrap_or_default()));
        let named = text.split('`').skip(1).step_by(2);
        let named =
            named.filter(|name| ENDINGS.iter().any(|e| name.ends_with(e)) && !name.contains(['*', '<', ' ', '{']));
        let named =
            named.filter(|name| FOLDERS.iter().any(|f| name.split('/').next() == Some(f) && name.contains('/')));
        for path in links.chain(named.map(|name| root().join(name))) {
            seen += 1;
            assert!(path.exists(), "{} names {}, which is not there", page.display(), path.display());
        }
    }
    assert!(seen > 12, "the pages name {seen} paths: are they still found?");
}
