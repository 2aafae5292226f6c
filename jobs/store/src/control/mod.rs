//! The control plane. One run is one workflow version for one partition; its steps go
//!
//! ```text
//! waiting -> ready -> running -> done
//!    |         ^          |----> ready (again, later)        an attempt failed or its lease ran out
//!    |         '----------'----> failed | dead               no attempt left, or trying again cannot help
//!    '-> skipped | cancelled
//! ```
//!
//! Every arrow but the claim is a transaction that holds the run's row, so that the arrows of one run take turns: the
//! step's state, its data, the counters of its children, the tasks of those that became ready, and the run's own state
//! change together or not at all. A transaction may hold many runs, locked in the order of their ids ([`changes`]). A
//! claim raises the step's epoch; a result that carries an older one is refused (fencing). A run's history tells of a claim
//! when it ends.
//!
//! In flow order: [`start`] makes runs, [`lease`] claims and keeps steps, [`finish`] ends attempts, [`steer`] is what
//! people do to runs, [`sweep`] heals what died.

mod changes;
pub mod finish;
pub mod lease;
mod share;
pub mod start;
pub mod steer;
pub mod sweep;

use changes::Changes;
pub use finish::{Failed, complete, complete_many, fail, hand_back};
pub use lease::{Beat, Claimed, Taken, WorkerId, claim, claim_many, heartbeat, take};
pub use start::{Origin, Started, Trigger, enqueue_job, start_run, start_runs};
pub use steer::{Retried, cancel, discard, retry};
pub use sweep::{Swept, prune, sweep};
