//! The local web page: one page, on the loopback interface alone, that answers "am I safe right now?" and shows market,
//! orders, decisions with their reasons, and workflow runs. Of trading it only reads. The [`board`] of the control plane can
//! also retry, cancel, pause and discard, for who has the [`token`].
//!
//! * [`daemon`] asks `traiderd` over its control socket and hands frames to every open page
//! * [`sections`] sends a page only what changed since its last frame
//! * [`database`] asks Postgres when that is reachable; the page works without
//! * [`runs`] the newest runs for the front page; [`board`] everything about the control plane
//! * [`web`] routes, security headers, the check of the `Host` header
//!
//! The page itself is in `assets/`: plain HTML, CSS and JavaScript, compiled in, no build step, nothing from outside.
//! **Absent on purpose:** log-in and remote access (a tunnel does that better), and any way to trade.
#![warn(missing_docs)]

pub mod board;
pub mod daemon;
pub mod database;
pub mod problem;
pub mod runs;
pub mod sections;
pub mod token;
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
    pub(crate) database: Arc<database::Database>,
    pub(crate) runs: Arc<runs::Runs>,
    pub(crate) answers: Arc<board::Answers>,
    pub(crate) token: token::Token,
}

impl App {
    /// Starts asking the daemon of this home; stops when the last clone is dropped. Needs a tokio runtime.
    ///
    /// * `token` - who has it may change things.
    pub fn start(home: Home, token: token::Token) -> App {
        let database = Arc::new(database::Database::new(home.clone()));
        App {
            feed: Arc::new(daemon::Feed::start(home.clone())),
            runs: Arc::new(runs::Runs::new(Arc::clone(&database))),
            answers: Arc::default(),
            database,
            home,
            token,
        }
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
