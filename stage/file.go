package stage

import (
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile replaces a file of the state as a whole: whoever reads it, also after a
// crash, finds the old or the new content.
func writeFile(name string, data []byte, perm os.FileMode) error {
	if err := replaceFile(name, data, perm, (*os.File).Sync); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// replaceFile replaces a file, calling flush with the new one before it appears.
func replaceFile(name string, data []byte, perm os.FileMode, flush func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	_, err = f.Write(data)
	for _, do := range []func() error{
		func() error { return f.Chmod(perm) }, func() error { return flush(f) },
	} {
		if err == nil {
			err = do()
		}
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// sweep removes what a program that was killed in writeFile has left. Whoever holds the
// lab's lock is the only writer. What cannot be removed is in nobody's way.
func (d stateDir) sweep() {
	for _, dir := range []string{".", "machines", "recipes", "ports", "checkpoints"} {
		left, _ := fs.Glob(os.DirFS(d.path(dir)), ".new-*")
		for _, name := range left {
			os.Remove(d.path(dir, name))
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
