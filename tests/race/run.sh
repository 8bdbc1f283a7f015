#!/usr/bin/env bash
# run.sh [--rounds N] [--seed S] [--long] [--measure COMMITS] [--backend B]... [--program PATH] [CASE...]; B may be
# BACKEND+s3: its data files are in a bucket of a real S3 server.
#
# The commit protocol under attack (docs/commit-protocol.md): two owners of one lane, every interleaving of their steps,
# each guard left out once. Starts a PostgreSQL of its own; all it makes lies in one temporary folder, so two may run at
# once. Prints "ok NAME" or "not ok NAME: why" a case.
#
# By default a sample of two minutes; --long takes at least 210 rounds of each race (three times all 70 interleavings),
# 70 of those in a bucket, and on Postgres the same again with offsets in files. --measure prints what a commit costs, and runs no case.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$here/../../build/tests/lane_race
rounds= seed=1 long=0 commits=0 backends=() cases=()

while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=$2 && shift ;;
	--seed) seed=$2 && shift ;;
	--measure) commits=$2 && shift ;;
	--backend) backends+=("$2") && shift ;;
	--program) program=$2 && shift ;;
	--long) long=1 ;;
	-*)
		sed -n '2s/^# /usage: /p' "$0" >&2
		exit 2
		;;
	*) cases+=("$1") ;;
	esac
	shift
done
[ ${#backends[@]} -gt 0 ] || backends=(postgres sqlite duckdb file postgres+s3)

folder=$(mktemp -d /tmp/tarn-race.XXXXXX)
chmod 755 "$folder"
end() {
	for server in "$folder"/pg-*; do
		[ ! -d "$server" ] || "$here/../servers/postgres.sh" stop "$server" || true
	done
	[ ! -d "$folder/s3" ] || "$here/../servers/s3.sh" stop "$folder/s3" || true
	rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT TERM

# libpq's words go to the environment, so that no password stands in an argument of psql's.
start_postgres() { # FOLDER
	local pair
	RACE_CONNECTION=$("$here/../servers/postgres.sh" start "$1")
	export RACE_CONNECTION
	for pair in $RACE_CONNECTION; do
		case $pair in
		host=*) export PGHOST=${pair#*=} ;;
		port=*) export PGPORT=${pair#*=} ;;
		user=*) export PGUSER=${pair#*=} ;;
		password=*) export PGPASSWORD=${pair#*=} ;;
		dbname=*) export PGDATABASE=${pair#*=} ;;
		esac
	done
}

# A bucket is a folder behind the server's own door, five ports further (SeaweedFS's filer).
start_store() {
	local endpoint key secret port
	read -r endpoint key secret < <("$here/../servers/s3.sh" start "$folder/s3")
	port=${endpoint##*:}
	curl -fsS -o /dev/null -X POST "${endpoint%:*}:$((port + 5))/buckets/race/"
	export RACE_STORE="$endpoint race $key $secret"
}

failed=0
race() { # BACKEND[+s3] ROUNDS OPTION... -- CASE...
	local backend=${1%+s3} count=$2
	mkdir -p "$folder/$1"
	case $backend in postgres) [ -d "$folder/pg-$1" ] || start_postgres "$folder/pg-$1" ;; esac
	case $1 in *+s3) [ -d "$folder/s3" ] || start_store ;; *) local -x RACE_STORE= ;; esac
	"$program" --backend "$backend" --folder "$folder/$1" --rounds "$count" --seed "$seed" "${@:3}" || failed=1
}

for backend in "${backends[@]}"; do
	if [ "$commits" -gt 0 ]; then
		race "$backend" 1 --measure "$commits" --offsets files
		race "$backend" 1 --measure "$commits" --offsets rows
	elif [ "$long" = 1 ]; then
		case $backend in *+s3) all=70 ;; *) all=210 ;; esac
		race "$backend" "${rounds:-$all}" "${cases[@]}"
		[ "$backend" != postgres ] || race "$backend" "${rounds:-210}" --offsets files "${cases[@]}"
	elif [[ "$backend" == *+s3 && ${#cases[@]} = 0 ]]; then
		race "$backend" "${rounds:-3}" interleavings together trap-failed-commit
	else
		race "$backend" "${rounds:-3}" "${cases[@]}"
	fi
done
exit "$failed"
