//! What the tests share: where recorded data and the built programs are, a home folder that leaves nothing behind, and
//! how a program is run and its JSON read.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The workspace's root folder.
pub fn root() -> PathBuf {
    recorded::checkout()
}

/// Folder of the built programs: that of the running test.
pub fn bin_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a test knows where it is");
    // target/debug/deps/e2e-... -> target/debug
    exe.parent().and_then(Path::parent).expect("tests run from target/<profile>/deps").to_path_buf()
}

/// A home folder of its own, with everything stopped and removed at the end.
pub struct TestHome {
    dir: tempfile::TempDir,
}

impl TestHome {
    /// A new, empty home under `/tmp`, reachable for the database's user.
    pub fn new() -> TestHome {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::Builder::new().prefix("traider-test-").tempdir_in("/tmp").expect("a folder in /tmp");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("our own folder");
        TestHome { dir }
    }
    /// Its path.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
    /// `traider` in this home with these arguments, in the words of a command line.
    pub fn command(&self, arguments: &str) -> Command {
        self.command_args(&arguments.split_whitespace().collect::<Vec<_>>())
    }
    /// The same with each argument by itself.
    pub fn command_args(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(bin_dir().join("traider"));
        command
            .args(arguments)
            .arg("--home")
            .arg(self.path())
            .env("TRAIDER_PG_FAST", "1")
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null());
        command
    }
    /// Runs it to its end.
    pub fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().expect("traider is built: `cargo build --workspace`")
    }
    /// Runs it with `--json`, demands this exit code and returns the object.
    #[track_caller]
    pub fn json(&self, arguments: &str, exit: i32) -> Value {
        self.json_args(&arguments.split_whitespace().collect::<Vec<_>>(), exit)
    }
    /// The same with each argument by itself.
    #[track_caller]
    pub fn json_args(&self, arguments: &[&str], exit: i32) -> Value {
        let mut command = self.command_args(arguments);
        let output = command.arg("--json").output().expect("traider is built: `cargo build --workspace`");
        let arguments = arguments.join(" ");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(exit), "traider {arguments}\nstdout: {stdout}\nstderr: {stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("traider {arguments}: {e}\n{stdout}\n{stderr}"))
    }
    /// Command lines of processes that name this home or work in it (the database does).
    pub fn processes(&self) -> Vec<String> {
        let Ok(dir) = std::fs::read_dir("/proc") else { return Vec::new() };
        let home = self.path().to_string_lossy().into_owned();
        let ours = |pid: u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let inside = std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(self.path()));
            (inside || line.contains(&home)).then_some(line)
        };
        dir.flatten().filter_map(|e| ours(e.file_name().to_str()?.parse().ok()?)).collect()
    }
}

impl Default for TestHome {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestHome {
    fn drop(&mut self) {
        // A failed test must not leave a running system behind.
        drop(self.run("down --quiet"));
    }
}
