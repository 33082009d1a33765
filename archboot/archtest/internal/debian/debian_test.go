package debian

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const status = `Package: bash
Status: install ok installed
Version: 5.2.37-2+b8
Pre-Depends: libc6 (>= 2.38), libtinfo6 (>= 6)
Depends: base-files (>= 2.1.12), debianutils (>= 5.6-0.1) | coreutils
Description: GNU Bourne Again SHell
 Bash is an sh-compatible command language interpreter
 Depends: not a field, a line of the description
Homepage: https://example.invalid/bash

Package: gone
Status: deinstall ok config-files
Version: 1

Package: mawk
Status: install ok installed
Version: 1.3.4.20250131-1
Provides: awk, mawk-any (= 1)
Depends: perl:any
`

func TestParseStatus(t *testing.T) {
	t.Parallel()
	got, err := parseStatus(strings.NewReader(status))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]deb{
		"bash": {name: "bash", version: "5.2.37-2+b8", summary: "GNU Bourne Again SHell", homepage: "https://example.invalid/bash",
			depends: []string{"libc6", "libtinfo6", "base-files", "debianutils | coreutils"}},
		"mawk": {name: "mawk", version: "1.3.4.20250131-1", depends: []string{"perl"}, provides: []string{"awk", "mawk-any"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(deb{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add(status)
	f.Add("Package: a\nStatus: install ok installed\nDepends: ,|,(\n")
	f.Fuzz(func(t *testing.T, text string) {
		debs, err := parseStatus(strings.NewReader(text))
		if err != nil {
			return
		}
		for name, d := range debs {
			if name == "" || d.name != name {
				t.Errorf("package %q is filed under %q", d.name, name)
			}
			if slices.Contains(d.depends, "") {
				t.Errorf("package %q depends on nothing: %q", name, d.depends)
			}
		}
	})
}

func TestArchVersion(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"5.2.37-2+b8":           "5.2.37-2+b8",
		"1:9.20.4-1~deb13u1":    "1:9.20.4-1~deb13u1",
		"0:1.0-1":               "1.0-1",
		"2025b":                 "2025b-1",
		"1.2-rc1-3":             "1.2_rc1-3",
		"1:2:3-4":               "1:2_3-4",
		"3:20180417-1.1":        "3:20180417-1.1",
		"2025080400~deb13u1":    "2025080400~deb13u1-1",
		"0.18+ds-1":             "0.18+ds-1",
		"1.14.10-1~deb13u1+b10": "1.14.10-1~deb13u1+b10",
	} {
		if got := archVersion(from); got != want {
			t.Errorf("archVersion(%q) = %q, want %q", from, got, want)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"bin/ls":                     "usr/bin/ls",
		"sbin/ip":                    "usr/bin/ip",
		"usr/sbin/sshd":              "usr/bin/sshd",
		"lib/systemd/systemd":        "usr/lib/systemd/systemd",
		"lib64/ld-linux-x86-64.so.2": "usr/lib/ld-linux-x86-64.so.2",
		"usr/lib64/x":                "usr/lib/x",
		"usr/lib/x86_64-linux-gnu/x": "usr/lib/x86_64-linux-gnu/x",
		"etc/bin/x":                  "etc/bin/x",
		"bin":                        "bin",
		"usr/local/sbin/x":           "usr/local/sbin/x",
	} {
		if got := canonical(from); got != want {
			t.Errorf("canonical(%q) = %q, want %q", from, got, want)
		}
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path string
		dir  bool
		want bool
	}{
		{"usr/bin/ls", false, true},
		{"etc/ssh/sshd_config", false, true},
		{"etc/ssh/ssh_host_ed25519_key", false, false},
		{"etc/ssh/ssh_host_rsa_key.pub", false, false},
		{"var/log/nginx", true, true},
		{"var/log/nginx/access.log", false, false},
		{"var/cache/apt/archives/lock", false, false},
		{"var/lib/dpkg/status", false, false},
		{"var/lib/dpkg", true, false},
		{"etc/systemd/system/multi-user.target.wants/ssh.service", false, false},
		{"etc/systemd/system/getty.target.wants/getty@tty1.service", false, true},
		{"etc/rc2.d/S01ssh", false, false},
		{"usr/share/locale/locale.alias", false, true},
		{"usr/share/locale/de/LC_MESSAGES/bash.mo", false, false},
		{"usr/lib/python3/dist-packages/x/__pycache__/y.pyc", false, false},
	} {
		if got := keep(c.path, c.dir); got != c.want {
			t.Errorf("keep(%q) = %v, want %v", c.path, got, c.want)
		}
	}
}

func TestHostMirror(t *testing.T) {
	t.Parallel()
	const (
		security = "Types: deb\nURIs: http://security.invalid/debian-security\nSuites: trixie-security\nComponents: main\n"
		vendor   = "deb [arch=amd64] https://vendor.invalid/apt trixie-vendor main\n"
	)
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing":    {nil, ""},
		"one line":   {map[string]string{"sources.list": "# comment\ndeb-src http://src.invalid/ trixie main\ndeb http://a.invalid/debian trixie main contrib # here\n"}, "http://a.invalid/debian"},
		"options":    {map[string]string{"sources.list": "deb [ signed-by=/a/b arch=amd64 ] http://a.invalid/debian/ sid main\n"}, "http://a.invalid/debian/"},
		"deb822":     {map[string]string{"sources.list.d/debian.sources": security + "\n# comment\nTypes: deb deb-src\nURIs: http://b.invalid/debian\nSuites: bookworm bookworm-updates\nComponents: main non-free\n"}, "http://b.invalid/debian"},
		"continued":  {map[string]string{"sources.list.d/debian.sources": "Types: deb\nURIs:\n http://c.invalid/debian\n http://d.invalid/debian\nSuites:\n\ttrixie\nComponents:\n main\n"}, "http://c.invalid/debian"},
		"disabled":   {map[string]string{"sources.list.d/debian.sources": "Enabled: no\nTypes: deb\nURIs: http://b.invalid/debian\nSuites: sid\nComponents: main\n"}, ""},
		"only other": {map[string]string{"sources.list.d/vendor.list": vendor, "sources.list.d/security.sources": security}, ""},
		"mirror list": {map[string]string{"sources.list": "deb mirror+file:ETC/mirrors trixie main\n",
			"mirrors": "# ours\nhttp://e.invalid/debian priority:1\n"}, "http://e.invalid/debian"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etc := t.TempDir()
			for file, text := range c.files {
				file = filepath.Join(etc, file)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "ETC", etc)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := hostMirror(etc); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzHostMirror(f *testing.F) {
	f.Add("deb [a] http://x trixie main")
	f.Add("]deb[ http://x trixie main")
	f.Add("Types: deb\n URIs: x")
	f.Fuzz(func(t *testing.T, text string) {
		mirrorOfLine(text)
		mirrorOfStanza(text)
	})
}

func TestRenameAccounts(t *testing.T) {
	t.Parallel()
	rename := map[string]string{"www-data": "http"}
	for from, want := range map[string]string{
		"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n": "http:x:33:33:www-data:/var/www:/usr/sbin/nologin\n",
		"www-data:x:33:\n":               "http:x:33:\n",
		"adm:x:4:syslog,www-data,root\n": "adm:x:4:syslog,http,root\n",
		"root:x:0:\n":                    "root:x:0:\n",
	} {
		if got := renameAccounts(from, rename); got != want {
			t.Errorf("renameAccounts(%q) = %q, want %q", from, got, want)
		}
	}
}

// TestRecipes finds faults in the tables that would show only in a build.
func TestRecipes(t *testing.T) {
	t.Parallel()
	claimed := map[string]string{}
	all := map[string]recipe{}
	for name, r := range recipes {
		all[name] = r
	}
	for _, a := range addons {
		if _, ok := all[a.name]; !ok {
			all[a.name] = a.recipe
		}
		for name, r := range a.further {
			all[name] = r
		}
	}
	for name, r := range all {
		for _, d := range r.debs {
			if other, ok := claimed[d]; ok {
				t.Errorf("%s goes into both %s and %s", d, other, name)
			}
			claimed[d] = name
			if plumbing[d] {
				t.Errorf("%s goes into %s and is plumbing", d, name)
			}
		}
	}
	dirs, err := files.ReadDir("files")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if _, ok := all[dir.Name()]; !ok {
			t.Errorf("files/%s belongs to no recipe", dir.Name())
		}
	}
}
