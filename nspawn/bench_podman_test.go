package nspawn_test

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/testroot"
	"github.com/prologin/rig/nspawn"
)

// BenchmarkPodman runs commands in a container of the same root.
func BenchmarkPodman(b *testing.B) {
	if _, err := exec.LookPath("podman"); err != nil {
		b.Skip("podman is not installed: podman and crun (Debian, Arch)")
	}
	m := benchMachine(b, "bench-podman", testroot.Trixie)
	root := testroot.Clone(b, testroot.Trixie) // before the thread has mounts of its own
	unified, err := unifiedThread(b)
	if err != nil {
		b.Skipf("podman wants control groups of version 2 alone: %v", err)
	}
	const name = "rig-bench-podman"
	state := b.TempDir() // nothing of podman's is left on the host
	podman := func(args ...string) error {
		return unified(func() error {
			return run("podman", append([]string{"--root=" + state, "--runroot=" + state, "--tmpdir=" + state}, args...)...)
		})
	}
	// Limits that a container of root gets by default cannot be had everywhere.
	err = podman("run", "--detach", "--name="+name, "--network=none", "--cgroups=disabled", "--ulimit=nofile=1024:1024",
		"--ulimit=nproc=4096:4096", "--rootfs", root, "sleep", "infinity")
	if err != nil {
		b.Skipf("podman starts nothing here: %v", err)
	}
	b.Cleanup(func() {
		if err := podman("rm", "--force", "--time=0", name); err != nil {
			b.Error(err)
		}
	})
	compareCommand(b, "exec-podman", m, func() error { return podman("exec", name, "/bin/true") })
}

// unifiedThread returns what runs functions on a thread of their own, which sees the
// host without control groups of version 1, until the end of the benchmark.
func unifiedThread(b *testing.B) (run func(func() error) error, err error) {
	calls, results := make(chan func() error), make(chan error)
	go nspawn.OwnThread(func() {
		for call := range calls {
			results <- call()
		}
	})
	b.Cleanup(func() { close(calls) })
	run = func(call func() error) error {
		calls <- call
		return <-results
	}
	return run, run(onlyUnifiedCgroups)
}

// onlyUnifiedCgroups gives the calling thread, and what it starts, this view.
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
