#!/bin/bash
# Makes the Arch Linux in ROOT one for SADM: homes come over the network at login.
set -euo pipefail
root=${1:?usage: sadm.sh ROOT}
here=$(cd "$(dirname "$0")/.." && pwd)

packages=(nbd pamtester e2fsprogs)
for package in libnbd fuse2fs libnfs; do # where the kernel has neither nbd nor NFS
	if pacman -Si "$package" >/dev/null 2>&1; then
		packages+=("$package")
	fi
done
pacstrap -c -G -M "$root" --needed --noprogressbar "${packages[@]}"

install -D -m 755 "$here/hfs/session" "$root/opt/prologin/hfs/session"
stack=$root/etc/pam.d/system-login
[ -e "$stack" ] || stack=$root/etc/pam.d/common-session
line='session required pam_exec.so /opt/prologin/hfs/session'
grep -qxF "$line" "$stack" || echo "$line" >>"$stack"

# Who is logged in is told to presencesync, with a token that is good for nothing else.
install -D -m 755 "$here/hfs/presenced" "$root/opt/prologin/hfs/presenced"
install -D -m 644 "$here/etc/systemd/system/presenced@.service" "$root/etc/systemd/system/presenced@.service"
/opt/prologin/venv/bin/python -c 'from prologin import secret; print(secret.derive("presencesync"))' |
	install -D -m 600 /dev/stdin "$root/etc/prologin/presencesync-token"

# What a machine keeps in memory.
: >"$root/etc/fstab"
for dir in home var/log var/tmp var/spool/mail var/lib/isolate var/lib/lightdm var/lib/lightdm-data var/lib/sddm var/lib/systemd; do
	mkdir -p "$root/$dir"
	mode=755
	case $dir in var/tmp | var/spool/mail) mode=1777 ;; esac
	echo "tmpfs /$dir tmpfs mode=$mode 0 0" >>"$root/etc/fstab"
done
