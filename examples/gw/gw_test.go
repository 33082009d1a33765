package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/prologin/rig/examples/internal/walk"
)

func TestMain(m *testing.M) { walk.Main(m, map[string]func(){"gw": main}) }

// TestUsage needs no privileges.
func TestUsage(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/usage",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"eachstage": eachStage},
	})
}

// TestWalk makes machines.
func TestWalk(t *testing.T) {
	walk.Run(t, "gw", map[string]func(*testscript.TestScript, bool, []string){
		"eventually": eventually, "eachstage": eachStage,
	})
}
