package stage_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

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

// open returns a lab of that plan, on a machine that is a fake.
func open(dir string, plan stage.Plan) *stage.Lab {
	volume, err := stagetest.NewVolume(filepath.Join(dir, "web"), nil)
	if err != nil {
		log.Fatal(err)
	}
	lab, err := stage.Open(plan, stage.Options{
		StateDir: filepath.Join(dir, "state"),
		Targets:  map[string]stage.Target{"web": {Machine: stagetest.NewMachine(volume), Volume: volume}},
	})
	if err != nil {
		log.Fatal(err)
	}
	return lab
}

// Before a run, a lab says what it would do and why.
func ExampleLab_Preview() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "rig-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if _, err := open(dir, web("hello")).Run(ctx, stage.Steering{}); err != nil {
		log.Fatal(err)
	}
	lab := open(dir, web("hello, world"))
	decisions, err := lab.Preview(ctx, stage.Steering{})
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range decisions {
		fmt.Println(d.Stage, d.Action)
	}
	changes, err := lab.Explain(ctx, "page")
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range changes {
		fmt.Println(c)
	}
	// Output:
	// nginx cached
	// page run
	// step 1: content changed from "hello" to "hello, world"
}

// A machine goes back to what it was after a stage, and what follows runs again.
func ExampleLab_Rollback() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "rig-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	lab := open(dir, web("hello"))
	if _, err := lab.Run(ctx, stage.Steering{}); err != nil {
		log.Fatal(err)
	}
	back, err := lab.Rollback(ctx, "nginx")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("restored", back.Restored)
	next, err := lab.Run(ctx, stage.Steering{From: "page"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ran", next.Ran)
	// Output:
	// restored [web]
	// ran [web/page]
}

// motd is a step of one's own: it says what a person would type, what its stage's key is
// made of, and how it is done.
type motd struct{ text string }

func (m motd) String() string { return fmt.Sprintf("welcome people with %q", m.text) }

func (m motd) Manual(string) []stage.Line {
	return []stage.Line{{Text: "echo '" + m.text + "' >/etc/motd"}}
}

func (m motd) Ingredients(r *stage.Recipe) { r.Text("motd", m.text) }

func (m motd) Run(ctx context.Context, s *stage.Session) error {
	return s.Exec(ctx, stage.Command{Args: []string{"tee", "/etc/motd"}, Stdin: strings.NewReader(m.text + "\n")})
}

// What has the methods of a Step is one.
func ExampleStep() {
	plan := stage.Plan{Name: "demo", Setups: []stage.Setup{{Machine: "web", Stages: []stage.Stage{
		{Name: "welcome", Steps: []stage.Step{motd{"hello"}}},
	}}}}
	if err := plan.WriteManual(os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// web: 1 stage
	// ============
	//
	// After each stage, a snapshot of web is taken: its files are written to disk, and it is frozen for a moment.
	//
	// 1. welcome
	// ----------
	//
	//     web# echo 'hello' >/etc/motd
}
