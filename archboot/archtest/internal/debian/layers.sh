#!/bin/sh
# mmdebstrap runs this when the base system is configured, with the tree as $1.
# It installs the add-ons one after another and writes down what the tree was
# like after each, so that every file can be given to the step that brought it.
set -eu
root=${1:?}

apt() {
	# From inside the tree: from outside, one forgotten option would install on the host.
	# What an initramfs holds is the machine's business: INITRD=No keeps a kernel's
	# installation from making one.
	chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 INITRD=No apt-get --yes -q "$@" >&2
}

record() {
	layer=$ARCHTEST_LAYERS/$1
	mkdir -p "$layer"
	(cd "$root" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp \) -prune \
		-o -printf '%P\0') >"$layer/paths"
	cp "$root/var/lib/dpkg/status" "$layer/status"
	cp -a "$root/etc" "$layer/etc"
}

# systemd-resolved has put a link to its stub here, and does not run: without a
# name server no add-on could be fetched.
if [ -L "$root/etc/resolv.conf" ]; then
	rm "$root/etc/resolv.conf"
	[ ! -e /etc/resolv.conf ] || cat /etc/resolv.conf >"$root/etc/resolv.conf"
fi

# pacman-key and repo-add need makepkg's shell library, but not the compilers and
# TeX that its package depends on.
mkdir "$root/archtest"
chroot "$root" sh -c 'cd /archtest && apt-get download -q makepkg && dpkg-deb -x makepkg_*.deb .' >&2
cp -a "$root/archtest/usr/share/makepkg" "$root/usr/share/"
cp -a "$root/archtest/etc/makepkg.conf" "$root/etc/"
# Debian has these two with makepkg or with pacman, Arch always with pacman.
cp -an "$root/archtest/usr/bin/vercmp" "$root/archtest/usr/bin/testpkg" "$root/usr/bin/"
rm -rf "$root/archtest"

# A database cluster made here would be state, not a package.
mkdir "$root/etc/postgresql-common"
echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"

record 0
n=0
for packages in $ARCHTEST_ADDONS; do
	n=$((n + 1))
	echo "I: installing add-on ${packages}..." >&2
	apt install --no-install-recommends $(echo "$packages" | tr , ' ')
	record $n
done
