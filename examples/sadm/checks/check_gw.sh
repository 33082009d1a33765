#!/bin/bash
# Checks all that gw is for.
source "$(dirname "$0")/checks_common.sh"

check_hostname gw
check_address 192.168.1.254
check_address 192.168.250.254

check_units systemd-networkd conntrack postgresql nginx mdb mdbsync mdbdns named mdbdhcp dhcpd4 \
	tftpd.socket netboot udb udbsync udbsync_django@mdb udbsync_django@udb udbsync_rootssh \
	presencesync presencesync_sso firewall presencesync_firewall

for file in arch.kpxe prologin.kpxe initrd kernel; do
	check_file /srv/tftp/$file
done

verdict
