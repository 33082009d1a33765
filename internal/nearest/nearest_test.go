package nearest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/prologin/rig/internal/nearest"
)

func TestNames(t *testing.T) {
	t.Parallel()
	zones := []string{"Asia/Tokyo", "Europe/Paris", "Europe/Madrid", "Europe/Rome"}
	for name, want := range map[string][]string{
		"Europe/Pariss": {"Europe/Paris", "Europe/Madrid", "Europe/Rome"},
		"asia/tokio":    {"Asia/Tokyo"},
		"eur":           {"Europe/Madrid", "Europe/Paris", "Europe/Rome"},
		"eoru":          nil,
		"xyzzy":         nil,
	} {
		if diff := cmp.Diff(want, nearest.Names(name, zones)); diff != "" {
			t.Errorf("near %q (-want +got):\n%s", name, diff)
		}
	}
}

func TestHint(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"setup_mbd": ` (is it "setup_mdb"?)`, "copy": ` (is it "copy_sadm"?)`, "c": "", "xyzzy": ""} {
		if got := nearest.Hint(name, []string{"copy_sadm", "setup_mdb"}); got != want {
			t.Errorf("hint for %q: %q", name, got)
		}
	}
}
