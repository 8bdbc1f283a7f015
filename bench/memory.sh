#!/usr/bin/env bash
# memory.sh [BACKEND...]: the most memory that `tarn run --once` takes while it brings a topic into a lake, for each
# backend (sqlite duckdb postgres file), beside its bound: spec.memory (256Mi) and 150 MB for the program itself.
#
# Starts a broker (and PostgreSQL) of its own and removes them. ROWS (4300000: 5 GB of payload), FOLDER (a new one below
# /tmp; it takes 4 GB for ROWS), TARN (build/tarn). Or BROKERS and TOPIC name a topic that is there.
# Ends with 1 where a bound is broken or a run does not end within PATIENCE (300) seconds; then its stacks are in FOLDER.
set -euo pipefail
cd "$(dirname "$0")/.."
TARN=${TARN:-build/tarn}
ROWS=${ROWS:-4300000}
PATIENCE=${PATIENCE:-300}
FOLDER=${FOLDER:-$(mktemp -d /tmp/tarn-memory.XXXXXX)}
chmod 755 "$FOLDER" # PostgreSQL runs as a user of its own
TOPIC=${TOPIC:-memory}
BOUND_MB=$((256 * 1048576 / 1000000 + 150))
[ $# -gt 0 ] || set -- sqlite duckdb postgres file
bad=0

finish() {
	tests/servers/kafka.sh stop "$FOLDER/kafka"
	tests/servers/postgres.sh stop "$FOLDER/postgres"
	[ "$bad" = 1 ] || rm -rf "$FOLDER"
}
trap finish EXIT
mkdir -p "$FOLDER/kafka" "$FOLDER/postgres"

if [ -z "${BROKERS:-}" ]; then
	BROKERS=$(tests/servers/kafka.sh start "$FOLDER/kafka")
	"$TARN" produce --brokers "$BROKERS" --topic "$TOPIC" --count "$ROWS" --partitions 8 \
		--property compression.type=zstd
fi

backend_of() {
	case $1 in
	postgres) echo "type: postgres, connection: \"$(tests/servers/postgres.sh start "$FOLDER/postgres")\"" ;;
	sqlite) echo "type: sqlite, path: $FOLDER/lake/catalog.sqlite" ;;
	*) echo "type: $1, path: $FOLDER/lake/lake.duckdb" ;;
	esac
}

write_manifest() { # BACKEND
	local data="  dataPath: $FOLDER/lake/data"
	[ "$1" != file ] || data=
	cat >"$FOLDER/tarn.yaml" <<-END
		apiVersion: ducklake.featherman.dev/v1alpha1
		kind: DuckLakeCatalog
		metadata: {name: memory}
		spec:
		  backend: {$(backend_of "$1")}
		$data
		---
		apiVersion: ducklake.featherman.dev/v1alpha1
		kind: DuckLakeStream
		metadata: {name: memory}
		spec:
		  table: events
		  kafka: {brokers: "$BROKERS", topic: "$TOPIC", group: "memory-$1-$$"}
		  memory: 256Mi
	END
}

run_once() { # BACKEND; prints peak bytes, seconds, CPU seconds
	.deps/venv/bin/python - "$PATIENCE" "$FOLDER/$1.log" "$TARN" run --once "$FOLDER/tarn.yaml" <<-'END'
		import os, resource, subprocess, sys, time
		patience, log, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
		started = time.monotonic()
		child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(log, "w"))
		try:
		    child.wait(patience)
		except subprocess.TimeoutExpired:
		    with open(log + ".stacks", "w") as out:
		        subprocess.run(["gdb", "-p", str(child.pid), "-batch", "-ex", "thread apply all bt"], stdout=out, stderr=out)
		    child.kill()
		    child.wait()
		usage = resource.getrusage(resource.RUSAGE_CHILDREN)
		if child.returncode:
		    sys.exit(f"tarn ended with {child.returncode}: see {log}")
		print(usage.ru_maxrss * 1024 // 1000000, f"{time.monotonic() - started:.1f} {usage.ru_utime + usage.ru_stime:.1f}")
	END
}

printf '%-10s %8s %10s %9s %7s\n' backend 'peak MB' 'bound MB' seconds CPU
for backend in "$@"; do
	rm -rf "$FOLDER/lake"
	write_manifest "$backend"
	read -r peak seconds cpu < <(run_once "$backend") || { bad=1 && continue; }
	printf '%-10s %8s %10s %9s %7s\n' "$backend" "$peak" "$BOUND_MB" "$seconds" "$cpu"
	[ "$peak" -le "$BOUND_MB" ] || bad=1
	"$TARN" verify "$FOLDER/tarn.yaml" >"$FOLDER/$backend.verify" || bad=1
done
rm -rf "$FOLDER/lake"
exit $bad
