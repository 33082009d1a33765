package stage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/stage"
)

func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	secret := "correct horse"
	f := newFixture(t, single("one", "two"))
	f.opts.Secret = func(context.Context, string) ([]byte, error) { return []byte(secret), nil }
	f.plan.Setups[0].Stages[0].Inputs = []stage.Input{{Secret: "pw"}}
	f.plan.Setups[0].Stages[1].Steps = []stage.Step{command{"echo", "it is correct horse."}, command{"cat", "/correct horse"}}
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Fatalf("error %v", err)
	}
	for _, e := range f.events {
		if strings.Contains(fmt.Sprintf("%+v", e), secret) {
			t.Errorf("an event has the secret: %+v", e)
		}
	}
	f.plan = single("one", "two")
	f.plan.Setups[0].Stages[0].Inputs = []stage.Input{{Secret: "pw"}}
	f.run(stage.Steering{}, "gw/two")
	secret = "changed"
	changes, err := f.lab().Explain(context.Background(), "one")
	if err != nil || len(changes) != 1 || changes[0].String() != "secret pw changed" {
		t.Errorf("changes %v, error %v", changes, err)
	}
	f.run(stage.Steering{}, "gw/one", "gw/two")

	err = filepath.WalkDir(f.opts.StateDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte("correct horse")) {
			t.Errorf("%s has the secret:\n%s", path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSecretsInErrors has one secret that is the beginning of another, and an error that
// quotes the longer one.
func TestSecretsInErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	f.opts.Secret = func(_ context.Context, name string) ([]byte, error) {
		return []byte(map[string]string{"a": "horse", "b": "horse battery", "c": "horse battery staple"}[name]), nil
	}
	f.plan.Setups[0].Stages[0].Inputs = []stage.Input{{Secret: "b"}, {Secret: "a"}, {Secret: "c"}}
	f.plan.Setups[0].Stages[0].Steps = []stage.Step{quoting{}}
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	if !errors.Is(err, errInjected) || !strings.Contains(err.Error(), "with [secret c]") || strings.Contains(err.Error(), "staple") {
		t.Errorf("error %v", err)
	}
}

// quoting is a step that fails with a secret in its error.
type quoting struct{ command }

func (quoting) Run(context.Context, *stage.Session) error {
	return fmt.Errorf("with horse battery staple: %w", errInjected)
}
