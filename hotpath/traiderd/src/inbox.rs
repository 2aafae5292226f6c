//! The ways into the engine thread: bounded rings, one per producing thread, and one waker. Nothing is ever dropped:
//! a full ring makes its producer wait, which for a socket means that the venue waits (TCP holds it back).

use domain::Event;
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Turns an idle engine thread spins before it sleeps.
const SPINS: u32 = 200;
/// Pause of a producer whose ring is full.
const FULL_PAUSE: Duration = Duration::from_micros(50);

/// Something for the engine.
#[derive(Debug)]
pub struct Item {
    /// Our clock when it was received, ns; see [`crate::clock::stamp_ns`].
    pub wall_ns: u64,
    /// Receive time the source states itself, ns.
    pub source_ns: Option<u64>,
    /// What it is.
    pub body: Body,
}

/// What comes in.
#[derive(Debug)]
pub enum Body {
    /// An input of the engine.
    Event(Event),
    /// The market's source has come to its end; in words.
    SourceEnded(String),
}

/// Wakes the engine thread if it sleeps.
#[derive(Debug)]
pub struct Waker {
    thread: Thread,
    asleep: AtomicBool,
}

impl Waker {
    /// A waker of the calling thread, which must be the one that calls [`Waker::wait`].
    pub fn of_this_thread() -> Arc<Waker> {
        Arc::new(Waker { thread: thread::current(), asleep: AtomicBool::new(false) })
    }
    /// Wakes it. Cheap when it is awake.
    pub fn wake(&self) {
        // Pairs with the fence in `wait`: either we see it asleep, or it sees what we pushed.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.thread.unpark();
        }
    }
    /// Waits until `ready` or `until`: first spinning for some microseconds, then asleep.
    pub fn wait(&self, until: Instant, ready: impl Fn() -> bool) {
        for _ in 0..SPINS {
            if ready() {
                return;
            }
            std::hint::spin_loop();
        }
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !ready() {
            thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }
        self.asleep.store(false, Ordering::Relaxed);
    }
}

/// The producing end of a ring.
#[derive(Debug)]
pub struct Tx {
    ring: Producer<Item>,
    waker: Arc<Waker>,
    /// Times a push had to wait.
    stalls: Arc<AtomicU64>,
}

/// The engine is gone; there is nobody to tell.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone;

/// A ring of `capacity` items into the thread that `waker` wakes. `stalls` counts pushes that had to wait.
pub fn ring(capacity: usize, waker: &Arc<Waker>, stalls: &Arc<AtomicU64>) -> (Tx, Consumer<Item>) {
    let (producer, consumer) = RingBuffer::new(capacity);
    (Tx { ring: producer, waker: Arc::clone(waker), stalls: Arc::clone(stalls) }, consumer)
}

impl Tx {
    /// Puts an item in, waiting while the ring is full.
    ///
    /// # Errors
    /// [`Gone`] when the engine thread has ended.
    pub fn push(&mut self, item: Item) -> Result<(), Gone> {
        let mut item = item;
        let mut waited = false;
        loop {
            if self.ring.is_abandoned() {
                return Err(Gone);
            }
            match self.ring.push(item) {
                Ok(()) => break,
                Err(PushError::Full(back)) => item = back,
            }
            if !waited {
                waited = true;
                self.stalls.fetch_add(1, Ordering::Relaxed);
            }
            self.waker.wake();
            thread::park_timeout(FULL_PAUSE);
        }
        self.waker.wake();
        Ok(())
    }

    /// Puts an event in that was received just now.
    ///
    /// # Errors
    /// [`Gone`] when the engine thread has ended.
    pub fn event(&mut self, source_ns: Option<u64>, event: Event) -> Result<(), Gone> {
        self.push(Item { wall_ns: crate::clock::stamp_ns(), source_ns, body: Body::Event(event) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_makes_the_producer_wait_and_loses_nothing() {
        let (waker, stalls) = (Waker::of_this_thread(), Arc::new(AtomicU64::new(0)));
        let (mut tx, mut rx) = ring(4, &waker, &stalls);
        let producer = thread::spawn(move || {
            for n in 0..1000 {
                tx.push(Item { wall_ns: n, source_ns: None, body: Body::Event(Event::Timer) }).unwrap();
            }
        });
        let mut next = 0;
        while next < 1000 {
            waker.wait(Instant::now() + Duration::from_secs(5), || !rx.is_empty());
            while let Ok(item) = rx.pop() {
                assert_eq!(item.wall_ns, next);
                next += 1;
            }
        }
        producer.join().unwrap();
        assert!(stalls.load(Ordering::Relaxed) > 0, "1000 items do not fit a ring of 4");
    }

    #[test]
    fn a_producer_learns_that_the_engine_is_gone() {
        let (mut tx, rx) = ring(1, &Waker::of_this_thread(), &Arc::new(AtomicU64::new(0)));
        drop(rx);
        assert_eq!(tx.event(None, Event::Timer), Err(Gone));
    }
}
