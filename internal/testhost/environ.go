package testhost

import (
	"slices"
	"strings"

	"github.com/prologin/rig/internal/testroot"
)

// forwarded variables of the caller say how a test behaves, not where it runs.
var forwarded = []string{
	"CI", "COLORTERM", "GOCOVERDIR", "GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOTRACEBACK",
	"LANG", "NO_COLOR", "TERM", "TZ",
}

// environ returns the environment of a test in a host: what is forwarded from
// the caller's, RIG_ and LC_ variables with it, and the host's own.
func environ(caller []string, suite string) []string {
	env := []string{
		"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	for _, entry := range caller {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(forwarded, name) || strings.HasPrefix(name, "RIG_") || strings.HasPrefix(name, "LC_") {
			env = append(env, entry)
		}
	}
	return append(env, "RIG_CACHE="+testroot.CacheDir(), insideVar+"="+suite)
}
