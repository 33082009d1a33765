#!/bin/bash
# Makes the staged root the one that machines mount.
set -euo pipefail

rsync -aHAX --delete --exclude=/var/cache/pacman/pkg/ /export/nfsroot_staging/ /export/nfsroot_ro/
# A root that somebody has mounted must not believe itself out of date.
touch /export/nfsroot_ro/etc/.updated /export/nfsroot_ro/var/.updated
