//! Batch work stands back: a low priority for the whole process and what it starts, and, where there are enough cores, one
//! core that is left to the daemon.

use std::process::Command;

/// Niceness of batch work; 0 is ordinary, 19 the most patient.
const NICE: &str = "10";
/// From this many cores on, the last one is left alone.
#[cfg(target_os = "linux")]
const CORES: usize = 4;

/// Lowers our priority and keeps off the last core. Call it before any thread is started: threads and children inherit.
/// A system that does not allow it is told about and lived with.
pub fn stand_back() {
    let pid = std::process::id().to_string();
    match Command::new("renice").args(["-n", NICE, "-p", &pid]).output() {
        Ok(done) if done.status.success() => {}
        Ok(done) => tracing::warn!(why = String::from_utf8_lossy(&done.stderr).trim(), "priority not lowered"),
        Err(error) => tracing::warn!(%error, "priority not lowered: there is no `renice`"),
    }
    #[cfg(target_os = "linux")]
    leave_a_core();
}

#[cfg(target_os = "linux")]
fn leave_a_core() {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;
    let own = Pid::from_raw(0);
    let left = || -> nix::Result<()> {
        let mut cores = sched_getaffinity(own)?;
        let ours: Vec<usize> = (0..CpuSet::count()).filter(|core| cores.is_set(*core).unwrap_or(false)).collect();
        match ours.last() {
            Some(last) if ours.len() >= CORES => {
                cores.unset(*last)?;
                sched_setaffinity(own, &cores)
            }
            _ => Ok(()),
        }
    };
    if let Err(error) = left() {
        tracing::warn!(%error, "no core is left to the daemon alone");
    }
}
