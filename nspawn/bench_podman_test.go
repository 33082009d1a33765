package nspawn_test

import (
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/testroot"
)

// BenchmarkPodman runs commands in a container of the same root.
func BenchmarkPodman(b *testing.B) {
	if _, err := exec.LookPath("podman"); err != nil {
		b.Skip("podman is not installed: podman and crun (Debian, Arch)")
	}
	m := benchMachine(b, "bench-podman")
	runtime.LockOSThread() // never unlocked: the thread's mounts go with it
	if err := onlyUnifiedCgroups(); err != nil {
		b.Skipf("podman wants control groups of version 2 alone: %v", err)
	}
	const name = "rig-bench-podman"
	state := b.TempDir() // nothing of podman's is left on the host
	podman := func(args ...string) error {
		return run("podman", append([]string{"--root=" + state, "--runroot=" + state, "--tmpdir=" + state}, args...)...)
	}
	// Limits that a container of root gets by default cannot be had everywhere.
	err := podman("run", "--detach", "--name="+name, "--network=none", "--cgroups=disabled", "--ulimit=nofile=1024:1024",
		"--ulimit=nproc=4096:4096", "--rootfs", testroot.Clone(b, testroot.Trixie), "sleep", "infinity")
	if err != nil {
		b.Skipf("podman starts nothing here: %v", err)
	}
	b.Cleanup(func() {
		if err := podman("rm", "--force", "--time=0", name); err != nil {
			b.Error(err)
		}
	})
	ctx := b.Context()
	compare(b, "exec-podman",
		func() error { return m.Command(ctx, "/bin/true").Run() },
		func() error { return podman("exec", name, "/bin/true") })
}

// onlyUnifiedCgroups gives the calling thread, and what it starts, a view of the
// host without version 1.
func onlyUnifiedCgroups() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := unix.Unmount("/sys/fs/cgroup", unix.MNT_DETACH); err != nil {
		return err
	}
	return unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, "")
}
