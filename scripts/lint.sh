#!/usr/bin/env bash
# Format, static analysis, shell scripts, and the rules of the house that a compiler does not see.
# QUICK=1 leaves out the static analysis (minutes).
set -uo pipefail
cd "$(dirname "$0")/.."
bad=0
say() { echo "lint: $*"; bad=1; }

mapfile -t sources < <(git ls-files 'src/*.c' 'src/*.h' 'tests/*.c' 'tests/*.h')
clang-format-14 --dry-run -Werror "${sources[@]}" 2>build/format.log || say "format: run 'make format' ($(grep -c 'clang-format-violations' build/format.log || true) places)"

# Each foreign library is seen by few files, of one folder (ARCHITECTURE.md).
only() { # HEADER PATTERN-OF-FILES
  local hits
  hits=$(git grep -lE "#include [<\"]$1" -- src | grep -vE "$2")
  [ -z "$hits" ] || say "$1 may be included only in $2, and is in: $hits"
}
only 'duckdb\.h' '^src/lake/duck'
only 'openssl' '^src/base/hash'
only 'rdkafka' '^src/wire/'
only 'nanoarrow' '^src/batch/'
only 'simdutf' '^src/batch/utf8'
only 'yaml\.h' '^src/spec/yaml'
only 'microhttpd' '^src/serve/http'
only 'gnutls' '^src/serve/http_tls'
only 'yyjson' '^src/(batch/json|query/(tree|write_json)|score/model_json|pool/|serve/)'
only 'seccomp' '^src/pool/sandbox'
only 'curl/' '^src/serve/fetch'
only 'sqlite3' '^src/lake/version'
only 'libpq' '^src/lake/version'
only 'z(lib|std)\.h' '^src/(serve/encode|batch/codec)'
only 'xgboost' '^src/score/xgboost\.c'

hits=$(git grep -nE 'OWNED_BUFFER struct buffer [^={]*;' -- 'src/*.c')
[ -z "$hits" ] || say "an owned buffer without = {0} is released uninitialised by an early return: $hits"

# Functions that this project does not use: unbounded, or not safe between threads.
hits=$(git grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|asctime|ctime|localtime|gmtime|rand)\(' -- 'src/*.c')
[ -z "$hits" ] || say "banned functions: $hits"
hits=$(git grep -nE '\b(abort|exit)\(' -- 'src/*.c' | grep -vE '^src/(main|base/log|stream/stream|cli/)')
[ -z "$hits" ] || say "only main ends the program: $hits"

for file in $(git ls-files 'src/*.c' 'src/*.h'); do
  lines=$(wc -l <"$file")
  [ "$lines" -le 600 ] || say "$file has $lines lines: does it still do one thing?"
done
for script in $(git ls-files 'scripts/*.sh' 'tests/*.sh' 'bench/*.sh' .ci/run); do
  bash -n "$script" || say "$script does not parse"
done
if [ -z "${QUICK:-}" ]; then
  cmake --preset release >/dev/null || exit 1
  git ls-files 'src/*.c' | xargs -P "$(nproc)" -n 4 clang-tidy-14 -quiet -p build >build/tidy.log 2>/dev/null || {
    grep -E 'error:' build/tidy.log | sort -u | head -40
    say "clang-tidy (build/tidy.log)"
  }
fi
[ $bad -eq 0 ] && echo "lint: clean"
exit $bad
