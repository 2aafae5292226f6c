#!/bin/sh
# Installs what is missing and says what it does. Nothing is touched that is already there.
#   setup.sh system          Rust, a C compiler, Postgres >= 15 with contrib
#   setup.sh redis           redis-server, for tests
#   setup.sh python CACHE    a private Python with duckdb, an outside reader for tests
set -eu

say() { printf '%s\n' "setup: $*" >&2; }
die() { say "$*"; exit 1; }
root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else die "needs root for: $* (no sudo here)"; fi; }

apt() {
  say "installing with apt-get: $*"
  root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 && return
  say "package lists are old; running apt-get update"
  root apt-get update >/dev/null 2>&1 || true
  root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2
}

brew_install() {
  command -v brew >/dev/null || die "Homebrew is needed to install $*: see https://brew.sh"
  say "installing with brew: $*"
  brew install "$@" >&2
}

postgres_there() {
  [ -n "${DATABASE_URL:-}" ] && return 0
  for initdb in "$(command -v initdb || true)" /usr/lib/postgresql/*/bin/initdb \
      /opt/homebrew/opt/postgresql@*/bin/initdb /usr/local/opt/postgresql@*/bin/initdb; do
    [ -x "$initdb" ] || continue
    major=$("$initdb" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    [ "$major" -ge 15 ] || continue
    # hstore is in contrib; without it the job queue cannot be set up.
    share=$("$(dirname "$initdb")/pg_config" --sharedir 2>/dev/null || echo "/usr/share/postgresql/$major")
    for dir in "$share" "/usr/share/postgresql/$major"; do [ -f "$dir/extension/hstore.control" ] && return 0; done
  done
  return 1
}

system() {
  case "$(uname -s)" in
    Linux)
      command -v apt-get >/dev/null || { postgres_there && command -v cargo >/dev/null && command -v cc >/dev/null && return; \
        die "this is not Debian; please install Rust, a C compiler and Postgres 15+ with contrib, then try again"; }
      command -v cc >/dev/null || apt build-essential
      if ! command -v cargo >/dev/null; then
        command -v curl >/dev/null || apt curl ca-certificates
        say "installing Rust for this user with rustup (~/.cargo, ~/.rustup)"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --default-toolchain none >&2
      fi
      postgres_there || apt postgresql postgresql-contrib
      ;;
    Darwin)
      xcode-select -p >/dev/null 2>&1 || die "the command line tools are missing; run: xcode-select --install"
      command -v cargo >/dev/null || brew_install rustup
      postgres_there || brew_install postgresql@15
      ;;
    *) die "only Linux and macOS are supported" ;;
  esac
  postgres_there || die "Postgres 15 or newer with contrib is still missing; install it by hand or set DATABASE_URL"
}

python() {
  venv="$1/python"
  "$venv/bin/python3" -c 'import duckdb' 2>/dev/null && return
  say "making a private Python with duckdb in $venv (an outside reader for tests)"
  if ! python3 -m venv "$venv" 2>/dev/null; then
    if [ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null; then apt python3 python3-venv; fi
    python3 -m venv "$venv" || { say "no Python venv: tests that use DuckDB will report themselves skipped"; return; }
  fi
  "$venv/bin/pip" install --quiet duckdb >&2 || say "duckdb could not be installed: its tests will report themselves skipped"
}

redis() {
  command -v redis-server >/dev/null && command -v redis-cli >/dev/null && return
  case "$(uname -s)" in
    Linux) if command -v apt-get >/dev/null; then apt redis-server redis-tools; fi ;;
    Darwin) if command -v brew >/dev/null; then brew_install redis; fi ;;
  esac
  command -v redis-server >/dev/null || say "no redis-server: its tests will report themselves skipped"
}

case "${1:-}" in
  system) system ;;
  redis) redis ;;
  python) python "$2" ;;
  *) die "usage: setup.sh system | redis | python CACHE" ;;
esac
