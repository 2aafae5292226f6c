//! Fuzz targets for every parser: each takes any bytes, and fails by a panic when a parser panics or when what it says
//! contradicts itself.
//!
//! * [`TARGETS`] what there is; each module holds some of them
//! * [`corpus`] what mutations start from: recorded data where it is there, and examples by hand
//! * [`mutate`] how inputs are spoiled where no fuzzer guides them
//!
//! `tests/fuzz.rs` runs all of them with every `cargo test`: the corpus and some thousand mutations drawn from one seed.
//! `make fuzz` gives them to libFuzzer (`long/`, outside of the workspace), which looks at the code it reaches.
//!
//! **Absent on purpose:** what a target finds is fixed where it is and kept there as a named test.
#![warn(missing_docs)]

mod answers;
pub mod corpus;
mod feeds;
mod files;
mod market;
pub mod mutate;
mod numbers;
mod private;
mod records;
mod words;

pub use feeds::reach;

/// A parser under any input.
#[derive(Debug)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Reads the bytes and panics when something is wrong with the parser, whatever is wrong with the bytes.
    pub run: fn(&[u8]),
    /// What its mutations start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// One run costs so many times that of a frame; the test runs it so much less often.
    pub cost: u32,
}

macro_rules! targets {
    ($($name:ident($module:ident, $run:ident, $seeds:expr, $cost:literal);)*) => {
        &[$(Target { name: stringify!($name), run: $module::$run, seeds: $seeds, cost: $cost }),*]
    };
}

/// All of them.
pub const TARGETS: &[Target] = targets! {
    feed_binance(feeds, binance, || corpus::feed("binance"), 1);
    feed_binance_usdm(feeds, binance_usdm, || corpus::feed("binance-usdm"), 1);
    feed_binance_coinm(feeds, binance_coinm, || corpus::feed("binance-coinm"), 1);
    feed_kraken(feeds, kraken, || corpus::feed("kraken"), 1);
    feed_coinbase(feeds, coinbase, || corpus::feed("coinbase"), 1);
    feed_bybit(feeds, bybit, || corpus::feed("bybit"), 1);
    feed_bybit_linear(feeds, bybit_linear, || corpus::feed("bybit-linear"), 1);
    feed_okx(feeds, okx, || corpus::feed("okx"), 1);
    answers_binance(answers, binance, || corpus::answers("binance"), 1);
    answers_binance_usdm(answers, binance_usdm, || corpus::answers("binance-usdm"), 1);
    answers_binance_coinm(answers, binance_coinm, || corpus::answers("binance-coinm"), 1);
    answers_kraken(answers, kraken, || corpus::answers("kraken"), 1);
    answers_coinbase(answers, coinbase, || corpus::answers("coinbase"), 1);
    answers_bybit(answers, bybit, || corpus::answers("bybit"), 1);
    answers_bybit_linear(answers, bybit_linear, || corpus::answers("bybit-linear"), 1);
    answers_okx(answers, okx, || corpus::answers("okx"), 1);
    binance_user(private, user, private::seeds, 1);
    numbers(numbers, numbers, numbers::seeds, 1);
    wire_numbers(numbers, wire, numbers::wire_seeds, 1);
    codec(records, codec, records::codec_seeds, 1);
    journal(records, journal, records::journal_seeds, 4);
    journal_folder(records, folder, records::journal_seeds, 8);
    limiter(files, limiter, files::limiter_seeds, 1);
    recording(files, recording, files::recording_seeds, 16);
    tape(files, tape, files::tape_seeds, 16);
    redis_reply(words, redis, words::redis_seeds, 1);
    watched(words, watched, words::watched_seeds, 1);
    webhook(words, webhook, words::webhook_seeds, 1);
    jobs(words, jobs, words::job_seeds, 1);
    workflow(words, workflow, words::workflow_seeds, 24);
    settings(words, settings, words::settings_seeds, 48);
};

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
