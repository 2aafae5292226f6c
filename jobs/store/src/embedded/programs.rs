//! Finding `initdb` and `pg_ctl`: on the PATH, where Debian and others keep them, where Homebrew keeps them. The newest
//! wins, except that an existing cluster needs programs of its own major version.

use crate::StoreError;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Oldest major version that is accepted.
pub const VERSION_MIN: u32 = 15;

/// One installation of Postgres.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    bin: PathBuf,
}

impl Programs {
    /// The newest installation, or the newest of the major version `wanted`.
    pub(super) fn find(wanted: Option<u32>) -> Result<Programs, StoreError> {
        choose(candidates(), wanted)
    }

    pub(super) fn bin(&self) -> &Path {
        &self.bin
    }
    pub(super) fn initdb(&self) -> PathBuf {
        self.bin.join("initdb")
    }
    pub(super) fn pg_ctl(&self) -> PathBuf {
        self.bin.join("pg_ctl")
    }
}

fn choose(found: BTreeSet<(u32, PathBuf)>, wanted: Option<u32>) -> Result<Programs, StoreError> {
    let best = found.iter().rev().find(|(version, _)| *version >= VERSION_MIN && wanted.is_none_or(|w| w == *version));
    if let Some((_, bin)) = best {
        return Ok(Programs { bin: bin.clone() });
    }
    let seen: BTreeSet<String> = found.iter().map(|(version, _)| version.to_string()).collect();
    let seen = if seen.is_empty() { "none".to_owned() } else { seen.into_iter().collect::<Vec<_>>().join(", ") };
    let looked = match wanted {
        Some(wanted) if !found.is_empty() => {
            format!(": this home's cluster was made by Postgres {wanted}, installed are {seen}")
        }
        _ if found.is_empty() => String::new(),
        _ => format!(": installed are only {seen}"),
    };
    Err(StoreError::NoPostgres { looked })
}

/// Every folder that holds both programs, with the major version they report.
fn candidates() -> BTreeSet<(u32, PathBuf)> {
    folders()
        .into_iter()
        // A link on the PATH does not have the server's other programs beside it.
        .filter_map(|dir| fs::canonicalize(dir.join("pg_ctl")).ok())
        .filter_map(|program| program.parent().map(Path::to_path_buf))
        .filter(|dir| dir.join("initdb").exists() && dir.join("postgres").exists())
        .filter_map(|dir| Some((version(&dir)?, dir)))
        .collect()
}

/// Where to look: only in `TRAIDER_PG_BIN` when that is set, else wherever Postgres is usually put.
fn folders() -> Vec<PathBuf> {
    if let Some(only) = std::env::var_os("TRAIDER_PG_BIN").filter(|v| !v.is_empty()) {
        return vec![PathBuf::from(only)];
    }
    let mut dirs: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    dirs.extend(below("/usr/lib/postgresql", ""));
    dirs.extend(below("/opt/homebrew/opt", "postgresql"));
    dirs.extend(below("/usr/local/opt", "postgresql"));
    dirs.extend(below("/usr", "pgsql-"));
    dirs.push(PathBuf::from("/usr/local/pgsql/bin"));
    dirs
}

/// `<root>/<name>/bin` for every name with that start.
fn below(root: &str, start: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path().join("bin"))
        .collect()
}

fn version(bin: &Path) -> Option<u32> {
    let said = Command::new(bin.join("pg_ctl")).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&said.stdout))
}

/// The major version in `pg_ctl (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn parse_version(text: &str) -> Option<u32> {
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    // `16beta1` is 16 too.
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(versions: &[u32]) -> BTreeSet<(u32, PathBuf)> {
        versions.iter().map(|v| (*v, PathBuf::from(format!("/pg/{v}")))).collect()
    }

    #[test]
    fn versions_are_read_from_what_the_programs_print() {
        assert_eq!(parse_version("pg_ctl (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("pg_ctl (PostgreSQL) 17beta2"), Some(17));
        assert_eq!(parse_version("command not found"), None);
    }

    #[test]
    fn the_newest_wins_unless_the_cluster_needs_another() {
        let all = installed(&[9, 15, 17]);
        assert_eq!(choose(all.clone(), None).unwrap().bin, PathBuf::from("/pg/17"));
        assert_eq!(choose(all, Some(15)).unwrap().bin, PathBuf::from("/pg/15"));
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let none = choose(installed(&[]), None).unwrap_err();
        assert!(none.to_string().starts_with("Postgres 15 or newer was not found. Install it"), "{none}");
        assert_eq!(none.exit_code(), 5);
        let old = choose(installed(&[13, 14]), None).unwrap_err().to_string();
        assert!(old.contains("installed are only 13, 14"), "{old}");
        let other = choose(installed(&[16]), Some(15)).unwrap_err().to_string();
        assert!(other.contains("made by Postgres 15, installed are 16"), "{other}");
    }
}
