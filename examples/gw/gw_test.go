package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/prologin/rig/snapshot"
)

// TestMain runs this program as gw, or the tests in namespaces of their own:
// gw makes a bridge, rules, mounts and machines, and must not make them on the
// host that it is tested on.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "gw" && os.Geteuid() == 0 {
		if !insideSandbox() {
			os.Exit(enterSandbox())
		}
		if err := furnishSandbox(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	testscript.Main(m, map[string]func(){"gw": main})
}

// TestUsage needs no privileges.
func TestUsage(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/usage",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"eachstage": eachStage},
	})
}

// TestWalk makes machines. Its scripts share the network of the sandbox, hence no
// t.Parallel.
func TestWalk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot boot machines")
	}
	if testing.Short() {
		t.Skip("boots machines from a mirror that takes a minute to build")
	}
	if reason := os.Getenv(noMirror); reason != "" {
		t.Skip("no mirror to install from: " + reason)
	}
	files, err := filepath.Glob("testdata/walk/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("gw")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		testscript.RunT(sequential{t}, testscript.Params{
			Files: []string{file},
			Setup: func(env *testscript.Env) error {
				state := filepath.Join(env.WorkDir, "state")
				env.Setenv("STATE", state)
				env.Defer(func() { // of a script that failed
					_ = exec.Command(path, "-state", state, "-cache", os.Getenv(mirrorCache), "-clean").Run()
				})
				env.Setenv("CACHE", os.Getenv(mirrorCache))
				env.Setenv("TESTDATA", testdata)
				env.Values[poolKey{}] = new(*snapshot.Pool)
				env.Setenv("GWDIR", filepath.Dir(path))
				return nil
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"await":      await,
				"rungw":      rungw,
				"signal":     signal,
				"host":       host,
				"inside":     inside,
				"eventually": eventually,
				"eachstage":  eachStage,
				"world":      world,
				"link":       link,
				"mirror":     mirror,
				"pool":       pool,
			},
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
