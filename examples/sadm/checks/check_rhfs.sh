#!/bin/bash
# Checks all that a server of roots and homes is for.
source "$(dirname "$0")/checks_common.sh"

number=$(hostname | tr -dc 0-9)
check_hostname "rhfs$number"
check_address "192.168.1.$((number + 1))"

check_units systemd-networkd udbsync_passwd udbsync_passwd_nfsroot udbsync_rootssh rpcbind nfs-server \
	rootssh.path "hfs@$number"

for root in /export/nfsroot_staging /export/nfsroot_ro; do
	check_file $root/boot/vmlinuz-linux
	check_file $root/boot/initramfs-linux-fallback.img
done
report "/export/skeleton is there" test -d /export/skeleton
report "mdb answers" curl -sSf http://mdb/call/query
report "the root is exported" grep -w /export/nfsroot_ro <(showmount --exports --no-headers localhost)

verdict
