package testroot

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestMirror(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  string
	}{
		"one line": {
			map[string]string{"sources.list": "# deb http://old/debian sid main\ndeb http://a/debian bookworm main\n"},
			"http://a/debian",
		},
		"options": {
			map[string]string{"sources.list": "deb [arch=amd64 signed-by=/k.gpg] https://a/debian trixie main contrib"},
			"https://a/debian",
		},
		"security, backports and sources do not count": {
			map[string]string{"sources.list": "deb http://s/security bookworm-security main\n" +
				"deb http://b/debian bookworm-backports main\ndeb-src http://c/debian bookworm main\n"},
			"",
		},
		"other vendors do not count": {
			map[string]string{"sources.list.d/vendor.list": "deb https://v/apt stable-vendor main\ndeb https://v/apt bookworm extras"},
			"",
		},
		"deb822": {
			map[string]string{"sources.list.d/debian.sources": "Types: deb deb-src\n# a comment\nURIs: http://a/debian\n" +
				"Suites: trixie trixie-updates\nComponents: main\n  contrib\n\nTypes: deb\nURIs: http://s/security\n" +
				"Suites: trixie-security\nComponents: main\n"},
			"http://a/debian",
		},
		"deb822 disabled": {
			map[string]string{"sources.list.d/debian.sources": "Types: deb\nEnabled: no\nURIs: http://a/debian\nSuites: sid\nComponents: main\n"},
			"",
		},
		"deb822 folded": {
			map[string]string{"sources.list.d/x.sources": "types: deb\nuris:\n http://a/debian\nsuites:\n\tstable\ncomponents: main"},
			"http://a/debian",
		},
		"foreign file": {
			map[string]string{"sources.list.d/debian.bak": "deb http://a/debian bookworm main"},
			"",
		},
	}
	t.Setenv("RIG_DEBIAN_MIRROR", "")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			etc := t.TempDir()
			for path, text := range tt.files {
				path = filepath.Join(etc, path)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := mirror(etc)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("mirror = %q, %v, want %q", got, err, tt.want)
			}
			if err != nil && !errors.Is(err, ErrUnreachable) {
				t.Errorf("error %v is not ErrUnreachable", err)
			}
		})
	}
}

func TestMirrorOverride(t *testing.T) {
	t.Setenv("RIG_DEBIAN_MIRROR", "http://mine/debian")
	if got, err := mirror(t.TempDir()); got != "http://mine/debian" || err != nil {
		t.Errorf("mirror = %q, %v", got, err)
	}
}

func FuzzSources(f *testing.F) {
	f.Add("deb [a=b] http://a/debian sid main\n")
	f.Add("Types: deb\nURIs: http://a\n\nx:y\n z")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range append(parseList(text), parseDeb822(text)...) {
			if s.uri == "" {
				t.Errorf("a source with no address in %q", text)
			}
		}
	})
}
