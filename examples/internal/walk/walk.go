// Package walk runs the scripts that the examples are tested by, each in network and
// mount namespaces of its own: the programs make bridges, rules, mounts and machines,
// and must not make them on the host that they are tested on.
package walk

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/prologin/rig/snapshot"
)

// Main is for TestMain: it runs this program as one of the programs, by the names that
// they are called by, or the tests in the sandbox.
func Main(m *testing.M, programs map[string]func()) {
	if _, ok := programs[filepath.Base(os.Args[0])]; !ok && os.Geteuid() == 0 {
		if !insideSandbox() {
			os.Exit(enterSandbox())
		}
		if err := furnishSandbox(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	testscript.Main(m, programs)
}

// Skip skips a test that makes machines where it cannot.
func Skip(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot boot machines")
	}
	if testing.Short() {
		t.Skip("boots machines from a mirror that takes a minute to build")
	}
	if reason := os.Getenv(noMirror); reason != "" {
		t.Skip("no mirror to install from: " + reason)
	}
}

// Cache is the directory of the mirror.
func Cache() string { return os.Getenv(mirrorCache) }

// Run runs the scripts of testdata/walk, one after another: they share the network of
// the sandbox. Clean is the program that removes what a failed script left, by
// "-clean", and further are commands beside those of this package, or nil.
func Run(t *testing.T, clean string, further map[string]func(*testscript.TestScript, bool, []string)) {
	Skip(t)
	files, err := filepath.Glob("testdata/walk/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath(clean)
	if err != nil {
		t.Fatal(err)
	}
	all := commands()
	maps.Copy(all, further)
	for _, file := range files {
		testscript.RunT(sequential{t}, testscript.Params{
			Files: []string{file},
			Setup: func(env *testscript.Env) error {
				state := filepath.Join(env.WorkDir, "state")
				env.Setenv("STATE", state)
				env.Defer(func() { // of a script that failed
					_ = exec.Command(path, "-state", state, "-cache", Cache(), "-clean").Run()
				})
				env.Setenv("CACHE", Cache())
				env.Setenv("TESTDATA", testdata)
				env.Values[poolKey{}] = new(*snapshot.Pool)
				env.Values[runningKey{}] = new(*running)
				env.Setenv("GWDIR", filepath.Dir(path))
				return nil
			},
			Cmds: all,
		})
	}
}

// sequential keeps testscript from running scripts side by side.
type sequential struct{ *testing.T }

func (sequential) Parallel() {}

func (s sequential) Run(name string, f func(testscript.T)) {
	s.T.Run(name, func(t *testing.T) { f(sequential{t}) })
}

func (s sequential) Verbose() bool { return testing.Verbose() }
