package nspawn

import (
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"
)

// machineNamespaces are those of a machine except two: the user namespace, which
// the kernel refuses to let a program with threads join; and that of its control
// groups, from which nothing could be started in a control group, since ours is
// outside of it and the kernel says ENOENT where cgroup2 is mounted with nsdelegate,
// as systemd does. A process gets one of its own instead, see [Cmd.connect].
const machineNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS |
	unix.CLONE_NEWIPC | unix.CLONE_NEWNET

// join puts the calling thread into the machine: its files, processes, network and
// names. Processes started from the thread then live in the machine with no more
// capabilities than the machine's own. The thread has to be thrown away afterwards.
func (l *leader) join() error {
	// Threads share their root directory until told otherwise.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare the root directory: %w", err)
	}
	if err := dropCapabilities(l.bounding); err != nil {
		return err
	}
	if err := l.fd.setns(machineNamespaces); err != nil {
		return fmt.Errorf("join the machine's namespaces: %w", err)
	}
	unix.Umask(0o022)
	return nil
}

// joinFiles puts the calling thread into the machine's files only, to look
// something up there without starting anything.
func (l *leader) joinFiles() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare the root directory: %w", err)
	}
	if err := l.fd.setns(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("join the machine's files: %w", err)
	}
	return nil
}

// dropCapabilities bounds what a process started from the calling thread can
// ever have to keep. The thread itself loses nothing yet: it still has to join.
func dropCapabilities(keep uint64) error {
	own, err := threadBounding()
	if err != nil {
		return err
	}
	for drop := own &^ keep; drop != 0; drop &= drop - 1 {
		capability := bits.TrailingZeros64(drop)
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", capability, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear the ambient capabilities: %w", err)
	}
	return boundInheritable(keep)
}

// threadBounding is the calling thread's bounding set.
func threadBounding() (set uint64, err error) {
	for capability := range 64 {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(capability), 0, 0, 0)
		if err == unix.EINVAL {
			break // beyond the kernel's last
		}
		if err != nil {
			return 0, fmt.Errorf("read the bounding set: %w", err)
		}
		set |= uint64(has) << capability
	}
	return set, nil
}

// boundInheritable takes from the inheritable set what would survive execve
// although the bounding set lacks it.
func boundInheritable(keep uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	low, high := data[0].Inheritable&uint32(keep), data[1].Inheritable&uint32(keep>>32)
	if low == data[0].Inheritable && high == data[1].Inheritable {
		return nil
	}
	data[0].Inheritable, data[1].Inheritable = low, high
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("bound the inheritable capabilities: %w", err)
	}
	return nil
}
