# inside.sh ROOT RUN COMMAND…: fresh.sh's other half, in the new namespaces.
set -euo pipefail
root=$1 run=$2; shift 2

mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
# Views of our own control group, each where the host has the whole hierarchy.
findmnt -rno TARGET,FSTYPE,OPTIONS -t tmpfs,cgroup,cgroup2 | grep ' cgroup2\? \|^/sys/fs/cgroup ' |
	while read -r at type options; do
		mkdir -p "$root$at"
		case $type in
		tmpfs) mount -t tmpfs -o mode=755 tmpfs "$root$at" ;;
		cgroup2) mount -t cgroup2 cgroup2 "$root$at" ;;
		cgroup) mount -t cgroup -o "$(tr , '\n' <<<"$options" | grep -v '^r[wo]$\|^relatime$\|^nosuid$\|^nodev$\|^noexec$\|^xattr$\|^release_agent' | paste -sd,)" cgroup "$root$at" ;;
		esac
	done
hostname fresh
echo >"$run/made"; read -r _ <"$run/wired"
cd "$root"
mkdir -p old
pivot_root . old
umount -l /old && rmdir /old
cd /root/rig
for ((i = 0; i < 100; i++)); do
	grep -q tap0 /proc/net/route && break
	read -rt 0.1 <> <(:) || true
done
for command; do
	echo "fresh: $command"
	SECONDS=0
	bash -c "$command" || { status=$?; echo "fresh: $command: exit status $status after $SECONDS s" >&2; exit $status; }
	echo "fresh: $command: done in $SECONDS s"
done
