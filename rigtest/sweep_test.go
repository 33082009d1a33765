package rigtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/proc"
)

func TestLeftBehind(t *testing.T) {
	t.Parallel()
	pid := os.Getpid()
	started, err := proc.StartTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	own, err := machineName("web")
	if err != nil {
		t.Fatal(err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		own: false,
		fmt.Sprintf("rigtest.%d-%s0.1.web", pid, started):          true, // the number came round
		fmt.Sprintf("rigtest.%d-1.1.web", gone.ProcessState.Pid()): true,
		"rigtest.web": false,
		"web":         false,
	} {
		if leftBehind(name) != want {
			t.Errorf("%s: left behind is %v", name, !want)
		}
	}
}

// killed is set in the process of a test that is killed while its machine runs.
const killed = "RIGTEST_KILLED"

func TestSweep(t *testing.T) {
	if os.Getenv(killed) != "" {
		machine := New(t).Machine("orphan")
		fmt.Println("\nbooted", machine.Name())
		select {}
	}
	t.Parallel()
	New(t) // skips where the other would
	cmd := exec.Command(os.Args[0], "-test.run=^TestSweep$")
	cmd.Env = append(os.Environ(), killed+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	name := ""
	for lines := bufio.NewScanner(out); name == "" && lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "booted "); ok {
			name = rest
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if name == "" {
		t.Fatal("the other test booted no machine")
	}
	names, err := New(t).lab.Names(t.Context()) // another test begins
	if err != nil || slices.Contains(names, name) {
		t.Errorf("%s is still there, %v", name, err)
	}
}
