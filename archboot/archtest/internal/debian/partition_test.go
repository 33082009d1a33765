package debian

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeTree writes a tree and what the hook would write down about its layers.
// Each layer is a list of "path", "path -> target" or "path = content".
type fakeTree struct {
	t      *testing.T
	dir    string
	paths  []string
	status string
	n      int
}

func (f *fakeTree) write(root, entry string) string {
	f.t.Helper()
	name, target, link := strings.Cut(entry, " -> ")
	name, content, _ := strings.Cut(name, " = ")
	file := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		f.t.Fatal(err)
	}
	var err error
	switch {
	case link:
		err = os.Symlink(target, file)
	case strings.HasSuffix(name, "/"):
		err = os.Mkdir(file, 0o755)
	default:
		err = os.WriteFile(file, []byte(content), 0o644)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.TrimSuffix(name, "/")
}

// install adds a .deb and its files.
func (f *fakeTree) install(deb, fields string, entries ...string) {
	f.t.Helper()
	var list strings.Builder
	list.WriteString("/.\n")
	for _, e := range entries {
		name := f.write(filepath.Join(f.dir, "tree"), e)
		f.paths = append(f.paths, name)
		for d := filepath.Dir(name); d != "."; d = filepath.Dir(d) {
			fmt.Fprintf(&list, "/%s\n", d)
		}
		fmt.Fprintf(&list, "/%s\n", name)
	}
	f.write(f.dir, "tree/var/lib/dpkg/info/"+deb+".list = "+list.String())
	f.status += "Package: " + deb + "\nStatus: install ok installed\nVersion: 1.0-1\n" + fields + "\n"
}

// unowned adds files that no .deb has.
func (f *fakeTree) unowned(entries ...string) {
	f.t.Helper()
	for _, e := range entries {
		f.paths = append(f.paths, f.write(filepath.Join(f.dir, "tree"), e))
	}
}

// record ends a layer.
func (f *fakeTree) record() {
	f.t.Helper()
	layer := filepath.Join(f.dir, "layers", fmt.Sprint(f.n))
	f.write(layer, "status = "+f.status)
	if err := os.MkdirAll(filepath.Join(f.dir, "tree/etc"), 0o755); err != nil {
		f.t.Fatal(err)
	}
	f.write(layer, "paths = "+strings.Join(f.paths, "\x00")+"\x00")
	if err := os.CopyFS(filepath.Join(layer, "etc"), os.DirFS(filepath.Join(f.dir, "tree/etc"))); err != nil {
		f.t.Fatal(err)
	}
	f.n++
}

func (f *fakeTree) partition(chosen ...addon) *partition {
	f.t.Helper()
	t, err := readTree(filepath.Join(f.dir, "tree"), filepath.Join(f.dir, "layers"), f.n)
	if err != nil {
		f.t.Fatal(err)
	}
	p := newPartition(t, Key{})
	if err := p.run(chosen); err != nil {
		f.t.Fatal(err)
	}
	return p
}

// contents lists each draft's files other than directories.
func contents(p *partition) map[string][]string {
	all := map[string][]string{}
	for name, d := range p.drafts {
		for _, file := range slices.Sorted(maps.Keys(d.files)) {
			if f := d.files[file]; f.Target != "" {
				all[name] = append(all[name], file+" -> "+f.Target)
			} else if !f.Mode.IsDir() {
				all[name] = append(all[name], file)
			}
		}
	}
	return all
}

func TestPartition(t *testing.T) {
	t.Parallel()
	f := &fakeTree{t: t, dir: t.TempDir()}
	f.install("iproute2", "Depends: libc6\n", "usr/bin/ip", "usr/sbin/ip -> /bin/ip", "usr/share/doc/iproute2/copyright")
	f.install("mawk", "Provides: awk\n", "usr/bin/mawk")
	f.install("libc6", "", "usr/lib64/ld-linux-x86-64.so.2 -> ../lib/ld.so")
	f.install("dpkg", "", "usr/bin/dpkg")
	f.install("openssh-server", "Pre-Depends: dpkg\nDepends: libc6 | musl, awk\n", "usr/sbin/sshd", "usr/lib/systemd/system/ssh.service")
	f.unowned("usr/bin/awk -> /etc/alternatives/awk", "etc/alternatives/awk -> /usr/bin/mawk",
		"etc/passwd = root:x:0:0::/root:/bin/sh\n", "etc/ssh/sshd_config", "etc/ssh/ssh_host_rsa_key", "etc/hosts",
		"usr/bin/stale -> /etc/alternatives/stale", "var/log/dpkg.log")
	f.record()
	f.install("nginx", "Depends: libc6, iproute2\n", "usr/sbin/nginx", "var/lib/nginx/")
	f.unowned("etc/nginx.secret", "var/cache/nginx/")
	f.write(filepath.Join(f.dir, "tree"), "etc/passwd = root:x:0:0::/root:/bin/sh\nnginx:x:99:98:the server:/nonexistent:/usr/sbin/nologin\n")
	f.write(filepath.Join(f.dir, "tree"), "etc/group = nginx:x:98:\n")
	f.record()

	p := f.partition(addons[0])
	want := map[string][]string{
		"iproute2":   {"usr/bin/ip"},
		"mawk":       {"usr/bin/awk -> /usr/bin/mawk", "usr/bin/mawk"},
		"glibc":      {"usr/lib/ld-linux-x86-64.so.2 -> ../lib/ld.so"},
		"openssh":    {"etc/ssh/sshd_config", "usr/bin/sshd"},
		"filesystem": {"etc/hosts", "etc/passwd"},
		"nginx":      {"etc/nginx.secret", "usr/bin/nginx"},
	}
	if diff := cmp.Diff(want, contents(p)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, dir := range []string{"var/lib/nginx", "var/cache/nginx"} {
		if !p.drafts["nginx"].files[dir].Mode.IsDir() {
			t.Errorf("nginx lacks its directory %s", dir)
		}
	}
	if got := p.drafts["nginx"].layer; got != 1 {
		t.Errorf("nginx came with layer %d, want 1", got)
	}
	for name, want := range map[string][]string{
		"openssh": {"glibc", "mawk"},
		"nginx":   {"bash", "glibc", "iproute2", "openssl"},
		"mawk":    nil,
	} {
		if got := p.dependencies(p.drafts[name]); !slices.Equal(got, want) {
			t.Errorf("%s depends on %q, want %q", name, got, want)
		}
	}
}

func TestSysusers(t *testing.T) {
	t.Parallel()
	f := &fakeTree{t: t, dir: t.TempDir()}
	f.unowned("etc/passwd = root:x:0:0::/root:/bin/sh\n", "etc/group = root:x:0:\n")
	f.record()
	f.write(filepath.Join(f.dir, "tree"), "etc/passwd = root:x:0:0::/root:/bin/sh\nbind:x:100:102:DNS:/var/cache/bind:/usr/sbin/nologin\n")
	f.write(filepath.Join(f.dir, "tree"), "etc/group = root:x:0:\nbind:x:102:\n")
	f.record()
	a := addon{name: "bind", users: map[string]string{"bind": "named"}, homes: map[string]string{"named": "/var/named"}}
	p := f.partition(a)
	file, err := p.sysusers(a, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := "g named 102\nu named 100:102 \"DNS\" /var/named /usr/bin/nologin\n"
	if file == nil || string(file.Data) != want || file.Path != "usr/lib/sysusers.d/bind.conf" {
		t.Errorf("got %+v, want %q", file, want)
	}
	uid, gid, err := p.account("passwd", "named", a.users)
	if err != nil || uid != 100 || gid != 102 {
		t.Errorf("account of named: %d, %d, %v", uid, gid, err)
	}
	if _, _, err := p.account("passwd", "nobody-here", a.users); err == nil {
		t.Error("an account that is not there was found")
	}
}

func TestPartitionConflict(t *testing.T) {
	t.Parallel()
	f := &fakeTree{t: t, dir: t.TempDir()}
	f.install("a", "", "usr/bin/tool")
	f.install("b", "", "usr/sbin/tool")
	f.record()
	p := f.partition()
	if err := p.conflicts([]string{"a", "b"}); err == nil || !strings.Contains(err.Error(), "usr/bin/tool") {
		t.Errorf("two packages with usr/bin/tool: got %v", err)
	}
}
