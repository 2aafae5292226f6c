//! Keys and signatures. REST signs the percent-encoded query followed by the body; the WS API signs its parameters
//! sorted by name and not encoded. HMAC-SHA256 gives hex, Ed25519 gives base64.

use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// An API key with its secret. `Debug` shows neither.
#[derive(Clone)]
pub struct Keys {
    api_key: String,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Hmac(hmac::Key),
    Ed25519(Arc<Ed25519KeyPair>),
}

/// A private key that cannot be used.
#[derive(Debug, Error)]
#[error("the Ed25519 private key is not usable: {0}; expected a PKCS#8 PEM file (BEGIN PRIVATE KEY)")]
pub struct KeyError(String);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.secret {
            Secret::Hmac(_) => "hmac-sha256",
            Secret::Ed25519(_) => "ed25519",
        };
        f.debug_struct("Keys").field("kind", &kind).field("api_key", &"***").field("secret", &"***").finish()
    }
}

impl Keys {
    /// Keys that sign with HMAC-SHA256.
    pub fn hmac(api_key: &str, secret: &str) -> Keys {
        let secret = Secret::Hmac(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
        Keys { api_key: api_key.to_owned(), secret }
    }

    /// Keys that sign with Ed25519; the only kind that may log a WS API session on.
    ///
    /// # Errors
    /// [`KeyError`] when `pem` is not a PKCS#8 private key of that kind.
    pub fn ed25519(api_key: &str, pem: &str) -> Result<Keys, KeyError> {
        let body: String = pem.lines().filter(|l| !l.starts_with("-----")).map(str::trim).collect();
        let der = base64_decode(&body).ok_or_else(|| KeyError("it is not base64".to_owned()))?;
        // Keys made by openssl lack the public half, so its consistency cannot be demanded.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|e| KeyError(e.to_string()))?;
        Ok(Keys { api_key: api_key.to_owned(), secret: Secret::Ed25519(Arc::new(pair)) })
    }

    /// The public part, sent with requests.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }
    /// True when the keys can log a session on, so that requests need no signature of their own.
    pub const fn can_log_on(&self) -> bool {
        matches!(self.secret, Secret::Ed25519(_))
    }
    /// The public key of an Ed25519 pair, hex; `None` for HMAC.
    pub fn public_key_hex(&self) -> Option<String> {
        match &self.secret {
            Secret::Hmac(_) => None,
            Secret::Ed25519(pair) => Some(hex::encode(pair.public_key())),
        }
    }

    /// Signs a payload as it is: hex for HMAC, base64 for Ed25519.
    pub fn sign(&self, payload: &str) -> String {
        match &self.secret {
            Secret::Hmac(key) => hex::encode(hmac::sign(key, payload.as_bytes())),
            Secret::Ed25519(pair) => base64_encode(pair.sign(payload.as_bytes()).as_ref()),
        }
    }

    /// A REST query with its signature at the end. `query` must be percent-encoded already, because the venue signs
    /// what goes over the wire.
    pub fn signed_query(&self, query: &str) -> String {
        format!("{query}&signature={}", percent_encode(&self.sign(query)))
    }

    /// Signature over WS API parameters (name and value, in any order, without `signature`).
    pub fn sign_params<'a>(&self, params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let mut params: Vec<_> = params.into_iter().collect();
        params.sort_unstable();
        let payload: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.sign(&payload.join("&"))
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for n in 0..4 {
            let index = (bits >> (18 - 6 * n)) & 63;
            out.push(if n <= chunk.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    out
}

fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let (mut out, mut bits, mut held) = (Vec::with_capacity(text.len()), 0u32, 0u32);
    for c in text.bytes() {
        let value = ALPHABET.iter().position(|a| *a == c)?;
        bits = (bits << 6 | u32::try_from(value).ok()?) & 0x00ff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Vectors printed in the venue's documentation (rest-api.md, web-socket-api.md).
    const API_KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

    #[test]
    fn the_published_hmac_vectors_come_out() {
        let keys = Keys::hmac(API_KEY, SECRET);
        let query = |symbol: &str| {
            format!(
                "symbol={symbol}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
            )
        };
        assert_eq!(keys.sign(&query("LTCBTC")), "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71");
        let wide = percent_encode("１２３４５６");
        assert_eq!(wide, "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96");
        assert!(
            keys.signed_query(&query(&wide))
                .ends_with("&signature=e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3")
        );
    }

    fn ws_params(api_key: &str) -> [(&str, &str); 9] {
        [
            ("symbol", "BTCUSDT"),
            ("side", "SELL"),
            ("type", "LIMIT"),
            ("timeInForce", "GTC"),
            ("quantity", "0.01000000"),
            ("price", "52000.00"),
            ("recvWindow", "100"),
            ("timestamp", "1645423376532"),
            ("apiKey", api_key),
        ]
    }

    #[test]
    fn the_published_ws_api_vector_comes_out_whatever_the_order_of_parameters() {
        let signature = Keys::hmac(API_KEY, SECRET).sign_params(ws_params(API_KEY));
        assert_eq!(signature, "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24");
    }

    // Private key of RFC 8032 section 7.1 test 1; signatures made with openssl.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    #[test]
    fn ed25519_signs_as_openssl_does() {
        let api_key = "4yNzx3yWC5bS6YTwEkSRaC0nRmSQIIStAUOh1b6kqaBrTLIhjCpI5lJH8q8R8WNO";
        let keys = Keys::ed25519(api_key, PEM).unwrap();
        assert!(keys.public_key_hex().unwrap().starts_with("d75a9801"));
        assert_eq!(
            keys.sign("symbol=BTCUSDT&side=SELL&type=LIMIT&timeInForce=GTC&quantity=1&price=0.2&timestamp=1668481559918&recvWindow=5000"),
            "XtZirsmmi0noRzUfkqktvkVfxpkq/WtbLg2UOL3QGYdUBZVlqOBEMuEVw8zioY93N54NcKj9UuAXQEa9zgTDBg=="
        );
        assert_eq!(
            keys.sign_params(ws_params(api_key)),
            "Ws+5m/CMnpkko0uBFxGTZ2+fjqqBXsUjRiaz173fPhXTkhoDBYNZ6wcYNeWItdrGn1pvG7vkwx2fhmJdAZ3KDQ=="
        );
        assert!(Keys::ed25519("k", "-----BEGIN PRIVATE KEY-----\nAAAA\n").is_err());
        assert!(Keys::ed25519("k", "not base64!").is_err());
    }

    #[test]
    fn secrets_never_show() {
        for keys in [Keys::hmac(API_KEY, SECRET), Keys::ed25519(API_KEY, PEM).unwrap()] {
            let shown = format!("{keys:?}");
            assert!(!shown.contains("vmPU") && !shown.contains("Nhqp") && shown.contains("***"), "{shown}");
        }
    }

    #[test]
    fn base64_agrees_with_rfc_4648() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64_encode(plain.as_bytes()), coded);
            assert_eq!(base64_decode(coded).unwrap(), plain.as_bytes());
        }
    }
}
