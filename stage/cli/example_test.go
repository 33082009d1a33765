package cli_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/cli"
	"github.com/prologin/rig/stage/stagetest"
	"github.com/prologin/rig/stage/step"
)

// A program says what its plan is and what it runs on. Flags, output and exit status
// come with it, and so do hints for those who mistype.
func Example() {
	dir, err := os.MkdirTemp("", "rig-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	plan := stage.Plan{Name: "wiki", Setups: []stage.Setup{{Machine: "wiki", Stages: []stage.Stage{
		{Name: "page", Steps: []stage.Step{step.WriteFile{Path: "/page", Content: "hello\n"}}},
	}}}}
	program := cli.Program{
		Name: "wiki", Text: "Sets up the machine wiki.", Machine: "wiki",
		Plan: func() (stage.Plan, error) { return plan, nil },
		Run: func(ctx context.Context, c *cli.Command) error {
			volume, err := stagetest.NewVolume(filepath.Join(dir, "wiki"), nil)
			if err != nil {
				return err
			}
			lab, err := stage.Open(plan, c.Options(stage.Options{
				StateDir: filepath.Join(dir, "state"),
				Targets:  map[string]stage.Target{"wiki": {Machine: stagetest.NewMachine(volume), Volume: volume}},
			}))
			if err != nil {
				return err
			}
			return c.Do(ctx, lab)
		},
	}
	// A main function has os.Exit(cli.Main(program)) here.
	for _, args := range [][]string{{"-q"}, {"-until", "pge"}} {
		status := program.Exec(context.Background(), args, os.Stdout, os.Stdout)
		fmt.Println("exit status", status)
	}
	// Output:
	// exit status 0
	// wiki: stage "pge": not found (is it "page"?); the stages are page; see wiki -h
	// exit status 2
}
