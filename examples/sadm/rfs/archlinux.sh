#!/bin/bash
# Installs an Arch Linux for diskless machines into the directory ROOT, which is
# mounted read-only by all of them: nothing in it is any one machine's.
set -euo pipefail
root=${1:?usage: archlinux.sh ROOT}

# The kernel that the repositories have for virtual machines, or else the usual one.
kernel=linux
if pacman -Si linux-cloud >/dev/null 2>&1; then
	kernel=linux-cloud
fi
mkdir -p "$root"
pacstrap -c -P "$root" --needed --noprogressbar base openssh curl "$kernel"

ln -sf ../usr/share/zoneinfo/Europe/Paris "$root/etc/localtime"
echo LANG=en_US.UTF-8 >"$root/etc/locale.conf"
sed -i 's/^#* *en_US.UTF-8 UTF-8/en_US.UTF-8 UTF-8/' "$root/etc/locale.gen"
arch-chroot "$root" locale-gen
arch-chroot "$root" ssh-keygen -A
printf 'search prolo\nnameserver 192.168.1.254\n' >"$root/etc/resolv.conf"
mkdir -p "$root/etc/systemd/network" "$root/etc/systemd/timesyncd.conf.d"
cat >"$root/etc/systemd/network/50-dhcp.network" <<'NETWORK'
[Match]
Name=eth* en* host*

[Network]
DHCP=yes
LLDP=yes
NETWORK
printf '[Time]\nNTP=ntp.prolo\n' >"$root/etc/systemd/timesyncd.conf.d/prolo.conf"
systemctl --root="$root" enable sshd systemd-networkd systemd-timesyncd
systemctl --root="$root" mask systemd-networkd-wait-online
# An empty machine-id gets a passing one at boot; a host name comes from outside.
: >"$root/etc/machine-id"
rm -f "$root/etc/hostname"
touch "$root/etc/.updated" "$root/var/.updated"
