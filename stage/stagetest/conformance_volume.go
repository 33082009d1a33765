package stagetest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/prologin/rig/stage"
)

// TestVolume checks that volumes keep the promises of [stage.Volume]. Each call of open
// returns a new volume without snapshots and a function that returns the path of its
// tree.
func TestVolume(t *testing.T, open func(t *testing.T) (v stage.Volume, tree func() string)) {
	for _, test := range []struct {
		name string
		f    func(*opened)
	}{
		{"saves and restores", savesAndRestores},
		{"lists in order", listsInOrder},
		{"keeps snapshots from the tree", keepsFromTree},
		{"refuses wrong names", refusesWrongNames},
		{"removes", removes},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, tree := open(t)
			test.f(&opened{v, t, tree})
		})
	}
}

// opened is a volume under test. Its tree has one file.
type opened struct {
	stage.Volume
	t    *testing.T
	tree func() string
}

func (v *opened) file() string { return filepath.Join(v.tree(), "file") }

func (v *opened) write(text string) {
	v.t.Helper()
	if err := os.WriteFile(v.file(), []byte(text), 0o644); err != nil {
		v.t.Fatal(err)
	}
}

func (v *opened) want(text string) {
	v.t.Helper()
	got, err := os.ReadFile(v.file())
	if err != nil || string(got) != text {
		v.t.Fatalf("the tree has %q, %v; want %q", got, err, text)
	}
}

func (v *opened) save(name, key string) {
	v.t.Helper()
	if err := v.Save(context.Background(), stage.Saved{Name: name, Key: key}); err != nil {
		v.t.Fatal(err)
	}
}

func (v *opened) restore(name string) {
	v.t.Helper()
	if err := v.Restore(context.Background(), name); err != nil {
		v.t.Fatal(err)
	}
}

func (v *opened) saved() []stage.Saved {
	v.t.Helper()
	saved, err := v.Saved(context.Background())
	if err != nil {
		v.t.Fatal(err)
	}
	return saved
}

func savesAndRestores(v *opened) {
	for _, text := range []string{"one", "two", "three"} {
		v.write(text)
		v.save("s-"+text, "key-"+text)
	}
	for _, text := range []string{"one", "three", "two", "two"} {
		v.write("something else")
		v.restore("s-" + text)
		v.want(text)
	}
}

func listsInOrder(v *opened) {
	v.write("x")
	names := []string{"b-1", "a.2", "c_3"}
	for _, name := range names {
		v.save(name, "key of "+name)
	}
	saved := v.saved()
	if len(saved) != len(names) {
		v.t.Fatalf("%+v", saved)
	}
	for i, s := range saved {
		if s.Name != names[i] || s.Key != "key of "+names[i] || s.Time.IsZero() {
			v.t.Errorf("element %d is %+v", i, s)
		}
	}
}

func keepsFromTree(v *opened) {
	v.write("old")
	v.save("s", "")
	v.write("new")
	v.want("new")
	v.restore("s")
	v.write("newer")
	v.restore("s")
	v.want("old")
}

func refusesWrongNames(v *opened) {
	ctx := context.Background()
	v.write("x")
	v.save("s", "")
	if err := v.Save(ctx, stage.Saved{Name: "s"}); !errors.Is(err, fs.ErrExist) {
		v.t.Errorf("saving under a name in use: %v", err)
	}
	if err := v.Restore(ctx, "t"); !errors.Is(err, fs.ErrNotExist) {
		v.t.Errorf("restoring what is not there: %v", err)
	}
	v.want("x")
	if err := v.Remove(ctx, "t"); !errors.Is(err, fs.ErrNotExist) {
		v.t.Errorf("removing what is not there: %v", err)
	}
}

func removes(v *opened) {
	v.write("x")
	v.save("s", "k")
	v.save("t", "k")
	if err := v.Remove(context.Background(), "s"); err != nil {
		v.t.Fatal(err)
	}
	if saved := v.saved(); len(saved) != 1 || saved[0].Name != "t" {
		v.t.Errorf("left: %+v", saved)
	}
	v.restore("t")
}
