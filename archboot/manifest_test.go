package archboot

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestManifestDiff(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"etc/same": "x", "etc/content": "a", "etc/gone": "x", "etc/mode": "x", "etc/link": "->a", "var/log/pacman.log": "1",
		"var/lib/pacman/local/a-1-1/desc": "%NAME%\na\n\n%VERSION%\n1-1\n",
	}
	a := treeWith(t, files)
	delete(files, "etc/gone")
	files["etc/content"], files["etc/link"], files["etc/new"], files["var/log/pacman.log"] = "b", "->b", "x", "2"
	delete(files, "var/lib/pacman/local/a-1-1/desc")
	files["var/lib/pacman/local/a-1-2/desc"] = "%NAME%\na\n\n%VERSION%\n1-2\n"
	b := treeWith(t, files)
	if err := os.Chmod(filepath.Join(b.Dir(), "etc/mode"), 0o600); err != nil {
		t.Fatal(err)
	}
	ma, err := ReadManifest(t.Context(), a.Dir())
	if err != nil {
		t.Fatal(err)
	}
	mb, err := ReadManifest(t.Context(), b.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range ma.Diff(mb, append(VolatilePaths(), "/var/lib/pacman")) {
		words := strings.Fields(line)
		if words[1] == "package" {
			got = append(got, line)
		} else {
			got = append(got, words[0]+words[3])
		}
	}
	want := []string{"- package a 1-1", "+ package a 1-2", "-/etc/content", "+/etc/content", "-/etc/gone", "-/etc/link", "+/etc/link", "-/etc/mode", "+/etc/mode", "+/etc/new"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if lines := ma.Diff(ma, nil); len(lines) > 0 {
		t.Errorf("a manifest differs from itself: %q", lines)
	}
}

func TestParseDescRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "%NAME%", "%NAME%\na\n", "%VERSION%\n1\n"} {
		if p, err := parseDesc(strings.NewReader(text)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}
