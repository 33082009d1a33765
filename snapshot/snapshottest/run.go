// Package snapshottest checks that a driver of package snapshot keeps its promises.
package snapshottest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/snapshot"
)

// Run checks one driver by what its stores do. It calls open for every check, which
// must return a new and empty store, and close and remove it when the test ends. It
// needs what the driver needs, root as a rule: open skips where that is missing.
func Run(t *testing.T, open func(t *testing.T) *snapshot.Store) {
	for _, check := range []struct {
		name string
		run  func(*testing.T, *snapshot.Store)
	}{
		{"Empty", checkEmpty},
		{"Fidelity", checkFidelity},
		{"Frozen", checkFrozen},
		{"RestoreAll", checkRestoreAll},
		{"RestoreTwice", checkRestoreTwice},
		{"RestoreMissing", checkRestoreMissing},
		{"Independence", checkIndependence},
		{"DeleteParent", checkDeleteParent},
		{"Clone", checkClone},
		{"CloneOfClone", checkCloneOfClone},
		{"Names", checkNames},
		{"NotFound", checkNotFound},
		{"Exists", checkExists},
		{"Order", checkOrder},
		{"Metadata", checkMetadata},
		{"Keys", checkKeys},
		{"Rename", checkRename},
		{"Busy", checkBusy},
		{"Reopen", checkReopen},
		{"Cancelled", checkCancelled},
		{"Diff", checkDiff},
		{"Export", checkExport},
		{"ExportSince", checkExportSince},
		{"Size", checkSize},
		{"Many", checkMany},
		{"NothingLeft", checkNothingLeft},
	} {
		t.Run(check.name, func(t *testing.T) { check.run(t, open(t)) })
	}
}

func checkEmpty(t *testing.T, s *snapshot.Store) {
	for v, err := range s.Volumes(t.Context()) {
		t.Errorf("a new store has %v, %v", v, err)
	}
	v := create(t, s, "gw")
	if want := filepath.Join(s.Dir(), "gw"); v.Path() != want || v.Name() != "gw" {
		t.Errorf("volume %q is at %q, want %q", v.Name(), v.Path(), want)
	}
	same(t, nil, Describe(t, v.Path()))
	take(t, v, "empty", snapshot.Metadata{})
	write(t, v, "f", "1")
	restore(t, v, "empty")
	same(t, nil, Describe(t, v.Path()))
}

func checkFidelity(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	want := Describe(t, v.Path())
	snap := take(t, v, "a", snapshot.Metadata{})
	same(t, want, Describe(t, v.Path()))
	same(t, want, view(t, v, "a"))
	empty(t, v)
	restore(t, v, "a")
	same(t, want, Describe(t, v.Path()))
	w, err := s.Clone(t.Context(), "web", snap)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, Describe(t, w.Path()))
}

// checkFrozen: what happens to the volume does not happen to the snapshot.
func checkFrozen(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	want := Describe(t, v.Path())
	take(t, v, "a", snapshot.Metadata{})
	write(t, v, "file", "changed in place")
	if err := os.Chmod(filepath.Join(v.Path(), "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(v.Path(), "link")); err != nil {
		t.Fatal(err)
	}
	same(t, want, view(t, v, "a"))
}

// checkRestoreAll: one can go back and forth between all snapshots.
func checkRestoreAll(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	want := map[string][]string{}
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		write(t, v, "same", name)
		write(t, v, "only-"+name, name)
		if name == "c" {
			if err := os.RemoveAll(filepath.Join(v.Path(), "only-a")); err != nil {
				t.Fatal(err)
			}
		}
		take(t, v, name, snapshot.Metadata{})
		want[name] = Describe(t, v.Path())
	}
	for _, name := range []string{"a", "d", "b", "c", "a"} {
		restore(t, v, name)
		same(t, want[name], Describe(t, v.Path()))
	}
	for _, name := range names {
		same(t, want[name], view(t, v, name))
	}
}

func checkRestoreTwice(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	write(t, v, "f", "1")
	take(t, v, "a", snapshot.Metadata{})
	want := Describe(t, v.Path())
	for range 3 {
		write(t, v, "f", "2")
		write(t, v, "g", "2")
		restore(t, v, "a")
		same(t, want, Describe(t, v.Path()))
	}
}

func checkRestoreMissing(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	write(t, v, "f", "1")
	want := Describe(t, v.Path())
	is(t, v.Restore(t.Context(), "a"), snapshot.ErrNotFound)
	same(t, want, Describe(t, v.Path()))
}

// checkIndependence: volumes do not see each other.
func checkIndependence(t *testing.T, s *snapshot.Store) {
	v, w := create(t, s, "gw"), create(t, s, "web")
	write(t, v, "f", "gw")
	write(t, w, "f", "web")
	take(t, v, "a", snapshot.Metadata{})
	take(t, w, "a", snapshot.Metadata{})
	write(t, w, "f", "web again")
	restore(t, v, "a")
	if got := read(t, w, "f"); got != "web again" {
		t.Errorf("restoring gw made %q of web's file", got)
	}
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	restore(t, w, "a")
	if got := read(t, w, "f"); got != "web" {
		t.Errorf("after deleting gw web's file is %q", got)
	}
}

// checkDeleteParent: what was built upon a snapshot does not need it.
func checkDeleteParent(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	for _, name := range []string{"a", "b", "c"} {
		write(t, v, name, name)
		take(t, v, name, snapshot.Metadata{})
	}
	want := Describe(t, v.Path())
	for _, name := range []string{"b", "a"} {
		if err := v.DeleteSnapshot(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	same(t, want, Describe(t, v.Path()))
	empty(t, v)
	restore(t, v, "c")
	same(t, want, Describe(t, v.Path()))
}

func checkClone(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "base")
	write(t, v, "f", "1")
	snap := take(t, v, "a", snapshot.Metadata{})
	w, err := s.Clone(t.Context(), "gw", snap)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, "f", "2")
	if got := read(t, v, "f"); got != "1" {
		t.Errorf("writing to the clone made %q of the original", got)
	}
	if list := names(t, w); len(list) != 0 {
		t.Errorf("the clone has snapshots %v", list)
	}
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, w, "f"); got != "2" {
		t.Errorf("deleting the original made %q of the clone", got)
	}
	take(t, w, "a", snapshot.Metadata{})
	write(t, w, "f", "3")
	restore(t, w, "a")
	if got := read(t, w, "f"); got != "2" {
		t.Errorf("restored clone has %q", got)
	}
}

func checkCloneOfClone(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "v0")
	for i, name := range []string{"v1", "v2", "v3"} {
		write(t, v, name, strings.Repeat("x", i))
		snap := take(t, v, "s", snapshot.Metadata{})
		var err error
		if v, err = s.Clone(t.Context(), name, snap); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"v1", "v2", "v3"} {
		if _, err := os.Stat(filepath.Join(v.Path(), name)); err != nil {
			t.Error(err)
		}
	}
}

func checkNames(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	take(t, v, "a", snapshot.Metadata{})
	for _, bad := range []string{"", ".", "..", "a/b", "../a", "/a", ".a", "-a", "a\x00", "a\n", "\xff", strings.Repeat("x", 256)} {
		_, err := s.Create(t.Context(), bad)
		is(t, err, snapshot.ErrInvalid)
		_, err = v.Snapshot(t.Context(), bad, snapshot.Metadata{})
		is(t, err, snapshot.ErrInvalid)
		is(t, v.Restore(t.Context(), bad), snapshot.ErrInvalid)
		is(t, v.DeleteSnapshot(t.Context(), bad), snapshot.ErrInvalid)
	}
	long := strings.Repeat("é", 127)
	w := create(t, s, long)
	take(t, w, long, snapshot.Metadata{})
	restore(t, w, long)
}

func checkNotFound(t *testing.T, s *snapshot.Store) {
	_, err := s.Volume("gw")
	is(t, err, snapshot.ErrNotFound)
	is(t, err, fs.ErrNotExist)
	v := create(t, s, "gw")
	_, err = v.Find(t.Context(), "a")
	is(t, err, snapshot.ErrNotFound)
	is(t, v.DeleteSnapshot(t.Context(), "a"), snapshot.ErrNotFound)
	is(t, v.RenameSnapshot(t.Context(), "a", "b"), snapshot.ErrNotFound)
	_, err = s.Clone(t.Context(), "web", snapshot.Snapshot{Volume: "gw", Name: "a"})
	is(t, err, snapshot.ErrNotFound)
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	is(t, v.Delete(t.Context()), snapshot.ErrNotFound)
	_, err = v.Snapshot(t.Context(), "a", snapshot.Metadata{})
	is(t, err, snapshot.ErrNotFound)
}

func checkExists(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	_, err := s.Create(t.Context(), "gw")
	is(t, err, snapshot.ErrExists)
	is(t, err, fs.ErrExist)
	take(t, v, "a", snapshot.Metadata{Key: "1"})
	_, err = v.Snapshot(t.Context(), "a", snapshot.Metadata{Key: "2"})
	is(t, err, snapshot.ErrExists)
	if snap, err := v.Find(t.Context(), "a"); err != nil || snap.Key != "1" {
		t.Errorf("the refused snapshot changed the old one: %+v, %v", snap, err)
	}
	stranger := filepath.Join(s.Dir(), "web")
	if err := os.Mkdir(stranger, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = s.Create(t.Context(), "web")
	is(t, err, snapshot.ErrExists)
	if err := os.Remove(stranger); err != nil {
		t.Errorf("the refused volume changed what was there: %v", err)
	}
}

func checkOrder(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	want := []string{"z", "m", "a", "q"}
	for _, name := range want {
		take(t, v, name, snapshot.Metadata{})
	}
	if err := v.DeleteSnapshot(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	take(t, v, "m", snapshot.Metadata{})
	same(t, []string{"z", "a", "q", "m"}, names(t, v))
	for _, name := range []string{"web", "db"} {
		create(t, s, name)
	}
	var volumes []string
	for w, err := range s.Volumes(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		volumes = append(volumes, w.Name())
	}
	same(t, []string{"db", "gw", "web"}, volumes)
}

func checkMetadata(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	labels := map[string]string{"stage": "nginx", "é\n": "\x00"}
	took := take(t, v, "a", snapshot.Metadata{Key: "k", Parent: "elsewhere", Labels: labels})
	found, err := v.Find(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, snap := range []snapshot.Snapshot{took, found} {
		if snap.Volume != "gw" || snap.Name != "a" || snap.Key != "k" || snap.Parent != "elsewhere" ||
			snap.Labels["stage"] != "nginx" || snap.Labels["é\n"] != "\x00" || snap.Created.IsZero() {
			t.Errorf("%+v", snap)
		}
	}
	if b := take(t, v, "b", snapshot.Metadata{}); b.Parent != "a" {
		t.Errorf("after a snapshot the parent of the next is %q", b.Parent)
	}
	restore(t, v, "a")
	if c := take(t, v, "c", snapshot.Metadata{}); c.Parent != "a" {
		t.Errorf("after a restoration the parent of the next is %q", c.Parent)
	}
}

func checkKeys(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	for _, name := range []string{"1", "2", "3"} {
		take(t, v, name, snapshot.Metadata{Key: "k" + name})
	}
	take(t, v, "4", snapshot.Metadata{Key: "k1"})
	take(t, v, "5", snapshot.Metadata{})
	if snap, err := v.FindKey(t.Context(), "k1"); err != nil || snap.Name != "4" {
		t.Errorf("the newest with k1 is %v, %v", snap.Name, err)
	}
	for _, key := range []string{"k", "k12", ""} {
		_, err := v.FindKey(t.Context(), key)
		is(t, err, snapshot.ErrNotFound)
	}
	var got []string
	for snap, err := range v.KeyPrefix(t.Context(), "k") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, snap.Name)
	}
	same(t, []string{"1", "2", "3", "4"}, got)
}

func checkRename(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	create(t, s, "web")
	write(t, v, "f", "1")
	take(t, v, "a", snapshot.Metadata{})
	take(t, v, "b", snapshot.Metadata{})
	_, err := v.Rename(t.Context(), "web")
	is(t, err, snapshot.ErrExists)
	if v, err = v.Rename(t.Context(), "router"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, v, "f"); got != "1" {
		t.Errorf("renamed volume has %q", got)
	}
	if _, err := os.Lstat(filepath.Join(s.Dir(), "gw")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("at the old path: %v", err)
	}
	is(t, v.RenameSnapshot(t.Context(), "a", "b"), snapshot.ErrExists)
	if err := v.RenameSnapshot(t.Context(), "a", "c"); err != nil {
		t.Fatal(err)
	}
	if b, err := v.Find(t.Context(), "b"); err != nil || b.Parent != "c" {
		t.Errorf("parent of b is %q, %v", b.Parent, err)
	}
	write(t, v, "f", "2")
	restore(t, v, "c")
	if got := read(t, v, "f"); got != "1" {
		t.Errorf("restored after renaming: %q", got)
	}
}

// checkBusy: while something is mounted from the tree, as a machine does, the tree
// stays.
func checkBusy(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	write(t, v, "sub/f", "1")
	take(t, v, "a", snapshot.Metadata{})
	cmd := exec.Command("unshare", "--mount", "sh", "-ec", `mount --bind "$0" /mnt; echo; exec cat`, v.Path())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	err = v.Restore(t.Context(), "a")
	is(t, err, snapshot.ErrBusy)
	if err != nil && !strings.Contains(err.Error(), "PID") {
		t.Errorf("does not say who: %v", err)
	}
	is(t, v.Delete(t.Context()), snapshot.ErrBusy)
	if s.Driver().Capabilities().Live {
		take(t, v, "live", snapshot.Metadata{})
	}
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Error(err)
	}
	restore(t, v, "a")
}

func checkReopen(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	write(t, v, "f", "1")
	take(t, v, "a", snapshot.Metadata{Key: "k"})
	write(t, v, "f", "2")
	again, err := snapshot.Open(t.Context(), s.Dir(), snapshot.Options{Driver: s.Driver(), Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	w, err := again.Volume("gw")
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, w, "f"); got != "2" {
		t.Errorf("reopened, the file has %q", got)
	}
	snap, err := w.FindKey(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	restore(t, w, snap.Name)
	if got := read(t, v, "f"); got != "1" {
		t.Errorf("restored by another, the file has %q", got)
	}
}

func checkCancelled(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	take(t, v, "a", snapshot.Metadata{})
	want := Describe(t, v.Path())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.Snapshot(ctx, "b", snapshot.Metadata{})
	if err == nil { // an instant driver may be done before it looks
		if err := v.DeleteSnapshot(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	same(t, want, Describe(t, v.Path()))
	same(t, []string{"a"}, names(t, v))
}

func checkDiff(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	take(t, v, "a", snapshot.Metadata{})
	at := func(name string) string { return filepath.Join(v.Path(), name) }
	same(t, nil, diff(t, v, "a", ""))
	write(t, v, "new/file", "1")
	write(t, v, "empty", "not any more")
	write(t, v, "dir/sub/deep", strings.Repeat("0123456789abcdeF", 1<<14)) // of the same size
	for _, err := range []error{
		os.Remove(at("pipe")),
		os.Mkdir(at("pipe"), 0o755),
		os.RemoveAll(at("var")),
		os.Chmod(at("socket"), 0o700),
		os.Chmod(at("dir"), 0o700),
		os.Remove(at("link")),
		os.Symlink("elsewhere", at("link")),
		os.Chtimes(at("sparse"), time.Now(), time.Now()), // no change
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	take(t, v, "b", snapshot.Metadata{})
	want := []string{
		"attributes dir", "content dir/sub/deep", "content empty", "content link", "added new", "added new/file",
		"removed pipe", "added pipe", "attributes socket", "removed var", "removed var/lib", "removed var/lib/empty",
	}
	same(t, want, diff(t, v, "a", "b"))
	same(t, want, diff(t, v, "a", ""))
	same(t, nil, diff(t, v, "b", "b"))
	restore(t, v, "a")
	same(t, nil, diff(t, v, "a", ""))
	if got := diff(t, v, "b", "a"); len(got) != len(want) {
		t.Errorf("back: %v", got)
	}
	for _, err := range v.Diff(t.Context(), "a", "missing") {
		is(t, err, snapshot.ErrNotFound)
	}
}

func diff(t *testing.T, v *snapshot.Volume, from, to string) []string {
	t.Helper()
	var list []string
	for c, err := range v.Diff(t.Context(), from, to) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(c.Kind)+" "+c.Path)
	}
	return list
}

func checkSize(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	const mib = 1 << 20
	text := strings.Repeat("0123456789abcdef", mib/16)
	write(t, v, "sub/f", text)
	if err := os.Link(filepath.Join(v.Path(), "sub/f"), filepath.Join(v.Path(), "g")); err != nil {
		t.Fatal(err)
	}
	take(t, v, "a", snapshot.Metadata{})
	for _, name := range []string{"", "a"} {
		size, err := v.Size(t.Context(), name)
		if err != nil || size.Entries != 2 || size.Referenced < mib || size.Referenced > 2*mib {
			t.Errorf("size of %q is %+v, %v", name, size, err)
		}
	}
	_, err := v.Size(t.Context(), "missing")
	is(t, err, snapshot.ErrNotFound)
	write(t, v, "h", text+text)
	known := s.Driver().Capabilities()
	for _, name := range []string{"", "a"} { // 3 and 1 MiB, of which 2 and none are not shared
		size, err := v.Size(t.Context(), name)
		want := map[string]int64{"": 2 * mib, "a": 0}[name]
		near := func(want int64) bool { return want <= size.Exclusive && size.Exclusive < want+mib/2 }
		switch {
		case err != nil:
			t.Error(err)
		case !known.Exclusive && size.Exclusive == -1, known.Exclusive && near(want):
		case known.Exclusive && !known.Shared && near(want+mib):
		default:
			t.Errorf("exclusive size of %q is %d, want %d, %v", name, size.Exclusive, want, err)
		}
	}
}

// checkExport: a stream is the same each time, makes the same tree, and is refused if
// a byte is missing or wrong.
func checkExport(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	want := Describe(t, v.Path())
	take(t, v, "a", snapshot.Metadata{Key: "k", Labels: map[string]string{"x": "y", "a": "b"}})
	var one, two bytes.Buffer
	digest, err := v.Export(t.Context(), "a", &one)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := v.Export(t.Context(), "a", &two); err != nil || again != digest || !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("exported again: %s, was %s, %v", again, digest, err)
	}
	w, snap, err := s.Import(t.Context(), "web", bytes.NewReader(one.Bytes()), snapshot.ImportOptions{Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, Describe(t, w.Path()))
	same(t, want, view(t, w, "a"))
	if snap.Volume != "web" || snap.Name != "a" || snap.Key != "k" || snap.Labels["x"] != "y" {
		t.Errorf("imported as %+v", snap)
	}
	var three bytes.Buffer
	if again, err := w.Export(t.Context(), "a", &three); err != nil || again != digest || !bytes.Equal(one.Bytes(), three.Bytes()) {
		t.Errorf("exported from the copy: %s, was %s, %v", again, digest, err)
	}
	if b := take(t, w, "b", snapshot.Metadata{}); b.Parent != "a" {
		t.Errorf("after an import the parent of the next is %q", b.Parent)
	}
	before := paths(Describe(t, s.Dir()))
	for what, stream := range map[string][]byte{"cut": one.Bytes()[:one.Len()-1], "half": one.Bytes()[:one.Len()/2], "empty": nil} {
		_, _, err := s.Import(t.Context(), "new", bytes.NewReader(stream), snapshot.ImportOptions{})
		if !errors.Is(err, snapshot.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range 8 {
		checkFlipped(t, s, one.Bytes(), one.Len()*i/8, want)
	}
	for _, opts := range []snapshot.ImportOptions{{Digest: "00"}, {MaxBytes: 1 << 20}, {MaxEntries: 5}, {NoDevices: true}} {
		_, _, err := s.Import(t.Context(), "new", bytes.NewReader(one.Bytes()), opts)
		is(t, err, snapshot.ErrCorrupt)
	}
	_, _, err = s.Import(t.Context(), "web", bytes.NewReader(one.Bytes()), snapshot.ImportOptions{})
	is(t, err, snapshot.ErrExists)
	same(t, before, paths(Describe(t, s.Dir())))
}

// checkFlipped: one bit is wrong. If the stream unpacks to the same nevertheless, as some
// bits of a compressed one do, that is what it must make.
func checkFlipped(t *testing.T, s *snapshot.Store, stream []byte, at int, want []string) {
	t.Helper()
	flipped := bytes.Clone(stream)
	flipped[at] ^= 1
	v, _, err := s.Import(t.Context(), "new", bytes.NewReader(flipped), snapshot.ImportOptions{})
	if err != nil {
		// ErrNotSupported: the bit made an attribute that no file system knows.
		if !errors.Is(err, snapshot.ErrCorrupt) && !errors.Is(err, snapshot.ErrFormat) && !errors.Is(err, snapshot.ErrNotSupported) {
			t.Errorf("flipped at %d: %v", at, err)
		}
		return
	}
	same(t, want, Describe(t, v.Path()))
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// checkMany: more snapshots than any stack of layers can have.
func checkMany(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	const n = 40
	for i := range n {
		write(t, v, "last", strings.Repeat("x", i))
		write(t, v, "f"+strings.Repeat("x", i), "")
		take(t, v, "s"+strings.Repeat("x", i), snapshot.Metadata{})
	}
	if got := len(Describe(t, v.Path())); got != n+1 {
		t.Errorf("%d files, want %d", got, n+1)
	}
	restore(t, v, "s"+strings.Repeat("x", n/2))
	if got := len(read(t, v, "last")); got != n/2 {
		t.Errorf("restored number %d, want %d", got, n/2)
	}
	if got := len(Describe(t, v.Path())); got != n/2+2 {
		t.Errorf("%d files, want %d", got, n/2+2)
	}
}

// checkNothingLeft: when all volumes are deleted the store is as new.
func checkNothingLeft(t *testing.T, s *snapshot.Store) {
	before := Describe(t, s.Dir())
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	snap := take(t, v, "a", snapshot.Metadata{})
	w, err := s.Clone(t.Context(), "web", snap)
	if err != nil {
		t.Fatal(err)
	}
	take(t, w, "b", snapshot.Metadata{})
	restore(t, v, "a")
	for _, v := range []*snapshot.Volume{v, w} {
		if err := v.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	same(t, paths(before), paths(Describe(t, s.Dir())))
}
