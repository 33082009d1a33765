package prolo

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/prologin/rig/examples/sadm"
)

// standInDir is where the stand-in is put, in the lab's state directory.
const standInDir = "sadm"

// unpack puts the stand-in, which the program carries with it, where the checkout is expected
// if there is no other. What begins with "#!" can be executed.
func (p *Payload) unpack() error {
	if !p.standIn {
		return nil
	}
	if err := os.RemoveAll(p.Dir); err != nil {
		return err
	}
	return fs.WalkDir(sadm.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) == ".go" {
			return err
		}
		target := filepath.Join(p.Dir, filepath.FromSlash(name))
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
