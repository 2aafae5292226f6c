//! Making, starting, stopping and watching the server through `initdb` and `pg_ctl`.

use super::programs::Programs;
use super::site::Site;
use super::{Durability, NAME};
use crate::StoreError;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Makes the cluster beside its final place and moves it there, so that a broken attempt is never taken for one.
pub(super) fn make(site: &Site, programs: &Programs, durability: Durability) -> Result<(), StoreError> {
    let fresh = site.base().join("data.new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(|e| site.error(format!("cannot remove {}: {e}", fresh.display())))?;
    }
    site.folder(&fresh, 0o700)?;
    site.give(&fresh)?;
    let mut initdb = site.command(&programs.initdb());
    // Trust, because only the cluster's user can enter the socket's folder.
    initdb.args(["-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums", "-U", NAME, "-D"]).arg(&fresh);
    if durability == Durability::None {
        initdb.arg("--no-sync");
    }
    run(site, initdb, "initdb")?;
    let config = fresh.join("postgresql.conf");
    let text = fs::read_to_string(&config).map_err(|e| site.error(format!("cannot read {}: {e}", config.display())))?;
    fs::write(&config, format!("{text}\ninclude_if_exists = 'traider.conf'\n"))
        .and_then(|()| fs::rename(&fresh, site.data()))
        .map_err(|e| site.error(format!("cannot finish making the cluster: {e}")))
}

/// Starts the server and waits until it answers.
pub(super) fn start(site: &Site, programs: &Programs, durability: Durability) -> Result<(), StoreError> {
    let config = site.data().join("traider.conf");
    write(site, &config, &settings(site.socket(), durability))?;
    if !site.log().exists() {
        write(site, &site.log(), "")?;
    }
    let mut start = site.command(&programs.pg_ctl());
    // pg_ctl puts these two paths between double quotes into a command for /bin/sh. A quote, a `$` or a `\` in them would
    // be the shell's to read, so both are told from inside the folder, where they have no such characters.
    start.current_dir(site.data()).args(["start", "-s", "-w", "-t", "60", "-D", ".", "-l", "../log"]);
    run(site, start, "pg_ctl start").map_err(|e| match last_words(&site.log()) {
        Some(words) => site.error(format!("the server did not start: {words}; its log is {}", site.log().display())),
        None => e,
    })
}

/// Stops the server and waits until it is down.
pub(super) fn stop(site: &Site, programs: &Programs) -> Result<(), StoreError> {
    if !is_up(site, programs)? {
        return Ok(());
    }
    let server = postmaster(site)?;
    let mut stop = site.command(&programs.pg_ctl());
    stop.args(["stop", "-s", "-w", "-m", "fast", "-t", "60", "-D"]).arg(site.data());
    run(site, stop, "pg_ctl stop")?;
    // pg_ctl is content when the pid file is gone, which is a moment before the process is.
    let asked = Instant::now();
    let there = |pid: i32| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok();
    while server.parse().is_ok_and(there) && asked.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Pid of the server, as its pid file states it.
fn postmaster(site: &Site) -> Result<String, StoreError> {
    let file = site.data().join("postmaster.pid");
    let text = fs::read_to_string(&file).map_err(|e| site.error(format!("cannot read {}: {e}", file.display())))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// True when the server runs and answers. A pid file that another program's pid happens to match, as after a crash of
/// the machine, is removed: Postgres itself would refuse to start because of it.
pub(super) fn is_up(site: &Site, programs: &Programs) -> Result<bool, StoreError> {
    let mut status = site.command(&programs.pg_ctl());
    status.args(["status", "-s", "-D"]).arg(site.data()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = status.status().map_err(|e| site.error(format!("cannot run pg_ctl: {e}")))?;
    if !status.success() {
        return Ok(false);
    }
    let pid_file = site.data().join("postmaster.pid");
    let asked = Instant::now();
    // Another starter holds the lock while it starts, so a server without a socket is just coming up or going down.
    while asked.elapsed() < Duration::from_secs(30) {
        if UnixStream::connect(site.socket().join(".s.PGSQL.5432")).is_ok() {
            return Ok(true);
        }
        let Ok(text) = fs::read_to_string(&pid_file) else { return Ok(false) };
        let pid = text.lines().next().unwrap_or_default().trim().to_owned();
        if !is_postgres(&pid) {
            fs::remove_file(&pid_file)
                .or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) })
                .map_err(|e| site.error(format!("cannot remove the stale {}: {e}", pid_file.display())))?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(site.error(format!(
        "a server runs in it but does not answer on {}; stop it with: pg_ctl stop -D {}",
        site.socket().display(),
        site.data().display()
    )))
}

/// Starts a small shell that stops this server, and no later one in the same folder, once `pid` is gone. It runs as we
/// do, who may signal both.
pub(super) fn watch(site: &Site, pid: u32) -> Result<Child, StoreError> {
    use std::os::unix::process::CommandExt;
    const SCRIPT: &str = r#"ours() { [ "$(head -n 1 "$2/postmaster.pid" 2>/dev/null)" = "$3" ]; }
    while kill -0 "$1" 2>/dev/null; do
        ours "$@" || exit 0
        sleep 1
    done
    ours "$@" && kill -INT "$3""#;
    let server = postmaster(site)?;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", SCRIPT, "watch", &pid.to_string()]).arg(site.data()).arg(server);
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/").process_group(0);
    shell.spawn().map_err(|e| site.error(format!("cannot start the watcher: {e}")))
}

fn settings(socket: &Path, durability: Durability) -> String {
    // Inside the quotes a list may follow, so the path has quotes of its own. What either kind of quotes would read as
    // something else is doubled: `"` in the list, then `\` and `'` in the file.
    let path = socket.display().to_string().replace('"', "\"\"").replace('\\', r"\\").replace('\'', "''");
    let mut text = format!(
        "# Written at every start; put changes into postgresql.auto.conf (ALTER SYSTEM).\n\
         listen_addresses = ''\n\
         unix_socket_directories = '\"{path}\"'\n\
         unix_socket_permissions = 0700\n\
         max_connections = 100\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         log_line_prefix = '%m [%p] %a '\n"
    );
    text.push_str(match durability {
        Durability::Full => "fsync = on\nsynchronous_commit = on\nfull_page_writes = on\n",
        Durability::None => "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nshared_buffers = '32MB'\n",
    });
    text
}

fn write(site: &Site, path: &Path, text: &str) -> Result<(), StoreError> {
    fs::write(path, text)
        .map_err(|e| site.error(format!("cannot write {}: {e}; is the disk full?", path.display())))?;
    site.give(path)
}

/// Runs a program to its end; what it complained about becomes the error.
fn run(site: &Site, mut command: Command, name: &str) -> Result<(), StoreError> {
    // The server inherits these, so they must not be pipes that we would wait on for ever.
    let complaints = tempfile::tempfile().map_err(|e| site.error(format!("no temporary file: {e}")))?;
    let handle = complaints.try_clone().map_err(|e| site.error(format!("no temporary file: {e}")))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(handle)
        .status()
        .map_err(|e| site.error(format!("cannot run {name}: {e}")))?;
    if status.success() { Ok(()) } else { Err(site.error(format!("{name} failed: {}", told(complaints)))) }
}

fn told(mut file: fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    match read {
        Ok(_) if !text.trim().is_empty() => text.split_whitespace().collect::<Vec<_>>().join(" "),
        _ => "it did not say why".to_owned(),
    }
}

/// The last complaint in the server's log.
fn last_words(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let line = text.lines().rev().find(|l| l.contains("FATAL:") || l.contains("PANIC:"))?;
    Some(
        line.split_once("FATAL:")
            .or_else(|| line.split_once("PANIC:"))
            .map_or(line, |(_, what)| what)
            .trim()
            .to_owned(),
    )
}

fn is_postgres(pid: &str) -> bool {
    // `ps` is not on every small Linux, /proc is not on macOS. Where neither tells, it is taken for one.
    if let Ok(name) = fs::read_to_string(format!("/proc/{pid}/comm")) {
        return name.contains("postgres");
    }
    if Path::new("/proc/self/comm").exists() {
        return false;
    }
    let Ok(said) = Command::new("ps").args(["-o", "comm=", "-p", pid]).output() else { return true };
    String::from_utf8_lossy(&said.stdout).contains("postgres")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_paths_with_quotes_and_commas_stay_one_path() {
        let text = settings(Path::new("/a,b/it's"), Durability::Full);
        assert!(text.contains(r#"unix_socket_directories = '"/a,b/it''s"'"#), "{text}");
        let text = settings(Path::new(r#"/a"b\c$d"#), Durability::Full);
        assert!(text.contains(r#"unix_socket_directories = '"/a""b\\c$d"'"#), "{text}");
        assert!(text.contains("fsync = on"));
        assert!(settings(Path::new("/x"), Durability::None).contains("fsync = off"));
    }
}
