package nspawntest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/testroot"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/nspawn/nspawntest"
)

// rootVar has TestStateDir play the test that is killed, on that root.
const rootVar = "NSPAWNTEST_ROOT"

// TestStateDir wants the machine of a killed test to be ended by the next, and that
// of one that runs to be left alone.
func TestStateDir(t *testing.T) {
	if root := os.Getenv(rootVar); root != "" {
		leaveMachine(t, root)
	}
	root := testroot.Clone(t, testroot.Trixie)
	t.Setenv("TMPDIR", t.TempDir())
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestStateDir$")
	cmd.Env, cmd.Stderr = append(os.Environ(), rootVar+"="+root), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	leader := ""
	for lines := bufio.NewScanner(out); leader == "" && lines.Scan(); {
		leader, _ = strings.CutPrefix(lines.Text(), "leader ")
	}
	nspawntest.StateDir(t)
	if _, err := os.Stat(filepath.Join("/proc", leader, "root")); err != nil || leader == "" {
		t.Errorf("the machine of a test that runs: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if _, err := os.Stat(filepath.Join("/proc", leader, "root")); err != nil {
		t.Errorf("the machine of a killed test: %v", err)
	}
	nspawntest.StateDir(t)
	if _, err := os.Stat(filepath.Join("/proc", leader, "root")); err == nil {
		t.Errorf("its machine still runs, as process %s", leader)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "rig-nspawntest-*")); len(left) != 2 {
		t.Errorf("directories: %q", left)
	}
}

// leaveMachine starts a machine, tells of it, and waits for the end.
func leaveMachine(t *testing.T, root string) {
	host, err := nspawn.Open(t.Context(), nspawn.HostOptions{StateDir: nspawntest.StateDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := host.Start(t.Context(), nspawn.Config{Name: "left", Root: root, Command: []string{"sleep", "infinity"}})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("leader", m.Leader())
	select {}
}
