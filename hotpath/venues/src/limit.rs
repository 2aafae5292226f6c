//! What a venue lets be asked, counted once for all who ask: the daemon and the jobs share one budget per address, key or
//! pair, through a small file that each locks for the moment of a count.
//!
//! The count is strict: in no window of the budget's length, wherever it begins, is more granted than the budget has.
//! Shares keep room for what matters more: backfills may fill half of a budget, ordinary questions four fifths, new orders
//! nine tenths, and cancels all of it (I-07).

mod window;

pub use window::Window;

use crate::adapter::Budget;
use domain::Venue;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// How much it matters, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// History, which can wait.
    Backfill,
    /// What the daemon wants to know.
    Ask,
    /// A new order.
    Order,
    /// A cancel, or a question about an order whose fate is unknown.
    Cancel,
}

impl Priority {
    /// What of a budget it may fill, at least 1.
    pub fn share(self, most: u32) -> u32 {
        let tenths = match self {
            Priority::Backfill => 5,
            Priority::Ask => 8,
            Priority::Order => 9,
            Priority::Cancel => 10,
        };
        let share = u64::from(most) * tenths / 10;
        u32::try_from(share).unwrap_or(most).max(most.min(1))
    }
}

/// The answer to a question for leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Leave {
    /// Go; it is counted.
    Granted,
    /// Not before so long; nothing is counted.
    Wait(Duration),
}

/// What is left of a budget, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Counted in the window that ends now.
    pub used: u32,
    /// The budget.
    pub most: u32,
    /// The venue said to stay away for so long.
    pub banned: Option<Duration>,
}

/// The file of a budget cannot be used. Nobody may ask without counting, so this stops the asking.
#[derive(Debug, Error)]
#[error("could not count against the venue's limits in `{}`; is the disk full or the folder gone?", path.display())]
pub struct LimitError {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: std::io::Error,
}

/// What the budget of questions from this machine's address to a venue is called, for all who share it.
pub fn address_scope(venue: Venue) -> String {
    format!("{venue}-ip")
}

/// One budget, shared with every process that opens the same file.
#[derive(Debug)]
pub struct Limiter {
    path: PathBuf,
    budget: Budget,
}

impl Limiter {
    /// The budget called `scope` (`kraken-ip`) in the folder `dir`, which is made when it is not there.
    ///
    /// # Errors
    /// [`LimitError`].
    pub fn open(dir: &Path, scope: &str, budget: Budget) -> Result<Limiter, LimitError> {
        let path = dir.join(format!("{scope}.limit"));
        match std::fs::create_dir_all(dir) {
            Ok(()) => Ok(Limiter { path, budget }),
            Err(source) => Err(LimitError { path, source }),
        }
    }

    /// Asks for leave to spend `weight`, and with it does what was to be done; without, tells how long to wait.
    ///
    /// When on its way the venue counts it, nobody here knows, only that it was by the time it ended. So that is when it
    /// counts: what follows a window later cannot meet it in a window of the venue's, however slow its way was.
    ///
    /// # Errors
    /// [`LimitError`]; then nothing was done, or it was and could not be counted anew.
    pub fn spend<T>(
        &self,
        weight: u32,
        priority: Priority,
        act: impl FnOnce() -> T,
    ) -> Result<Result<T, Duration>, LimitError> {
        let share = priority.share(self.budget.most);
        let (leave, since_ns) = self.change(|window, now_ns| (window.take(now_ns, weight, share), now_ns))?;
        if let Leave::Wait(wait) = leave {
            return Ok(Err(wait));
        }
        let done = act();
        self.change(|window, now_ns| window.ended(since_ns, now_ns, weight))?;
        Ok(Ok(done))
    }

    /// Asks for leave to spend `weight` now.
    ///
    /// # Errors
    /// [`LimitError`]; then nothing may be asked.
    pub fn take(&self, weight: u32, priority: Priority) -> Result<Leave, LimitError> {
        self.change(|window, now_ns| window.take(now_ns, weight, priority.share(self.budget.most)))
    }

    /// The venue says that so much was used in its current window: when it counted more than we did, its count holds.
    ///
    /// # Errors
    /// [`LimitError`].
    pub fn told(&self, used: u32) -> Result<(), LimitError> {
        self.change(|window, now_ns| window.told(now_ns, used))
    }

    /// The venue says to stay away for so long.
    ///
    /// # Errors
    /// [`LimitError`].
    pub fn ban(&self, length: Duration) -> Result<(), LimitError> {
        self.change(|window, now_ns| window.ban(now_ns, length))
    }

    /// What is left.
    ///
    /// # Errors
    /// [`LimitError`].
    pub fn left(&self) -> Result<Left, LimitError> {
        self.change(|window, now_ns| Left {
            used: window.used(now_ns),
            most: self.budget.most,
            banned: window.banned(now_ns),
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Window, u64) -> T) -> Result<T, LimitError> {
        self.locked(change).map_err(|source| LimitError { path: self.path.clone(), source })
    }

    fn locked<T>(&self, change: impl FnOnce(&mut Window, u64) -> T) -> std::io::Result<T> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
        // Given back when the file is closed, also by a process that dies.
        file.lock()?;
        let mut window = read(&mut file, self.budget)?;
        let told = change(&mut window, now_ns());
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&window.to_bytes())?;
        Ok(told)
    }
}

fn read(file: &mut File, budget: Budget) -> std::io::Result<Window> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    // A new file, or one of another budget or of a write that was cut short: what was used is not known, so all of it was.
    let known = Window::from_bytes(&bytes, budget);
    Ok(known.unwrap_or_else(|| if bytes.is_empty() { Window::new(budget) } else { Window::full(budget, now_ns()) }))
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { most: 100, window: Duration::from_secs(3600) };

    fn granted(limiter: &Limiter, weight: u32, priority: Priority) -> u32 {
        let mut n = 0;
        while limiter.take(weight, priority).unwrap() == Leave::Granted {
            n += 1;
        }
        n
    }

    #[test]
    fn each_priority_leaves_room_for_what_matters_more() {
        let dir = tempfile::tempdir().unwrap();
        let limiter = Limiter::open(dir.path(), "x-ip", BUDGET).unwrap();
        assert_eq!(granted(&limiter, 1, Priority::Backfill), 50);
        assert_eq!(granted(&limiter, 10, Priority::Ask), 3);
        assert_eq!(granted(&limiter, 1, Priority::Order), 10);
        assert_eq!(granted(&limiter, 1, Priority::Cancel), 10);
        assert_eq!(limiter.left().unwrap(), Left { used: 100, most: 100, banned: None });
        let small = Budget { most: 1, ..BUDGET };
        assert_eq!(granted(&Limiter::open(dir.path(), "y-ip", small).unwrap(), 1, Priority::Backfill), 1);
    }

    #[test]
    fn all_who_open_it_share_it_and_nothing_is_counted_twice() {
        let dir = tempfile::tempdir().unwrap();
        let all: u32 = std::thread::scope(|scope| {
            let one = || {
                let limiter = Limiter::open(dir.path(), "x-ip", BUDGET).unwrap();
                granted(&limiter, 1, Priority::Cancel)
            };
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            workers.into_iter().map(|w| w.join().unwrap()).sum()
        });
        assert_eq!(all, 100);
    }

    #[test]
    fn what_was_done_counts_from_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let limiter = Limiter::open(dir.path(), "x-ip", BUDGET).unwrap();
        assert_eq!(limiter.spend(60, Priority::Ask, || limiter.left().unwrap().used).unwrap(), Ok(60));
        assert_eq!(limiter.left().unwrap().used, 60, "not twice");
        let refused = limiter.spend(21, Priority::Ask, || unreachable!("it has no leave")).unwrap();
        assert!(matches!(refused, Err(wait) if wait > Duration::ZERO));
    }

    #[test]
    fn the_venues_own_count_and_its_bans_hold_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (Limiter::open(dir.path(), "x", BUDGET).unwrap(), Limiter::open(dir.path(), "x", BUDGET).unwrap());
        a.told(95).unwrap();
        assert_eq!(granted(&b, 1, Priority::Cancel), 5);
        b.told(3).unwrap();
        assert_eq!(a.left().unwrap().used, 100, "a smaller count of the venue's takes nothing back");
        a.ban(Duration::from_secs(7200)).unwrap();
        assert!(matches!(b.take(1, Priority::Cancel).unwrap(), Leave::Wait(wait) if wait > Duration::from_secs(7000)));
        assert!(b.left().unwrap().banned.is_some());
    }

    #[test]
    fn a_file_that_makes_no_sense_counts_as_used_up() {
        let dir = tempfile::tempdir().unwrap();
        let limiter = Limiter::open(dir.path(), "x", BUDGET).unwrap();
        std::fs::write(dir.path().join("x.limit"), b"half a wri").unwrap();
        assert!(matches!(limiter.take(1, Priority::Cancel).unwrap(), Leave::Wait(_)));
        assert_eq!(limiter.left().unwrap().used, 100);
        std::fs::remove_dir_all(dir.path()).unwrap();
        assert!(limiter.take(1, Priority::Cancel).unwrap_err().to_string().contains("x.limit"));
    }
}
