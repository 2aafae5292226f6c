//! Who may send: the secret, the address, how many in a minute.

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A shorter secret could be guessed.
const SECRET_MIN: usize = 16;
const MINUTE: Duration = Duration::from_secs(60);

/// What every alert must hold. Printed for debugging it is `***`.
#[derive(Clone)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Secret {
    /// The secret in a file, without the white space around it.
    ///
    /// # Errors
    /// When the file cannot be read, others can read it, or the secret could be guessed or not be part of an address.
    pub fn read(path: &Path) -> anyhow::Result<Secret> {
        let make = format!("make one with: (umask 077; openssl rand -hex 32 > '{}')", path.display());
        let about = std::fs::metadata(path)
            .with_context(|| format!("the webhook's secret `{}` cannot be read; {make}", path.display()))?;
        ensure!(
            about.mode() & 0o077 == 0,
            "others can read the webhook's secret `{0}`; forbid it with: chmod 600 '{0}'",
            path.display()
        );
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the webhook's secret `{}` cannot be read", path.display()))?;
        let text = text.trim();
        ensure!(
            text.len() >= SECRET_MIN && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "the webhook's secret in `{}` must be at least {SECRET_MIN} letters and digits; {make}",
            path.display()
        );
        Ok(Secret(text.to_owned()))
    }

    /// True for the secret. The time this takes says nothing about where the first difference is, or how long the secret is:
    /// what is compared are hashes, and all of them.
    pub fn is(&self, given: &str) -> bool {
        let (ours, given) = (Sha256::digest(self.0.as_bytes()), Sha256::digest(given.as_bytes()));
        let differing = ours.iter().zip(given.iter()).fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(differing) == 0
    }

    /// The text with `***` wherever the secret stands.
    pub fn hide_in(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

/// For whom a request speaks: its peer, or whom a relay on this machine names if that is believed. A relay adds the address
/// it sees at the end of the header, so what stands before that is the sender's own claim and counts for nothing.
///
/// Returns `None` when a relay that is believed names nobody.
pub fn sender<'a>(
    peer: IpAddr,
    mut forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trust_forwarded: bool,
) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if !trust_forwarded || !peer.is_loopback() {
        return Some(peer);
    }
    let last = forwarded.next_back()?.rsplit(',').next()?.trim();
    last.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// How many may come in a minute: so many at once, and then one for each part of the minute.
#[derive(Debug)]
pub struct Rate {
    most: f64,
    left: f64,
    seen: Instant,
}

impl Rate {
    /// `most` a minute.
    pub fn new(most: u32, now: Instant) -> Rate {
        Rate { most: f64::from(most), left: f64::from(most), seen: now }
    }

    /// Takes one, if there is one left.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.seen).as_secs_f64() / MINUTE.as_secs_f64();
        self.left = (self.left + passed * self.most).min(self.most);
        self.seen = self.seen.max(now);
        let there = self.left >= 1.0;
        if there {
            self.left -= 1.0;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn from(peer: &str, forwarded: &[&str], trust: bool) -> Option<String> {
        sender(peer.parse().unwrap(), forwarded.iter().copied(), trust).map(|ip| ip.to_string())
    }

    #[test]
    fn only_a_relay_on_this_machine_is_believed_and_only_if_wanted() {
        let some = |ip: &str| Some(ip.to_owned());
        assert_eq!(from("203.0.113.9", &["52.89.214.238"], true), some("203.0.113.9"), "it is no relay of ours");
        assert_eq!(from("127.0.0.1", &["52.89.214.238"], false), some("127.0.0.1"), "not wanted");
        assert_eq!(from("127.0.0.1", &["52.89.214.238"], true), some("52.89.214.238"));
        assert_eq!(from("::ffff:127.0.0.1", &["::ffff:52.89.214.238"], true), some("52.89.214.238"));
    }

    #[test]
    fn what_a_sender_claims_of_itself_before_the_relay_counts_for_nothing() {
        let claim = ["52.89.214.238, 203.0.113.9"];
        assert_eq!(from("127.0.0.1", &claim, true).as_deref(), Some("203.0.113.9"));
        assert_eq!(from("127.0.0.1", &["52.89.214.238", "203.0.113.9"], true).as_deref(), Some("203.0.113.9"));
        assert_eq!(from("127.0.0.1", &[], true), None);
        assert_eq!(from("127.0.0.1", &["52.89.214.238, unknown"], true), None);
    }

    #[test]
    fn a_minute_holds_so_many_and_they_come_back_one_by_one() {
        let start = Instant::now();
        let mut rate = Rate::new(6, start);
        let taken =
            |rate: &mut Rate, after: u64| (0..20).filter(|_| rate.take(start + Duration::from_secs(after))).count();
        assert_eq!(taken(&mut rate, 0), 6);
        assert_eq!(taken(&mut rate, 9), 0);
        assert_eq!(taken(&mut rate, 11), 1);
        assert_eq!(taken(&mut rate, 1000), 6, "what was not used is not saved up");
    }

    #[test]
    fn a_secret_is_for_its_owner_alone_and_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("webhook.secret");
        let why = || Secret::read(&path).unwrap_err().to_string();
        assert!(why().contains("openssl rand"), "{}", why());
        let put = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        put("0123456789abcdef\n", 0o640);
        assert!(why().contains("chmod 600"), "{}", why());
        put("0123456789abcde\n", 0o600);
        assert!(why().contains("at least 16"), "{}", why());
        put("0123456789 abcdef", 0o600);
        assert!(why().contains("letters and digits"), "{}", why());
        put("0123456789abcdef\n", 0o600);
        let secret = Secret::read(&path).unwrap();
        assert!(secret.is("0123456789abcdef"));
        for other in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef\n", "0123456789abcdef0"] {
            assert!(!secret.is(other), "{other:?}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!(secret.hide_in("a 0123456789abcdef b"), "a *** b");
    }
}
