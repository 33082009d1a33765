package archboot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestPrivatePackages: what was verified in a directory may have been exchanged when
// pacman comes, if others can write there or rename something above.
func TestPrivatePackages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(above, dir, file string) error
		want   bool
	}{
		"ours":            {func(_, _, _ string) error { return nil }, true},
		"file for all":    {func(_, _, file string) error { return os.Chmod(file, 0o666) }, false},
		"file of another": {func(_, _, file string) error { return os.Chown(file, 1, 1) }, false},
		"file is a link": {func(above, _, file string) error {
			target := filepath.Join(above, "elsewhere")
			return errors.Join(os.Rename(file, target), os.Symlink(target, file))
		}, false},
		"file is gone":         {func(_, _, file string) error { return os.Remove(file) }, false},
		"directory for all":    {func(_, dir, _ string) error { return os.Chmod(dir, 0o777|fs.ModeSticky) }, false},
		"directory of another": {func(_, dir, _ string) error { return os.Chown(dir, 1, 1) }, false},
		"above for a group":    {func(above, _, _ string) error { return os.Chmod(above, 0o775) }, false},
		"above as /tmp":        {func(above, _, _ string) error { return os.Chmod(above, 0o777|fs.ModeSticky) }, true},
		"above of another":     {func(above, _, _ string) error { return os.Chown(above, 1, 1) }, false},
		"above is a link": {func(above, _, _ string) error {
			return errors.Join(os.Rename(above, above+".real"), os.Symlink(above+".real", above))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			above := filepath.Join(t.TempDir(), "above")
			dir := filepath.Join(above, "cache")
			file := filepath.Join(dir, "a-1-1-any.pkg.tar.zst")
			if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(file, nil, 0o644)); err != nil {
				t.Fatal(err)
			}
			if err := c.change(above, dir, file); os.IsPermission(err) && os.Geteuid() != 0 {
				t.Skip("needs root:", err)
			} else if err != nil {
				t.Fatal(err)
			}
			if got := privatePackages(dir, []string{filepath.Base(file)}); got != c.want {
				t.Errorf("private: %v, want %v", got, c.want)
			}
		})
	}
	if privatePackages(t.TempDir(), nil) {
		t.Error("packages that are not known are trusted")
	}
}
