package stage_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/stagetest"
	"github.com/prologin/rig/stage/step"
)

// web is a plan for one machine.
func web(page string) stage.Plan {
	return stage.Plan{Name: "demo", Setups: []stage.Setup{{
		Machine: "web",
		Base:    "debian-12",
		Stages: []stage.Stage{
			{
				Name:   "nginx",
				Steps:  []stage.Step{step.Enable{Units: []string{"nginx.service"}, Now: true}},
				Checks: []stage.Check{check.UnitActive{Name: "nginx.service"}},
			},
			{
				Name:   "page",
				Steps:  []stage.Step{step.WriteFile{Path: "/srv/index.html", Content: page}},
				Checks: []stage.Check{check.FileContains{Path: "/srv/index.html", Text: "hello"}},
			},
		},
	}}}
}

// A second run of an unchanged plan runs nothing; a changed stage runs again.
func Example() {
	dir, err := os.MkdirTemp("", "rig-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	volume, err := stagetest.NewVolume(filepath.Join(dir, "web"), nil)
	if err != nil {
		log.Fatal(err)
	}
	opts := stage.Options{
		StateDir: filepath.Join(dir, "state"),
		Targets:  map[string]stage.Target{"web": {Machine: stagetest.NewMachine(volume), Volume: volume}},
	}
	for _, page := range []string{"hello", "hello", "hello, world"} {
		lab, err := stage.Open(web(page), opts)
		if err != nil {
			log.Fatal(err)
		}
		result, err := lab.Run(context.Background(), stage.Steering{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("ran", result.Ran, "cached", result.Cached)
	}
	// Output:
	// ran [web/nginx web/page] cached []
	// ran [] cached [web/nginx web/page]
	// ran [web/page] cached [web/nginx]
}

// The plan says what a person would type.
func ExamplePlan_WriteManual() {
	if err := web("hello").WriteManual(os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// web: 2 stages
	// =============
	//
	// After each stage, a snapshot of web is taken: its files are written to disk, and it is frozen for a moment.
	//
	// 1. nginx
	// --------
	//
	//     web# systemctl enable --now nginx.service
	//
	// Then, until it is so:
	//
	//     # nginx.service is active
	//     web# systemctl is-active nginx.service
	//
	// 2. page
	// -------
	//
	//     web# cat >/srv/index.html <<'EOF'
	//     hello
	//     EOF
	//
	// Then, until it is so:
	//
	//     # /srv/index.html contains "hello"
	//     web# grep -F hello /srv/index.html
}
