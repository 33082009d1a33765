#!/bin/bash
# The packages of gw, and what machines load from it by TFTP.
set -euo pipefail

pacman -S --needed --noconfirm --noprogressbar dhcp bind sqlite ipset iptables postgresql nginx \
	nbd tftp-hpa conntrack-tools ipxe linux-cloud

cd "$(dirname "$0")/.."
install -D -m 644 -t /srv/tftp etc/tftp/prologin.kpxe /usr/share/ipxe/undionly.kpxe
