# What a person does with this checkout. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
SEEDS ?= 1000
STAMPS := build/stamps

# Everything that the extension module is made of.
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -not -path '*/fuzz/*' -o -name Cargo.toml -not -path '*/fuzz/*')

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Else maturin shows what pip finds installed, line by line.
export PIP_QUIET := 1

.PHONY: help serve build test test-rust test-python check fmt bench sim soak fuzz lock clean

help: ## List what there is
	@echo "mediaha: calls that outlive their servers"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make sim SEEDS=10000 runs that many worlds; make serve ARGS='site.toml' gives serve its arguments."

serve: build ## Build (release) into .venv and run the standalone site
	exec $(PY) -m mediaha serve $(ARGS)

build: $(STAMPS)/extension ## Build the release extension into .venv

test: $(STAMPS)/dev $(STAMPS)/extension ## Build and run everything: cargo tests, pytest, real peers
	scripts/debian-packages
	$(MAKE) --no-print-directory test-rust test-python

test-rust: ## Run the Rust tests
	cargo test --workspace --exclude mediaha-py --locked
	cargo test --manifest-path rust/fuzz/Cargo.toml --target-dir target --no-default-features --locked

test-python: $(STAMPS)/dev $(STAMPS)/extension ## Run pytest
	@# Real processes on a busy machine: what fails is run once more, by itself; what fails twice has failed.
	$(PY) -m pytest $(PYTEST_ARGS) || { \
	    echo "== some tests failed; those are run once more"; \
	    $(PY) -m pytest --last-failed --last-failed-no-failures none $(PYTEST_ARGS); }

check: $(STAMPS)/dev $(STAMPS)/extension ## Formatting, lints, types, stubs, licences, layer rules
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@command -v cargo-deny >/dev/null || { echo 'cargo-deny is missing: cargo install --locked cargo-deny' >&2; exit 1; }
	cargo deny --log-level error check bans licenses sources
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	cd python && ../$(PY) -m mypy.stubtest mediaha._core --mypy-config-file ../pyproject.toml
	$(PY) -m pytest -q tests/test_layers.py

fmt: $(STAMPS)/dev ## Format Rust and Python
	cargo fmt --all
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(STAMPS)/dev $(STAMPS)/extension ## Measure; JSON and SVG are left in build/bench
	scripts/debian-packages
	mkdir -p build/bench
	$(PY) -m pytest benches --benchmark-json=build/bench/benchmark.json -o addopts= $(PYTEST_ARGS)

sim: ## Run SEEDS seeded worlds against the failover pool
	cargo run --release --locked -q -p mediaha-sim -- --seeds $(SEEDS)

soak: $(STAMPS)/dev $(STAMPS)/extension ## Ten minutes of calls while the network loses packets; as root
	scripts/debian-packages
	$(PY) -m tests.soak $(SOAK_ARGS)

fuzz: $(STAMPS)/dev $(STAMPS)/extension ## Fuzz SIP sequences, ng control and each parser for FUZZ_SECONDS (60)
	scripts/fuzz $${FUZZ_SECONDS:-60}

lock: $(STAMPS)/dev ## Renew the Python locks
	$(VENV)/bin/uv pip compile -q pyproject.toml --group build --universal --generate-hashes \
	    --custom-compile-command "make lock" -o requirements.lock
	$(VENV)/bin/uv pip compile -q pyproject.toml --group develop --universal --generate-hashes \
	    --custom-compile-command "make lock" -o requirements-dev.lock

clean: ## Remove what was built
	rm -rf target build $(VENV)

$(VENV)/bin/python:
	@PYTHON=$(PYTHON) scripts/preflight
	$(PYTHON) -m venv $(VENV)

$(STAMPS)/run: $(VENV)/bin/python requirements.lock
	@PYTHON=$(PYTHON) scripts/preflight
	$(PY) -m pip install -q --require-hashes -r requirements.lock
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: $(STAMPS)/run requirements-dev.lock
	$(PY) -m pip install -q --require-hashes -r requirements-dev.lock
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/extension: $(STAMPS)/run pyproject.toml $(RUST_SOURCES)
	@PYTHON=$(PYTHON) scripts/preflight
	VIRTUAL_ENV=$(abspath $(VENV)) $(VENV)/bin/maturin develop --release --locked --quiet
	@mkdir -p $(STAMPS) && touch $@
