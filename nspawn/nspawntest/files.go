package nspawntest

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/prologin/rig/nspawn"
)

func testFS(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("fs"), Tmpfs: []nspawn.Tmpfs{{Target: "/mnt"}}})
	for _, err := range []error{
		m.MkdirAll("/mnt/a/b", 0o755), m.WriteFile("/mnt/a/b/file", []byte("content"), 0o600), m.Symlink("/mnt/a", "/mnt/link"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := shell(t, m, "cat /mnt/link/b/file"); got != "content" {
		t.Errorf("in the machine: %q", got)
	}
	var names []string
	err := fs.WalkDir(m.FS(), "mnt", func(name string, entry fs.DirEntry, err error) error {
		names = append(names, name)
		if info, infoErr := entry.Info(); infoErr != nil || info.Name() != entry.Name() {
			t.Errorf("info of %s: %v, %v", name, info, infoErr)
		}
		return err
	})
	if err != nil || !slices.Equal(names, []string{"mnt", "mnt/a", "mnt/a/b", "mnt/a/b/file", "mnt/link"}) {
		t.Errorf("walk: %q, %v", names, err)
	}
	if data, err := fs.ReadFile(m.FS(), "mnt/link/b/file"); err != nil || string(data) != "content" {
		t.Errorf("ReadFile: %q, %v", data, err)
	}
	if _, err := fs.ReadFile(m.FS(), "dev/console"); err == nil {
		t.Error("a device was read")
	}
	if info, err := m.Stat("/mnt/link"); err != nil || !info.IsDir() {
		t.Errorf("Stat: %v, %v", info, err)
	}
	if err := m.RemoveAll("/mnt/a"); err != nil {
		t.Error(err)
	}
	if _, err := m.Stat("/mnt/link"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after RemoveAll: %v", err)
	}
}
