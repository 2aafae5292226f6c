//! Notices threads that end while the session still needs them: a dead thread must end the session, not leave it waiting
//! for a connection that nobody reads.

use std::sync::{Arc, OnceLock};

/// The first thread that fell, by name.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    fallen: Arc<OnceLock<String>>,
}

/// Lives as long as its thread runs.
#[derive(Debug)]
struct Guard {
    watch: Watch,
    name: String,
    may_end: bool,
}

impl Watch {
    /// `run`, watched as thread `name`. A panic always counts as a fall; an ordinary end unless it `may_end`.
    pub fn over(&self, name: &str, may_end: bool, run: Box<dyn FnOnce() + Send>) -> impl FnOnce() + Send + 'static {
        let guard = Guard { watch: self.clone(), name: name.to_owned(), may_end };
        move || {
            let _guard = guard;
            run();
        }
    }
    /// The thread that fell, if one did.
    pub fn fallen(&self) -> Option<&str> {
        self.fallen.get().map(String::as_str)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.may_end || std::thread::panicking() {
            self.watch.fallen.get_or_init(|| std::mem::take(&mut self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `run` on a watched thread to its end.
    fn fallen(may_end: bool, run: fn()) -> Option<String> {
        let watch = Watch::default();
        // A panic is the thread's own matter here.
        drop(std::thread::spawn(watch.over("orders", may_end, Box::new(run))).join());
        watch.fallen().map(str::to_owned)
    }

    #[test]
    fn a_panic_and_an_end_that_was_not_allowed_are_noticed() {
        assert_eq!(fallen(true, || panic!("on purpose")).as_deref(), Some("orders"));
        assert_eq!(fallen(false, || {}).as_deref(), Some("orders"));
        assert_eq!(fallen(true, || {}), None);
    }
}
