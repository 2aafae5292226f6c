#!/bin/sh
# Fuzzes every parser with libFuzzer: builds `tests/fuzz/long` with a nightly compiler, writes the corpus, runs each target.
#   FUZZ_SECONDS=60      how long each
#   FUZZ_TARGETS="a b"   these only
# Inputs that a target fails on are kept in `tests/fuzz/artifacts`; the corpus grows in the target folder.
set -eu

say() { printf '%s\n' "fuzz: $*" >&2; }
die() { say "$*"; exit 1; }

seconds="${FUZZ_SECONDS:-60}"
out="${CARGO_TARGET_DIR:-$PWD/target}"
corpus="$out/fuzz-corpus"
kept="$PWD/tests/fuzz/artifacts"

cargo +nightly --version >/dev/null 2>&1 ||
  die "needs a nightly compiler, which nothing else here does; install it with: rustup toolchain install nightly --profile minimal"
host=$(rustc -vV | sed -n 's/^host: //p')

say "building the corpus"
cargo build --locked -p fuzz
mkdir -p "$kept"
all=$(TRAIDER_SHARED_DATA="${TRAIDER_SHARED_DATA:-$PWD/../shared/data}" "$out/debug/fuzz" seeds "$corpus")

say "building the targets with the nightly compiler (the first time takes minutes)"
# What makes the compiler tell libFuzzer which code was reached and what was compared; nothing of it needs a newer flag.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags="$flags -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags="$flags -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0"
(cd tests/fuzz/long && RUSTFLAGS="$flags -Ccodegen-units=16" CARGO_TARGET_DIR="$out/long" \
  cargo +nightly build --release --locked --target "$host")
program="$out/long/$host/release/long"

failed=""
printf '%-22s %8s %12s %7s\n' target seconds executions covered
for target in ${FUZZ_TARGETS:-$all}; do
  log="$corpus/$target.log"
  if FUZZ_TARGET="$target" "$program" "$corpus/$target" -max_total_time="$seconds" -max_len=32768 -timeout=20 \
      -dict="$corpus/dictionary" -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$kept/$target-" >"$log" 2>&1; then
    ended=""
  else
    ended="FAILED, see $log"
    failed="$failed $target"
  fi
  ran=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  printf '%-22s %8s %12s %7s %s\n' "$target" "$seconds" "${ran:-?}" "${covered:-?}" "$ended"
done
[ -z "$failed" ] || die "inputs that fail are in $kept; run one again with: cargo run -p fuzz -- repeat TARGET FILE"
