package snapshottest

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/prologin/rig/snapshot"
	"golang.org/x/sys/unix"
)

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
	is(t, err, context.Canceled)
	if errors.Is(err, snapshot.ErrLocked) {
		t.Errorf("nobody has the lock: %v", err)
	}
	same(t, want, Describe(t, v.Path()))
	same(t, []string{"a"}, names(t, v))
}

// checkReboot: the mounts are gone, the files are there, and opening the store makes it
// what it was.
func checkReboot(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	write(t, v, "f", "1")
	snap := take(t, v, "a", snapshot.Metadata{})
	write(t, v, "f", "2")
	w, err := s.Clone(t.Context(), "web", snap)
	if err != nil {
		t.Fatal(err)
	}
	unmountBelow(t, s.Dir())
	again, err := snapshot.Open(t.Context(), s.Dir(), snapshot.Options{Driver: s.Driver(), Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for volume, want := range map[*snapshot.Volume]string{v: "2", w: "1"} {
		if got := read(t, volume, "f"); got != want {
			t.Errorf("after a reboot %s has %q, want %q", volume.Name(), got, want)
		}
	}
	restore(t, v, "a")
	if got := read(t, v, "f"); got != "1" {
		t.Errorf("restored after a reboot: %q", got)
	}
}

// unmountBelow unmounts everything below a directory, as a reboot does.
func unmountBelow(t *testing.T, dir string) {
	t.Helper()
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Backward(mounts) {
		if m.Mountpoint == dir {
			continue
		}
		t.Logf("unmounting %s", m.Mountpoint)
		if err := unix.Unmount(m.Mountpoint, 0); err != nil {
			t.Fatalf("unmount %s: %v", m.Mountpoint, err)
		}
	}
}

// checkCheckpoint: of all volumes or of none.
func checkCheckpoint(t *testing.T, s *snapshot.Store) {
	var volumes []*snapshot.Volume
	for _, name := range []string{"gw", "web", "db"} {
		v := create(t, s, name)
		write(t, v, "f", name)
		volumes = append(volumes, v)
	}
	take(t, volumes[1], "taken", snapshot.Metadata{})
	_, err := s.Checkpoint(t.Context(), "taken", snapshot.Metadata{}, volumes...)
	is(t, err, snapshot.ErrExists)
	_, err = s.Checkpoint(t.Context(), "a", snapshot.Metadata{})
	is(t, err, snapshot.ErrInvalid)
	_, err = s.Checkpoint(t.Context(), "a", snapshot.Metadata{}, volumes[0], volumes[0])
	is(t, err, snapshot.ErrInvalid)
	_, err = s.Checkpoint(t.Context(), "../a", snapshot.Metadata{}, volumes...)
	is(t, err, snapshot.ErrInvalid)
	same(t, nil, names(t, volumes[0]))
	all, err := s.Checkpoint(t.Context(), "a", snapshot.Metadata{Key: "k"}, volumes...)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range volumes {
		if all[i].Volume != v.Name() || all[i].Name != "a" || all[i].Key != "k" {
			t.Errorf("%+v", all[i])
		}
		write(t, v, "f", "changed")
		restore(t, v, "a")
		if got := read(t, v, "f"); got != v.Name() {
			t.Errorf("restored %s has %q", v.Name(), got)
		}
	}
	if all[1].Parent != "taken" {
		t.Errorf("parent is %q", all[1].Parent)
	}
	if b := take(t, volumes[2], "b", snapshot.Metadata{}); b.Parent != "a" {
		t.Errorf("parent of the next is %q", b.Parent)
	}
}
