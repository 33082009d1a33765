package archboot

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
)

// Unpack unpacks a bootstrap tarball, for benchmarks.
func Unpack(ctx context.Context, name, dir string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return extract(ctx, f, dir, "root.x86_64")
}

// ForgottenCgroups lists the control groups of bootstraps that are no longer at work.
func ForgottenCgroups() []string {
	own, err := ownCgroup()
	if err != nil {
		return nil
	}
	all, _ := fs.Glob(os.DirFS(own), cgroupPattern)
	var forgotten []string
	for _, name := range all {
		path := filepath.Join(own, name)
		if c, err := lockCgroup(path); err == nil {
			unlock(c.dir)
			forgotten = append(forgotten, path)
		}
	}
	return forgotten
}
