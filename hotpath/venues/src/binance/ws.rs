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
}

/// Largest number of streams on one connection.
pub const STREAMS_MAX: usize = 1024;

/// How the venue names bars of so many seconds. Case matters: `1m` are minutes, `1M` months, which have no length.
const INTERVALS: [(&str, u32); 15] = [
    ("1s", 1),
    ("1m", 60),
    ("3m", 180),
    ("5m", 300),
    ("15m", 900),
    ("30m", 1800),
    ("1h", 3600),
    ("2h", 7200),
    ("4h", 14_400),
    ("6h", 21_600),
    ("8h", 28_800),
    ("12h", 43_200),
    ("1d", 86_400),
    ("3d", 259_200),
    ("1w", 604_800),
];

/// Length of the bars called `interval`, seconds.
pub fn seconds(interval: &str) -> Option<u32> {
    INTERVALS.into_iter().find(|(name, _)| *name == interval).map(|(_, seconds)| seconds)
}

/// Name of bars of this length.
pub fn interval(seconds: u32) -> Option<&'static str> {
    INTERVALS.into_iter().find(|(_, length)| *length == seconds).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_base() {
        let e = Endpoints::at("http://127.0.0.1:4711/");
        assert_eq!((e.ws_api.as_str(), e.streams.as_str()), ("ws://127.0.0.1:4711/ws-api/v3", "ws://127.0.0.1:4711"));
        assert_eq!(Endpoints::at("https://x").ws_api, "wss://x/ws-api/v3");
    }
}
