//! Every target over its corpus, then over mutations of it drawn from one seed. `FUZZ_SEED` draws others, `FUZZ_ROUNDS` how
//! many. A failure leaves its input in a file and says how to run it again.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic like the tests themselves")]

use fuzz::mutate::{Draw, mutate};
use fuzz::{TARGETS, Target, target};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Mutations of the cheapest targets.
const ROUNDS: u64 = 2000;

fn number(variable: &str, otherwise: u64) -> u64 {
    let told = std::env::var(variable).ok();
    told.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable}=`{text}` is no number")))
}

fn survives(name: &str) {
    let target = target(name).unwrap();
    let (seed, rounds) = (number("FUZZ_SEED", 7041), number("FUZZ_ROUNDS", ROUNDS) / u64::from(target.cost));
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{name} has nothing to start from");
    for (n, input) in seeds.iter().enumerate() {
        check(target, input, &format!("its seed {n}"));
    }
    for round in 0..rounds {
        // Each by itself, so that one can be drawn again alone.
        let input = mutate(&mut Draw::new(seed ^ (round << 32)), &seeds);
        check(target, &input, &format!("round {round} of FUZZ_SEED={seed}"));
    }
}

fn check(target: &Target, input: &[u8], which: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_ok() {
        return;
    }
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(format!("{}.input", target.name));
    std::fs::write(&path, input).unwrap();
    let shown: String = String::from_utf8_lossy(input).chars().take(400).collect();
    panic!(
        "{} failed on {which}; again with: cargo run -p fuzz -- repeat {0} {}\nit begins: {shown:?}",
        target.name,
        path.display()
    );
}

/// Examples by hand alone bring every venue's books to life: else the targets would look at errors only.
#[test]
fn seeds_reach_what_they_are_for() {
    for adapter in venues::adapter::adapters() {
        let name = adapter.venue().to_string();
        let (events, live) = fuzz::reach(&name, &fuzz::corpus::feed(&name));
        assert!(events > 4 && live > 0, "{name}: {events} events, {live} with a live book");
    }
}

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            survives(stringify!($name));
        })*

        #[test]
        fn every_target_is_run_here() {
            let run = [$(stringify!($name)),*];
            assert_eq!(TARGETS.iter().map(|t| t.name).collect::<Vec<_>>(), run);
        }
    };
}

tests! {
    feed_binance feed_binance_usdm feed_binance_coinm feed_kraken feed_coinbase feed_bybit feed_bybit_linear feed_okx
    answers_binance answers_binance_usdm answers_binance_coinm answers_kraken answers_coinbase answers_bybit
    answers_bybit_linear answers_okx
    binance_user numbers wire_numbers codec journal journal_folder limiter recording tape
    redis_reply watched webhook jobs workflow settings
}
