// Package snapshottest checks that a driver of package snapshot keeps its promises.
package snapshottest

import (
	"testing"

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
		{"Reboot", checkReboot},
		{"Checkpoint", checkCheckpoint},
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
