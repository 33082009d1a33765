package archboot

import (
	"compress/gzip"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestParseMtree(t *testing.T) {
	t.Parallel()
	const text = `#mtree
/set type=file uid=0 gid=0 mode=644
./.PKGINFO time=1.0 size=3 sha256digest=00
./etc time=1.0 mode=755 type=dir
./etc/a\040b time=1.0 size=12 md5digest=11 sha256digest=22
/set type=file uid=5 gid=6 mode=4755
./usr/bin/su size=1 sha256digest=33
./bin mode=777 type=link link=usr/bin\134x
./tmp uid=0 gid=0 mode=1777 type=dir
`
	want := []Entry{
		{Path: "/etc", Mode: 0o755 | fs.ModeDir},
		{Path: "/etc/a b", Mode: 0o644, Size: 12, SHA256: "22"},
		{Path: "/usr/bin/su", Mode: 0o755 | fs.ModeSetuid, UID: 5, GID: 6, Size: 1, SHA256: "33"},
		{Path: "/bin", Mode: 0o777 | fs.ModeSymlink, UID: 5, GID: 6, Target: `usr/bin\x`},
		{Path: "/tmp", Mode: 0o777 | fs.ModeDir | fs.ModeSticky},
	}
	got, err := parseMtree(strings.NewReader(text))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := parseMtree(strings.NewReader("./a mode=999 uid=x\n")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := parseMtree(iotest.ErrReader(gzip.ErrChecksum)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
}

func TestParseBackup(t *testing.T) {
	t.Parallel()
	got := parseBackup("%FILES%\netc/\netc/passwd\n\n%BACKUP%\netc/passwd\td41d8\netc/group\td41d9\n\n%OTHER%\nx\ty\n")
	if diff := cmp.Diff(map[string]bool{"/etc/passwd": true, "/etc/group": true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzParseMtree: nothing that a package says makes us panic.
func FuzzParseMtree(f *testing.F) {
	f.Add("#mtree\n/set type=file uid=0\n./a\\040b mode=4755 link=\\x\n")
	f.Add("./\n/set\n./a =\n./b mode\\")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseMtree(strings.NewReader(text))
		if err == nil && len(list) > strings.Count(text, "./") {
			t.Errorf("%d entries out of %q", len(list), text)
		}
	})
}

// FuzzOutput: any text that pacman prints gives events and an error, no panic.
func FuzzOutput(f *testing.F) {
	for _, x := range failures {
		f.Add(x.output)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tr := &transcript{emit: func(e Event) { _ = e.String() }}
		w := &lineWriter{line: tr.line}
		w.Write([]byte(text))
		w.flush()
		if err := tr.cause(&Error{Op: "run", Err: errors.New("exit status 1")}); err == nil {
			t.Error("the failure is gone")
		}
	})
}
