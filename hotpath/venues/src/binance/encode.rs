//! Requests of the WS API as JSON text. Prices and sizes go out as exact decimals; parameters stand sorted by name,
//! which is also the order in which they are signed.

use super::sign::Keys;
use domain::{ClientOrderId, Instrument, OrderRequest, order::OrderKind, order::TimeInForce};
use std::fmt::Write as _;

/// How long after `timestamp` the venue may still act on a request, ms: what is late is refused, not done late (I-05).
pub const RECV_WINDOW_MS: u64 = 5000;

/// How requests prove whose they are.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Not at all: a local emulator, or a session that has logged on.
    None,
    /// Every request is signed.
    Signed(Keys),
}

/// Writes requests. `number` is the request's own and comes back with the answer; `now_ms` is our clock, corrected to
/// the venue's.
#[derive(Clone, Debug)]
pub struct Encoder {
    auth: Auth,
}

impl Encoder {
    /// An encoder for a connection.
    pub const fn new(auth: Auth) -> Encoder {
        Encoder { auth }
    }

    /// `order.place`. The answer only acknowledges; fills come as reports, so that each is told once.
    pub fn place(&self, number: u64, order: &OrderRequest, i: &Instrument, now_ms: u64) -> String {
        let tif = match order.tif {
            TimeInForce::Gtc => "GTC",
            TimeInForce::Ioc => "IOC",
            TimeInForce::Fok => "FOK",
        };
        let mut p = Params::default();
        p.text("newClientOrderId", order.id);
        p.text("newOrderRespType", "ACK");
        p.text("price", i.price(order.price));
        p.text("quantity", i.qty(order.qty));
        p.number("recvWindow", RECV_WINDOW_MS);
        p.text("side", order.side.name().to_uppercase());
        p.text("symbol", i.symbol);
        match order.kind {
            OrderKind::Limit => {
                p.text("timeInForce", tif);
                p.text("type", "LIMIT");
            }
            OrderKind::PostOnly => p.text("type", "LIMIT_MAKER"),
        }
        self.request(number, "order.place", p, now_ms)
    }

    /// `order.cancel`.
    pub fn cancel(&self, number: u64, id: ClientOrderId, i: &Instrument, now_ms: u64) -> String {
        let mut p = Params::default();
        p.text("origClientOrderId", id);
        p.number("recvWindow", RECV_WINDOW_MS);
        p.text("symbol", i.symbol);
        self.request(number, "order.cancel", p, now_ms)
    }

    /// `order.status`.
    pub fn status(&self, number: u64, id: ClientOrderId, i: &Instrument, now_ms: u64) -> String {
        let mut p = Params::default();
        p.text("origClientOrderId", id);
        p.text("symbol", i.symbol);
        self.request(number, "order.status", p, now_ms)
    }

    /// `myTrades` of one order, asked by the venue's number of it.
    pub fn trades(&self, number: u64, venue_order_id: u64, i: &Instrument, now_ms: u64) -> String {
        let mut p = Params::default();
        p.number("orderId", venue_order_id);
        p.text("symbol", i.symbol);
        self.request(number, "myTrades", p, now_ms)
    }

    /// `account.status`.
    pub fn account(&self, number: u64, now_ms: u64) -> String {
        let mut p = Params::default();
        p.text("omitZeroBalances", "true");
        self.request(number, "account.status", p, now_ms)
    }

    /// `session.logon` with Ed25519 keys, after which requests need no signature.
    pub fn log_on(keys: &Keys, number: u64, now_ms: u64) -> String {
        Encoder::new(Auth::Signed(keys.clone())).request(number, "session.logon", Params::default(), now_ms)
    }

    /// Subscribes to news of our orders and balances: signed on its own, or within a session that has logged on.
    pub fn subscribe(&self, number: u64, now_ms: u64) -> String {
        match self.auth {
            Auth::None => format!("{{\"id\":{number},\"method\":\"userDataStream.subscribe\"}}"),
            Auth::Signed(_) => self.request(number, "userDataStream.subscribe.signature", Params::default(), now_ms),
        }
    }

    fn request(&self, number: u64, method: &str, mut p: Params, now_ms: u64) -> String {
        p.number("timestamp", now_ms);
        if let Auth::Signed(keys) = &self.auth {
            p.text("apiKey", keys.api_key());
            let signature = keys.sign_params(p.0.iter().map(|(name, value, _)| (*name, value.as_str())));
            p.text("signature", signature);
        }
        p.0.sort_unstable_by_key(|(name, ..)| *name);
        let mut out = String::with_capacity(512);
        let mut put = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("writing to a String cannot fail");
        put(format_args!("{{\"id\":{number},\"method\":\"{method}\",\"params\":{{"));
        for (n, (name, value, quoted)) in p.0.iter().enumerate() {
            let (comma, quote) = (if n > 0 { "," } else { "" }, if *quoted { "\"" } else { "" });
            put(format_args!("{comma}\"{name}\":{quote}{value}{quote}"));
        }
        put(format_args!("}}}}"));
        out
    }
}

/// Name, value and whether JSON quotes it. No value of ours holds a character that JSON would escape: ids, numbers,
/// symbols, keys and signatures are plain.
#[derive(Default)]
struct Params(Vec<(&'static str, String, bool)>);

impl Params {
    fn text(&mut self, name: &'static str, value: impl ToString) {
        self.0.push((name, value.to_string(), true));
    }
    fn number(&mut self, name: &'static str, value: u64) {
        self.0.push((name, value.to_string(), false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::fixtures::btcusdt;
    use domain::{InstrumentId, Lots, Side, StrategyId, Ticks};
    use serde_json::{Value, json};

    fn order(kind: OrderKind) -> OrderRequest {
        OrderRequest {
            id: ClientOrderId { home: 0xbeef, epoch: 3, sequence: 17 },
            instrument: InstrumentId(0),
            instrument_version: 1,
            strategy: StrategyId(0),
            side: Side::Sell,
            kind,
            tif: TimeInForce::Ioc,
            price: Ticks::new(5_200_000),
            qty: Lots::new(1000),
        }
    }
    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_order_is_written_as_the_venue_documents_it() {
        let text = Encoder::new(Auth::None).place(5, &order(OrderKind::Limit), &btcusdt(), 1_645_423_376_532);
        let want = json!({"id": 5, "method": "order.place", "params": {
            "symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "IOC", "price": "52000.00",
            "quantity": "0.01000", "newClientOrderId": "trd-0000beef-3-17", "newOrderRespType": "ACK",
            "recvWindow": 5000, "timestamp": 1_645_423_376_532_u64}});
        assert_eq!(json(&text), want);
    }

    #[test]
    fn a_post_only_order_is_a_limit_maker_without_time_in_force() {
        let text = Encoder::new(Auth::None).place(5, &order(OrderKind::PostOnly), &btcusdt(), 1);
        let params = &json(&text)["params"];
        assert_eq!((&params["type"], params.get("timeInForce")), (&Value::from("LIMIT_MAKER"), None));
    }

    #[test]
    fn cancels_and_questions_name_the_order_by_our_id() {
        let (e, i) = (Encoder::new(Auth::None), btcusdt());
        let id = order(OrderKind::Limit).id;
        for text in [e.cancel(1, id, &i, 2), e.status(1, id, &i, 2)] {
            assert_eq!(json(&text)["params"]["origClientOrderId"], "trd-0000beef-3-17");
        }
        assert_eq!(json(&e.trades(1, 12, &i, 2))["params"]["orderId"], 12);
        assert_eq!(json(&e.subscribe(1, 2))["method"], "userDataStream.subscribe");
        assert_eq!(json(&e.account(1, 2))["method"], "account.status");
    }

    #[test]
    fn a_signature_covers_all_other_parameters_sorted_by_name() {
        let keys = Keys::hmac("key", "secret");
        let text = Encoder::new(Auth::Signed(keys.clone())).cancel(1, order(OrderKind::Limit).id, &btcusdt(), 99);
        let payload = "apiKey=key&origClientOrderId=trd-0000beef-3-17&recvWindow=5000&symbol=BTCUSDT&timestamp=99";
        assert_eq!(json(&text)["params"]["signature"], keys.sign(payload).as_str());
        let subscribe = Encoder::new(Auth::Signed(keys.clone())).subscribe(1, 99);
        assert_eq!(json(&subscribe)["method"], "userDataStream.subscribe.signature");
        assert_eq!(
            json(&Encoder::log_on(&keys, 1, 99))["params"]["signature"],
            keys.sign("apiKey=key&timestamp=99").as_str()
        );
    }
}
