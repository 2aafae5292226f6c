//! What the engine thread shows to the outside: built only when somebody asked, at most ten times a second.

use engine::View;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A view older than this is not handed out again.
const FRESH: Duration = Duration::from_millis(100);

/// The last view and the wish for a newer one.
#[derive(Debug, Default)]
pub struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wanted: bool,
    view: Option<(Instant, Arc<View>)>,
}

impl Board {
    /// True when the engine thread should publish.
    pub fn is_wanted(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).wanted
    }
    /// Shows a view.
    pub fn publish(&self, view: View) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.view = Some((Instant::now(), Arc::new(view)));
        state.wanted = false;
        self.changed.notify_all();
    }
    /// The newest view; waits for one that is fresh, or takes the last there is after `patience`.
    pub fn view(&self, patience: Duration) -> Option<Arc<View>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |s: &State| s.view.as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH);
        if !fresh(&state) {
            state.wanted = true;
            let waited = self.changed.wait_timeout_while(state, patience, |s| s.wanted);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.view.as_ref().map(|(_, view)| Arc::clone(view))
    }
}
