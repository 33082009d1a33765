#!/bin/bash
# What a server of roots and homes needs beyond what every machine has.
set -euo pipefail

packages=(arch-install-scripts nfs-utils nbd rsync e2fsprogs)
# A kernel without an NFS server needs one in user space.
modprobe -q nfsd 2>/dev/null || true
if ! grep -qw nfsd /proc/filesystems; then
	packages+=(nfs-ganesha)
fi
pacman -S --needed --noconfirm --noprogressbar "${packages[@]}"
mkdir -p /export /export/nfsroot_staging /export/nfsroot_ro
