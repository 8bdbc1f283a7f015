#!/usr/bin/env bash
# Runs every libFuzzer target for SECONDS_EACH (60) seconds from its corpus; new inputs go to build/fuzz/corpus.
# A crash is kept as build/fuzz/crash-*: shrink it, mend the cause, and add it to tests/fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
# DuckDB's library is not built with the sanitizers: its own start-up leaks are not ours to report.
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
cmake --preset fuzz >/dev/null
mapfile -t targets < <(cd tests/fuzz && ls fuzz_*.c | sed 's/\.c$//')
cmake --build build/fuzz --target "${targets[@]}"
for target in "${targets[@]}"; do
  corpus=build/fuzz/corpus/$target
  mkdir -p "$corpus"
  build/fuzz/tests/"$target" -max_total_time="${SECONDS_EACH:-60}" -artifact_prefix=build/fuzz/ -print_final_stats=1 \
    "$corpus" "tests/fuzz/corpus/${target#fuzz_}"
done
