package testhost

import (
	"slices"
	"testing"
)

func TestEnviron(t *testing.T) {
	env := environ([]string{"PATH=/mine", "SECRET=x", "TERM=dumb", "RIG_X=y", "LC_ALL=C", "RIG_CACHE=", "GOROOT=/go"}, "sid")
	for entry, want := range map[string]bool{
		"TERM=dumb": true, "RIG_X=y": true, "LC_ALL=C": true, "RIG_TESTHOST=sid": true,
		"PATH=/mine": false, "SECRET=x": false, "GOROOT=/go": false,
	} {
		if got := slices.Contains(env, entry); got != want {
			t.Errorf("%s forwarded: %v, want %v", entry, got, want)
		}
	}
}

func TestIsSystem(t *testing.T) {
	for dir, want := range map[string]bool{
		"/": true, "/usr/bin": true, "/etc": true, "/bin": true,
		"/tmp/go-build1/b001": false, "/home/me/rig": false, "/usrlocal": false, "/var/cache/rig": false,
	} {
		if got := isSystem(dir); got != want {
			t.Errorf("isSystem(%s) = %v, want %v", dir, got, want)
		}
	}
}
