//! Questions over HTTP: rules, snapshots, time, candles. Blocking, with a limit on every wait. Plain `http` is allowed
//! to this machine only.

use super::{DecodeError, info, info::Kline};
use domain::Instrument;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Largest body read: the 5000-level snapshot is under 1 MiB, the whole exchangeInfo about 20 MiB.
const BODY_MAX: u64 = 64 << 20;

/// A question that got no usable answer.
#[derive(Debug, Error)]
pub enum RestError {
    /// The address cannot be used.
    #[error("cannot use venue address `{url}`: {why}")]
    Address {
        /// As given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The network failed or took too long.
    #[error("no answer from {url}: {cause}")]
    Network {
        /// What was asked.
        url: String,
        /// The cause.
        cause: String,
    },
    /// The venue said no.
    #[error("{url} answered {status}: {code} {msg}")]
    Venue {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// The venue's code, 0 if none.
        code: i64,
        /// In words.
        msg: String,
        /// How long to stay away, if it says so.
        retry_after: Option<Duration>,
    },
    /// The answer is not what it should be.
    #[error("could not read the answer of {url}")]
    Decode {
        /// What was asked.
        url: String,
        /// The cause.
        #[source]
        source: DecodeError,
    },
}

impl RestError {
    /// True when asking again later may help.
    pub const fn is_transient(&self) -> bool {
        match self {
            RestError::Network { .. } => true,
            RestError::Venue { status, .. } => *status >= 500 || *status == 429 || *status == 418,
            RestError::Address { .. } | RestError::Decode { .. } => false,
        }
    }
}

/// A client of one venue's REST service; cheap to clone, keeps connections alive.
#[derive(Clone, Debug)]
pub struct Rest {
    base: String,
    agent: ureq::Agent,
}

/// True when the address names this machine.
pub fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or("");
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[derive(Deserialize)]
struct ApiError {
    code: i64,
    msg: String,
}

impl Rest {
    /// A client of `base`, which gives each question at most `timeout`.
    ///
    /// # Errors
    /// [`RestError::Address`] unless it is https, or http to this machine.
    pub fn new(base: &str, timeout: Duration) -> Result<Rest, RestError> {
        let local = is_loopback(base);
        let wrong = |why| Err(RestError::Address { url: base.to_owned(), why });
        match base.split_once("://").map(|(scheme, _)| scheme) {
            Some("https") => {}
            Some("http") if local => {}
            Some("http") => return wrong("plain http is only for this machine; use https"),
            _ => return wrong("it does not start with https:// (or http:// for this machine)"),
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ureq::tls::TlsConfig::builder().unversioned_rustls_crypto_provider(provider).build();
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .timeout_connect(Some(timeout.min(Duration::from_secs(3))))
            .http_status_as_error(false)
            .user_agent("traider")
            .tls_config(tls);
        if local {
            // A proxy from the environment is for the world outside.
            config = config.proxy(None);
        }
        Ok(Rest { base: base.trim_end_matches('/').to_owned(), agent: config.build().new_agent() })
    }

    /// The body of `GET <path and query>`.
    ///
    /// # Errors
    /// [`RestError`] unless the venue answers 200.
    pub fn get(&self, path: &str) -> Result<String, RestError> {
        let url = format!("{}{path}", self.base);
        let network = |e: ureq::Error| RestError::Network { url: url.clone(), cause: e.to_string() };
        let mut response = self.agent.get(&url).call().map_err(network)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
        let body = response.body_mut().with_config().limit(BODY_MAX).read_to_string().map_err(network)?;
        if status == 200 {
            return Ok(body);
        }
        let said: Option<ApiError> = serde_json::from_str(&body).ok();
        let (code, msg) = said.map_or((0, body.chars().take(120).collect()), |e| (e.code, e.msg));
        Err(RestError::Venue { url, status, code, msg, retry_after: retry_after.map(Duration::from_secs) })
    }

    fn ask<T>(&self, path: &str, read: impl FnOnce(&str) -> Result<T, DecodeError>) -> Result<T, RestError> {
        let text = self.get(path)?;
        read(&text).map_err(|source| RestError::Decode { url: format!("{}{path}", self.base), source })
    }

    /// The rules of these symbols, with ids in their order.
    ///
    /// # Errors
    /// [`RestError`].
    pub fn instruments(&self, symbols: &[&str]) -> Result<Vec<Instrument>, RestError> {
        let list = symbols.iter().map(|s| format!("\"{s}\"")).collect::<Vec<_>>().join(",");
        let list = super::sign::percent_encode(&format!("[{list}]"));
        self.ask(&format!("/api/v3/exchangeInfo?symbols={list}"), |text| info::instruments(text, symbols))
    }

    /// All symbols the venue lists; on the real venue an answer of many megabytes.
    ///
    /// # Errors
    /// [`RestError`].
    pub fn symbols(&self) -> Result<Vec<String>, RestError> {
        self.ask("/api/v3/exchangeInfo", info::symbols)
    }

    /// Candles of `symbol`, oldest first: those that open in `start_ms..=end_ms`, at most `limit` (1000).
    ///
    /// # Errors
    /// [`RestError`].
    pub fn klines(
        &self,
        symbol: &str,
        interval: &str,
        (start_ms, end_ms): (u64, u64),
        limit: u32,
    ) -> Result<Vec<Kline>, RestError> {
        let symbol = super::sign::percent_encode(symbol);
        let path = format!(
            "/api/v3/klines?symbol={symbol}&interval={interval}&startTime={start_ms}&endTime={end_ms}&limit={limit}"
        );
        self.ask(&path, info::klines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// Serves one answer to one request and returns the request line.
    fn serve(status: &str, headers: &str, body: &str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let first = lines.next().unwrap();
            lines.find(String::is_empty);
            stream.write_all(answer.as_bytes()).unwrap();
            first
        });
        (url, server)
    }
    fn client(url: &str) -> Rest {
        Rest::new(url, Duration::from_secs(5)).unwrap()
    }

    #[test]
    fn plain_http_leaves_this_machine_never() {
        for url in ["http://127.0.0.1:1", "http://localhost:80/", "http://[::1]:9", "https://api.binance.com"] {
            assert!(Rest::new(url, Duration::from_secs(1)).is_ok(), "{url}");
        }
        for url in ["http://api.binance.com", "http://127.0.0.1.evil.example", "ftp://x", "api.binance.com"] {
            assert!(matches!(Rest::new(url, Duration::from_secs(1)), Err(RestError::Address { .. })), "{url}");
        }
    }

    #[test]
    fn questions_name_what_they_want_and_answers_are_read() {
        let (url, server) = serve("200 OK", "", r#"{"serverTime":1499827319559}"#);
        assert_eq!(client(&url).get("/api/v3/time").unwrap(), r#"{"serverTime":1499827319559}"#);
        assert_eq!(server.join().unwrap(), "GET /api/v3/time HTTP/1.1");

        let (url, server) = serve("200 OK", "", r#"{"symbols":[]}"#);
        assert!(client(&url).instruments(&["BTCUSDT"]).unwrap_err().to_string().contains("could not read the answer"));
        assert!(server.join().unwrap().contains("symbols=%5B%22BTCUSDT%22%5D"));
    }

    #[test]
    fn refusals_carry_code_words_and_how_long_to_wait() {
        let (url, server) =
            serve("429 Too Many", "Retry-After: 7\r\n", r#"{"code":-1003,"msg":"Too much request weight used"}"#);
        let error = client(&url).get("/api/v3/time").unwrap_err();
        server.join().unwrap();
        assert!(error.is_transient());
        match error {
            RestError::Venue { status: 429, code: -1003, retry_after: Some(wait), .. } => assert_eq!(wait.as_secs(), 7),
            other => panic!("{other}"),
        }
        let (url, server) = serve("400 Bad", "", r#"{"code":-1121,"msg":"Invalid symbol."}"#);
        let error = client(&url).get("/api/v3/time").unwrap_err();
        server.join().unwrap();
        assert!(!error.is_transient() && error.to_string().contains("-1121 Invalid symbol."));
    }

    #[test]
    fn nobody_there_is_a_network_error() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = client(&format!("http://127.0.0.1:{port}")).get("/api/v3/time").unwrap_err();
        assert!(matches!(error, RestError::Network { .. }) && error.is_transient());
    }
}
