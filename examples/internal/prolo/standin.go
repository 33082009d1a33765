package prolo

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/prologin/rig/examples/sadm"
)

// standIn is where the stand-in for prologin-sadm is put on the host.
func standIn(state string) string { return filepath.Join(state, "sadm") }

// unpack puts the stand-in, which the program carries with it, into a directory. What
// begins with "#!" can be executed.
func unpack(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return fs.WalkDir(sadm.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) == ".go" {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		data, err := sadm.Files.ReadFile(name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(data, []byte("#!")) {
			mode = 0o755
		}
		return os.WriteFile(target, data, mode)
	})
}
