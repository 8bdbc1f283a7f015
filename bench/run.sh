#!/usr/bin/env bash
# run.sh: Tarn beside its parts and beside a Python consumer, on a real broker; docs/benchmarks.md explains the tables.
#
# Starts a broker of its own and removes it and its data. ROWS (2000000), RUNS (5), PEERS ("defaults snappy zstd tarn": the
# settings of peer.py), TARN (build/tarn). What each run measured stays in build/bench.jsonl.
set -euo pipefail
cd "$(dirname "$0")/.."
TARN=${TARN:-build/tarn}
ROWS=${ROWS:-2000000}
RUNS=${RUNS:-5}
PEERS=${PEERS-defaults snappy zstd tarn}
folder=$(mktemp -d /tmp/tarn-bench.XXXXXX)
results=build/bench.jsonl

finish() {
	tests/servers/kafka.sh stop "$folder/kafka"
	rm -rf "$folder"
}
trap finish EXIT
mkdir -p "$folder/kafka"
brokers=$(tests/servers/kafka.sh start "$folder/kafka")
"$TARN" produce --brokers "$brokers" --topic bench --count "$ROWS" --partitions 8 --property compression.type=zstd \
	--log-level error >/dev/null

: >"$results"
for ((run = 1; run <= RUNS; run++)); do
	echo "run $run of $RUNS" >&2
	"$TARN" bench --brokers "$brokers" --topic bench --runs 1 --format json >>"$results"
	for settings in $PEERS; do
		rm -rf "$folder/lake" && mkdir "$folder/lake"
		.deps/venv/bin/python bench/peer.py "$brokers" bench "$ROWS" "$folder/lake" "$settings" >>"$results"
	done
done
.deps/venv/bin/python bench/report.py "$results"
