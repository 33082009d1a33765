package nspawn_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/nspawn"
)

// TestLimits wants bounds to hold, or to be refused before anything is started.
func TestLimits(t *testing.T) {
	t.Parallel()
	host := openHost(t, nspawn.HostOptions{})
	limits := nspawn.Limits{Memory: 512 << 20, CPUs: 0.5, Tasks: 200}
	available := true
	for _, f := range nspawn.Doctor(t.Context()) {
		available = available && (f.Topic != "limits" || f.Err == nil)
	}
	config := nspawn.Config{Name: "bounded", Root: newRoot(t), Limits: limits}
	if !available {
		m, err := host.Start(testContext(t), config)
		if !errors.Is(err, nspawn.ErrNotSupported) || m != nil {
			t.Fatalf("Start: %v", err)
		}
		for _, field := range []string{"Limits.Memory", "Limits.CPUs", "Limits.Tasks"} {
			if !strings.Contains(err.Error(), field) {
				t.Errorf("%s is not in the error: %v", field, err)
			}
		}
		return
	}
	m := boot(t, host, config)
	group, err := os.ReadFile("/proc/" + itoa(m.Leader()) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	_, path, _ := strings.Cut(strings.TrimSpace(string(group)), "0::")
	for dir := filepath.Join("/sys/fs/cgroup", path); ; dir = filepath.Dir(dir) {
		if data, err := os.ReadFile(filepath.Join(dir, "memory.max")); err != nil {
			t.Fatalf("no bound above %s", path)
		} else if strings.TrimSpace(string(data)) == itoa(int(limits.Memory)) {
			return
		}
	}
}
