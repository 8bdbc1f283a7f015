# shellcheck shell=bash disable=SC2034
# What kafka.sh and postgres.sh share. Sourced, never run.

DEPS=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.deps

die() {
	echo "${0##*/}: error: $*" >&2
	exit 1
}

usage() {
	echo "usage: ${0##*/} start DIR | stop DIR | restart DIR" >&2
	exit 2
}

# A port nobody listens on. Below 32768, because the kernel hands those above to clients, which
# could take the port between this look and the bind. Even so it is a guess: callers try again
# when the server cannot bind. free_port STEP: the port that is STEP further is free too.
free_port() {
	local step=$1 port
	while :; do
		port=$((10000 + (SRANDOM % 20000)))
		if ! listening "$port" && ! listening $((port + step)); then
			echo "$port"
			return
		fi
	done
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A pid alone may by now be another process's, so it is kept with its start time.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

remember() { # PID DIR
	echo "$1" >"$2/pid"
	started_at "$1" >"$2/pid.started"
}

ours() { # PID DIR
	[ -n "$1" ] && [ "$(started_at "$1")" = "$(cat "$2/pid.started" 2>/dev/null)" ] && [ -e "/proc/$1" ]
}

# stop_server DIR SIGNAL SECONDS: end the server that DIR/pid names, and only that; wait for its exit.
stop_server() {
	local dir=$1 signal=$2 left=$((10 * $3)) pid
	[ -s "$dir/pid" ] || return 0
	pid=$(cat "$dir/pid")
	if ours "$pid" "$dir"; then
		kill "-$signal" "$pid" 2>/dev/null || true
		while ours "$pid" "$dir" && ! zombie "$pid"; do
			if [ $((left -= 1)) -le 0 ]; then
				kill -KILL "$pid" 2>/dev/null || true
				left=100
			fi
			sleep 0.1
		done
	fi
	rm -f "$dir/pid" "$dir/pid.started"
}

# One whose parent has not asked for its exit code is over all the same.
zombie() { grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }
