//! Sends what is in the outbox: alerts to a webhook, a file, and the terminal. At least once each; a channel that is down
//! holds up no other.

use crate::shared::Shared;
use serde_json::{Value, json};
use settings::config::Alerts;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::error::chain;
use store::outbox::{self, Message};
use store::{StoreError, alert};

/// Time between two looks into the outbox.
const LOOK: Duration = Duration::from_secs(5);
/// Time between two looks for what is late, stale or forgotten.
const WATCH: Duration = Duration::from_secs(30);
/// How long a webhook may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where alerts go.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    /// Address of a webhook.
    pub webhook: Option<String>,
    /// A file that gets a line of JSON each.
    pub file: Option<PathBuf>,
    /// Print a line of JSON each.
    pub stdout: bool,
    /// How long a schedule may be paused.
    pub paused_max: Duration,
}

impl Channels {
    /// As configured.
    ///
    /// * `file` - where the file is, if there is to be one.
    pub fn of(alerts: &Alerts, file: &Path) -> Channels {
        Channels {
            webhook: Some(alerts.webhook.trim().to_owned()).filter(|url| !url.is_empty()),
            file: alerts.file.then(|| file.to_path_buf()),
            stdout: alerts.stdout,
            paused_max: Duration::from_secs(u64::from(alerts.paused_hours_max) * 3600),
        }
    }

    /// The names of those that are set up; of these only `wanted`, if any are named.
    fn for_whom(&self, wanted: &[String]) -> Vec<String> {
        let up = [("webhook", self.webhook.is_some()), ("file", self.file.is_some()), ("stdout", self.stdout)];
        let named = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
        up.iter().filter(|(name, up)| *up && named(name)).map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// Sends for ever.
pub(crate) async fn send(shared: Arc<Shared>, channels: Channels) {
    let mut watched: Option<Instant> = None;
    loop {
        if watched.is_none_or(|at| at.elapsed() > WATCH) {
            match alert::watch(&shared.store, chrono::Utc::now(), channels.paused_max).await {
                Ok(_) => watched = Some(Instant::now()),
                Err(error) => tracing::warn!(error = chain(&error), "cannot look for trouble"),
            }
        }
        flush(&shared, &channels).await;
        tokio::time::sleep(LOOK).await;
    }
}

/// Sends whatever is due until nothing is.
pub(crate) async fn flush(shared: &Shared, channels: &Channels) {
    loop {
        match outbox::take(&shared.store).await {
            Ok(messages) if messages.is_empty() => return,
            Ok(messages) => {
                for message in &messages {
                    if let Err(error) = deliver(shared, channels, message).await {
                        tracing::warn!(key = message.key, error = chain(&error), "a message waits");
                    }
                }
            }
            Err(error) => return tracing::warn!(error = chain(&error), "cannot look into the outbox"),
        }
    }
}

async fn deliver(shared: &Shared, channels: &Channels, message: &Message) -> Result<(), StoreError> {
    let store = &shared.store;
    if message.channel.is_empty() {
        let wanted: Vec<String> = serde_json::from_value(message.payload["channels"].clone()).unwrap_or_default();
        return outbox::fan_out(store, message, &channels.for_whom(&wanted)).await;
    }
    let said = json!({"event": message.topic, "id": message.key, "at": message.created_at, "alert": message.payload});
    let sent = match message.channel.as_str() {
        "stdout" => {
            println!("{said}");
            Ok(())
        }
        "file" => match &channels.file {
            Some(path) => append(path, &said).map_err(|e| format!("cannot append to `{}`: {e}", path.display())),
            None => return outbox::sent(store, message, Some("the channel was taken down")).await,
        },
        "webhook" => match channels.webhook.clone() {
            Some(url) => {
                tokio::task::spawn_blocking(move || post(&url, &said)).await.unwrap_or_else(|e| Err(e.to_string()))
            }
            None => return outbox::sent(store, message, Some("the channel was taken down")).await,
        },
        other => return outbox::sent(store, message, Some(&format!("there is no channel `{other}`"))).await,
    };
    match sent {
        Ok(()) => outbox::sent(store, message, None).await,
        Err(why) => {
            tracing::warn!(
                channel = message.channel,
                key = message.key,
                why,
                "an alert was not delivered; tried again"
            );
            outbox::failed(store, message, &why).await
        }
    }
}

/// One line, in one write, so that two workers' lines do not mix.
fn append(path: &Path, said: &Value) -> std::io::Result<()> {
    let mut file = std::fs::File::options().create(true).append(true).open(path)?;
    file.write_all(format!("{said}\n").as_bytes())?;
    file.sync_data()
}

/// Posts; the message's id is in the header too, for who wants to drop a second copy unread.
fn post(url: &str, said: &Value) -> Result<(), String> {
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|at| url.starts_with(at));
    if !local && !url.starts_with("https://") {
        return Err(format!("`{url}` is not https (or http to this machine)"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ureq::tls::TlsConfig::builder().unversioned_rustls_crypto_provider(provider).build();
    let mut config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).user_agent("traider").tls_config(tls);
    if local {
        // A proxy from the environment is for the world outside.
        config = config.proxy(None);
    }
    let id = said["id"].as_str().unwrap_or_default();
    let response = config.build().new_agent().post(url).header("idempotency-key", id).send_json(said);
    response.map(drop).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_goes_to_the_channels_it_names_of_those_that_are_set_up() {
        let channels = Channels { webhook: Some("https://x".to_owned()), stdout: true, ..Channels::default() };
        assert_eq!(channels.for_whom(&[]), ["webhook", "stdout"]);
        assert_eq!(channels.for_whom(&["file".to_owned(), "stdout".to_owned()]), ["stdout"]);
        assert!(Channels::default().for_whom(&[]).is_empty());
    }

    #[test]
    fn a_webhook_in_the_open_is_refused() {
        assert!(post("http://example.com/hook", &json!({})).unwrap_err().contains("not https"));
    }
}
