package stagetest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
	"github.com/prologin/rig/stage/step"
)

// A list of stages is run without a machine: a program of the test's own answers for the
// one that the step calls, and a snapshot that cannot be taken fails the stage.
func Example() {
	dir, err := os.MkdirTemp("", "rig-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	volume, err := stagetest.NewVolume(filepath.Join(dir, "gw"), nil)
	if err != nil {
		log.Fatal(err)
	}
	machine := stagetest.NewMachine(volume)
	machine.Handle("initdb", func(_ context.Context, p *stagetest.Proc) error {
		return p.Root.WriteFile("cluster", []byte("made\n"), 0o644)
	})
	lab, err := stage.Open(stage.Plan{Name: "gw", Setups: []stage.Setup{{Machine: "gw", Stages: []stage.Stage{
		{Name: "database", Steps: []stage.Step{step.Command("initdb")}},
	}}}}, stage.Options{
		StateDir: filepath.Join(dir, "state"),
		Targets:  map[string]stage.Target{"gw": {Machine: machine, Volume: volume}},
	})
	if err != nil {
		log.Fatal(err)
	}
	full := errors.New("no space left")
	volume.Fail("Save", 0, full)
	for range 2 {
		result, err := lab.Run(context.Background(), stage.Steering{})
		if err != nil {
			fmt.Println("failed:", errors.Is(err, full))
			continue
		}
		fmt.Println("ran", result.Ran)
	}
	// Output:
	// failed: true
	// ran [gw/database]
}

// A test holds a volume of one's own to what stage.Volume says.
func ExampleTestVolume() {
	var t *testing.T // of the test
	stagetest.TestVolume(t, func(t *testing.T) (stage.Volume, func() string) {
		volume, err := stagetest.NewVolume(t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return volume, volume.Tree
	})
}
