package main

const usage = `Usage: bootstrap [flags] ROOT HOSTNAME PASSWORD_FILE

Turns the empty directory ROOT into a bootable Arch Linux root.

  ROOT           an empty directory or btrfs subvolume
  HOSTNAME       the machine's name; "" leaves it to the kernel command line or
                 to systemd-nspawn --hostname
  PASSWORD_FILE  holds root's password in its only line; "-" is standard input;
                 an empty file sets none

On an Arch host no flags are needed. Elsewhere, say where packages come from and
who signs them; without pacman, give the bootstrap tarball as well:

  bootstrap -mirror 'https://mirror.example/$repo/os/$arch' -key archlinux.gpg \
      -tarball archlinux-bootstrap-x86_64.tar.zst -fingerprint 3E80…9A5C ./gw gw ./password

The first boot of the result:

  systemd-nspawn --boot --directory ROOT

For bare metal or a VM, add the kernel: -packages base,openssh,linux,linux-firmware

A second machine from a root that is there, in milliseconds on btrfs:

  bootstrap -base /var/lib/machines/base /var/lib/machines/web web ./password

The packages of a certain day, so that the same command makes the same root again:

  bootstrap -mirror https://MIRROR -date 2018-05-01 ./gw gw ./password

Ctrl-C leaves ROOT empty again; a second one ends it at once. After that, or after a
crash, run the same command again.
Exit status: 0 done, 1 it failed, 2 wrong usage, 130 interrupted.

Flags:
`
