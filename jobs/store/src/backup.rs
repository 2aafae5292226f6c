//! Backups of the database, and the proof that they can be restored: the steps `backup-postgres` and `check-backup`.
//!
//! `<home>/backups/pg-<day>.dump` is what `pg_dump --format=custom` wrote, `pg-<day>.json` beside it says what was in the
//! database: rows and content of every table, counted in the very snapshot that was dumped. The check restores the dump
//! into a private cluster of its own in a temporary folder, counts again and compares; the cluster is thrown away.
//!
//! A dump is made once per run: an attempt that finds its run's dump whole keeps it. A new run for the same day makes a
//! new dump in its place.
//!
//! Left out on purpose: sequences (they move outside of snapshots, and are in the dump all the same), and roles.

use crate::embedded::{Cluster, Durability, find_programs};
use crate::{AssetVersion, CancelToken, StepContext, StepError, StepOutcome, Store, StoreError, child};
use serde::{Deserialize, Serialize};
use serde_json::json;
use settings::Home;
use sha2::{Digest, Sha256};
use spec::jobs::{BackupPostgres, CheckBackup};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, PgConnection};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// Name of the asset.
pub const ASSET: &str = "backup/postgres";
/// Time that `pg_dump` and `pg_restore` have to end by themselves after a cancel.
const GRACE: Duration = Duration::from_secs(5);
/// A folder of a check that was killed is taken away after this.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// What one table held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: i64,
    /// Sum of the hashes of its rows: the same for the same rows in any order.
    pub content: String,
}

/// What stands beside a dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The run that made it.
    pub run: String,
    /// UTC day.
    pub day: String,
    /// SHA-256 of the dump, hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Version of the server it was taken from.
    pub server: String,
    /// What was in the snapshot.
    pub tables: Vec<Table>,
}

/// The home's backups.
pub fn folder(home: &Home) -> PathBuf {
    home.root().join("backups")
}

/// The dump of a day.
pub fn dump_of(home: &Home, day: &str) -> PathBuf {
    folder(home).join(format!("pg-{day}.dump"))
}

fn manifest_of(home: &Home, day: &str) -> PathBuf {
    folder(home).join(format!("pg-{day}.json"))
}

/// The step `backup-postgres`.
///
/// # Errors
/// [`StepError`].
pub async fn run(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let job: BackupPostgres = ctx.input()?;
    fs::create_dir_all(folder(&ctx.home)).map_err(files("make", &folder(&ctx.home)))?;
    let there = whole(&ctx.home, &job.day).await?.filter(|backup| backup.run == ctx.run_id);
    let kept = there.is_some();
    let backup = match there {
        Some(backup) => backup,
        None => make(&ctx, &job.day).await?,
    };
    let removed = remove_old(&ctx.home, job.keep.max(1))?;
    let rows: i64 = backup.tables.iter().map(|t| t.rows).sum();
    ctx.log.info(&format!("{} tables, {rows} rows, {} bytes", backup.tables.len(), backup.bytes));
    let summary = json!({
        "day": job.day, "tables": backup.tables.len(), "rows": rows, "bytes": backup.bytes, "sha256": backup.sha256,
        "made_before": kept, "removed": removed,
    });
    let version = AssetVersion {
        asset: ASSET.to_owned(),
        partition: job.day.clone(),
        sha256: backup.sha256,
        uri: dump_of(&ctx.home, &job.day).display().to_string(),
        rows,
        bytes: i64::try_from(backup.bytes).unwrap_or(i64::MAX),
        min_ts_ns: None,
        max_ts_ns: None,
        schema_hash: hex::encode(Sha256::digest(b"pg_dump custom")),
    };
    Ok(StepOutcome { outputs: vec![version], summary, ..StepOutcome::default() })
}

/// The step `check-backup`.
///
/// # Errors
/// [`StepError::Permanent`] when the dump is not what was written, cannot be restored, or holds anything else than was
/// counted.
pub async fn run_check(ctx: StepContext) -> Result<StepOutcome, StepError> {
    let job: CheckBackup = ctx.input()?;
    let dump = dump_of(&ctx.home, &job.day);
    let backup = whole(&ctx.home, &job.day).await?.ok_or_else(|| {
        StepError::Permanent(format!(
            "`{}` is missing or is not what its manifest says; start the workflow again for a new one",
            dump.display()
        ))
    })?;
    let restored = restored(&ctx, &dump).await?;
    let wrong = differences(&backup.tables, &restored);
    if !wrong.is_empty() {
        return Err(StepError::Permanent(format!("the restored backup is another database: {}", wrong.join("; "))));
    }
    let rows: i64 = restored.iter().map(|t| t.rows).sum();
    ctx.log.info(&format!("restored and equal: {} tables, {rows} rows", restored.len()));
    let summary = json!({ "day": job.day, "tables": restored.len(), "rows": rows, "sha256": backup.sha256 });
    Ok(StepOutcome { inputs: vec![(ASSET.to_owned(), backup.sha256)], summary, ..StepOutcome::default() })
}

/// What stands beside the dump of a day; `None` unless the dump is there and is what that says.
async fn whole(home: &Home, day: &str) -> Result<Option<Backup>, StepError> {
    let (dump, manifest) = (dump_of(home, day), manifest_of(home, day));
    blocking(move || {
        let text = match fs::read(&manifest) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(files("read", &manifest)(e)),
        };
        let Ok(backup) = serde_json::from_slice::<Backup>(&text) else { return Ok(None) };
        match sha256_of(&dump) {
            Ok((sha256, _)) => Ok((sha256 == backup.sha256).then_some(backup)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(files("read", &dump)(e)),
        }
    })
    .await
}

async fn make(ctx: &StepContext, day: &str) -> Result<Backup, StepError> {
    let target = dump_of(&ctx.home, day);
    let fresh = folder(&ctx.home).join(format!(".pg-{day}-{}-{}", ctx.run_id, ctx.epoch));
    remove_unfinished(&ctx.home)?;
    let home = ctx.home.clone();
    let bin = blocking(move || find_programs(&home).map_err(StepError::from)).await?;
    let taking = || StoreError::sql("take a snapshot");
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
    let mut tx = ctx.store.pool.begin_with(begin).await.map_err(taking())?;
    let (snapshot, server): (String, String) =
        sqlx::query_as("SELECT pg_export_snapshot(), current_setting('server_version')")
            .fetch_one(&mut *tx)
            .await
            .map_err(taking())?;
    let mut dump = program(&bin, "pg_dump", &ctx.store.pool.connect_options(), password().as_deref());
    dump.args(["--format=custom", "--no-password", "--no-owner", "--no-privileges"]);
    dump.arg(format!("--snapshot={snapshot}")).arg("--file").arg(&fresh);
    let dumping = async { child::run(dump, &ctx.cancel, GRACE).await.map_err(StepError::from) };
    let (_, tables) = tokio::try_join!(dumping, counted(&mut tx, &ctx.cancel))?;
    tx.rollback().await.map_err(taking())?;
    let (run, day, manifest) = (ctx.run_id.clone(), day.to_owned(), manifest_of(&ctx.home, day));
    blocking(move || {
        // Whoever can read it has the whole database.
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).map_err(files("close", &fresh))?;
        let (sha256, bytes) = sha256_of(&fresh).map_err(files("read", &fresh))?;
        let backup = Backup { run, day, sha256, bytes, server, tables };
        put(&fresh, &target).map_err(files("write", &target))?;
        let beside = manifest.with_extension("json.new");
        let text = serde_json::to_vec_pretty(&backup).map_err(|e| StepError::Permanent(e.to_string()))?;
        fs::write(&beside, text).and_then(|()| put(&beside, &manifest)).map_err(files("write", &manifest))?;
        Ok(backup)
    })
    .await
}

/// Every table as this transaction sees it.
async fn counted(tx: &mut PgConnection, cancel: &CancelToken) -> Result<Vec<Table>, StepError> {
    let counting = || StoreError::sql("count the tables");
    sqlx::raw_sql(include_str!("../../../sql/queries/backup/plain.sql")).execute(&mut *tx).await.map_err(counting())?;
    let names: Vec<(String, String)> = sqlx::query_as(include_str!("../../../sql/queries/backup/tables.sql"))
        .fetch_all(&mut *tx)
        .await
        .map_err(counting())?;
    let mut tables = Vec::new();
    for (schema, name) in names {
        cancel.check()?;
        let quoted = format!("{}.{}", quoted(&schema), quoted(&name));
        let query = include_str!("../../../sql/queries/backup/fingerprint.sql").replace("%TABLE%", &quoted);
        let (rows, content) =
            sqlx::query_as(AssertSqlSafe(query)).persistent(false).fetch_one(&mut *tx).await.map_err(counting())?;
        tables.push(Table { schema, name, rows, content });
    }
    Ok(tables)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The tables of the dump, restored into a cluster that is gone when this returns.
async fn restored(ctx: &StepContext, dump: &Path) -> Result<Vec<Table>, StepError> {
    let tag = ctx.home.tag().map_err(|e| StepError::Permanent(e.to_string()))?;
    let scratch = blocking(move || Scratch::start(tag)).await?;
    let result = restored_into(ctx, &scratch, dump).await;
    blocking(move || {
        drop(scratch);
        Ok(())
    })
    .await?;
    result
}

async fn restored_into(ctx: &StepContext, scratch: &Scratch, dump: &Path) -> Result<Vec<Table>, StepError> {
    ctx.cancel.check()?;
    let bin = find_programs(&scratch.home)?;
    let store = Store::connect_cluster(&scratch.cluster).await?;
    let mut restore = program(&bin, "pg_restore", &store.pool.connect_options(), None);
    restore.args(["--exit-on-error", "--no-password", "--no-owner", "--no-privileges", "--dbname=traider"]).arg(dump);
    match child::run(restore, &ctx.cancel, GRACE).await {
        Ok(_) => {}
        // The dump is whole, by its hash: what cannot be restored once never will be.
        Err(error @ child::ChildError::Failed { .. }) => return Err(StepError::Permanent(error.to_string())),
        Err(error) => return Err(error.into()),
    }
    let mut tx = store.pool.begin().await.map_err(StoreError::sql("look at the restored database"))?;
    let tables = counted(&mut tx, &ctx.cancel).await;
    drop(tx);
    store.close().await;
    tables
}

/// What differs, in words; empty when nothing does.
fn differences(dumped: &[Table], restored: &[Table]) -> Vec<String> {
    let same = |a: &Table, b: &Table| (&a.schema, &a.name) == (&b.schema, &b.name);
    let mut wrong = Vec::new();
    for table in dumped {
        let name = format!("{}.{}", table.schema, table.name);
        match restored.iter().find(|r| same(r, table)) {
            None => wrong.push(format!("table {name} is missing")),
            Some(r) if r.rows != table.rows => {
                wrong.push(format!("table {name} has {} rows, there were {}", r.rows, table.rows));
            }
            Some(r) if r.content != table.content => wrong.push(format!("rows of table {name} are others")),
            Some(_) => {}
        }
    }
    let new = restored.iter().filter(|r| !dumped.iter().any(|d| same(d, r)));
    wrong.extend(new.map(|r| format!("table {}.{} was not there", r.schema, r.name)));
    wrong
}

/// A client program that connects where `options` does. The password is nothing for a command line, which everybody on
/// the machine can read.
fn program(bin: &Path, name: &str, options: &PgConnectOptions, password: Option<&str>) -> Command {
    let mut command = Command::new(bin.join(name));
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |s| s.display().to_string());
    let ssl = match options.get_ssl_mode() {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    };
    command
        .env("PGHOST", host)
        .env("PGPORT", options.get_port().to_string())
        .env("PGUSER", options.get_username())
        .env("PGDATABASE", options.get_database().unwrap_or_else(|| options.get_username()))
        .env("PGSSLMODE", ssl)
        .env("LC_ALL", "C");
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    command
}

/// The password in `DATABASE_URL`, when the database is one of somebody else's.
fn password() -> Option<String> {
    password_in(&crate::database_url()?)
}

fn password_in(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    let bytes = password.as_bytes();
    let (mut plain, mut at) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| hex::decode(bytes.get(at + 1..at + 3)?).ok()).flatten();
        at += if escaped.is_some() { 3 } else { 1 };
        plain.extend(escaped.unwrap_or_else(|| vec![byte]));
    }
    String::from_utf8(plain).ok()
}

/// A cluster in a temporary folder; it stops and the folder goes when this is dropped. Should we be killed, a watcher
/// stops the server, and the next check removes the folder.
struct Scratch {
    home: Home,
    cluster: Cluster,
    _folder: TempDir,
}

impl Scratch {
    fn start(tag: u32) -> Result<Scratch, StepError> {
        let prefix = format!("traider-restore-{tag:08x}-");
        let broken = files("make", Path::new("/tmp"));
        // `/tmp` itself, because the socket's path must be short, and the server's user must be able to enter.
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in("/tmp").map_err(broken)?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).map_err(files("make", folder.path()))?;
        remove_left_behind(&prefix, folder.path());
        let home = Home::locate(Some(folder.path()));
        let cluster = Cluster::ensure_with(&home, Durability::None)?;
        cluster.stop_when_gone(std::process::id())?;
        Ok(Scratch { home, cluster, _folder: folder })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.stop() {
            tracing::warn!(%error, "the cluster of a restore check did not stop");
        }
    }
}

/// Folders of checks that were killed. What cannot be removed is only in the way.
fn remove_left_behind(prefix: &str, ours: &Path) {
    let Ok(entries) = fs::read_dir("/tmp") else { return };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path != ours) {
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        let age = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok()?.elapsed().ok();
        if named && age(&path).is_some_and(|age| age > LEFT_BEHIND) {
            let stopped = matches!(Cluster::attach(&Home::locate(Some(&path))), Ok(None));
            if stopped && let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(%error, path = %path.display(), "what an earlier restore check left is still there");
            }
        }
    }
}

/// Removes what dumps that were killed left unfinished.
fn remove_unfinished(home: &Home) -> Result<(), StepError> {
    for path in named(home, ".pg-", "")? {
        fs::remove_file(&path).map_err(files("remove", &path))?;
    }
    Ok(())
}

/// Removes all but the newest `keep` dumps; returns how many.
fn remove_old(home: &Home, keep: u32) -> Result<usize, StepError> {
    let dumps = named(home, "pg-", ".dump")?;
    let old = dumps.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
    for dump in &dumps[..old] {
        for path in [dump.with_extension("json"), dump.clone()] {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(files("remove", &path)(e)),
                _ => {}
            }
        }
    }
    Ok(old)
}

/// Files of the folder with this beginning and end, by name, which is by day.
fn named(home: &Home, start: &str, end: &str) -> Result<Vec<PathBuf>, StepError> {
    let folder = folder(home);
    let fail = || files("list", &folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(fail())? {
        let path = entry.map_err(fail())?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with(start) && name.ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Puts a finished file in its place, on disk.
fn put(fresh: &Path, target: &Path) -> io::Result<()> {
    File::open(fresh)?.sync_all()?;
    fs::rename(fresh, target)?;
    target.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn sha256_of(path: &Path) -> io::Result<(String, u64)> {
    let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
    let (mut piece, mut bytes) = (vec![0u8; 1 << 20], 0u64);
    loop {
        let count = io::Read::read(&mut file, &mut piece)?;
        if count == 0 {
            return Ok((hex::encode(hasher.finalize()), bytes));
        }
        hasher.update(&piece[..count]);
        bytes += count as u64;
    }
}

fn files(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StepError {
    let path = path.display().to_string();
    move |e| StepError::Transient(format!("could not {doing} `{path}`: {e}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StepError> + Send + 'static,
) -> Result<T, StepError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| StepError::Permanent(format!("the backup's work failed: {e}")))?
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
