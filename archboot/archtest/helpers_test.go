package archtest_test

import (
	"os"
	"testing"

	"github.com/prologin/rig/archboot/archtest"
)

// debianMirror starts a mirror of a Debian suite in the cache that the
// environment names, or in the default one.
func debianMirror(t *testing.T, o archtest.Options) *archtest.Mirror {
	t.Helper()
	o.CacheDir = os.Getenv("RIG_CACHE")
	o.Progress = func(e archtest.Event) {
		if e.Phase != "packages" || e.Done == e.Total {
			t.Logf("%s: %s", e.Phase, e.Message)
		}
	}
	return archtest.NewMirror(t, o)
}
