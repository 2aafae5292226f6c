//! Answers over HTTP, each given to every reader of the venue: most are an answer to another question.

use crate::feeds::{Books, check_event};
use crate::market::Market;
use domain::codec::Wire;
use domain::{Event, Instrument, Ticks};
use venues::adapter::{Adapter, Said};
use venues::wire::SymbolTable;

macro_rules! venues {
    ($($name:ident = $venue:literal),* $(,)?) => {$(
        pub(crate) fn $name(bytes: &[u8]) {
            run(Market::of($venue), &String::from_utf8_lossy(bytes));
        }
    )*};
}
venues!(
    binance = "binance",
    binance_usdm = "binance-usdm",
    binance_coinm = "binance-coinm",
    kraken = "kraken",
    coinbase = "coinbase",
    bybit = "bybit",
    bybit_linear = "bybit-linear",
    okx = "okx",
);

fn run(market: &Market, text: &str) {
    let (adapter, i) = (market.adapter, &market.instruments[0]);
    // Any number of ns is a time.
    adapter.read_time(text).ok();
    polls(market, text);
    book(market, text, i);
    bars(adapter, text, i);
    let own: Vec<&str> = market.instruments.iter().map(|i| i.symbol.as_str()).collect();
    for wanted in own.chunks(1).chain([own.as_slice()]) {
        rules(adapter, text, wanted);
    }
    for symbol in adapter.symbols_in(text).iter().take(4) {
        rules(adapter, text, &[symbol]);
    }
}

fn polls(market: &Market, text: &str) {
    let table = SymbolTable::new(market.instruments.iter().cloned());
    for poll in market.adapter.polls(&market.instruments) {
        let mut said = Vec::new();
        // What was said before the answer went wrong stands.
        market.adapter.read_poll(&poll, text, &table, &mut said).ok();
        for one in said {
            if let Said::Event(event) = one {
                check_event(&event);
            }
        }
    }
}

fn book(market: &Market, text: &str, i: &Instrument) {
    let Ok(book) = market.adapter.read_book(text, i) else { return };
    assert_eq!(book.instrument, i.id);
    Books::new(&market.instruments).event(&Event::BookSnapshot(book));
}

fn bars(adapter: &dyn Adapter, text: &str, i: &Instrument) {
    let Ok(bars) = adapter.read_bars(text, i, 60) else { return };
    assert!(bars.iter().all(|bar| bar.instrument == i.id && bar.seconds == 60));
    let open: Vec<u64> = bars.iter().map(|bar| bar.open_ns).collect();
    assert!(open.is_sorted(), "bars are told oldest first: {open:?}");
    bars.into_iter().for_each(|bar| check_event(&Event::Bar(bar)));
}

/// What is read as rules can be used as rules.
fn rules(adapter: &dyn Adapter, text: &str, wanted: &[&str]) {
    let Ok(all) = adapter.read_rules(&[text], wanted) else { return };
    assert_eq!(all.len(), wanted.len());
    for (n, i) in all.iter().enumerate() {
        assert_eq!((usize::from(i.id.0), i.version, i.venue), (n, 1, adapter.venue()));
        assert!(i.tick.units > 0 && i.lot.units > 0 && i.tick.scale <= 18 && i.lot.scale <= 18, "{i:?}");
        assert!(!i.trade || i.contract == domain::instrument::Contract::Spot, "only spot is traded: {i:?}");
        let back = Instrument::from_bytes(&i.to_bytes());
        assert_eq!(back.as_ref(), Ok(i), "the journal changes it");
        // What the engine asks of an instrument.
        for qty in [i.qty_min, i.qty_max] {
            i.qty(qty);
            i.notional(Ticks::new(1), qty);
        }
        i.value_floor(i.value(i.value_min));
    }
}
