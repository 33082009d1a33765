#!/usr/bin/env bash
# fresh.sh SUITE COMMAND…: clone this repository's HEAD into a bare Debian root,
# run each COMMAND in the clone as a newcomer would, and end with the first that
# fails. The root has what README.md asks for and nothing else; it has namespaces,
# a control group and a user-mode uplink of its own, so nothing outside it changes.
set -euo pipefail

usage='usage: fresh.sh bookworm|trixie COMMAND…'
suite=${1:?$usage}; shift
[ $# -gt 0 ] || { echo "$usage" >&2; exit 2; }
repo=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
cache=${RIG_CACHE:-/var/cache/rig}/fresh

case $suite in
bookworm) go=golang-1.22-go sources=(bookworm bookworm-backports) ;; # its own Go is too old
trixie) go=golang-go sources=(trixie) ;;
*) echo "$usage" >&2; exit 2 ;;
esac

# Debian comes from where this host's own apt takes it.
mirror() {
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk '$2 ~ /^((old)*stable|testing|unstable|sid|bookworm|trixie|forky|duke)$/ && $3 == "main" && !n++ { print $1 }'
}

# What a newcomer's machine knows of its site: certificates and the way to Debian.
site() {
	cp -a /usr/local/share/ca-certificates "$1/usr/local/share/"
	chroot "$1" update-ca-certificates >/dev/null 2>&1
	echo 'Acquire::Check-Valid-Until "false";' >"$1/etc/apt/apt.conf.d/90frozen"
	[ $suite != bookworm ] || ln -sf ../lib/go-1.22/bin/go "$1/usr/bin/go"
	echo nameserver 10.0.2.3 >"$1/etc/resolv.conf"
	echo 127.0.1.1 fresh >>"$1/etc/hosts"
}

base=$cache/$suite.tar
mkdir -p "$cache"
exec 9>"$base.lock"; flock 9
if [ ! -e "$base" ]; then
	mirror=${RIG_DEBIAN_MIRROR:-$(mirror)}
	[ "$mirror" ] || { echo "fresh.sh: this host's apt has no Debian source: set RIG_DEBIAN_MIRROR" >&2; exit 1; }
	for s in "${sources[@]}"; do echo "deb $mirror $s main"; done |
		mmdebstrap --format=tar --variant=minbase --include="make,git,sudo,ca-certificates,$go" \
			--aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$base.new" - >&2
	mv "$base.new" "$base"
fi
flock -u 9; exec 9>&-

run=$(mktemp -d "$cache/run.XXXXXX"); root=$run/root
groups=() # one in each hierarchy that is mounted
while IFS=: read -r _ names _; do
	dir=$(findmnt -rno TARGET -t cgroup,cgroup2 | while read -r at; do
		case ${names:-unified} in
		unified) [ "$(findmnt -no FSTYPE "$at")" = cgroup2 ] ;;
		*) findmnt -no OPTIONS "$at" | tr , '\n' | grep -qx -- "${names%%,*}" ;;
		esac && echo "$at" && break
	done || true)
	[ -z "$dir" ] || groups+=("$dir/$(basename "$run")")
done </proc/self/cgroup

tidy() {
	[ -z "${slirp-}" ] || kill "$slirp" 2>/dev/null || true
	[ -z "${inside-}" ] || { kill -KILL "$inside" 2>/dev/null; wait "$inside" 2>/dev/null; } || true
	for g in "${groups[@]}"; do
		[ ! -d "$g" ] || find "$g" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
	rm -rf --one-file-system "$run"
}
trap tidy EXIT
trap 'exit 130' INT TERM

mkdir "$root"
tar -C "$root" --numeric-owner -xf "$base"
site "$root"
git clone -q --no-hardlinks "$repo" "$root/root/rig"
cp "$(dirname "$0")/inside.sh" "$run/"
for g in "${groups[@]}"; do
	mkdir "$g"
	for f in cpuset.cpus cpuset.mems; do
		[ ! -e "$g/$f" ] || cat "$(dirname "$g")/$f" >"$g/$f"
	done
done

# Both are held open for reading and writing, so that no open waits for the other side.
mkfifo "$run/made" "$run/wired"
exec 7<>"$run/made" 8<>"$run/wired"
(
	for g in "${groups[@]}"; do echo "$BASHPID" >"$g/cgroup.procs"; done
	exec env -i TERM="${TERM:-dumb}" HOME=/root LANG=C.UTF-8 CI="${CI-}" \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		unshare --mount --net --pid --ipc --uts --cgroup --fork --kill-child --propagation private \
		bash "$run/inside.sh" "$root" "$run" "$@"
) <&0 7>&- 8>&- &
inside=$!
read -rt 60 _ <&7 || { echo "fresh.sh: no namespaces after a minute" >&2; exit 1; }
slirp4netns --configure --mtu=1400 --disable-host-loopback \
	"$(pgrep -P "$inside" | head -n 1)" tap0 >/dev/null 2>"$run/slirp.log" 7>&- 8>&- &
slirp=$!
echo >&8
wait "$inside"
