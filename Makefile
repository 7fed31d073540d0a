# The two commands of the README are `make demo` and `make test`; both install what they miss.

# QUICK_FLAGS leave out the libraries of the large clouds, which take most of the time of a build.
CARGO_FLAGS := --locked --all-targets
QUICK_FLAGS := $(CARGO_FLAGS) --no-default-features
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
SKY := $(CARGO_TARGET_DIR)/debug/sky
DEMO := $(CARGO_TARGET_DIR)/demo

.PHONY: demo simulate mutants test test-quick test-kubernetes lint bench setup tools servers build clean

demo: tools
	@echo "== Building sky without the libraries of the large clouds"
	@[ -x $(SKY) ] || echo "   The first time, this builds the solver HiGHS from its C++ sources, which takes some minutes."
	cargo build --locked --no-default-features --config .ci/demo.toml --bin sky
	@echo
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
	.ci/in-memory cargo test $(CARGO_FLAGS)

# All but the clouds: what changes from one minute to the next is tried with this.
test-quick: setup
	.ci/in-memory cargo test $(QUICK_FLAGS)

# A million seeds of the simulation of `apply`, built for speed. Goes on where it was ended.
simulate: setup
	SKY_SIM_PROGRESS=$(CARGO_TARGET_DIR)/simulation-progress cargo test --release --locked --no-default-features --test it \
		simulation::a_million_seeds -- --ignored --nocapture

# Takes one mending after another out of `apply`, and shows the seed of the simulation that finds it missing.
mutants: setup
	cargo test --locked --test it simulation::mutants -- --include-ignored --nocapture

# On a real Kubernetes, which is built the first time and begun here.
test-kubernetes: setup
	sh .ci/kubernetes --locked

lint: tools
	cargo fmt --check
	cargo clippy $(CARGO_FLAGS) -- -D warnings

bench: tools
	cargo bench --locked --bench plan

build: tools
	cargo build $(QUICK_FLAGS)

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
