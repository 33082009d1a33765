package nspawn_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/nspawn"
)

func TestPreflight(t *testing.T) {
	t.Parallel()
	for _, f := range nspawn.Preflight(t.Context()) {
		t.Log(f)
		if f.Topic == "systemd and machined" && (f.Err == nil) != (testhost.Inside() != "") {
			t.Errorf("in a host with systemd: %q; found: %v", testhost.Inside(), f)
		}
	}
	for f, want := range map[nspawn.Finding]string{
		{Topic: "x", Detail: "d", Remedy: "r"}:                              "yes (d)",
		{Topic: "x", Err: nspawn.ErrNotSupported, Detail: "d", Remedy: "r"}: "no (d): r",
		{Topic: "x", Err: errors.New("strange"), Detail: "", Remedy: "r"}:   "could not tell: strange: r",
	} {
		if got := f.String(); !strings.HasSuffix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
