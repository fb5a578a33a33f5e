# The workshop. `make check` is the whole gate and what CI runs; every other word here is a part of it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
# What is installed or built for tests lives here, keyed by version, outside the checkout.
export OTEL_AGENT_CACHE ?= $(HOME)/.cache/otel-agent
FUZZ_SECONDS ?= 5

.PHONY: help check quick test e2e fuzz bench bench-prometheus bench-journal docs fmt lint deny layers release image demo

help: ## list these words
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

check: quick ## everything a change must pass: quick checks first, real peers last
	@# Peers are installed meanwhile: what is linked at last keeps one processor busy, not all.
	@set -m; e2e/run.sh --install & peers=$$!; trap 'kill -- -$$peers 2>/dev/null' EXIT; \
	scripts/deny.sh && fuzz/run.sh $(FUZZ_SECONDS) && scripts/release.sh >/dev/null && wait $$peers
	e2e/run.sh
	@echo "make check: everything passed"

quick: fmt lint test ## format, lints as errors, all tests of the workspace, documentation

fmt: ## formatting is as rustfmt.toml says
	$(CARGO) fmt --all --check

lint: ## clippy with warnings as errors, and rustdoc
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

test: ## unit, property, integration and golden tests
	$(CARGO) test --workspace --locked

deny: ## licences, bans, sources and advisories of the dependencies
	scripts/deny.sh

fuzz: ## build every fuzz target and run each for FUZZ_SECONDS seconds
	fuzz/run.sh $(FUZZ_SECONDS)

release: ## the release binary, static, and its bill of materials; the lines that are printed say where they are
	scripts/release.sh
	scripts/sbom.sh

image: ## the image without an engine: target/image has its root and an OCI archive
	binary=$$(scripts/release.sh) && deploy/image/build.py --binary "$$binary" --out target/image

e2e: ## real SDKs, a real FastAPI application and the Go Collector against the release binary
	e2e/run.sh

bench: ## codec figures, then the whole agent under load; raw output goes to bench/runs
	bench/run.sh

bench-prometheus: ## the exporter prometheus beside the Go Collector's: a scrape of 100 000 series, and accepting meanwhile
	bench/prometheus.sh

bench-journal: ## what the journal costs, by fsync, beside the Go Collector's file_storage
	bench/journal.sh

docs: ## write the reference pages from the code
	UPDATE_DOCS=1 $(CARGO) test --workspace --locked --quiet reference

demo: ## the agent, a backend and an application on loopback
	$(CARGO) run --release --locked -- demo
