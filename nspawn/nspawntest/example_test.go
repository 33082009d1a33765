package nspawntest_test

import (
	"context"
	"log"
	"os/exec"
	"testing"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/nspawn/nspawntest"
)

// A test runs the suite against a host; here each test gets a copy of one root.
func Example() {
	var t *testing.T // the test's own
	host, err := nspawn.Open(context.Background(), nspawn.HostOptions{Launcher: nspawn.LauncherDirect})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	nspawntest.Run(t, host, func(t testing.TB) string {
		root := t.TempDir()
		if out, err := exec.Command("cp", "-a", "/srv/base/.", root).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return root
	})
}
