package syspkg

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/testexec"
)

// fakeManager puts a manager in PATH that, asked to install, makes the file
// that the package stands for and records how it was called.
func fakeManager(t *testing.T, script string) (bin string) {
	t.Helper()
	bin = t.TempDir()
	testexec.Write(t, filepath.Join(bin, "apt-get"), []byte("#!/bin/sh\n"+script))
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	return bin
}

func needs(bin string) []Need {
	return []Need{
		{File: "sh", Debian: "dash"},
		{File: "/no/such/file:/bin/sh", Debian: "dash"},
		{File: filepath.Join(bin, "made"), Debian: "made-package"},
		{File: filepath.Join(bin, "made"), Debian: "made-package"},
		{File: "no-such-program", Arch: "only-on-arch"},
	}
}

func TestEnsureInstallsWhatIsMissing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: Ensure would ask sudo")
	}
	bin := fakeManager(t, `echo "$@" >>"$(dirname "$0")/calls"; [ "$1" = update ] || touch "$(dirname "$0")/made"`)
	var out bytes.Buffer
	for range 2 { // the second call has nothing to do
		if err := Ensure(t.Context(), &out, true, needs(bin)); err != nil {
			t.Fatal(err)
		}
	}
	calls, err := os.ReadFile(filepath.Join(bin, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	want := "update -qq\ninstall -y -qq --no-install-recommends made-package\n"
	if string(calls) != want {
		t.Errorf("called with:\n%swant:\n%s", calls, want)
	}
	if got := out.String(); got != "installing with apt-get: made-package\n" {
		t.Errorf("printed %q", got)
	}
}

func TestEnsureWithoutInstall(t *testing.T) {
	bin := fakeManager(t, "exit 1")
	err := Ensure(t.Context(), new(bytes.Buffer), false, needs(bin))
	var missing *MissingError
	if !errors.As(err, &missing) || !slices.Equal(missing.Packages, []string{"made-package"}) {
		t.Fatalf("Ensure = %v", err)
	}
	if !strings.Contains(err.Error(), "apt-get install made-package") {
		t.Errorf("%q does not say how to install", err)
	}
}

func TestEnsureShowsWhyItFailed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: Ensure would ask sudo")
	}
	bin := fakeManager(t, "echo E: no such package >&2; exit 100")
	err := Ensure(t.Context(), new(bytes.Buffer), true, needs(bin))
	if err == nil || !strings.Contains(err.Error(), "exit status 100") || !strings.Contains(err.Error(), "no such package") {
		t.Errorf("Ensure = %v", err)
	}
}

// TestEnsureWithoutManager is a host of another distribution.
func TestEnsureWithoutManager(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	there := Need{File: "/bin/sh", Debian: "dash", Arch: "dash"}
	if err := Ensure(t.Context(), new(bytes.Buffer), true, []Need{there}); err != nil {
		t.Errorf("nothing is missing: %v", err)
	}
	err := Ensure(t.Context(), new(bytes.Buffer), true, []Need{there, {File: "no-such-program", Debian: "none"}})
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "missing no-such-program") {
		t.Errorf("Ensure = %v", err)
	}
}
