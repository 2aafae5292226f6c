//! What Binance says of our orders and balances: answers to requests and news.

use crate::feeds::check_event;
use crate::{corpus, market::Market};
use domain::{Event, ExecEvent};
use venues::binance::user::{self, Body, Reply};

pub(crate) fn user(bytes: &[u8]) {
    let market = Market::of("binance");
    for text in String::from_utf8_lossy(bytes).split('\n').take(16) {
        let is_reply = user::is_reply(text);
        let Ok(message) = user::message(text, &market.table) else { continue };
        match message.body {
            Body::Reply(reply) => check_reply(&reply, market),
            Body::Exec(report) => {
                assert!(!is_reply, "news of an order would be taken for an answer: {text}");
                assert!(
                    text.contains("\\u") || text.contains(&report.id.to_string()),
                    "whose is {}: {text}",
                    report.id
                );
                check_event(&Event::Exec(report));
            }
            Body::Balances(all) => all.into_iter().for_each(|balance| check_event(&Event::Balance(balance))),
            Body::External(id) => {
                assert!(id.parse::<domain::ClientOrderId>().is_err(), "`{id}` is ours");
            }
            Body::Terminated | Body::Shutdown | Body::Other => {}
        }
    }
}

fn check_reply(reply: &Reply<'_>, market: &Market) {
    let i = &market.instruments[0];
    let refused = |event: &ExecEvent| matches!(event, ExecEvent::Rejected { .. } | ExecEvent::CancelRejected { .. });
    let placed = user::placed(reply);
    let cancelled = user::cancelled(reply);
    for event in cancelled.iter().chain([&placed]) {
        let proven = reply.status != 200 && reply.status < 500 && reply.error.is_some();
        assert!(!refused(event) || proven, "{reply:?} is no refusal, but {event:?}");
        let accepted = matches!(event, ExecEvent::Accepted { .. });
        assert!(!accepted || reply.status == 200, "{reply:?} accepts nothing");
    }
    user::status(reply, i);
    for (_, fill) in user::trades(reply, i).unwrap_or_default() {
        let report = domain::event::ExecReport {
            id: domain::ClientOrderId { home: 1, epoch: 1, sequence: 1 },
            ts_venue_ns: 0,
            event: ExecEvent::Filled(fill),
        };
        check_event(&Event::Exec(report));
    }
    user::balances(reply).unwrap_or_default().into_iter().for_each(|balance| check_event(&Event::Balance(balance)));
}

/// The venue's examples with an order of ours, and answers to each of our requests.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const EXAMPLES: [&str; 9] = [
        r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1499405658658,"s":"BTCUSDT","c":"trd-0000002a-1-7","S":"BUY","o":"LIMIT","f":"GTC","q":"1.00000000","p":"0.10264410","x":"NEW","X":"NEW","r":"NONE","i":4293153,"l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0","N":null,"T":1499405658657,"t":-1,"m":false,"C":""}}"#,
        r#"{"event":{"e":"executionReport","E":1,"s":"BTCUSDT","c":"trd-0000002a-1-7","x":"TRADE","X":"FILLED","r":"NONE","i":1,"l":"0.10000","z":"0.10000","L":"61837.63","n":"0.00010000","N":"BTC","T":2,"t":77,"m":true,"C":""}}"#,
        r#"{"event":{"e":"executionReport","E":1,"s":"BTCUSDT","c":"web_1","x":"CANCELED","X":"CANCELED","r":"NONE","i":1,"l":"0","z":"0.10000","L":"0","n":"0","N":null,"T":2,"t":-1,"m":false,"C":"trd-0000002a-1-7"}}"#,
        r#"{"event":{"e":"outboundAccountPosition","E":1564034571105,"u":1564034571073,"B":[{"a":"ETH","f":"10000.000000","l":"0.000000"}]}}"#,
        r#"{"id":17,"status":200,"result":{"symbol":"BTCUSDT","orderId":12569099453,"clientOrderId":"trd-0000002a-1-7","status":"FILLED","executedQty":"0.00847000"}}"#,
        r#"{"id":17,"status":400,"error":{"code":-2010,"msg":"Account has insufficient balance for requested action."}}"#,
        r#"{"id":17,"status":503,"error":{"code":-1007,"msg":"Timeout waiting for response from backend server."}}"#,
        r#"{"id":17,"status":200,"result":[{"symbol":"BTCUSDT","id":1650422481,"orderId":12569099453,"price":"23416.10","qty":"0.00635","commission":"0.000000","commissionAsset":"BNB","time":1660801715793,"isBuyer":false,"isMaker":true}]}"#,
        r#"{"id":17,"status":200,"result":{"makerCommission":15,"balances":[{"asset":"BNB","free":"0.00000000","locked":"0.00000000"}]}}"#,
    ];
    let mut all: Vec<Vec<u8>> = EXAMPLES.iter().map(|text| text.as_bytes().to_vec()).collect();
    let ours = |text: String| {
        let event = text.replace("x-TD67BGP9-T0000000000000", "trd-0000002a-1-7").replace("ETHUSDT", "BTCUSDT");
        format!(r#"{{"subscriptionId":0,"event":{event}}}"#).into_bytes()
    };
    all.extend(
        corpus::fixtures("recorded part of the corpus of binance_user", "rest/nautilus/binance/spot/user_data_json")
            .into_iter()
            .map(ours),
    );
    all
}
