# Two commands: `make run` and `make test`. The rest is for developers; `make help` lists it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
export CARGO_TARGET_DIR ?= $(CURDIR)/target
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/traider
PAGE  := -p traider -p traiderd -p emulator -p dashboard
HOME_FLAG := $(if $(TRAIDER_HOME),--home $(TRAIDER_HOME),)
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: help run test check bench bench-memory bench-queue soak fuzz fmt clean build research setup

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## Install what is missing, build, start the offline demo, print the dashboard's address (Ctrl-C stops all)
	@echo "building the programs (release; the first time takes minutes)"
	@cargo build --release --locked $(PAGE) -p worker -p webhook -p fanout
	@trap : INT TERM HUP; sh ops/research-behind.sh; "$(CARGO_TARGET_DIR)/release/traider" demo $(HOME_FLAG); \
	code=$$?; sh ops/research-behind.sh stop; [ $$code = 130 ] && code=0; exit $$code

test: setup ## Run every test
	@sh ops/setup.sh python "$(CACHE)"
	@sh ops/setup.sh redis
	cargo build --locked --workspace --bins --tests
	TRAIDER_PYTHON="$(CACHE)/python/bin/python3" cargo test --locked --workspace

check: ## Format, lints, unit tests of the light crates, tidy; under a minute when warm
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --workspace --lib --bins
	cargo test --locked --workspace --test tidy
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; else echo "cargo-deny is not installed: skipped"; fi

bench: ## Latency of journal, decode, book, step beside a bare serde_json parse
	cargo bench --locked --profile release-hot -p tests --bench hotpath

bench-memory: build ## Memory of the daemon while four venues talk as fast as they can, an hour's worth of messages
	cargo bench --locked --profile dev --workspace --bench memory

bench-queue: setup ## The control plane beside plain apalis: drain, pick-up, hand-over, idle cost, long history
	cargo bench --locked --profile release -p worker --bench queue

soak: setup ## The long campaigns in full: kills, crashes, seeds
	@sh ops/setup.sh python "$(CACHE)"
	@sh ops/setup.sh redis
	cargo build --locked --workspace --bins --tests
	TRAIDER_SOAK=1 TRAIDER_PYTHON="$(CACHE)/python/bin/python3" cargo test --locked --workspace --test e2e -- --nocapture
	TRAIDER_SOAK=1 cargo test --locked --workspace --test suite campaign -- --nocapture
	TRAIDER_SOAK=1 cargo test --locked --profile soak -p traiderd --test with_emulator -- simulated whatever --nocapture

fuzz: ## Every parser under libFuzzer, FUZZ_SECONDS (60) each; needs a nightly compiler
	@sh ops/fuzz.sh

build: ## Build the light programs (release)
	cargo build --release --locked $(PAGE) -p worker -p webhook -p fanout

research: ## Build the heavy research program (polars); takes a while
	@sh ops/research-behind.sh wait

fmt: ## Format everything
	cargo fmt --all

setup: ## Install what is missing (Rust, a C compiler, Postgres with contrib); says what it does
	@sh ops/setup.sh system

clean: ## Remove build outputs
	cargo clean
