# sqlx checks the queries against .sqlx/; no build needs a database.
export SQLX_OFFLINE := true
# Most end-to-end tests wait for other programs, so more of them than cores run at a time.
export RUST_TEST_THREADS ?= 4

.NOTPARALLEL:
.PHONY: help dist dist-try deploy manifests demo bench interop conformance gateway-clients model test check lint deps fmt features deny units rules clippy sqlx-check doc fuzz sqlx package docs

help: ## list the targets
	@awk -F ': *[^#]*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' Makefile

demo: deps ## mirror real images between two registries on this machine, and prove that both sides agree
	@demo/run

bench: ## measure transship, and other tools that are installed; bench/README.md says what
	@bench/run

interop: deps ## mirror between the real registries on the PATH, and read the copies with real clients
	@scripts/interop

conformance: deps ## ask the gateway what the distribution specification's conformance suite asks (needs Go)
	@scripts/conformance

gateway-clients: deps ## pull through the gateway with the real clients on the PATH
	@scripts/gateway-clients

test: deps ## install the Debian packages that are missing, then run the tests
	cargo test --locked --workspace

model: deps ## compare random months of mirrors with a model, from a new beginning; each failure names its seed
	TRANSSHIP_MODEL_SEED=$${TRANSSHIP_MODEL_SEED:-$$(date +%s)} TRANSSHIP_MODEL_SEEDS=$${TRANSSHIP_MODEL_SEEDS:-20} \
	TRANSSHIP_MODEL_STEPS=$${TRANSSHIP_MODEL_STEPS:-300} \
	cargo test --locked --test e2e months:: -- --nocapture

check: test lint ## all that CI runs: the tests, then everything else

lint: deps fmt features units rules deploy clippy sqlx-check doc deny ## all that CI runs beside the tests

deps: ## install the Debian packages that are missing
	@scripts/deps

fmt: ## formatting
	cargo fmt --all --check

features: ## no HTTP feature that breaks digests or parallel transfers
	@scripts/check-features

deny: ## licences, banned crates, sources, advisories
	@scripts/deny

units: ## systemd's own verdict on the units
	@scripts/check-units

rules: ## alerts fire and clear; the dashboard is well formed
	@scripts/check-rules
	@scripts/check-dashboard

deploy: ## compose file, Helm chart and manifests are well formed, and of this version
	@scripts/check-deploy

manifests: ## write deploy/kubernetes/ from the chart (needs helm)
	@scripts/check-deploy --write

clippy: ## lints
	cargo clippy --locked --workspace --all-targets -- -D warnings

sqlx-check: ## .sqlx/ matches queries and migrations
	@scripts/sqlx-prepare --check

doc: ## documentation builds without a warning
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

docs: ## build the book of docs/ into target/book (installs mdbook into target/tools once)
	@scripts/mdbook

fuzz: ## try each parser of what others say for ten minutes, from a new beginning
	TRANSSHIP_FUZZ_SECONDS=$${TRANSSHIP_FUZZ_SECONDS:-600} cargo test --locked --workspace --lib fuzz:: -- --nocapture

sqlx: ## write .sqlx/ anew after a change of a query or a migration
	@scripts/sqlx-prepare

package: ## a Debian package in target/debian/
	@scripts/package

dist: ## everything of a release in target/dist/: static binaries, packages, image, chart, list of components, checksums
	@scripts/dist/build

dist-try: ## install each file of target/dist/ into an empty root and mirror there (Debian or Ubuntu, as root)
	@scripts/dist/try
