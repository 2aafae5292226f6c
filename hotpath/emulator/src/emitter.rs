//! Takes items from the source and lets each out when its time has come: paced by the clock, or at maximal speed by
//! the clients' answers. Holds the market while nobody listens, and at the place of the recorded snapshot until a
//! client that builds a book has fetched it.

use crate::clock::Speed;
use crate::source::{Item, ItemKind};
use crate::state::{Shared, World};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Longest wait for a snapshot request: a client that only records never asks for one.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(30);

/// What has to happen before an item may go out.
enum Gate {
    Go,
    /// Until something changes.
    Wait,
    /// Until something changes, at most so long.
    Sleep(Duration),
}

/// Emits everything, then says goodbye.
pub async fn run(shared: Arc<Shared>, mut items: mpsc::Receiver<Item>, free_running: bool, goodbye: &'static str) {
    let mut stop = shared.stop.subscribe();
    while let Some(item) = items.recv().await {
        if !wait_for_turn(&shared, &item, free_running, &mut stop).await {
            return;
        }
    }
    shared.world().finish(goodbye);
    tracing::info!("{goodbye}: {} messages emitted", shared.world().frames);
}

/// Waits until `item` may go out and lets it out. False when the server stops.
async fn wait_for_turn(shared: &Shared, item: &Item, free_running: bool, stop: &mut watch::Receiver<bool>) -> bool {
    let reached = Instant::now();
    loop {
        if *stop.borrow_and_update() {
            return false;
        }
        let woken = shared.wake.notified();
        let gate = {
            let mut world = shared.world();
            let gate = gate(&mut world, item, free_running, reached);
            if matches!(gate, Gate::Go) {
                let_out(&mut world, item);
                return true;
            }
            gate
        };
        match gate {
            Gate::Sleep(time) => tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = woken => {}
                _ = stop.changed() => {}
            },
            Gate::Go | Gate::Wait => tokio::select! {
                () = woken => {}
                _ = stop.changed() => {}
            },
        }
    }
}

fn gate(world: &mut World, item: &Item, free_running: bool, reached: Instant) -> Gate {
    let now = Instant::now();
    if !world.started || (!free_running && !world.has_listeners()) {
        world.clock.pause(now);
        return Gate::Wait;
    }
    if let ItemKind::Snapshot(symbol) = item.kind
        && world.awaits_snapshot(symbol)
    {
        let left = SNAPSHOT_WAIT.saturating_sub(reached.elapsed());
        if !left.is_zero() {
            world.clock.pause(now);
            return Gate::Sleep(left);
        }
        tracing::warn!("nobody fetched the depth snapshot within {SNAPSHOT_WAIT:?}; going on without");
    }
    world.clock.run(now);
    match world.clock.speed() {
        Speed::Max if world.is_blocked() => Gate::Wait,
        Speed::Max => Gate::Go,
        Speed::Times(_) => match world.clock.until(item.ts_ns, now) {
            Duration::ZERO => Gate::Go,
            time => Gate::Sleep(time),
        },
    }
}

fn let_out(world: &mut World, item: &Item) {
    match &item.kind {
        ItemKind::Message(message) => world.emit(item.ts_ns, message),
        ItemKind::Snapshot(symbol) => {
            if let Some(symbol) = world.symbols.get_mut(*symbol) {
                symbol.snapshot_passed = true;
            }
        }
    }
}
