package prolo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// Payload is the SADM that is installed and tested.
type Payload struct {
	// Dir is its checkout on the host, which is never modified, or where the stand-in is put.
	Dir     string
	standIn bool
	// Generation is the year of the layout, 2018 or 2019.
	Generation string
	// Bind shows the checkout in the machines rather than copy it there.
	Bind bool
	// Internet is a URL that every machine can fetch, for checks that look whether
	// the world is in reach.
	Internet string
	// VM has pas-r11p11's set-up boot a virtual machine as well. Pictures is where
	// those of its screen are kept.
	VM       bool
	Pictures string
	// Contestants is how many light machines there are beside those of the finals.
	Contestants int
}

// checkout is where the payload is in a machine.
const checkout = "/root/sadm"

// applications is where the payload puts those of Django, in both generations.
const applications = "/var/prologin"

// venv is the payload's Python environment: what has moved between the generations.
func (p Payload) venv() string {
	if p.Generation == "2018" {
		return "/var/prologin/venv"
	}
	return "/opt/prologin/venv"
}

// CopySADM returns the stage that brings the checkout into a machine.
func (p Payload) CopySADM() stage.Stage {
	s := stage.Stage{
		Name:   "copy_sadm",
		Doc:    "Bring the checkout to " + checkout + ".",
		Steps:  []stage.Step{step.Copy{From: p.Dir, To: checkout}},
		Checks: []stage.Check{check.FilePresent{Path: checkout + "/install_scripts/setup_sadm.sh"}},
	}
	if p.Bind {
		s.Doc = "The checkout is at " + checkout + ", below a layer that takes the changes."
		s.Steps, s.Inputs = nil, []stage.Input{{File: p.Dir}}
	}
	return s
}

// overlays shows the checkout in a machine, where it is not copied.
func (p Payload) overlays() []nspawn.Overlay {
	if !p.Bind {
		return nil
	}
	return []nspawn.Overlay{{Layers: []string{p.Dir, ""}, Target: checkout}}
}

// Validate reports what is wrong with the checkout.
func (p Payload) Validate() error {
	if p.Dir == "" {
		return nil
	}
	for _, name := range []string{"install.py", "install_scripts/setup_sadm.sh", "install_scripts/setup_gw.sh"} {
		file, err := os.Open(filepath.Join(p.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("-sadm %s is no checkout of prologin-sadm: it has no %s", p.Dir, name)
		}
		if err != nil {
			return fmt.Errorf("-sadm: %w", err)
		}
		file.Close()
	}
	return nil
}

// masterSecret is the one secret of the payload, by the name of the variable that
// holds it.
const masterSecret = "PROLOGIN_SADM_MASTER_SECRET"

// secretFile keeps a secret of the lab's own, in its state directory.
const secretFile = "secret"

// secret returns a secret from the environment or else a random one of the lab's own.
func secret(state string) func(context.Context, string) ([]byte, error) {
	return func(_ context.Context, name string) ([]byte, error) {
		if value := os.Getenv(name); value != "" {
			return []byte(value), nil
		}
		if name != masterSecret {
			return nil, fmt.Errorf("secret %s: set the variable of that name: %w", name, stage.ErrNotFound)
		}
		file := filepath.Join(state, secretFile)
		value, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			value = []byte(rand.Text())
			err = os.WriteFile(file, value, 0o600)
		}
		return value, err
	}
}
