# The everyday commands. `make` alone lists them.
#
# Everything here can be typed by hand too: the recipes are the documentation of how.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Cargo uses all cores itself; two recipes side by side would only wait for its lock.
.NOTPARALLEL:

PYTHON ?= python3
# What `make build` and `make bench` build in: libav (decoding with the system's libavcodec), usb (USB cameras).
FEATURES ?=
# How long `make demo` runs; empty: until Ctrl-C.
SECONDS :=
# Where cargo puts what it builds, if its own variable says something else than ./target.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

# `make SECONDS=60 demo` would also set bash's own variable of that name, which counts.
unexport SECONDS
# `cross`, for those who prefer it to .ci/arm64, looks for Cross.toml unless told otherwise.
export CROSS_CONFIG := cross.toml

# $(call step,2/5,what happens now)
step = @printf '\n==> [%s] %s\n' '$(1)' '$(2)'

.PHONY: help
help: ## this list
	@echo "Porchlight: make TARGET"
	@echo
	@sed -nE 's/^([a-z0-9]+):.*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

.PHONY: setup
setup: ## install what building and testing needs: packages, networks, test clips (.ci/setup)
	.ci/setup

.PHONY: build
build: ## the optimised program, target/release/porchlight; FEATURES=libav,usb is the packaged one (.ci/setup has what it needs)
	$(call step,1/1,building the optimised program (some minutes the first time))
	cargo build --release --locked --features "$(FEATURES)"
	@echo "built $(TARGET_DIR)/release/porchlight"

.PHONY: demo
demo: ## a simulated camera, the agent and a receiver, live; SECONDS=60 ends it by itself
	$(call step,1/3,installing what is missing)
	.ci/setup
	$(call step,2/3,building the optimised program (some minutes the first time))
	cargo build --release --locked
	$(call step,3/3,camera -> agent -> signed webhook)
	$(PYTHON) tests/demo/demo.py --binary $(TARGET_DIR)/release/porchlight $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: check
check: ## what review would complain about: format, lints, documentation, requirements without a test
	$(call step,1/4,format)
	cargo fmt --all --check
	$(call step,2/4,lints)
	cargo clippy --locked --workspace --exclude porchlight-vaapi --all-targets -- --deny warnings
	cargo clippy --locked --all-targets --features libav,usb -- --deny warnings
	$(call step,3/4,documentation)
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --exclude porchlight-vaapi --no-deps --document-private-items
	$(call step,4/4,requirements of the webhook guides without a test)
	@tests/rows/table --missing --check

.PHONY: test
test: ## all tests, with real networks, simulated cameras and real receivers
	$(call step,1/5,installing what is missing)
	.ci/setup
	$(call step,2/5,Rust: unit and integration tests)
	cargo test --locked --workspace --exclude porchlight-vaapi
	cargo test --locked --features libav,usb --lib -- decode usb
	cargo test --locked --features libav,usb --test capture -- codecs damage file libav
	$(call step,3/5,objects and faces against independent decoders)
	tests/reference/check $(TARGET_DIR)/debug/porchlight
	$(call step,4/5,systemd unit)
	systemd/check
	$(call step,5/5,Python: what the demo decides by)
	$(PYTHON) -B -m unittest discover --start-directory tests/demo

.PHONY: soak
soak: ## broken cameras for SOAK_SECONDS (300): memory and descriptors must not grow
	$(call step,1/1,broken cameras; a minute is as many attempts as an hour of the agent)
	SOAK_SECONDS=$${SOAK_SECONDS:-300} cargo test --locked --test capture soak -- --ignored --nocapture

.PHONY: fuzz
fuzz: ## the parsers of camera bytes, FUZZ_SECONDS (60) each (a nightly toolchain)
	tests/fuzz/run $${FUZZ_SECONDS:-60}

.PHONY: usb
usb: ## a USB camera, pulled out and plugged in, in a virtual machine (libclang-dev qemu-system-x86 busybox-static cpio)
	$(call step,1/2,building the tests (as `make test` does))
	cargo test --locked --features libav,usb --test capture --no-run
	$(call step,2/2,booting a machine with a camera (half a minute))
	tests/vm/run "$$(cargo test --locked --features libav,usb --test capture --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$$/\1/p')" usb --ignored

.PHONY: rows
rows: ## the webhook guides' requirements and the tests that prove them
	@tests/rows/table

.PHONY: bench
bench: ## what a minute of video costs, quiet and busy, and what the store and delivery do; FEATURES=libav as in build
	$(call step,1/7,installing what is missing)
	.ci/setup
	$(call step,2/7,building the optimised program (some minutes the first time))
	cargo build --release --locked --features "$(FEATURES)"
	$(call step,3/7,the store: events and messages a second)
	cargo bench --locked --features "$(FEATURES)" --bench store
	$(call step,4/7,delivery: messages a second (on a slow disk and with a long queue too))
	cargo bench --locked --features "$(FEATURES)" --bench delivery
	$(call step,5/7,the pipeline: replaying the test clips)
	$(PYTHON) benches/replay.py --binary $(TARGET_DIR)/release/porchlight
	$(call step,6/7,quiet cameras beside ffmpeg)
	$(PYTHON) benches/idle.py --binary $(TARGET_DIR)/release/porchlight
	$(call step,7/7,how soon a stranger is told of)
	$(PYTHON) benches/doorbell.py --binary $(TARGET_DIR)/release/porchlight

.PHONY: arm64
arm64: ## for the 64-bit Raspberry Pi, compared with the native program under emulation (.ci/arm64); FEATURES=usb
	FEATURES="$(FEATURES)" .ci/arm64

.PHONY: cross
cross: ## the same with `cross` and containers, without the comparison
	@command -v cross >/dev/null || { echo "make cross: there is no \`cross\`; cargo install cross, or make arm64" >&2; exit 1; }
	cross build --release --locked

.PHONY: clean
clean: ## delete what was built; networks and clips stay
	cargo clean
