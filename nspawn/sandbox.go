package nspawn

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// runDir is where nspawn keeps what it needs while it runs. Each nspawn of ours
// sees a tmpfs of its own there, so that nothing outlives it even when it is
// killed, and so that it may clean up at all: it refuses to where /run is on disk.
const runDir = "/run/systemd/nspawn"

// sharedDir is where nspawn sees the machine's state directory. The path is
// short whatever the real one is: an address of a unix socket has 107 bytes.
const sharedDir = runDir + "/rig"

// sandbox is the view of the host that a systemd-nspawn process gets.
type sandbox struct {
	netns    string // path of the network namespace to start in; empty keeps the caller's
	stateDir string // the machine's, mounted at sharedDir

	suppressSync bool
}

// enter puts the calling thread into the sandbox.
func (s *sandbox) enter() error {
	if s.netns != "" {
		if err := joinNetns(s.netns); err != nil {
			return err
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare the mount namespace: %w", err)
	}
	// Mounts of the host are still seen, ours are not shown to it.
	if err := mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := mountSys(); err != nil {
		return err
	}
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	if err := mount("tmpfs", runDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=1m"); err != nil {
		return err
	}
	if err := os.Mkdir(sharedDir, 0o700); err != nil {
		return err
	}
	if err := mount(s.stateDir, sharedDir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if s.suppressSync {
		return suppressSync()
	}
	return nil
}

// mountSys shows nspawn the interfaces of the network namespace that it starts
// in, which an older mount does not, and control groups of version 2 alone:
// systemd ≥ 258 boots on nothing else, and the older ones on either.
func mountSys() error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Unmount("/sys", unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount /sys: %w", err)
	}
	if err := mount("sysfs", "/sys", "sysfs", flags, ""); err != nil {
		return err
	}
	// Where /sys is read-only there is no udev, by systemd's convention, and
	// nspawn does not wait in vain for it to know an interface. The bind leaves
	// other mounts of the same sysfs as they are.
	if err := mount("", "/sys", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, ""); err != nil {
		return err
	}
	return mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, "")
}

func joinNetns(path string) error {
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("join network namespace %s: %w", path, err)
	}
	return nil
}

func mount(source, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s at %s: %w", orDefault(fstype, source), target, err)
	}
	return nil
}
