package nspawn_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/nspawn"
)

// TestLimits wants bounds to hold, with each launcher, or to be refused before
// anything is started.
func TestLimits(t *testing.T) {
	t.Parallel()
	var available error
	for _, f := range nspawn.Preflight(t.Context()) {
		if f.Topic == "limits" {
			available = f.Err
		}
	}
	for _, launcher := range []nspawn.Launcher{nspawn.LauncherDirect, nspawn.LauncherSystemd} {
		t.Run(string(launcher), func(t *testing.T) {
			if launcher == nspawn.LauncherSystemd {
				testhost.Require(t)
			}
			host := openHost(t, nspawn.HostOptions{Launcher: launcher})
			config := nspawn.Config{
				Name:   "bounded-" + string(launcher),
				Root:   newRoot(t),
				Limits: nspawn.Limits{Memory: 256 << 20, CPUs: 1.5, Tasks: 200},
			}
			if available != nil {
				limitsRefused(t, host, config)
				return
			}
			limitsHold(t, boot(t, host, config), config.Limits)
		})
	}
}

func limitsRefused(t *testing.T, host *nspawn.Host, config nspawn.Config) {
	m, err := host.Start(testContext(t), config)
	if !errors.Is(err, nspawn.ErrNotSupported) || m != nil {
		t.Fatalf("Start: %v", err)
	}
	for _, field := range []string{"Limits.Memory", "Limits.CPUs", "Limits.Tasks"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not in the error: %v", field, err)
		}
	}
}

// limitsHold runs into the bounds by commands and by units, and looks at what the
// kernel counted. The machine has to live through it.
func limitsHold(t *testing.T, m *nspawn.Machine, limits nspawn.Limits) {
	group := boundedGroup(t, m, limits)
	for file, want := range map[string]string{
		"cpu.max":  "150000 100000",
		"pids.max": fmt.Sprint(limits.Tasks),
	} {
		if got := readGroup(t, group, file); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	ctx := testContext(t)
	const hoard, fork = "exec tail /dev/zero", "for i in $(seq 300); do sleep 1000 >/dev/null 2>&1 & done"
	for how, run := range map[string]func() error{
		"Command":     func() error { return m.Command(ctx, "sh", "-c", hoard).Run() },
		"CommandUnit": func() error { return m.CommandUnit(ctx, "/bin/sh", "-c", hoard).Run() },
	} {
		before := readGroup(t, group, "memory.events")
		var exit *nspawn.ExitError
		if err := run(); !errors.As(err, &exit) || exit.Signal() != syscall.SIGKILL {
			t.Errorf("%s that hoards memory: %v, want that it is killed", how, err)
		}
		if after := readGroup(t, group, "memory.events"); after == before {
			t.Errorf("%s: the kernel has counted nothing: %s", how, after)
		}
	}
	// A unit: what is left of it ends with it, so that the machine can fork again.
	out, err := m.CommandUnit(ctx, "/bin/sh", "-c", fork).CombinedOutput()
	// Kernels before 6.11 count it in the group that failed, so the program is asked.
	if err == nil || !strings.Contains(string(out), "fork") {
		t.Errorf("300 processes: %v, %s", err, out)
	}
	if got := shell(t, m, "systemctl is-system-running"); got != "running" {
		t.Errorf("the machine is %s", got)
	}
}

// boundedGroup is the control group above the machine's first process that has the
// bound.
func boundedGroup(t *testing.T, m *nspawn.Machine, limits nspawn.Limits) string {
	t.Helper()
	data, err := os.ReadFile("/proc/" + itoa(m.Leader()) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	_, path, _ := strings.Cut(strings.TrimSpace(string(data)), "0::")
	for dir := filepath.Join("/sys/fs/cgroup", path); ; dir = filepath.Dir(dir) {
		if readGroup(t, dir, "memory.max") == fmt.Sprint(limits.Memory) {
			return dir
		}
	}
}

func readGroup(t *testing.T, group, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(group, file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
