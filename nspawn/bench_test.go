package nspawn_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/internal/testroot"
	"github.com/prologin/rig/nspawn"
)

// compare measures two ways of doing the same thing in turn, and prints the
// medians and how many times longer the other way takes.
func compare(b *testing.B, name string, ours, theirs func() error) {
	b.Helper()
	var us, them []time.Duration
	measure := func(do func() error) time.Duration {
		begin := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		return time.Since(begin)
	}
	for range 3 {
		measure(ours)
		measure(theirs)
	}
	for b.Loop() {
		us, them = append(us, measure(ours)), append(them, measure(theirs))
	}
	report(b, name, us, them)
}

// compareCommand is compare for a command in a machine of ours. What the other way
// leaves its services to do falls upon the next command of ours, so that the spread
// is that of commands which follow each other.
func compareCommand(b *testing.B, name string, m *nspawn.Machine, theirs func() error) {
	b.Helper()
	ctx := b.Context()
	ours := func() error { return m.Command(ctx, "/bin/true").Run() }
	compare(b, name, ours, theirs)
	alone := make([]time.Duration, 500)
	for i := range alone {
		begin := time.Now()
		if err := ours(); err != nil {
			b.Fatal(err)
		}
		alone[i] = time.Since(begin)
	}
	slices.Sort(alone)
	spread(name+"-alone", alone)
}

// spread prints the percentiles of sorted times.
func spread(name string, sorted []time.Duration) {
	p50, p99 := quantile(sorted, 50), quantile(sorted, 99)
	fmt.Printf("figure %s p50 %v p99 %v, %.1f times p50\n", name, p50.Round(time.Microsecond), p99.Round(time.Microsecond), float64(p99)/float64(p50))
}

func report(b *testing.B, name string, us, them []time.Duration) {
	slices.Sort(us)
	slices.Sort(them)
	ours, theirs := us[len(us)/2], them[len(them)/2]
	spread(name, us)
	fmt.Printf("ratio %s %v %v %.2f\n", name, ours.Round(time.Microsecond), theirs.Round(time.Microsecond), float64(theirs)/float64(ours))
	b.ReportMetric(float64(ours.Microseconds()), "p50-µs")
	b.ReportMetric(float64(quantile(us, 99).Microseconds()), "p99-µs")
	b.ReportMetric(float64(theirs)/float64(ours), "ratio")
	b.ReportMetric(0, "ns/op") // of both together: means nothing
}

// quantile is a percentile of sorted times.
func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[len(sorted)*percent/100]
}

// run runs a program of the host.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// benchMachine is a machine like the others' ones: its syncs are not suppressed.
func benchMachine(b *testing.B, name, suite string) *nspawn.Machine {
	m := start(b, openHost(b, nspawn.HostOptions{}), nspawn.Config{Name: name, Root: newRootOf(b, suite)})
	if err := m.WaitReady(testContext(b)); err != nil {
		b.Fatal(err)
	}
	return m
}

func BenchmarkExec(b *testing.B) {
	testhost.Require(b)
	m := benchMachine(b, "bench-exec", testroot.Trixie)
	compareCommand(b, "exec", m, func() error {
		return run("systemd-run", "-q", "-M", m.Name(), "--pipe", "--wait", "/bin/true")
	})
}

func BenchmarkExecMachinectl(b *testing.B) {
	testhost.Require(b)
	m := benchMachine(b, "bench-shell", testroot.Trixie)
	compareCommand(b, "exec-machinectl", m, func() error { return run("machinectl", "-q", "shell", m.Name(), "/bin/true") })
}

func BenchmarkExecNsenter(b *testing.B) {
	m := benchMachine(b, "bench-nsenter", testroot.Trixie)
	leader := itoa(m.Leader())
	compareCommand(b, "exec-nsenter", m, func() error {
		return run("nsenter", "-t", leader, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "/bin/true")
	})
}

// BenchmarkLXC starts the same root by lxc, and runs commands in it.
func BenchmarkLXC(b *testing.B) {
	if _, err := exec.LookPath("lxc-start"); err != nil {
		b.Skip("lxc is not installed")
	}
	host := openHost(b, nspawn.HostOptions{})
	dir, root := b.TempDir(), newRootOf(b, testroot.Bookworm)
	config := fmt.Sprintf("lxc.uts.name = bench\nlxc.rootfs.path = dir:%s\nlxc.net.0.type = empty\nlxc.apparmor.profile = unconfined\nlxc.mount.auto = proc:mixed sys:mixed cgroup:mixed\n", root)
	if err := os.MkdirAll(filepath.Join(dir, "bench"), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bench", "config"), []byte(config), 0o644); err != nil {
		b.Fatal(err)
	}
	lxcStart := func() error {
		if err := run("lxc-start", "-P", dir, "-n", "bench"); err != nil {
			return err
		}
		return run("lxc-attach", "-P", dir, "-n", "bench", "--", "sh", "-c",
			"until [ -S /run/dbus/system_bus_socket ]; do sleep 0.01; done; systemctl is-system-running --wait | grep -Eq 'running|degraded'")
	}
	lxcStop := func() error { return run("lxc-stop", "-P", dir, "-n", "bench", "-t", "20") }
	if err := lxcStart(); err != nil {
		b.Skipf("lxc does not start a machine here: %v", err)
	}
	b.Cleanup(func() { _ = run("lxc-stop", "-P", dir, "-n", "bench", "-k") })
	b.Run("exec", func(b *testing.B) {
		m := benchMachine(b, "bench-lxc", testroot.Bookworm)
		compareCommand(b, "exec-lxc", m, func() error { return run("lxc-attach", "-P", dir, "-n", "bench", "--", "/bin/true") })
	})
	if err := lxcStop(); err != nil {
		b.Fatal(err)
	}
	b.Run("start", func(b *testing.B) {
		ours := startStop(b, host, newRootOf(b, testroot.Bookworm))
		compareLives(b, "lxc", ours, life{lxcStart, lxcStop})
	})
}

// life is how to start a machine until it is ready, and to stop it.
type life struct{ start, stop func() error }

func startStop(b *testing.B, host *nspawn.Host, root string) life {
	ctx := b.Context()
	var m *nspawn.Machine
	return life{
		start: func() (err error) {
			m, err = host.Start(ctx, nspawn.Config{Name: "bench-life", Root: root, SuppressSync: true})
			if err != nil {
				return err
			}
			return m.WaitReady(ctx)
		},
		stop: func() error { return m.Stop(ctx) },
	}
}

// compareLives measures starts and stops in turn.
func compareLives(b *testing.B, name string, ours, theirs life) {
	b.Helper()
	var times [4][]time.Duration
	round := func() {
		for i, do := range []func() error{ours.start, ours.stop, theirs.start, theirs.stop} {
			begin := time.Now()
			if err := do(); err != nil {
				b.Fatal(err)
			}
			times[i] = append(times[i], time.Since(begin))
		}
	}
	for b.Loop() {
		for range 5 {
			round()
		}
	}
	suffix := "-" + name
	if name == "machinectl" {
		suffix = ""
	}
	report(b, "start"+suffix, times[0], times[2])
	report(b, "stop"+suffix, times[1], times[3])
}

func BenchmarkStart(b *testing.B) {
	testhost.Require(b)
	b.Run("direct", func(b *testing.B) { benchmarkStart(b, nspawn.LauncherDirect, "machinectl") })
	b.Run("systemd", func(b *testing.B) { benchmarkStart(b, nspawn.LauncherSystemd, "systemd") })
}

// benchmarkStart compares one of our launchers with machinectl.
func benchmarkStart(b *testing.B, launcher nspawn.Launcher, name string) {
	host := openHost(b, nspawn.HostOptions{Launcher: launcher})
	root := newRoot(b)
	const image = "/var/lib/machines/bench-peer"
	theirRoot := newRoot(b)
	if err := os.Symlink(theirRoot, image); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.Remove(image) })
	settings := "/run/systemd/nspawn/bench-peer.nspawn"
	if err := os.MkdirAll(filepath.Dir(settings), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(settings, []byte("[Exec]\nPrivateUsers=no\n[Network]\nVirtualEthernet=no\nPrivate=yes\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.Remove(settings) })
	b.Cleanup(func() { _ = run("machinectl", "terminate", "bench-peer") })
	compareLives(b, name, startStop(b, host, root), life{
		start: func() error {
			if err := run("machinectl", "start", "bench-peer"); err != nil {
				return err
			}
			return untilDone(func() error {
				return run("systemctl", "-q", "-M", "bench-peer", "is-active", "multi-user.target")
			})
		},
		stop: func() error {
			if err := run("machinectl", "poweroff", "bench-peer"); err != nil {
				return err
			}
			return untilDone(func() error {
				if run("machinectl", "show", "bench-peer") == nil {
					return io.ErrNoProgress
				}
				return nil
			})
		},
	})
}

// untilDone is how one waits with these programs.
func untilDone(try func() error) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// BenchmarkPipe sends 64 MiB through cat, in a machine and on the host.
func BenchmarkPipe(b *testing.B) {
	m := benchMachine(b, "bench-pipe", testroot.Trixie)
	data := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	ctx := b.Context()
	compare(b, "pipe",
		func() error {
			cmd := m.Command(ctx, "cat")
			cmd.Stdin, cmd.Stdout = bytes.NewReader(data), io.Discard
			return cmd.Run()
		},
		func() error {
			cmd := exec.Command("cat")
			cmd.Stdin, cmd.Stdout = bytes.NewReader(data), io.Discard
			return cmd.Run()
		})
}
