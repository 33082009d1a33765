package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/examples/internal/walk"
	"github.com/prologin/rig/stage"
)

func TestMain(m *testing.M) {
	one := func(name, machine string) func() {
		return func() { os.Exit(prolo.Program(name, machine, "").Main()) }
	}
	walk.Main(m, map[string]func(){
		"lab":   main,
		"gw":    one("gw", prolo.MachineGW),
		"rhfs":  one("rhfs", prolo.MachineRHFS),
		"web":   one("web", prolo.MachineWeb),
		"pas":   one("pas", prolo.MachinePas),
		"clean": func() { os.Exit(prolo.Clean("").Main()) },
		"host":  func() { os.Exit(prolo.Host("").Main()) },
	})
}

// TestWalk makes machines.
func TestWalk(t *testing.T) { walk.Run(t, "lab", nil) }

// readEvents reads what -json has written.
func readEvents(t *testing.T, name string) (events []stage.Event) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := json.NewDecoder(file)
	for lines.More() {
		var e stage.Event
		if err := lines.Decode(&e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}
