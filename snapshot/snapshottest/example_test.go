package snapshottest_test

import (
	"testing"

	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/snapshot/snapshottest"
)

// A test runs the suite against stores of a driver, each in a directory of its own.
func Example() {
	var t *testing.T // the test's own
	snapshottest.Run(t, func(t *testing.T) *snapshot.Store {
		store, err := snapshot.Open(t.Context(), t.TempDir(), snapshot.Options{Driver: snapshot.Copy()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	})
}
