//! The three markets against the venue's recorded and published messages, and the book against its own best prices.

use super::*;
use crate::adapter::Said;
use crate::binance::fixtures;
use crate::recording::{Recording, What};
use domain::event::{Level, Liquidation};
use domain::instrument::Contract;
use domain::{Decimal, Event, InstrumentId, Lots, Side, Ticks};
use engine::book::Book;
use engine::stats::BookStats;
use std::path::Path;

fn instrument(market: &Binance, symbol: &str, tick: &str, lot: &str) -> Instrument {
    let mut i = fixtures::instrument(0, symbol, "BTC", lot);
    i.venue = market.venue();
    i.tick = domain::Increment::parse(tick).unwrap();
    i
}
fn btc(market: &Binance) -> Instrument {
    match market.0 {
        Market::Spot => instrument(market, "BTCUSDT", "0.01", "0.00001"),
        Market::UsdM => instrument(market, "BTCUSDT", "0.1", "0.001"),
        Market::CoinM => instrument(market, "BTCUSD_PERP", "0.1", "1"),
    }
}
fn feed(market: &Binance, i: &Instrument) -> Box<dyn Feed> {
    market.feed(Arc::new(SymbolTable::new([i.clone()])))
}
fn said(market: &Binance, i: &Instrument, text: &str) -> Vec<Said> {
    let mut out = Vec::new();
    feed(market, i).frame(text, &mut out).unwrap();
    out
}
fn event(market: &Binance, i: &Instrument, text: &str) -> Event {
    match said(market, i, text).pop() {
        Some(Said::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}
/// A published message or answer.
fn published(test: &str, file: &str) -> Option<String> {
    Some(std::fs::read_to_string(recorded::find(test, &format!("rest/nautilus/binance/{file}"))?).unwrap())
}

/// Follows the only book of a capture: changes that came after the whole book, breaks, tops compared, tops equal.
fn follow(market: &Binance, path: &Path, i: &Instrument) -> [u64; 4] {
    let (mut book, mut stats, mut trades, mut applied) = (Book::new(i), BookStats::default(), 0, 0);
    let mut reader = feed(market, i);
    let mut recording = Recording::open(path).unwrap();
    let mut out = Vec::new();
    while let Some(entry) = recording.next_entry().unwrap() {
        assert!(market.symbols_in(&entry.text).iter().all(|s| *s == i.symbol.as_str()));
        reader.frame(&entry.text, &mut out).unwrap();
        for said in out.drain(..) {
            match said {
                Said::Event(Event::BookDelta(d)) => {
                    applied += u64::from(book.on_delta(entry.ts_ns, &d, &mut stats).applied);
                }
                Said::Event(Event::Quote(q)) => book.on_quote(&q, &mut stats),
                Said::Event(Event::Trade(_)) => trades += 1,
                Said::RecordedBook(symbol) => {
                    assert!(symbol.is_none_or(|s| s == i.symbol.as_str()));
                    let whole = market.read_book(&entry.text, i).unwrap();
                    assert!(book.on_snapshot(entry.ts_ns, &whole, &mut stats).applied);
                }
                other => panic!("{other:?} in {}", entry.text),
            }
        }
    }
    assert!(book.is_live() && trades > 0 && stats.crossed == 0);
    assert!(stats.diffs_bridged <= 1, "one change bridges to the whole book");
    [applied, stats.sequence_breaks, stats.tops_compared, stats.tops_equal]
}

#[test]
fn the_recorded_books_agree_with_the_venues_best_prices() {
    // The facts published with the recordings.
    let eth = instrument(&BINANCE, "ETHUSDT", "0.01", "0.0001");
    let cases = [
        (&BINANCE, "spot_btcusdt", btc(&BINANCE), [3448, 0, 564, 564]),
        (&BINANCE, "spot_ethusdt", eth, [3432, 0, 577, 577]),
        (&USD_M, "usdm_btcusdt", btc(&USD_M), [6545, 0, 629, 629]),
        (&COIN_M, "cm_btcusd_perp", btc(&COIN_M), [26822, 0, 1124, 1124]),
    ];
    for (market, file, i, want) in cases {
        let test = "the_recorded_books_agree_with_the_venues_best_prices";
        let Some(path) = recorded::find(test, &format!("l2/binance_raw/{file}_20240808.gz")) else { return };
        assert_eq!(follow(market, &path, &i), want, "{file}");
    }
}

#[test]
fn each_market_knows_its_own_recordings() {
    let test = "each_market_knows_its_own_recordings";
    let markets = [(&BINANCE, "spot_btcusdt"), (&USD_M, "usdm_btcusdt"), (&COIN_M, "cm_btcusd_perp")];
    for (owner, file) in markets {
        let Some(path) = recorded::find(test, &format!("l2/binance_raw/{file}_20240808.gz")) else { return };
        let mut recording = Recording::open(&path).unwrap();
        for _ in 0..2000 {
            let Some(entry) = recording.next_entry().unwrap() else { break };
            for (market, _) in markets {
                let found = market.symbols_in(&entry.text);
                assert!(market == owner || found.is_empty(), "{} takes {}", market.venue(), entry.text);
                let named = owner == &COIN_M || !entry.text.contains("lastUpdateId");
                assert!(market != owner || found.len() == usize::from(named), "{}", entry.text);
            }
        }
    }
}

#[test]
fn a_cryptofeed_recording_reads_whole_with_the_rules_in_it() {
    let test = "a_cryptofeed_recording_reads_whole_with_the_rules_in_it";
    for (market, file) in [(&BINANCE, "ws/BINANCE.jsonl.zst"), (&USD_M, "ws/BINANCE_FUTURES.jsonl.zst")] {
        let Some(path) = recorded::find(test, file) else { return };
        let mut recording = Recording::open(&path).unwrap();
        let (mut symbols, mut rules, mut kinds) = (Vec::new(), Vec::new(), [0, 0, 0, 0]);
        let mut reader = None;
        let mut naive = [0; 4];
        while let Some(entry) = recording.next_entry().unwrap() {
            match &entry.what {
                What::Http(url) if url.ends_with("exchangeInfo") => rules.push(entry.text),
                What::Connect => {
                    symbols = market.symbols_in(&entry.text);
                    let wanted: Vec<&str> = symbols.iter().map(String::as_str).collect();
                    let found = market.read_rules(&[&rules[0]], &wanted).unwrap();
                    assert!(found.iter().all(|i| i.trade == (market == &BINANCE)));
                    reader = Some(market.feed(Arc::new(SymbolTable::new(found))));
                }
                What::Receive => {
                    let mut out = Vec::new();
                    reader.as_mut().unwrap().frame(&entry.text, &mut out).unwrap();
                    match &out[..] {
                        [Said::Event(Event::BookDelta(_))] => kinds[0] += 1,
                        [Said::Event(Event::Quote(_))] => kinds[1] += 1,
                        // Only sums of trades were recorded.
                        [Said::Event(Event::Trade(_))] => kinds[2] += 1,
                        [Said::Event(Event::Bar(_))] => kinds[3] += 1,
                        other => panic!("{other:?} in {}", entry.text),
                    }
                    for (n, name) in
                        ["@depth@100ms\"", "@bookTicker\"", "@aggTrade\"", "@kline_1m\""].iter().enumerate()
                    {
                        naive[n] += usize::from(entry.text.contains(name));
                    }
                }
                _ => {}
            }
        }
        assert_eq!((symbols.len(), kinds), (4, naive), "{file}");
    }
}

#[test]
fn ids_of_futures_books_are_contiguous_though_the_venue_skips() {
    let test = "ids_of_futures_books_are_contiguous_though_the_venue_skips";
    let Some(text) = published(test, "futures/market_data_json/depth_update_stream.json") else { return };
    let i = instrument(&USD_M, "BTCUSDT", "0.0001", "1");
    let Event::BookDelta(d) = event(&USD_M, &i, &text) else { panic!() };
    assert_eq!((d.first_id, d.last_id, d.ts_venue_ns), (150, 160, 123_456_789_000_000), "pu is 149, U 157, u 160");
    assert_eq!(d.bids, [Level { price: Ticks::new(24), qty: Lots::new(10) }]);
    assert!(feed(&USD_M, &i).frame(&text.replace("\"pu\"", "\"up\""), &mut Vec::new()).is_err());
}

#[test]
fn a_sold_liquidation_closed_a_long() {
    let Some(text) = published("a_sold_liquidation_closed_a_long", "futures/market_data_json/liquidation_stream.json")
    else {
        return;
    };
    let i = btc(&USD_M);
    let want = Liquidation {
        instrument: InstrumentId(0),
        ts_venue_ns: 1_568_014_460_893_000_000,
        liquidated: Side::Buy,
        price: Ticks::new(99_100),
        qty: Lots::new(14),
    };
    assert_eq!(event(&USD_M, &i, &text), Event::Liquidation(want));
    let Event::Liquidation(short) = event(&USD_M, &i, &text.replace("SELL", "BUY")) else { panic!() };
    assert_eq!(short.liquidated, Side::Sell);
    let odd = said(&USD_M, &i, &text.replace("SELL", "BOTH"));
    assert_eq!(odd, [Said::Other("liquidation of unknown side")], "never a guess");
}

#[test]
fn a_mark_price_brings_the_funding_rate_unless_the_contract_has_none() {
    let test = "a_mark_price_brings_the_funding_rate_unless_the_contract_has_none";
    let Some(text) = published(test, "futures/market_data_json/mark_price_stream.json") else { return };
    let i = btc(&USD_M);
    match &said(&USD_M, &i, &text)[..] {
        [Said::Event(Event::Mark(mark)), Said::Event(Event::Funding(funding))] => {
            assert_eq!(mark.mark, Some(Decimal::parse("11794.15").unwrap()));
            assert_eq!(mark.index, Some(Decimal::parse("11784.62659091").unwrap()));
            assert_eq!((funding.rate, funding.next_ns), (Decimal::new(38167, 8), 1_562_306_400_000_000_000));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(said(&USD_M, &i, &text.replace("0.00038167", "")).len(), 1);
}

#[test]
fn published_trades_bars_and_best_prices_read_as_written() {
    let test = "published_trades_bars_and_best_prices_read_as_written";
    let i = instrument(&USD_M, "BTCUSDT", "0.0001", "1");
    let at = |name: &str| published(test, &format!("futures/market_data_json/{name}.json"));
    let (Some(agg), Some(trade), Some(open), Some(closed)) =
        (at("agg_trade_stream"), at("trade_stream"), at("kline_stream_open"), at("kline_stream_closed"))
    else {
        return;
    };
    for text in [&agg, &trade] {
        let Event::Trade(t) = event(&USD_M, &i, text) else { panic!() };
        assert_eq!((t.trade_id, t.price, t.qty, t.aggressor), (5_933_014, Ticks::new(10), Lots::new(100), Side::Sell));
        assert_eq!(t.ts_venue_ns, 123_456_785_000_000);
    }
    for (text, last, low) in [(&open, false, 15), (&closed, true, 10)] {
        let Event::Bar(bar) = event(&USD_M, &i, text) else { panic!() };
        assert_eq!((bar.seconds, bar.open_ns, bar.last), (60, 1_638_747_660_000_000_000, last));
        assert_eq!([bar.open, bar.high, bar.low, bar.close].map(Ticks::get), [10, 25, low, 20]);
        assert_eq!(bar.volume, Lots::new(1000));
    }
    let ticker = at("ticker_stream").unwrap();
    assert_eq!(said(&USD_M, &i, &ticker), [Said::Other("24hrTicker")]);
}

#[test]
fn a_book_of_few_levels_is_not_taken_for_a_change() {
    let test = "a_book_of_few_levels_is_not_taken_for_a_change";
    let Some(change) = published(test, "futures/market_data_json/depth_update_stream.json") else { return };
    let i = instrument(&USD_M, "BTCUSDT", "0.0001", "1");
    let on = |stream: &str| said(&USD_M, &i, &format!(r#"{{"stream":"btcusdt@{stream}","data":{change}}}"#));
    for whole in ["depth", "depth@100ms", "depth@0ms"] {
        assert!(matches!(on(whole)[..], [Said::Event(Event::BookDelta(_))]), "{whole}");
    }
    for few in ["depth5", "depth20@100ms"] {
        assert_eq!(on(few), [Said::Other("depth of few levels")], "it says depthUpdate too");
    }
    assert_eq!(on("rpiDepth@500ms"), [Said::Other("rpiDepth")]);
    assert_eq!(on("dance"), [Said::Other("unknown stream")]);
}

#[test]
fn answers_and_farewells_are_the_same_on_every_market() {
    for market in [&BINANCE, &USD_M, &COIN_M] {
        let i = btc(market);
        assert_eq!(said(market, &i, r#"{"result":null,"id":1}"#), [Said::Reply(None)]);
        let refused = said(market, &i, r#"{"code":2,"msg":"Invalid request"}"#);
        assert_eq!(refused, [Said::Reply(Some("Invalid request".to_owned()))]);
        assert_eq!(said(market, &i, r#"{"e":"serverShutdown","E":1}"#), [Said::Shutdown]);
        let wrapped = r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#;
        assert_eq!(said(market, &i, wrapped), [Said::Shutdown]);
        assert!(!matches!(said(market, &i, r#"{"e":"newThing","s":"BTCUSDT"}"#)[..], [Said::Event(_)]));
    }
}

#[test]
fn a_whole_book_of_coin_m_names_its_symbol_and_time() {
    // The recorded one, shortened.
    let text = r#"{"lastUpdateId":1007198635033,"E":1723161257835,"T":1723161257823,"symbol":"BTCUSD_PERP","pair":"BTCUSD",
        "bids":[["61804.7","35"]],"asks":[["61804.8","7"]]}"#;
    let i = btc(&COIN_M);
    assert_eq!(said(&COIN_M, &i, text), [Said::RecordedBook(Some("BTCUSD_PERP".to_owned()))]);
    let book = COIN_M.read_book(text, &i).unwrap();
    assert_eq!((book.ts_venue_ns, book.bids[0].qty), (1_723_161_257_835_000_000, Lots::new(35)));
    assert_eq!(said(&BINANCE, &btc(&BINANCE), r#"{"lastUpdateId":7,"bids":[],"asks":[]}"#), [Said::RecordedBook(None)]);
}

#[test]
fn trades_told_singly_and_in_sums_count_once() {
    let i = btc(&BINANCE);
    let sum = r#"{"e":"aggTrade","E":2,"s":"BTCUSDT","a":7,"p":"1.00","q":"2","f":1,"l":2,"T":1,"m":false,"M":true}"#;
    let one = r#"{"e":"trade","E":2,"s":"BTCUSDT","t":9,"p":"1.00","q":"1","T":1,"m":false,"M":true}"#;
    let mut reader = feed(&BINANCE, &i);
    let mut out = Vec::new();
    for text in [sum, one, sum] {
        reader.frame(text, &mut out).unwrap();
    }
    assert!(matches!(&out[..], [Said::Event(_), Said::Event(_), Said::Other("aggTrade")]), "{out:?}");
    let block = one.replace("\"trade\"", "\"blockTrade\"");
    assert_eq!(said(&BINANCE, &i, &block), [Said::Other("blockTrade")], "traded beside the book");
}

#[test]
fn answers_over_http_read_as_published() {
    let test = "answers_over_http_read_as_published";
    let at = |name: &str| published(test, &format!("spot/http_json/{name}_response.json"));
    let (Some(info), Some(klines), Some(time), Some(depth)) =
        (at("exchange_info"), at("klines"), at("server_time"), at("depth"))
    else {
        return;
    };
    assert_eq!(BINANCE.read_time(&time).unwrap(), 1_499_827_319_559_000_000);
    let i = instrument(&BINANCE, "ETHBTC", "0.00000001", "0.00000001");
    let bars = BINANCE.read_bars(&klines, &i, 604_800).unwrap();
    assert_eq!((bars[0].open, bars[0].close), (Ticks::new(1_634_790), Ticks::new(1_577_100)));
    assert_eq!((bars[0].volume, bars[0].last), (Lots::new(14_897_611_427_815), false));
    let book = BINANCE.read_book(&depth, &i).unwrap();
    assert_eq!((book.last_id, book.asks[0].price, book.bids.len()), (1_027_024, Ticks::new(400_000_200), 1));
    // The sample leaves the filters out: then there is no tick, and none is made up.
    let error = BINANCE.read_rules(&[&info], &["ETHBTC"]).unwrap_err().to_string();
    assert!(error.contains("no usable PRICE_FILTER"), "{error}");
}

#[test]
fn rules_of_futures_say_what_a_contract_is() {
    // The members of the venue's documented exchangeInfo samples that matter.
    let filters = r#""filters":[{"filterType":"PRICE_FILTER","tickSize":"0.1"},
        {"filterType":"LOT_SIZE","minQty":"1","maxQty":"1000","stepSize":"1"},{"filterType":"MIN_NOTIONAL","notional":"5.0"}]"#;
    let of = |name: &str, rest: &str| {
        format!(r#"{{"symbols":[{{"symbol":"{name}","baseAsset":"BTC","quoteAsset":"USD",{rest}{filters}}}]}}"#)
    };
    let coin = of("BTCUSD_PERP", r#""contractSize":100,"#);
    let coin = &COIN_M.read_rules(&[&coin], &["BTCUSD_PERP"]).unwrap()[0];
    assert_eq!((coin.contract, coin.trade), (Contract::Inverse(Decimal::new(100, 0)), false));
    assert!(
        COIN_M.read_rules(&[&of("BTCUSD_PERP", "")], &["BTCUSD_PERP"]).is_err(),
        "worth of a contract is not guessed"
    );
    let usd = &USD_M.read_rules(&[&of("X", "")], &["X"]).unwrap()[0];
    assert_eq!((usd.contract, usd.trade), (Contract::Linear(Decimal::new(1, 0)), false));
    assert_eq!(usd.value(usd.value_min), Decimal::parse("5").unwrap());
    // Rules may be spread over several answers.
    let many =
        COIN_M.read_rules(&[&of("A", r#""contractSize":10,"#), &of("B", r#""contractSize":"100","#)], &["B", "A"]);
    assert_eq!(many.unwrap().iter().map(|i| i.symbol.as_str()).collect::<Vec<_>>(), ["B", "A"]);
}

#[test]
fn streams_of_futures_come_over_both_tiers() {
    let i = btc(&USD_M);
    let all = USD_M.connections(&USD_M.endpoints(), std::slice::from_ref(&i));
    let urls: Vec<&str> = all.iter().map(|c| c.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "wss://fstream.binance.com/public/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker",
            "wss://fstream.binance.com/market/stream?streams=btcusdt@aggTrade/btcusdt@kline_1m/btcusdt@markPrice@1s/btcusdt@forceOrder",
        ]
    );
    assert!(urls.iter().all(|url| USD_M.symbols_in(url) == ["BTCUSDT"] && BINANCE.symbols_in(url).is_empty()));
    let spot = BINANCE.connections(&BINANCE.endpoints(), &[btc(&BINANCE)]);
    assert_eq!(spot.len(), 1);
    assert!(
        spot[0].url.ends_with("/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker/btcusdt@kline_1m")
    );
}

#[test]
fn a_symbol_need_not_be_ascii() {
    // Listed on the venue's test network.
    let mut i = btc(&BINANCE);
    i.symbol = "这是测试币456".parse().unwrap();
    let url = &BINANCE.connections(&BINANCE.endpoints(), std::slice::from_ref(&i))[0].url;
    assert!(url.is_ascii() && url.contains("%E8%BF%99%E6%98%AF"), "{url}");
    let text = format!(r#"{{"e":"trade","s":"{}","t":9,"p":"1.00","q":"1","T":1,"m":true,"M":true}}"#, i.symbol);
    assert!(matches!(event(&BINANCE, &i, &text), Event::Trade(_)));
    assert_eq!(BINANCE.symbols_in(&text), [i.symbol.as_str()]);
}

#[test]
fn bars_are_asked_for_in_spans_that_one_answer_holds() {
    let ask = |market: &Binance, seconds, from, to| {
        market.bars_request(&btc(market), seconds, from, to).map(|request| request.path)
    };
    let hour = 3_600_000_000_000;
    assert_eq!(
        ask(&BINANCE, 60, 0, hour).unwrap(),
        "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=0&endTime=3599999&limit=1000"
    );
    assert!(ask(&BINANCE, 60, 0, 100 * hour).unwrap().contains("endTime=59999999&"), "1000 minutes and no more");
    assert!(ask(&COIN_M, 86_400, 0, u64::MAX).unwrap().contains(&format!("endTime={}&", 200 * 86_400_000u64 - 1)));
    assert_eq!(ask(&BINANCE, 7, 0, hour), None);
    assert!(ask(&BINANCE, 1, 0, hour).is_some() && ask(&USD_M, 1, 0, hour).is_none(), "seconds are on Spot only");
    assert!(ask(&USD_M, 60, 1, u64::MAX).unwrap().contains("startTime=1&"), "what began at 0 began before 1 ns");
}
