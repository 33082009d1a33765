package main

import (
	"os"
	"testing"

	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/examples/internal/walk"
)

func TestMain(m *testing.M) {
	one := func(name, machine string) func() {
		return func() { os.Exit((&prolo.Program{Name: name, Machine: machine}).Main()) }
	}
	walk.Main(m, map[string]func(){
		"lab":   main,
		"gw":    one("gw", prolo.MachineGW),
		"rhfs":  one("rhfs", prolo.MachineRHFS),
		"web":   one("web", prolo.MachineWeb),
		"pas":   one("pas", prolo.MachinePas),
		"clean": func() { os.Exit(prolo.CleanTool("clean", "").Main()) },
		"host":  func() { os.Exit(prolo.HostTool("host", "").Main()) },
	})
}

// TestWalk makes machines.
func TestWalk(t *testing.T) { walk.Run(t, "lab", nil) }
