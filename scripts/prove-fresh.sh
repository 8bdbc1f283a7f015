#!/usr/bin/env bash
# prove-fresh.sh [options] [COMMAND...]: does a fresh clone work on a bare Debian 12?
#
# Makes a minimal Debian 12 (debootstrap's minbase with make, git and ca-certificates) in a
# folder, clones this repository's HEAD into it, and runs each COMMAND there in a chroot, with
# an empty HOME, as root. The default commands are `make run` and `make test`.
#
#   --mirror URL    Debian mirror for debootstrap (default: the first one in this machine's apt sources)
#   --base TAR      a tarred bare system to start from; made if missing (default: /tmp/deb12-base.tar)
#   --worktree      copy the work tree with its uncommitted changes instead of cloning HEAD
#   --cache DIR     use DIR as the parts cache, so that a second proof downloads nothing
#   --keep          leave the chroot there afterwards and say where
#
# Needs root, debootstrap and util-linux. The chroot has its own mount and process namespaces:
# whatever a command mounts or leaves running ends with it. It shares the machine's network,
# and the settings of its package clients (apt sources, ~/.npmrc, pip's and Maven's files,
# extra certificates, and the environment variables that they read).
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
MIRROR='' BASE=/tmp/deb12-base.tar WORKTREE='' KEEP='' CACHE=''

die() {
	echo "prove-fresh: error: $*" >&2
	exit 1
}

while [ $# -gt 0 ]; do
	case $1 in
	--mirror) MIRROR=${2:?} && shift 2 ;;
	--base) BASE=${2:?} && shift 2 ;;
	--cache) CACHE=${2:?} && shift 2 ;;
	--worktree) WORKTREE=1 && shift ;;
	--keep) KEEP=1 && shift ;;
	-*) die "no such option: $1 (see the head of $0)" ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || set -- "make run" "make test"
[ "$(id -u)" = 0 ] || die "debootstrap and chroot need root"

FRESH=$(mktemp -d /var/tmp/tarn-fresh.XXXXXX)
clean() {
	# nothing of ours is mounted outside the namespace; --one-file-system guards against what others mount
	[ -n "$KEEP" ] || rm -rf --one-file-system "$FRESH"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

make_base() {
	command -v debootstrap >/dev/null || die "apt-get install debootstrap first"
	if [ -z "$MIRROR" ]; then
		# shellcheck disable=SC2016 # apt's own placeholders
		MIRROR=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' | awk '$1 == "bookworm" { print $2; exit }')
	fi
	[ -n "$MIRROR" ] || die "this machine's apt sources name no Debian 12 mirror; pass --mirror URL"
	echo "prove-fresh: making $BASE"
	debootstrap --variant=minbase --include=ca-certificates,make,git bookworm "$FRESH" "$MIRROR" >"$BASE.log" 2>&1 ||
		die "debootstrap failed, see $BASE.log"
	tar -C "$FRESH" -cf "$BASE.part" . && mv "$BASE.part" "$BASE"
}

# What this machine's package clients need to reach their registries, and nothing else.
copy_client_settings() {
	local f
	for f in /etc/resolv.conf /etc/hosts /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources /etc/pip.conf \
		"$HOME/.npmrc" "$HOME/.config/pip/pip.conf" "$HOME/.m2/settings.xml"; do
		[ -f "$f" ] || continue
		local to=${f/#$HOME/\/root}
		mkdir -p "$FRESH$(dirname "$to")"
		cp -L "$f" "$FRESH$to"
	done
	[ ! -f "$FRESH/etc/apt/sources.list.d/debian.sources" ] || : >"$FRESH/etc/apt/sources.list"
	if [ -d /usr/local/share/ca-certificates ]; then
		cp -RL /usr/local/share/ca-certificates/. "$FRESH/usr/local/share/ca-certificates/"
		in_chroot "update-ca-certificates" >/dev/null # Java's own store is made from what this links
	fi
	# the machine's bundle may hold still others
	cp -L /etc/ssl/certs/ca-certificates.crt "$FRESH/etc/ssl/certs/ca-certificates.crt"
}

copy_tree() {
	mkdir -p "$FRESH/root/tarn"
	if [ -n "$WORKTREE" ]; then
		git -C "$ROOT" ls-files -z --cached --others --exclude-standard |
			tar -C "$ROOT" --null --ignore-failed-read -T - -cf - | tar -C "$FRESH/root/tarn" -xf -
	else
		git clone -q --no-hardlinks "$ROOT" "$FRESH/root/tarn"
	fi
}

in_chroot() { # COMMAND: in /root/tarn of the chroot, with fresh namespaces and environment
	local -a keep=()
	local v
	for v in $(compgen -e | grep -E '^(PIP_|NPM_CONFIG_|npm_config_|NODE_EXTRA_CA_CERTS$|MAVEN_|(SSL_CERT|REQUESTS_CA|CURL_CA)|(http|https|no|HTTP|HTTPS|NO)_(proxy|PROXY)$)' || true); do
		keep+=("$v=${!v}")
	done
	[ -z "$CACHE" ] || mkdir -p "$CACHE" "$FRESH/cache"
	local -a cache_setting=()
	[ -z "$CACHE" ] || cache_setting=(TARN_CACHE=/cache)
	# shellcheck disable=SC2016 # expanded by the inner shell
	FRESH=$FRESH CACHE=$CACHE unshare --mount --pid --ipc --fork --kill-child --propagation private bash -euc '
		mount -t proc proc "$FRESH/proc"
		mkdir -p "$FRESH/dev/shm" && mount -t tmpfs -o size=2g tmpfs "$FRESH/dev/shm"
		[ -z "$CACHE" ] || mount --bind "$CACHE" "$FRESH/cache"
		exec chroot "$FRESH" /usr/bin/env -i "$@"
	' bash PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${keep[@]}" \
		"${cache_setting[@]}" bash -c "cd /root/tarn && $1" </dev/null
}

if [ -f "$BASE" ]; then tar -C "$FRESH" -xf "$BASE"; else make_base; fi
chmod 755 "$FRESH" # the root of everybody there, of PostgreSQL's own user too
copy_tree
copy_client_settings
for command in "$@"; do
	echo "prove-fresh: $command"
	start=$SECONDS
	in_chroot "$command" || {
		KEEP=1
		die "failed after $((SECONDS - start)) s: $command (the system is left in $FRESH)"
	}
	echo "prove-fresh: passed in $((SECONDS - start)) s: $command"
done
[ -z "$KEEP" ] || echo "prove-fresh: the system is left in $FRESH"
