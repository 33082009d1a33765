package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestComplete: what is wrong with the options is said before anything is made.
func TestComplete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, root := filepath.Join(dir, "file"), filepath.Join(dir, "root")
	for _, name := range []string{file, filepath.Join(root, "etc/os-release")} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		options Options
		want    string // "" for no error
	}{
		{Options{}, ""},
		{Options{PasswordFile: file, Mirror: "http://mirror/", MirrorKeys: file, Base: root, Driver: "copy", Launcher: "direct", Network: "zone"}, ""},
		{Options{Mirror: "sid"}, ""},
		{Options{Driver: "overlays"}, `-driver "overlays" is none of btrfs, overlay, copy (is it "overlay"?)`},
		{Options{Launcher: "machined"}, "-launcher"},
		{Options{Network: "brigde"}, `(is it "bridge"?)`},
		{Options{Mirror: "trixi"}, `(is it "trixie"?)`},
		{Options{MirrorKeys: file}, "-mirror-keys without the URL of a -mirror"},
		{Options{Mirror: "http://mirror/", MirrorKeys: file + "x"}, "-mirror-keys: stat "},
		{Options{PasswordFile: file + "x"}, "-password-file: stat "},
		{Options{PasswordFile: dir}, "-password-file: " + dir + " is a directory"},
		{Options{Base: dir + "x"}, "-base: stat "},
		{Options{Base: file}, "is no system's root"},
		{Options{Base: dir}, "is no system's root"},
	} {
		err := c.options.Complete()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.options, err, c.want)
		}
	}
}
