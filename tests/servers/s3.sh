#!/usr/bin/env bash
# s3.sh start DIR | stop DIR | restart DIR: a real S3 server (SeaweedFS, all its parts in one process) on 127.0.0.1.
#
# start wipes DIR, waits until the server answers, and prints one line: ENDPOINT KEY SECRET. The same secret goes with
# KEY-2 and KEY-3, which may do the same, and with "reader", which may not write.
# restart keeps DIR's data and port, prints ENDPOINT, and starts a server that was stopped as well.
# The pid is in DIR/pid, what the server said in DIR/server.log. It has no bucket yet. stop kills: its own way to end takes
# 25 seconds, and what it acknowledged is the system's to keep. Each bucket takes seven volumes, of which none is preallocated.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

write_config() { # DIR KEY SECRET
	cat >"$1/s3.json" <<-END
		{"identities": [
		  {"name": "tarn", "credentials": [{"accessKey": "$2", "secretKey": "$3"},
		    {"accessKey": "$2-2", "secretKey": "$3"}, {"accessKey": "$2-3", "secretKey": "$3"}],
		   "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
		  {"name": "reader", "credentials": [{"accessKey": "reader", "secretKey": "$3"}], "actions": ["Read", "List"]}]}
	END
}

try_start() { # DIR PORT: 0 ready, 1 a port was taken in between
	local dir=$1 port=$2 pid end
	mkdir -p "$dir/data"
	"$DEPS/venv/bin/weed" -logtostderr=true server -dir="$dir/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
		-master.port=$((port + 1)) -master.port.grpc=$((port + 2)) -volume.port=$((port + 3)) \
		-volume.port.grpc=$((port + 4)) -filer -filer.port=$((port + 5)) -filer.port.grpc=$((port + 6)) \
		-s3 -s3.port="$port" -s3.port.grpc=$((port + 7)) -s3.config="$dir/s3.json" -master.volumeSizeLimitMB=1024 \
		-volume.max=1000 -master.telemetry=false -master.electionTimeout=1s -s3.port.iceberg=0 -s3.port.lance=0 \
		>"$dir/server.log" 2>&1 </dev/null &
	pid=$!
	disown "$pid"
	remember "$pid" "$dir"
	end=$((SECONDS + 60))
	while [ "$SECONDS" -lt "$end" ]; do
		ours "$pid" "$dir" || break
		if answers "$port"; then return 0; fi
		sleep 0.1
	done
	stop_server "$dir" KILL 10
	if grep -q 'address already in use' "$dir/server.log"; then return 1; fi
	tail -n 20 "$dir/server.log" >&2
	die "the server did not start within 60 s; see $dir/server.log"
}

# Does it answer HTTP? Without a client that Debian may lack.
answers() {
	exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
	printf 'GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
	local line
	IFS= read -r -t 2 line <&3 || true
	exec 3>&-
	[[ "$line" == HTTP/* && "$line" != *" 50"* ]]
} 2>/dev/null

start() {
	local dir=$1 port key secret
	[ -x "$DEPS/venv/bin/weed" ] || die "no SeaweedFS in .deps/: run scripts/setup.sh test"
	mkdir -p "$dir" && dir=$(cd "$dir" && pwd)
	stop_server "$dir" KILL 10
	rm -rf "${dir:?}/data"
	key=key$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
	secret=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	write_config "$dir" "$key" "$secret"
	while :; do
		port=$(free_port 7)
		if try_start "$dir" "$port"; then break; fi
	done
	echo "$port" >"$dir/port"
	echo "http://127.0.0.1:$port $key $secret"
}

restart() {
	local dir port
	dir=$(cd "$1" && pwd)
	stop_server "$dir" KILL 10
	port=$(cat "$dir/port")
	try_start "$dir" "$port" || die "a port of $port to $((port + 7)) is taken"
	echo "http://127.0.0.1:$port"
}

[ $# = 2 ] || usage
case $1 in
start) start "$2" ;;
restart) restart "$2" ;;
stop) stop_server "$2" KILL 10 ;;
*) usage ;;
esac
