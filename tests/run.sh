#!/usr/bin/env bash
# Runs every suite and ends with "N passed, N failed[, N skipped]". A suite prints one line a test: "ok NAME",
# "not ok NAME: why" or "skip NAME: reason"; a suite that fails without such a line counts as one failure.
# TARN_TEST_LONG=1: long tests in full, instead of a seeded sample (TARN_TEST_SEED, default 1).
# Arguments: names of suites, to run only those.
set -uo pipefail
cd "$(dirname "$0")/.."
export TARN_TEST_LONG=${TARN_TEST_LONG:-} TARN_TEST_SEED=${TARN_TEST_SEED:-1}
logs=build/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
wanted=("$@")

# suite NAME COMMAND...: its log, and what to say of it, in $logs/NAME.told, with the counts as the last line
suite() {
  local name=$1 log=$logs/$1.log told=$logs/$1.told status ok bad skip started=$SECONDS
  shift
  if [ ${#wanted[@]} -gt 0 ] && [[ ! " ${wanted[*]} " == *" $name "* ]]; then return; fi
  printf 'not ok %s: it did not come to its end\n0 1 0\n' "$name" >"$told"
  "$@" >"$log" 2>&1 </dev/null
  status=$?
  ok=$(grep -c '^ok ' "$log") bad=$(grep -c '^not ok ' "$log") skip=$(grep -c '^skip ' "$log")
  {
    echo "== $name"
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then
      bad=1
      echo "not ok $name: ended with status $status"
      tail -n 40 "$log"
    elif [ "$bad" -gt 0 ]; then
      grep -B 12 '^not ok ' "$log" | tail -n 200
    fi
    grep '^skip ' "$log"
    if [ $((ok + bad + skip)) -eq 0 ]; then bad=1; echo "not ok $name: no test ran"; fi
    echo "   $ok passed, $bad failed, $skip skipped in $((SECONDS - started)) s"
    echo "$ok $bad $skip"
  } >"$told.part"
  sed '$d' "$told.part"
  mv "$told.part" "$told"
}

build() { # PRESET FOLDER
  { [ -f "$2/build.ninja" ] || cmake --preset "$1"; } && cmake --build "$2"
}

# unit FOLDER: every unit test and every corpus of the fuzz targets. Some wait for long (test_wire_*): three at once.
unit() {
  local folder=$1 status=0 program
  printf '%s\0' "$folder"/tests/test_* | sort -zr | xargs -0 -P 3 -n 1 tests/unit.sh || status=1
  for program in "$folder"/tests/fuzz_*; do
    local corpus=tests/fuzz/corpus/${program##*/fuzz_}
    if "$program" "$corpus"; then echo "ok replay of $corpus"; else echo "not ok replay of $corpus: status $?"; status=1; fi
  done
  return $status
}

for preset in release asan; do
  folder=build
  [ $preset = release ] || folder=build/$preset
  if ! build $preset $folder >"$logs/build-$preset.log" 2>&1; then
    tail -n 60 "$logs/build-$preset.log"
    echo "not ok build of $preset"
    echo "0 passed, 1 failed"
    exit 1
  fi
done

# DuckDB's library is not built with the sanitizers: its own start-up leaks are not ours to report.
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0 UBSAN_OPTIONS=print_stacktrace=1
# TSan, where it can be: librdkafka starts its threads by C11's thrd_create, which gcc's TSan does not follow.
tsan() {
  local tests=(test_stream_queue test_wire_memory test_batch test_batch_slice test_base) status=0 test
  { cmake --preset tsan && cmake --build build/tsan --target "${tests[@]}"; } >"$logs/build-tsan.log" 2>&1 || return 1
  for test in "${tests[@]}"; do build/tsan/tests/"$test" || status=1; done
  return $status
}
# The sources of the program and its fuzz targets by clang; in the long form a minute of each target.
fuzz() {
  cmake --preset fuzz >/dev/null && .deps/venv/bin/python tests/fuzz/clang.py build/fuzz || return 1
  [ -n "$TARN_TEST_LONG" ] || return 0
  if scripts/fuzz.sh; then echo "ok a minute of each fuzz target"; else echo "not ok a minute of each fuzz target"; return 1; fi
}
pytest=(.deps/venv/bin/python -m pytest -q -p no:cacheprovider)
# They wait for processes and servers more than they compute: two at once, each with servers of its own.
two=(-n 2 --dist worksteal)

# Two queues side by side, for the same reason: what computes, and what waits.
computing() {
  suite unit unit build
  suite unit-asan unit build/asan
  suite tsan tsan
  suite fuzz fuzz
  suite race tests/race/run.sh ${TARN_TEST_LONG:+--long}
  suite web "${pytest[@]}" tests/web
  suite escapes "${pytest[@]}" tests/escapes
  suite docs tests/docs/run.sh
  suite scenario "${pytest[@]}" "${two[@]}" tests/scenario
  suite real-asan env TARN_BIN="$PWD/build/asan/tarn" "${pytest[@]}" tests/real/test_smoke.py ${TARN_TEST_LONG:+tests/real/test_operation.py}
}
waiting() {
  suite interop "${pytest[@]}" "${two[@]}" tests/interop
  suite real "${pytest[@]}" "${two[@]}" tests/real
}
rm -f "$logs"/*.told
computing &
waiting
wait

for told in "$logs"/*.told; do
  [ -e "$told" ] || continue
  read -r ok bad skip < <(tail -n 1 "$told")
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done

if [ "$skipped" -gt 0 ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
