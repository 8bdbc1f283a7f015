#!/usr/bin/env bash
# Runs what the documents tell people to run. README.md: `make run`, then each line of its "sh tour" blocks, then the lines
# for a Kafka of one's own against a real broker. docs/*.md: each line of their "sh tour" blocks.
set -uo pipefail
cd "$(dirname "$0")/../.."
top=$PWD
work=$(mktemp -d /tmp/tarn-docs.XXXXXX)
trap 'tests/servers/kafka.sh stop "$work/kafka" >/dev/null 2>&1; rm -rf "$work"' EXIT
export PATH=$top/build:$PATH
failed=0

try() { # FOLDER COMMAND-LINE
  local out status
  out=$(cd "$1" && timeout 300 bash -c "$2" </dev/null 2>&1)
  status=$?
  if [ $status -eq 0 ]; then echo "ok $2"; else echo "$out" | tail -n 20; echo "not ok $2: status $status"; failed=1; fi
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
  tarn*--listen*) line="timeout --preserve-status -s TERM 15 ${line/127.0.0.1:9464/127.0.0.1:0}" ;;
  esac
  try "$work" "${line//127.0.0.1:9092/$address}"
done < <(blocks README.md sh | grep '^tarn ')
for file in docs/*.md; do
  while IFS= read -r line; do try "$work" "$line"; done < <(blocks "$file" 'sh tour')
done
exit $failed
