# Run in a mount namespace of its own, so that neither the disk nor the cgroup
# view is seen outside, and both are gone with the last process in it.
# Arguments: the disk image, where to mount it, then nspawn's.

# systemd 258 and later, and what runs in current Arch, wants to see nothing but
# cgroup v2. Controllers that the kernel has bound to v1 stay unavailable.
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
	umount -R /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mount -o loop,discard "$1" "$2"
shift 2
exec systemd-nspawn "$@"
