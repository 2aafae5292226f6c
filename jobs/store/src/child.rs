//! Programs that a step runs: each in a process group of its own, so that whatever it starts ends with it. A step that
//! is cancelled asks the whole group to end (SIGTERM) and, after a grace, ends it (SIGKILL). A step that is dropped ends
//! it at once.

use crate::{CancelToken, StepError};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Bytes kept of what a program says, per stream: the last ones. The rest is read and dropped, so that it never waits.
pub const SAID_MAX: usize = 64 * 1024;

/// What a program that ended well said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The end of its standard output.
    pub stdout: String,
    /// The end of its standard error.
    pub stderr: String,
}

/// Why a program did not do its work.
#[derive(Debug, Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("cannot run `{program}`")]
    Start {
        /// Which.
        program: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It ended, and not well.
    #[error("{program} failed ({status}): {said}")]
    Failed {
        /// Which.
        program: String,
        /// How.
        status: ExitStatus,
        /// The last lines of its complaint.
        said: String,
    },
    /// It was told to end.
    #[error("cancelled")]
    Cancelled,
}

/// A program that is not there stays away; one that failed may have met a full disk or a server that went away.
impl From<ChildError> for StepError {
    fn from(error: ChildError) -> StepError {
        match &error {
            ChildError::Cancelled => StepError::Cancelled,
            ChildError::Start { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
                    StepError::Permanent(crate::error::chain(&error))
                }
                _ => StepError::Transient(crate::error::chain(&error)),
            },
            ChildError::Failed { .. } => StepError::Transient(error.to_string()),
        }
    }
}

/// Ends what is left of a group when the step that runs it is dropped.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended by itself, which is what is wanted.
            killpg(group, signal).ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Runs a program to its end; its input is empty.
///
/// * `grace` - how long its group has after SIGTERM before SIGKILL.
///
/// # Errors
/// [`ChildError`]; [`ChildError::Cancelled`] only when its whole group has ended.
pub async fn run(mut command: Command, cancel: &CancelToken, grace: Duration) -> Result<Said, ChildError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let fail = |source| ChildError::Start { program: program.clone(), source };
    if cancel.is_cancelled() {
        return Err(ChildError::Cancelled);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(fail)?;
    // Its group has its own pid as number.
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // Both streams end when the last of the group that holds them has ended.
    let ended = async {
        let (status, stdout, stderr) = tokio::join!(child.wait(), end_of(out), end_of(err));
        (status, Said { stdout, stderr })
    };
    tokio::pin!(ended);
    let (status, said) = tokio::select! {
        ended = &mut ended => ended,
        () = cancel.cancelled() => {
            group.signal(Signal::SIGTERM);
            if tokio::time::timeout(grace, &mut ended).await.is_err() {
                group.signal(Signal::SIGKILL);
                // How it ended does not matter any more, only that it did.
                ended.await.0.ok();
            }
            // A polite leader may have left a child behind that did not listen and has its output elsewhere. While there
            // is one nobody else gets the group's number; should there be none, it is long until the number comes again.
            group.signal(Signal::SIGKILL);
            group.0 = None;
            return Err(ChildError::Cancelled);
        }
    };
    // The pid is free from here on and may be given to another.
    group.0 = None;
    let status = status.map_err(|source| ChildError::Start { program: program.clone(), source })?;
    if status.success() {
        return Ok(said);
    }
    Err(ChildError::Failed { program, status, said: last_lines(&said.stderr) })
}

async fn end_of(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let (mut kept, mut piece) = (Vec::new(), [0u8; 8192]);
    // A stream that cannot be read any more has ended.
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        kept.extend_from_slice(&piece[..count]);
        if kept.len() > 2 * SAID_MAX {
            kept.drain(..kept.len() - SAID_MAX);
        }
    }
    let from = kept.len().saturating_sub(SAID_MAX);
    String::from_utf8_lossy(&kept[from..]).into_owned()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.len() {
        0 => "it did not say why".to_owned(),
        count => lines[count.saturating_sub(5)..].join(" | "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use nix::sys::signal::kill;
    use nix::sys::stat::Mode;
    use std::path::{Path, PathBuf};

    fn shell(script: &str, folder: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).current_dir(folder);
        command
    }

    /// A pipe by name: opening it for reading waits until the child has written to it, which is the event.
    fn fifo(folder: &Path) -> PathBuf {
        let path = folder.join("ready");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        path
    }

    fn gone(pid: &str) -> bool {
        let pid = Pid::from_raw(pid.trim().parse().unwrap());
        // What was killed and not yet waited for by its new parent is a zombie: dead all the same.
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        kill(pid, None) == Err(Errno::ESRCH) || state.contains(") Z ")
    }

    #[tokio::test]
    async fn what_a_program_says_is_kept_up_to_its_end_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let none = CancelToken::default();
        let said = run(shell("echo out; echo err >&2", folder.path()), &none, Duration::ZERO).await.unwrap();
        assert_eq!(said, Said { stdout: "out\n".to_owned(), stderr: "err\n".to_owned() });
        let much = "head -c 1000000 /dev/zero | tr '\\0' x; printf end";
        let said = run(shell(much, folder.path()), &none, Duration::ZERO).await.unwrap();
        assert_eq!((said.stdout.len(), said.stdout.ends_with("xend")), (SAID_MAX, true));
    }

    #[tokio::test]
    async fn failures_are_told_with_the_last_words_and_classed() {
        let folder = tempfile::tempdir().unwrap();
        let none = CancelToken::default();
        let error = run(shell("echo no room >&2; exit 3", folder.path()), &none, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.to_string(), "sh failed (exit status: 3): no room");
        assert!(matches!(StepError::from(error), StepError::Transient(_)));
        let error = run(Command::new("/nowhere/pg_dump"), &none, Duration::ZERO).await.unwrap_err();
        assert!(matches!(&StepError::from(error), StepError::Permanent(what) if what.contains("cannot run `pg_dump`")));
    }

    #[tokio::test]
    async fn a_stubborn_group_is_killed_after_its_grace() {
        let folder = tempfile::tempdir().unwrap();
        let ready = fifo(folder.path());
        // Parent and child ignore SIGTERM; `exec` keeps the ignored signal.
        let script = "trap '' TERM; sleep 1000 & echo \"$$ $!\" > ready; wait";
        let cancel = CancelToken::default();
        let running = tokio::spawn({
            let (command, cancel) = (shell(script, folder.path()), cancel.clone());
            async move { run(command, &cancel, Duration::from_millis(50)).await }
        });
        let pids = tokio::task::spawn_blocking(move || std::fs::read_to_string(ready).unwrap()).await.unwrap();
        cancel.cancel();
        assert!(matches!(running.await.unwrap(), Err(ChildError::Cancelled)));
        assert!(pids.split_whitespace().count() == 2 && pids.split_whitespace().all(gone), "{pids}");
    }

    #[tokio::test]
    async fn a_polite_group_ends_within_its_grace_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let ready = fifo(folder.path());
        // The child says that it is there: between fork and exec it would take the signal with the leader's trap, and live.
        let script = "trap 'echo bye > left; exit 0' TERM; sh -c 'echo > ready; exec sleep 1000' & wait";
        let cancel = CancelToken::default();
        let running = tokio::spawn({
            let (command, cancel) = (shell(script, folder.path()), cancel.clone());
            // So long that the test would be given up before it.
            async move { run(command, &cancel, Duration::from_secs(3600)).await }
        });
        tokio::task::spawn_blocking(move || std::fs::read_to_string(ready).unwrap()).await.unwrap();
        cancel.cancel();
        assert!(matches!(running.await.unwrap(), Err(ChildError::Cancelled)));
        assert_eq!(std::fs::read_to_string(folder.path().join("left")).unwrap(), "bye\n");
    }

    #[tokio::test]
    async fn a_deaf_child_does_not_outlive_its_polite_leader() {
        let folder = tempfile::tempdir().unwrap();
        let ready = fifo(folder.path());
        // The child ignores SIGTERM and holds none of the streams that are waited for.
        let script = "trap '' TERM; sleep 1000 >/dev/null 2>&1 & trap - TERM; echo $! > ready; wait";
        let cancel = CancelToken::default();
        let running = tokio::spawn({
            let (command, cancel) = (shell(script, folder.path()), cancel.clone());
            async move { run(command, &cancel, Duration::from_secs(3600)).await }
        });
        let pid = tokio::task::spawn_blocking(move || std::fs::read_to_string(ready).unwrap()).await.unwrap();
        cancel.cancel();
        assert!(matches!(running.await.unwrap(), Err(ChildError::Cancelled)));
        while !gone(&pid) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_step_that_is_dropped_takes_its_group_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let ready = fifo(folder.path());
        let (script, cancel) = ("trap '' TERM; sleep 1000 & echo $! > ready; wait", CancelToken::default());
        let command = shell(script, folder.path());
        let running = tokio::spawn(async move { run(command, &cancel, Duration::ZERO).await });
        let pid = tokio::task::spawn_blocking(move || std::fs::read_to_string(ready).unwrap()).await.unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        while !gone(&pid) {
            tokio::task::yield_now().await;
        }
    }
}
