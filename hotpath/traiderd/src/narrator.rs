//! The log thread: tells the operator of the few records worth reading as they happen, so that the engine thread never
//! waits for a terminal or a file. When it cannot keep up, records are left out and counted: all of them can be had
//! again from the journal.

use engine::AuditRecord;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Records that may wait.
const QUEUE: usize = 1024;
/// How long the thread lets records gather.
const PAUSE: Duration = Duration::from_millis(100);

/// The engine thread's end.
#[derive(Debug)]
pub struct Narrator {
    tx: SyncSender<AuditRecord>,
    left_out: u64,
}

impl Narrator {
    /// A narrator and what its thread has to run.
    pub fn new() -> (Narrator, impl FnOnce() + Send + 'static) {
        let (tx, rx) = sync_channel(QUEUE);
        (Narrator { tx, left_out: 0 }, move || tell_all(&rx))
    }
    /// Hands a record over if it is worth telling; never waits.
    pub fn tell(&mut self, record: AuditRecord) {
        let worth = matches!(
            record,
            AuditRecord::Halt { .. } | AuditRecord::Book { .. } | AuditRecord::Fill { .. } | AuditRecord::Order { .. }
        );
        if worth && self.tx.try_send(record).is_err() {
            self.left_out += 1;
        }
    }
    /// Records that could not be told.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// Ends when the narrator is gone. Sleeps between looks instead of waiting on the queue: a sender that has to wake
/// somebody pays for it.
fn tell_all(rx: &Receiver<AuditRecord>) {
    use std::sync::mpsc::TryRecvError::{Disconnected, Empty};
    loop {
        match rx.try_recv() {
            Ok(record) => tell(&record),
            Err(Empty) => std::thread::sleep(PAUSE),
            Err(Disconnected) => return,
        }
    }
}

fn tell(record: &AuditRecord) {
    match record {
        AuditRecord::Halt { halted, reason } => tracing::warn!(halted, %reason, "entries stopped or allowed"),
        AuditRecord::Book { instrument, state, reason, last_id } => {
            tracing::info!(instrument = instrument.0, state, reason, last_id, "book");
        }
        AuditRecord::Fill { id, side, fill, .. } => {
            tracing::info!(%id, %side, price = fill.price.get(), qty = fill.qty.get(), "fill");
        }
        AuditRecord::Order { id, to, news, note, error: Some(error), .. } => {
            tracing::warn!(%id, to = to.name(), news, %note, error, "order");
        }
        AuditRecord::Order { id, to, news, note, error: None, .. } => {
            tracing::debug!(%id, to = to.name(), news, %note, "order");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::event::note;

    #[test]
    fn a_full_queue_never_holds_the_engine_up() {
        let (mut narrator, run) = Narrator::new();
        for _ in 0..QUEUE + 5 {
            narrator.tell(AuditRecord::Halt { halted: true, reason: note("test") });
        }
        assert_eq!(narrator.left_out(), 5);
        drop(narrator);
        // Tells what waits, then ends.
        run();
    }
}
