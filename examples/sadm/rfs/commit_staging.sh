#!/bin/bash
# Makes the staged root the one that machines mount, on all servers of roots.
set -euo pipefail
if [ $# = 0 ]; then
	echo "usage: commit_staging.sh SERVER…" >&2
	exit 1
fi

# A root that somebody has mounted must not believe itself out of date.
touch /export/nfsroot_staging/etc/.updated /export/nfsroot_staging/var/.updated
scp -q /export/nfsroot_staging/boot/vmlinuz-linux gw:/srv/tftp/kernel
scp -q /export/nfsroot_staging/boot/initramfs-linux-fallback.img gw:/srv/tftp/initrd
for server; do
	target=$server:/export/nfsroot_ro/
	[ "$server" != "$(hostname)" ] || target=/export/nfsroot_ro/
	rsync -aHAX --delete --exclude=/var/cache/pacman/pkg/ /export/nfsroot_staging/ "$target"
done
