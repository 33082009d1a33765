package snapshottest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prologin/rig/snapshot"
)

func create(t *testing.T, s *snapshot.Store, name string) *snapshot.Volume {
	t.Helper()
	v, err := s.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func take(t *testing.T, v *snapshot.Volume, name string, md snapshot.Metadata) snapshot.Snapshot {
	t.Helper()
	snap, err := v.Snapshot(t.Context(), name, md)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func restore(t *testing.T, v *snapshot.Volume, name string) {
	t.Helper()
	if err := v.Restore(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, v *snapshot.Volume) []string {
	t.Helper()
	var list []string
	for snap, err := range v.Snapshots(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, snap.Name)
	}
	return list
}

// view describes a snapshot's files.
func view(t *testing.T, v *snapshot.Volume, name string) []string {
	t.Helper()
	dir, release, err := v.View(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	list := Describe(t, dir)
	if err := release(); err != nil {
		t.Fatal(err)
	}
	return list
}

func write(t *testing.T, v *snapshot.Volume, name, text string) {
	t.Helper()
	path := filepath.Join(v.Path(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, v *snapshot.Volume, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(v.Path(), name))
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// empty removes everything in a volume.
func empty(t *testing.T, v *snapshot.Volume) {
	t.Helper()
	entries, err := os.ReadDir(v.Path())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(v.Path(), e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// is fails unless err is a *snapshot.Error that matches want.
func is(t *testing.T, err, want error) {
	t.Helper()
	if _, ok := err.(*snapshot.Error); !ok || !errors.Is(err, want) {
		t.Errorf("error %v (%T), want an *Error that is %q", err, err, want)
	}
}

// same fails with the lines that differ.
func same(t *testing.T, want, got []string) {
	t.Helper()
	if slices.Equal(want, got) {
		return
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("unexpected: %s", line)
		}
	}
	if !t.Failed() {
		t.Errorf("order is %v, want %v", got, want)
	}
}

// paths keeps the first word of each line that Describe made.
func paths(lines []string) []string {
	var list []string
	for _, line := range lines {
		path, _, _ := strings.Cut(line, " ")
		list = append(list, path)
	}
	return list
}
