package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestFullPool: on a file system without a byte left, what fails changes nothing,
// and deleting helps.
func TestFullPool(t *testing.T) {
	t.Parallel()
	b := bench{Btrfs(), newPool(t, MinPoolSize).Dir()}
	s := furnish(t, b, "store")
	v, err := s.Volume("gw")
	if err != nil {
		t.Fatal(err)
	}
	before := describe(t, s)
	fill(t, b.dir)
	failed := 0
	for i := range 200 {
		name := fmt.Sprintf("full-%d", i)
		_, err := v.Snapshot(t.Context(), name, Metadata{Labels: map[string]string{"x": string(make([]byte, 16<<10))}})
		if err == nil {
			err = v.DeleteSnapshot(t.Context(), name)
		}
		if err == nil {
			continue
		}
		failed++
		wantErr(t, err, ErrNoSpace)
		if diff := cmp.Diff(before, describe(t, s)); diff != "" {
			t.Fatalf("after %v: %s", err, diff)
		}
		if failed == 3 {
			break
		}
	}
	if failed == 0 {
		t.Error("nothing failed on a full file system")
	}
	if err := os.Remove(filepath.Join(b.dir, "fill-0")); err != nil {
		t.Fatal(err)
	}
	unix.Sync()
	if err := v.Restore(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	noLeftovers(t, s)
}

// TestFullEach carries out every operation on a file system without a byte left: it
// succeeds, or fails with ErrNoSpace and has changed nothing; and deleting works.
func TestFullEach(t *testing.T) {
	t.Parallel()
	b := bench{Btrfs(), newPool(t, MinPoolSize).Dir()}
	type prepared struct {
		store         *Store
		before, after map[string][]string
	}
	all := map[string]prepared{}
	for op := range operations {
		before, after, _ := outcomes(t, b, op)
		all[op] = prepared{furnish(t, b, op), before, after}
	}
	fill(t, b.dir)
	failed := 0
	for _, op := range slices.Sorted(maps.Keys(operations)) {
		p := all[op]
		err := operations[op](t.Context(), p.store)
		if err != nil {
			failed++
			wantErr(t, err, ErrNoSpace)
		}
		changed := whole(t, p.store, p.before, p.after, op+" on a full pool")
		if op == "delete-snapshot" && (err != nil || !changed) {
			t.Errorf("deleting frees nothing: %v", err)
		}
	}
	if failed == 0 {
		t.Error("nothing failed on a full file system")
	}
}

// fill writes files until there is no space, large and then small.
func fill(t *testing.T, dir string) {
	t.Helper()
	for i, size := range []int{1 << 20, 64 << 10, 4 << 10, 1 << 10} {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("fill-%d", i)))
		if err != nil {
			if errors.Is(err, unix.ENOSPC) {
				return
			}
			t.Fatal(err)
		}
		block := make([]byte, size)
		for err == nil {
			_, err = f.Write(block)
			if err == nil {
				err = f.Sync()
			}
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
		_ = f.Close()
	}
}

// TestMetadataNearlyFull: Preflight warns before it is too late.
func TestMetadataNearlyFull(t *testing.T) {
	t.Parallel()
	dir := newPool(t, MinPoolSize).Dir()
	warned := func() bool {
		found, err := Preflight(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.Topic == "metadata" && errors.Is(f.Err, ErrNoSpace) && f.Remedy != "" {
				return true
			}
		}
		return false
	}
	if warned() {
		t.Error("warned of an empty pool")
	}
	fill(t, dir)
	if !warned() {
		t.Error("not warned of a full pool")
	}
}
