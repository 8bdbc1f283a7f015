# Tarn: two commands are enough. `make run` sets everything up and runs the main job; `make test` sets everything up and
# runs the tests. The rest is for people who work on it (CONTRIBUTING.md).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-test build debug asan tsan run test test-long bench lint format fuzz clean

SOURCES = $(shell git ls-files 'src/*.c' 'src/*.h' 'tests/*.c' 'tests/*.h' 2>/dev/null)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: ## install what the build needs (compilers too), pinned, into .deps
	@scripts/setup.sh build

setup-test: ## the same for the tests: a Kafka broker, PostgreSQL, promtool, Python clients, clang
	@scripts/setup.sh test

build: setup ## build/tarn
	@[ -f build/build.ninja ] || cmake --preset release >build.log 2>&1 || { cat build.log; exit 1; }
	@mkdir -p build && { [ ! -f build.log ] || mv -f build.log build/configure.log; }
	@cmake --build build --target tarn

run: build ## the main job on the embedded default: 660,000 events into a lake, checked
	@build/tarn demo examples/events/tarn.yaml

debug asan tsan: setup ## build/debug, build/asan, build/tsan
	@cmake --preset $@ >/dev/null && cmake --build --preset $@ 2>/dev/null || cmake --build build/$@

test: setup-test ## every test, long ones as a seeded sample; under 30 minutes
	@tests/run.sh

test-long: setup-test ## every test in full
	@TARN_TEST_LONG=1 tests/run.sh

bench: build setup-test ## ratios to the ceilings and to a Python consumer, on a real broker
	@bench/run.sh

lint: setup-test ## format, static analysis, shell scripts, the house rules
	@scripts/lint.sh

format: setup-test ## rewrite the sources in the project's format
	@clang-format-14 -i $(SOURCES)

fuzz: setup-test ## a minute of libFuzzer per target (SECONDS_EACH=60)
	@scripts/fuzz.sh

clean: ## remove what was built; .deps stays
	@rm -rf build
