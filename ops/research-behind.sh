#!/bin/sh
# Builds the research program (polars) at low priority behind everything else. While it builds, a marker holds the
# builder's pid, so that a command that needs the program waits instead of failing.
#   research-behind.sh          start in the background, unless it is up to date or being built
#   research-behind.sh wait     build now
#   research-behind.sh build    (what `start` runs)
#   research-behind.sh stop     end a background build; what was compiled is kept for the next time
set -eu
out="${CARGO_TARGET_DIR:-target}"
bin="$out/release/traider-research"
marker="$out/release/.traider-research.building"
log="$out/research-build.log"
mkdir -p "$out/release"

build() {
  trap 'rm -f "$marker"' EXIT
  nice -n 19 cargo build --locked --release -p researcher >"$log" 2>&1 && return
  echo "the research program could not be built; see $log" >&2
  exit 1
}
building() { [ -f "$marker" ] && kill -0 "$(cat "$marker")" 2>/dev/null; }
current() {
  [ -x "$bin" ] && [ -z "$(find jobs/frames jobs/lake workflows/researcher ops/settings hotpath/domain Cargo.lock Cargo.toml \
    -newer "$bin" -type f 2>/dev/null | head -n 1)" ]
}

case "${1:-start}" in
  wait) echo $$ >"$marker"; build ;;
  stop) if building; then kill -s TERM -- "-$(cat "$marker")" 2>/dev/null || true; rm -f "$marker"; fi ;;
  build) echo $$ >"$marker"; build ;;
  start)
    if building || current; then exit 0; fi
    echo "the research program (SQL, training) is being built in the background at low priority; log: $log"
    # A process group of its own, so that `stop` reaches the compilers too; perl has it on Linux and macOS alike.
    perl -e 'setpgrp(0, 0); exec @ARGV' sh "$0" build </dev/null >/dev/null 2>&1 &
    ;;
  *) echo "usage: research-behind.sh [start|wait|stop|build]" >&2; exit 2 ;;
esac
