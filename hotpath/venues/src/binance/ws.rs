//! Addresses of the venue's WebSocket services and the streams we take from them.

/// Where a venue is reached: one base for streams, one for the WS API, one for REST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// REST base, `https://api.binance.com`.
    pub rest: String,
    /// Streams base, `wss://stream.binance.com:9443`.
    pub streams: String,
    /// WS API, whole address.
    pub ws_api: String,
}

impl Endpoints {
    /// All services behind one HTTP address, as the emulator has them; `http` becomes `ws`, `https` becomes `wss`.
    pub fn at(base: &str) -> Endpoints {
        let base = base.trim_end_matches('/');
        let sockets = base.replacen("http", "ws", 1);
        Endpoints { rest: base.to_owned(), ws_api: format!("{sockets}/ws-api/v3"), streams: sockets }
    }

    /// Address of a combined stream of depth changes (every 100 ms), trades and best prices of `symbols`.
    pub fn market(&self, symbols: &[&str]) -> String {
        let streams: Vec<String> = symbols
            .iter()
            .map(|s| s.to_lowercase())
            .map(|s| format!("{s}@depth@100ms/{s}@trade/{s}@bookTicker"))
            .collect();
        format!("{}/stream?streams={}", self.streams, streams.join("/"))
    }
}

/// Largest number of streams on one connection; we take three per symbol.
pub const STREAMS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_names_are_lower_case_and_addresses_follow_the_base() {
        let e = Endpoints::at("http://127.0.0.1:4711/");
        assert_eq!(e.ws_api, "ws://127.0.0.1:4711/ws-api/v3");
        assert_eq!(
            e.market(&["BTCUSDT", "ETHUSDT"]),
            "ws://127.0.0.1:4711/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker/\
             ethusdt@depth@100ms/ethusdt@trade/ethusdt@bookTicker"
        );
        assert!(Endpoints::at("https://x").market(&["A"]).starts_with("wss://x/stream"));
    }
}
