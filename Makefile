# Moldau. `make` alone lists what there is; every target installs what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export PATH := $(PATH):$(HOME)/.cargo/bin
VENV := .venv
PYTHON := $(VENV)/bin/python
PROFILE ?= fast
# The tests mostly wait, so one worker more than there are cores. A file stays with one worker; 1 is without workers.
PYTEST_WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST := $(PYTHON) -m pytest $(if $(filter-out 0 1,$(PYTEST_WORKERS)),-n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder)
CARGO_TEST := cargo test --quiet --profile fast --locked -p moldau-avro -p moldau-change -p moldau-columns -p moldau-log -p moldau-server
SITE := NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict
RUST_SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements.lock tools/ensure-uv.sh tools/ensure-system.sh
	tools/ensure-system.sh
	uv=$$(tools/ensure-uv.sh) && { [ -x $(PYTHON) ] || "$$uv" venv --quiet --python '>=3.11' $(VENV); } && \
	    "$$uv" pip sync --quiet --python $(PYTHON) --require-hashes requirements.lock
	touch $@

# The extension and the package itself, editable: sources are used where they lie.
$(VENV)/.built-$(PROFILE): $(VENV)/.installed $(RUST_SOURCES) pyproject.toml
	uv=$$(tools/ensure-uv.sh) && PATH="$$(dirname "$$uv"):$$PATH" VIRTUAL_ENV=$(CURDIR)/$(VENV) \
	    $(VENV)/bin/maturin develop --quiet --uv --profile $(PROFILE) --locked
	rm -f $(VENV)/.built-* && touch $@

.PHONY: build
build: $(VENV)/.built-$(PROFILE) ## build the extension and install the package into .venv

.PHONY: demo
demo: build ## the guide's shop: PostgreSQL, change data capture, Streams, a lake; what comes out agrees to the cent
	$(VENV)/bin/moldau demo shop

.PHONY: test
test: build ## everything that must pass: Rust, Python, real clients, faults; PYTEST_WORKERS=1 for one test after the other
	tools/ensure-system.sh test
	$(CARGO_TEST)
	$(PYTEST)

.PHONY: test-long
test-long: build ## what takes minutes to hours: a hundred kills, thousands of simulated schedules
	tools/ensure-system.sh ceph
	$(PYTHON) -m pytest -m slow

.PHONY: package-test
package-test: build ## wheel and sdist, installed and used outside of the repository (minutes; part of `make test-long`)
	$(PYTHON) -m pytest -m slow tests/packaging

.PHONY: test-faults
test-faults: build ## real clients under faults for DURATION seconds (300), from SEED or a new one
	tools/ensure-system.sh test
	MOLDAU_TEST_FAULTS_DURATION_S="$(DURATION)" MOLDAU_TEST_FAULTS_SEED="$(SEED)" $(PYTHON) -m tests.fault.workloads

.PHONY: test-guide-transactions
test-guide-transactions: build ## the guide's transactional programs under KILLS (1000) times kill -9, from SEED or a new one
	$(PYTHON) -m tests.fault.guide_transactions --kills $(or $(KILLS),1000) $(if $(SEED),--seed $(SEED))

.PHONY: test-faults-connect
test-faults-connect: build ## CDC into a lake under kill -9 for DURATION seconds (300), from SEED or a new one; EXACTLY_ONCE=1 for such runs alone
	$(PYTHON) -m tests.fault.connect --duration $(or $(DURATION),300) $(if $(SEED),--seed $(SEED)) $(if $(EXACTLY_ONCE),--once)

.PHONY: suite-franz-go suite-librdkafka suite-librdkafka-consumer suite-confluent-kafka-python
suite-franz-go: build ## franz-go's own tests against a node (2 minutes; part of `make test`)
	$(PYTHON) -m tests.conformance.suites franz-go

suite-librdkafka: build ## librdkafka's own tests against a node, in full (half an hour)
	$(PYTHON) -m tests.conformance.suites librdkafka

suite-librdkafka-consumer: build ## the same with the groups of KIP-848
	$(PYTHON) -m tests.conformance.suites librdkafka --protocol consumer

suite-confluent-kafka-python: build ## confluent-kafka-python's integration tests; CHECKOUT=its repository
	$(PYTHON) -m tests.conformance.suites confluent-kafka-python --checkout "$(CHECKOUT)"

.PHONY: check
check: build ## format, lint, types, layering, tidiness, stubs against the binary, links of the docs
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) -m mypy.stubtest moldau._core --ignore-disjoint-bases
	$(PYTHON) -m pytest -q tests/test_tidy.py tests/test_docs.py
	$(SITE)

.PHONY: format
format: $(VENV)/.installed ## format every source
	cargo fmt --all
	$(VENV)/bin/ruff check --quiet --fix . || true
	$(VENV)/bin/ruff format .

.PHONY: bench
bench: ## side by side with Apache Kafka on this machine, then the micro benchmarks
	$(MAKE) build PROFILE=release
	$(PYTHON) -m bench.versus
	cargo bench --locked -p moldau-log -p moldau-server

.PHONY: docs
docs: build ## write docs/reference from the code, then the site into ./site; a broken link fails
	$(PYTHON) tools/reference.py
	$(SITE)

.PHONY: lock
lock: ## resolve the dependencies anew
	uv=$$(tools/ensure-uv.sh) && "$$uv" pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	    --upgrade --group dev pyproject.toml -o requirements.lock
	cargo update

.PHONY: clean
clean: ## remove what was built and installed
	rm -rf target $(VENV) .tools dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find python tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f python/moldau/_core*.so
