# The two commands of the README are `make demo` and `make test`; both install what they miss.

# One set of flags for every build: with others, cargo builds the solver's C++ again.
CARGO_FLAGS := --locked --all-targets
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
SKY := $(CARGO_TARGET_DIR)/debug/sky
DEMO := $(CARGO_TARGET_DIR)/demo

.PHONY: demo test lint bench setup tools servers build test-clouds test-kubernetes clean

demo: build
	@echo "== A job over three clouds, planned on the shipped catalog"
	SKY_IN_AUTOMATION=1 $(SKY) plan fixtures/bert/job.toml
	@echo
	@echo "== A small pipeline, planned in the same way, then run for real on this machine"
	rm -rf $(DEMO) && mkdir -p $(DEMO)
	SKY_IN_AUTOMATION=1 $(SKY) plan fixtures/pipeline/job.toml --out $(DEMO)/plan.json
	$(SKY) apply --provider local --source fixtures/pipeline --state-dir $(DEMO)/state $(DEMO)/plan.json
	@echo
	@echo "== Its result: $(DEMO)/state/artifacts/report/summary"
	@cat $(DEMO)/state/artifacts/report/summary

test: setup
	cargo test $(CARGO_FLAGS)

# With the providers of clouds, whose SDKs take gigabytes and minutes to build.
test-clouds: setup
	cargo test $(CARGO_FLAGS) --features aws,gcp,kubernetes

# On a real Kubernetes, which is built the first time and begun here.
test-kubernetes: setup
	sh .ci/kubernetes --locked --features aws,gcp,kubernetes

lint: tools
	cargo fmt --check
	cargo clippy $(CARGO_FLAGS) -- -D warnings

bench: tools
	cargo bench --locked --bench plan

build: tools
	cargo build $(CARGO_FLAGS)

setup: tools servers

# HiGHS is built from source: it wants cmake, a C++ compiler and libclang.
tools:
	@sh .ci/setup

# The clouds and object stores that tests talk to, and what is known of clouds' APIs.
servers:
	@sh .ci/servers
	@sh .ci/schemas

clean:
	cargo clean
