#!/bin/bash
# What the NFS server in user space serves. It needs file handles, which an overlay has
# not: there it serves a copy in memory, made when it starts and at each commit.
set -euo pipefail

served=/export/nfsroot_ro
if [ "$(stat -f -c %T "$served")" = overlayfs ]; then
	copy=/run/nfsroot
	mkdir -p "$copy"
	mountpoint -q "$copy" || mount -t tmpfs -o mode=755 nfsroot "$copy"
	rsync -aHAX --delete "$served/" "$copy/"
	served=$copy
fi
sed -i "s#^\(\s*Path =\).*#\1 $served;#" /etc/ganesha/ganesha.conf
