#!/usr/bin/env bash
# postgres.sh start DIR | stop DIR | restart DIR: a real PostgreSQL 15 for tests, on 127.0.0.1 and a socket in DIR.
#
# start wipes DIR, waits until the server answers, and prints one line, a libpq connection string:
#   host=127.0.0.1 port=N user=tarn password=... dbname=tarn
# restart keeps DIR's data and port, prints the port alone, and starts a server that was stopped as well.
# The pid is in DIR/pid, what the server said in DIR/server.log. PostgreSQL refuses to run as root;
# run as root, this starts it as the user postgres that Debian's package makes.
# POSTGRES_TEST_CONFIG may name a file of settings, added at the end.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

BIN=/usr/lib/postgresql/15/bin

as_owner() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp "$@"
	else
		"$@"
	fi
}

# The server's user must be able to walk down to DIR.
check_reachable() {
	as_owner test -x "$1" -a -w "$1" && return
	die "the user postgres cannot reach $1: use a folder below /tmp or /var/tmp"
}

write_config() { # DIR PORT
	cat >"$1/data/tarn.conf" <<-END
		listen_addresses = '127.0.0.1'
		port = $2
		unix_socket_directories = '$1'
		max_connections = 50
		shared_buffers = 32MB
		password_encryption = 'scram-sha-256'
		# a writer that stops inside a transaction is thrown out, as in a real installation
		idle_in_transaction_session_timeout = '120s'
		# a crash of the machine may lose test data; a crash of the server may not
		fsync = off
		full_page_writes = off
		synchronous_commit = off
	END
	if [ -n "${POSTGRES_TEST_CONFIG:-}" ]; then cat "$POSTGRES_TEST_CONFIG" >>"$1/data/tarn.conf"; fi
}

try_start() { # DIR PORT: 0 ready, 1 the port was taken in between
	local dir=$1 port=$2 pid end
	write_config "$dir" "$port"
	if [ "$(id -u)" = 0 ]; then
		exec 8>"$dir/server.log"
		setpriv --reuid=postgres --regid=postgres --init-groups "$BIN/postgres" -D "$dir/data" >&8 2>&1 </dev/null &
		pid=$!
		exec 8>&-
	else
		"$BIN/postgres" -D "$dir/data" >"$dir/server.log" 2>&1 </dev/null &
		pid=$!
	fi
	disown "$pid"
	remember "$pid" "$dir"
	end=$((SECONDS + 60))
	while [ "$SECONDS" -lt "$end" ]; do
		ours "$pid" "$dir" || break
		if "$BIN/pg_isready" -q -h "$dir" -p "$port" && ours "$pid" "$dir"; then return 0; fi
		sleep 0.05
	done
	stop_server "$dir" QUIT 10
	if grep -q 'could not bind\|could not create any TCP/IP sockets' "$dir/server.log"; then return 1; fi
	tail -n 20 "$dir/server.log" >&2
	die "the server did not start within 60 s; see $dir/server.log"
}

start() {
	local dir=$1 port password
	[ -x "$BIN/postgres" ] || die "no PostgreSQL 15 here: run scripts/setup.sh test"
	mkdir -p "$dir" && dir=$(cd "$dir" && pwd)
	stop_server "$dir" INT 30
	rm -rf "${dir:?}/data"
	if [ "$(id -u)" = 0 ]; then chown postgres: "$dir"; fi
	chmod 700 "$dir"
	check_reachable "$dir"
	[ ${#dir} -le 85 ] || die "$dir is too long a path for a socket"

	password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	as_owner sh -c 'umask 077; printf "%s\n" "$2" >"$1"' sh "$dir/password" "$password"
	as_owner "$BIN/initdb" -D "$dir/data" -U tarn -A scram-sha-256 --auth-local=trust --no-sync \
		--pwfile="$dir/password" -E UTF8 --locale=C.UTF-8 >"$dir/initdb.log" 2>&1 || {
		tail -n 20 "$dir/initdb.log" >&2
		die "initdb failed"
	}
	rm "$dir/password"
	echo "include 'tarn.conf'" >>"$dir/data/postgresql.conf"
	while :; do
		port=$(free_port 0)
		if try_start "$dir" "$port"; then break; fi
	done
	"$BIN/psql" -q -h "$dir" -p "$port" -U tarn -d postgres -c 'CREATE DATABASE tarn' </dev/null
	echo "host=127.0.0.1 port=$port user=tarn password=$password dbname=tarn"
}

restart() {
	local dir port
	dir=$(cd "$1" && pwd)
	stop_server "$dir" INT 30
	port=$(sed -n 's/^port = //p' "$dir/data/tarn.conf" | head -n 1)
	# 1: somebody took the port meanwhile, and clients know no other
	try_start "$dir" "$port" || die "port $port is taken"
	echo "$port"
}

[ $# = 2 ] || usage
case $1 in
start) start "$2" ;;
restart) restart "$2" ;;
stop) stop_server "$2" INT 30 ;; # INT ends it without waiting for its clients
*) usage ;;
esac
