//! The local web page: one page, on the loopback interface alone, that answers "am I safe right now?" and shows market,
//! orders, decisions with their reasons, and workflow runs. It reads and never commands.
//!
//! * [`daemon`] asks `traiderd` over its control socket and hands frames to every open page
//! * [`sections`] sends a page only what changed since its last frame
//! * [`runs`] reads the control plane from Postgres when that is reachable; the page works without
//! * [`web`] routes, security headers, the check of the `Host` header
//!
//! The page itself is in `assets/`: plain HTML, CSS and JavaScript, compiled in, no build step, nothing from outside.
//! **Absent on purpose:** log-in and remote access (a tunnel does that better), and any way to change state.
#![warn(missing_docs)]

pub mod daemon;
pub mod runs;
pub mod sections;
pub mod web;

#[cfg(test)]
mod tests;

use settings::Home;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How often the daemon is asked while somebody looks.
pub const PERIOD: Duration = Duration::from_millis(200);

/// What the pages share.
#[derive(Clone)]
pub struct App {
    pub(crate) home: Home,
    pub(crate) feed: Arc<daemon::Feed>,
    pub(crate) runs: Arc<runs::Runs>,
}

impl App {
    /// Starts asking the daemon of this home; stops when the last clone is dropped. Needs a tokio runtime.
    pub fn start(home: Home) -> App {
        App { feed: Arc::new(daemon::Feed::start(home.clone())), runs: Arc::new(runs::Runs::new(home.clone())), home }
    }
}

/// The address to listen on.
///
/// # Errors
/// When it is not a loopback address: the page has no log-in, so it must not be reachable from other machines.
pub fn loopback(address: IpAddr, port: u16) -> anyhow::Result<SocketAddr> {
    anyhow::ensure!(
        address.is_loopback(),
        "the page shows everything without a log-in, so it listens on this machine only, not on {address}; to see it \
         from elsewhere use a tunnel: ssh -L 8420:127.0.0.1:8420 HOST"
    );
    Ok(SocketAddr::new(address, port))
}
