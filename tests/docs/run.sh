#!/usr/bin/env bash
# Runs what the documents tell people to run. README.md: `make run`, then each line of its "sh tour" blocks, then the lines
# for a Kafka of one's own against a real broker. docs/*.md: each line of their "sh tour" blocks, where a line that begins
# with `tarn serve` goes on beside those behind it, at a free port instead of 8080.
set -uo pipefail
cd "$(dirname "$0")/../.."
top=$PWD
work=$(mktemp -d /tmp/tarn-docs.XXXXXX)
service=
trap 'stop_service; tests/servers/kafka.sh stop "$work/kafka" >/dev/null 2>&1; rm -rf "$work"' EXIT
export PATH=$top/build:$PATH
failed=0 at=127.0.0.1:8080

try() { # FOLDER COMMAND-LINE
  local out status
  out=$(cd "$1" && timeout 300 bash -c "$2" </dev/null 2>&1)
  status=$?
  if [ $status -eq 0 ]; then echo "ok $2"; else echo "$out" | tail -n 20; echo "not ok $2: status $status"; failed=1; fi
}

stop_service() {
  [ -z "$service" ] || { kill "$service" && wait "$service"; } 2>/dev/null
  service= at=127.0.0.1:8080
}

start_service() { # FOLDER COMMAND-LINE
  stop_service
  (cd "$1" && exec bash -c "exec $2 --listen 127.0.0.1:0") </dev/null >"$work/service.log" 2>&1 &
  service=$!
  for _ in $(seq 100); do
    at=$(sed -n 's/.*"event":"listen".*"address":"\([^"]*\)".*/\1/p' "$work/service.log")
    [ -n "$at" ] && echo "ok $2" && return
    sleep 0.1
  done
  cat "$work/service.log"
  echo "not ok $2: it does not listen" && failed=1
}

blocks() { # FILE KIND: the lines of its code blocks of that kind, without comments
  awk -v kind="\`\`\`$2" '$0 == kind {on = 1; next} /^```/ {on = 0} on' "$1" | sed 's/[[:space:]]*#.*//' | grep -v '^[[:space:]]*$'
}

# The tour is taken in a copy of the examples: the lake that somebody keeps beside the manifest stays theirs.
cp -r examples "$work/"
try "$work" "tarn demo examples/events/tarn.yaml"
while IFS= read -r line; do try "$work" "$line"; done < <(blocks README.md 'sh tour')

address=$(tests/servers/kafka.sh start "$work/kafka") || { echo "not ok a broker for README.md"; exit 1; }
awk '/^```yaml/ {on = 1; next} /^```/ {on = 0} on' README.md | sed "s/127.0.0.1:9092/$address/" >"$work/tarn.yaml"
sed -i "s/127.0.0.1:9092/$address/" "$work"/examples/telecom/*.yaml
while IFS= read -r line; do
  case $line in
  tarn*--listen*) line="timeout --preserve-status -s TERM 15 ${line/127.0.0.1:????/127.0.0.1:0}" ;;
  esac
  try "$work" "${line//127.0.0.1:9092/$address}"
done < <(blocks README.md sh | grep '^tarn ')
for file in docs/*.md; do
  stop_service
  while IFS= read -r line; do
    case $line in
    'tarn serve'*) start_service "$work" "$line" ;;
    *) try "$work" "${line//127.0.0.1:8080/$at}" ;;
    esac
  done < <(blocks "$file" 'sh tour')
done
exit $failed
