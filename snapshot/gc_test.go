package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGC(t *testing.T) {
	t.Parallel()
	v := newVolume(t, newStore(t), "gw")
	for i := range 8 {
		md := Metadata{}
		if i == 2 {
			md.Labels = map[string]string{"pin": ""}
		}
		take(t, v, fmt.Sprint(i), md)
	}
	if err := v.Restore(t.Context(), "0"); err != nil {
		t.Fatal(err)
	}
	keep := Keep{Last: 2, Label: "pin", Func: func(s Snapshot) bool { return s.Name == "4" }, Wait: true}
	deleted, err := v.GC(t.Context(), keep)
	if err != nil || len(deleted) != 3 {
		t.Errorf("deleted %v, %v", deleted, err)
	}
	if diff := cmp.Diff([]string{"0", "2", "4", "6", "7"}, names(t, v)); diff != "" {
		t.Error(diff)
	}
	if list := subvolumes(t, v.store.Dir()); strings.Contains(list, "DELETED") {
		t.Errorf("not reclaimed: %s", list)
	}
	if deleted, err := v.GC(t.Context(), Keep{MinFree: 1}); err != nil || len(deleted) != 0 {
		t.Errorf("deleted %v, %v though there is space", deleted, err)
	}
	if deleted, err := v.GC(t.Context(), Keep{MinFree: 1 << 60}); err != nil || len(deleted) != 4 {
		t.Errorf("deleted %v, %v though nothing suffices", deleted, err)
	}
}

// TestGCBudget: the newest are left that fit together, what they share counted once.
func TestGCBudget(t *testing.T) {
	t.Parallel()
	all := "s0 s1 s2 s3"
	left := map[string][2]string{ // by 3.5 MiB, and by 4.5
		"btrfs":         {"s2 s3", all},
		"copy on btrfs": {"s2 s3", all},
		"copy":          {"s3", "s3"}, // s3 takes 3 MiB, s2 2 more
		"overlay":       {"s3", all},  // what was removed is still in the layers of s3
	}
	for _, b := range append(benches(t), bench{Copy(), newPool(t, 512<<20).Dir()}) {
		name := b.driver.Name()
		if s, _ := sysfsOf(b.dir); name == "copy" && s != "" {
			name += " on btrfs"
		}
		v := newVolume(t, openStore(t, b.dir, Options{Driver: b.driver}), "gw")
		const mib = 1 << 20
		for i := range 4 {
			write(t, filepath.Join(v.Path(), fmt.Sprint(i)), strings.Repeat("0123456789abcdef", mib/16))
			if i == 2 {
				if err := os.Remove(filepath.Join(v.Path(), "0")); err != nil {
					t.Fatal(err)
				}
			}
			take(t, v, fmt.Sprint("s", i), Metadata{})
		}
		for i, budget := range []int64{9 * mib / 2, 7 * mib / 2} {
			if _, err := v.GC(t.Context(), Keep{MaxBytes: budget}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if diff := cmp.Diff(left[name][1-i], strings.Join(names(t, v), " ")); diff != "" {
				t.Errorf("%s, %d bytes: %s", name, budget, diff)
			}
		}
		for _, keep := range []Keep{{Last: -1}, {MaxBytes: -1}, {MinFree: -1}} {
			_, err := v.GC(t.Context(), keep)
			wantErr(t, err, ErrInvalid)
		}
	}
}

// TestReclaim: the space of what was deleted is there when Reclaim returns.
func TestReclaim(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	before, err := freeSpace(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(v.Path(), "big"), strings.Repeat("0123456789abcdef", 4<<20))
	take(t, v, "a", Metadata{})
	if err := errors.Join(v.Delete(t.Context()), s.Reclaim(t.Context())); err != nil {
		t.Fatal(err)
	}
	if after, err := freeSpace(s.Dir()); err != nil || after < before-(8<<20) {
		t.Errorf("%d bytes free, were %d, %v", after, before, err)
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	dir := newPool(t, 256<<20).Dir()
	_, err := Preflight(t.Context(), filepath.Join(dir, "missing"))
	wantErr(t, err, ErrNotFound)
	checks := func() string {
		t.Helper()
		found, err := Preflight(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, f := range found {
			if f.Remedy == "" || f.Err == nil {
				t.Errorf("%+v", f)
			}
			list = append(list, f.Topic)
		}
		return strings.Join(list, " ")
	}
	if got := checks(); got != "space" { // the pool is small
		t.Errorf("found %q on a small pool", got)
	}
	if out, err := exec.CommandContext(context.Background(), "btrfs", "quota", "enable", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot switch quotas on: %v: %s", err, out)
	}
	if got := checks(); got != "space quota" {
		t.Errorf("found %q with quotas on", got)
	}
}
